"""Files that people upload to look at before they decide anything."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Upload(models.Model):
    """A backup that is compared with the account: its uploader's alone, and for an hour."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    member = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    file_name = models.CharField(max_length=200, blank=True)
    body = models.BinaryField()  # the backup as JSON, compressed
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.file_name} until {self.ends_at:%H:%M:%S}"
