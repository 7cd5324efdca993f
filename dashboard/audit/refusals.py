"""What somebody tried and was not allowed to: written down, but never so often that it fills the trail."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError
from django.utils import timezone

from dashboard.access.roles import Permission
from dashboard.audit.models import AuditEvent, ChainHead
from dashboard.audit.recorder import AuditNotWritten, record

if TYPE_CHECKING:
    from django.http import HttpRequest

log = structlog.get_logger("mailwarden.audit")

MOST_A_MINUTE = 10  # of one member; a page left open, or a script, may ask again and again
LOOKED_AT = 5000  # of the newest rows, more than a minute writes
LONGEST_PATH = 400


def record_refusal(request: HttpRequest, missing: str) -> None:
    """Note that the signed-in member was refused, and where; `missing` is a permission, or why in words.

    Nothing is done, so nothing is stopped when this cannot be written: the refusal stands either way.
    """
    try:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return
        since = timezone.now() - dt.timedelta(minutes=1)
        head = ChainHead.objects.filter(pk=1).values_list("sequence", flat=True).first() or 0
        newest = AuditEvent.objects.filter(sequence__gt=head - LOOKED_AT)
        fresh = newest.filter(action="access:refused", actor_id=user.pk, at__gt=since)
        if fresh.count() >= MOST_A_MINUTE:
            log.warning("refusal_not_recorded", member=user.pk)
            return
        key = "permission" if missing in set(Permission) else "because"
        record(
            actor=user,
            action="access:refused",
            phase="refused",
            detail={key: missing[:200], "method": request.method, "path": request.path[:LONGEST_PATH]},
            request=request,
        )
    except (AuditNotWritten, DatabaseError) as problem:
        log.error("refusal_not_recorded", cause=type(problem).__name__)
