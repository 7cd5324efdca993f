"""Submissions as pages show them: three verdicts side by side, and three states that are never mixed.

The states are how far Cloudflare has processed it, whether Cloudflare counts it as reviewed, and what we said of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.enums import Disposition, SubmitterType
from dashboard.web.times import age
from investigate.actions.queries import listed
from investigate.actions.within import theirs
from investigate.desk.cases import cases_of
from investigate.exporting.tables import Table, written_time
from investigate.message.wording import verdict_word
from investigate.models import (
    Action,
    ActionItem,
    Case,
    CaseReport,
    CaseSource,
    OwnVerdict,
    SeenMessage,
    SeenSubmission,
    SubmissionAnswer,
)
from investigate.submissions.figures import Answer, answer_of, seen_submissions

SUBMITTERS = {SubmitterType.TEAM: "Team", SubmitterType.USER: "User"}
BECAME = {Answer.ACCEPTED: "accepted", Answer.REJECTED: "rejected", Answer.OPEN: "open"}
REVIEW = {"escalated": "escalated", "reviewed": "reviewed", "unreviewed": "not reviewed"}
COLUMNS = (
    "submission_id", "requested_at", "type", "who", "requested_by", "subject", "sender", "original", "requested",
    "outcome", "outcome_text", "became", "outcome_seen_at", "processing", "review_at_cloudflare", "our_answer",
    "escalated_as", "escalated_submission_id", "reason", "postfix_id",
)  # fmt: skip
MOST_EVENTS = 50
MOST_ACTIONS = 10


@dataclass(frozen=True)
class Verdict:
    """One of the three: its value for the chip, and its word; empty where nothing is said."""

    value: str

    @property
    def word(self) -> str:
        return verdict_word(Disposition(self.value)) if self.value else ""


@dataclass(frozen=True)
class Shown:
    """One submission in words."""

    seen: SeenSubmission
    now: dt.datetime
    answered: SubmissionAnswer | None  # our newest answer to it

    @property
    def id(self) -> str:
        return self.seen.submission_id

    @property
    def url(self) -> str:
        return reverse("investigate:submission", args=[self.id])

    @property
    def is_user(self) -> bool:
        return self.seen.type == SubmitterType.USER

    @property
    def kind(self) -> str:
        return SUBMITTERS.get(SubmitterType(self.seen.type), self.seen.type) if self.seen.type else "not told by whom"

    @property
    def who(self) -> str:
        """The member where we know them, else the account the API names."""
        return self.seen.member_name or self.seen.requested_by

    @property
    def was(self) -> Verdict:
        return Verdict(self.seen.original)

    @property
    def asked(self) -> Verdict:
        return Verdict(self.seen.requested)

    @property
    def said(self) -> Verdict:
        return Verdict(self.seen.outcome)

    @property
    def became(self) -> Answer:
        return answer_of(self.seen.requested, self.seen.outcome, self.seen.outcome_text)

    @property
    def is_open(self) -> bool:
        return self.became == Answer.OPEN

    @property
    def is_rejected(self) -> bool:
        return self.became == Answer.REJECTED

    @property
    def became_word(self) -> str:
        return BECAME[self.became]

    @property
    def took(self) -> str:
        """ "waiting since 3 h", "after 2 h"; "" where we looked only after it was answered."""
        if self.is_open:
            return f"waiting since {age(self.seen.requested_at, now=self.now)}"
        at = self.seen.outcome_seen_at
        return f"after {age(self.seen.requested_at, now=at)}" if at and at > self.seen.first_seen_at else ""

    @property
    def clock(self) -> str:
        """ "open, waiting since 3 h", "accepted after 2 h"."""
        if self.is_open:
            return f"{self.became_word}, {self.took}"
        return f"{self.became_word} {self.took}".strip()

    @property
    def processing(self) -> str:
        return self.seen.status.replace("_", " ")

    @property
    def review(self) -> str:
        return REVIEW.get(self.seen.customer_status, self.seen.customer_status)

    @property
    def ours(self) -> str:
        """What we said of it, in a word."""
        return OwnVerdict(self.answered.verdict).label if self.answered else ""

    @property
    def escalated(self) -> str:
        """ "escalated as Spam", as Cloudflare lists it."""
        if not self.seen.escalated_at and not self.seen.escalated_as:
            return ""
        return f"escalated as {Verdict(self.seen.escalated_as).word}" if self.seen.escalated_as else "escalated"


@dataclass(frozen=True)
class Event:
    """One line of the history."""

    at: dt.datetime
    who: str
    what: str
    is_ours: bool = False
    text: str = ""
    url: str = ""


@dataclass(frozen=True)
class Detail:
    """One submission with everything known about it."""

    shown: Shown
    events: list[Event]
    case: Case | None
    related: list[Shown]  # the report it escalates, and what escalates it
    may_answer: bool


def shown(rows: Iterable[SeenSubmission]) -> list[Shown]:
    """These in words; one query for our own answers to all of them."""
    found = list(rows)
    newest: dict[str, SubmissionAnswer] = {}
    for answer in _answers(row.submission_id for row in found):
        newest.setdefault(answer.submission_id, answer)
    now = timezone.now()
    return [Shown(row, now, newest.get(row.submission_id)) for row in found]


def detail(member: Member, row: SeenSubmission) -> Detail:
    (one,) = shown([row])
    links = {row.escalated_submission_id, row.submission_id} - {""}
    near = seen_submissions(member).exclude(pk=row.pk)
    related = [
        *near.filter(submission_id__in=links),
        *near.filter(escalated_submission_id__in=links - {row.escalated_submission_id})[:10],
    ]
    return Detail(
        shown=one,
        events=_events(member, one),
        case=case_of(member, row.submission_id),
        related=shown(related),
        may_answer=one.is_user and member.may(Permission.CASE_WORK),
    )


def case_of(member: Member, submission_id: str) -> Case | None:
    """The desk's case of this report, where there is one this member may know of."""
    report = CaseReport.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.SUBMISSION, upstream_id=submission_id
    )
    return cases_of(member).filter(pk__in=report.values("case_id")).select_related("holder").first()


