"""What is dangerous about each of thousands of entries, within the seconds that a page has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from settings_ui import watching
from settings_ui.changes.planning import Draft
from settings_ui.models import Verb
from settings_ui.patterns.comparing import OPPOSITE, SECONDS, Comparison
from settings_ui.patterns.linter import Listed
from settings_ui.resources.description import Resource, shortened
from settings_ui.tables.planning import LONGEST_EXPLANATION

__all__ = ["CUT", "NOT_LOOKED_AT", "SECONDS", "warned"]

CUT = "Not every line was compared with every entry of the other list: there are too many. Look yourself, too."
NOT_LOOKED_AT = "There was no time to look for what is dangerous about it: look yourself."
_MOST_PLAIN = 200  # entries of the other list that the expression of one line is compared with


def warned(resource: Resource, lines: Sequence[Draft], *, seconds: float = SECONDS) -> tuple[list[Draft], list[str]]:
    """The lines with what is dangerous about what they make, and what to know about the look at all of them.

    Each is looked at alone first, so that no slow comparison hides what is dangerous by itself; a line for which there
    was no time says so, and counts as dangerous. Each of the two looks has its seconds.
    """
    made = {place: _made(line) for place, line in enumerate(lines) if line.verb in (Verb.ADD, Verb.CHANGE)}
    own = watching.own_domains()
    alone = Comparison(resource.name, own_domains=own, seconds=seconds)
    told: dict[int, str] = {}
    for place in sorted(made, key=lambda place: bool(made[place].get("is_regex"))):  # those may be slow: after the rest
        told[place] = NOT_LOOKED_AT if alone.is_over else _told(alone, made[place])
    is_cut = False
    if (opposite := OPPOSITE.get(resource.name)) is not None:
        others = (Listed(one.label, one.values) for one in watching.mirrored(opposite))
        beside = Comparison(resource.name, others, own, seconds=seconds, most_plain=_MOST_PLAIN)
        for place, values in made.items():
            if beside.is_over:
                is_cut = True
                break
            if told[place] != NOT_LOOKED_AT:
                told[place] = _told(beside, values)
        is_cut = is_cut or beside.is_cut
    found = [_with(line, told.get(place, "")) for place, line in enumerate(lines)]
    return found, [CUT] if is_cut else []


def _made(line: Draft) -> Mapping[str, Any]:
    return {**(line.before or {}), **line.values}


def _told(comparison: Comparison, values: Mapping[str, Any]) -> str:
    """The dangers as sentences, the worst first; hints are for who looks at one entry alone."""
    return " ".join(danger.told for danger in comparison.dangers_of(values) if not danger.is_hint)


def _with(line: Draft, told: str) -> Draft:
    both = " ".join(filter(None, [told, line.explanation]))
    return replace(line, explanation=shortened(both, LONGEST_EXPLANATION)) if told else line
