"""The form of a click: what to do, its operation key, and why where that is asked for."""

from __future__ import annotations

from typing import Any

from django import forms

from dashboard.emailsec.types import SHORT_DISPOSITIONS, MailboxDestination
from dashboard.web.forms import check_key
from investigate.actions import words
from investigate.actions.decision import LARGEST_EML, Decision
from investigate.models import ActionKind

_NO_SUCH = dict.fromkeys(("required", "invalid_choice"), "This is not one of the actions offered.")


class ActionForm(forms.Form):
    """One decision on one message. The operation key is made with the form: sending it twice decides once."""

    operation_key = forms.CharField(max_length=64, validators=[check_key])
    kind = forms.ChoiceField(choices=ActionKind.choices, error_messages=_NO_SUCH)
    destination = forms.ChoiceField(
        choices=[(value.value, words.folder(value.value)) for value in MailboxDestination],
        required=False,
        error_messages={"invalid_choice": "There is no such folder."},
    )
    expected_disposition = forms.ChoiceField(
        choices=[(value.value, words.disposition(value.value)) for value in SHORT_DISPOSITIONS],
        required=False,
        error_messages={"invalid_choice": "There is no such verdict to submit."},
    )
    confirmed = forms.BooleanField(required=False)
    reason = forms.CharField(
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the action and in the audit trail.",
    )
    eml = forms.FileField(
        required=False, label="The message as a file (.eml)", widget=forms.FileInput(attrs={"accept": ".eml"})
    )

    def clean_eml(self) -> bytes | None:
        file = self.cleaned_data["eml"]
        if not file:
            return None
        if file.size > LARGEST_EML:
            raise forms.ValidationError(f"The file is larger than {LARGEST_EML // 1_000_000} MB.")
        return bytes(file.read())

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        kind = found.get("kind")
        if kind == ActionKind.MOVE and not found.get("destination"):
            self.add_error("destination", "Choose a folder.")
        if kind == ActionKind.RECLASSIFY and not found.get("expected_disposition"):
            self.add_error("expected_disposition", "Choose a verdict.")
        return found

    def decision(self, investigate_id: str) -> Decision:
        found = self.cleaned_data
        kind = ActionKind(found["kind"])
        is_submission = kind == ActionKind.RECLASSIFY
        return Decision(
            kind=kind,
            investigate_ids=(investigate_id,),
            destination=found["destination"] if kind == ActionKind.MOVE else "",
            expected_disposition=found["expected_disposition"] if is_submission else "",
            reason=found["reason"],
            is_confirmed=found["confirmed"],
            eml=found["eml"] if is_submission else None,
        )


class ReasonForm(forms.Form):
    """Why, said afterwards."""

    reason = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept with the action and in the trail."
    )


class SettleForm(forms.Form):
    """What became of an action nobody but a person can settle."""

    outcome = forms.ChoiceField(choices=[("done", "It was done"), ("not_done", "It was not done")])
