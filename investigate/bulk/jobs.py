"""What becomes of a job: what people decide about it, and the only place where its state changes.

Each change is a conditional update that says which state it leaves and raises `version`, so that pages can tell
whether they are current. Messages wait as items; `engine` packs them into chunks and sends those.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.installation.values import setting
from dashboard.upstream.ring import ring
from investigate.actions import transitions
from investigate.actions.decision import least_permission_for, permission_for
from investigate.actions.transitions import seconds_from_now, storable_words
from investigate.actions.within import is_within
from investigate.actions.words import counted
from investigate.approvals.asking import ask
from investigate.approvals.needs import Needed, needed_for, right_to_ask
from investigate.approvals.rights import (
    approval_of,
    approved_rights,
    is_same_person,
    why_another,
    why_lapsed,
    why_not_sent,
)
from investigate.bulk import offers, outlook
from investigate.bulk.tally import tally
from investigate.desk.changes import note_change
from investigate.models import (
    Action,
    ActionItem,
    ActionKind,
    ActionState,
    BulkJob,
    JobInput,
    JobSource,
    JobState,
)

log = structlog.get_logger("mailwarden.jobs")

COLLECT_TASK = "investigate.tasks.collect_job"
STEP_TASK = "investigate.tasks.step_job"
LOOK_TASK = "investigate.tasks.look_up_chunk"
COLLECT_CLAIM = 120.0  # seconds; a collecting step takes a fraction of it
MOST_NOT_FOUND = 1000  # terms of a paste that are kept by name; the rest is counted
SHORTEST_REASON = 5
LONGEST_REASON = 1000
OLDEST_REHEARSAL = dt.timedelta(hours=12)  # what is decided is what was looked at, and that was then
LEAST_UNDO = 5  # seconds; a job always has an undo window, also for members who want none for single actions
_BELL_MARGIN = 0.3

_USED = "This form was used already, for another job. Nothing was sent."
_OLD = "These messages were collected more than 12 hours ago, and others may have acted on them since: collect again."
_NEVER_BEGUN = "It was decided more than 12 hours ago and nothing of it was sent: cancel it, and collect again."
ASK_ANEW = "Cancel the rest, and ask for it anew."
_CANCELLABLE = (JobState.COLLECTING, JobState.REHEARSAL, JobState.WAITING, JobState.RUNNING, JobState.PAUSED)
STOPS = {  # what a button stops, by what it says
    "rehearsal": (JobState.COLLECTING, JobState.REHEARSAL),
    "waiting": (JobState.WAITING,),
    "running": (JobState.RUNNING, JobState.PAUSED),
}
_LEFT = (ActionState.QUEUED, ActionState.WAITING, ActionState.SENDING)
_RETRYABLE = (JobState.RUNNING, JobState.PAUSED, JobState.DONE, JobState.CANCELLED)


class NotPossible(Exception):
    """The job cannot do this; the text says why and what to do instead."""


class Conflict(Exception):
    """The job is not what the page showed any more. `job` is as it is now."""

    def __init__(self, told: str, job: BulkJob) -> None:
        super().__init__(told)
        self.job = job


class Outdated(Conflict):
    """The messages are not what was looked at any more: they are to be collected again."""


# --- what people do ---------------------------------------------------------------------------------------------------


def begin(
    *,
    actor: Member,
    source: JobSource,
    kind: ActionKind,
    destination: str = "",
    expected_disposition: str = "",
    reason: str = "",
    query: str = "",
    terms: Sequence[tuple[str, str]] = (),
    operation_key: str,
    request: HttpRequest | None,
) -> BulkJob:
    """Begin a rehearsal: a worker collects the messages, and nothing is sent before it is decided.

    `terms` are (kind, text): ("investigate_id", ...) of ticked rows, what a paste holds, or ("job", ...) of an earlier
    job. The same key with the same content is the same job. Raises PermissionDenied, Conflict, AuditNotWritten, and
    ValueError for an action that does not exist, which no form of ours lets through.
    """
    if not offers.is_possible(kind, destination, expected_disposition):
        raise ValueError(f"no such action: {kind} {destination} {expected_disposition}")
    for permission in (Permission.JOB_RUN, right_to_ask(least_permission_for(kind, destination=destination))):
        if not actor.may(permission):
            raise PermissionDenied(permission.value)
    fingerprint = _fingerprint(actor, source, kind, destination, expected_disposition, query, terms)
    again = _same(operation_key, fingerprint)
    if again is not None:
        return again
    try:
        with transaction.atomic():
            job = BulkJob.objects.create(
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                operation_key=operation_key,
                fingerprint=fingerprint,
                actor=actor,
                actor_name=storable_text(actor.display_name, limit=300),
                kind=kind,
                destination=destination,
                expected_disposition=expected_disposition,
                reason=storable_text(reason.strip(), limit=LONGEST_REASON),
                source=source,
                scope=sorted(actor.scope.domains),
                query=storable_text(query),
                created_at=Now(),
                due_at=Now(),
            )
            JobInput.objects.create(job=job, terms=[[name, storable_text(text)] for name, text in terms])
            event = _record(job, "job:begin", actor=actor, request=request, detail={"terms": len(terms)})
            BulkJob.objects.filter(pk=job.pk).update(audit_sequence=event.sequence)
    except IntegrityError:
        again = _same(operation_key, fingerprint)
        if again is None:
            raise
        return again
    job.refresh_from_db()
    ring(COLLECT_TASK, str(job.pk))
    return job


def decide(
    *, actor: Member, job: BulkJob, reason: str, decision_key: str, expected_count: int, request: HttpRequest | None
) -> BulkJob:
    """Let a rehearsed job happen after its undo window, or ask a second person for it where it takes two.

    `expected_count` is the number of messages the person read on the button. Raises PermissionDenied, NotPossible,
    Conflict, AuditNotWritten.
    """
    used = BulkJob.objects.filter(decision_key=decision_key).exclude(decision_key="").first()
    if used is not None and used.pk != job.pk:
        raise Conflict(_USED, used)
    if used is not None:
        return used
    _check_own(actor, job)
    _check_rights(actor, job, _left(job))
    if len(reason.strip()) < SHORTEST_REASON:
        raise NotPossible("Say in a few words why, or name the ticket.")
    seconds = max(LEAST_UNDO, actor.undo_seconds)
    try:
        with transaction.atomic():
            held = _held(job)
            if decision_key and held.decision_key == decision_key:  # the other half of a double click was faster
                return held
            ids = list(held.items.filter(state=ActionState.QUEUED).values_list("investigate_id", flat=True))
            if held.state == JobState.REHEARSAL:
                _check_rehearsal(held, len(ids), expected_count)
            needed = needs_second(held)
            changed = _move(
                job,
                [JobState.REHEARSAL],
                JobState.WAITING if needed is None else JobState.AWAITING_APPROVAL,
                reason=storable_text(reason.strip(), limit=LONGEST_REASON),
                decision_key=decision_key,
                decided_at=Now(),
                due_at=seconds_from_now(seconds) if needed is None else None,
            )
            if not changed:
                raise Conflict("This job was decided or discarded already.", held)
            job.refresh_from_db()
            what = {"messages": len(ids), "messages_sha256": digest(ids)}
            if needed is None:
                _record(job, "job:decide", actor=actor, request=request, detail=what)
            else:
                ask(
                    actor=actor,
                    about=job,
                    needed=needed,
                    recipients=recipients_of(job),
                    detail={**described(job), **what},
                    request=request,
                )
    except IntegrityError:
        used = BulkJob.objects.filter(decision_key=decision_key).exclude(decision_key="").first()
        if used is None:
            raise
        raise Conflict(_USED, used) from None
    if needed is None:
        ring_for(job, seconds=seconds)
    return job


def ring_for(job: BulkJob, *, seconds: float) -> None:
    """Tell a worker that the job will be due."""
    ring(STEP_TASK, str(job.pk), countdown=min(seconds, 30) + _BELL_MARGIN)


def needs_second(job: BulkJob) -> Needed | None:
    """Why a rehearsed job takes a second person, or None."""
    queued = job.items.filter(state=ActionState.QUEUED)
    return needed_for(needed_rights(job, queued), size=counted(queued.count(), "message"))


def recipients_of(job: BulkJob) -> Iterator[str]:
    """Of the messages whose turn is to come."""
    rows = job.items.filter(state=ActionState.QUEUED).order_by().values_list("recipients", flat=True)
    for recipients in rows.iterator(chunk_size=5000):
        yield from recipients


def approve(job: BulkJob, *, seconds: float) -> bool:
    """A second person has agreed: the job waits out its undo window. The caller holds its row, and rings."""
    if not _move(job, [JobState.AWAITING_APPROVAL], JobState.WAITING, due_at=seconds_from_now(seconds)):
        return False
    note_change(job.items.filter(state=ActionState.QUEUED).values_list("investigate_id", flat=True))
    return True


def record_decision(job: BulkJob, *, actor: Member, detail: Mapping[str, Any], request: HttpRequest | None) -> None:
    """That an approved job goes, with exactly which messages."""
    ids = list(job.items.filter(state=ActionState.QUEUED).values_list("investigate_id", flat=True))
    what = {"messages": len(ids), "messages_sha256": digest(ids), **detail}
    _record(job, "job:decide", actor=actor, request=request, detail=what)


def drop(job: BulkJob, explanation: str) -> bool:
    """Nobody agreed: nothing is sent. The caller holds the job's row, and tells its owner."""
    told = storable_words(explanation)
    ended = {"due_at": None, "finished_at": Now(), "seen_at": Now(), "explanation": told}
    if not _move(job, [JobState.AWAITING_APPROVAL], JobState.CANCELLED, **ended):
        return False
    transitions.cancel_unsent(job)
    return True


