"""A false positive put right in one go: one decision, several steps, each with its own receipt."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from investigate.models.actions import Action


class FixStepKind(models.TextChoices):
    RELEASE = "release"
    SUBMIT_CLEAN = "submit_clean", "submit as clean"
    ACCEPT_SENDER = "accept_sender", "accept the sender"


class FixStepState(models.TextChoices):
    PLANNED = "planned"  # the steps before it are not done yet
    RUNNING = "running"  # its action or its rule says how far it is
    DONE = "done"
    PARTLY_DONE = "partly_done", "partly done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # there was nothing to do: the message was not in quarantine


class Fix(models.Model):
    """One decision that a message was wrongly held back."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    operation_key = models.CharField(max_length=64, unique=True)
    fingerprint = models.CharField(max_length=64)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=300)
    investigate_id = models.CharField(max_length=255, db_index=True)
    subject = models.TextField(blank=True)
    domains = models.TextField(blank=True)  # of the recipients, as `access.scope.spaced` writes them
    reason = models.CharField(max_length=1000)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # when a worker takes the next step; None: not by itself
    finished_at = models.DateTimeField(null=True)
    audit_sequence = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "investigate_id"],
                condition=Q(finished_at=None),
                name="one_open_fix_of_a_message",
            )
        ]

    def __str__(self) -> str:
        return f"fix {self.id} of {self.investigate_id}"


class FixStep(models.Model):
    """One step; repeating it makes a new action, and `tries` keeps the former ones."""

    fix = models.ForeignKey(Fix, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=16, choices=FixStepKind)
    state = models.CharField(max_length=12, choices=FixStepState, default=FixStepState.PLANNED)
    action = models.ForeignKey(Action, null=True, on_delete=models.SET_NULL, related_name="+")
    entry = models.ForeignKey("settings_ui.Entry", null=True, on_delete=models.SET_NULL, related_name="+")
    values = models.JSONField(default=dict)  # of a rule: {"pattern": ..., "expires_at": "2026-12-22T00:00:00+00:00"}
    tries = models.PositiveSmallIntegerField(default=0)
    earlier = models.JSONField(default=list)  # ids of the actions or rules of former tries
    explanation = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["fix", "number"], name="each_step_once_per_fix")]

    def __str__(self) -> str:
        return f"step {self.number} of {self.fix_id}: {self.kind} {self.state}"
