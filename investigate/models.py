"""Things only we know: searches in flight and their answers, and what people did with messages."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class SearchState(models.TextChoices):
    RUNNING = "running"  # a process is asking right now
    SLOW = "slow"  # the service answered 202, or the page's patience ended: a worker asks on
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SearchRun(models.Model):
    """One page of one upstream search, shared by everybody who asks the same.

    `key` stands for the account, the parameters and, on first pages of a relative range, the range ("last 24 h"), so
    that colleagues share; `start` and `end` are what this run really asked for. A finished run never changes.
    At most one run per key is open: the database refuses a second one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)  # whose mail it found: another account's viewers never see it
    key = models.CharField(max_length=64, db_index=True)
    parameters = models.JSONField()  # canonical search parameters, without the window and the cursor
    start = models.DateTimeField()
    end = models.DateTimeField()
    cursor = models.TextField(blank=True)
    per_page = models.PositiveIntegerField(default=100)
    state = models.CharField(max_length=12, choices=SearchState, default=SearchState.RUNNING)
    attempt = models.PositiveIntegerField(default=1)
    claimed_at = models.DateTimeField(null=True)
    location = models.TextField(blank=True)  # where the service said the answer will be
    polls = models.PositiveIntegerField(default=0)
    restarts = models.PositiveSmallIntegerField(default=0)  # an expired answer is asked for afresh once
    started_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # when the worker asks next
    deadline_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    body = models.BinaryField(null=True)  # the answer as it came, compressed
    count = models.PositiveIntegerField(default=0)
    next_cursor = models.TextField(blank=True)
    error = models.CharField(max_length=60, blank=True)  # class of the error, for the page that explains it
    error_status = models.PositiveSmallIntegerField(null=True)
    error_text = models.CharField(max_length=500, blank=True)  # the API's own words, never trusted
    retry_after = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(state__in=["running", "slow"]), name="one_open_run_per_search"
            ),
        ]
        indexes = [models.Index(fields=["state", "due_at"]), models.Index(fields=["key", "-started_at"])]

    def __str__(self) -> str:
        return f"search {self.id} {self.state}"


class SearchWatch(models.Model):
    """When a member's page last looked at a slow run. No constraint ties it to the run: runs are purged in bulk."""

    run = models.ForeignKey(SearchRun, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    member = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "member"], name="each_watcher_once_per_search")]

    def __str__(self) -> str:
        return f"{self.member_id} watches {self.run_id}"


class ActionKind(models.TextChoices):
    MOVE = "move"
    RELEASE = "release"
    RECLASSIFY = "reclassify"


class ActionState(models.TextChoices):
    AWAITING_APPROVAL = "awaiting_approval", "awaiting approval"
    WAITING = "waiting"
    SENDING = "sending"
    DONE = "done"
    PARTLY_DONE = "partly_done", "partly done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


OPEN_STATES = [ActionState.AWAITING_APPROVAL, ActionState.WAITING, ActionState.SENDING, ActionState.UNKNOWN]


class Action(models.Model):
    """What somebody decided to do, written down before any call is made.

    Transitions out of `sending` name their `attempt`: a late answer of an overtaken worker changes nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operation_key = models.CharField(
        max_length=64, unique=True
    )  # made with the form; the same key is the same decision
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
    evidence = models.JSONField(default=list)  # what each look found: {"at": ISO 8601, "found": sentence}
    needs_person = models.BooleanField(default=False)
    explanation = models.CharField(max_length=500, blank=True)  # one sentence for the analyst
    audit_sequence = models.BigIntegerField(null=True)

    bell_rang = True  # whether the broker took the message just now; told to the person who clicked, not stored

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"]), models.Index(fields=["actor", "-created_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.state}"


class ActionItem(models.Model):
    """One message of an action. While it is open, nobody can start another action on the same message."""

    action = models.ForeignKey(Action, on_delete=models.CASCADE, related_name="items")
    investigate_id = models.CharField(max_length=255, db_index=True)
    postfix_id = models.CharField(max_length=255, blank=True)
    alert_id = models.CharField(max_length=255, blank=True)
    message_id = models.TextField(blank=True)
    subject = models.TextField(blank=True)
    edf_hash = models.CharField(max_length=255, blank=True)
    recipients = models.JSONField(default=list)
    disposition = models.CharField(max_length=40, blank=True)  # what Cloudflare said when the decision was made
    attachment = models.BinaryField(null=True)  # the EML that goes with a submission; cleared once it is settled
    state = models.CharField(max_length=20, choices=ActionState, default=ActionState.WAITING)
    explanation = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["investigate_id"],
                condition=Q(state__in=[state.value for state in OPEN_STATES]),
                name="one_open_action_per_message",
            ),
            models.UniqueConstraint(fields=["action", "investigate_id"], name="each_message_once_per_action"),
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
