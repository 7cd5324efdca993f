"""The messages of ticked rows: as recent searches showed them, else asked for one by one."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from django.utils import timezone

from dashboard.access.scope import Scope
from dashboard.emailsec import errors
from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Message
from dashboard.installation.values import setting
from dashboard.upstream.connection import get_client
from dashboard.upstream.parallel import side_by_side
from investigate.bulk import facts
from investigate.bulk.collecting import steps
from investigate.bulk.collecting.pausing import forget_failure, pause
from investigate.models import ActionItem, BulkJob
from investigate.search.memory import recent_runs
from investigate.search.runs import rows_of

RUNS_ASKED = 100  # searches whose rows are looked through
RUNS_WITHIN = dt.timedelta(hours=1)
AT_ONCE = 4  # calls side by side
CALL_SECONDS = 15.0
NOT_FOUND = "Cloudflare does not know this message (any more)."
NOT_TAKEN = "Cloudflare refuses this id."


def select_step(job: BulkJob) -> None:
    """First what recent searches showed, then the next few ids that they did not."""
    progress: dict[str, Any] = job.progress
    terms = job.input.terms
    ids = [text for name, text in terms if name == "investigate_id" and facts.is_id(text)][: setting("BULK_LIMIT")]
    if progress.get("at", -1) >= len(ids):
        steps.collected(job)
    elif "at" not in progress:
        assert job.actor is not None  # noqa: S101  collecting has looked
        items = facts.items_of(job, _shown_lately(set(ids), _scope_of(job)), job.actor)
        steps.store(job, items=items, progress={"at": 0, "is_limited": len(terms) > setting("BULK_LIMIT")})
    else:
        _ask(job, ids, progress)


def _scope_of(job: BulkJob) -> Scope:
    return Scope(frozenset(job.scope))


def _shown_lately(wanted: set[str], scope: Scope) -> list[MessageRow]:
    """Rows of the newest searches that are among these ids, as far as they exist for whose job it is."""
    found: dict[str, MessageRow] = {}
    for run in recent_runs(RUNS_ASKED, since=timezone.now() - RUNS_WITHIN):
        if len(found) == len(wanted):
            break
        for row in rows_of(run):
            if row.id in wanted and scope.sees(row.mailboxes):
                found.setdefault(row.id, row)
    return list(found.values())


def _ask(job: BulkJob, ids: list[str], progress: dict[str, Any]) -> None:
    """Ask for the next ids no search has shown; store up to the first that could not be asked for."""
    assert job.actor is not None  # noqa: S101  collecting has looked
    at, missing = _next_missing(job, ids, progress["at"])
    answers = side_by_side([partial(_message, ids[index]) for index in missing])
    scope, found = _scope_of(job), list[Message]()
    not_found: list[dict[str, str]] = []
    stopped: errors.EmailSecurityError | None = None
    for index, answer in zip(missing, answers, strict=True):
        if isinstance(answer, Message) and not scope.sees(answer.mailboxes):
            answer = errors.NotFound()
        if isinstance(answer, Message):
            found.append(answer)
        elif stopped is None and isinstance(answer, errors.NotFound | errors.Rejected):
            why = NOT_FOUND if isinstance(answer, errors.NotFound) else NOT_TAKEN
            not_found.append({"text": ids[index], "kind": "investigate_id", "why": why})
        elif stopped is None:
            stopped, at = answer, index  # what comes after it is asked for again, unless it was found
    items = facts.items_of(job, found, job.actor)
    if stopped is not None:
        pause(job, stopped, progress={**progress, "at": at}, items=items, not_found=not_found)
    else:
        steps.store(job, items=items, progress={**forget_failure(progress), "at": at}, not_found=not_found)


def _next_missing(job: BulkJob, ids: list[str], start: int) -> tuple[int, list[int]]:
    """Where to go on after this step, and the places of the next few ids the job has no message of."""
    missing: list[int] = []
    for first in range(start, len(ids), 500):
        some = ids[first : first + 500]
        known = set(
            ActionItem.objects.filter(job=job, investigate_id__in=some).values_list("investigate_id", flat=True)
        )
        for index, investigate_id in enumerate(some, start=first):
            if investigate_id in known:
                continue
            if len(missing) == AT_ONCE:
                return index, missing
            missing.append(index)
    return len(ids), missing


def _message(investigate_id: str) -> Message:
    return get_client().message(investigate_id, budget=CALL_SECONDS, priority=Priority.BACKGROUND)
