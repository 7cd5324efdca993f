"""The life of an entry: who wanted it, why, until when, and how it came to be."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from settings_ui.models.naming import start_of


class EntryState(models.TextChoices):
    WAITING = "waiting"  # decided, not sent
    SENDING = "sending"
    ACTIVE = "active"
    FAILED = "failed"  # provably not made
    UNKNOWN = "unknown"  # no answer came: it is looked for before anything is repeated
    REMOVING = "removing"  # its time is over, or somebody ended it
    REMOVED = "removed"


OPEN_STATES = (
    EntryState.WAITING,
    EntryState.SENDING,
    EntryState.ACTIVE,
    EntryState.UNKNOWN,
    EntryState.REMOVING,
)


class Origin(models.TextChoices):
    ACCEPT = "accept"  # a rule for one sender, made for a time and sent by a worker
    CHANGE = "change"  # made in the settings rooms; the change that made it is a row of its own
    NOTED = "noted"  # made elsewhere; somebody here said whose it is and until when


class Entry(models.Model):
    """One entry of a list at Cloudflare whose life is kept here. One that is made here is a row before it is a call."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    resource = models.CharField(max_length=40)  # as in the API's paths: allow_policies
    upstream_id = models.CharField(max_length=100, blank=True)
    operation_key = models.CharField(max_length=64, unique=True)
    pattern = models.CharField(max_length=1024)
    values = models.JSONField(default=dict)  # exactly what is sent
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    owner_name = models.CharField(max_length=300)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.ACCEPT, db_default=Origin.ACCEPT)
    ticket = models.CharField(max_length=100, blank=True, default="", db_default="")
    announced_at = models.DateTimeField(null=True)  # when its owner was told that it ends soon
    reason = models.CharField(max_length=1000, blank=True)
    expires_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=EntryState, default=EntryState.WAITING)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # when a worker sends, looks or removes next
    attempt = models.PositiveIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)  # committed before the first byte goes out
    looks = models.PositiveIntegerField(default=0)
    explanation = models.CharField(max_length=500, blank=True)
    audit_sequence = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "due_at"]),
            models.Index(fields=["state", "expires_at"]),
            models.Index("account_id", "resource", start_of("pattern"), name="entry_by_name"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "resource", "upstream_id"],
                condition=~Q(upstream_id=""),
                name="each_entry_there_is_one_of_ours",
            ),
            models.UniqueConstraint(
                fields=["account_id", "resource", "pattern"],
                condition=Q(state__in=[state.value for state in OPEN_STATES], origin=Origin.ACCEPT.value),
                name="one_open_rule_for_a_sender",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.pattern} {self.state}"

    @property
    def is_held_back(self) -> bool:
        """Its end came when it was another entry already: it was left alone, and `explanation` says so."""
        return self.state == EntryState.ACTIVE and self.expires_at is None and bool(self.explanation)
