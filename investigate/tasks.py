"""Celery tasks of this application: thin entries, named once and for all."""

from __future__ import annotations

from contextlib import ExitStack
from uuid import UUID

from celery import shared_task

import investigate.campaigns.tasks
import investigate.memory.tasks
import investigate.notices.tasks
import investigate.saved.tasks  # noqa: F401  the same
from dashboard.emailsec.transport import Priority
from dashboard.overview import monthly
from investigate.action_tasks import look_up_action, send_action  # noqa: F401  registered by being imported
from investigate.actions.sweep import sweep_actions
from investigate.approvals.services import expire_due
from investigate.bulk.sweep import sweep_jobs
from investigate.bulk_tasks import (  # noqa: F401  the same
    collect_job,
    forget_jobs,
    look_up_chunk,
    step_job,
    upstream_job,
)
from investigate.campaigns.sweep import sweep_campaigns
from investigate.desk import cases, changes, collecting, forgetting
from investigate.fixing import advancing
from investigate.fixing.sweep import sweep_fixes
from investigate.memory.sweep import sweep_memory
from investigate.notices.sweep import sweep_notices
from investigate.saved.sweep import sweep_saved
from investigate.search import runs
from settings_ui.changes.sweep import sweep_changes
from settings_ui.entries.sweep import sweep_entries
from settings_ui.watching.rounds import read_lists


@shared_task
def continue_search(run_id: str) -> None:
    """Ask on for one slow search, if it is due and nobody else has it."""
    runs.continue_run(UUID(run_id))


@shared_task
def refresh_search(run_id: str) -> None:
    """Fetch a first page again so that its viewers learn of new messages; people's own searches go first."""
    runs.continue_run(UUID(run_id), priority=Priority.REFRESH)


@shared_task
def collect_queue(source: str) -> None:
    """Read on in one source of the queue, if it is due and nobody else does."""
    collecting.collect(source)


@shared_task
def forget_cases() -> None:
    """Delete old cases that hold nothing of ours, and changes that every page has been told."""
    changes.forget_old()
    forgetting.forget_old()


@shared_task
def advance_fix(fix_id: str) -> None:
    """Take a false positive that is put right one step further, if there is one to take."""
    advancing.advance(fix_id)


@shared_task
def sweep() -> None:
    """Find what is due in the database and ring for it."""
    with ExitStack() as rooms:  # trouble in one room must not leave the others' work lying
        for look_around in (
            runs.sweep,
            sweep_jobs,
            sweep_actions,
            expire_due,
            cases.end_idle_claims,
            collecting.ring_if_due,
            sweep_entries,
            sweep_changes,
            read_lists,
            sweep_fixes,
            sweep_memory,
            sweep_campaigns,
            sweep_saved,
            sweep_notices,
            monthly.ring_if_due,
        ):
            rooms.callback(look_around)
