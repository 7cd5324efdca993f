"""How a job gets from one state into the next: conditional updates that say which state they leave.

Each raises `version`, so that pages can tell whether they are current. What people decide is in `jobs`, how a rehearsal
is collected in `collecting.steps`; `engine` decides when the others are due.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.audit.recorder import record
from dashboard.sql import seconds_from_now
from investigate.actions import transitions
from investigate.actions.transitions import storable_words
from investigate.approvals.rights import approval_of, why_another
from investigate.bulk.tally import tally
from investigate.desk.changes import note_change
from investigate.models import ActionState, BulkJob, JobState

ASK_ANEW = "Cancel the rest, and ask for it anew."


def locked(job: BulkJob) -> BulkJob:
    """The job's row as it is now; nobody else changes it before this transaction ends."""
    return BulkJob.objects.select_for_update().get(pk=job.pk)


def move(job: BulkJob, leaves: Iterable[str], state: JobState, **values: Any) -> int:
    return BulkJob.objects.filter(pk=job.pk, state__in=list(leaves)).update(
        state=state, version=F("version") + 1, **values
    )


def count(job: BulkJob) -> None:
    """Count the messages anew; part of the transaction that changed them."""
    counted = tally(job.pk)
    job.counts, job.copies, job.version = counted.counts, counted.copies, counted.version


# --- by a second person -----------------------------------------------------------------------------------------------


def approve(job: BulkJob, *, seconds: float) -> bool:
    """A second person has agreed: the job waits out its undo window. The caller holds its row, and rings."""
    if not move(job, [JobState.AWAITING_APPROVAL], JobState.WAITING, due_at=seconds_from_now(seconds)):
        return False
    note_change(job.items.filter(state=ActionState.QUEUED).values_list("investigate_id", flat=True))
    return True


def drop(job: BulkJob, explanation: str) -> bool:
    """Nobody agreed: nothing is sent. The caller holds the job's row, and tells its owner."""
    told = storable_words(explanation)
    ended = {"due_at": None, "finished_at": Now(), "seen_at": Now(), "explanation": told}
    if not move(job, [JobState.AWAITING_APPROVAL], JobState.CANCELLED, **ended):
        return False
    transitions.cancel_unsent(job)
    return True


# --- by itself --------------------------------------------------------------------------------------------------------


def start(job: BulkJob) -> bool:
    """The undo window is over. What is not what was approved pauses instead."""
    due = BulkJob.objects.filter(pk=job.pk, state=JobState.WAITING, due_at__lte=Now())
    if due.exists() and (told := why_another(job, approval_of(job))):
        _pause_by_itself(job, JobState.WAITING, f"{told} {ASK_ANEW}")
        return False
    return bool(due.update(state=JobState.RUNNING, started_at=Now(), version=F("version") + 1))


def hold(job: BulkJob, explanation: str) -> bool:
    """Pause a job by itself, because it needs a person."""
    return _pause_by_itself(job, JobState.RUNNING, explanation)


def _pause_by_itself(job: BulkJob, leaves: JobState, explanation: str) -> bool:
    with transaction.atomic():
        changed = move(job, [leaves], JobState.PAUSED, due_at=None, explanation=storable_words(explanation))
        if changed:
            record_change(job, "job:pause", actor=None, detail={"explanation": explanation})
    return bool(changed)


def wait(job: BulkJob, *, seconds: float, explanation: str = "") -> bool:
    """Let a running job rest until then."""
    changed = BulkJob.objects.filter(pk=job.pk, state=JobState.RUNNING).update(
        due_at=seconds_from_now(seconds), explanation=storable_words(explanation), version=F("version") + 1
    )
    return bool(changed)


def go_on(job: BulkJob) -> None:
    """What the job waited for is over."""
    BulkJob.objects.filter(pk=job.pk, state=JobState.RUNNING).update(
        due_at=Now(), explanation="", version=F("version") + 1
    )


def forget_halvings(job: BulkJob) -> None:
    """A call went through: what is refused is a matter of single messages."""
    with transaction.atomic():
        held = locked(job)
        BulkJob.objects.filter(pk=job.pk).update(progress={**held.progress, "halvings": 0})


def cancel_leftovers(job: BulkJob) -> None:
    """A chunk of a cancelled job that was on its way came back unsent: it is not sent again."""
    with transaction.atomic():
        held = locked(job)
        if held.state == JobState.CANCELLED:
            transitions.cancel_unsent(held)


def finish(job: BulkJob) -> bool:
    """Every message has its end, or waits for a person."""
    with transaction.atomic():
        if not move(job, [JobState.RUNNING], JobState.DONE, due_at=None, finished_at=Now(), explanation=""):
            return False
        job.refresh_from_db()
        count(job)
        record_change(job, "job:done", actor=None, detail={"messages": job.counts, "copies": job.copies})
    return True


# --- what the audit trail says of it ----------------------------------------------------------------------------------


def record_change(
    job: BulkJob,
    action: str,
    *,
    actor: Member | None,
    request: HttpRequest | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Any:
    return record(
        actor=actor,
        action=action,
        reason=job.reason,
        refers_to=job.audit_sequence,
        detail={**described(job), **(detail or {})},
        request=request,
    )


def described(job: BulkJob) -> dict[str, Any]:
    """What the audit trail says of a job in each of its rows."""
    what = {"job": job.pk, "kind": job.kind, "destination": job.destination, "source": job.source, "query": job.query}
    if job.expected_disposition:
        what["expected_disposition"] = job.expected_disposition
    return what


def record_decision(job: BulkJob, *, actor: Member, detail: Mapping[str, Any], request: HttpRequest | None) -> None:
    """That an approved job goes, with exactly which messages."""
    ids = list(job.items.filter(state=ActionState.QUEUED).values_list("investigate_id", flat=True))
    what = {"messages": len(ids), "messages_sha256": digest(ids), **detail}
    record_change(job, "job:decide", actor=actor, request=request, detail=what)


def digest(investigate_ids: Iterable[str]) -> str:
    """Which messages were decided on, in one line of the audit trail: SHA-256 of their ids, sorted, one a line."""
    return hashlib.sha256("\n".join(sorted(investigate_ids)).encode()).hexdigest()
