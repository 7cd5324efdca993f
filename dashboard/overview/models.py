"""Figures that were counted once and are shown to everybody who asks for the same."""

from __future__ import annotations

from django.db import models


class Snapshot(models.Model):
    """One set of figures, as of a moment. `key` stands for the account, the scope, the range and what is counted."""

    key = models.CharField(max_length=200, unique=True)
    figures = models.JSONField(default=dict)
    made_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)  # somebody counts at the moment
    explanation = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.key
