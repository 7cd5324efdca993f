"""Celery tasks of this room: thin entries."""

from __future__ import annotations

from celery import shared_task

from investigate.saved import reading


@shared_task
def read_view(view_id: str) -> None:
    """Read on in one saved view, if it is due and nobody else does."""
    reading.read(int(view_id))
