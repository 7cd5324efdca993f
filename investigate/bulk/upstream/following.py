"""Follow jobs at Cloudflare to their end while nobody looks, and slowly: their owners are to be told."""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.emailsec import Priority, errors
from dashboard.sql import seconds_from_now
from dashboard.upstream.connection import get_client
from investigate.bulk.upstream import memory
from investigate.models import ActionState, UpstreamJob

log = structlog.get_logger("mailwarden.jobs")

PACE = 60.0  # seconds; what people see on the job's page counts as a look, too
SLOWEST = 3600.0
STILL = 10  # a job that has shown the same for ten hours is asked about once in an hour


def open_jobs() -> QuerySet[UpstreamJob]:
    """Jobs of ours that Cloudflare has and that have not ended, as far as anybody saw."""
    return memory.ours().filter(state=ActionState.DONE, finished_at=None).exclude(upstream_id="")


def due() -> QuerySet[UpstreamJob]:
    """Those nobody has looked at lately."""
    return open_jobs().filter(Q(snapshot_at=None) | Q(snapshot_at__lte=seconds_from_now(-PACE)))


def follow(job_id: uuid.UUID | str) -> None:
    """Look at one job, if it is due and nobody else does."""
    job = due().filter(pk=job_id).first()
    if job is None or not memory.take_turn(job.upstream_id, every=_pace(job)):
        return
    try:
        memory.remember(get_client().bulk_job(job.upstream_id, priority=Priority.BACKGROUND))
    except errors.NotFound:  # its record was deleted: nobody will ever learn more
        memory.forget(job.upstream_id)
        open_jobs().filter(pk=job.pk).update(finished_at=Now())
    except errors.EmailSecurityError as problem:
        log.info("upstream_job_not_followed", job=str(job.pk), error=type(problem).__name__)


def _pace(job: UpstreamJob) -> float:
    seen = memory.last_seen(job.upstream_id)
    still = timezone.now() - seen.same_since if seen is not None else dt.timedelta()
    return min(SLOWEST, max(PACE, still.total_seconds() / STILL))
