"""One step of collecting: claimed by one worker, and stored only as long as nobody has taken over."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from dashboard.sql import seconds_from_now
from investigate.actions.transitions import storable_words
from investigate.bulk.lifecycle import count
from investigate.models import ActionItem, BulkJob, JobState

log = structlog.get_logger("mailwarden.jobs")

CLAIM_SECONDS = 120.0  # a step of collecting takes a fraction of it
MOST_NOT_FOUND = 1000  # terms of a paste that are kept by name; the rest is counted


def claim(job_id: uuid.UUID | str) -> BulkJob | None:
    """Take a job for one step of collecting; None where it is not due, not collecting, or somebody else has it."""
    free = Q(claimed_at=None) | Q(claimed_at__lte=seconds_from_now(-CLAIM_SECONDS))
    taken = BulkJob.objects.filter(free, pk=job_id, state=JobState.COLLECTING, due_at__lte=Now()).update(
        claimed_at=Now(), attempt=F("attempt") + 1
    )
    return BulkJob.objects.get(pk=job_id) if taken else None


def store(
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
            return _overtaken(job, "store")
        ActionItem.objects.bulk_create(items, batch_size=500, ignore_conflicts=True)
        count(job)
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
        count(job)
    return True


def failed(job: BulkJob, explanation: str) -> bool:
    """The messages could not be collected; what was found stays to be looked at."""
    changed = _collecting(job).update(
        state=JobState.FAILED,
        finished_at=Now(),
        due_at=None,
        claimed_at=None,
        explanation=storable_words(explanation),
        version=F("version") + 1,
    )
    return bool(changed) or _overtaken(job, "failed")


def _collecting(job: BulkJob) -> QuerySet[BulkJob]:
    return BulkJob.objects.filter(pk=job.pk, attempt=job.attempt, state=JobState.COLLECTING)


def _overtaken(job: BulkJob, step: str) -> bool:
    log.warning("job_overtaken", job=str(job.pk), attempt=job.attempt, step=step)
    return False
