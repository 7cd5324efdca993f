"""Forms of the rooms below /investigate/."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from dashboard.access.scope import WHOLE, Scope
from investigate.search.criteria import MOST_NAMED, PAGE_FIELDS, Criteria, any_filter, view_of
from investigate.search.line import read_line, write_line
from investigate.search.scoping import why_not_within
from investigate.search.values import ACTIONS, DISPOSITIONS, STATUSES
from investigate.search.window import PRESETS, words_for

ACTION_WORDS = {"PREVIEW": "Previewed", "QUARANTINE_RELEASED": "Released from quarantine", "MOVED": "Moved"}


def _ticks(values: tuple[str, ...], words: dict[str, str] | None = None) -> forms.MultipleChoiceField:
    named = [(value, (words or {}).get(value) or value.replace("_", " ").capitalize()) for value in values]
    return forms.MultipleChoiceField(choices=named, widget=forms.CheckboxSelectMultiple, required=False)


def _text(label: str, help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=help_text, required=False, widget=widget)


def _moment(label: str) -> forms.CharField:
    return forms.CharField(
        label=label, required=False, widget=forms.TextInput(attrs={"type": "datetime-local", "step": "1"})
    )


class FilterFields(forms.Form):
    """Every filter of a search as a field, filled from criteria; they write the same URL as the filter line."""

    q = _text("Words", "In addresses, subject, attachment names and hashes.")
    sender = _text("Sender", "Addresses or domains, several with commas.")
    recipient = _text("Recipient", "Addresses or domains, several with commas.")
    domain = _text("Domain", "Of sender, recipient or a link.")
    subject = _text("Subject")
    smtp_helo_ip = _text("HELO IP")
    message_id = _text("Message-ID")
    alert_id = _text("Alert id")
    disposition = _ticks(DISPOSITIONS, {"NONE": "Clean"})
    status = _ticks(STATUSES)
    action = _ticks(ACTIONS, ACTION_WORDS)
    last = forms.ChoiceField(label="Range", required=False)
    start = _moment("From (UTC)")
    end = _moment("To (UTC)")
    clean = forms.BooleanField(label="Include clean mail", required=False)  # type: ignore[assignment]

    def __init__(self, criteria: Criteria) -> None:
        super().__init__(initial=_initial(criteria), prefix=None)
        self.fields["last"].choices = _ranges(criteria.last)  # type: ignore[attr-defined]

    def text_fields(self) -> list[forms.BoundField]:
        names = ("q", "sender", "recipient", "domain", "subject", "smtp_helo_ip", "message_id", "alert_id")
        return [self[name] for name in names]

    def tick_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("disposition", "status", "action")]

    def range_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("last", "start", "end", "clean")]


class SearchForm:
    """The search a person asks for, by the filter line (`line`) or by the fields.

    A word that would narrow the search and cannot be used makes the form invalid: without it, the search would find
    more than was asked for. `problem` names it and says what is possible; the line stays as it was typed. Parameters
    that are no filter at all are left out and named (`criteria().ignored`).
    """

    def __init__(self, query: QueryDict, scope: Scope = WHOLE) -> None:
        self.is_first_visit = not any_filter(query) and "line" not in query
        line = query.get("line")
        self._typed = None if line is None else str(line)
        if self._typed is None:
            self._criteria = Criteria.from_query(dict(query.lists()))
        else:
            read = read_line(self._typed)
            beside = [f"{name}={value}" for name, value in query.items() if name not in PAGE_FIELDS and str(value)]
            view = view_of(dict(query.lists()))
            self._criteria = replace(read, view=view, ignored=(*read.ignored, *beside[:MOST_NAMED]))
        self.problem = self._criteria.problem(timezone.now()) or why_not_within(self._criteria, scope)

    def criteria(self) -> Criteria:
        return self._criteria

    def is_valid(self) -> bool:
        return not self.problem

    @cached_property
    def line(self) -> str:
        return self._typed if self._typed is not None and self.problem else write_line(self._criteria)

    @cached_property
    def panel(self) -> FilterFields:
        """The fields; made only when somebody opens them."""
        return FilterFields(self._criteria)


def _initial(criteria: Criteria) -> dict[str, Any]:
    found: dict[str, Any] = {"last": criteria.last, "clean": criteria.clean}
    for name in ("q", "subject", "smtp_helo_ip", "message_id", "alert_id"):
        found[name] = getattr(criteria, name)
    for name in ("sender", "recipient", "domain"):
        found[name] = ", ".join(getattr(criteria, name))
    for name in ("disposition", "status", "action"):
        found[name] = list(getattr(criteria, name))
    for name in ("start", "end"):
        moment = getattr(criteria, name)
        found[name] = moment.strftime("%Y-%m-%dT%H:%M:%S") if moment else ""
    return found


def _ranges(current: str) -> list[tuple[str, str]]:
    values = [*PRESETS, *([current] if current and current not in PRESETS else [])]
    return [("", "exact, as below"), *((value, words_for(value)) for value in values)]
