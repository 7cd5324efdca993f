"""Why an entry is changed or removed; kept with the change and in the audit trail."""

from __future__ import annotations

from django import forms


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=800,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the change and in the audit trail.",
    )
    ticket = forms.CharField(label="Ticket", required=False, max_length=100)
