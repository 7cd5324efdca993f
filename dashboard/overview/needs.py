"""What waits for this member now. Counted for them alone, from the database, each time they look."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db.models import Prefetch
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.charts import fills
from dashboard.charts.bars import Piece, Share, pieces
from dashboard.overview import links
from dashboard.web.context import Frame
from investigate.approvals import of_settings
from investigate.approvals.of_settings import ChangeRequest
from investigate.approvals.queries import ABOUT, ApprovalView, visible
from investigate.campaigns import rules
from investigate.desk import collecting
from investigate.desk import queue as queues
from investigate.desk.queue import Tab
from investigate.models import ActionItem, ApprovalState, Notice, NoticeState, QueueMark

FAILED_DAYS = 7  # a notice that did not arrive is told for so long
MOST_SHOWN = 2  # requests for a second person, in words


@dataclass(frozen=True)
class Need:
    """A number with the list behind it."""

    number: int
    word: str
    url: str
    key: str
    is_urgent: bool = False  # it has waited too long, or its outcome is not known


@dataclass(frozen=True)
class Budget:
    """Calls of the last five minutes."""

    used: int
    limit: int

    @property
    def pieces(self) -> list[Piece]:
        return pieces([Share(fills.PLAIN, self.used), Share(fills.AWAY, self.limit - self.used)], self.limit)


@dataclass(frozen=True)
class Needs:
    entries: list[Need] = field(default_factory=list)
    troubles: list[tuple[str, QueueMark]] = field(default_factory=list)
    budget: Budget | None = None

    @property
    def waiting(self) -> int:
        return sum(bool(need.number) for need in self.entries)


@dataclass(frozen=True)
class Pending:
    """What waits for a second person, whoever that may be."""

    number: int
    shown: list[ApprovalView | ChangeRequest]

    @property
    def url(self) -> str:
        return links.approvals()


def needs_of(frame: Frame) -> Needs:
    """Only what the member's role may do something about, always in the same order."""
    if frame.member is None:
        return Needs()
    view = frame.budget
    budget = Budget(view.limit - view.left, view.limit) if view is not None else None
    return Needs(list(_needs(frame, frame.member)), collecting.troubles(), budget)


def _needs(frame: Frame, member: Member) -> Iterator[Need]:
    queue, actions = reverse("investigate:queue"), reverse("investigate:actions")
    if member.may(Permission.CASE_WORK):
        counts = queues.counts(member)
        yield Need(counts[Tab.MINE], "mine", f"{queue}?list=mine", "mine")
        yield Need(counts[Tab.UNCLAIMED], "unclaimed", f"{queue}?list=unclaimed", "unclaimed")
        yield Need(queues.overdue(member), "overdue", f"{queue}?list=all", "overdue", is_urgent=True)
    if member.may(Permission.APPROVAL_DECIDE) or of_settings.may_decide(member):
        yield Need(
            frame.requests_for_me, _of(frame.requests_for_me, "approval") + " for me",
            reverse("investigate:approvals"), "approvals",
        )  # fmt: skip
    yield Need(frame.mentions, _of(frame.mentions, "mention") + " of me", f"{queue}?list=mine", "mentions")
    if any(map(member.may, (Permission.MESSAGE_MOVE, Permission.MESSAGE_RELEASE, Permission.MESSAGE_RECLASSIFY))):
        word = _of(frame.unknown, "unknown outcome")
        yield Need(frame.unknown, word, f"{actions}?show=unknown", "unknown", is_urgent=True)
        offered = rules.waiting(member).count()
        word = "later copy offered" if offered == 1 else "later copies offered"
        yield Need(offered, word, f"{reverse('investigate:campaigns')}?waiting=1", "offered")
    if member.may(Permission.JOB_RUN):
        yield Need(frame.live_jobs, _of(frame.live_jobs, "job") + " running", reverse("investigate:jobs"), "jobs")
    failed = _failed_notices(member)
    word = f"{_of(failed, 'notice')} not delivered"
    yield Need(failed, word, reverse("investigate:notices"), "notices", is_urgent=True)


def pending(member: Member) -> Pending:
    """Requests that wait, as far as this member may know of them: how many, and the ones that expire first."""
    waiting = visible(member).filter(state=ApprovalState.PENDING, expires_at__gt=timezone.now())
    first = waiting.select_related(*ABOUT).prefetch_related(
        Prefetch("action__items", ActionItem.objects.defer("attachment"))
    )
    views: list[ApprovalView | ChangeRequest] = [
        ApprovalView(approval, member) for approval in first.order_by("expires_at", "pk")[:MOST_SHOWN]
    ]
    changes = of_settings.waiting(member)
    views += [ChangeRequest(change, member) for change in changes[:MOST_SHOWN]]
    views.sort(key=lambda one: one.expires_at or timezone.now())
    return Pending(waiting.count() + changes.count(), views[:MOST_SHOWN])


def _failed_notices(member: Member) -> int:
    """Notices of the member's own rules that were given up lately."""
    since = timezone.now() - dt.timedelta(days=FAILED_DAYS)
    return Notice.objects.filter(state=NoticeState.FAILED, rule__owner=member, created_at__gte=since).count()


def _of(number: int, word: str) -> str:
    return word if number == 1 else f"{word}s"
