"""Celery tasks of this room: thin entries."""

from __future__ import annotations

from celery import shared_task

from investigate.memory import ingesting, purging


@shared_task
def ingest_searches(_: str) -> None:
    """Remember what people's searches found."""
    ingesting.ingest()


@shared_task
def forget() -> None:
    """Delete what the team's rule says is too old."""
    purging.forget_old()
