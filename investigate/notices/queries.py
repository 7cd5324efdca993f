"""The notices of a member, and what was sent."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.installation.values import setting
from investigate.models import Notice, NoticeCampaign, NoticeRule, NoticeState, Rhythm
from investigate.notices import rights, words
from investigate.notices.making import OPEN
from investigate.notices.rendering import Text, text_of, view_path
from investigate.saved.queries import query_into, views_of

PER_PAGE = 50
_FINISHED = (NoticeState.ARRIVED, NoticeState.FAILED)


@dataclass(frozen=True)
class ShownRule:
    """A rule as the list shows it."""

    rule: NoticeRule
    last: Notice | None  # the newest that arrived or failed, or is on its way
    is_own: bool
    may_open: bool  # the view: it may have been taken back from the team, or changed to mail of other domains

    @property
    def view_name(self) -> str:
        return self.rule.view.name if self.may_open else words.VIEW_CLOSED

    @property
    def rhythm(self) -> str:
        return words.rhythm(self.rule)

    @property
    def channel(self) -> str:
        return words.CHANNELS[self.rule.channel]  # type: ignore[index]

    @property
    def due_at(self) -> dt.datetime | None:
        """When it looks next; None where it is off, or looks all the time."""
        return self.rule.due_at if self.rule.is_on and self.rule.rhythm != Rhythm.AT_ONCE else None

    @property
    def view_url(self) -> str:
        return view_path(query_into(self.rule.view)) if self.may_open else ""

    @property
    def last_shown(self) -> ShownNotice | None:
        return ShownNotice(self.last) if self.last else None


@dataclass(frozen=True)
class ShownNotice:
    """A notice that was made, as the list shows it."""

    notice: Notice

    @property
    def is_test(self) -> bool:
        return not self.notice.messages

    @property
    def is_open(self) -> bool:
        return self.notice.state in OPEN

    @property
    def state(self) -> str:
        """As the style sheets name it."""
        return {"arrived": "done", "failed": "failed"}.get(self.notice.state, self.notice.state)

    @property
    def state_words(self) -> str:
        return words.STATES[self.notice.state]  # type: ignore[index]

    @property
    def channel(self) -> str:
        return words.CHANNELS[self.notice.channel]  # type: ignore[index]

    @property
    def what(self) -> str:
        if self.is_test:
            return "Test"
        told = words.counted(self.notice.messages, "message")
        return f"{told}, {words.counted(self.notice.campaigns, 'campaign')}" if self.notice.campaigns else told

    @property
    def tries(self) -> str:
        return words.counted(self.notice.attempts, "try", "tries") if self.notice.attempts else ""


def rules_of(member: Member) -> QuerySet[NoticeRule]:
    """Those a member may see: their own, and everybody's for who oversees them."""
    rules = NoticeRule.objects.filter(view__account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    return rules if rights.oversees(member) else rules.filter(owner=member)


def rule_for(member: Member, rule_id: uuid.UUID) -> NoticeRule:
    found = rules_of(member).select_related("view", "owner").filter(pk=rule_id).first()
    if found is None:
        raise Http404
    return found


def shown_rules(member: Member) -> list[ShownRule]:
    newest = Notice.objects.filter(rule=OuterRef("pk")).order_by("-created_at").values("pk")[:1]
    rules = list(
        rules_of(member).select_related("view", "owner").annotate(last_id=Subquery(newest)).order_by("created_at")
    )
    last = Notice.objects.defer("content").in_bulk([rule.last_id for rule in rules if rule.last_id])
    known = {view.pk for view in views_of(member)} if rules else set[int]()
    sees_all = rights.oversees(member)
    shown = [
        ShownRule(rule, last.get(rule.last_id), rule.owner_id == member.pk, sees_all or rule.view_id in known)
        for rule in rules
    ]
    return sorted(shown, key=lambda one: (not one.is_own, one.view_name.casefold(), one.rule.created_at))


def sent_to(member: Member) -> QuerySet[Notice]:
    return Notice.objects.all() if rights.oversees(member) else Notice.objects.filter(owner=member)


def notice_for(member: Member, notice_id: uuid.UUID) -> Notice:
    found = sent_to(member).select_related("rule__view", "rule__owner", "owner").filter(pk=notice_id).first()
    if found is None:
        raise Http404
    return found


@dataclass(frozen=True)
class Page:
    """One page of what was sent."""

    rows: Sequence[ShownNotice]
    number: int
    has_older: bool


def sent(member: Member, *, state: str = "", rule_id: uuid.UUID | None = None, number: int = 1) -> Page:
    """What was sent, newest first. `state`: a state, or "open" for what is on its way."""
    found = sent_to(member).select_related("owner").defer("content")
    if state:
        found = found.filter(state__in=OPEN) if state == "open" else found.filter(state=state)
    if rule_id:
        found = found.filter(rule=rule_id)
    first = (number - 1) * PER_PAGE
    rows = list(found.order_by("-created_at", "pk")[first : first + PER_PAGE + 1])
    return Page([ShownNotice(row) for row in rows[:PER_PAGE]], number, len(rows) > PER_PAGE)


def text_for(member: Member, notice: Notice) -> Text | None:
    """What a notice said; None where it holds what this member may not know of any more."""
    return text_of(notice) if member.scope.holds(Scope(frozenset(notice.content["domains"]))) else None


def troubles(member: Member) -> int:
    """How many of a member's own notices were switched off for them, or did not arrive the last time."""
    newest = Notice.objects.filter(rule=OuterRef("pk"), state__in=_FINISHED).order_by("-created_at").values("state")[:1]
    own = NoticeRule.objects.filter(owner=member, view__account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    bad = ~Q(stopped_why="") | Q(is_on=True, last_state=NoticeState.FAILED)
    return own.annotate(last_state=Subquery(newest)).filter(bad).count()


def forget_old() -> None:
    """Delete what is older than the list is kept; never what is still on its way."""
    old = timezone.now() - dt.timedelta(days=setting("NOTICE_DAYS"))
    Notice.objects.filter(state__in=_FINISHED, created_at__lt=old).delete()
    NoticeCampaign.objects.filter(told_at__lt=old).delete()
