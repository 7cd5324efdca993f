"""Watching our clocks: each answer of the API says what time it is there.

Claims use the database's clock, but a search that begins in the future finds nothing, and a log whose times are wrong
proves nothing. So a clock that is off is written down by whoever sees it, and /readyz tells.
"""

from __future__ import annotations

import datetime as dt
import socket
import time
from email.utils import parsedate_to_datetime

import structlog
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.upstream.models import ClockSkew

log = structlog.get_logger("mailwarden.clock")

TOLERATED = 30  # seconds
WRITTEN_EVERY = 15.0  # seconds
BELIEVED = dt.timedelta(minutes=5)  # a machine whose clock was put right may not have called since

_last_written: dict[str, float] = {}


def note_date(header: str | None) -> None:
    """Compare an answer's Date with the clock of this machine."""
    try:
        there = parsedate_to_datetime(header or "")
    except (TypeError, ValueError, OverflowError):
        return
    if there.tzinfo is None:  # "-0000": a time of no known zone
        return
    ahead = round((timezone.now() - there).total_seconds())
    machine = socket.gethostname()[:64]
    if abs(ahead) > TOLERATED:
        if time.monotonic() - _last_written.get(machine, -WRITTEN_EVERY) >= WRITTEN_EVERY:
            _last_written[machine] = time.monotonic()
            log.warning("clock_is_off", seconds=ahead)
            ClockSkew.objects.update_or_create(machine=machine, defaults={"seconds": ahead, "seen_at": Now()})
    elif _last_written.pop(machine, None) is not None:
        ClockSkew.objects.filter(machine=machine).delete()


def worst_skew() -> int:
    """Seconds by which the worst of our clocks was ahead (or behind, negative) lately; 0 where all are right."""
    seen = ClockSkew.objects.filter(seen_at__gte=Now() - BELIEVED).values_list("seconds", flat=True)
    return max(seen, key=abs, default=0)
