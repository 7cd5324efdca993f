"""What people do with jobs: begin, decide, take over, stop, pause, resume and mend them.

Who may is in `rights`, how a job gets from one state into the next in `lifecycle`. Messages wait as items; `engine`
packs them into chunks and sends those.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.persons import is_same_person
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring
from investigate.actions import transitions
from investigate.actions.decision import LONGEST_REASON, SHORTEST_REASON, least_permission_for
from investigate.actions.transitions import storable_words
from investigate.approvals.asking import ask
from investigate.approvals.needs import right_to_ask
from investigate.approvals.rights import approval_of, why_another, why_lapsed
from investigate.bulk import lifecycle, offers, outlook, rights, ringing
from investigate.models import Action, ActionKind, ActionState, BulkJob, JobInput, JobSource, JobState

OLDEST_REHEARSAL = dt.timedelta(hours=12)  # what is decided is what was looked at, and that was then
LEAST_UNDO = 5  # seconds; a job always has an undo window, also for members who want none for single actions

_USED = "This form was used already, for another job. Nothing was sent."
_OLD = "These messages were collected more than 12 hours ago, and others may have acted on them since: collect again."
_NEVER_BEGUN = "It was decided more than 12 hours ago and nothing of it was sent: cancel it, and collect again."
_CANCELLABLE = (JobState.COLLECTING, JobState.REHEARSAL, JobState.WAITING, JobState.RUNNING, JobState.PAUSED)
STOPS = {  # what a button stops, by what it says
    "rehearsal": (JobState.COLLECTING, JobState.REHEARSAL),
    "waiting": (JobState.WAITING,),
    "running": (JobState.RUNNING, JobState.PAUSED),
}
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


# --- a rehearsal ------------------------------------------------------------------------------------------------------


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
            event = lifecycle.record_change(
                job, "job:begin", actor=actor, request=request, detail={"terms": len(terms)}
            )
            BulkJob.objects.filter(pk=job.pk).update(audit_sequence=event.sequence)
    except IntegrityError:
        again = _same(operation_key, fingerprint)
        if again is None:
            raise
        return again
    job.refresh_from_db()
    ring(ringing.COLLECT_TASK, str(job.pk))
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
    rights.check_rights(actor, job, rights.left_of(job))
    if len(reason.strip()) < SHORTEST_REASON:
        raise NotPossible("Say in a few words why, or name the ticket.")
    seconds = max(LEAST_UNDO, actor.undo_seconds)
    try:
        with transaction.atomic():
            held = lifecycle.locked(job)
            if decision_key and held.decision_key == decision_key:  # the other half of a double click was faster
                return held
            ids = list(held.items.filter(state=ActionState.QUEUED).values_list("investigate_id", flat=True))
            if held.state == JobState.REHEARSAL:
                _check_rehearsal(held, len(ids), expected_count)
            needed = rights.needs_second(held)
            changed = lifecycle.move(
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
            what = {"messages": len(ids), "messages_sha256": lifecycle.digest(ids)}
            if needed is None:
                lifecycle.record_change(job, "job:decide", actor=actor, request=request, detail=what)
            else:
                ask(
                    actor=actor,
                    about=job,
                    needed=needed,
                    recipients=recipients_of(job),
                    detail={**lifecycle.described(job), **what},
                    request=request,
                )
    except IntegrityError:
        used = BulkJob.objects.filter(decision_key=decision_key).exclude(decision_key="").first()
        if used is None:
            raise
        raise Conflict(_USED, used) from None
    if needed is None:
        ringing.ring_for(job, seconds=seconds)
    return job


def recipients_of(job: BulkJob) -> Iterator[str]:
    """Of the messages whose turn is to come."""
    rows = job.items.filter(state=ActionState.QUEUED).order_by().values_list("recipients", flat=True)
    for recipients in rows.iterator(chunk_size=5000):
        yield from recipients


def take_over(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Make somebody's rehearsal the actor's, because its owner may not decide it. Raises PermissionDenied, Conflict."""
    if not actor.may(Permission.JOB_RUN_LARGE):
        raise PermissionDenied(Permission.JOB_RUN_LARGE.value)
    with transaction.atomic():
        held = lifecycle.locked(job)
        rights.check_rights(actor, held, rights.left_of(held))
        heir = {"actor": actor, "actor_name": storable_text(actor.display_name, limit=300)}
        if not rights.may_take_over(actor, held) or not lifecycle.move(
            job, [JobState.REHEARSAL], JobState.REHEARSAL, **heir
        ):
            raise Conflict("This rehearsal cannot be taken over: it is not one its owner may not decide.", held)
        job.refresh_from_db()
        lifecycle.record_change(job, "job:take_over", actor=actor, request=request, detail={"from": held.actor_name})
    return job


def why_too_old(job: BulkJob) -> str:
    """Why a rehearsal cannot be decided any more, or ""."""
    is_old = job.collected_at is not None and timezone.now() - job.collected_at > OLDEST_REHEARSAL
    return _OLD if is_old and job.state == JobState.REHEARSAL else ""


def why_outdated(job: BulkJob) -> str:
    """Why the messages of a rehearsal have to be collected again before it can be decided, or ""."""
    return why_too_old(job) or (outlook.why_acted_on(job) if job.state == JobState.REHEARSAL else "")


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


# --- a job that may have been decided ---------------------------------------------------------------------------------


