"""What became of what was asked for: accepted, turned down, open. Counted from the memory, without a call."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import models
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from dashboard.access.models import Member
from dashboard.emailsec.enums import SubmitterType
from investigate.models import SeenMessage, SeenSubmission

MOST_LISTED = 10  # lines of a table
_YES = ("accepted",)  # what the free text says where no verdict is answered
_NO = ("declined", "rejected")


class Answer(models.TextChoices):
    """What became of a request. Accepted: the verdict answered is the one that was asked for."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    OPEN = "open"


@dataclass(frozen=True)
class Line:
    """One analyst, sender or reason, and what became of their requests."""

    name: str  # "" where it is not known
    accepted: int
    rejected: int
    open: int

    @property
    def total(self) -> int:
        return self.accepted + self.rejected + self.open


@dataclass(frozen=True)
class Outcomes:
    """What became of the requests of a range. The lists have the most frequent ones first."""

    total: int = 0
    accepted: int = 0
    rejected: int = 0
    open: int = 0
    median_time: dt.timedelta | None = None  # of those that were seen before they were answered
    timed: int = 0  # how many those are
    by_member: list[Line] = field(default_factory=list)
    by_sender: list[Line] = field(default_factory=list)
    by_reason: list[Line] = field(default_factory=list)


def seen_submissions(member: Member) -> QuerySet[SeenSubmission]:
    """What is remembered and this member may know of."""
    ours = SeenSubmission.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    return ours.filter(member.scope.q("domains"))


def with_names(rows: QuerySet[SeenSubmission]) -> QuerySet[SeenSubmission]:
    """With `sender`, as the memory knows the message, and `who`: a name of the team, or what the API calls them."""
    message = SeenMessage.objects.filter(
        account_id=OuterRef("account_id"), postfix_id=OuterRef("postfix_id"), postfix_id__gt=""
    )
    return rows.annotate(
        sender=Coalesce(Subquery(message.order_by("-scanned_at").values("sender")[:1]), models.Value("")),
        who=models.Case(models.When(member_name="", then=F("requested_by")), default=F("member_name")),
    )


def answer_of(requested: str, outcome: str, text: str) -> Answer:
    """By the verdicts, and by the API's text only where it answers no verdict."""
    if outcome:
        return Answer.ACCEPTED if outcome == requested else Answer.REJECTED
    said = text.strip().casefold()
    return Answer.ACCEPTED if said in _YES else Answer.REJECTED if said in _NO else Answer.OPEN


def answered(answer: Answer) -> Q:
    """The same as a condition."""
    verdict, yes, no = ~Q(outcome=""), _says(_YES), _says(_NO)
    is_same = Q(outcome=F("requested"))
    match answer:
        case Answer.ACCEPTED:
            return (verdict & is_same) | (~verdict & yes)
        case Answer.REJECTED:
            return (verdict & ~is_same) | (~verdict & no)
        case Answer.OPEN:
            return ~verdict & ~yes & ~no


def outcomes(
    member: Member, *, start: dt.datetime, end: dt.datetime, kind: SubmitterType | None = SubmitterType.TEAM
) -> Outcomes:
    """What became of what the team asked for in this range (or users, or both: `kind`)."""
    rows = seen_submissions(member).filter(requested_at__range=(start, end))
    if kind is not None:
        rows = rows.filter(type=kind.value)
    found = list(
        with_names(rows).values_list(
            "requested", "outcome", "outcome_text", "requested_at", "first_seen_at", "outcome_seen_at", "who", "sender",
            "reason",
        )
    )  # fmt: skip
    ends = [answer_of(requested, outcome, text) for requested, outcome, text, *_ in found]
    took = [
        max(answered_at - asked_at, dt.timedelta())
        for (_, _, _, asked_at, first_seen, answered_at, *_), end_ in zip(found, ends, strict=True)
        if end_ != Answer.OPEN and answered_at is not None and answered_at > first_seen
    ]
    counts = Counter(ends)
    return Outcomes(
        total=len(found),
        accepted=counts[Answer.ACCEPTED],
        rejected=counts[Answer.REJECTED],
        open=counts[Answer.OPEN],
        median_time=statistics.median(took) if took else None,
        timed=len(took),
        by_member=_lines((row[6] for row in found), ends),
        by_sender=_lines((row[7] for row in found), ends),
        by_reason=_lines((row[8] for row in found), ends),
    )


def _says(words: Iterable[str]) -> Q:
    said = Q()
    for word in words:
        said |= Q(outcome_text__iexact=word)
    return said


def _lines(names: Iterable[str], ends: list[Answer]) -> list[Line]:
    counts: dict[str, Counter[Answer]] = {}
    for name, end in zip(names, ends, strict=True):
        counts.setdefault(name, Counter())[end] += 1
    lines = [
        Line(name, count[Answer.ACCEPTED], count[Answer.REJECTED], count[Answer.OPEN]) for name, count in counts.items()
    ]
    return sorted(lines, key=lambda line: (not line.name, -line.total, line.name))[:MOST_LISTED]
