"""Saved views: searches with a name, what each has found, who looked when, and who is told of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """A search of `/investigate/` under a name. A shared one belongs to the team, and outlives who made it."""

    OWN = "@own"  # in `default_for`; no role can be called so

    account_id = models.CharField(max_length=64)
    name = models.CharField(max_length=80)
    query = models.TextField(blank=True)  # the search as its URL says it; a relative range stays relative
    columns = models.JSONField(default=list)  # of the list, in order; empty: the usual ones
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    owner_name = models.CharField(max_length=300)
    is_shared = models.BooleanField(default=False)
    default_for = models.JSONField(default=list)  # names of roles whose members begin with it; `OWN`: its owner does
    position = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    # How far the worker has read it: one reading for all who look and all who are told.
    read_until = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    wanted_at = models.DateTimeField(null=True)  # when somebody last looked at its count
    explanation = models.CharField(max_length=500, blank=True)
    reading = models.JSONField(default=dict)

    class Meta:
        ordering = ["position", "id"]
        indexes = [models.Index(fields=["account_id", "owner"])]

    def __str__(self) -> str:
        return f"view {self.pk} {self.name}"


class ViewLook(models.Model):
    """When a member last had a view open: what was found since is new to them. `position` is their own order."""

    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="looks")
    member = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    looked_at = models.DateTimeField()
    position = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["view", "member"], name="one_look_per_view_and_member")]

    def __str__(self) -> str:
        return f"{self.member_id} looked at {self.view_id}"


class ViewHit(models.Model):
    """A message that a view has found since it is read. Its number is the order in which they were found."""

    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="hits")
    investigate_id = models.CharField(max_length=255)
    campaign = models.CharField(max_length=300, blank=True)  # "edf:…", "layout:…" or "shape:…"; "" stands alone
    subject = models.TextField(blank=True)
    sender = models.CharField(max_length=500, blank=True)
    recipients = models.JSONField(default=list)
    named = models.JSONField(default=list, db_default=[])  # in the header and the envelope beside these
    domains = models.TextField(blank=True)
    disposition = models.CharField(max_length=40, blank=True)
    scanned_at = models.DateTimeField()
    found_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["view", "investigate_id"], name="each_hit_once_per_view")]
        indexes = [models.Index(fields=["view", "found_at"])]

    def __str__(self) -> str:
        return f"{self.investigate_id} in {self.view_id}"


class Rhythm(models.TextChoices):
    AT_ONCE = "at_once", "at once"
    HOURLY = "hourly"
    DAILY = "daily"


class Channel(models.TextChoices):
    MAIL = "mail", "e-mail"
    WEBHOOK = "webhook", "signed webhook"
    SLACK = "slack"
    TEAMS = "teams"


class NoticeRule(models.Model):
    """Who is told of what a view finds, how, and how often."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="notices")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    rhythm = models.CharField(max_length=10, choices=Rhythm)
    channel = models.CharField(max_length=10, choices=Channel)
    target = models.TextField()  # an address, or a URL; sealed, for a URL of a chat is a secret
    shown = models.CharField(max_length=300)  # the target as lists may show it
    secret = models.TextField(blank=True)  # sealed; signs a webhook
    hour = models.PositiveSmallIntegerField(default=7)  # UTC, of a daily one
    is_on = models.BooleanField(default=True)
    told_hit = models.BigIntegerField(default=0)  # hits up to this number are told, or were too old
    since = models.DateTimeField(null=True)  # when it was switched on: older mail that is found later is not told
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1)
    stopped_why = models.CharField(max_length=500, blank=True)  # why we switched it off ourselves

    class Meta:
        indexes = [models.Index(fields=["is_on", "due_at"])]

    def __str__(self) -> str:
        return f"notice {self.rhythm} of view {self.view_id} by {self.channel}"


class NoticeState(models.TextChoices):
    WAITING = "waiting"
    SENDING = "sending"
    ARRIVED = "arrived"  # the receiver took it
    FAILED = "failed"  # given up; the answer says why


class Notice(models.Model):
    """One message to a receiver: what it says, and whether it arrived."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(NoticeRule, null=True, on_delete=models.SET_NULL, related_name="sent")
    view_name = models.CharField(max_length=80)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel)
    shown = models.CharField(max_length=300)
    content = models.JSONField()  # groups by campaign, as the body is made from them
    messages = models.PositiveIntegerField()
    campaigns = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=NoticeState, default=NoticeState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "due_at"]), models.Index(fields=["-created_at"])]

    def __str__(self) -> str:
        return f"notice {self.id} {self.state}"


class NoticeCampaign(models.Model):
    """A campaign a rule has told of: more of it is counted in the next notice, and makes none by itself."""

    rule = models.ForeignKey(NoticeRule, on_delete=models.CASCADE, related_name="campaigns")
    campaign = models.CharField(max_length=300)
    told_at = models.DateTimeField(db_index=True)
    untold = models.PositiveIntegerField(default=0)  # more of it since, to be counted in the next notice

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "campaign"], name="each_campaign_once_per_notice_rule")]

    def __str__(self) -> str:
        return f"{self.campaign} told by {self.rule_id}"
