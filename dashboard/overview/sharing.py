"""Figures that one counts and all see: each set at most once a minute, whoever asks, in whichever process.

Whoever finds them too old takes the row and counts; everybody else gets the older ones meanwhile. A count that never
came to its end holds nobody up for longer than a claim lasts.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db.models import Q
from django.utils import timezone

from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.overview.models import Snapshot

log = structlog.get_logger("mailwarden.overview")

FRESH = dt.timedelta(seconds=60)
CLAIM = dt.timedelta(minutes=2)  # longer than any count takes
KEPT = dt.timedelta(days=2)  # nobody has asked for them since

NOT_COUNTED = "The newest could not be counted; it is tried again within two minutes."


@dataclass(frozen=True)
class Shared:
    """Figures as of a moment; without `figures` nobody has counted them to the end yet."""

    figures: dict[str, Any]
    made_at: dt.datetime | None
    explanation: str = ""  # why there are no newer ones

    def is_younger_than(self, age: dt.timedelta) -> bool:
        return self.made_at is not None and timezone.now() - self.made_at < age


def key_for(what: str, scope: Scope = WHOLE) -> str:
    """The name of a set of figures. A scope may be longer than a column, so its digest stands for it."""
    domains = hashlib.sha256(str(scope).encode()).hexdigest()[:24] if not scope.is_whole else "all"
    return f"{settings.CLOUDFLARE_ACCOUNT_ID}:{domains}:{what}"


def stored(key: str) -> Shared:
    """What there is, however old."""
    found = Snapshot.objects.filter(key=key).first()
    return Shared({}, None) if found is None else Shared(found.figures, found.made_at, found.explanation)


def counted(
    key: str, count: Callable[[], dict[str, Any]], *, fresh: dt.timedelta = FRESH, claim: dt.timedelta = CLAIM
) -> Shared:
    """Figures no older than `fresh`, counted here where nobody else counts them at the moment; else the older ones."""
    claimed_at = _claim(key, fresh, claim)
    if claimed_at is not None:
        try:
            figures = count()
        except (AnyDatabaseError, EmailSecurityError) as problem:
            log.error("figures_not_counted", key=key, error=type(problem).__name__)
            # The claim stays, so that what is in trouble is not asked the same again by every viewer.
            Snapshot.objects.filter(key=key, claimed_at=claimed_at).update(explanation=NOT_COUNTED)
        else:
            _keep(key, claimed_at, figures)
    return stored(key)


def forget_old() -> None:
    """Delete figures that nobody has asked for in days, those of scopes that nobody has any more among them."""
    now = timezone.now()
    is_old = Q(made_at__lt=now - KEPT) | Q(made_at=None, claimed_at__lt=now - KEPT)
    Snapshot.objects.filter(is_old).delete()


def is_due(key: str, *, fresh: dt.timedelta = FRESH, claim: dt.timedelta = CLAIM) -> bool:
    """Whether a count would be begun now."""
    row = Snapshot.objects.filter(key=key)
    return row.filter(_due(fresh, claim)).exists() or not row.exists()


def _due(fresh: dt.timedelta, claim: dt.timedelta) -> Q:
    now = timezone.now()
    is_old = Q(made_at=None) | Q(made_at__lte=now - fresh)
    return is_old & (Q(claimed_at=None) | Q(claimed_at__lte=now - claim))


def _claim(key: str, fresh: dt.timedelta, claim: dt.timedelta) -> dt.datetime | None:
    """When this process took the count, or None where it is not due or somebody else's."""
    now = timezone.now()
    row = Snapshot.objects.filter(key=key)
    if not row.exists():
        Snapshot.objects.bulk_create([Snapshot(key=key)], ignore_conflicts=True)
    return now if row.filter(_due(fresh, claim)).update(claimed_at=now) else None


def _keep(key: str, claimed_at: dt.datetime, figures: dict[str, Any]) -> None:
    """Write what was counted while this count still holds the row: one that took too long was overtaken."""
    ours = Snapshot.objects.filter(key=key, claimed_at=claimed_at)
    ours.update(figures=figures, made_at=timezone.now(), claimed_at=None, explanation="")
