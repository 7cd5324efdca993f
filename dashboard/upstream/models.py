"""What we remember about the account at Cloudflare: its call budget, what its server lacks, copies of its answers."""

from __future__ import annotations

from django.db import models


class CallBudget(models.Model):
    """The budget of one credential: 1,200 calls in any five minutes, then everything is refused for five minutes.

    The counts of the window stand in the row itself: whoever holds its lock holds all there is to know before a call.
    """

    credential = models.CharField(max_length=64, primary_key=True)  # a fingerprint, never the token
    calls = models.JSONField(default=dict)  # calls made in each slot of five seconds, by the slot's number
    frozen_until = models.DateTimeField(null=True)
    observed_left = models.PositiveIntegerField(null=True)  # `r` of the last Ratelimit header: other tools spend too
    observed_until = models.DateTimeField(null=True)
    observed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"call budget {self.credential[:8]}"


class MissingFeature(models.Model):
    """An operation this account's server does not have; believed for a day."""

    account_id = models.CharField(max_length=32)
    feature = models.CharField(max_length=80)
    until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account_id", "feature"], name="one_row_per_feature")]

    def __str__(self) -> str:
        return f"{self.feature} is missing"


class Copy(models.Model):
    """A copy of one part of a message as the API answered it, so that a second look costs no call.

    `body` is compressed. Bodies (preview, raw) live at most `BODY_RETENTION_HOURS`; the sweep deletes what has expired.
    """

    account_id = models.CharField(max_length=32)
    investigate_id = models.CharField(max_length=255)
    part = models.CharField(max_length=40)
    body = models.BinaryField()
    fetched_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_id", "investigate_id", "part"], name="one_copy_per_part")
        ]
        verbose_name_plural = "copies"

    def __str__(self) -> str:
        return f"{self.part} of {self.investigate_id}"


class Heartbeat(models.Model):
    """When a background process last did something useful: proof that it works, not that it exists."""

    name = models.CharField(max_length=40, primary_key=True)  # "scheduler", "worker", "people", "bulk"
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.beat_at:%H:%M:%S}"


class Turn(models.Model):
    """When something that happens every so often was last begun, by whichever process; see `turns`."""

    name = models.CharField(max_length=100, primary_key=True)
    taken_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.taken_at:%H:%M:%S}"


class ClockSkew(models.Model):
    """A machine of ours whose clock differs from the service's; see `clock`."""

    machine = models.CharField(max_length=64, primary_key=True)
    seconds = models.IntegerField()  # ahead; behind is negative
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.machine} {self.seconds:+d} s"
