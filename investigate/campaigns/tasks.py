"""Celery tasks of this room: thin entries."""

from __future__ import annotations

from celery import shared_task

from investigate.campaigns import following


@shared_task(name=following.FOLLOW_TASK)
def follow_campaign(rule_id: str) -> None:
    """Take one rule further, if there is anything to do."""
    following.step(rule_id)
