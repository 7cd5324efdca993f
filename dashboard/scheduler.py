"""Celery's scheduler with a pulse, and without a file: every interval is short, so nothing needs to be remembered."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery import beat
from django.db import DatabaseError, close_old_connections

log = structlog.get_logger("mailwarden.scheduler")
PULSE_SECONDS = 15


class Scheduler(beat.Scheduler):
    """Writes down that it is alive; a database that is away for a while does not end it."""

    _last_pulse = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> float:
        from dashboard.upstream.tasks import record_beat  # models are ready only once Django is set up

        if time.monotonic() - self._last_pulse > PULSE_SECONDS:
            self._last_pulse = time.monotonic()
            try:
                close_old_connections()
                record_beat("scheduler")
            except DatabaseError:
                log.warning("pulse_not_recorded")
        return min(super().tick(*args, **kwargs), PULSE_SECONDS)
