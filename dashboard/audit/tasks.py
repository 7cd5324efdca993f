"""Celery tasks of the trail: thin entries."""

from __future__ import annotations

from celery import shared_task  # type: ignore[import-untyped]

from dashboard.audit import streams, verifying


@shared_task  # type: ignore[untyped-decorator]
def verify_chain() -> None:
    """Look at what was added to the trail; once a day, in steps, at all of it."""
    verifying.verify_new()


@shared_task  # type: ignore[untyped-decorator]
def stream_trail() -> None:
    """Send receivers outside what they have not got yet."""
    streams.deliver_all()
