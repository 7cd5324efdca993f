"""What a request about a job says: which job it is about, and since when they look on."""

from __future__ import annotations

import datetime as dt
import uuid

from django.shortcuts import get_object_or_404

from dashboard.access.decorators import MemberRequest
from investigate.bulk import progress
from investigate.models import BulkJob


def job_or_404(request: MemberRequest, job_id: uuid.UUID) -> BulkJob:
    return get_object_or_404(progress.of_account_within(request.user.scope, pk=job_id))


def number_in(request: MemberRequest, name: str) -> int:
    """A number out of the address; 0 for anything else."""
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else 0


def looks_since(request: MemberRequest, now: dt.datetime) -> dt.datetime:
    """When the page that asks was opened, or last acted on."""
    seconds = min(number_in(request, "since"), int(now.timestamp()))
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else now
