"""The form of a notice: which view, how often, by what, and to whom."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import validate_email

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.web.text import visible
from investigate.models import Channel, NoticeRule, Rhythm, SavedView
from investigate.notices import words
from investigate.notices.receivers import LONGEST_URL, check_url
from investigate.notices.services import Wanted
from investigate.saved.queries import views_of

_RHYTHMS = [
    (Rhythm.AT_ONCE, "at once, at most one a minute"),
    (Rhythm.HOURLY, "every hour"),
    (Rhythm.DAILY, "once a day"),
]
_HOURS = [(hour, f"{hour:02}:00 UTC") for hour in range(24)]


class ViewField(forms.ModelChoiceField):
    def label_from_instance(self, obj: SavedView) -> str:
        return visible(obj.name, limit=80)


class NoticeForm(forms.Form):
    """One form for a new notice and a changed one; who may tell nobody else is offered nothing else."""

    key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    view = ViewField(label="View", queryset=SavedView.objects.none(), empty_label=None)
    rhythm = forms.ChoiceField(label="How often", choices=_RHYTHMS, help_text="Nothing is sent when nothing is new.")
    hour = forms.TypedChoiceField(label="Hour, where it is once a day", choices=_HOURS, coerce=int, initial=7)
    channel = forms.ChoiceField(label="By")
    target = forms.CharField(
        label="To",
        max_length=LONGEST_URL,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    new_secret = forms.BooleanField(
        label="Make a new secret for the webhook",
        required=False,
        help_text="The old one signs nothing any more from then on.",
    )

    def __init__(self, *args: Any, member: Member, rule: NoticeRule | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.member, self.rule = member, rule
        self.tells_others = member.may(Permission.NOTICE_SEND)
        self.views = views_of(member)
        known = SavedView.objects.filter(pk__in=[view.pk for view in self.views])
        self.fields["view"].queryset = known  # type: ignore[attr-defined]
        channels = [Channel.MAIL] if settings.SENDS_MAIL else []
        if self.tells_others:
            channels += [Channel.WEBHOOK, Channel.SLACK, Channel.TEAMS]
        self.has_channels = bool(channels)
        channel = self.fields["channel"]
        channel.choices = [(one.value, words.CHANNELS[one]) for one in channels]  # type: ignore[attr-defined]
        channel.help_text = "" if settings.SENDS_MAIL else words.NO_MAIL
        target = self.fields["target"]
        if self.tells_others:
            target.help_text = "An e-mail address, or the https address of a webhook or a chat's incoming webhook."
        else:
            target.disabled, target.initial = True, member.email
            target.help_text = "Your own address. Notices to others need the right to send them."
        if rule is not None:
            target.required = not self.tells_others
            if self.tells_others:
                target.help_text += " Empty: it stays as it is."
                target.widget.attrs["placeholder"] = rule.shown
        if rule is None or rule.channel != Channel.WEBHOOK:
            del self.fields["new_secret"]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        target, channel = found.get("target", ""), found.get("channel")
        if channel == Channel.MAIL and target:
            self._check(lambda: validate_email(target))
            if len(target) > 254:
                self.add_error("target", "It is longer than an address can be.")
        elif channel and target:
            try:
                check_url(target)
            except ValueError as problem:
                self.add_error("target", f"It cannot be used: {problem}.")
        elif channel and self.rule is not None and channel != self.rule.channel:
            self.add_error("target", "Another channel needs another target.")
        return found

    def _check(self, check: Any) -> None:
        try:
            check()
        except forms.ValidationError:
            self.add_error("target", "Write one e-mail address, such as soc@corp.example.")

    def wanted(self) -> Wanted:
        values = self.cleaned_data
        return Wanted(
            view=values["view"],
            rhythm=values["rhythm"],
            hour=values["hour"],
            channel=values["channel"],
            target=values.get("target", ""),
            new_secret=values.get("new_secret", False),
        )

    def new_key(self) -> uuid.UUID:
        return self.cleaned_data.get("key") or uuid.uuid4()


def begun(member: Member, view_id: int) -> dict[str, Any]:
    """What a new form begins with."""
    return {"key": uuid.uuid4(), "view": view_id or None, "target": member.email if settings.SENDS_MAIL else ""}


def as_it_is(rule: NoticeRule) -> dict[str, Any]:
    return {
        "version": rule.version,
        "view": rule.view_id,
        "rhythm": rule.rhythm,
        "hour": rule.hour,
        "channel": rule.channel,
    }


class FilterForm(forms.Form):
    """Which of the sent ones."""

    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "any"), ("open", "on its way"), ("arrived", "arrived"), ("failed", "failed")],
    )
    rule = forms.ChoiceField(label="Notice", required=False)

    def __init__(self, *args: Any, rules: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(str(one.rule.pk), f"{one.view_name}: {one.rhythm}, {one.rule.shown}"[:120]) for one in rules]
        self.fields["rule"].choices = [("", "all"), *named]  # type: ignore[attr-defined]
