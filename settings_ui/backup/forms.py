"""The forms of a backup: the file that is compared, and what of it is restored."""

from __future__ import annotations

from django import forms
from django.core.files.uploadedfile import UploadedFile

from dashboard.web.forms import check_key
from settings_ui.backup.files import LARGEST_FILE


class CompareForm(forms.Form):
    """A backup to compare with the account."""

    file = forms.FileField(
        label="Backup",
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".json,application/json"}),
        help_text="The JSON file as it was taken here. It is kept for an hour, for you alone; nothing is sent.",
    )

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(
                f"The file is larger than {LARGEST_FILE // 1_000_000} MB, which is more than can be compared."
            )
        return file


class RestoreForm(forms.Form):
    """What was ticked in the comparison of an uploaded backup."""

    operation_key = forms.CharField(max_length=36, validators=[check_key], widget=forms.HiddenInput)
    upload = forms.UUIDField(widget=forms.HiddenInput)
