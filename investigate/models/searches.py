"""Searches in flight, and the answers that viewers share."""

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
    remembered_at = models.DateTimeField(null=True)  # when its rows went into our own memory

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
