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
