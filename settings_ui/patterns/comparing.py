"""What is dangerous about an entry beside the entries of the opposite list, which may be thousands.

Each expression of that list costs a compilation, and may be made to be slow: only so many are compared, only those that
may be about the same mail, and only for as long as a page has. Who asks is told where something was left out.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from settings_ui.patterns import checks
from settings_ui.patterns.linter import Danger, Listed, Lists, Values, lint

OPPOSITE = {"allow_policies": "block_senders", "block_senders": "allow_policies"}
SECONDS = 3.0
MOST_EXPRESSIONS = 200
MOST_PLAIN = 2000  # entries that an expression or a network is compared with
NOT_ALL = Danger(
    "not_compared",
    "Not every entry was compared with this one: there are too many for one look. Look yourself, too.",
    "",
    "pattern",
    is_hint=True,
)


class Comparison:
    """Ask it about one entry after another. `opposite`: the entries of the list in `OPPOSITE`, as they were last read.

    `is_cut`: something was left out so far. The seconds are for everything that is asked.
    """

    def __init__(
        self,
        resource_name: str,
        opposite: Iterable[Listed] = (),
        own_domains: Sequence[str] = (),
        *,
        seconds: float = SECONDS,
        most_plain: int = MOST_PLAIN,
    ) -> None:
        self.is_cut = False
        self._resource_name, self._own, self._most_plain = resource_name, tuple(own_domains), most_plain
        self._until = time.monotonic() + seconds
        self._by_domain: dict[str, list[Listed]] = defaultdict(list)
        self._networks: list[Listed] = []
        self._expressions: list[Listed] = []
        for one in opposite:
            if one.values.get("is_regex"):
                self._expressions.append(one)
            elif _is_network(one.values):
                self._networks.append(one)
            else:
                self._by_domain[_domain(one.values)].append(one)

    @property
    def is_over(self) -> bool:
        """Whether its time is."""
        return time.monotonic() > self._until

    def dangers_of(self, values: Values) -> list[Danger]:
        """What `lint` tells, and a hint where something was left out."""
        was_cut, self.is_cut = self.is_cut, False
        near = self._in_time(self._near(values))
        dangers = lint(self._resource_name, values, others=Lists(allowed=near, blocked=near, own_domains=self._own))
        if self.is_cut:
            return [*dangers, NOT_ALL]
        self.is_cut = was_cut
        return dangers

    def _near(self, values: Values) -> Iterator[Listed]:
        """Those that may be about the same mail: same domain, or not told by a domain."""
        if values.get("is_regex"):
            pattern = values.get("pattern")
            yield from (one for one in self._expressions if one.values.get("pattern") == pattern)
            plain = self._networks if _is_network(values) else chain.from_iterable(self._by_domain.values())
            yield from self._first(plain, self._most_plain)
            return
        if _is_network(values):
            yield from self._first(self._networks, self._most_plain)
        else:
            yield from self._first(self._by_domain.get(_domain(values), ()), self._most_plain)
        same_kind = (one for one in self._expressions if _is_network(one.values) == _is_network(values))
        yield from self._first(same_kind, MOST_EXPRESSIONS)

    def _first(self, entries: Iterable[Listed], most: int) -> Iterator[Listed]:
        for number, one in enumerate(entries):
            if number == most:
                self.is_cut = True
                return
            yield one

    def _in_time(self, entries: Iterator[Listed]) -> Iterator[Listed]:
        for one in entries:
            if self.is_over:
                self.is_cut = True
                return
            yield one


def _is_network(values: Values) -> bool:
    return values.get("pattern_type") == "IP"


def _domain(values: Values) -> str:
    return checks.ascii_domain(str(values.get("pattern") or "").rpartition("@")[2])
