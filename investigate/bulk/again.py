"""The forms that make a job of an earlier one: another action on its messages, or the same once more."""

from __future__ import annotations

from typing import Any

from django import forms

from dashboard.access.models import Member
from dashboard.web.forms import check_key
from investigate.bulk import offers
from investigate.models import ActionState

# The messages a choice stands for, by their states; none named: all of them.
STATES = {
    "done": ActionState.DONE.value,
    "failed": f"{ActionState.FAILED},{ActionState.PARTLY_DONE}",
    "skipped": ActionState.SKIPPED.value,
    "all": "",
}


class KeyForm(forms.Form):
    """Begins a job by one button. Its key makes a second click the same job."""

    operation_key = forms.CharField(
        max_length=64,
        validators=[check_key],
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid", "max_length"), "This form is not one of ours: reload it."),
    )

    @property
    def problem(self) -> str:
        """What is wrong, in one sentence."""
        return next((str(message) for messages in self.errors.values() for message in messages), "")


class AgainForm(KeyForm):
    """Another action on the messages of an earlier job, of those this member may do."""

    what = forms.ChoiceField(label="Action", error_messages={"invalid_choice": offers.NOT_YOURS})
    states = forms.ChoiceField(
        label="On",
        choices=[
            ("done", "messages that were done"),
            ("failed", "messages that were refused, or done in part"),
            ("skipped", "messages that were left out"),
            ("all", "all of its messages"),
        ],
    )

    def __init__(self, member: Member, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["what"].choices = offers.choices_for(member)  # type: ignore[attr-defined]

    def begun(self) -> dict[str, Any]:
        """The arguments of `jobs.begin` that say what."""
        return offers.decided(self.cleaned_data["what"])
