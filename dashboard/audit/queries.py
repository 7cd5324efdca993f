"""Reading the trail: filters, one page of it, one row with its neighbours, and the state of the chain."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from dashboard.audit import words
from dashboard.audit.models import AuditEvent, ChainCheck, ChainHead

PAGE = 50
MOST_LOOKED_AT = 200_000  # rows one page looks through for what no index finds; the next page goes on from there
MOST_RELATED = 50
STEP = 1000  # rows of an export held at a time
_STATES = {"attempt": "begun", "refused": "failed"}
CLOCKS_DIFFER = dt.timedelta(minutes=5)  # between the machines that write rows, at the very most
SILENT_AFTER = dt.timedelta(minutes=10)  # without a look at the chain, somebody should ask why


@dataclass(frozen=True)
class Filters:
    """What the address asks for; empty means anything."""

    who: str = ""
    action: str = ""  # a whole action, or a resource with its colon: "message:"
    phase: str = ""
    object: str = ""  # in the ids of the objects, or anywhere in the detail
    reason: str = ""
    address: str = ""
    start: dt.datetime | None = None
    end: dt.datetime | None = None

    def said(self) -> dict[str, str]:
        """Those that are set, as they are written into the trail and into addresses."""
        return {
            name: value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S") if isinstance(value, dt.datetime) else value
            for name, value in asdict(self).items()
            if value
        }

    @property
    def needs_looking(self) -> bool:
        """Whether rows have to be read to know whether they fit."""
        return bool(self.who or self.action or self.phase or self.object or self.reason or self.address)

    def rows(self) -> QuerySet[AuditEvent]:
        rows = AuditEvent.objects.all()
        wanted = Q()
        if self.who:
            wanted &= Q(actor_name__icontains=self.who)
        if self.action:
            wanted &= Q(action__startswith=self.action) if self.action.endswith(":") else Q(action=self.action)
        if self.phase:
            wanted &= Q(phase=self.phase)
        if self.object:
            texts = {"targets_text": Cast("targets", TextField()), "detail_text": Cast("detail", TextField())}
            rows = rows.alias(**texts)
            wanted &= _in_json("targets_text", self.object) | _in_json("detail_text", self.object)
        if self.reason:
            wanted &= Q(reason__icontains=self.reason)
        if self.address:
            wanted &= Q(address__startswith=self.address)
        if self.start:
            wanted &= Q(at__gte=self.start)
        if self.end:
            wanted &= Q(at__lt=self.end)
        return rows.filter(wanted)


@dataclass(frozen=True)
class Row:
    """A row as it is shown."""

    event: AuditEvent

    @property
    def what(self) -> str:
        return words.sentence(self.event)

    @property
    def result(self) -> str:
        return words.result(self.event)

    @property
    def targets(self) -> list[str]:
        return [str(target) for target in self.event.targets] if isinstance(self.event.targets, list) else []

    @property
    def first_target(self) -> str:
        return self.targets[0] if self.targets else ""

    @property
    def more_targets(self) -> int:
        return max(0, len(self.targets) - 1)

    @property
    def is_about_messages(self) -> bool:
        return words.resource(self.event.action) in ("message", "case")

    @property
    def told(self) -> str:
        """What the answer was said to mean when it came."""
        detail = self.event.detail
        return str(detail.get("explanation") or "") if isinstance(detail, dict) else ""

    @property
    def state(self) -> str:
        """The name of a state the style sheet knows."""
        return _STATES.get(self.event.phase, self.event.phase)

    @property
    def day(self) -> str:
        at = self.event.at.astimezone(dt.UTC)
        return f"{at.day} {at:%b %Y}"

    @property
    def clock(self) -> str:
        """To the millisecond, in UTC whatever the member's lists show: rows are compared with other logs."""
        return f"{self.event.at.astimezone(dt.UTC):%H:%M:%S.%f}"[:-3]

    @property
    def before(self) -> int:
        return self.event.sequence - 1

    @property
    def after(self) -> int:
        return self.event.sequence + 1

    @property
    def detail(self) -> str:
        """The request and the answer as they were recorded."""
        return json.dumps(self.event.detail, indent=2, ensure_ascii=False, sort_keys=True) if self.event.detail else ""


