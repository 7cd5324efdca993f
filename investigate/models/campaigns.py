"""Campaigns: decisions for a group that go on for those of it who come later."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from investigate.models.memory import CampaignBy


class FollowMode(models.TextChoices):
    OFFER = "offer"  # a person decides about each new member, with one click
    HANDLE = "handle"  # done at once in the owner's name, within the owner's rights and the rule's limit


class CampaignRule(models.Model):
    """For the next hours, new members of a campaign are offered, or handled, as the others were."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    by = models.CharField(max_length=10, choices=CampaignBy)
    key = models.CharField(max_length=255)
    title = models.TextField(blank=True)  # a subject of the campaign, for lists
    mode = models.CharField(max_length=10, choices=FollowMode)
    kind = models.CharField(max_length=30)  # an ActionKind
    destination = models.CharField(max_length=40, blank=True)  # a folder of a move, the disposition of a submission
    verdict = models.CharField(max_length=20, blank=True)  # the team's own, given to each new member's case
    reason = models.TextField(blank=True)
    most = models.PositiveIntegerField()  # messages it may handle; then it ends
    handled = models.PositiveIntegerField(default=0)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    owner_name = models.CharField(max_length=300)
    operation_key = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    until = models.DateTimeField()
    looked_until = models.DateTimeField()  # members first seen before this are done with
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=500, blank=True)
    ended_by = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["account_id", "by", "key"])]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "by", "key"],
                condition=Q(ended_at=None),
                name="one_open_rule_per_campaign",
            ),
        ]

    def __str__(self) -> str:
        return f"rule {self.id} for {self.by}:{self.key}"


class MemberState(models.TextChoices):
    OFFERED = "offered"
    SENT = "sent"  # an action was made of it; the action says how it ended
    LEFT = "left"  # somebody decided that this one is different
    REFUSED = "refused"  # it could not be done; the explanation says why


class CampaignMember(models.Model):
    """A message that came after the decision, and what became of it."""

    rule = models.ForeignKey(CampaignRule, on_delete=models.CASCADE, related_name="members")
    investigate_id = models.CharField(max_length=255)
    domains = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=MemberState)
    action = models.ForeignKey("Action", null=True, on_delete=models.SET_NULL, related_name="+")
    explanation = models.CharField(max_length=500, blank=True)
    decided_by = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "investigate_id"], name="each_member_once_per_rule")]
        indexes = [models.Index(fields=["state", "at"])]

    def __str__(self) -> str:
        return f"{self.investigate_id} {self.state}"
