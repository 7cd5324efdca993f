"""The shared call budget: one meter for all processes, people before background work, silence after a 429.

The service allows 1,200 calls in any five minutes per credential and then refuses everything for five minutes
(API rate limits, page of 2026-04-20). Each call is counted here before it leaves, in slots of five seconds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import structlog
from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import transaction
from django.utils import timezone

from dashboard.emailsec.errors import BudgetExhausted, ShareUsedUp
from dashboard.emailsec.transport import USUAL_RETRY_AFTER, Priority, priority_of, retry_after
from dashboard.installation.values import setting
from dashboard.upstream.clock import note_date
from dashboard.upstream.models import CallBudget

log = structlog.get_logger("mailwarden.budget")

SLOT_SECONDS = 5
WINDOW_SECONDS = 300
SLOTS = WINDOW_SECONDS // SLOT_SECONDS
UNREADABLE = 5.0  # seconds until another try where the count itself cannot be read

# The part of the budget each kind of work may use up: what is left above it is kept for those before it.
SHARES = {
    Priority.ACTION: 1.0,
    Priority.READ: 0.95,
    Priority.BULK: 0.85,
    Priority.REFRESH: 0.75,
    Priority.BACKGROUND: 0.5,
    Priority.COLLECT: 0.75,
    Priority.CATCH_UP: 0.7,  # of the collector's share as well
}


@dataclass(frozen=True)
class BudgetView:
    """What the footer shows: calls left of the limit, when the first of them come back, how long a freeze lasts."""

    limit: int
    left: int
    frozen_for: int  # seconds, 0 when not frozen
    back_in: int  # seconds until the oldest counted call leaves the window, 0 when none is counted


def fingerprint(secret: str) -> str:
    """A name for a credential that does not give it away."""
    return hashlib.sha256(f"mailwarden budget {secret}".encode()).hexdigest()


class SharedMeter:
    """Counts every call of one credential in the database, whichever process makes it."""

    def __init__(self, credential: str, *, limit: int | None = None) -> None:
        self.credential = credential
        self.limit = limit or settings.CALL_LIMIT

    def before(self, request: httpx.Request) -> None:
        """Reserve one call, or raise BudgetExhausted before anything is sent.

        A count that cannot be read (its row is held for too long, the database is away) holds the call back as well:
        nothing was sent, and whoever asked has to know that for certain.
        """
        priority = priority_of(request)
        try:
            if priority in (Priority.COLLECT, Priority.CATCH_UP):
                self._count_for_the_collector(priority)
            self.reserve(priority)
        except AnyDatabaseError as exc:
            log.warning("budget_not_read", error=type(exc).__name__)
            raise BudgetExhausted("the meter cannot be read", retry_after=UNREADABLE) from None

    def reserve(self, priority: Priority) -> None:
        now = timezone.now()
        slot = _slot_of(now)
        with transaction.atomic():
            budget = self._locked()  # until the end of this block nobody else counts for this credential
            if budget.frozen_until and budget.frozen_until > now:
                raise BudgetExhausted(retry_after=(budget.frozen_until - now).total_seconds())
            counted = _counted(budget, slot)
            spent = sum(counted.values())
            allowed = max(1, int(self.limit * SHARES[priority]))
            if spent >= allowed:
                raise BudgetExhausted(retry_after=float(_wait(counted, slot, spent - allowed + 1)))
            if budget.observed_until and budget.observed_until > now and budget.observed_left is not None:
                kept_back = self.limit - allowed
                if budget.observed_left <= kept_back:  # other tools of the same user spend the same budget
                    raise BudgetExhausted(retry_after=(budget.observed_until - now).total_seconds())
                budget.observed_left -= 1
            budget.calls = {**counted, slot: counted.get(slot, 0) + 1}  # what left the window is forgotten here
            budget.save(update_fields=["calls", "observed_left"])

    def _count_for_the_collector(self, priority: Priority) -> None:
        """Count a call in the collector's own share as well, all its sources and processes together."""
        try:
            self.of_the_collector().reserve(Priority.ACTION if priority == Priority.COLLECT else priority)
        except BudgetExhausted as held:
            raise ShareUsedUp(retry_after=held.retry_after) from None

    def of_the_collector(self) -> SharedMeter:
        """The meter of what the collector may spend in five minutes, whatever is left of the whole."""
        share = int(self.limit * setting("COLLECTOR_SHARE") / 100)
        return SharedMeter(fingerprint(f"collector {self.credential}"), limit=max(1, share))

    def after(self, headers: Mapping[str, str], status: int) -> None:
        """Learn from an answer: freeze on 429, and believe the service's own count and clock where it gives them."""
        if status == 429:
            self.freeze(retry_after(headers) or USUAL_RETRY_AFTER)
            return
        note_date(headers.get("date"))
        seen = re.search(r"r=(\d+)\s*;\s*t=(\d+)", headers.get("ratelimit", ""))
        if seen is None:
            return
        now = timezone.now()
        CallBudget.objects.filter(credential=self.credential).update(
            observed_left=min(int(seen[1]), 1_000_000),
            observed_until=now + dt.timedelta(seconds=min(int(seen[2]), WINDOW_SECONDS)),
            observed_at=now,
        )

    def freeze(self, seconds: float) -> None:
        """No process calls before this is over; a shorter freeze never shortens a longer one."""
        now = timezone.now()
        until = now + dt.timedelta(seconds=seconds)
        with transaction.atomic():
            budget = self._locked()
            if budget.frozen_until is None or budget.frozen_until < until:
                budget.frozen_until = until
                budget.save(update_fields=["frozen_until"])
        log.warning("budget_frozen", seconds=round(seconds))

    def view(self) -> BudgetView:
        now = timezone.now()
        slot = _slot_of(now)
        budget = CallBudget.objects.filter(credential=self.credential).first()
        if budget is None:
            return BudgetView(self.limit, self.limit, 0, 0)
        counted = _counted(budget, slot)
        left = self.limit - sum(counted.values())
        frozen = 0
        if budget.observed_until and budget.observed_until > now and budget.observed_left is not None:
            left = min(left, budget.observed_left)
        if budget.frozen_until and budget.frozen_until > now:
            frozen, left = int((budget.frozen_until - now).total_seconds()) + 1, 0
        return BudgetView(self.limit, max(0, left), frozen, _wait(counted, slot, 1) if counted else 0)

    def _locked(self) -> CallBudget:
        """The budget's row, made where it is missing and held until the transaction ends."""
        budget = CallBudget.objects.select_for_update().filter(credential=self.credential).first()
        if budget is None:
            CallBudget.objects.get_or_create(credential=self.credential)
            budget = CallBudget.objects.select_for_update().get(credential=self.credential)
        return budget


def _slot_of(now: dt.datetime) -> int:
    return int(now.timestamp()) // SLOT_SECONDS


def _counted(budget: CallBudget, slot: int) -> dict[int, int]:
    """Calls of each slot of the window, oldest first."""
    # One slot more than the window: the calls of the oldest slot may have been made at its very end.
    counted = ((int(name), calls) for name, calls in budget.calls.items())
    return dict(sorted(pair for pair in counted if pair[0] >= slot - SLOTS))


def _wait(counted: Mapping[int, int], slot: int, wanted: int) -> int:
    """Seconds until `wanted` calls have left the window."""
    freed = 0
    for counted_slot, calls in counted.items():
        freed += calls
        if freed >= wanted:
            return max(1, (counted_slot - slot + 1) * SLOT_SECONDS + WINDOW_SECONDS)
    return 1
