"""Finding what is due in this room, and ringing for it."""

from __future__ import annotations

from django.utils import timezone

from dashboard.upstream.ring import ring
from dashboard.upstream.turns import take_turn
from investigate.notices import making, queries, sending
from investigate.notices.tasks import make_notice, send_notice

MOST_AT_ONCE = 200


def sweep_notices() -> None:
    """Ring for whatever is due; called every few seconds."""
    now = timezone.now()
    sending.release_dead()
    for task, found in ((make_notice, making.due_rules(now)), (send_notice, sending.due(now))):
        for pk in found.values_list("pk", flat=True)[:MOST_AT_ONCE]:
            if not ring(task.name, str(pk)):
                return  # the broker is away; the next sweep is not far
    if take_turn("forget notices", every=3600.0):
        queries.forget_old()
