"""The form that takes the messages of one job into the rehearsal of another."""

from __future__ import annotations

from typing import Any

from django import forms

from dashboard.emailsec.types import SHORT_DISPOSITIONS
from investigate.actions import words
from investigate.models import ActionKind, ActionState

ACTIONS = [
    *[(f"{ActionKind.MOVE}:{destination}", f"Move to {label}") for destination, label in words.FOLDERS.items()],
    (f"{ActionKind.RELEASE}:", "Release"),
    *[(f"{ActionKind.RECLASSIFY}:{one.value}", f"Submit as {words.disposition(one)}") for one in SHORT_DISPOSITIONS],
]
# The messages a choice stands for, by their states; none named: all of them.
STATES = {
    "done": ActionState.DONE.value,
    "failed": f"{ActionState.FAILED},{ActionState.PARTLY_DONE}",
    "skipped": ActionState.SKIPPED.value,
    "all": "",
}


class AgainForm(forms.Form):
    """Another action on the messages of an earlier job."""

    what = forms.ChoiceField(label="Action", choices=ACTIONS)
    states = forms.ChoiceField(
        label="On",
        choices=[
            ("done", "messages that were done"),
            ("failed", "messages that were refused"),
            ("skipped", "messages that were left out"),
            ("all", "all of its messages"),
        ],
    )
    operation_key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """The action as it is decided: its kind, and the folder or the verdict that goes with it."""
        cleaned = super().clean() or {}
        kind, _, value = cleaned.get("what", "").partition(":")
        cleaned["kind"] = kind
        cleaned["destination"] = value if kind == ActionKind.MOVE else ""
        cleaned["expected_disposition"] = value if kind == ActionKind.RECLASSIFY else ""
        return cleaned
