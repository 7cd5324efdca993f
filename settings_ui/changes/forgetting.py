"""What changes forget: after a week what was discarded, after a year what ended changes said in full.

Who changed which entry, when and why stays, and so does what failed: it can be sent again. The audit trail keeps what
was decided.
"""

from __future__ import annotations

import datetime as dt

import structlog
from django.utils import timezone

from settings_ui.changes.transitions import ENDS
from settings_ui.models import Change, ChangeState, Line, LineState

log = structlog.get_logger("mailwarden.changes")

DISCARDED_FOR = dt.timedelta(days=7)
KEPT_FOR = dt.timedelta(days=365)
AT_ONCE = 1000  # lines of one statement, so that nobody waits for a lock
MOST_CHANGES = 20  # in one go; each may have ten thousand lines


def forget_old() -> None:
    """Harmless when repeated."""
    now = timezone.now()
    discarded = Change.objects.filter(
        state=ChangeState.CANCELLED, audit_sequence=None, finished_at__lt=now - DISCARDED_FOR
    )
    for change in discarded.order_by("finished_at")[:MOST_CHANGES]:
        _delete_lines(change, *LineState)
        change.delete()
        log.info("dry_run_forgotten", change=str(change.pk))
    told = Change.objects.filter(state__in=ENDS, finished_at__lt=now - KEPT_FOR).exclude(fingerprint="")
    for change in told.order_by("finished_at")[:MOST_CHANGES]:
        _delete_lines(change, LineState.LEFT_OUT)
        change.lines.filter(state__in=[LineState.DONE, LineState.CANCELLED]).update(before=None, values={})
        Change.objects.filter(pk=change.pk).update(fingerprint="")  # it is of nothing any more; says that this is done
        log.info("change_forgotten", change=str(change.pk))


def _delete_lines(change: Change, *states: LineState) -> None:
    lines = change.lines.filter(state__in=states)
    while keys := list(lines.order_by().values_list("pk", flat=True)[:AT_ONCE]):
        Line.objects.filter(pk__in=keys).delete()
