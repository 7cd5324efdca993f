"""The form that decides a request, with the fingerprint of what it shows."""

from __future__ import annotations

from django import forms

from investigate.approvals.services import LONGEST_COMMENT


class DecisionForm(forms.Form):
    """Yes or no is in the button; a no says why."""

    comment = forms.CharField(
        required=False,
        max_length=LONGEST_COMMENT,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the request and in the audit trail; who asked reads it. A refusal needs one.",
    )
    fingerprint = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
