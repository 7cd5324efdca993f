"""What is dangerous about each of thousands of entries, within the seconds that a page has."""

from __future__ import annotations

from settings_ui import watching
from settings_ui.patterns.comparing import OPPOSITE, SECONDS, Comparison
from settings_ui.patterns.linter import Listed
from settings_ui.resources.description import Resource, Values

__all__ = ["CUT", "SECONDS", "Dangers"]

CUT = "Not every line was looked at for every danger: there are too many for one look. Look yourself, too."
_MOST_PLAIN = 200  # entries of the other list that the expression of one line is compared with


class Dangers:
    """Ask it about one entry after another. `is_cut`: its time was over, or the other list too long for all of it."""

    def __init__(self, resource: Resource, *, seconds: float = SECONDS) -> None:
        opposite = OPPOSITE.get(resource.name, "")
        self._comparison = Comparison(
            resource.name,
            (Listed(one.label, one.values) for one in (watching.mirrored(opposite) if opposite else ())),
            watching.own_domains(),
            seconds=seconds,
            most_plain=_MOST_PLAIN,
        )
        self._is_over = False

    @property
    def is_cut(self) -> bool:
        return self._is_over or self._comparison.is_cut

    def __call__(self, values: Values) -> str:
        """The dangers as sentences, the worst first; hints are for who looks at one entry alone."""
        self._is_over = self._is_over or self._comparison.is_over
        if self._is_over:
            return ""
        return " ".join(danger.told for danger in self._comparison.dangers_of(values) if not danger.is_hint)
