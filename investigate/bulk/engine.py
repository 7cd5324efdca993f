"""Carry jobs out: pack the next chunk, send it, and find that a job has ended.

Packing holds the job's row, so that two workers never pack the same messages; the chunk is then claimed and sent like
any other action. One chunk of a job is on its way at a time, and one whose outcome is unknown is looked up before the
next is sent, so that a bad quarter of an hour leaves one chunk in doubt and not fifty.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.emailsec import Priority, errors
from dashboard.emailsec.requests import MOST_IDS
from dashboard.upstream.connection import get_client
from dashboard.upstream.features import SharedMissingFeatures
from dashboard.upstream.ring import LONGEST_COUNTDOWN, ring, ring_when_due
from investigate.actions import reconciling, sending, transitions, words
from investigate.bulk import lifecycle, rights, ringing
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobState

log = structlog.get_logger("mailwarden.jobs")

MOST_PER_RELEASE = 100  # messages; a release has no way back, and each one whose answer is lost is looked up by itself
MOST_PER_SUBMISSION = 100
STEP_SECONDS = 10.0  # a task sends chunks for so long, then rings for the next one, so that a stop never waits for it
HELD_SECONDS = 2.0  # until a job whose row another process holds is looked at again
MOST_HALVINGS = 64  # of refused chunks in one job; a server that refuses everything is no matter of single messages
OWNER_LOST = "Somebody who has can resume the job, and takes it over."

ON_ITS_WAY = Q(state=ActionState.SENDING) | Q(state=ActionState.UNKNOWN, needs_person=False)


def step(job_id: uuid.UUID | str) -> None:
    """Carry a job on as far as it goes now. Harmless when nothing is due, and when another worker is at it.

    A job of another account stays as it is: its ids name nothing in this one.
    """
    job = BulkJob.objects.filter(pk=job_id, account_id=settings.CLOUDFLARE_ACCOUNT_ID).first()
    if job is None:
        return
    if job.state == JobState.CANCELLED:
        lifecycle.cancel_leftovers(job)
        return
    if job.state == JobState.WAITING and not lifecycle.start(job):
        return
    started = time.monotonic()
    while (chunk_id := _next_chunk_in_turn(job)) is not None:
        problem = sending.send(chunk_id)
        if problem is not None:
            _answer_for(job, chunk_id, problem)
        elif job.progress.get("halvings") and _was_answered(chunk_id):
            lifecycle.forget_halvings(job)
        if time.monotonic() - started > STEP_SECONDS:
            ring(ringing.STEP_TASK, str(job.pk))
            return


def look(chunk_id: uuid.UUID | str) -> None:
    """Look up a chunk whose outcome is unknown, if that is due, and carry its job on."""
    if reconciling.look_up(chunk_id):
        ring(ringing.STEP_TASK, str(Action.objects.values_list("job_id", flat=True).get(pk=chunk_id)))


def chunk_size(job: BulkJob) -> int:
    """How many messages of this job go into one call at most."""
    if job.kind == ActionKind.MOVE:
        return MOST_IDS
    if job.kind == ActionKind.RELEASE:
        return MOST_PER_RELEASE
    return 1 if submits_one_by_one() else MOST_PER_SUBMISSION


def _was_answered(chunk_id: uuid.UUID) -> bool:
    """Whether the call went through, rather than not having been made at all."""
    return Action.objects.filter(pk=chunk_id, state__in=transitions.FINAL).exists()


def submits_one_by_one() -> bool:
    """Whether this server has only the older operation, which takes one message."""
    return SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).is_missing("create_submissions")


# --- which chunk is next ----------------------------------------------------------------------------------------------


def _next_chunk_in_turn(job: BulkJob) -> uuid.UUID | None:
    """The next chunk; where somebody holds the job's row for long, the bell rings again instead."""
    try:
        return _next_chunk(job)
    except OperationalError as problem:
        log.info("job_held_by_another", job=str(job.pk), error=type(problem).__name__)
        ring(ringing.STEP_TASK, str(job.pk), countdown=HELD_SECONDS)
        return None


