"""The queue: what waits for somebody, as lists and in their order. Everything is cut to the member's domains."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import quote, urlencode

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from dashboard.emailsec.enums import Disposition
from dashboard.web.text import split_address
from investigate.desk import words
from investigate.desk.cases import AT_WORK, cases_of, idle, is_overdue
from investigate.message.wording import verdict_word
from investigate.models import Case, CaseReport, CaseSource, CaseState, Mention, OwnVerdict
from investigate.search.window import read_moment

PER_PAGE = 100
_PLAIN_IN_PATHS = ":@+"
NOT_DONE = (CaseState.NEW, CaseState.IN_WORK, CaseState.WAITING)  # named, so that an index leads to them


class Tab(StrEnum):
    MINE = "mine"
    UNCLAIMED = "unclaimed"
    ALL = "all"
    WAITING = "waiting"
    DONE = "done"


TABS = frozenset(tab.value for tab in Tab)


@dataclass(frozen=True)
class Filters:
    """What of the queue is shown; the URL says the same."""

    tab: Tab = Tab.MINE
    source: str = ""
    disposition: str = ""  # Cloudflare's
    verdict: str = ""  # the team's
    who: str = ""  # who has it, or who has done it
    since: str = ""  # of what is done: since when

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Filters:
        """What the URL asks for; values nobody knows are left out."""
        tab, source, verdict = query.get("list", ""), query.get("source", ""), query.get("verdict", "")
        disposition = query.get("disposition", "").upper()
        return cls(
            tab=Tab(tab) if tab in TABS else Tab.MINE,
            source=source if source in CaseSource else "",
            disposition=disposition if disposition in Disposition.__members__.values() else "",
            verdict=verdict if verdict in OwnVerdict else "",
            who=storable_text(query.get("who", ""), limit=300),
            since=query.get("since", "") if read_moment(query.get("since", "")) else "",
        )

    def query(self, **more: str) -> str:
        named = {"list": self.tab, "source": self.source, "disposition": self.disposition, "verdict": self.verdict}
        named |= {"who": self.who, "since": self.since}
        return urlencode({name: value for name, value in (named | more).items() if value})

    @property
    def since_at(self) -> dt.datetime | None:
        return read_moment(self.since)

    @property
    def narrow(self) -> bool:
        """Whether anything but the tab cuts the list."""
        return bool(self.source or self.disposition or self.verdict or self.who or self.since)

    def on(self, tab: Tab) -> Filters:
        return replace(self, tab=tab)


@dataclass(frozen=True)
class Row:
    """One case as the list shows it."""

    case: Case
    sources: str
    is_overdue: bool
    verdict_word: str
    domain: str
    local: str
    href: str
    names_me: bool

    @property
    def id(self) -> str:
        return self.case.key

    @property
    def arrived_at(self) -> dt.datetime:
        return self.case.scanned_at or self.case.created_at


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    after: str  # where the next page begins; "" on the last one


def page(member: Member, filters: Filters, *, after: str = "") -> Page:
    """One page of a list: what is overdue first, then what will be next."""
    found = list(_ordered(_filtered(member, filters), filters.tab, after)[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    sources = _sources(shown)
    named = set(
        Mention.objects.filter(member=member, seen_at=None, note__case__in=[case.pk for case in shown]).values_list(
            "note__case_id", flat=True
        )
    )
    now = timezone.now()
    rows = [_row(case, filters, sources[case.pk], now, names_me=case.pk in named) for case in shown]
    return Page(rows, _place_of(shown[-1], filters.tab) if len(found) > PER_PAGE else "")


def counts(member: Member) -> dict[Tab, int]:
    """How many cases each list holds for this member; what is done is not counted."""
    tabs = [Tab.UNCLAIMED, Tab.ALL, Tab.WAITING]
    is_open = _visible(member).filter(state__in=NOT_DONE)
    numbers = is_open.aggregate(**{tab.value: Count("pk", filter=_is_on(tab, member)) for tab in tabs})
    mine = _visible(member).filter(_is_on(Tab.MINE, member)).count()
    return {Tab.MINE: mine, **{tab: numbers[tab.value] for tab in tabs}}


def overdue(member: Member) -> int:
    """How many open cases are past their time, whoever has them."""
    return _visible(member).filter(state__in=NOT_DONE, due_at__lt=timezone.now()).count()


def next_case(member: Member, filters: Filters, case: Case) -> Case | None:
    """What comes after this one in the same list and is nobody else's; from its end back to its beginning."""
    if filters.tab == Tab.DONE:
        return None
    free = _filtered(member, filters).exclude(pk=case.pk)
    free = free.filter(Q(holder=None) | Q(holder=member) | idle(timezone.now()))
    return _ordered(free, filters.tab, _place_of(case, filters.tab)).first() or _ordered(free, filters.tab).first()


