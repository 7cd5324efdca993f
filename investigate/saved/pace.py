"""How often each view is read: only those somebody cares for, and all of them together within their part of the calls.

One reading serves everybody, so the number of people who look changes nothing.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.installation.values import setting
from investigate.models import NoticeRule, Rhythm, SavedView
from investigate.saved.asking import criteria_of
from investigate.search.criteria import MOST_BRANCHES

WANTED = dt.timedelta(days=1)  # a view nobody has looked at for so long is not read
SOONEST = dt.timedelta(minutes=1)  # where somebody is told at once
BUDGET_WINDOW = dt.timedelta(minutes=5)  # the stretch of time the service counts calls in


def all_views() -> QuerySet[SavedView]:
    """Every view of the account."""
    return SavedView.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def live_views() -> QuerySet[SavedView]:
    """Views that are read: somebody looked at their count within a day, or is told of what they find."""
    rules = NoticeRule.objects.filter(view=OuterRef("pk"), is_on=True)
    found = all_views().annotate(tells=Exists(rules), hurries=Exists(rules.filter(rhythm=Rhythm.AT_ONCE)))
    return found.filter(Q(wanted_at__gt=timezone.now() - WANTED) | Q(tells=True))


def pace() -> dict[int, dt.timedelta]:
    """The time between two readings of each live view.

    All together make at most half of the collector's share of calls (the memory's own reading has the other half);
    with more views than that allows, each is read less often.
    """
    usual = dt.timedelta(minutes=setting("VIEW_MINUTES"))
    every, calls = {}, 0.0
    for view in live_views():
        wait = min(usual, SOONEST) if view.hurries else usual  # type: ignore[attr-defined]
        every[view.pk] = wait
        calls += min(criteria_of(view).branch_count, MOST_BRANCHES) * (BUDGET_WINDOW / wait)
    allowed = max(1.0, settings.CALL_LIMIT * setting("COLLECTOR_SHARE") / 100 / 2)
    stretch = max(1.0, calls / allowed)
    return {pk: wait * stretch for pk, wait in every.items()}
