"""Requests about the account's settings among the others: removing a protected domain takes two, as purging does.

What such a request is, and how it is decided, is the settings' own affair; here it stands in the list of what waits.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from settings_ui.changes import rights, words
from settings_ui.models import Change, ChangeState


@dataclass(frozen=True)
class ChangeRequest:
    """A change that takes two, with what a line of the list shows; `approvals.queries.ApprovalView` has the same."""

    change: Change
    member: Member

    one = None  # it is about no message

    @property
    def url(self) -> str:
        return reverse("settings:change", args=[self.change.pk])

    @property
    def command(self) -> str:
        return words.title(self.change)

    @property
    def reason(self) -> str:
        return self.change.reason

    @property
    def why(self) -> str:
        return self.change.why_two

    @property
    def who(self) -> str:
        return self.change.actor_name

    @property
    def asked_at(self) -> dt.datetime:
        return self.change.created_at

    @property
    def expires_at(self) -> dt.datetime | None:
        return self.change.expires_at

    @property
    def is_pending(self) -> bool:
        return self.change.state == ChangeState.AWAITING_APPROVAL

    @property
    def state(self) -> str:
        shown = {ChangeState.PARTLY: "partly_done", ChangeState.RUNNING: "sending"}
        return shown.get(ChangeState(self.change.state), str(self.change.state))

    @property
    def state_words(self) -> str:
        told = words.short(self.change)
        is_approved = self.change.decided_by_name and self.change.state != ChangeState.CANCELLED
        return f"approved, {told}" if is_approved else told

    @property
    def ended(self) -> str:
        return "" if self.is_pending else words.sentence(self.change)

    @property
    def then(self) -> str:
        return ""

    @cached_property
    def why_not(self) -> str:
        """Why this member cannot decide it."""
        if self.change.expires_at is not None and self.change.expires_at <= timezone.now():
            return "This request has expired."
        return rights.why_not_decide(self.member, self.change)


def may_decide(member: Member) -> bool:
    """Whether any of these requests could wait for this member."""
    return rights.may_decide(member)


def for_me(member: Member) -> QuerySet[Change]:
    if not may_decide(member):
        return Change.objects.none()
    waiting = _asked().filter(state=ChangeState.AWAITING_APPROVAL, expires_at__gt=Now())
    return waiting.filter(actor__isnull=False).exclude(actor=member)


def mine(member: Member) -> QuerySet[Change]:
    return _asked().filter(actor=member) if member.scope.is_whole else Change.objects.none()


def every(member: Member) -> QuerySet[Change]:
    """All of them, for those who may see the account's settings."""
    if not (member.scope.is_whole and member.may(Permission.POLICY_READ)):
        return Change.objects.none()
    return _asked()


def waiting(member: Member) -> QuerySet[Change]:
    """Those that wait, as far as this member may know of them, the one that expires first at the top."""
    found = every(member).filter(state=ChangeState.AWAITING_APPROVAL, expires_at__gt=Now())
    return found.select_related("actor").order_by("expires_at", "pk")


def listed(member: Member, show: str, most: int) -> list[ChangeRequest]:
    """As `approvals.queries.listed`; a member who may not open their page sees none."""
    if not member.may(Permission.POLICY_READ):
        return []
    found = {"mine": mine, "all": every}.get(show, for_me)(member).select_related("actor")
    waiting = found.filter(state=ChangeState.AWAITING_APPROVAL).order_by("expires_at", "pk")[:most]
    ended = found.exclude(state=ChangeState.AWAITING_APPROVAL).order_by("-created_at")[:most]
    requests = [ChangeRequest(change, member) for change in (*waiting, *ended)]
    return [one for one in requests if not one.why_not] if show not in ("mine", "all") else requests


def _asked() -> QuerySet[Change]:
    """Every change that takes two, or took two."""
    return Change.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID).exclude(why_two="")
