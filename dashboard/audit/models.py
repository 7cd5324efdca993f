"""The audit trail: append-only, each row sealed with the hash of the one before."""

from __future__ import annotations

from django.db import models


class AuditEvent(models.Model):
    """One thing somebody did, tried, or looked at.

    An action leaves two rows: `attempt`, written before the call, and its end (`done`, `failed`, `unknown`, ...),
    which names the first in `refers_to`. The actor's name is copied: it must outlive the account.
    Rows hold no mail bodies and no credentials, and the database refuses to change or delete them.
    """

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=300)
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=80, db_index=True)
    phase = models.CharField(max_length=20)
    refers_to = models.BigIntegerField(null=True, db_index=True)
    targets = models.JSONField(default=list)
    reason = models.CharField(max_length=1000, blank=True)
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["sequence"]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.phase}"


class ChainHead(models.Model):
    """The last sequence number and hash; locked while a row is added, so that the chain has no forks."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)

    def __str__(self) -> str:
        return f"audit chain up to {self.sequence}"


class ChainCheck(models.Model):
    """How far the chain was found whole, and the first broken link once there is one.

    Two walks: a short one over what is new since `sequence`, every minute or so, and a long one from the first row,
    which `walk_*` carries on in steps until it has met the short one.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)  # the last row known to be good
    hash = models.CharField(max_length=64, default="0" * 64)
    checked_at = models.DateTimeField(null=True)
    walk_sequence = models.BigIntegerField(default=0)
    walk_hash = models.CharField(max_length=64, default="0" * 64)
    walk_ended_at = models.DateTimeField(null=True)  # when every row was last looked at
    problem = models.CharField(max_length=500, blank=True)  # one sentence about the first broken link
    broken_at = models.DateTimeField(null=True)  # when that was found

    def __str__(self) -> str:
        return self.problem or f"audit chain whole up to {self.sequence}"


class Stream(models.Model):
    """How far the trail was sent to a receiver outside, and what keeps the rest from it."""

    name = models.CharField(primary_key=True, max_length=20)
    position = models.BigIntegerField(default=0)  # the last row that was taken
    claimed_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    tries = models.PositiveIntegerField(default=0)  # in a row without success
    problem = models.CharField(max_length=300, blank=True)
    sent_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"audit rows sent to {self.name} up to {self.position}"
