"""What people decide about jobs at Cloudflare. Everything is written down before anything is asked for."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable, storable_text
from dashboard.audit.models import AuditEvent
from dashboard.audit.recorder import record, recording
from dashboard.emailsec.errors import NotFound
from dashboard.emailsec.types import BulkJob as CloudflareJob
from dashboard.sql import seconds_from_now
from dashboard.upstream.connection import get_client
from dashboard.upstream.ring import ring, ring_when_due
from investigate.actions.decision import permission_for
from investigate.actions.transitions import storable_words
from investigate.approvals.asking import ask
from investigate.approvals.needs import Needed, needed_for, right_to_ask
from investigate.approvals.rights import why_not_sent
from investigate.bulk.jobs import LEAST_UNDO
from investigate.bulk.upstream import asking, memory, words
from investigate.bulk.upstream.sample import Sample, is_large
from investigate.models import ActionKind, ActionState, UpstreamJob
from investigate.search.criteria import Criteria

TASK = "investigate.tasks.upstream_job"
TAKEN = "This job at Cloudflare belongs to another one of ours."


class NotPossible(Exception):
    """The job cannot be made or changed; the text says why."""


class Conflict(Exception):
    """The job is not what the page showed any more."""


def needed_rights(kind: str, destination: str = "") -> list[Permission]:
    """The rights a job needs. What a search finds may be malicious, so a release needs the right for that, too."""
    if kind == ActionKind.RELEASE:
        return [Permission.JOB_RUN_LARGE, Permission.MESSAGE_RELEASE, Permission.MESSAGE_RELEASE_MALICIOUS]
    return [
        Permission.JOB_RUN_LARGE,
        Permission.MESSAGE_MOVE,
        permission_for(ActionKind.MOVE, destination=destination),
    ]


def missing_right(actor: Member, kind: str, destination: str = "", *, is_large: bool = False) -> Permission | None:
    """The first right this member lacks to start such a job, or to ask a second person for it where that takes two."""
    alone = _alone(is_large)
    asked = (right if right in alone else right_to_ask(right) for right in needed_rights(kind, destination))
    return next((right for right in asked if not actor.may(right)), None)


def needs_second(kind: str, destination: str, sample: Sample) -> Needed | None:
    """Why a job over this search takes a second person, or None; what nobody can count is large."""
    rights = set(needed_rights(kind, destination)) - _alone(sample.is_large)
    return needed_for(rights, size=words.size(sample))


def why_not_asked(job: UpstreamJob) -> str:
    """Why Cloudflare may not be asked for the job, by the rights in the database now, or ""."""
    alone = _alone(is_large(job.counted))
    return why_not_sent(job, set(needed_rights(job.kind, job.destination)) - alone, alone=alone)


def _alone(is_large: bool) -> set[Permission]:  # noqa: FBT001
    """Every job here needs the right to run large ones; only one that is large can take two for its size."""
    return set() if is_large else {Permission.JOB_RUN_LARGE}


def create(
    *,
    actor: Member,
    kind: ActionKind,
    destination: str,
    criteria: Criteria,
    is_exact: bool,
    sample: Sample,
    reason: str,
    operation_key: str,
    request: HttpRequest | None,
) -> UpstreamJob:
    """Write down that Cloudflare is to be asked for a job once the undo window is over.

    The same key with the same content is the same job. Raises PermissionDenied, NotPossible, Conflict, AuditNotWritten.
    """
    missing = missing_right(actor, kind, destination, is_large=sample.is_large)
    if missing is not None:
        raise PermissionDenied(missing.value)
    if why_not := asking.why_not(criteria):
        raise NotPossible(why_not)
    fingerprint = _fingerprint(actor, kind.value, destination, criteria.query(), is_exact, reason)
    again = _same(operation_key, fingerprint)
    if again is not None:
        return again
    if not sample.messages and not sample.is_more:
        raise NotPossible("This search finds nothing, so there is nothing for a job to do.")
    search, job_id = asking.search_of(criteria, is_exact=is_exact), uuid.uuid4()
    second = needs_second(kind, destination, sample)
    seconds = max(LEAST_UNDO, actor.undo_seconds)
    try:
        with transaction.atomic():
            job = UpstreamJob.objects.create(
                id=job_id,
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                operation_key=operation_key,
                fingerprint=fingerprint,
                actor=actor,
                actor_name=storable_text(actor.display_name, limit=300),
                kind=kind,
                destination=destination,
                reason=storable_text(reason, limit=1000),
                query=criteria.query(),
                request=storable(asking.request_of(job_id, kind, destination, search, reason)),
                counted=sample.stored(),
                state=ActionState.WAITING if second is None else ActionState.AWAITING_APPROVAL,
                created_at=Now(),
                due_at=seconds_from_now(seconds),
            )
            if second is None:
                event = note(job, "attempt", actor=actor, request=request, detail={"counted": job.counted})
            else:  # whose mail the search finds is not known: only who may see all of it decides
                what = {**described(job), "counted": job.counted}
                _, event = ask(actor=actor, about=job, needed=second, recipients=(), detail=what, request=request)
            UpstreamJob.objects.filter(pk=job.pk).update(audit_sequence=event.sequence)
    except IntegrityError:
        again = _same(operation_key, fingerprint)
        if again is None:
            raise
        return again
    job.refresh_from_db()
    if second is None:
        ring_for(job, seconds=seconds)
    return job


def ring_for(job: UpstreamJob, *, seconds: float) -> None:
    """Tell a worker that the job will be due."""
    ring_when_due(TASK, str(job.pk), seconds=seconds)


def approve(job: UpstreamJob, *, seconds: float) -> bool:
    """A second person has agreed: the job waits out its undo window."""
    awaiting = UpstreamJob.objects.filter(pk=job.pk, state=ActionState.AWAITING_APPROVAL)
    return bool(awaiting.update(state=ActionState.WAITING, due_at=seconds_from_now(seconds)))


def drop(job: UpstreamJob, explanation: str) -> bool:
    """Nobody agreed: Cloudflare is not asked. The caller tells who wanted it."""
    awaiting = UpstreamJob.objects.filter(pk=job.pk, state=ActionState.AWAITING_APPROVAL)
    told = storable_words(explanation)
    return bool(awaiting.update(state=ActionState.CANCELLED, finished_at=Now(), seen_at=Now(), explanation=told))


def undo(*, actor: Member, job: UpstreamJob, request: HttpRequest | None, is_one_of_two: bool = False) -> UpstreamJob:
    """Do not ask for the job. Raises PermissionDenied, and Conflict where it has been asked for.

    `is_one_of_two`: the actor asked for it or approved it, which is right enough while its time to undo runs.
    """
    if not is_one_of_two:
        _check_right(actor)
    with transaction.atomic():
        changed = UpstreamJob.objects.filter(pk=job.pk, state=ActionState.WAITING).update(
            state=ActionState.CANCELLED, finished_at=Now(), explanation=""
        )
        if not changed:
            raise Conflict("Cloudflare has been asked for this job already.")
        note(job, "cancelled", actor=actor, request=request)
    job.refresh_from_db()
    return job


def cancel(*, actor: Member, job_id: str, request: HttpRequest | None) -> CloudflareJob:
    """Stop a job at Cloudflare; what it has done stays done. `job_id` is Cloudflare's.

    Raises PermissionDenied and what the call raises; after OutcomeUnknown reading the job again settles it.
    """
    _check_right(actor)
    with recording(actor, "upstream_job:cancel", targets=[job_id], request=request) as event:
        try:
            job = get_client().cancel_bulk_job(job_id)
        finally:
            memory.ask_at_once(job_id)
        event.detail = {"status": job.status, **memory.counts(job)}
    memory.remember(job)
    return job


def delete(*, actor: Member, job_id: str, request: HttpRequest | None) -> None:
    """Let Cloudflare forget the record of a finished job; a record that is gone already counts as deleted.

    Raises PermissionDenied and what the call raises; after OutcomeUnknown reading the job again settles it.
    """
    _check_right(actor)
    with recording(actor, "upstream_job:delete", targets=[job_id], request=request) as event:
        try:
            get_client().delete_bulk_job(job_id)
        except NotFound:
            event.detail = {"record": "was gone already"}
        finally:
            memory.ask_at_once(job_id)
    memory.forget(job_id)


def look_now(*, actor: Member, job: UpstreamJob, request: HttpRequest | None) -> None:
    """Look for a job whose answer was lost now instead of later. Raises PermissionDenied, NotPossible."""
    _check_right(actor)
    with transaction.atomic():
        asked = UpstreamJob.objects.filter(pk=job.pk, state=ActionState.UNKNOWN).update(next_look_at=Now())
        if not asked:
            raise NotPossible("There is nothing to look for: what became of this job is known.")
        note(job, "done", action="upstream_job:look", actor=actor, request=request)
    ring(TASK, str(job.pk))


def settle(*, actor: Member, job: UpstreamJob, upstream_id: str, request: HttpRequest | None) -> UpstreamJob:
    """A person decides what became of a job that was not found again: it is the one with this id, or was not made.

    Raises PermissionDenied, Conflict, NotPossible, and what reading the job raises.
    """
    _check_right(actor)
    made: CloudflareJob | None = None
    if upstream_id:
        if UpstreamJob.objects.filter(account_id=job.account_id, upstream_id=upstream_id).exists():
            raise NotPossible(TAKEN)
        made = get_client().bulk_job(upstream_id)
    told = storable_words(f"Settled by {actor.display_name}: {'it is this one' if made else 'it was not made'}.")
    with transaction.atomic():
        unsettled = UpstreamJob.objects.filter(pk=job.pk, state=ActionState.UNKNOWN, needs_person=True)
        try:
            with transaction.atomic():
                changed = unsettled.update(
                    state=ActionState.DONE if made else ActionState.FAILED,
                    upstream_id=made.job_id if made else "",
                    finished_at=None if made else Now(),
                    needs_person=False,
                    next_look_at=None,
                    explanation=told,
                )
        except IntegrityError as problem:  # somebody else was faster by a blink
            raise NotPossible(TAKEN) from problem
        if not changed:
            raise Conflict("What became of this job is known meanwhile.")
        note(job, "done" if made else "failed", actor=actor, request=request, detail={"upstream_id": upstream_id})
    if made is not None:
        memory.remember(made)
    job.refresh_from_db()
    return job


def note(
    job: UpstreamJob,
    phase: str,
    *,
    action: str = "upstream_job:create",
    actor: Member | None = None,
    request: HttpRequest | None = None,
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """A row of the trail about a job of ours."""
    return record(
        actor=actor,
        action=action,
        phase=phase,
        targets=[job.upstream_id] if job.upstream_id else [],
        reason=job.reason,
        detail={**described(job), **(detail or {})},
        request=request,
        refers_to=job.audit_sequence,
    )


def described(job: UpstreamJob) -> dict[str, Any]:
    """What the audit trail says of a job in each of its rows."""
    return {"job": job.pk, "kind": job.kind, "destination": job.destination, "request": job.request}


def _check_right(actor: Member) -> None:
    if not actor.may(Permission.JOB_RUN_LARGE):
        raise PermissionDenied(Permission.JOB_RUN_LARGE.value)


def _fingerprint(actor: Member, *content: object) -> str:
    return hashlib.sha256(json.dumps([actor.pk, *content]).encode()).hexdigest()


def _same(operation_key: str, fingerprint: str) -> UpstreamJob | None:
    job = UpstreamJob.objects.filter(operation_key=operation_key).first()
    if job is not None and job.fingerprint != fingerprint:
        raise Conflict("This form was used already, for another job. Nothing was sent.")
    return job
