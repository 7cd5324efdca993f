"""Celery tasks of this application: thin entries, named once and for all."""

from __future__ import annotations

from celery import shared_task

from settings_ui.backup import keeping
from settings_ui.changes import forgetting, looking
from settings_ui.changes import sending as changes
from settings_ui.entries import announcing, sending
from settings_ui.tables import importing
from settings_ui.watching import rounds


@shared_task(name="settings_ui.tasks.send_entry")
def send_entry(entry_id: str) -> None:
    """Make one entry, if it is due and nobody else has it."""
    sending.send(entry_id)


@shared_task(name="settings_ui.tasks.look_up_entry")
def look_up_entry(entry_id: str) -> None:
    """Look for one entry whose outcome is unknown, if a look is due."""
    sending.look_up(entry_id)


@shared_task(name="settings_ui.tasks.remove_entry")
def remove_entry(entry_id: str) -> None:
    """Remove one entry whose time is over."""
    sending.remove(entry_id)


@shared_task(name=rounds.TASK)
def read_list(resource_name: str) -> None:
    """Read one list of the account as a whole, if it is due and nobody else does."""
    rounds.read_list(resource_name)


@shared_task(name=announcing.TASK)
def announce_end(entry_id: str) -> None:
    """Tell the owner of one entry that it ends soon, once."""
    announcing.announce(entry_id)


@shared_task(name=looking.STEP_TASK)
def step_change(change_id: str) -> None:
    """Carry a change of the settings on as far as it goes now."""
    changes.step(change_id)


@shared_task(name=changes.LONG_TASK)
def step_long_change(change_id: str) -> None:
    """The same of a long one, by the workers that nobody waits for."""
    changes.step(change_id)


@shared_task(name=looking.LOOK_TASK)
def look_up_step(step_id: str) -> None:
    """Look for one call of a change whose outcome is unknown, if a look is due."""
    looking.look_up(step_id)


@shared_task(name="settings_ui.tasks.forget_files")
def forget_files() -> None:
    """Delete uploaded backups whose hour is over, dry runs that nobody decided, and what old changes said in full."""
    keeping.forget()
    importing.forget()
    forgetting.forget_old()
