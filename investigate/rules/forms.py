"""The forms of the panels. What a rule is about comes from the message; only a policy manager writes any of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone

from dashboard.web.forms import check_key
from investigate.actions.decision import SHORTEST_REASON
from investigate.fixing.plan import usual_end
from investigate.rules import words
from settings_ui.entries.life import LONGEST_REASON, LONGEST_TICKET
from settings_ui.entries.rules import end_of, last_day

PRESETS_ID = "rule-reasons"


class RuleForm(forms.Form):
    """What all of them ask for. The operation key is made with the form: sending it twice decides once."""

    operation_key = forms.CharField(max_length=64, validators=[check_key])
    reason = forms.CharField(
        required=False,
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"list": PRESETS_ID, "autocomplete": "off"}),
        help_text="Choose or write. Kept with the rule and in the audit trail.",
    )

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, auto_id="rule-%s", **named)


class _Ticket(forms.Form):
    ticket = forms.CharField(required=False, max_length=LONGEST_TICKET)


class BlockForm(RuleForm, _Ticket):
    """Whom to block: by its name among what the message names, never by what it is."""

    candidate = forms.CharField(label="Whom", max_length=40, error_messages={"required": "Choose whom to block."})

    field_order = ("operation_key", "candidate", "reason", "ticket")


class AllowForm(RuleForm):
    """Until when the sender is accepted, and why."""

    until = forms.DateField(
        label="Until",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"required": "Say until when: a rule always ends."},
    )

    field_order = ("operation_key", "until", "reason")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields["reason"].required = True
        self.fields["reason"].error_messages["required"] = "Say in a few words why."
        self.fields["until"].initial = usual_end
        self.fields["until"].widget.attrs |= {"min": f"{_tomorrow():%Y-%m-%d}", "max": f"{last_day():%Y-%m-%d}"}

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"].strip()
        if len(reason) < SHORTEST_REASON:
            raise forms.ValidationError("Say in a few words why.")
        return reason

    def clean_until(self) -> dt.date:
        until: dt.date = self.cleaned_data["until"]
        if not _tomorrow() <= until <= last_day().date():
            raise forms.ValidationError(f"From tomorrow to {last_day():%d %b %Y}.")
        return until

    def expires_at(self) -> dt.datetime:
        return end_of(self.cleaned_data["until"])


class GuardForm(RuleForm, _Ticket):
    """Name and true address of a person others write as. The resource's own description says what may stand there."""

    name = forms.CharField(label="Name", required=False, help_text="As it stands before the address in mail.")
    email = forms.CharField(label="True address", required=False)

    field_order = ("operation_key", "name", "email", "reason", "ticket")

    def __init__(self, *arguments: Any, domain: str = "", **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields["email"].help_text = words.true_address(domain)
        self.fields["email"].widget.attrs |= {"autocomplete": "off", "inputmode": "email", "spellcheck": "false"}


def _tomorrow() -> dt.date:
    return (timezone.now() + dt.timedelta(days=1)).date()
