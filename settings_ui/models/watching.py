"""What the account's lists looked like when they were last read as a whole, and what was different then."""

from __future__ import annotations

from django.db import models

from settings_ui.models.changes import Line
from settings_ui.models.naming import start_of


class Reading(models.Model):
    """The last whole reading of one list."""

    account_id = models.CharField(max_length=64)
    resource = models.CharField(max_length=40)
    due_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)  # of the last one that came to its end
    count = models.PositiveIntegerField(null=True)
    explanation = models.CharField(max_length=500, blank=True)  # why the last try came to nothing

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account_id", "resource"], name="one_reading_of_a_list")]

    def __str__(self) -> str:
        return f"{self.resource} {self.finished_at}"


class Mirrored(models.Model):
    """One entry, as the last whole reading found it."""

    account_id = models.CharField(max_length=64)
    resource = models.CharField(max_length=40)
    upstream_id = models.CharField(max_length=100)
    label = models.CharField(max_length=1100)
    values = models.JSONField()
    created_at = models.DateTimeField(null=True)  # as Cloudflare says
    modified_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index("account_id", "resource", start_of("label"), name="mirrored_by_name")]
        constraints = [
            models.UniqueConstraint(fields=["account_id", "resource", "upstream_id"], name="each_entry_mirrored_once")
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.upstream_id}"


class Difference(models.TextChoices):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Observed(models.Model):
    """One difference between two readings: what happened at Cloudflare, by us or by somebody else."""

    account_id = models.CharField(max_length=64)
    resource = models.CharField(max_length=40)
    upstream_id = models.CharField(max_length=100)
    label = models.CharField(max_length=1100)
    what = models.CharField(max_length=10, choices=Difference)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    at = models.DateTimeField()  # when it was noticed; it happened since the reading before
    line = models.ForeignKey(Line, null=True, on_delete=models.SET_NULL, related_name="+")  # ours, if it was us

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "-at"]),
            models.Index(fields=["account_id", "resource", "upstream_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.what} {self.label}"
