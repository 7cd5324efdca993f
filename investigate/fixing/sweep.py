"""Find fixes whose next step nobody has rung for."""

from __future__ import annotations

from django.conf import settings
from django.db.models.functions import Now

from dashboard.upstream.ring import ring
from investigate.fixing.bell import ADVANCE_TASK
from investigate.models import Fix

MOST_AT_ONCE = 500


def sweep_fixes() -> None:
    """Ring for fixes that are due. Harmless when repeated."""
    due = Fix.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, finished_at=None, due_at__lte=Now())
    for pk in due.order_by("due_at").values_list("pk", flat=True)[:MOST_AT_ONCE]:
        if not ring(ADVANCE_TASK, str(pk)):
            return  # the broker is away; the next sweep is not far
