"""How long both engines wait before a call that was not sent is tried again, and a lost outcome is looked for."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from dashboard.emailsec.errors import EmailSecurityError

LOOKS = (1, 6, 20)  # times the quiet time after the request was sent: 30 s, 3 min and 10 min
_LONGEST_PAUSE = 300.0


def pause_after(problem: EmailSecurityError, *, attempt: int) -> float:
    """Seconds until what was not sent is tried again: as long as we were told, or longer with each attempt."""
    return max(1.0, problem.retry_after or min(_LONGEST_PAUSE, 15.0 * 2 ** min(attempt - 1, 5)))


def until_next_look(sent_at: dt.datetime | None, looks: int) -> float | None:
    """Seconds until the next look; None after the last. Looks a person asked for do not shorten the ten minutes."""
    quiet = float(settings.QUIET_SECONDS)
    elapsed = (timezone.now() - sent_at).total_seconds() if sent_at else 0.0
    for times in LOOKS:
        if times * quiet > elapsed:
            return times * quiet - elapsed
    return quiet if looks + 1 < len(LOOKS) else None
