"""Undo the newest decision of one's own that still waits: about one message, many, or a whole search."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from investigate.actions import services as actions
from investigate.bulk import jobs
from investigate.bulk.progress import of_account_within
from investigate.bulk.upstream import memory
from investigate.bulk.upstream import services as upstream
from investigate.models import Action, ActionState, BulkJob, JobState, UpstreamJob

Decided = Action | BulkJob | UpstreamJob


def undo_last(*, actor: Member, request: HttpRequest | None) -> Decided | None:
    """Cancel what was decided last, as it is afterwards; None where nothing waits. Raises the Conflict of its kind."""
    newest = max(_waiting(actor), key=_decided_at, default=None)
    match newest:
        case Action():
            return actions.undo(actor=actor, action=newest, request=request)
        case BulkJob():
            undone = jobs.cancel(actor=actor, job=newest, request=request, expects="waiting")
            jobs.mark_seen(actor=actor, job=undone)  # the answer to the key tells it; no notice needs to
            return undone
        case UpstreamJob():
            return upstream.undo(actor=actor, job=newest, request=request)
    return None


def _waiting(actor: Member) -> Iterator[Decided]:
    """The newest of each kind. A chunk is part of its job."""
    single = Action.objects.filter(actor=actor, job=None, state=ActionState.WAITING)
    yield from single.order_by("-created_at")[:1]
    if actor.may(Permission.JOB_RUN):
        mine = of_account_within(actor.scope, actor=actor, state=JobState.WAITING)
        yield from mine.order_by("-decided_at")[:1]
    if actor.may(Permission.JOB_RUN_LARGE) and actor.scope.is_whole:
        yield from memory.ours().filter(actor=actor, state=ActionState.WAITING).order_by("-created_at")[:1]


def _decided_at(decided: Decided) -> dt.datetime:
    return (decided.decided_at if isinstance(decided, BulkJob) else None) or decided.created_at
