"""Find stranded work in the database: the broker only rings the bell, and bells are lost."""

from __future__ import annotations

import structlog
from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from investigate.action_tasks import look_up_action, send_action
from investigate.actions import transitions
from investigate.models import Action, ActionState

log = structlog.get_logger("mailwarden.actions")
MOST_AT_ONCE = 500


def sweep_actions() -> None:
    """Ring again for due actions and looks, end the claims of dead workers. Harmless when repeated."""

    expired = Action.objects.filter(
        state=ActionState.SENDING, claimed_at__lte=transitions.seconds_from_now(-transitions.CLAIM_SECONDS)
    )
    for action in expired[:MOST_AT_ONCE]:
        transitions.expire_claim(action, look_after=float(settings.QUIET_SECONDS))
    due = Action.objects.filter(state=ActionState.WAITING, due_at__lte=Now()).order_by("due_at")
    looks = Action.objects.filter(
        Q(next_look_at__lte=Now()), state=ActionState.UNKNOWN, sent_at__isnull=False
    ).order_by("next_look_at")
    try:
        for pk in due.values_list("pk", flat=True)[:MOST_AT_ONCE]:
            send_action.apply_async(args=[str(pk)], retry=False)
        for pk in looks.values_list("pk", flat=True)[:MOST_AT_ONCE]:
            look_up_action.apply_async(args=[str(pk)], retry=False)
    except (OperationalError, OSError) as problem:
        log.warning("sweep_cannot_ring", error=type(problem).__name__)