def cancel(
    *, actor: Member, job: BulkJob, request: HttpRequest | None, expects: str = "", has_approved: bool = False
) -> BulkJob:
    """Stop a job: what is being sent ends, and nothing more is sent. Raises PermissionDenied, Conflict.

    `expects` is what the button said it stops, one of `STOPS`: a page that was left open stops nothing else.
    `has_approved`: the actor is the job's second person, who may take that back while its time to undo runs.
    """
    if not (has_approved and expects == "waiting"):
        rights.check_control(actor, job)
    with transaction.atomic():
        held = lifecycle.locked(job)
        told = storable_words(f"{_stopping(held)} by {actor.display_name}.")
        stops = STOPS.get(expects, _CANCELLABLE)
        if not lifecycle.move(job, stops, JobState.CANCELLED, due_at=None, finished_at=Now(), explanation=told):
            raise Conflict(_why_not_stopped(held), held)
        transitions.cancel_unsent(held, actor=actor, request=request)
        job.refresh_from_db()
        lifecycle.record_change(job, "job:cancel", actor=actor, request=request, detail={"messages": job.counts})
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
    rights.check_control(actor, job)
    with transaction.atomic():
        held = lifecycle.locked(job)
        told = storable_words(f"Paused by {actor.display_name}.")
        if not lifecycle.move(
            job, [JobState.WAITING, JobState.RUNNING], JobState.PAUSED, due_at=None, explanation=told
        ):
            raise Conflict("This job is not running.", held)
        job.refresh_from_db()
        lifecycle.record_change(job, "job:pause", actor=actor, request=request)
    return job


def resume(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Go on with a paused job; who resumes one whose owner lost the right takes it over.

    Raises PermissionDenied, Conflict.
    """
    rights.check_control(actor, job)
    rights.check_rights(actor, job, rights.left_of(job))
    with transaction.atomic():
        held = lifecycle.locked(job)
        _check_still_agreed(held)
        heir: dict[str, Any] = {}
        if not rights.owner_may(held, rights.left_of(held)):
            _check_not_approver(actor, held)
            heir = {"actor": actor, "actor_name": storable_text(actor.display_name, limit=300)}
        changed = lifecycle.move(
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
        lifecycle.record_change(job, "job:resume", actor=actor, request=request, detail=taken_over)
    ring(ringing.STEP_TASK, str(job.pk))
    return job


def retry_failed(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Take the messages that provably were not done into the queue again; copies that were done stay done.

    Raises PermissionDenied, NotPossible, Conflict.
    """
    rights.check_control(actor, job)
    failed = job.items.filter(state__in=retried_states(job))
    rights.check_rights(actor, job, failed)
    rights.check_rights(actor, job, rights.left_of(job))
    with transaction.atomic():
        held = lifecycle.locked(job)
        _check_still_agreed(held)
        if held.state == JobState.CANCELLED:  # a chunk that came back unsent stays cancelled, too
            transitions.cancel_unsent(held, actor=actor, request=request)
        again = failed.update(state=ActionState.QUEUED, action=None, explanation="")
        if not again:
            raise NotPossible("No message of this job failed.")
        # A job that was cancelled keeps its cancelled messages; only what failed is taken up again.
        changed = lifecycle.move(
            job, _RETRYABLE, JobState.RUNNING, due_at=Now(), finished_at=None, seen_at=None, explanation=""
        )
        if not changed:
            raise Conflict("This job cannot be retried now.", held)
        job.refresh_from_db()
        lifecycle.count(job)
        lifecycle.record_change(job, "job:retry", actor=actor, request=request, detail={"messages": again})
    ring(ringing.STEP_TASK, str(job.pk))
    return job


def retried_states(job: BulkJob) -> list[ActionState]:
    """A move of copies that were moved already changes nothing; nobody knows that of releases."""
    partly = [ActionState.PARTLY_DONE] if job.kind == ActionKind.MOVE else []
    return [ActionState.FAILED, *partly]


def look_now(*, actor: Member, job: BulkJob, request: HttpRequest | None) -> BulkJob:
    """Look unknown chunks up now instead of later. Raises PermissionDenied, NotPossible."""
    rights.check_control(actor, job)
    with transaction.atomic():
        chunks = [
            chunk
            for chunk in Action.objects.filter(job=job, state=ActionState.UNKNOWN)
            if transitions.ask_for_look(chunk)
        ]
        if not chunks:
            raise NotPossible("There is nothing to look up.")
        lifecycle.record_change(
            job, "job:look", actor=actor, request=request, detail={"chunks": [chunk.number for chunk in chunks]}
        )
    for chunk in chunks:
        ring(ringing.LOOK_TASK, str(chunk.pk))
    return job


def mark_seen(*, actor: Member, job: BulkJob) -> None:
    """The owner was shown that the job has finished."""
    BulkJob.objects.filter(pk=job.pk, actor=actor, seen_at=None, finished_at__isnull=False).update(seen_at=Now())


# --- helpers ----------------------------------------------------------------------------------------------------------


def _fingerprint(actor: Member, *content: object) -> str:
    whole = json.dumps([actor.pk, *content], default=list)
    return hashlib.sha256(whole.encode()).hexdigest()


def _same(operation_key: str, fingerprint: str) -> BulkJob | None:
    job = BulkJob.objects.filter(operation_key=operation_key).first()
    if job is not None and job.fingerprint != fingerprint:
        raise Conflict(_USED, job)
    return job


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
        raise Conflict(f"{told} {lifecycle.ASK_ANEW}", job)


def _check_rehearsal(job: BulkJob, queued: int, expected: int) -> None:
    if told := why_too_old(job):
        raise NotPossible(told)
    if queued == 0:
        raise NotPossible("None of these messages can be acted on.")
    if queued != expected:
        raise Conflict(f"The job has {queued:,} messages now, not {expected:,}. Nothing was sent.", job)
    if told := outlook.why_acted_on(job):
        raise Outdated(told, job)
