"""The form of a false positive: why it is one, and whether its sender is accepted for a time."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone

from dashboard.web.forms import check_key
from investigate.actions.decision import SHORTEST_REASON
from investigate.fixing.plan import usual_end
from investigate.fixing.services import Wish
from settings_ui.entries.rules import last_day

REASONS_ID = "fix-reasons"


class FixForm(forms.Form):
    """One decision. The operation key is made with the form: sending it twice decides once."""

    operation_key = forms.CharField(max_length=64, validators=[check_key])
    reason = forms.CharField(
        label="Why it is harmless",
        min_length=SHORTEST_REASON,
        max_length=1000,
        widget=forms.TextInput(attrs={"list": REASONS_ID, "autocomplete": "off"}),
        help_text="Choose or write. Kept with every step and in the audit trail.",
        error_messages={"required": "Say in a few words why.", "min_length": "Say in a few words why."},
    )
    accepts = forms.BooleanField(required=False, label="Accept this sender for a time")
    accept_until = forms.DateField(
        required=False, label="Until", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        field = self.fields["accept_until"]
        field.initial = usual_end
        field.widget.attrs |= {"min": f"{_tomorrow():%Y-%m-%d}", "max": f"{last_day():%Y-%m-%d}"}

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not found.get("accepts"):
            found["accept_until"] = None
            self.errors.pop("accept_until", None)
            return found
        until = found.get("accept_until")
        if until is None and "accept_until" not in self.errors:
            self.add_error("accept_until", "Say until when: a rule always ends.")
        elif until is not None and not _tomorrow() <= until <= last_day().date():
            self.add_error("accept_until", f"From tomorrow to {last_day():%d %b %Y}.")
        return found

    def wish(self) -> Wish:
        return Wish(reason=self.cleaned_data["reason"].strip(), accept_until=self.cleaned_data["accept_until"])


def _tomorrow() -> dt.date:
    return (timezone.now() + dt.timedelta(days=1)).date()
