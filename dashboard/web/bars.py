"""The bar of a job or a change: its parts side by side, each in the place and width it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_NARROWEST = 0.8  # per cent of the bar: one of a hundred thousand can still be seen


@dataclass(frozen=True)
class Segment:
    """One part of the bar; `x` and `width` in per cent."""

    state: str
    label: str
    number: int
    x: str
    width: str

    @property
    def shown(self) -> str:
        return f"{self.number:,}"


def segments(parts: Iterable[tuple[str, str, int]], *, whole: int) -> list[Segment]:
    """Of (state, label, number), empty ones among them. What the whole has beyond its parts leaves the end empty."""
    parts = list(parts)
    widths = [max(_NARROWEST, 100 * number / whole) if number else 0.0 for _, _, number in parts]
    rest = 100 * (whole - sum(number for _, _, number in parts)) / whole if whole else 0.0
    scale = 100 / max(100.0, sum(widths) + rest)
    found, x = [], 0.0
    for (state, label, number), width in zip(parts, widths, strict=True):
        found.append(Segment(state, label, number, f"{x:.2f}%", f"{width * scale:.2f}%"))
        x += width * scale
    return found
