"""Times on the wire: RFC 3339 with any number of fractional digits, or the older form without a zone, meaning UTC."""

from __future__ import annotations

import datetime as dt

_SHORTEST = len("2026-01-02T03:04:05")


def parse_time(text: str | None) -> dt.datetime | None:
    """An aware UTC time, or None where there is none to be read."""
    if not text or len(text) < _SHORTEST or text[10] not in "Tt ":
        return None
    try:
        return as_utc(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def as_utc(moment: dt.datetime) -> dt.datetime:
    """The same instant in UTC; a time without a zone is the API's older form and is UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=dt.UTC)
    return moment.astimezone(dt.UTC)


def wire_time(moment: dt.datetime) -> str:
    """RFC 3339 in UTC with a `Z`. A naive time has no instant and is refused."""
    if moment.utcoffset() is None:
        raise ValueError("a time sent to the API needs a zone")
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"