def table_of(rows: Sequence[SeenSubmission], *, about: Mapping[str, str], is_cut: bool) -> Table:
    """Them as rows of a file; the three verdicts and the three states each have a column."""
    lines = [
        (
            one.id, written_time(one.seen.requested_at), one.kind, one.who, one.seen.requested_by, one.seen.subject,
            one.seen.sender, one.seen.original, one.seen.requested, one.seen.outcome, one.seen.outcome_text,
            one.became_word, written_time(one.seen.outcome_seen_at), one.seen.status, one.seen.customer_status,
            one.ours, one.seen.escalated_as, one.seen.escalated_submission_id, one.seen.reason, one.seen.postfix_id,
        )
        for one in shown(rows)
    ]  # fmt: skip
    return Table("submissions", COLUMNS, lines, about=about, is_cut=is_cut)


def original_id(row: SeenSubmission) -> str:
    """The message it is about, by the best name we have; "" where nothing names it."""
    account = settings.CLOUDFLARE_ACCOUNT_ID
    if row.postfix_id:
        seen = SeenMessage.objects.filter(account_id=account, postfix_id=row.postfix_id).order_by("-scanned_at")
        if found := seen.values_list("investigate_id", flat=True).first():
            return str(found)
    if row.action_id and row.postfix_id:
        sent = ActionItem.objects.filter(action_id=row.action_id, postfix_id=row.postfix_id)
        if found := sent.values_list("investigate_id", flat=True).first():
            return str(found)
    reported = Case.objects.filter(
        account_id=account, reports__source=CaseSource.SUBMISSION, reports__upstream_id=row.submission_id
    ).exclude(investigate_id="")
    return str(reported.values_list("investigate_id", flat=True).first() or row.postfix_id)


def _answers(submission_ids: Iterable[str]) -> Sequence[SubmissionAnswer]:
    ids = list(submission_ids)
    if not ids:
        return []
    return list(SubmissionAnswer.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, submission_id__in=ids))


def _events(member: Member, one: Shown) -> list[Event]:
    """Everything that happened to it, oldest first: Cloudflare's side and ours."""
    row = one.seen
    asked = one.asked.word
    events = [
        Event(row.requested_at, one.who, f"asked for {asked}" if asked else "asked for a review", text=row.reason)
    ]
    if row.escalated_at:
        events.append(Event(row.escalated_at, row.escalated_by, one.escalated))
    if row.outcome_seen_at and not one.is_open:
        said = one.said.word or row.outcome_text
        late = (
            "" if row.outcome_seen_at > row.first_seen_at else " (it may be older: it was there when we first looked)"
        )
        events.append(Event(row.outcome_seen_at, "Cloudflare", f"answered {said}{late}"))
    events += _acted(member, row)
    for answer in _answers([row.submission_id])[:MOST_EVENTS]:
        told = f"said: {OwnVerdict(answer.verdict).label}"
        events.append(Event(answer.at, answer.member_name, told, is_ours=True, text=answer.text))
    return sorted(events, key=lambda event: event.at)


def _acted(member: Member, row: SeenSubmission) -> list[Event]:
    """What the team did to the message, by its postfix id."""
    if not row.postfix_id:
        return []
    about = theirs(Action.objects.filter(job=None, items__postfix_id=row.postfix_id), member.scope)
    events = []
    for action in about.select_related("approval").order_by("-created_at")[:MOST_ACTIONS]:
        told, url = listed(action, member), reverse("investigate:action", args=[action.pk])
        facts = told.items[0].facts if told.items else {}
        how = " As a missed detection." if facts.get("as_missed") else ""
        how = " Escalates a user's report." if facts.get("escalates") else how
        what = f"{told.what}. {told.sentence.removesuffix(' Undo (z)')}{how}"
        events.append(Event(action.created_at, action.actor_name, what, is_ours=True, text=action.reason, url=url))
    return events
