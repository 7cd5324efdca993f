"""When a rule is due next."""

from __future__ import annotations

import datetime as dt

from investigate.models import Rhythm

BETWEEN = dt.timedelta(minutes=1)  # of two notices "at once": what comes meanwhile waits for the next


def next_due(rhythm: str, hour: int, now: dt.datetime) -> dt.datetime:
    """The next moment of this rhythm after `now`; at once: a minute later."""
    if rhythm == Rhythm.AT_ONCE:
        return now + BETWEEN
    full = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    if rhythm == Rhythm.HOURLY:
        return full + dt.timedelta(hours=1)
    today = full.replace(hour=hour)
    return today if today > now else today + dt.timedelta(days=1)


def first_due(rhythm: str, hour: int, now: dt.datetime) -> dt.datetime:
    return now if rhythm == Rhythm.AT_ONCE else next_due(rhythm, hour, now)
