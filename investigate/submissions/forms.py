"""What people say in this room: the verdict to ask for, and our own word on a report."""

from __future__ import annotations

from django import forms

from dashboard.emailsec.types import SHORT_DISPOSITIONS
from dashboard.web.forms import check_key
from investigate.actions import words
from investigate.models import OwnVerdict


class SubmitForm(forms.Form):
    """Which of six verdicts to ask for, and why."""

    operation_key = forms.CharField(max_length=64, validators=[check_key], widget=forms.HiddenInput)
    expected_disposition = forms.ChoiceField(
        label="Verdict",
        choices=[(value.value, words.disposition(value.value)) for value in SHORT_DISPOSITIONS],
        error_messages={"required": "Choose a verdict.", "invalid_choice": "There is no such verdict."},
    )
    reason = forms.CharField(
        required=False,
        max_length=1000,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the action and in the audit trail; Cloudflare is not told.",
    )


class AnswerForm(forms.Form):
    """What came of a report, as we say it."""

    operation_key = forms.CharField(max_length=64, validators=[check_key], widget=forms.HiddenInput)
    verdict = forms.ChoiceField(
        label="Our verdict",
        choices=[("", "Choose…"), *OwnVerdict.choices],
        error_messages={"required": "Choose what it was.", "invalid_choice": "There is no such verdict."},
    )
    text = forms.CharField(
        required=False, max_length=4000, label="What we found", widget=forms.Textarea(attrs={"rows": 2})
    )
    take_over = forms.BooleanField(required=False, widget=forms.HiddenInput)
