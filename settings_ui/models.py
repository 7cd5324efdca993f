"""What only we know about the account's settings: who wanted an entry, why, until when, and how it came to be."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


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


class Entry(models.Model):
    """One entry of a list at Cloudflare that was made here. A row before it is a call, as every action is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    resource = models.CharField(max_length=40)  # as in the API's paths: allow_policies
    upstream_id = models.CharField(max_length=100, blank=True)
    operation_key = models.CharField(max_length=64, unique=True)
    pattern = models.CharField(max_length=1024)
    values = models.JSONField(default=dict)  # exactly what is sent
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    owner_name = models.CharField(max_length=300)
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
        indexes = [models.Index(fields=["state", "due_at"]), models.Index(fields=["state", "expires_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "resource", "upstream_id"],
                condition=~Q(upstream_id=""),
                name="each_entry_there_is_one_of_ours",
            ),
            models.UniqueConstraint(
                fields=["account_id", "resource", "pattern"],
                condition=Q(state__in=[state.value for state in OPEN_STATES]),
                name="one_open_entry_for_a_pattern",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.pattern} {self.state}"
