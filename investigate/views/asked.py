"""What a request about a job says: who asks, about which job, and since when they look on."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import cast

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from dashboard.access.models import Member
from investigate.bulk import progress
from investigate.models import BulkJob


def member_of(request: HttpRequest) -> Member:
    return cast("Member", request.user)  # `requires` let nobody else in


def job_or_404(request: HttpRequest, job_id: uuid.UUID) -> BulkJob:
    return get_object_or_404(progress.of_account_within(member_of(request).scope, pk=job_id))


def number_in(request: HttpRequest, name: str) -> int:
    """A number out of the address; 0 for anything else."""
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else 0


def looks_since(request: HttpRequest, now: dt.datetime) -> dt.datetime:
    """When the page that asks was opened, or last acted on."""
    seconds = min(number_in(request, "since"), int(now.timestamp()))
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else now
