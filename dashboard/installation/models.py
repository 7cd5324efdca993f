"""What an admin has set in the browser, and the latest checks of the connection."""

from __future__ import annotations

from django.db import models


class SetValue(models.Model):
    """A value that replaces the one of the environment; see `values.py` for the names and their bounds."""

    name = models.CharField(max_length=60, unique=True)
    value = models.JSONField()
    version = models.PositiveIntegerField(default=1)
    changed_by = models.CharField(max_length=300)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class SelfCheck(models.Model):
    """One look at everything the installation needs."""

    began_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    asked_by = models.CharField(max_length=300, blank=True)
    findings = models.JSONField(default=list)

    class Meta:
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return f"self-check of {self.began_at:%Y-%m-%d %H:%M}"
