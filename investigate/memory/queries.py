"""Asking the memory. Everything is of the configured account, and cut to the member's domains."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import QuerySet

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from investigate.actions import words as action_words
from investigate.desk import words
from investigate.desk.cases import cases_of
from investigate.models import ActionItem, ActionState, CaseState, SeenCopy, SeenMessage


def all_seen() -> QuerySet[SeenMessage]:
    """Every remembered message of the account."""
    return SeenMessage.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def seen_by(member: Member) -> QuerySet[SeenMessage]:
    """Those of them this member may know of."""
    return all_seen().filter(member.scope.q("domains"))


def copies_for(member: Member) -> QuerySet[SeenCopy]:
    """Single copies, of those mailboxes alone that the member may know of."""
    copies = SeenCopy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    return copies.filter(member.scope.q_of_copies("domain"))


def trimmed(seen: SeenMessage, scope: Scope) -> SeenMessage:
    """The row (not to be saved) without the recipients outside the scope, and without the states of their copies."""
    if scope.covers_all(seen.recipients):
        return seen
    seen.delivery_status = list(scope.states_inside(seen.recipients, seen.delivery_status))
    seen.recipients = list(scope.inside(seen.recipients))
    return seen


@dataclass(frozen=True)
class Act:
    """One thing the team did to a message."""

    word: str  # "released"
    who: str
    at: dt.datetime


@dataclass
class History:
    """What the team did to a message, newest first, and what it thinks of it."""

    acts: list[Act] = field(default_factory=list)
    verdict: str = ""  # an OwnVerdict
    verdict_by: str = ""
    verdict_at: dt.datetime | None = None
    is_done: bool = False  # somebody was through with it on the desk

    @property
    def verdict_words(self) -> str:
        return words.verdict(self.verdict) if self.verdict else ""


def history_of(member: Member, investigate_ids: Collection[str]) -> dict[str, History]:
    """Own actions and verdicts for these messages, as far as the member may know of them. Two queries."""
    found: dict[str, History] = defaultdict(History)
    items = (
        ActionItem.objects.filter(member.scope.q("domains"), investigate_id__in=investigate_ids)
        .filter(action__isnull=False, state__in=[ActionState.DONE, ActionState.PARTLY_DONE])
        .order_by("-action__created_at")
        .values_list(
            "investigate_id", "action__kind", "action__destination", "action__actor_name", "action__created_at"
        )
    )
    for name, kind, destination, who, at in items:
        found[name].acts.append(Act(action_words.past(kind, destination), who, at))
    cases = cases_of(member).filter(investigate_id__in=investigate_ids)
    for name, verdict, by, decided_at, state in cases.values_list(
        "investigate_id", "verdict", "verdict_by", "verdict_at", "state"
    ):
        if verdict or state == CaseState.DONE:
            kept = found[name]
            kept.verdict, kept.verdict_by, kept.verdict_at = verdict, by, decided_at
            kept.is_done = state == CaseState.DONE
    return dict(found)
