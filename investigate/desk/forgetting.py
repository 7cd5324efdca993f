"""After three months, forget the cases that hold nothing of ours."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q
from django.utils import timezone

from investigate.models import Case, CaseSource, CaseState

KEPT = dt.timedelta(days=90)
AT_ONCE = 500  # cases a statement deletes, so that nobody waits for a lock


def forget_old() -> None:
    """Cases that hold nothing of ours: done long ago without a verdict or a note, or never worked on at all."""
    before = timezone.now() - KEPT
    is_done = Q(state=CaseState.DONE, done_at__lt=before)
    is_untouched = Q(source=CaseSource.PERSON, version=1, changed_at__lt=before)
    old = Case.objects.filter(is_done | is_untouched, verdict="", notes=None)
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        old.filter(pk__in=ids).delete()
