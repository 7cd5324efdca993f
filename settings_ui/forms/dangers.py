"""Dangers of an entry that could be saved, and the second click that takes them on.

What was accepted is signed together with the values it was accepted for: a click on "Allow 7 million senders" counts
for no other pattern and for no danger that came up since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.core import signing

from settings_ui.patterns.comparing import OPPOSITE, Comparison
from settings_ui.patterns.linter import Danger, Listed, Lists, lint
from settings_ui.resources.description import Resource, Values
from settings_ui.watching import mirrored, own_domains

_SALT = "settings.dangers"


@dataclass(frozen=True)
class Warnings:
    """What to know before saving exactly these values."""

    dangers: tuple[Danger, ...]
    hints: tuple[Danger, ...]
    token: str  # what the second button sends

    @property
    def button(self) -> str:
        """The worst danger's words: the linter tells the worst first."""
        return self.dangers[0].accept if self.dangers else ""

    @property
    def codes(self) -> list[str]:
        return list(dict.fromkeys(danger.code for danger in self.dangers))

    def are_accepted(self, token: str) -> bool:
        """Each danger by its own words: two of one kind are two; one that is gone is in nobody's way."""
        (values, now), (its_values, accepted) = _read(self.token), _read(token)
        return not now or (values == its_values and now <= accepted)


def warnings_of(resource: Resource, values: Values, *, before: Values | None = None, entry_id: str = "") -> Warnings:
    """What the linter finds, with the other lists as they were when they were last read.

    What an entry was dangerous for before it was edited, somebody took on already: it is only a hint then.
    """
    compared = _comparison(resource)
    found = compared.dangers_of(values)
    new = [danger for danger in found if not danger.is_hint]
    stood = compared.dangers_of(before) if new and before is not None else []
    dangers = tuple(danger for danger in new if danger not in stood)
    hints = tuple(danger for danger in found if danger not in dangers)
    return Warnings(dangers, hints, _token(resource, values, entry_id, dangers))


def early(resource: Resource, values: Values) -> list[Danger]:
    """What can be told while somebody still types, without a look at the other lists."""
    return lint(resource.name, values, others=Lists())


def _token(resource: Resource, values: Values, entry_id: str, dangers: Sequence[Danger]) -> str:
    each = sorted(_digest(danger.code, danger.field, danger.told)[:32] for danger in dangers)
    return signing.dumps([_digest(resource.name, entry_id, values), each], salt=_SALT)


def _digest(*said: object) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _read(token: str) -> tuple[str, frozenset[str]]:
    """Which values, and which dangers of them; nothing for what was not signed here."""
    try:
        values, dangers = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return "", frozenset()
    return values, frozenset(dangers)


def _comparison(resource: Resource) -> Comparison:
    """Only with what the linter asks for of this list."""
    opposite = OPPOSITE.get(resource.name)
    if opposite is None:
        return Comparison(resource.name)
    others = (Listed(one.label, one.values) for one in mirrored(opposite))
    return Comparison(resource.name, others, own_domains())
