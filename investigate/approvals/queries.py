"""Requests as pages show them: those I may decide, those I asked for, all of them, and one with everything about it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.db.models import F, Prefetch, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Now, Replace, Trim
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.scope import domain_of
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.emailsec.types import Message
from investigate.actions import queries as action_queries
from investigate.actions import words as action_words
from investigate.actions.feasibility import known_about, obstacle
from investigate.approvals import of_settings, services, words
from investigate.approvals.fingerprints import About
from investigate.approvals.needs import SPECIAL
from investigate.approvals.of_settings import ChangeRequest
from investigate.approvals.rights import why_not_decide
from investigate.bulk import outlook
from investigate.bulk.facts import message_of
from investigate.bulk.progress import JobView
from investigate.bulk.rehearsal import Rehearsal, rehearsal_of
from investigate.bulk.upstream import presenting
from investigate.message.parts import read_message
from investigate.models import Action, ActionItem, Approval, ApprovalState, BulkJob

SHOWS = (("", "For me"), ("mine", "Mine"), ("all", "All"))
MOST_LISTED = 100
ABOUT = ("action", "job", "upstream_job")


@dataclass(frozen=True)
class One:
    """The message of a request, as it was when somebody asked."""

    item: ActionItem

    @property
    def domain(self) -> str:
        return domain_of(self.item.facts.get("from", ""))

    @property
    def verdict_word(self) -> str:
        return action_words.disposition(self.item.disposition) or "Unknown"

    @property
    def recipients(self) -> str:
        return action_words.counted(len(self.item.recipients), "recipient")


@dataclass(frozen=True)
class ApprovalView:
    """A request as `member` reads it."""

    approval: Approval
    member: Member

    @cached_property
    def about(self) -> About:
        found = self.approval.action or self.approval.job or self.approval.upstream_job
        if found is None:
            raise ValueError("a request is about one thing")
        return found

    @property
    def url(self) -> str:
        return reverse("investigate:approval", args=[self.approval.pk])

    @property
    def about_url(self) -> str:
        """The receipt, or the job's page."""
        match self.about:
            case Action():
                return reverse("investigate:action", args=[self.about.pk])
            case BulkJob():
                return reverse("investigate:job", args=[self.about.pk])
        return reverse("investigate:upstream_job", args=[str(self.about.pk)])

    @property
    def command(self) -> str:
        return words.command(self.about)

    @cached_property
    def one(self) -> One | None:
        """The message of a request about a single one, to tell it from others in a list."""
        if not isinstance(self.about, Action):
            return None
        item = next(iter(self.about.items.all()), None)
        return None if item is None else One(item)

    @property
    def to_approve(self) -> str:
        """ "Approve: purge 412 messages": what the button says."""
        return f"Approve: {words.lowered(self.command)}"

    @property
    def asks(self) -> str:
        return words.asks(self.approval, self.about)

    @property
    def reason(self) -> str:
        return self.about.reason

    @property
    def why(self) -> str:
        """Why it takes two."""
        return self.approval.why

    @property
    def who(self) -> str:
        return self.approval.requested_by_name

    @property
    def asked_at(self) -> dt.datetime:
        return self.approval.created_at

    @property
    def expires_at(self) -> dt.datetime:
        return self.approval.expires_at

    @property
    def state(self) -> str:
        return words.shown_state(self.approval, self.about)

    @property
    def state_words(self) -> str:
        return words.state_words(self.approval, self.about)

    @property
    def ended(self) -> str:
        return words.ended(self.approval, self.about)

    @property
    def then(self) -> str:
        """What became of what was approved."""
        if self.approval.state != ApprovalState.APPROVED:
            return ""
        match self.about:
            case Action():
                return action_queries.listed(self.about, self.member).sentence
            case BulkJob():
                return JobView(self.about, self.member).sentence
        return presenting.JobView(str(self.about.pk), self.about, None).sentence

    @property
    def is_pending(self) -> bool:
        return self.approval.state == ApprovalState.PENDING

    @property
    def is_overdue(self) -> bool:
        """Its time is over, and the sweep has not come by yet."""
        return self.is_pending and self.approval.expires_at <= timezone.now()

    @property
    def is_mine(self) -> bool:
        return self.approval.requested_by_id == self.member.pk

    @cached_property
    def why_not(self) -> str:
        """Why this member cannot decide it."""
        if self.is_overdue:
            return "This request has expired. Whoever wants it asks anew."
        return why_not_decide(self.member, self.approval, self.about)

    @property
    def may_withdraw(self) -> bool:
        return self.is_mine and self.is_pending

    @property
    def may_take_back(self) -> bool:
        """While its undo window runs: who asked, and who approved."""
        is_one_of_two = self.member.pk in (self.approval.requested_by_id, self.approval.decided_by_id)
        return is_one_of_two and self.due_at is not None

    @property
    def due_at(self) -> dt.datetime | None:
        """When what was approved is sent; None where it does not wait for its time to undo."""
        return self.about.due_at if services.is_waiting(self.approval, self.about) else None

    @property
    def is_moving(self) -> bool:
        """Whether it changes without anybody who looks at it."""
        return self.is_pending or (
            self.approval.state == ApprovalState.APPROVED and self.about.state in ("waiting", "sending", "running")
        )


