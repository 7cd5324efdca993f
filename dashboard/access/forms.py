"""Forms of one's own account; those that prove who somebody is are in `proving`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from dashboard.access.models import Member
from dashboard.web.times import zone_names

# Generic for the type checker only; Django's forms are not subscriptable when they run.
if TYPE_CHECKING:
    MemberForm = forms.ModelForm[Member]
else:
    MemberForm = forms.ModelForm


class PreferencesForm(MemberForm):
    """How the member likes to work."""

    time_zone = forms.ChoiceField(label="Time zone")

    class Meta:
        model = Member
        fields = [
            "theme",
            "density",
            "text_size",
            "time_zone",
            "shows_local_time",
            "undo_seconds",
            "has_auto_advance",
            "has_single_keys",
        ]
        labels = {
            "text_size": "Text size",
            "shows_local_time": "Show times in my zone instead of UTC",
            "undo_seconds": "Undo window",
            "has_auto_advance": "Move on to the next message after an action",
            "has_single_keys": "Single keys do things",
        }
        help_texts = {
            "text_size": "Pixels of the ordinary text; headings and rows follow.",
            "undo_seconds": "How long an action waits before it is sent.",
            "has_single_keys": "Off: only Ctrl K, arrows, Enter and Esc do.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = sorted(zone for zone in zone_names() if "/" in zone and not zone.startswith("Etc/"))
        choices = [("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in zones)]
        if self.instance.time_zone not in dict(choices):
            choices.append((self.instance.time_zone, self.instance.time_zone))
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  declared above; this tells the type checker
        field.choices = choices
