"""Celery tasks of this application: thin entries, named once and for all."""

from __future__ import annotations

from contextlib import ExitStack
from uuid import UUID

from celery import shared_task

from dashboard.emailsec.transport import Priority
from investigate.action_tasks import look_up_action, send_action  # noqa: F401  registered by being imported
from investigate.actions.sweep import sweep_actions
from investigate.bulk.sweep import sweep_jobs
from investigate.bulk_tasks import (  # noqa: F401  the same
    collect_job,
    forget_jobs,
    look_up_chunk,
    step_job,
    upstream_job,
)
from investigate.search import runs


@shared_task
def continue_search(run_id: str) -> None:
    """Ask on for one slow search, if it is due and nobody else has it."""
    runs.continue_run(UUID(run_id))


@shared_task
def refresh_search(run_id: str) -> None:
    """Fetch a first page again so that its viewers learn of new messages; people's own searches go first."""
    runs.continue_run(UUID(run_id), priority=Priority.REFRESH)


@shared_task
def sweep() -> None:
    """Find what is due in the database and ring for it."""
    with ExitStack() as rooms:  # trouble in one room must not leave the others' work lying
        for look_around in (runs.sweep, sweep_jobs, sweep_actions):
            rooms.callback(look_around)
