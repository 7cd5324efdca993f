"""Celery's way into jobs; the work itself is in `investigate.bulk`."""

from __future__ import annotations

from celery import shared_task

from investigate.actions import reconciling
from investigate.bulk import collecting, engine


@shared_task(name="investigate.tasks.collect_job")
def collect_job(job_id: str) -> None:
    """Do one step of collecting a job's messages, if it is due and nobody else does."""
    collecting.collect(job_id)


@shared_task(name="investigate.tasks.step_job")
def step_job(job_id: str) -> None:
    """Carry a job on: send its next chunk, or find that it has ended."""
    engine.step(job_id)


@shared_task(name="investigate.tasks.look_up_chunk")
def look_up_chunk(action_id: str) -> None:
    """Look up one chunk whose outcome is unknown, if a look is due."""
    reconciling.look_up(action_id)
