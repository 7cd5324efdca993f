"""What a dry run says, in the voice of the rest of the desk."""

from __future__ import annotations

from collections.abc import Mapping

from settings_ui.models import Verb
from settings_ui.resources.description import Resource

_DOES = {Verb.ADD: "add", Verb.CHANGE: "change", Verb.REMOVE: "remove"}
_HEADINGS = {
    Verb.BAD: ("1 line cannot be used", "{} lines cannot be used"),
    Verb.REMOVE: ("1 is removed", "{} are removed"),
    Verb.CHANGE: ("1 is changed", "{} are changed"),
    Verb.ADD: ("1 is added", "{} are added"),
    Verb.SAME: ("1 is as it is", "{} are as they are"),
}


def named(resource: Resource) -> str:
    """The list inside a sentence: "blocked senders", "URL ignore patterns"."""
    title = resource.title
    return title if title[1:2].isupper() else title[0].lower() + title[1:]


def sentence(counts: Mapping[Verb, int]) -> str:
    """What would happen: "Adds 4,312, changes 188, removes 0; 300 are as they are; 200 lines cannot be used."."""
    does = ", ".join(f"{word}s {counts.get(verb, 0):,}" for verb, word in _DOES.items())
    left_out = [heading(verb, counts[verb]) for verb in (Verb.SAME, Verb.BAD) if counts.get(verb)]
    return "; ".join([does[0].upper() + does[1:], *left_out]) + "."


def heading(verb: Verb, number: int) -> str:
    one, several = _HEADINGS[verb]
    return one if number == 1 else several.format(f"{number:,}")


def dangerous(number: int) -> str:
    """At the beginning of a sentence: "One dangerous line", "1,204 dangerous lines"."""
    return "One dangerous line" if number == 1 else f"{number:,} dangerous lines"


def command(counts: Mapping[Verb, int], resource: Resource, dangerous: int = 0) -> str:
    """The button: "Add 4,312 and change 188 in blocked senders"."""
    does = [f"{word} {counts[verb]:,}" for verb, word in _DOES.items() if counts.get(verb)]
    said = " and ".join(filter(None, (", ".join(does[:-1]), *does[-1:])))
    which = {0: "", 1: ", one of them dangerous"}.get(dangerous, f", {dangerous:,} of them dangerous")
    return f"{said[:1].upper()}{said[1:]} in {named(resource)}{which}"
