"""Columns over time, each of several parts that lie upon one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.charts.fills import Fill

HEIGHT = 148  # of the tallest column, in pixels
TOP = 20  # room above it, for its number
FOOT = 20  # below all, for the words of the axis
GAP = 0.22  # between two columns, in parts of a step
MOST_NUMBERED = 12  # columns that each carry their number; of more, only the tallest does


@dataclass(frozen=True)
class Series:
    """One value in each step."""

    fill: Fill
    values: Sequence[int]
    url: str = ""

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True)
class Step:
    """One moment of the axis."""

    name: str  # in full, for tables and for who hears it
    short: str = ""  # below the column; "" leaves the place empty
    is_minor: bool = False  # its word gives way where there is little room
    url: str = ""


@dataclass(frozen=True)
class Part:
    fill: Fill
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    step: Step
    total: int
    values: tuple[int, ...]  # one for each series
    x: float  # in percent of the width
    width: float
    middle: float
    parts: tuple[Part, ...]
    top: float  # of its highest part
    is_numbered: bool


@dataclass(frozen=True)
class Line:
    """A line across, with the number it stands for."""

    y: float
    value: int

    @property
    def word_y(self) -> float:
        return self.y + 4


@dataclass(frozen=True)
class Columns:
    """A whole chart. `series` lie in their order, the first at the bottom."""

    id: str
    title: str  # what there is to see, as a sentence
    unit: str  # what the steps are: "Day", "Hour"
    steps: Sequence[Step]
    series: Sequence[Series]

    height = TOP + HEIGHT + FOOT
    foot = TOP + HEIGHT + 15
    base = TOP + HEIGHT

    @property
    def totals(self) -> list[int]:
        return [sum(one.values[place] for one in self.series) for place in range(len(self.steps))]

    @property
    def most(self) -> int:
        return rounded_up(max(self.totals, default=0))

    @property
    def lines(self) -> list[Line]:
        values = [self.most // 2, self.most] if self.most % 2 == 0 and self.most > 2 else [self.most]
        return [Line(self._y(value), value) for value in values]

    @property
    def columns(self) -> list[Column]:
        totals, wide = self.totals, 100 / max(1, len(self.steps))
        tallest = totals.index(max(totals)) if totals else -1
        return [
            Column(
                step=step,
                total=totals[place],
                values=tuple(one.values[place] for one in self.series),
                x=_short((place + GAP / 2) * wide),
                width=_short(wide * (1 - GAP)),
                middle=_short((place + 0.5) * wide),
                parts=self._parts(place),
                top=self._y(totals[place]) - 5,
                is_numbered=bool(totals[place]) and (len(totals) <= MOST_NUMBERED or place == tallest),
            )
            for place, step in enumerate(self.steps)
        ]

    def _parts(self, place: int) -> tuple[Part, ...]:
        parts, below = [], 0
        for one in self.series:
            if value := one.values[place]:
                parts.append(Part(one.fill, self._y(below + value), _short(value / self.most * HEIGHT)))
                below += value
        return tuple(parts)

    def _y(self, value: int) -> float:
        return _short(self.base - value / self.most * HEIGHT)


def rounded_up(value: int) -> int:
    """The end of an axis that is easy to read, never below `value`."""
    if value <= 10:
        return next(end for end in (1, 2, 3, 4, 5, 6, 8, 10) if end >= value)
    power = 10 ** (len(str(value)) - 2)
    return next(end * power for end in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100) if end * power >= value)


def _short(number: float) -> float:
    return round(number, 2)
