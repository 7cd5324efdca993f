"""Who waits for a slow search, so that one person's Cancel does not take it from the others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from dashboard.access.models import Member
from investigate.models import SearchRun, SearchWatch

# A page looks every 10 s at the latest, and once a minute where a browser slows down a tab in the background.
PRESENT = dt.timedelta(seconds=90)
KEPT = dt.timedelta(hours=2)


def note(runs: Iterable[SearchRun], member: Member) -> None:
    """This member's page has just looked at these runs and waits for them."""
    now = timezone.now()
    for run in runs:
        _, is_new = SearchWatch.objects.update_or_create(run_id=run.pk, member=member, defaults={"seen_at": now})
        if is_new:
            SearchWatch.objects.filter(seen_at__lt=now - KEPT).delete()


def leave(ids: Iterable[UUID], member: Member) -> list[UUID]:
    """This member waits no more. Returns the runs nobody else waits for: two who leave at once both see the other gone
    or one of them does, so that no run goes on for nobody."""
    wanted = list(ids)
    SearchWatch.objects.filter(run_id__in=wanted, member=member).delete()
    watched = set(_present(wanted).values_list("run_id", flat=True))
    return [run_id for run_id in wanted if run_id not in watched]


def others(ids: Iterable[UUID], member: Member) -> list[str]:
    """Names of the other members who wait for any of these runs."""
    watches = _present(ids).exclude(member=member).select_related("member")
    return sorted({watch.member.display_name for watch in watches})


def _present(ids: Iterable[UUID]) -> QuerySet[SearchWatch]:
    return SearchWatch.objects.filter(run_id__in=list(ids), seen_at__gt=timezone.now() - PRESENT)
