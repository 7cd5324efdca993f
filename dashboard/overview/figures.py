"""What the pictures of the overview show, counted from our own memory: no call is made for any of it.

Everything here is plain data, for it is kept as JSON and shared by all who are limited to the same domains. A constant
number of queries, each over one range of an index.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter, defaultdict
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Count, F, Func, Q, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from dashboard.access.models import Member
from dashboard.installation.values import setting
from dashboard.overview.spans import HOUR, Range
from investigate.campaigns.queries import Group, biggest
from investigate.desk.cases import cases_of
from investigate.memory.places import REACHABLE, placed
from investigate.memory.queries import copies_for, seen_by
from investigate.memory.searching import NO_DETECTION, OF_THREATS, WORST, extent
from investigate.memory.shapes import COLUMN
from investigate.message.explain import without_quotes
from investigate.models import ActionItem, ActionKind, ActionState, CampaignBy, CaseState, OwnVerdict, SeenMessage
from investigate.submissions.figures import outcomes

Figures = dict[str, Any]

FORM = 2  # raised with every change of what is stored, so that no page reads figures of another form
MOST_LISTED = 8
MOST_CAMPAIGNS = 5
MOST_COMBINATIONS = 2000  # of detection reasons; the rare ones beyond change no picture


def form() -> str:
    """The name of what is stored: what quotes mails is another thing, which nobody sees any more in privacy mode."""
    return f"{FORM}-covered" if setting("PRIVACY") else str(FORM)


def count(member: Member, range_: Range) -> Figures:
    """Everything about one range, as far as the member may know of it."""
    seen = seen_by(member).filter(scanned_at__gte=range_.start, scanned_at__lt=range_.end)
    volume = _volume(seen, range_)
    clean = sum(sum(volume.pop(name, [])) for name in NO_DETECTION)
    detections = seen.exclude(disposition__in=NO_DETECTION)
    found = sum(map(sum, volume.values()))
    reach = extent(member)
    since = reach.complete_since or reach.oldest
    return {
        "start": range_.start.isoformat(),
        "end": range_.end.isoformat(),
        "detections": found,
        "clean": clean,
        "remembers_all": reach.of_all_mail,
        "since": since.isoformat() if since else None,
        "is_filling": reach.is_filling,
        "volume": volume,
        "people": _people(member, range_),
        "senders": _most(detections, "sender"),
        "domains": _most(detections, "sender_domain"),
        "reasons": _reasons(detections, is_bare=setting("PRIVACY") or not member.scope.is_whole),
        "campaigns": _campaigns(member, range_),
        "released": _released(member, range_),
        "verdicts": _verdicts(member, range_),
        "load": _load(member, range_),
        "submissions": _submissions(member, range_),
    }


class _Step(Func):
    """The hour or the day of a time, in UTC, as text that sorts: Django's own truncation is a call of Python for each
    row on SQLite, which takes longer than everything else here together."""

    output_field = CharField()

    def __init__(self, column: str, length: int) -> None:
        super().__init__(column)
        self.length = length

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Any:
        return self.as_sql(compiler, connection, template=f"substr(%(expressions)s, 1, {self.length})")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Any:
        form = "YYYY-MM-DD HH24"[: 10 if self.length == 10 else None]
        return self.as_sql(compiler, connection, template=f"to_char(%(expressions)s AT TIME ZONE 'UTC', '{form}')")


def _volume(seen: QuerySet[SeenMessage], range_: Range) -> dict[str, list[int]]:
    """For each disposition its messages in each step."""
    length = 13 if range_.span.step == HOUR else 10
    places = {start.isoformat(" ")[:length]: place for place, start in enumerate(range_.starts)}
    found: dict[str, list[int]] = defaultdict(lambda: [0] * len(places))
    rows = seen.annotate(step=_Step("scanned_at", length)).order_by().values_list("step", "disposition")
    for step, disposition, number in rows.annotate(number=Count("pk")):
        if step in places:
            found[disposition][places[step]] += number
    return dict(found)


def _people(member: Member, range_: Range) -> list[Figures]:
    """Mailboxes to which the most copies of threats went."""
    copies = copies_for(member).filter(
        scanned_at__gte=range_.start, scanned_at__lt=range_.end, disposition__in=OF_THREATS
    )
    worst = Count("pk", filter=Q(disposition__in=WORST))
    found = copies.order_by().values("address").annotate(threats=Count("pk"), worst=worst)
    return list(found.order_by("-threats", "-worst", "address")[:MOST_LISTED])


def _most(detections: QuerySet[SeenMessage], column: str) -> list[Figures]:
    """The most frequent values of a column."""
    named = detections.filter(**{f"{column}__gt": ""}).order_by().values(name=F(column))
    worst = Count("pk", filter=Q(disposition__in=WORST))
    return list(named.annotate(number=Count("pk"), worst=worst).order_by("-number", "-worst", "name")[:MOST_LISTED])


def _reasons(detections: QuerySet[SeenMessage], *, is_bare: bool) -> list[Figures]:
    """Why messages were judged as they were. A message has several reasons, and counts for each of them.

    `is_bare`: without every address, host and link, for those may be of a body, or of mailboxes elsewhere.
    """
    numbers: Counter[str] = Counter()
    combined = detections.exclude(reasons=[]).order_by().values_list("reasons").annotate(number=Count("pk"))
    for reasons, number in combined.order_by("-number")[:MOST_COMBINATIONS]:
        for reason in {without_quotes(str(one), ()) if is_bare else str(one) for one in reasons}:
            numbers[reason] += number
    ordered = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"name": name, "number": number} for name, number in ordered[:MOST_LISTED]]


def _campaigns(member: Member, range_: Range) -> list[Figures]:
    found = biggest(member, start=range_.start, end=range_.end, limit=2 * MOST_CAMPAIGNS)
    groups = sorted(found, key=lambda group: (-group.copies, -group.count))[:MOST_CAMPAIGNS]  # found by messages
    places = _places(member, range_, groups)
    return [
        {
            "title": group.title,
            "sender_domain": next(iter(group.sender_domains), ""),
            "messages": group.count,
            "copies": group.copies,
            "people": group.people,
            "places": dict(places[group.key]),
            "by": str(group.by),
            "key": group.key,
        }
        for group in groups
    ]


def _places(member: Member, range_: Range, groups: list[Group]) -> dict[str, Counter[str]]:
    """For each campaign how many copies are where."""
    found: dict[str, Counter[str]] = {group.key: Counter() for group in groups}
    column = COLUMN[CampaignBy.FINGERPRINT]
    copies = copies_for(member).filter(
        message__scanned_at__gte=range_.start,
        message__scanned_at__lt=range_.end,
        **{f"message__{column}__in": list(found)},
    )
    numbers = placed(copies).order_by().values_list(f"message__{column}", "place").annotate(number=Count("pk"))
    for key, place, number in numbers:
        found[key][_place(place)] += number
    return found


def _place(place: str) -> str:
    if place in REACHABLE:
        return "delivered"
    if place == "quarantined":
        return "held"
    return "unknown" if place in ("unknown", "undelivered", "") else "moved"


def _released(member: Member, range_: Range) -> int:
    """Messages that we let out of quarantine in this range, each once."""
    done = (ActionState.DONE, ActionState.PARTLY_DONE)
    items = ActionItem.objects.filter(
        member.scope.q("domains"),
        action__kind=ActionKind.RELEASE,
        action__finished_at__gte=range_.start,
        action__finished_at__lt=range_.end,
        state__in=done,
    )
    return items.aggregate(number=Count("investigate_id", distinct=True))["number"]


def _verdicts(member: Member, range_: Range) -> dict[str, int]:
    """Our own verdicts that were given in this range and still stand."""
    given = cases_of(member).filter(verdict_at__gte=range_.start, verdict_at__lt=range_.end, verdict__in=OwnVerdict)
    return dict(given.order_by().values_list("verdict").annotate(number=Count("pk")))


def _load(member: Member, range_: Range) -> list[Figures]:
    """For each who has or had something: cases done in this range and how long those took, cases in hand now."""
    took: dict[str, list[float]] = defaultdict(list)
    done = cases_of(member).filter(state=CaseState.DONE, done_at__gte=range_.start, done_at__lt=range_.end)
    for name, came_at, done_at in done.exclude(done_by="").values_list("done_by", "created_at", "done_at"):
        took[name].append(max(0.0, (done_at - came_at).total_seconds()))
    held = cases_of(member).filter(
        state__in=(CaseState.NEW, CaseState.IN_WORK, CaseState.WAITING), holder__isnull=False
    )
    in_hand = dict(held.order_by().values_list("holder_name").annotate(number=Count("pk")))
    names = sorted({*took, *in_hand}, key=lambda name: (-len(took.get(name, [])), -in_hand.get(name, 0), name))
    return [
        {
            "name": name,
            "done": len(took.get(name, [])),
            "in_hand": in_hand.get(name, 0),
            "median": statistics.median(took[name]) if took.get(name) else None,
        }
        for name in names[:MOST_LISTED]
    ]


def _submissions(member: Member, range_: Range) -> Figures:
    found = outcomes(member, start=range_.start, end=range_.end)
    return {
        "total": found.total,
        "accepted": found.accepted,
        "rejected": found.rejected,
        "open": found.open,
        "median": _seconds(found.median_time),
        "timed": found.timed,
    }


def _seconds(length: dt.timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
