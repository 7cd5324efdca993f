"""Celery tasks of this application: thin entries, named once and for all."""

from __future__ import annotations

from celery import shared_task

from settings_ui.entries import sending
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
