"""The bells that call a worker to a job."""

from __future__ import annotations

from dashboard.upstream.ring import ring
from investigate.models import BulkJob

COLLECT_TASK = "investigate.tasks.collect_job"
STEP_TASK = "investigate.tasks.step_job"
LOOK_TASK = "investigate.tasks.look_up_chunk"
_BELL_MARGIN = 0.3


def ring_for(job: BulkJob, *, seconds: float) -> None:
    """Tell a worker that the job will be due."""
    ring(STEP_TASK, str(job.pk), countdown=min(seconds, 30) + _BELL_MARGIN)
