"""Carry jobs out: pack the next chunk, send it, and find that a job has ended.

Packing holds the job's row, so that two workers never pack the same messages; the chunk is then claimed and sent like
any other action. One chunk of a job is on its way at a time, and one whose outcome is unknown is looked up before the
next is sent, so that a bad quarter of an hour leaves one chunk in doubt and not fifty.
"""

from __future__ import annotations

import time
import uuid

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Now

from dashboard.emailsec.requests import MOST_IDS
from dashboard.upstream.features import SharedMissingFeatures
from dashboard.upstream.ring import ring
from investigate.actions import sending
from investigate.bulk import jobs
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobState

log = structlog.get_logger("mailwarden.jobs")

MOST_RELEASED = 100  # of one call; a release has no way back, and each one that is lost has to be looked up by itself
STEP_SECONDS = 30.0  # a task sends chunks for so long, then rings for the next one, so that a stop never waits for it
_UNSETTLED = Q(state=ActionState.SENDING) | Q(state=ActionState.UNKNOWN, needs_person=False)
RIGHTS_LOST = "{who} no longer has the right to do this. Somebody who has can resume the job, and takes it over."


def step(job_id: uuid.UUID | str) -> None:
    """Carry a job on as far as it goes now. Harmless when nothing is due, and when another worker is at it."""
    job = BulkJob.objects.filter(pk=job_id).first()
    if job is None or not _is_under_way(job):
        return
    started = time.monotonic()
    while (chunk_id := _next_chunk(job)) is not None:
        sending.send(chunk_id)
        if time.monotonic() - started > STEP_SECONDS:
            ring(jobs.STEP_TASK, str(job.pk))
            return


def chunk_size(job: BulkJob) -> int:
    """How many messages of this job go into one call."""
    if job.kind == ActionKind.MOVE:
        return MOST_IDS
    if job.kind == ActionKind.RECLASSIFY and submits_one_by_one():
        return 1
    return MOST_RELEASED


def submits_one_by_one() -> bool:
    """Whether this server has only the older operation, which takes one message."""
    return SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).is_missing("create_submissions")


def _is_under_way(job: BulkJob) -> bool:
    if job.state == JobState.WAITING:
        return jobs.start(job)
    return job.state == JobState.RUNNING


def _next_chunk(job: BulkJob) -> uuid.UUID | None:
    """The chunk to send now: one that waits, or a new one; None where the job rests, pauses or has ended."""
    job.refresh_from_db()
    if job.state != JobState.RUNNING:
        return None
    if not jobs.owner_may(job):
        jobs.hold(job, RIGHTS_LOST.format(who=job.actor_name))
        return None
    with transaction.atomic():
        held = BulkJob.objects.select_for_update().get(pk=job.pk)
        if held.state != JobState.RUNNING:
            return None
        chunks = Action.objects.filter(job=job)
        if chunks.filter(_UNSETTLED).exists():
            return None
        waiting = chunks.filter(state=ActionState.WAITING).order_by("number").first()
        if waiting is not None:
            return waiting.pk if _is_due(waiting) else None
        packed = _pack(held)
    if packed is None:
        jobs.finish(job)
    return packed


def _is_due(chunk: Action) -> bool:
    return Action.objects.filter(pk=chunk.pk, due_at__lte=Now()).exists()


def _pack(job: BulkJob) -> uuid.UUID | None:
    """Make the next chunk of messages whose turn it is; None where none is left."""
    ids = list(
        job.items.filter(state=ActionState.QUEUED, action=None)
        .order_by("pk")
        .values_list("pk", flat=True)[: chunk_size(job)]
    )
    if not ids:
        return None
    number = (Action.objects.filter(job=job).aggregate(last=Max("number"))["last"] or 0) + 1
    chunk = _new_chunk(job, number)
    ActionItem.objects.filter(pk__in=ids).update(action=chunk)
    return chunk.pk


def _new_chunk(job: BulkJob, number: int) -> Action:
    return Action.objects.create(
        operation_key=f"{job.pk.hex}-{number}",
        job=job,
        number=number,
        fingerprint=job.fingerprint,
        actor=job.actor,
        actor_name=job.actor_name,
        kind=job.kind,
        destination=job.destination,
        expected_disposition=job.expected_disposition,
        reason=job.reason,
        created_at=Now(),
        due_at=Now(),
    )
