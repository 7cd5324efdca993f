"""The time range of a search: relative ("24h") while a link is shared, exact once it is asked."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

DEFAULT_LAST = "24h"
PRESETS = ("1h", "24h", "7d", "30d")
API_DEFAULT_DAYS = 30  # what the API takes when only `end` is given
LONGEST_DAYS = 366

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_WORDS = {"m": "min", "h": "h", "d": "days"}
_RELATIVE = re.compile(r"([1-9]\d{0,4})([mhd])")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Window:
    """An exact range of time, aware UTC, whole seconds."""

    start: dt.datetime
    end: dt.datetime


def length_of(last: str) -> dt.timedelta | None:
    """The length of a relative range such as `90m`, `24h` or `7d`; None for anything else or more than a year."""
    match = _RELATIVE.fullmatch(last)
    if match is None:
        return None
    length = dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
    return length if length <= dt.timedelta(days=LONGEST_DAYS) else None


def words_for(last: str) -> str:
    """`24h` as "last 24 h"."""
    match = _RELATIVE.fullmatch(last)
    if match is None:
        return last
    unit = "day" if match[2] == "d" and match[1] == "1" else _WORDS[match[2]]
    return f"last {match[1]} {unit}"


def read_moment(value: str) -> dt.datetime | None:
    """An instant out of a URL or a date field, UTC unless it names a zone, floored to a second; None if unreadable."""
    text = value.strip()
    # A plus sign arrives as a blank where somebody typed the URL by hand.
    text = re.sub(r" (\d\d:?\d\d)$", r"+\1", text)
    if _DAY.fullmatch(text):
        text += "T00:00"
    if len(text) < len("2026-11-20T00:00") or not text.isascii():
        return None
    try:
        moment = dt.datetime.fromisoformat(text.upper())
        moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    if not 2000 <= moment.year <= 2200:
        return None
    return moment.replace(microsecond=0)


def write_moment(moment: dt.datetime) -> str:
    """`2026-11-20T00:00Z`, with seconds only where there are any."""
    utc = moment.astimezone(dt.UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%SZ" if utc.second else "%Y-%m-%dT%H:%MZ")


def say_moment(moment: dt.datetime, *, with_year: bool = False) -> str:
    """`20 Nov 01:20`, seconds only where there are any."""
    shown = f"{moment.day} {moment:%b %Y}" if with_year else f"{moment.day} {moment:%b}"
    return f"{shown} {moment:%H:%M:%S}" if moment.second else f"{shown} {moment:%H:%M}"


def say_range(window: Window, zone: dt.tzinfo) -> str:
    """`20 Nov 01:20 to 21 Nov 01:20` in the given zone."""
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    years = start.year != end.year or end.year != dt.datetime.now(zone).year
    return f"{say_moment(start, with_year=years)} to {say_moment(end, with_year=years)}"
