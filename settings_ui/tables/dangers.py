"""What is dangerous about each of thousands of entries, within the seconds that a page has."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

from settings_ui import watching
from settings_ui.patterns import checks
from settings_ui.patterns.linter import Listed, Lists, lint
from settings_ui.resources.description import Resource, Values

SECONDS = 3.0
CUT = "Not every line was looked at for dangers: there are too many for one look. Look yourself, too."
_MOST_COMPARED = 200  # expressions and networks of the other list: each is compared with every line


class Dangers:
    """Ask it about one entry after another. `is_cut`: its time was over, and the rest was not looked at."""

    def __init__(self, resource: Resource, *, seconds: float = SECONDS) -> None:
        self.resource = resource
        self.is_cut = False
        self._until = time.monotonic() + seconds
        self._own = tuple(one.label for one in watching.mirrored("domains"))
        self._allowed = _Index("allow_policies" if resource.name == "block_senders" else "")
        self._blocked = _Index("block_senders" if resource.name == "allow_policies" else "")

    def __call__(self, values: Values) -> str:
        """The dangers as sentences, the worst first; hints are for who looks at one entry alone."""
        if self.is_cut or time.monotonic() > self._until:
            self.is_cut = True
            return ""
        others = Lists(tuple(self._allowed.near(values)), tuple(self._blocked.near(values)), self._own)
        return " ".join(danger.told for danger in lint(self.resource.name, values, others=others) if not danger.is_hint)


class _Index:
    """The entries of a list that may be about the same mail as another one: same domain, or not told by a domain."""

    def __init__(self, resource_name: str) -> None:
        self._by_domain: dict[str, list[Listed]] = defaultdict(list)
        self._others: list[Listed] = []
        for one in watching.mirrored(resource_name) if resource_name else ():
            listed = Listed(one.label, one.values)
            if domain := _domain(one.values):
                self._by_domain[domain].append(listed)
            elif len(self._others) < _MOST_COMPARED:
                self._others.append(listed)

    def near(self, values: Values) -> Iterator[Listed]:
        if domain := _domain(values):
            yield from self._by_domain.get(domain, ())
        elif values.get("is_regex"):
            yield from _first(self._by_domain.values())
        yield from self._others


def _first(groups: Iterable[list[Listed]]) -> Iterator[Listed]:
    """An expression may find any of them: as many as there is time for."""
    left = _MOST_COMPARED
    for group in groups:
        yield from group[:left]
        left -= len(group)
        if left <= 0:
            return


def _domain(values: Values) -> str:
    if values.get("is_regex") or values.get("pattern_type") == "IP":
        return ""
    return checks.ascii_domain(str(values.get("pattern") or "").rpartition("@")[2])
