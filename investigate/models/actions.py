"""What people decided to do with messages, and what became of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from investigate.models.jobs import BulkJob
from investigate.models.kinds import OPEN_STATES, ActionKind, ActionState


class Action(models.Model):
    """What somebody decided to do, written down before any call is made.

    Transitions out of `sending` name their `attempt`: a late answer of an overtaken worker changes nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operation_key = models.CharField(
        max_length=64, unique=True
    )  # made with the form; the same key is the same decision
    job = models.ForeignKey(BulkJob, null=True, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField(default=0, db_default=0)  # of a chunk within its job, from 1
    counts = models.JSONField(default=dict, db_default={})  # of a chunk: its messages by state when it came to its end
    fingerprint = models.CharField(max_length=64)  # of kind, targets and parameters: same key, other content is refused
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=300)
    kind = models.CharField(max_length=12, choices=ActionKind)
    destination = models.CharField(max_length=40, blank=True)  # move
    expected_disposition = models.CharField(max_length=20, blank=True)  # reclassify
    reason = models.CharField(max_length=1000, blank=True)
    state = models.CharField(max_length=20, choices=ActionState, default=ActionState.WAITING, db_index=True)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()  # end of the undo window, or the next try after a pause
    attempt = models.PositiveIntegerField(default=0)
    dead_attempts = models.PositiveSmallIntegerField(default=0)  # attempts whose worker never came back
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)  # of the present attempt; committed before the first byte goes out
    finished_at = models.DateTimeField(null=True)
    request = models.JSONField(null=True)  # exactly what was sent, attachments as their SHA-256
    looks = models.PositiveIntegerField(default=0)  # how often an unanswered write has been looked up
    next_look_at = models.DateTimeField(null=True)
    looking = models.JSONField(default=dict, db_default={})  # of a chunk: how far the present look has come
    evidence = models.JSONField(default=list)  # what each look found: {"at": ISO 8601, "found": sentence}
    needs_person = models.BooleanField(default=False)
    explanation = models.CharField(max_length=500, blank=True)  # one sentence for the analyst
    audit_sequence = models.BigIntegerField(null=True)

    bell_rang = True  # whether the broker took the message just now; told to the person who clicked, not stored

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"]), models.Index(fields=["actor", "-created_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "number"], condition=Q(job__isnull=False), name="each_chunk_number_once_per_job"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.state}"


class ActionItem(models.Model):
    """One message of an action. While it is open, nobody can start another action on the same message.

    Messages of a job belong to it from the day they are collected, and to a chunk once they are packed.
    """

    action = models.ForeignKey(Action, null=True, on_delete=models.CASCADE, related_name="items")
    job = models.ForeignKey(BulkJob, null=True, on_delete=models.CASCADE, related_name="items", db_index=False)
    investigate_id = models.CharField(max_length=255, db_index=True)
    postfix_id = models.CharField(max_length=255, blank=True)
    alert_id = models.CharField(max_length=255, blank=True)
    message_id = models.TextField(blank=True)
    subject = models.TextField(blank=True)
    edf_hash = models.CharField(max_length=255, blank=True)
    recipients = models.JSONField(default=list)
    domains = models.TextField(blank=True, db_default="")  # of all recipients, as `access.scope.spaced` writes them
    disposition = models.CharField(max_length=40, blank=True)  # what Cloudflare said when the decision was made
    attachment = models.BinaryField(null=True)  # the EML that goes with a submission; cleared once it is settled
    state = models.CharField(max_length=20, choices=ActionState, default=ActionState.WAITING)
    explanation = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict, db_default={})  # what `bulk.facts` keeps of it, and `Decision.facts`

    class Meta:
        indexes = [models.Index(fields=["job", "state", "id"])]
        constraints = [
            models.UniqueConstraint(
                fields=["investigate_id"],
                condition=Q(state__in=[state.value for state in OPEN_STATES]),
                name="one_open_action_per_message",
            ),
            models.UniqueConstraint(fields=["action", "investigate_id"], name="each_message_once_per_action"),
            models.UniqueConstraint(fields=["job", "investigate_id"], name="each_message_once_per_job"),
            models.CheckConstraint(
                condition=Q(action__isnull=False) | Q(job__isnull=False), name="every_item_has_an_action_or_a_job"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.investigate_id} {self.state}"


class Receipt(models.Model):
    """What the API answered for one recipient's copy of one message."""

    item = models.ForeignKey(ActionItem, on_delete=models.CASCADE, related_name="receipts")
    recipient = models.CharField(max_length=500, blank=True)
    is_done = models.BooleanField(null=True)  # None: the answer did not say, so it is not known
    status = models.CharField(max_length=500, blank=True)  # the API's own words
    completed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.recipient or 'message'}: {self.state}"

    @property
    def state(self) -> str:
        return "unknown" if self.is_done is None else "done" if self.is_done else "failed"
