"""Forms of the desk."""

from __future__ import annotations

from typing import Any

from django import forms

from dashboard.access.models import Member
from investigate.desk.notes import LONGEST_NOTE
from investigate.models import CaseState, OwnVerdict


class TakeForm(forms.Form):
    take_over = forms.BooleanField(required=False)


class StateForm(forms.Form):
    state = forms.ChoiceField(choices=CaseState.choices)


class VerdictForm(forms.Form):
    """The team's verdict, beside the one that stood there when the person decided."""

    verdict = forms.ChoiceField(choices=[("", "none"), *OwnVerdict.choices], required=False)
    was = forms.CharField(max_length=20, required=False)


class HandOverForm(forms.Form):
    """To whom; only colleagues who may work on this case can be chosen."""

    to = forms.ChoiceField(label="Hand over to")
    take_over = forms.BooleanField(required=False)

    def __init__(self, *args: Any, colleagues: list[Member], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.colleagues = {str(member.pk): member for member in colleagues}
        self.fields["to"].choices = [  # type: ignore[attr-defined]
            (pk, f"{member.display_name} ({member.username})") for pk, member in self.colleagues.items()
        ]

    @property
    def colleague(self) -> Member:
        return self.colleagues[self.cleaned_data["to"]]


class NoteForm(forms.Form):
    """A note; @name tells that colleague."""

    text = forms.CharField(
        label="Note",
        max_length=LONGEST_NOTE,
        help_text="@name tells that colleague. Ctrl Enter saves.",
        widget=forms.Textarea(attrs={"rows": 3, "data-sends": "", "autocomplete": "off"}),
    )
    operation_key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, names: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].widget.attrs["data-names"] = " ".join(names)
