"""The form of an import: a file, and whether it is the whole list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from dashboard.web.forms import check_key
from settings_ui.resources.description import Resource
from settings_ui.tables.planning import Mode
from settings_ui.tables.reading import LARGEST_FILE, MOST_LINES


class ImportForm(forms.Form):
    """The operation key is made with the form: sending it twice makes one dry run."""

    operation_key = forms.CharField(max_length=64, validators=[check_key], widget=forms.HiddenInput)
    file = forms.FileField(
        label="File",
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv,text/plain"}),
        help_text=f"CSV with the names of the columns in its first line; up to {MOST_LINES:,} lines.",
    )
    mode = forms.ChoiceField(
        label="The file holds",
        choices=[
            (Mode.ADD_AND_CHANGE.value, "entries to add and to change; all others stay"),
            (Mode.WHOLE.value, "the whole list: entries that are not in it are removed"),
        ],
        initial=Mode.ADD_AND_CHANGE.value,
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, resource: Resource, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if resource.takes_typing:  # a file never removes these
            field = self.fields["mode"]
            field.choices = field.choices[:1]  # type: ignore[attr-defined]
            field.widget = forms.HiddenInput()

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(f"The file is larger than {LARGEST_FILE // 1_000_000} MB. Split it.")
        return file

    @property
    def chosen_mode(self) -> Mode:
        return Mode(self.cleaned_data["mode"])
