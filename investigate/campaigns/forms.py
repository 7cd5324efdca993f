"""Forms of a campaign: one decision for those that are ticked, and what becomes of those who come later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.installation.values import setting
from dashboard.web.forms import check_key
from investigate.actions.decision import LONGEST_REASON, PURGES, SHORTEST_REASON
from investigate.bulk import offers
from investigate.bulk.facts import is_id
from investigate.bulk.forms import ACTIONS, MOST_TICKED
from investigate.campaigns.following import MOST_HOURS
from investigate.models import CampaignBy, FollowMode, OwnVerdict

VERDICT = "verdict:"
_NOT_OURS = dict.fromkeys(
    ("required", "invalid", "invalid_choice", "max_length"), "This form is not one of ours: reload the page."
)
_FOLLOWED = [value for value in (*offers.MOVES, offers.RELEASE, *offers.SUBMISSIONS)
             if value.partition(":")[2] not in PURGES]  # fmt: skip


class NamedForm(forms.Form):
    """Which campaign is meant."""

    by = forms.ChoiceField(choices=CampaignBy.choices, error_messages=_NOT_OURS, widget=forms.HiddenInput)
    key = forms.CharField(max_length=255, error_messages=_NOT_OURS, widget=forms.HiddenInput, strip=False)

    @property
    def problem(self) -> str:
        """What is wrong, in one sentence."""
        return next((str(message) for messages in self.errors.values() for message in messages), "")


class DecideForm(NamedForm):
    """What is to be done, and with which messages: the ticked ones, or all that were there when the page was made."""

    operation_key = forms.CharField(error_messages=_NOT_OURS, validators=[check_key])
    what = forms.ChoiceField(
        choices=[*ACTIONS, *((f"{VERDICT}{value}", label) for value, label in OwnVerdict.choices)],
        error_messages=dict.fromkeys(("required", "invalid_choice"), "This is not one of the actions offered."),
    )
    ids = forms.CharField(required=False, strip=False)
    source = forms.ChoiceField(choices=[("all", "")], required=False, error_messages=_NOT_OURS)
    last_row = forms.IntegerField(min_value=0, error_messages=_NOT_OURS)  # of all that the page counted

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        self._rows: Sequence[str] = data.getlist("message")

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if self.errors:
            return found
        found["all"] = bool(found["source"])
        found["ids"] = list(dict.fromkeys(one for one in (*self._rows, *found["ids"].splitlines()) if one))
        if not found["all"] and not found["ids"]:
            raise forms.ValidationError("Nothing is ticked.")
        if len(found["ids"]) > MOST_TICKED:
            raise forms.ValidationError(f"{MOST_TICKED:,} messages are the most at once.")
        if not all(is_id(one) for one in found["ids"]):
            raise forms.ValidationError("What is ticked is not a message: reload the page.")
        return found

    @property
    def verdict(self) -> str:
        """The team's own verdict where that is what was decided, else ""."""
        what: str = self.cleaned_data["what"]
        return what.removeprefix(VERDICT) if what.startswith(VERDICT) else ""


class FollowForm(NamedForm):
    """What becomes of later members; the operation key makes the second sending of a form the same rule."""

    operation_key = forms.CharField(error_messages=_NOT_OURS, validators=[check_key], widget=forms.HiddenInput)
    what = forms.ChoiceField(label="Do with each", choices=[])
    mode = forms.ChoiceField(label="How", choices=[], widget=forms.RadioSelect)
    hours = forms.IntegerField(label="For how many hours", min_value=1, max_value=MOST_HOURS)
    most = forms.IntegerField(label="Messages at most", min_value=1, help_text="Then the rule ends.")
    verdict = forms.ChoiceField(label="Our verdict of each", required=False)
    reason = forms.CharField(
        label="Why",
        min_length=SHORTEST_REASON,
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Say in a few words why.", "min_length": "Say in a few words why."},
    )

    def __init__(self, member: Member, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.offered = [
            (group, [one for one in choices if one[0] in _FOLLOWED]) for group, choices in offers.choices_for(member)
        ]
        self.fields["what"].choices = self.offered  # type: ignore[attr-defined]
        modes = [(FollowMode.OFFER.value, "Offer them: a person decides about each with one click")]
        if member.may(Permission.CAMPAIGN_FOLLOW):
            modes.append((FollowMode.HANDLE.value, "Handle them at once, in my name and with my rights"))
        self.fields["mode"].choices = modes  # type: ignore[attr-defined]
        verdicts = OwnVerdict.choices if member.may(Permission.CASE_WORK) else []
        self.fields["verdict"].choices = [("", "None")] + [  # type: ignore[attr-defined]
            (value, str(label).capitalize()) for value, label in verdicts
        ]
        self.fields["most"].widget.attrs["max"] = setting("LARGE_JOB")

    def wish(self) -> dict[str, Any]:
        """The arguments of `following.follow` that the person chose."""
        found = self.cleaned_data
        return {
            "by": CampaignBy(found["by"]),
            "key": found["key"],
            "mode": FollowMode(found["mode"]),
            **offers.decided(found["what"]),
            "verdict": found["verdict"],
            "reason": found["reason"],
            "hours": found["hours"],
            "most": found["most"],
            "operation_key": found["operation_key"],
        }


class RuleForm(forms.Form):
    """One open rule, or later members of one."""

    rule = forms.UUIDField(error_messages=_NOT_OURS)
    member = forms.CharField(required=False, max_length=255)  # one of them; without it all that wait

    @property
    def problem(self) -> str:
        return next((str(message) for messages in self.errors.values() for message in messages), "")
