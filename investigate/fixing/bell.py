"""Ringing for a worker that takes a fix further. Apart, so that the tasks of actions can ring without knowing more."""

from __future__ import annotations

import uuid

from dashboard.upstream.ring import ring
from investigate.models import FixStep

ADVANCE_TASK = "investigate.tasks.advance_fix"
_LONGEST_COUNTDOWN = 30  # a broker hands longer ones out again and again; the sweep is there for those
_MARGIN = 0.5


def ring_for_fix(fix_id: uuid.UUID, *, seconds: float = 0) -> bool:
    return ring(ADVANCE_TASK, str(fix_id), countdown=min(seconds, _LONGEST_COUNTDOWN) + _MARGIN)


def ring_after_action(action_id: uuid.UUID | str) -> None:
    """An action went on: if it is a step of a fix, the fix may go on as well."""
    for fix_id in FixStep.objects.filter(action_id=action_id, fix__finished_at=None).values_list("fix_id", flat=True):
        ring_for_fix(fix_id)
