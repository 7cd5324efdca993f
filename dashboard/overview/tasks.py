"""Celery tasks of the overview: thin entries."""

from __future__ import annotations

from celery import shared_task

from dashboard.overview import monthly, sharing


@shared_task
def read_monthly_report(_: str = "") -> None:
    """Read the service's own count, if it is due and nobody else does; figures nobody asks for any more are deleted."""
    monthly.read()
    sharing.forget_old()
