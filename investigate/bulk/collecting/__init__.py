"""Find the messages of a job, step by step; each step is stored before the next begins."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from dashboard.access.roles import Permission
from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring
from investigate.actions.within import is_within
from investigate.bulk import rehearsal, ringing
from investigate.bulk.collecting import copying, finding, selection, steps, walking
from investigate.models import BulkJob, JobSource, JobState

log = structlog.get_logger("mailwarden.jobs")

STEP_SECONDS = 10.0  # a task takes steps for so long, then rings for the next ones, so that a stop never waits for it
LONGEST_BELL = 10.0  # seconds of countdown; what is due later is rung by the sweep
MOST_DEAD = 5  # steps whose worker never came back; more are no accident
RIGHTS_LOST = "{who} no longer has the right to act on many messages."
SCOPE_CHANGED = "{who} is limited to other recipient domains now."
OTHER_ACCOUNT = "Mailwarden works for another account now."
POISONED = "Collecting broke off {times} times. Whoever runs Mailwarden finds the cause in the log."

# Each takes one step of a claimed job and stores it: what it found and when it goes on, or that collecting has ended.
STEPS: dict[str, Callable[[BulkJob], None]] = {
    JobSource.SELECTION: selection.select_step,
    JobSource.SEARCH: walking.walk_step,
    JobSource.PASTE: finding.find_step,
    JobSource.JOB: copying.copy_step,
}


def collect(job_id: uuid.UUID | str) -> None:
    """Some steps of collecting; harmless when it is not due or somebody else has it."""
    started = time.monotonic()
    job = _claimed(job_id)
    if job is None:
        return
    while job is not None:
        _step(job)
        if time.monotonic() - started > STEP_SECONDS:
            break
        job = _claimed(job_id)
    _go_on(job_id)


def _claimed(job_id: uuid.UUID | str) -> BulkJob | None:
    was_dropped = BulkJob.objects.filter(pk=job_id, claimed_at__lte=seconds_from_now(-steps.CLAIM_SECONDS)).exists()
    job = steps.claim(job_id)
    if job is not None and was_dropped:
        BulkJob.objects.filter(pk=job.pk, attempt=job.attempt).update(dead_attempts=F("dead_attempts") + 1)
        job.dead_attempts += 1
        log.warning("collecting_broke_off", job=str(job.pk), times=job.dead_attempts)
    return job


def _step(job: BulkJob) -> None:
    if job.account_id != settings.CLOUDFLARE_ACCOUNT_ID:
        steps.failed(job, OTHER_ACCOUNT)
    elif job.actor is None or not job.actor.may(Permission.JOB_RUN):
        steps.failed(job, RIGHTS_LOST.format(who=job.actor_name))
    elif not is_within(job.scope, job.actor.scope):
        steps.failed(job, SCOPE_CHANGED.format(who=job.actor_name))
    elif job.dead_attempts > MOST_DEAD:
        steps.failed(job, POISONED.format(times=job.dead_attempts))
    else:
        STEPS[job.source](job)


def _go_on(job_id: uuid.UUID | str) -> None:
    """Ring for the next step in time, or add up what was found, so that nobody who looks has to wait for that."""
    job = BulkJob.objects.get(pk=job_id)
    if job.state == JobState.REHEARSAL:
        rehearsal.summary_of(job)
    elif job.state == JobState.COLLECTING and job.claimed_at is None and job.due_at is not None:
        wait = max(0.0, (job.due_at - timezone.now()).total_seconds())
        if wait <= LONGEST_BELL:
            ring(ringing.COLLECT_TASK, str(job.pk), countdown=wait)