def _next_chunk(job: BulkJob) -> uuid.UUID | None:
    """The chunk to send now: one that waits, or a new one; None where the job rests, pauses or has ended."""
    job.refresh_from_db()
    if job.state != JobState.RUNNING:
        return None
    if told := _why_held(job):
        lifecycle.hold(job, told)
        return None
    with transaction.atomic():
        held = BulkJob.objects.select_for_update().get(pk=job.pk)
        if held.state != JobState.RUNNING:
            return None
        chunks = Action.objects.filter(job=job)
        on_its_way = chunks.filter(ON_ITS_WAY).first()
        if on_its_way is not None:
            _rest_for_look(on_its_way)
            return None
        waiting = chunks.filter(state=ActionState.WAITING).order_by("number").first()
        if waiting is not None and not _is_due(waiting):
            return _rest_until(held, waiting)
        told = _why_held(held, waiting.items.filter(state=ActionState.QUEUED)) if waiting is not None else ""
        if told:
            lifecycle.hold(held, told)
            return None
        chosen = waiting.pk if waiting is not None else _pack(held)
        if chosen is None:
            lifecycle.finish(held)
        elif held.explanation:
            lifecycle.go_on(held)  # what it waited for is over
    return chosen


def _why_held(job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> str:
    """Why the job pauses by itself, by the rights in the database now, and what can be done about it; or ""."""
    told = rights.why_not_carried_on(job, messages)
    if not told:
        return ""
    return f"{told} {lifecycle.ASK_ANEW if rights.owner_may(job, messages) else OWNER_LOST}"


def _is_due(chunk: Action) -> bool:
    return Action.objects.filter(pk=chunk.pk, due_at__lte=Now()).exists()


def _rest_until(job: BulkJob, chunk: Action) -> None:
    """The chunk could not be sent and waits; so does the job, and says until when."""
    left = max(0.0, (chunk.due_at - timezone.now()).total_seconds())
    lifecycle.wait(job, seconds=left, explanation=chunk.explanation)
    if left <= LONGEST_COUNTDOWN:
        transaction.on_commit(lambda: ring_when_due(ringing.STEP_TASK, str(job.pk), seconds=left))


def _rest_for_look(chunk: Action) -> None:
    """The outcome is not known yet; the look rings for the job when it is."""
    if chunk.next_look_at is None:
        return
    left = max(0.0, (chunk.next_look_at - timezone.now()).total_seconds())
    if left <= LONGEST_COUNTDOWN:
        transaction.on_commit(lambda: ring_when_due(ringing.LOOK_TASK, str(chunk.pk), seconds=left))


def _pack(job: BulkJob) -> uuid.UUID | None:
    """Make the next chunk of messages whose turn it is; None where none is left."""
    queued = job.items.filter(state=ActionState.QUEUED, action=None).order_by("pk")
    ids = _turn_of(job, queued)
    if not ids:
        return None
    chunk = _new_chunk(job)
    ActionItem.objects.filter(pk__in=ids).update(action=chunk)
    return chunk.pk


def _turn_of(job: BulkJob, queued: QuerySet[ActionItem]) -> list[int]:
    """The messages of the next call, by their keys."""
    if job.kind != ActionKind.RECLASSIFY:
        return list(queued.values_list("pk", flat=True)[: chunk_size(job)])
    first = queued.values_list("alert_id", flat=True).first()
    if first is None:
        return []
    # A call takes submissions of one kind: by alert, or as a missed detection.
    alike = queued.exclude(alert_id="") if first else queued.filter(alert_id="")
    return list(alike.values_list("pk", flat=True)[: chunk_size(job)])


def _new_chunk(job: BulkJob, evidence: Sequence[Any] = ()) -> Action:
    number = (Action.objects.filter(job=job).aggregate(last=Max("number"))["last"] or 0) + 1
    return Action.objects.create(
        operation_key=f"{job.pk.hex}-{number}",
        job=job,
        number=number,
        fingerprint=job.fingerprint,
        actor_id=job.actor_id,
        actor_name=job.actor_name,
        kind=job.kind,
        destination=job.destination,
        expected_disposition=job.expected_disposition,
        reason=job.reason,
        evidence=list(evidence),
        audit_sequence=job.audit_sequence,
        created_at=Now(),
        due_at=Now(),
    )


# --- what a refusal means for the job ---------------------------------------------------------------------------------


def _answer_for(job: BulkJob, chunk_id: uuid.UUID, problem: errors.EmailSecurityError) -> None:
    """A chunk came back unsent or refused as a whole: decide how the job goes on."""
    chunk = Action.objects.filter(pk=chunk_id, state=ActionState.WAITING).first()
    if chunk is None or isinstance(problem, (errors.RateLimited, errors.Unavailable)):
        return  # it has its end, or waits for its time
    if isinstance(problem, errors.NotOnThisServer) and submits_one_by_one():
        _unpack(chunk)
        return
    if isinstance(problem, (errors.Rejected, errors.NotFound)):  # one bad id is enough for either
        told = _halve(job, chunk)
        if not told:
            return
        lifecycle.hold(job, told)
        return
    lifecycle.hold(job, words.refusal(problem))


def _unpack(chunk: Action) -> None:
    """Put the messages back: this server takes them one at a time."""
    with transaction.atomic():
        BulkJob.objects.select_for_update().get(pk=chunk.job_id)
        unpacked = Action.objects.filter(pk=chunk.pk, state=ActionState.WAITING).update(
            state=ActionState.CANCELLED, finished_at=Now(), explanation="This server takes one submission at a time."
        )
        if unpacked:
            chunk.items.filter(state=ActionState.QUEUED).update(action=None)


def _halve(job: BulkJob, chunk: Action) -> str:
    """Send a refused chunk again in two halves, until only what is refused by itself is left.

    Answers why the job has to pause instead, if it has to.
    """
    if chunk.kind == ActionKind.RELEASE and (doubt := _was_released_after_all(chunk)):
        return doubt
    with transaction.atomic():
        held = BulkJob.objects.select_for_update().get(pk=job.pk)
        halvings = held.progress.get("halvings", 0) + 1
        if halvings > MOST_HALVINGS:
            return f"Cloudflare refuses most of it. {chunk.explanation}"
        BulkJob.objects.filter(pk=job.pk).update(progress={**held.progress, "halvings": halvings})
        # A claim holds the job's row, too: while it is ours nobody sends the chunk.
        if not Action.objects.filter(pk=chunk.pk, state=ActionState.WAITING).exists():
            return ""
        ids = list(chunk.items.filter(state=ActionState.QUEUED).order_by("pk").values_list("pk", flat=True))
        if len(ids) < 2:  # another worker halved it meanwhile
            return ""
        second = _new_chunk(held, chunk.evidence)  # what an earlier try may have done is in doubt for both halves
        ActionItem.objects.filter(pk__in=ids[len(ids) // 2 :]).update(action=second)
    log.info("chunk_halved", job=str(job.pk), chunk=chunk.number, messages=len(ids))
    return ""


def _was_released_after_all(chunk: Action) -> str:
    """A refusal proves that nothing was done; for releases, which have no way back, one message is looked at too."""
    item = chunk.items.filter(state=ActionState.QUEUED).order_by("pk").first()
    if item is None:
        return ""
    try:
        message = get_client().message(item.investigate_id, priority=Priority.BULK)
    except errors.NotFound:
        return ""
    except errors.EmailSecurityError as problem:
        return f"{words.refusal(problem)} Whether anything was released could not be looked up."
    if message.is_quarantined:
        return ""
    # It is left out, so that whoever looks into it and resumes the job gets on.
    transitions.leave_out(item, "It had left the quarantine when Cloudflare refused the release.")
    return "Cloudflare refused a release, but a message of it has left the quarantine. Look before you resume."
