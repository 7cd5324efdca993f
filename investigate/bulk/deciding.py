"""The form that decides a rehearsed job."""

from __future__ import annotations

from django import forms

from dashboard.web.forms import check_key
from investigate.actions.decision import SHORTEST_REASON

WHY = "Say in a few words why, or name the ticket."


class DecideForm(forms.Form):
    """Why, the number of messages read on the button, and the key made with the form: sending it twice decides once."""

    reason = forms.CharField(
        label="Why, or the ticket",
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the job and in the audit trail.",
        error_messages={"required": WHY},
    )
    decision_key = forms.CharField(max_length=64, validators=[check_key])
    acknowledged = forms.CharField(max_length=4000, required=False)  # jobs with the same messages the person read of
    expected_count = forms.IntegerField(min_value=1, max_value=10_000_000)

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"].strip()
        if len(reason) < SHORTEST_REASON:
            raise forms.ValidationError(WHY)
        return reason
