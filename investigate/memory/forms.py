"""What is looked for in the memory, and why a file is kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.http import QueryDict

from investigate.actions.decision import SHORTEST_REASON
from investigate.actions.words import DISPOSITIONS
from investigate.memory.searching import GROUPS, Filters
from investigate.models import OwnVerdict

LONGEST = 300
PAGE_FIELDS = ("after",)
_MOMENTS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]


def _text(label: str, help_text: str = "", longest: int = LONGEST) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=help_text, required=False, max_length=longest, widget=widget)


def _moment(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
    told = {"invalid": "Write a time such as 2026-11-21T14:05:00, in UTC."}
    return forms.DateTimeField(label=label, required=False, widget=widget, input_formats=_MOMENTS, error_messages=told)


class MemoryForm(forms.Form):
    """A search of the own memory, as it stands in the address."""

    words = _text("Words", "In the subject, the sender, or a recipient.")
    sender = _text("Sender", "The whole address.")
    domain = _text("Sender's domain", longest=255)
    recipient = _text("Recipient", "The whole address, or a domain.")
    fingerprint = _text("Fingerprint", "Of the content or of the layout.")
    disposition = forms.ChoiceField(
        label="Cloudflare's verdict", required=False, choices=[("", "any"), *GROUPS.items(), *DISPOSITIONS.items()]
    )
    verdict = forms.ChoiceField(
        label="Our verdict",
        required=False,
        choices=[("", "any"), *((value, label.capitalize()) for value, label in OwnVerdict.choices)],
    )
    start = _moment("From (UTC)")
    end = _moment("To (UTC)")

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query)
        self.ignored = sorted(set(query) - set(self.fields) - set(PAGE_FIELDS))

    def clean_sender(self) -> str:
        return str(self.cleaned_data["sender"]).strip().casefold()

    def clean_domain(self) -> str:
        return str(self.cleaned_data["domain"]).strip().lstrip("@").casefold()

    def clean_recipient(self) -> str:
        return str(self.cleaned_data["recipient"]).strip().lstrip("@").casefold()

    def clean_start(self) -> dt.datetime | None:
        return _in_utc(self.cleaned_data["start"])

    def clean_end(self) -> dt.datetime | None:
        return _in_utc(self.cleaned_data["end"])

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        start, end = values.get("start"), values.get("end")
        if start and end and start > end:
            self.add_error("end", "The range ends before it starts.")
        return values

    def filters(self) -> Filters:
        return Filters(**self.cleaned_data)


class ReasonForm(forms.Form):
    """Why a file is kept, or why it is not needed any more; in the audit trail for good."""

    reason = forms.CharField(
        label="Why?",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Stands in the audit trail.",
        error_messages={"required": "Say in a few words why."},
    )

    def clean_reason(self) -> str:
        reason = str(self.cleaned_data["reason"]).strip()
        if len(reason) < SHORTEST_REASON:
            raise forms.ValidationError("Say in a few words why.")
        return reason


def _in_utc(value: dt.datetime | None) -> dt.datetime | None:
    """The field is labelled UTC, whatever zone the member's lists are shown in."""
    return None if value is None else value.replace(tzinfo=dt.UTC)
