"""Ringing for a worker. The database says what is to be done; a bell only makes it happen sooner."""

from __future__ import annotations

import structlog
from kombu.exceptions import OperationalError

from dashboard.celery import app

log = structlog.get_logger("mailwarden.ring")

# A page waits 2 s at most for a broker that takes the connection and then says nothing, and not at all for one that is
# away: the sweep rings again in any case.
SOON = {"socket_timeout": 2, "socket_connect_timeout": 2, "max_retries": 0, "interval_start": 0}

LONGEST_COUNTDOWN = 30.0  # a broker hands longer ones out again and again; the sweep is there for those
_MARGIN = 0.3  # a bell that rings before its time is not heard until the sweep


def ring(task: str, argument: str, *, countdown: float = 0.0) -> bool:
    """Have a worker run the named task in `countdown` seconds. False where the broker is away, which is logged."""
    try:
        with app.connection_for_write(transport_options=SOON) as broker:
            app.send_task(task, args=[argument], countdown=countdown or None, connection=broker, retry=False)
    except (OperationalError, OSError) as problem:
        log.warning("bell_not_rung", task=task, argument=argument, error=type(problem).__name__)
        return False
    return True


def ring_when_due(task: str, argument: str, *, seconds: float = 0.0) -> bool:
    """Ring for what will be due in so many seconds. False where the broker is away."""
    return ring(task, argument, countdown=min(seconds, LONGEST_COUNTDOWN) + _MARGIN)
