"""The delivery log as two lists of lines, with the silences between them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from msgspec.structs import replace

from dashboard.access.scope import Scope
from dashboard.emailsec.types import Message, Trace, TraceLine, TraceSide
from investigate.message.visible import line_inside

LONG_SILENCE = dt.timedelta(minutes=5)
MOST_LINES = 2_000
POLLS = (5, 10, 20)  # seconds until the next look at a trace that still grows; then a person asks


@dataclass(frozen=True, slots=True)
class Line:
    line: TraceLine
    silence: str  # "12 min" before this line, or ""


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    explanation: str
    lines: list[Line]
    is_growing: bool
    left_out: int


def sides(trace: Trace) -> list[Side]:
    return [
        _side("Inbound", "from the sender to Cloudflare", trace.inbound),
        _side("Outbound", "from Cloudflare to the mailboxes", trace.outbound),
    ]


def within(trace: Trace, message: Message, scope: Scope) -> Trace:
    """The log without the lines about recipients whom somebody limited to a scope may not know of."""
    if scope.is_whole:
        return trace
    return replace(
        trace, inbound=_within(trace.inbound, message, scope), outbound=_within(trace.outbound, message, scope)
    )


def _within(side: TraceSide, message: Message, scope: Scope) -> TraceSide:
    told = [(line, line_inside(line.message or "", message, scope)) for line in side.lines]
    return replace(side, lines=tuple(replace(line, message=text) for line, text in told if text or not line.message))


def next_poll(polls: int) -> int | None:
    """Seconds until the next look after so many, None when it is time to stop."""
    return POLLS[polls] if 0 <= polls < len(POLLS) else None


def _side(name: str, explanation: str, side: TraceSide) -> Side:
    ordered = sorted(side.lines, key=lambda line: line.lineno or 0)
    lines = []
    before: dt.datetime | None = None
    for line in ordered[:MOST_LINES]:
        gap = line.logged_at - before if line.logged_at and before else dt.timedelta(0)
        lines.append(Line(line, span(gap) if gap > LONG_SILENCE else ""))
        before = line.logged_at or before
    return Side(name, explanation, lines, side.pending, max(0, len(ordered) - MOST_LINES))


def span(length: dt.timedelta) -> str:
    """12 min, 3 h 20 min, 2 days 4 h"""
    minutes = int(length.total_seconds()) // 60
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} days {hours} h" if days > 1 else f"1 day {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
