"""Celery's way into sending and looking up; the work itself is in `investigate.actions`."""

from __future__ import annotations

from celery import shared_task

from investigate.actions import reconciling, sending
from investigate.fixing.bell import ring_after_action


@shared_task(name="investigate.tasks.send_action")
def send_action(action_id: str) -> None:
    """Send one action, if it is due and nobody else has it."""
    sending.send(action_id)
    ring_after_action(action_id)


@shared_task(name="investigate.tasks.look_up_action")
def look_up_action(action_id: str) -> None:
    """Look up one action whose outcome is unknown, if a look is due."""
    reconciling.look_up(action_id)
    ring_after_action(action_id)
