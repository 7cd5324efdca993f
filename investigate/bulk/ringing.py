"""The bells that call a worker to a job."""

from __future__ import annotations

from dashboard.upstream.ring import ring_when_due
from investigate.models import BulkJob

COLLECT_TASK = "investigate.tasks.collect_job"
STEP_TASK = "investigate.tasks.step_job"
LOOK_TASK = "investigate.tasks.look_up_chunk"


def ring_for(job: BulkJob, *, seconds: float) -> None:
    """Tell a worker that the job will be due."""
    ring_when_due(STEP_TASK, str(job.pk), seconds=seconds)
