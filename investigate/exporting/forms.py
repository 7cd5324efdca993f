"""What somebody chooses before indicators leave."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms

from investigate.exporting.formats import FORMATS, Bundle, Tlp
from investigate.exporting.indicators import Indicator, taken

TLP_WORDS = {
    Tlp.CLEAR: "TLP:CLEAR: anybody",
    Tlp.GREEN: "TLP:GREEN: the community",
    Tlp.AMBER: "TLP:AMBER: who needs to know, in the recipient's organisation and its clients",
    Tlp.RED: "TLP:RED: the recipients alone",
}


class IndicatorForm(forms.Form):
    """Which of the indicators go into which kind of file, and who may be told."""

    title = forms.CharField(
        label="Title", max_length=200, help_text="Stands in STIX and MISP files.", widget=forms.TextInput
    )
    format = forms.ChoiceField(
        label="Format", choices=[(name, one.label) for name, one in FORMATS.items()], widget=forms.RadioSelect
    )
    tlp = forms.ChoiceField(label="Who may be told", choices=[(one.value, TLP_WORDS[one]) for one in Tlp])
    real = forms.BooleanField(
        label="Real values in CSV and plain list, not defanged",
        required=False,
        help_text="STIX and MISP always hold real values.",
    )

    def __init__(self, data: object, *, found: Sequence[Indicator], title: str) -> None:
        super().__init__(data, initial={"title": title, "format": "csv", "tlp": Tlp.AMBER.value})  # type: ignore[arg-type]
        self.found = found
        ticked = self.data.getlist("take") if hasattr(self.data, "getlist") else []
        self.chosen = taken(found, ticked) if self.is_bound else [one for one in found if not one.why_not]
        self.ticked = {one.key for one in self.chosen}

    def clean(self) -> dict[str, object]:
        values: dict[str, object] = super().clean() or {}
        if not self.chosen:
            raise forms.ValidationError("Tick at least one indicator.")
        return values

    def bundle(self, *, is_malicious: bool) -> Bundle:
        values = self.cleaned_data
        return Bundle(
            title=values["title"],
            indicators=self.chosen,
            tlp=Tlp(values["tlp"]),
            is_defanged=not values["real"],
            is_malicious=is_malicious,
        )
