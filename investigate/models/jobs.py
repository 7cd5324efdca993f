"""Work on many messages: jobs that we carry out, and those that Cloudflare does."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from investigate.models.kinds import ActionKind, ActionState


class JobSource(models.TextChoices):
    SELECTION = "selection"  # ticked rows
    SEARCH = "search"  # everything a search finds
    PASTE = "paste"  # ids, hashes, addresses out of a text
    JOB = "job"  # the messages of an earlier job


class JobState(models.TextChoices):
    """A job begins as a rehearsal: its messages are collected and looked at; nothing is sent before it is decided."""

    COLLECTING = "collecting"
    REHEARSAL = "rehearsal"  # collected; waits for its owner to look and decide
    AWAITING_APPROVAL = "awaiting_approval", "awaiting approval"  # decided by its owner; a second person decides next
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
    scope = models.JSONField(default=list, db_default=[])  # recipient domains its owner was limited to; empty: none
    query = models.TextField(blank=True)  # of a search: as in the address of the search page, with exact start and end
    state = models.CharField(max_length=20, choices=JobState, default=JobState.COLLECTING)
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