def address_of(case: Case, filters: Filters | None = None) -> str:
    """The page of a case: its message, or the report itself. It remembers the list somebody came from."""
    if case.investigate_id:
        path = f"/investigate/{quote(case.investigate_id, safe=_PLAIN_IN_PATHS)}/"
    else:
        path = reverse("investigate:queue_case", args=[case.pk])
    return f"{path}?queue={filters.tab}" if filters else path


def _visible(member: Member) -> QuerySet[Case]:
    """Cases that are anybody's work: not those that only hold what somebody did to a message in passing."""
    return cases_of(member).exclude(source=CaseSource.PERSON, version=1)


def _filtered(member: Member, filters: Filters) -> QuerySet[Case]:
    found = _visible(member).filter(_is_on(filters.tab, member))
    if filters.source:
        reported = CaseReport.objects.filter(case=OuterRef("pk"), source=filters.source)
        found = found.filter(Q(source=filters.source) | Exists(reported))
    if filters.disposition:
        found = found.filter(disposition=filters.disposition)
    if filters.verdict:
        found = found.filter(verdict=filters.verdict)
    if filters.who:
        found = found.filter(**{"done_by" if filters.tab == Tab.DONE else "holder_name": filters.who})
    if filters.since_at and filters.tab == Tab.DONE:
        found = found.filter(done_at__gte=filters.since_at)
    return found


def _is_on(tab: Tab, member: Member) -> Q:
    match tab:
        case Tab.MINE:
            names_me = Mention.objects.filter(member=member, seen_at=None).values("note__case")
            return Q(pk__in=names_me) | Q(holder=member, state__in=NOT_DONE)
        case Tab.UNCLAIMED:
            return Q(state__in=AT_WORK) & (Q(holder=None) | idle(timezone.now()))
        case Tab.ALL:
            return Q(state__in=NOT_DONE)
        case Tab.WAITING:
            return Q(state=CaseState.WAITING)
        case Tab.DONE:
            return Q(state=CaseState.DONE)


def _ordered(found: QuerySet[Case], tab: Tab, after: str = "") -> QuerySet[Case]:
    """In the order of the list, from behind a place on; a place that cannot be read is the beginning."""
    at, number = _read_place(after)
    if tab == Tab.DONE:
        if at is not None:
            found = found.filter(Q(done_at__lt=at) | Q(done_at=at, pk__lt=number))
        return found.order_by("-done_at", "-pk")
    if at is not None:
        found = found.filter(Q(due_at__gt=at) | Q(due_at=at, pk__gt=number))
    return found.order_by("due_at", "pk")


def _place_of(case: Case, tab: Tab) -> str:
    at = case.done_at if tab == Tab.DONE else case.due_at
    return f"{at.isoformat()}~{case.pk}" if at else ""


def _read_place(text: str) -> tuple[dt.datetime | None, int]:
    moment, _, number = text.rpartition("~")
    try:
        at = dt.datetime.fromisoformat(moment)
    except ValueError:
        return None, 0
    return (at, int(number)) if at.tzinfo and number.isdecimal() and len(number) < 19 else (None, 0)


def _sources(shown: list[Case]) -> dict[int, str]:
    """Why each of them is on the desk, in words, the first reason first."""
    found = {case.pk: [words.SOURCES[CaseSource(case.source)]] for case in shown}
    for case_id, source in CaseReport.objects.filter(case__in=list(found)).values_list("case_id", "source"):
        word = words.SOURCES[CaseSource(source)]
        if word not in found[case_id]:
            found[case_id].append(word)
    return {pk: ", ".join(names) for pk, names in found.items()}


def _row(case: Case, filters: Filters, sources: str, now: dt.datetime, *, names_me: bool) -> Row:
    local, domain = split_address(case.sender)
    return Row(
        case=case,
        sources=sources,
        is_overdue=is_overdue(case, now=now),
        verdict_word=verdict_word(Disposition(case.disposition)) if case.disposition else "No verdict",
        domain=domain,
        local=local,
        href=address_of(case, filters),
        names_me=names_me,
    )