@dataclass(frozen=True)
class Page:
    """Rows newest first, and where the older ones begin; there is no total."""

    rows: list[Row]
    older: int | None  # rows before this one may fit as well
    looked_to: int | None  # the oldest row that was looked at, where not all were


def page(filters: Filters, *, before: int | None = None) -> Page:
    found = filters.rows().order_by("-sequence")
    head = ChainHead.objects.filter(pk=1).values_list("sequence", flat=True).first() or 0
    first = first_since(filters.start, head) if filters.start else 1
    top = min(before, head + 1) if before else head + 1
    if filters.end:
        top = min(top, first_since(filters.end + 2 * CLOCKS_DIFFER, head))
    floor = max(first, top - MOST_LOOKED_AT) if filters.needs_looking else first
    events = list(found.filter(sequence__lt=top, sequence__gte=floor)[: PAGE + 1])
    rows = [Row(event) for event in events[:PAGE]]
    if len(events) > PAGE:
        return Page(rows, rows[-1].event.sequence, None)
    return Page(rows, floor, floor) if floor > first else Page(rows, None, None)


@dataclass(frozen=True)
class Opened:
    """One row, the row it refers to, and those that refer to it."""

    row: Row
    refers_to: Row | None
    referring: list[Row]


def opened(sequence: int) -> Opened | None:
    event = AuditEvent.objects.filter(pk=sequence).first()
    if event is None:
        return None
    before = AuditEvent.objects.filter(pk=event.refers_to).first() if event.refers_to else None
    after = AuditEvent.objects.filter(refers_to=sequence).order_by("sequence")[:MOST_RELATED]
    return Opened(Row(event), Row(before) if before else None, [Row(found) for found in after])


def export_steps(filters: Filters, *, until: int) -> Iterator[list[AuditEvent]]:
    """Every row that fits, oldest first, in steps that cost the same however long the trail is."""
    found = filters.rows().order_by("sequence")
    last = first_since(filters.start, until) - 1 if filters.start else 0
    if filters.end:
        until = min(until, first_since(filters.end + 2 * CLOCKS_DIFFER, until))
    while last < until:
        reach = min(last + STEP, until)
        if events := list(found.filter(sequence__gt=last, sequence__lte=reach)):
            yield events
        last = reach


@dataclass(frozen=True)
class Chain:
    """Whether the chain was whole when somebody last looked."""

    check: ChainCheck
    is_silent: bool

    @property
    def is_broken(self) -> bool:
        return bool(self.check.problem)


def chain() -> Chain:
    check = ChainCheck.objects.filter(pk=1).first() or ChainCheck()
    is_silent = check.checked_at is None or timezone.now() - check.checked_at > SILENT_AFTER
    return Chain(check, is_silent)


def first_since(moment: dt.datetime, head: int) -> int:
    """The first row that may be of this moment or later, found by halving: rows follow each other in time.

    An index over the time would do the same at the price of one more page written with each row.
    """
    moment -= CLOCKS_DIFFER
    low, high = 1, head + 1
    while low < high:
        middle = (low + high) // 2
        at = AuditEvent.objects.filter(pk=middle).values_list("at", flat=True).first()
        low, high = (middle + 1, high) if at is not None and at < moment else (low, middle)
    return low


def _in_json(column: str, text: str) -> Q:
    """Part of a JSON text, whichever way the database writes quotes and letters beyond ASCII."""
    spellings = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    found = Q()
    for spelling in sorted(spellings):
        found |= Q(**{f"{column}__icontains": spelling})
    return found
