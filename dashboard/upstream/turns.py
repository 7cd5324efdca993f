"""Taking turns: what is done every so often is done once, however many processes want to do it."""

from __future__ import annotations

import datetime as dt

from django.db.models.functions import Now

from dashboard.upstream.models import Turn

_LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_EARLY = 0.1  # of the interval; a scheduler's ticks are not exact


def take_turn(name: str, *, every: float) -> bool:
    """Whether this process is to do it now. Told by a conditional update and the database's clock."""
    if not Turn.objects.filter(name=name).exists():
        Turn.objects.bulk_create([Turn(name=name, taken_at=_LONG_AGO)], ignore_conflicts=True)
    over = Now() - dt.timedelta(seconds=every * (1 - _EARLY))
    return bool(Turn.objects.filter(name=name, taken_at__lte=over).update(taken_at=Now()))
