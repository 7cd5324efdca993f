"""The ranges of the overview, cut into the steps of its pictures. Days are UTC days, as in every list of the desk."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


class Span(StrEnum):
    """A range as the URL names it, and as the search names the same one."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @classmethod
    def named(cls, text: str) -> Span:
        """What the URL asks for; a week where it names none."""
        return cls(text) if text in set(cls) else cls.WEEK

    @property
    def label(self) -> str:
        return {Span.DAY: "24 h", Span.WEEK: "7 days", Span.MONTH: "30 days"}[self]

    @property
    def step(self) -> dt.timedelta:
        return HOUR if self is Span.DAY else DAY

    @property
    def steps(self) -> int:
        return {Span.DAY: 24, Span.WEEK: 7, Span.MONTH: 30}[self]

    @property
    def fresh(self) -> dt.timedelta:
        """How long its figures stay: a month's change little in a minute, and take seconds where mail is plenty."""
        return dt.timedelta(minutes=5 if self is Span.MONTH else 1)

    @property
    def fresh_seconds(self) -> int:
        return int(self.fresh.total_seconds())

    def at(self, now: dt.datetime) -> Range:
        """The range that ends now: the step that runs, and as many whole ones before it as make it full."""
        now = now.astimezone(dt.UTC)
        running = now.replace(minute=0, second=0, microsecond=0)
        if self.step == DAY:
            running = running.replace(hour=0)
        return Range(self, running - self.step * (self.steps - 1), now)


@dataclass(frozen=True)
class Range:
    """A span with its exact times."""

    span: Span
    start: dt.datetime
    end: dt.datetime

    @property
    def starts(self) -> list[dt.datetime]:
        """When each step begins, oldest first."""
        return [self.start + self.span.step * number for number in range(self.span.steps)]
