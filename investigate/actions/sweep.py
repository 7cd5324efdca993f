"""Find stranded work in the database: the broker only rings the bell, and bells are lost."""

from __future__ import annotations

import structlog
from django.conf import settings
from django.db.models.functions import Now

from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring
from investigate.action_tasks import look_up_action, send_action
from investigate.actions import transitions
from investigate.models import Action, ActionState

log = structlog.get_logger("mailwarden.actions")

MOST_AT_ONCE = 500


def sweep_actions() -> None:
    """Ring again for due actions and looks, end the claims of dead workers. Harmless when repeated.

    Chunks wait for the turn of their job, so their jobs are rung for; see `bulk.sweep`.
    """
    _ring_for_what_is_due()
    expired = Action.objects.filter(
        state=ActionState.SENDING, claimed_at__lte=seconds_from_now(-transitions.CLAIM_SECONDS)
    )
    for action in expired[:MOST_AT_ONCE]:
        try:
            transitions.expire_claim(action, look_after=float(settings.QUIET_SECONDS))
        except Exception as problem:  # noqa: BLE001  one bad row must not keep the others from being rescued
            log.warning("claim_not_ended", action=str(action.pk), error=type(problem).__name__)


def _ring_for_what_is_due() -> None:
    due = Action.objects.filter(job=None, state=ActionState.WAITING, due_at__lte=Now()).order_by("due_at")
    for task, found in ((send_action, due), (look_up_action, transitions.looks_due().filter(job=None))):
        for pk in found.values_list("pk", flat=True)[:MOST_AT_ONCE]:
            if not ring(task.name, str(pk)):
                return  # the broker is away; the next sweep is not far
