"""Celery tasks of the installation: thin entries."""

from __future__ import annotations

from celery import shared_task

from dashboard.installation import running


@shared_task
def run_check(check_id: str) -> None:
    """Carry out one self-check, unless somebody has."""
    running.run(int(check_id))
