"""The form of one value."""

from __future__ import annotations

from typing import Any

from django import forms

from dashboard.installation.described import Described
from dashboard.installation.services import Standing


class ValueForm(forms.Form):
    """One value within its bounds, the version it was read at, and the tick that a loosened safeguard asks for."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    accepts = forms.BooleanField(label="I know what this takes away", required=False)

    def __init__(self, data: Any = None, *, now: Standing) -> None:
        initial = {"version": now.version, "value": now.about.write(now.value)}
        super().__init__(data, initial=initial)
        self.fields["value"] = _field(now.about)

    def value(self) -> Any:
        """As the setting's own type."""
        found = self.cleaned_data["value"]
        return frozenset(found) if isinstance(found, list) else found


class BackForm(forms.Form):
    """The version that was read, and the same tick."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    accepts = forms.BooleanField(required=False)


def _field(about: Described) -> forms.Field:
    match about.kind:
        case "flag":
            return forms.BooleanField(label="On", required=False)
        case "words":
            return forms.MultipleChoiceField(
                label=about.label,
                required=False,
                choices=list((about.words or {}).items()),
                widget=forms.CheckboxSelectMultiple,
            )
    return forms.IntegerField(
        label=f"{about.label} ({about.unit})",
        min_value=about.least,
        max_value=about.highest,
        help_text=f"From {about.least:,} to {about.highest:,}.",
    )
