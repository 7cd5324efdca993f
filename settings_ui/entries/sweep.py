"""Find stranded work and entries whose time is over: the broker only rings the bell, and bells are lost."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.conf import settings
from django.db.models.functions import Now

from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring
from settings_ui.entries import announcing, transitions
from settings_ui.entries.rules import NEVER_ENDED
from settings_ui.models import Entry, EntryState
from settings_ui.tasks import look_up_entry, remove_entry, send_entry

log = structlog.get_logger("mailwarden.entries")

MOST_AT_ONCE = 500
_TASKS = {
    EntryState.WAITING: send_entry,
    EntryState.UNKNOWN: look_up_entry,
    EntryState.REMOVING: remove_entry,
}


def sweep_entries() -> None:
    """Find what is over, what ends soon, what a dead worker left and what is due. Harmless when repeated."""
    entries = transitions.of_account()
    over = entries.filter(state=EntryState.ACTIVE, expires_at__lte=Now()).exclude(resource__in=NEVER_ENDED)
    for entry in over[:MOST_AT_ONCE]:
        _carefully(entry, transitions.begin_removal)
    dead = entries.filter(state=EntryState.SENDING, claimed_at__lte=seconds_from_now(-transitions.CLAIM_SECONDS))
    for entry in dead[:MOST_AT_ONCE]:
        _carefully(entry, lambda one: transitions.expire_claim(one, look_after=float(settings.QUIET_SECONDS)))
    for state, task in _TASKS.items():
        due = entries.filter(state=state, due_at__lte=Now()).order_by("due_at")
        for pk in due.values_list("pk", flat=True)[:MOST_AT_ONCE]:
            if not ring(task.name, str(pk)):
                return  # the broker is away; the next sweep is not far
    announcing.ring_for_announcements()


def _carefully(entry: Entry, change: Callable[[Entry], object]) -> None:
    try:
        change(entry)
    except Exception as problem:  # noqa: BLE001  one bad row must not keep the others from being rescued
        log.warning("entry_not_swept", entry=str(entry.pk), error=type(problem).__name__)
