"""Times as people read them: UTC first, the member's own zone beside it."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from contextvars import ContextVar
from functools import cache

from django.utils import timezone

UTC_ONLY = zoneinfo.ZoneInfo("UTC")
member_zone: ContextVar[zoneinfo.ZoneInfo] = ContextVar("member_zone", default=UTC_ONLY)


@cache
def zone_names() -> frozenset[str]:
    """The zones this machine knows; looked up once, because that reads hundreds of files."""
    return frozenset(zoneinfo.available_timezones())


def clock(value: dt.datetime | None) -> str:
    """Hours, minutes and seconds, in UTC unless the member switched local time on (Django's current zone)."""
    return "" if value is None else timezone.localtime(value).strftime("%H:%M:%S")


def moment(value: dt.datetime | None) -> str:
    """Day and time in UTC, and in the member's zone where that is another one."""
    if value is None:
        return ""
    utc = value.astimezone(dt.UTC)
    local = value.astimezone(member_zone.get())
    shown = f"{utc.day} {utc:%b %Y %H:%M:%S} UTC"
    if local.utcoffset() == dt.timedelta(0):
        return shown
    place = str(local.tzinfo).rpartition("/")[2].replace("_", " ")
    return f"{shown} ({local:%H:%M} in {place})"


def age(value: dt.datetime | None, *, now: dt.datetime | None = None) -> str:
    """How long ago, in one unit."""
    if value is None:
        return ""
    seconds = max(0, int(((now or timezone.now()) - value).total_seconds()))
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit} {name}"
    return f"{seconds // 86_400} days"


def minutes(seconds: float) -> str:
    """A wait as people count it: 8 s, 3:12."""
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02}"
