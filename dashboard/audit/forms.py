"""The filter of the trail; it turns itself into `Filters`."""

from __future__ import annotations

import datetime as dt
from itertools import groupby
from typing import Any

from django import forms
from django.http import QueryDict

from dashboard.audit import words
from dashboard.audit.queries import Filters

LONGEST = 300
PAGE_FIELDS = ("before", "closed", "bom")  # what addresses of the room hold besides the filter


def _text(label: str, help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=help_text, required=False, max_length=LONGEST, widget=widget)


def _moment(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
    formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]
    told = {"invalid": "Write a time such as 2026-11-21T14:05:00, in UTC."}
    return forms.DateTimeField(label=label, required=False, widget=widget, input_formats=formats, error_messages=told)


class FilterForm(forms.Form):
    who = _text("Who")
    action = forms.CharField(label="What", required=False, max_length=80)
    phase = forms.ChoiceField(label="Result", required=False, choices=[("", "any"), *words.PHASES.items()])
    object = _text("Object", "An id, or words of the recorded detail.")
    reason = _text("Reason")
    address = _text("From where", "The beginning of an address.")
    start = _moment("From (UTC)")
    end = _moment("To (UTC)")

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query)
        self.fields["action"].widget = forms.Select(choices=_actions(query.get("action", "")))
        self.ignored = sorted(set(query) - set(self.fields) - set(PAGE_FIELDS))

    def clean_start(self) -> dt.datetime | None:
        return _in_utc(self.cleaned_data["start"])

    def clean_end(self) -> dt.datetime | None:
        return _in_utc(self.cleaned_data["end"])

    def filters(self) -> Filters:
        return Filters(**self.cleaned_data)


def _in_utc(value: dt.datetime | None) -> dt.datetime | None:
    """The field is labelled UTC, whatever zone the member's lists are shown in."""
    return None if value is None else value.replace(tzinfo=dt.UTC)


def _actions(chosen: str) -> list[Any]:
    """Every action this version records, below its resource; one of another version is offered as it is."""
    choices: list[Any] = [("", "anything")]
    for resource, actions in groupby(words.ACTIONS, key=words.resource):
        label = words.RESOURCES.get(resource, resource)
        named = [(f"{resource}:", f"{label}: all"), *((action, words.ACTIONS[action]) for action in actions)]
        choices.append((label, named))
    known = {value for _, group in choices[1:] for value, _ in group}
    if chosen and chosen not in known:
        choices.append((chosen, chosen))
    return choices
