"""Celery's scheduler with a pulse, and without a file: every interval is short, so nothing needs to be remembered."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery import beat
from django.conf import settings
from django.db import DatabaseError, close_old_connections

log = structlog.get_logger("mailwarden.scheduler")


class Scheduler(beat.Scheduler):
    """Writes down that it is alive; a database that is away for a while does not end it.

    Any number may run at once: who sends what is due takes a turn in the database first.
    """

    _last_pulse = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> float:
        from dashboard.upstream.tasks import record_beat  # models are ready only once Django is set up

        if time.monotonic() - self._last_pulse > settings.SWEEP_SECONDS:
            self._last_pulse = time.monotonic()
            try:
                close_old_connections()
                record_beat("scheduler")
            except DatabaseError:
                log.warning("pulse_not_recorded")
        return min(super().tick(*args, **kwargs), settings.SWEEP_SECONDS)

    def apply_entry(self, entry: beat.ScheduleEntry, producer: Any = None) -> None:
        from dashboard.upstream.turns import take_turn

        try:
            is_ours = take_turn(entry.name, every=entry.schedule.run_every.total_seconds())
        except DatabaseError:  # nor could anybody do what would be sent
            log.warning("turn_not_taken", entry=entry.name)
            return
        if is_ours:
            super().apply_entry(entry, producer=producer)
