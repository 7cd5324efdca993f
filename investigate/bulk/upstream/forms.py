"""The form that asks for a job at Cloudflare."""

from __future__ import annotations

from django import forms

from dashboard.emailsec.enums import MailboxDestination
from dashboard.web.forms import check_key
from investigate.actions import words
from investigate.actions.decision import SHORTEST_REASON
from investigate.models import ActionKind

RELEASE = "release"
CHOICES = [*((value.value, words.folder(value.value)) for value in MailboxDestination), (RELEASE, "Release")]


class CreateForm(forms.Form):
    """What Cloudflare is to do with everything the search finds, and why. Its key makes a second click the same job."""

    operation_key = forms.CharField(max_length=64, validators=[check_key])
    what = forms.ChoiceField(
        choices=CHOICES,
        label="What to do",
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose what Cloudflare is to do."),
    )
    reason = forms.CharField(
        max_length=1000,
        label="Why, or the ticket",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the job and in the audit trail; its beginning stands in the job's comment at Cloudflare.",
        error_messages={"required": "Say in a few words why, or name the ticket."},
    )

    def clean_reason(self) -> str:
        reason = str(self.cleaned_data["reason"]).strip()
        if len(reason) < SHORTEST_REASON:
            raise forms.ValidationError("Say in a few words why, or name the ticket.")
        return reason

    @property
    def kind(self) -> ActionKind:
        return ActionKind.RELEASE if self.cleaned_data["what"] == RELEASE else ActionKind.MOVE

    @property
    def destination(self) -> str:
        return "" if self.cleaned_data["what"] == RELEASE else str(self.cleaned_data["what"])


class SettleForm(forms.Form):
    """What became of a job that was asked for and not found again: its id at Cloudflare, or nothing."""

    upstream_id = forms.CharField(max_length=100, required=False)
