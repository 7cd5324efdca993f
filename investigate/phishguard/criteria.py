"""Which reports a page asks for: a range as the search knows it, and how far it was read. The address says the same."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.utils import timezone

from investigate.search.window import Window, length_of, read_moment, words_for, write_moment

DEFAULT_LAST = "7d"
PRESETS = ("24h", "7d", "30d", "90d")
LAST_PAGE = 1000


@dataclass(frozen=True)
class Criteria:
    """`last`, or exact times; `page` is how the API goes on, and no number anybody is shown."""

    last: str = DEFAULT_LAST
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    page: int = 1
    problem: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Criteria:
        """What the address asks for; a range that cannot be meant is a `problem` and not another range."""
        more = query.get("more", "")
        number = int(more) if more.isascii() and more.isdigit() and len(more) < 6 else 1
        page = number if 1 <= number <= LAST_PAGE else 1
        typed_start, typed_end = query.get("start", "").strip(), query.get("end", "").strip()
        last = query.get("last", "").strip()
        if last and (typed_start or typed_end) and query.get("was", last) == last:
            last = ""  # somebody typed times and left the other field as it was
        if last or not (typed_start or typed_end):
            if last and length_of(last) is None:
                return cls(problem=f"“{last[:20]}” is no range such as 90m, 24h or 7d.")
            return cls(last=last or DEFAULT_LAST, page=page)
        start, end = read_moment(typed_start), read_moment(typed_end)
        if start is None or (typed_end and end is None):
            return cls(last="", start=start, end=end, problem="From and to must be days and times; to may be left out.")
        if start >= (end or timezone.now()):
            return cls(last="", start=start, end=end, problem="The range ends before it begins.")
        return cls(last="", start=start, end=end, page=page)

    def window(self) -> Window:
        """The range as exact times; a minute is the finest that viewers share."""
        end = self.end or timezone.now().replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
        start = self.start or end - (length_of(self.last) or dt.timedelta(days=7))
        return Window(start, end)

    def at(self, window: Window, page: int) -> Criteria:
        """The same range as exact times, so that its pages do not slide."""
        return Criteria(last="", start=window.start, end=window.end, page=page)

    def query(self, **more: str) -> str:
        """As an address."""
        said = {"last": self.last} if self.last else {}
        said |= {"start": write_moment(self.start)} if self.start else {}
        said |= {"end": write_moment(self.end)} if self.end else {}
        said |= {"more": str(self.page)} if self.page > 1 else {}
        return urlencode(said | more)

    def fingerprint(self) -> str:
        """Alike for all who ask the same."""
        return hashlib.sha256(self.query().encode()).hexdigest()[:24]

    @property
    def ranges(self) -> list[tuple[str, str]]:
        """What the picker offers."""
        values = [*PRESETS, *([self.last] if self.last and self.last not in PRESETS else [])]
        return [("", "exact, as beside"), *((value, words_for(value)) for value in values)]

    @property
    def typed(self) -> dict[str, str]:
        """The exact times as the fields of a browser take them."""
        named = {"start": self.start, "end": self.end}
        return {name: moment.strftime("%Y-%m-%dT%H:%M:%S") if moment else "" for name, moment in named.items()}
