"""Bars that lie: a list of things with how many of each, and one whole with its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.charts.fills import Fill


@dataclass(frozen=True)
class Share:
    """A part of a bar."""

    fill: Fill
    number: int
    url: str = ""


@dataclass(frozen=True)
class Piece:
    """The same as it is drawn, in percent of the width."""

    share: Share
    x: float
    width: float


def pieces(shares: Sequence[Share], whole: int) -> list[Piece]:
    """The parts side by side, where `whole` is as wide as the picture."""
    drawn, x = [], 0.0
    for share in shares:
        if share.number:
            width = 100 * share.number / max(1, whole)
            drawn.append(Piece(share, round(x, 2), round(width, 2)))
            x += width
    return drawn


@dataclass(frozen=True)
class Bar:
    """One thing of a list. What its name is made of is the sender's, so templates show it as such."""

    name: str
    number: int
    pieces: Sequence[Piece]
    url: str = ""
    note: str = ""  # beside the number, in words


@dataclass(frozen=True)
class Row:
    """What a bar is made from."""

    name: str
    shares: Sequence[Share]
    url: str = ""
    note: str = ""


def bars(rows: Sequence[Row]) -> list[Bar]:
    """Bars of one scale: the longest is as wide as its place."""
    numbers = [sum(share.number for share in row.shares) for row in rows]
    longest = max(numbers, default=0)
    return [
        Bar(row.name, number, pieces(row.shares, longest), row.url, row.note)
        for row, number in zip(rows, numbers, strict=True)
    ]
