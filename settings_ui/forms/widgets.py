"""Controls that show again exactly what was typed, however wrong it was.

A browser never sends two values for one line of text or a choice that was not offered, but other programs do; what they
sent is shown with its problem like everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from dashboard.web.text import visible
from settings_ui.resources.description import Field, Shape, Wrong

SHORTEST_ROWS, MOST_ROWS = 3, 12


def said(data: Mapping[str, Any], name: str) -> Any:
    """What a request says of a field: nothing, one text, or a list where it says more."""
    values = data.getlist(name) if hasattr(data, "getlist") else data.get(name)
    if isinstance(values, list):
        return values if len(values) > 1 else (values or [None])[0]
    return values


class _Text:
    """A text, or several one after the other."""

    between = ", "

    def value_from_datadict(self, data: Mapping[str, Any], _files: Any, name: str) -> Any:
        return said(data, name)

    def format_value(self, value: Any) -> str:
        if value is None:
            return ""
        return self.between.join(map(str, value)) if isinstance(value, list | tuple) else str(value)


class OneLine(_Text, forms.TextInput):
    pass


class Lines(_Text, forms.Textarea):
    between = "\n"


class Tick(forms.CheckboxInput):
    """A yes or no; what is neither is shown as no."""

    def __init__(self, field: Field) -> None:
        super().__init__(check_test=lambda value: _is_yes(field, value))

    def value_from_datadict(self, data: Mapping[str, Any], _files: Any, name: str) -> Any:
        return said(data, name) if name in data else False

    def format_value(self, _value: Any) -> str:
        return "true"


class _Offering:
    """Offers what is known, and beside it what the entry or the request says instead."""

    choices: list[tuple[str, str]]

    def value_from_datadict(self, data: Mapping[str, Any], _files: Any, name: str) -> Any:
        return said(data, name)

    def format_value(self, value: Any) -> list[str]:
        return [text for text in as_texts(value) if text]

    def optgroups(self, name: str, value: list[str], attrs: dict[str, Any] | None = None) -> Any:
        known = {choice for choice, _ in self.choices}
        strange = [(one, f"{visible(one, limit=80)} (cannot be saved)") for one in value if one not in known]
        self.choices = [*self.choices, *strange]
        return super().optgroups(name, value or [""], attrs)  # type: ignore[misc]


class OneOf(_Offering, forms.Select):
    pass


class OneOfMeanings(_Offering, forms.RadioSelect):
    pass


class SomeOf(_Offering, forms.CheckboxSelectMultiple):
    pass


def control(field: Field) -> forms.Widget:
    """The control of a field. None of them cuts what is typed: its problem is told, and the text stays."""
    choices = [(option.value, option.word) for option in field.options]
    match field.shape:
        case Shape.FLAG:
            return Tick(field)
        case Shape.MAYBE:
            return OneOf(choices=[("", "not said"), ("true", "yes"), ("false", "no")])
        case Shape.CHOICE if any(option.meaning for option in field.options):
            return OneOfMeanings(choices=choices)
        case Shape.CHOICE:
            return OneOf(choices=[("", "not said" if field.is_optional else "choose"), *choices])
        case Shape.CHOICES:
            return SomeOf(choices=choices)
        case Shape.TEXT:
            return Lines(attrs={"rows": SHORTEST_ROWS})
        case Shape.LIST:
            return Lines(attrs={"rows": SHORTEST_ROWS, **_VERBATIM})
        case Shape.PATTERN:
            return OneLine(attrs=_VERBATIM)
        case Shape.NUMBER:
            return OneLine(attrs={"inputmode": "numeric", "autocomplete": "off"})
    return OneLine(attrs={"autocomplete": "off"})


_VERBATIM = {"class": "mono", "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}


def as_texts(value: Any) -> list[str]:
    """A value, or each of several, as a browser sends it; nothing for None."""
    values = value if isinstance(value, list | tuple) else [value]
    return [("true" if one else "false") if isinstance(one, bool) else str(one) for one in values if one is not None]


def _is_yes(field: Field, value: Any) -> bool:
    try:
        return bool(field.clean(value))
    except Wrong:
        return False
