"""After a week, forget what nobody decided and what people pasted or ticked to begin a job."""

from __future__ import annotations

import datetime as dt

import structlog
from django.db.models import F
from django.utils import timezone

from investigate.models import ActionItem, BulkJob, JobInput, JobSource, JobState

log = structlog.get_logger("mailwarden.jobs")

KEPT = dt.timedelta(days=7)
AT_ONCE = 1000  # items a statement deletes, so that nobody waits for a lock
MOST_JOBS = 20  # in one go; the rest an hour later
NEVER_DECIDED = (JobState.COLLECTING, JobState.REHEARSAL, JobState.FAILED)


def forget_old() -> None:
    """Delete rehearsals nobody decided, and the input of jobs that have ended. The audit trail keeps what was begun."""
    long_ago = timezone.now() - KEPT
    ended = JobInput.objects.filter(job__state__in=[JobState.DONE, JobState.CANCELLED], job__finished_at__lt=long_ago)
    ended.exclude(job__source=JobSource.JOB).delete()  # of those it is one id, which leads to the earlier job
    undecided = BulkJob.objects.filter(state__in=NEVER_DECIDED, decided_at=None, created_at__lt=long_ago)
    for pk in undecided.order_by("created_at").values_list("pk", flat=True)[:MOST_JOBS]:
        # From here on nobody decides it, and no worker collects for it.
        is_ours = undecided.filter(pk=pk).update(
            state=JobState.FAILED, due_at=None, attempt=F("attempt") + 1, version=F("version") + 1
        )
        if is_ours:
            _delete(pk)


def _delete(job_id: object) -> None:
    items, number = ActionItem.objects.filter(job=job_id), 0
    while ids := list(items.values_list("pk", flat=True)[:AT_ONCE]):
        number += len(ids)
        ActionItem.objects.filter(pk__in=ids).delete()
    BulkJob.objects.filter(pk=job_id).delete()
    log.info("rehearsal_forgotten", job=str(job_id), messages=number)
