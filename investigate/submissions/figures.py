"""What became of what was asked for: accepted, turned down, open. Counted from the memory, without a call."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import models
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
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
    named = with_names(rows)
    took = _took(rows)
    timed = took.count()
    numbers = rows.aggregate(total=Count("pk"), **_each())
    return Outcomes(
        total=numbers["total"],
        accepted=numbers["of_accepted"],
        rejected=numbers["of_rejected"],
        open=numbers["of_open"],
        median_time=_median(took, timed),
        timed=timed,
        by_member=_lines(named, "who"),
        by_sender=_lines(named, "sender"),
        by_reason=_lines(rows, "reason"),
    )


def _took(rows: QuerySet[SeenSubmission]) -> QuerySet[SeenSubmission]:
    """Those that were seen before they were answered, with how long that took: quickest first."""
    timed = rows.filter(~answered(Answer.OPEN), outcome_seen_at__gt=F("first_seen_at"))
    took = models.ExpressionWrapper(F("outcome_seen_at") - F("requested_at"), models.DurationField())
    return timed.annotate(took=took).order_by("took")


def _median(took: QuerySet[SeenSubmission], number: int) -> dt.timedelta | None:
    if not number:
        return None
    middle = took.values_list("took", flat=True)[(number - 1) // 2 : number // 2 + 1]
    return statistics.median(max(length, dt.timedelta()) for length in middle)


def _says(words: Iterable[str]) -> Q:
    said = Q()
    for word in words:
        said |= Q(outcome_text__iexact=word)
    return said


def _each() -> dict[str, Count]:
    """How many there are of each answer."""
    return {f"of_{answer}": Count("pk", filter=answered(answer)) for answer in Answer}


def _lines(rows: QuerySet[SeenSubmission], column: str) -> list[Line]:
    """The most frequent values of a column, and last what has none; counted by the database, however many there are."""
    named = rows.order_by().values(name=F(column)).annotate(total=Count("pk"), **_each())
    nameless = models.Case(models.When(name="", then=1), default=0)
    lines = named.order_by(nameless, "-total", "name")[:MOST_LISTED]
    return [Line(one["name"], one["of_accepted"], one["of_rejected"], one["of_open"]) for one in lines]
