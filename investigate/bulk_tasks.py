"""Celery's way into jobs; the work itself is in `investigate.bulk`."""

from __future__ import annotations

from collections.abc import Callable

from celery import shared_task

from dashboard.upstream import places
from investigate.bulk import collecting, engine, forgetting
from investigate.bulk.upstream import sending


@shared_task(name="investigate.tasks.collect_job")
def collect_job(job_id: str) -> None:
    """Do one step of collecting a job's messages, if it is due and nobody else does."""
    _in_a_place(collecting.collect, collect_job.name, job_id)


@shared_task(name="investigate.tasks.step_job")
def step_job(job_id: str) -> None:
    """Carry a job on: send its next chunk, or find that it has ended."""
    _in_a_place(engine.step, step_job.name, job_id)


@shared_task(name="investigate.tasks.look_up_chunk")
def look_up_chunk(action_id: str) -> None:
    """Look up one chunk whose outcome is unknown, if a look is due."""
    _in_a_place(engine.look, look_up_chunk.name, action_id)


@shared_task(name="investigate.tasks.upstream_job")
def upstream_job(job_id: str) -> None:
    """Ask Cloudflare for one job, or look for one whose answer was lost, if that is due."""
    _in_a_place(sending.step, upstream_job.name, job_id)


@shared_task(name="investigate.tasks.forget_jobs")
def forget_jobs() -> None:
    """Delete rehearsals nobody decided, and what ended jobs were begun with."""
    forgetting.forget_old()


def _in_a_place(work: Callable[[str], object], task: str, argument: str) -> None:
    """Jobs never take more than a part of a worker's threads; what finds no place rings again in a moment."""
    with places.JOBS.taken() as has_place:
        if has_place:
            work(argument)
            return
    places.JOBS.ring_again(task, argument)