def may_take_over(actor: Member, job: BulkJob) -> bool:
    """Whether this member may decide a rehearsal in the place of its owner, who may not."""
    if job.state != JobState.REHEARSAL or job.actor_id == actor.pk or not actor.may(Permission.JOB_RUN_LARGE):
        return False
    if not is_within(job.scope, actor.scope):
        return False
    return not missing_rights(actor, job, _left(job)) and not owner_may(job, _left(job))


def take_over(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Make somebody's rehearsal the actor's, because its owner may not decide it. Raises PermissionDenied, Conflict."""
    if not actor.may(Permission.JOB_RUN_LARGE):
        raise PermissionDenied(Permission.JOB_RUN_LARGE.value)
    with transaction.atomic():
        held = _held(job)
        _check_rights(actor, held, _left(held))
        heir = {"actor": actor, "actor_name": storable_text(actor.display_name, limit=300)}
        if not may_take_over(actor, held) or not _move(job, [JobState.REHEARSAL], JobState.REHEARSAL, **heir):
            raise Conflict("This rehearsal cannot be taken over: it is not one its owner may not decide.", held)
        job.refresh_from_db()
        _record(job, "job:take_over", actor=actor, request=request, detail={"from": held.actor_name})
    return job


def why_too_old(job: BulkJob) -> str:
    """Why a rehearsal cannot be decided any more, or ""."""
    is_old = job.collected_at is not None and timezone.now() - job.collected_at > OLDEST_REHEARSAL
    return _OLD if is_old and job.state == JobState.REHEARSAL else ""


def why_outdated(job: BulkJob) -> str:
    """Why the messages of a rehearsal have to be collected again before it can be decided, or ""."""
    return why_too_old(job) or (outlook.why_acted_on(job) if job.state == JobState.REHEARSAL else "")


def digest(investigate_ids: Iterable[str]) -> str:
    """Which messages were decided on, in one line of the audit trail: SHA-256 of their ids, sorted, one a line."""
    return hashlib.sha256("\n".join(sorted(investigate_ids)).encode()).hexdigest()


def cancel(
    *, actor: Member, job: BulkJob, request: HttpRequest | None, expects: str = "", has_approved: bool = False
) -> BulkJob:
    """Stop a job: what is being sent ends, and nothing more is sent. Raises PermissionDenied, Conflict.

    `expects` is what the button said it stops, one of `STOPS`: a page that was left open stops nothing else.
    `has_approved`: the actor is the job's second person, who may take that back while its time to undo runs.
    """
    if not (has_approved and expects == "waiting"):
        check_control(actor, job)
    with transaction.atomic():
        held = _held(job)
        told = storable_words(f"{_stopping(held)} by {actor.display_name}.")
        stops = STOPS.get(expects, _CANCELLABLE)
        if not _move(job, stops, JobState.CANCELLED, due_at=None, finished_at=Now(), explanation=told):
            raise Conflict(_why_not_stopped(held), held)
        transitions.cancel_unsent(held, actor=actor, request=request)
        job.refresh_from_db()
        _record(job, "job:cancel", actor=actor, request=request, detail={"messages": job.counts})
    return job


def _stopping(job: BulkJob) -> str:
    """What stopping a job that stands so is called."""
    if job.decided_at is None:
        return "Discarded"
    return "Undone" if job.started_at is None else "Cancelled"


def _why_not_stopped(job: BulkJob) -> str:
    if job.state not in _CANCELLABLE:
        return "This job has ended already."
    if job.state == JobState.WAITING:
        return "This job was decided meanwhile. Nothing was cancelled."
    return "This job is being sent already. Nothing was cancelled."


def pause(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Send nothing more until somebody says so. Raises PermissionDenied, Conflict."""
    check_control(actor, job)
    with transaction.atomic():
        held = _held(job)
        told = storable_words(f"Paused by {actor.display_name}.")
        if not _move(job, [JobState.WAITING, JobState.RUNNING], JobState.PAUSED, due_at=None, explanation=told):
            raise Conflict("This job is not running.", held)
        job.refresh_from_db()
        _record(job, "job:pause", actor=actor, request=request)
    return job


def resume(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Go on with a paused job; who resumes one whose owner lost the right takes it over.

    Raises PermissionDenied, Conflict.
    """
    check_control(actor, job)
    _check_rights(actor, job, _left(job))
    with transaction.atomic():
        held = _held(job)
        _check_still_agreed(held)
        heir: dict[str, Any] = {}
        if not owner_may(held, _left(held)):
            _check_not_approver(actor, held)
            heir = {"actor": actor, "actor_name": storable_text(actor.display_name, limit=300)}
        changed = _move(
            job,
            [JobState.PAUSED],
            JobState.RUNNING,
            due_at=Now(),
            started_at=Coalesce("started_at", Now()),
            explanation="",
            dead_attempts=0,
            progress={**held.progress, "halvings": 0},
            **heir,
        )
        if not changed:
            raise Conflict("This job is not paused.", held)
        # What is sent from now on is sent in the name of whom the job belongs to now.
        Action.objects.filter(job=job, state=ActionState.WAITING).update(due_at=Now(), **heir)
        job.refresh_from_db()
        taken_over = {"from": held.actor_name} if heir else {}
        _record(job, "job:resume", actor=actor, request=request, detail=taken_over)
    ring(STEP_TASK, str(job.pk))
    return job


def retry_failed(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Take the messages that provably were not done into the queue again; copies that were done stay done.

    Raises PermissionDenied, NotPossible, Conflict.
    """
    check_control(actor, job)
    failed = job.items.filter(state__in=retried_states(job))
    _check_rights(actor, job, failed)
    _check_rights(actor, job, _left(job))
    with transaction.atomic():
        held = _held(job)
        _check_still_agreed(held)
        if held.state == JobState.CANCELLED:  # a chunk that came back unsent stays cancelled, too
            transitions.cancel_unsent(held, actor=actor, request=request)
        again = failed.update(state=ActionState.QUEUED, action=None, explanation="")
        if not again:
            raise NotPossible("No message of this job failed.")
        # A job that was cancelled keeps its cancelled messages; only what failed is taken up again.
        changed = _move(job, _RETRYABLE, JobState.RUNNING, due_at=Now(), finished_at=None, seen_at=None, explanation="")
        if not changed:
            raise Conflict("This job cannot be retried now.", held)
        job.refresh_from_db()
        _count(job)
        _record(job, "job:retry", actor=actor, request=request, detail={"messages": again})
    ring(STEP_TASK, str(job.pk))
    return job


def retried_states(job: BulkJob) -> list[ActionState]:
    """A move of copies that were moved already changes nothing; nobody knows that of releases."""
    partly = [ActionState.PARTLY_DONE] if job.kind == ActionKind.MOVE else []
    return [ActionState.FAILED, *partly]


def collect_again(*, actor: Member, job: BulkJob, operation_key: str, request: HttpRequest | None) -> BulkJob:
    """Begin the same rehearsal anew, because its messages could not be collected, or are outdated; it is the actor's.

    Raises NotPossible, and what `begin` raises.
    """
    if job.state != JobState.FAILED and not why_outdated(job):
        raise NotPossible("The messages of this job were collected.")
    return begin(
        actor=actor,
        source=JobSource(job.source),
        kind=ActionKind(job.kind),
        destination=job.destination,
        expected_disposition=job.expected_disposition,
        reason=job.reason,
        query=job.query,
        terms=[(name, text) for name, text in JobInput.objects.get(job=job).terms],
        operation_key=operation_key,
        request=request,
    )


def look_now(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Look unknown chunks up now instead of later. Raises PermissionDenied, NotPossible."""
    check_control(actor, job)
    with transaction.atomic():
        chunks = [
            chunk
            for chunk in Action.objects.filter(job=job, state=ActionState.UNKNOWN)
            if transitions.ask_for_look(chunk)
        ]
        if not chunks:
            raise NotPossible("There is nothing to look up.")
        _record(job, "job:look", actor=actor, request=request, detail={"chunks": [chunk.number for chunk in chunks]})
    for chunk in chunks:
        ring(LOOK_TASK, str(chunk.pk))
    return job


def mark_seen(*, actor: Member, job: BulkJob) -> None:
    """The owner was shown that the job has finished."""
    BulkJob.objects.filter(pk=job.pk, actor=actor, seen_at=None, finished_at__isnull=False).update(seen_at=Now())


def may_control(actor: Member, job: BulkJob) -> bool:
    """Whether this member may stop, pause or mend the job, and each chunk of it."""
    if not is_within(job.scope, actor.scope):
        return False
    return actor.may(Permission.JOB_RUN) and (job.actor_id == actor.pk or actor.may(Permission.JOB_RUN_LARGE))


def check_control(actor: Member, job: BulkJob) -> None:
    if not may_control(actor, job):
        raise PermissionDenied(f"This is {job.actor_name}'s job.")


def why_not_carried_on(job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> str:
    """Why nothing more of the job may be sent, by the rights in the database now of its owner, and of who approved it;
    or "".
    """
    return why_not_sent(job, needed_rights(job, messages))


def owner_may(job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> bool:
    """Whether who the job belongs to may do their part of it now, by the rights in the database now."""
    actor = Member.objects.filter(pk=job.actor_id).first() if job.actor_id else None
    return actor is not None and not missing_rights(actor, job, messages)


def missing_rights(actor: Member, job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> list[Permission]:
    """The rights the job needs of its owner, and these messages of it, as far as this member does not have them.

    What takes a second person, or was approved by one, needs no more than the right to ask for it.
    """
    lent = approved_rights(job)
    needed = {right_to_ask(permission, lent) for permission in needed_rights(job, messages)}
    return sorted(permission for permission in needed if not actor.may(permission))


def needed_rights(job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> set[Permission]:
    """The rights of somebody who does it all alone.

    Before each chunk only those of the job are asked for: who reads all messages that are left each time reads the
    whole job again and again. What a chunk holds is looked at when it is sent.
    """
    needed = {Permission.JOB_RUN, least_permission_for(job.kind, destination=job.destination)}
    if messages is not None and job.kind == ActionKind.RELEASE:
        dispositions = messages.order_by().values_list("disposition", flat=True).distinct()
        needed |= {permission_for(job.kind, disposition=value) for value in dispositions}
    taken_on = job.items.filter(state__in=[*_LEFT, *transitions.FINAL, ActionState.UNKNOWN]).order_by()
    large = setting("LARGE_JOB")
    if taken_on[: large + 1].count() > large:  # asked for each chunk: it counts no further
        needed.add(Permission.JOB_RUN_LARGE)
    return needed


# --- collecting -------------------------------------------------------------------------------------------------------


def collecting_claimed(job_id: uuid.UUID | str) -> BulkJob | None:
    """Take a job for one step of collecting; None where it is not due, not collecting, or somebody else has it."""
    free = Q(claimed_at=None) | Q(claimed_at__lte=seconds_from_now(-COLLECT_CLAIM))
    taken = BulkJob.objects.filter(free, pk=job_id, state=JobState.COLLECTING, due_at__lte=Now()).update(
        claimed_at=Now(), attempt=F("attempt") + 1
    )
    return BulkJob.objects.get(pk=job_id) if taken else None


def store_step(
    job: BulkJob,
    *,
    items: Sequence[ActionItem],
    progress: Mapping[str, Any],
    not_found: Sequence[Mapping[str, str]] = (),
    due_in: float = 0.0,
    explanation: str = "",
) -> bool:
    """Store what one step of collecting found, and when the next is due. False where another worker has taken over.

    Messages the job has already are ignored.
    """
    with transaction.atomic():
        kept = [*job.not_found, *not_found][:MOST_NOT_FOUND]
        changed = _collecting(job).update(
            progress=dict(progress),
            not_found=kept,
            not_found_count=F("not_found_count") + len(not_found),
            due_at=seconds_from_now(due_in),
            claimed_at=None,
            explanation=storable_words(explanation),
            version=F("version") + 1,
        )
        if not changed:
            return _overtaken(job, "store_step")
        ActionItem.objects.bulk_create(items, batch_size=500, ignore_conflicts=True)
        _count(job)
    return True


def collected(job: BulkJob) -> bool:
    """All messages are known: the job waits for its owner."""
    with transaction.atomic():
        changed = _collecting(job).update(
            state=JobState.REHEARSAL,
            collected_at=Now(),
            due_at=None,
            claimed_at=None,
            explanation="",
            version=F("version") + 1,
        )
        if not changed:
            return _overtaken(job, "collected")
        _count(job)
    return True


def collecting_failed(job: BulkJob, explanation: str) -> bool:
    """The messages could not be collected; what was found stays to be looked at."""
    changed = _collecting(job).update(
        state=JobState.FAILED,
        finished_at=Now(),
        due_at=None,
        claimed_at=None,
        explanation=storable_words(explanation),
        version=F("version") + 1,
    )
    return bool(changed) or _overtaken(job, "collecting_failed")


def _collecting(job: BulkJob) -> Any:
    return BulkJob.objects.filter(pk=job.pk, attempt=job.attempt, state=JobState.COLLECTING)


# --- what happens to a running job; `engine` decides when -------------------------------------------------------------


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
        changed = _move(job, [leaves], JobState.PAUSED, due_at=None, explanation=storable_words(explanation))
        if changed:
            _record(job, "job:pause", actor=None, detail={"explanation": explanation})
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
        held = _held(job)
        BulkJob.objects.filter(pk=job.pk).update(progress={**held.progress, "halvings": 0})


def cancel_leftovers(job: BulkJob) -> None:
    """A chunk of a cancelled job that was on its way came back unsent: it is not sent again."""
    with transaction.atomic():
        held = _held(job)
        if held.state == JobState.CANCELLED:
            transitions.cancel_unsent(held)


def finish(job: BulkJob) -> bool:
    """Every message has its end, or waits for a person."""
    with transaction.atomic():
        if not _move(job, [JobState.RUNNING], JobState.DONE, due_at=None, finished_at=Now(), explanation=""):
            return False
        job.refresh_from_db()
        _count(job)
        _record(job, "job:done", actor=None, detail={"messages": job.counts, "copies": job.copies})
    return True


# --- helpers ----------------------------------------------------------------------------------------------------------


def _fingerprint(actor: Member, *content: object) -> str:
    whole = json.dumps([actor.pk, *content], default=list)
    return hashlib.sha256(whole.encode()).hexdigest()


def _same(operation_key: str, fingerprint: str) -> BulkJob | None:
    job = BulkJob.objects.filter(operation_key=operation_key).first()
    if job is not None and job.fingerprint != fingerprint:
        raise Conflict(_USED, job)
    return job


def _count(job: BulkJob) -> None:
    """Count the messages anew; part of the transaction that changed them."""
    counted = tally(job.pk)
    job.counts, job.copies, job.version = counted.counts, counted.copies, counted.version


def _held(job: BulkJob) -> BulkJob:
    """The job's row as it is now; nobody else changes it before this transaction ends."""
    return BulkJob.objects.select_for_update().get(pk=job.pk)


def _move(job: BulkJob, leaves: Iterable[str], state: JobState, **values: Any) -> int:
    return BulkJob.objects.filter(pk=job.pk, state__in=list(leaves)).update(
        state=state, version=F("version") + 1, **values
    )


def _record(
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


def _check_own(actor: Member, job: BulkJob) -> None:
    if job.actor_id != actor.pk:
        raise PermissionDenied(f"This is {job.actor_name}'s job.")


def _check_not_approver(actor: Member, job: BulkJob) -> None:
    """Who approved a job does not take it over as well: that would leave one person of two."""
    approval = approval_of(job)
    if approval is not None and approval.decided_by is not None and is_same_person(actor, approval.decided_by):
        raise Conflict("You approved this job: somebody else has to take it over.", job)


def _check_still_agreed(job: BulkJob) -> None:
    """Before a job goes on: it has not waited too long, nor has its approval, and it is what was approved."""
    approval = approval_of(job)
    looked_at = approval.decided_at if approval is not None else job.decided_at
    if job.started_at is None and looked_at is not None and timezone.now() - looked_at > OLDEST_REHEARSAL:
        raise Conflict(_NEVER_BEGUN, job)
    if told := why_lapsed(approval) or why_another(job, approval):
        raise Conflict(f"{told} {ASK_ANEW}", job)


def _check_rehearsal(job: BulkJob, queued: int, expected: int) -> None:
    if told := why_too_old(job):
        raise NotPossible(told)
    if queued == 0:
        raise NotPossible("None of these messages can be acted on.")
    if queued != expected:
        raise Conflict(f"The job has {queued:,} messages now, not {expected:,}. Nothing was sent.", job)
    if told := outlook.why_acted_on(job):
        raise Outdated(told, job)


def _left(job: BulkJob) -> QuerySet[ActionItem]:
    """Messages that are still to be sent, or are being sent."""
    return job.items.filter(state__in=_LEFT)


def _check_rights(actor: Member, job: BulkJob, messages: QuerySet[ActionItem]) -> None:
    missing = missing_rights(actor, job, messages)
    if missing:
        raise PermissionDenied(missing[0].value)


def _overtaken(job: BulkJob, step: str) -> bool:
    log.warning("job_overtaken", job=str(job.pk), attempt=job.attempt, step=step)
    return False