@dataclass(frozen=True)
class Shown:
    """Exactly what will happen with one message: what is known of it, whose copies, and whether it can work now."""

    item: ActionItem
    recipients: list[str]
    why_not: str  # it cannot work as the message is now
    is_read: bool  # the message was read just now, and is not what was known when it was asked for
    message: Message | None

    @property
    def facts(self) -> object:
        return self.message if self.message is not None else message_of(self.item)

    @property
    def verdict_word(self) -> str:
        return action_words.disposition(self.item.disposition) or "Unknown"

    @property
    def where(self) -> str:
        message = self.message
        statuses = message.delivery_status if message is not None else ()
        return ", ".join(sorted(set(statuses))).replace("_", " ")


def visible(member: Member) -> QuerySet[Approval]:
    """The requests this member may know of: those whose every copy is inside their domains."""
    found = Approval.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    if member.scope.is_whole:
        return found
    rest: Combinable = F("domains")
    for domain in sorted(member.scope.domains):
        rest = Replace(rest, Value(f" {domain} "), Value(" "), output_field=TextField())
    return found.exclude(domains="").annotate(outside=Trim(rest)).filter(outside="")


def for_me(member: Member) -> QuerySet[Approval]:
    """Those that wait for this member. The last word on each has `rights.why_not_decide`, which knows mailboxes too."""
    if not member.may(Permission.APPROVAL_DECIDE):
        return Approval.objects.none()
    found = visible(member).filter(state=ApprovalState.PENDING, expires_at__gt=Now()).exclude(requested_by=member)
    found = found.exclude(action__actor=member).exclude(job__actor=member).exclude(upstream_job__actor=member)
    for right in SPECIAL:
        if not member.may(right):
            found = found.annotate(needed=Cast("permissions", TextField())).exclude(needed__contains=f'"{right}"')
    return found


def mine(member: Member) -> QuerySet[Approval]:
    return visible(member).filter(requested_by=member)


def untold(member: Member) -> QuerySet[Approval]:
    """Requests of the member's own that ended without their having been told."""
    return mine(member).exclude(state__in=[ApprovalState.PENDING, ApprovalState.WITHDRAWN]).filter(seen_at=None)


def listed(member: Member, show: str = "") -> list[ApprovalView]:
    """Requests: for me, mine, or all, those that wait first."""
    match show:
        case "mine":
            found = mine(member)
        case "all":
            found = visible(member)
        case _:
            found = for_me(member)
    found = found.select_related(*ABOUT, "requested_by", "decided_by").prefetch_related(
        Prefetch("action__items", ActionItem.objects.defer("attachment"))
    )
    waiting = list(found.filter(state=ApprovalState.PENDING).order_by("expires_at", "pk")[:MOST_LISTED])
    ended = list(found.exclude(state=ApprovalState.PENDING).order_by("-created_at")[: MOST_LISTED - len(waiting)])
    views = [ApprovalView(approval, member) for approval in (*waiting, *ended)]
    return [view for view in views if not view.why_not] if show not in ("mine", "all") else views


def with_settings(member: Member, views: list[ApprovalView], show: str = "") -> list[ApprovalView | ChangeRequest]:
    """The same list with the requests about the account's settings in their places."""
    others = of_settings.listed(member, show, MOST_LISTED)
    every: list[ApprovalView | ChangeRequest] = [*views, *others]
    waiting = sorted((one for one in every if one.is_pending), key=lambda one: one.expires_at or one.asked_at)
    ended = sorted((one for one in every if not one.is_pending), key=lambda one: one.asked_at, reverse=True)
    return [*waiting, *ended][:MOST_LISTED]


def view_of(approval: Approval, member: Member) -> ApprovalView:
    return ApprovalView(approval, member)


def shown(action: Action) -> Shown:
    """One message as it is now; where Cloudflare does not answer, as it was when somebody asked."""
    item = action.items.get()
    message: Message | None
    try:
        message = read_message(item.investigate_id)
    except EmailSecurityError:
        message = None
    known = known_about([item.investigate_id])
    why_not = ""
    if message is not None:
        why_not = obstacle(message, action.kind, expected=action.expected_disposition, known=known)
    return Shown(item, [str(name) for name in item.recipients], why_not, message is not None, message)


def rehearsed(job: BulkJob, member: Member, *, sample: int = 0) -> Rehearsal:
    """What a job would do, as who asked for it saw it."""
    return rehearsal_of(job, member, sample=sample)


def acted_on_since(job: BulkJob) -> str:
    """Which of a job's messages were acted on since they were collected, as a sentence, or ""."""
    return outlook.why_acted_on(job).replace(" Collect again.", " What others have done is left out.")
