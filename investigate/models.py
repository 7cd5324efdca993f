"""Things only we know: searches in flight and their answers, what people did with messages, work on many at once."""

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
    QUEUED = "queued"  # only messages of a job: their turn has not come, and nobody is kept from acting on them
    SKIPPED = "skipped"  # only messages of a job: it cannot work, or somebody else was faster


OPEN_STATES = [ActionState.AWAITING_APPROVAL, ActionState.WAITING, ActionState.SENDING, ActionState.UNKNOWN]


class JobSource(models.TextChoices):
    SELECTION = "selection"  # ticked rows
    SEARCH = "search"  # everything a search finds
    PASTE = "paste"  # ids, hashes, addresses out of a text
    JOB = "job"  # the messages of an earlier job


class JobState(models.TextChoices):
    """A job begins as a rehearsal: its messages are collected and looked at; nothing is sent before it is decided."""

    COLLECTING = "collecting"
    REHEARSAL = "rehearsal"  # collected; waits for its owner to look and decide
    WAITING = "waiting"  # decided; its undo window runs
    RUNNING = "running"
    PAUSED = "paused"  # goes on by a click
    DONE = "done"  # every message has its end, or waits for a person
    CANCELLED = "cancelled"
    FAILED = "failed"  # its messages could not be collected


LIVE_JOBS = [JobState.WAITING, JobState.RUNNING, JobState.PAUSED]


class BulkJob(models.Model):
    """One decision on many messages, carried out in chunks: each chunk is an `Action` of up to 1,000 `ActionItem`s.

    Messages wait as items without an action; when their turn comes they are packed into the next chunk, which is then
    sent like any other action. Every change raises `version`, so that a page can tell whether it is current.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    operation_key = models.CharField(max_length=64, unique=True)  # made with the form that began the job
    decision_key = models.CharField(max_length=64, blank=True)  # made with the form that decided it
    fingerprint = models.CharField(max_length=64)  # of what the beginning form held: same key, other content is refused
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=300)
    kind = models.CharField(max_length=12, choices=ActionKind)
    destination = models.CharField(max_length=40, blank=True)  # move
    expected_disposition = models.CharField(max_length=20, blank=True)  # reclassify
    reason = models.CharField(max_length=1000, blank=True)  # or the ticket
    source = models.CharField(max_length=12, choices=JobSource)
    query = models.TextField(blank=True)  # of a search: as in the address of the search page, with exact start and end
    state = models.CharField(max_length=12, choices=JobState, default=JobState.COLLECTING)
    explanation = models.CharField(max_length=500, blank=True)  # one sentence: why it pauses, waits, or failed
    version = models.PositiveIntegerField(default=1)
    counts = models.JSONField(default=dict)  # messages by state, as of the last change: {"queued": 9000, "done": 1000}
    copies = models.JSONField(default=dict)  # recipients' copies by end: {"done": 1200, "failed": 3, "unknown": 0}
    progress = models.JSONField(default=dict)  # collecting: where it stands; rehearsal: its sums; engine: halvings
    not_found = models.JSONField(default=list)  # of a paste: [{"text", "kind", "why"}], the first thousand
    not_found_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    collected_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)  # when a worker takes the next step; None: not by itself
    claimed_at = models.DateTimeField(null=True)  # of the collecting step that runs
    attempt = models.PositiveIntegerField(default=0)  # of collecting; a step that was overtaken stores nothing
    dead_attempts = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # when its owner was shown that it had finished
    audit_sequence = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"]), models.Index(fields=["actor", "-created_at"])]
        constraints = [
            models.UniqueConstraint(fields=["decision_key"], condition=~Q(decision_key=""), name="each_decision_once"),
        ]

    def __str__(self) -> str:
        return f"job {self.id} {self.state}"


class JobInput(models.Model):
    """What a job was begun with, apart from it because it may be long: ids of ticked rows, or the terms of a paste."""

    job = models.OneToOneField(BulkJob, on_delete=models.CASCADE, related_name="input")
    terms = models.JSONField(default=list)  # [[kind, text], ...] in their order, each once

    def __str__(self) -> str:
        return f"input of {self.job_id}"


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
    disposition = models.CharField(max_length=40, blank=True)  # what Cloudflare said when the decision was made
    attachment = models.BinaryField(null=True)  # the EML that goes with a submission; cleared once it is settled
    state = models.CharField(max_length=20, choices=ActionState, default=ActionState.WAITING)
    explanation = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict, db_default={})  # of a job's message: what `bulk.facts` keeps of it

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


class UpstreamJob(models.Model):
    """A bulk job that Cloudflare itself carries out over a search. Written down before it is asked for.

    Its key stands in the job's comment, so that a job whose answer was lost is found again instead of made twice.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    operation_key = models.CharField(max_length=64, unique=True)
    fingerprint = models.CharField(max_length=64)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=300)
    kind = models.CharField(max_length=12, choices=ActionKind)  # move or release
    destination = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=1000, blank=True)
    query = models.TextField(blank=True)  # as in the address of the search page, with exact start and end
    request = models.JSONField(default=dict)  # exactly what is sent
    counted = models.JSONField(default=dict)  # what a look at the search found before
    state = models.CharField(max_length=20, choices=ActionState, default=ActionState.WAITING)  # of asking for the job
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempt = models.PositiveIntegerField(default=0)
    dead_attempts = models.PositiveSmallIntegerField(default=0, db_default=0)  # whose worker never came back
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    looks = models.PositiveIntegerField(default=0)
    next_look_at = models.DateTimeField(null=True)
    needs_person = models.BooleanField(default=False)
    explanation = models.CharField(max_length=500, blank=True)
    upstream_id = models.CharField(max_length=100, blank=True, db_index=True)
    snapshot = models.JSONField(null=True)  # the job as Cloudflare last showed it
    snapshot_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # when its owner was shown that it had finished
    audit_sequence = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "upstream_id"], condition=~Q(upstream_id=""), name="each_job_there_is_one_of_ours"
            ),
        ]

    def __str__(self) -> str:
        return f"upstream job {self.id} {self.state}"
