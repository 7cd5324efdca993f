"""Find stranded changes: the broker only rings the bell, and bells are lost."""

from __future__ import annotations

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring
from settings_ui.changes import approving, planning, sending, transitions
from settings_ui.changes.looking import LOOK_TASK
from settings_ui.models import Change, ChangeState, Step, StepState

log = structlog.get_logger("mailwarden.changes")

MOST_AT_ONCE = 500


def sweep_changes() -> None:
    """End the claims of dead workers and requests nobody decided, ring for what is due. Harmless when repeated."""
    approving.expire_due()
    calls = Step.objects.filter(change__account_id=settings.CLOUDFLARE_ACCOUNT_ID).select_related("change")
    dead = calls.filter(state=StepState.SENDING, claimed_at__lte=seconds_from_now(-transitions.CLAIM_SECONDS))
    for step in dead[:MOST_AT_ONCE]:
        try:
            transitions.expire_claim(step)
        except Exception as problem:  # noqa: BLE001  one bad row must not keep the others from being rescued
            log.warning("change_not_swept", step=str(step.pk), error=type(problem).__name__)
    mine = Step.objects.filter(change=OuterRef("pk"))
    busy = mine.filter(state__in=[StepState.SENDING, StepState.UNKNOWN])
    stopped = planning.of_account().filter(~Exists(busy), state=ChangeState.CANCELLED, finished_at=None)
    for change in stopped[:MOST_AT_ONCE]:
        _end(change)
    for key in calls.filter(state=StepState.UNKNOWN, due_at__lte=Now()).values_list("pk", flat=True)[:MOST_AT_ONCE]:
        if not ring(LOOK_TASK, str(key)):
            return  # the broker is away; the next sweep is not far
    resting = mine.filter(state=StepState.WAITING, due_at__gt=Now())
    due = planning.of_account().filter(state=ChangeState.WAITING, due_at__lte=Now())
    stranded = planning.of_account().filter(~Exists(busy), ~Exists(resting), state=ChangeState.RUNNING)
    for change in [*due[:MOST_AT_ONCE], *stranded[:MOST_AT_ONCE]]:
        if not sending.ring_for(change, after=0):
            return


def _end(change: Change) -> None:
    """Nothing of a stopped change is on its way, yet it never came to its end."""
    try:
        with transaction.atomic():
            transitions.end_stopped(transitions.held(change))
    except Exception as problem:  # noqa: BLE001  as above
        log.warning("change_not_swept", change=str(change.pk), error=type(problem).__name__)
