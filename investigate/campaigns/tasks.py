"""Celery tasks of this room: thin entries."""

from __future__ import annotations

from celery import shared_task

from investigate.campaigns import advancing


@shared_task(name=advancing.FOLLOW_TASK)
def follow_campaign(rule_id: str) -> None:
    """Take one rule further, if there is anything to do."""
    advancing.step(rule_id)
