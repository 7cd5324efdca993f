"""Searching what the desk has seen: at once, without a call, and never through more rows than one look can take.

Exact values (an address, a domain, a fingerprint) are found by an index. Words and verdicts are looked for among the
newest rows; where a look ends before the memory does, the page says how far it went and offers to go on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from dashboard.access.models import Member
from dashboard.emailsec.enums import Disposition
from dashboard.installation.values import setting
from dashboard.web.text import split_address
from investigate.actions import words as action_words
from investigate.desk.cases import cases_of
from investigate.desk.collecting import complete_since
from investigate.memory.places import Where, where_now
from investigate.memory.queries import History, copies_for, history_of, seen_by, trimmed
from investigate.models import CaseSource, QueueMark, SeenMessage

PER_PAGE = 100
LOOKED_THROUGH = 20_000  # rows of one look for what no index holds
MOST_WORDS = 8
GROUPS = {"DETECTIONS": "Every detection", "THREATS": "Malicious, BEC, Spoof and Suspicious"}
WORST = (Disposition.MALICIOUS.value, Disposition.MALICIOUS_BEC.value)
OF_THREATS = (*WORST, Disposition.SUSPICIOUS.value, Disposition.SPOOF.value)
NO_DETECTION = ("", Disposition.NONE.value)


@dataclass(frozen=True)
class Filters:
    words: str = ""
    sender: str = ""
    domain: str = ""
    recipient: str = ""
    fingerprint: str = ""
    disposition: str = ""
    verdict: str = ""  # an OwnVerdict
    start: dt.datetime | None = None
    end: dt.datetime | None = None

    def said(self) -> dict[str, str]:
        """What is set, as it stands in an address."""
        found = {}
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if value:
                found[name] = value.strftime("%Y-%m-%dT%H:%M:%S") if isinstance(value, dt.datetime) else str(value)
        return found

    @property
    def needs_looking_through(self) -> bool:
        """Whether it asks for something that no index holds."""
        return bool(self.words or self.disposition or self.verdict or (self.recipient and "@" not in self.recipient))


@dataclass(frozen=True)
class Place:
    """After which row a page begins: the order is by time, and by number among those of one moment."""

    scanned_at: dt.datetime
    pk: int

    def __str__(self) -> str:
        return f"{int(self.scanned_at.timestamp() * 1_000_000)}-{self.pk}"

    @classmethod
    def read(cls, text: str) -> Place | None:
        moment, _, pk = text.partition("-")
        if not (moment.isascii() and moment.isdecimal() and pk.isascii() and pk.isdecimal()) or len(text) > 36:
            return None
        try:
            at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=int(moment))
        except OverflowError:
            return None
        return cls(at, int(pk)) if int(pk) < 2**63 else None


@dataclass(frozen=True)
class Found:
    """One remembered message as its reader may know it."""

    seen: SeenMessage
    where: Where
    history: History

    @property
    def local(self) -> str:
        return split_address(self.seen.sender)[0]

    @property
    def more_recipients(self) -> int:
        return len(self.seen.recipients) - 1

    @property
    def verdict_word(self) -> str:
        return action_words.disposition(self.seen.disposition) or "Clean"


@dataclass(frozen=True)
class Page:
    rows: Sequence[Found]
    older: str = ""  # the place the next page begins after
    looked_to: dt.datetime | None = None  # where the look ended before the page was full


@dataclass(frozen=True)
class Extent:
    """What the memory holds. `oldest` is of what this member may know of."""

    oldest: dt.datetime | None
    complete_since: dt.datetime | None
    is_filling: bool
    of_all_mail: bool
    days: int
    trouble: str = ""
    read_until: dt.datetime | None = None


def extent(member: Member) -> Extent:
    """How far back the memory goes, and since when nothing is missing in it."""
    mark = QueueMark.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.DETECTION).first()
    oldest = seen_by(member).order_by("scanned_at").values_list("scanned_at", flat=True).first()
    since = complete_since(mark)
    return Extent(
        oldest=oldest,
        complete_since=since,
        is_filling=mark is None or since is None or bool(mark.older),
        of_all_mail=bool(setting("MEMORY_ALL_MAIL")),
        days=setting("MEMORY_DAYS"),
        trouble=mark.explanation if mark else "",
        read_until=(mark.covered_until or mark.read_until) if mark else None,
    )


def search(member: Member, filters: Filters, *, after: Place | None = None) -> Page:
    """A page of what the member may know of, newest first."""
    rows = seen_by(member).filter(_by_index(member, filters)).order_by("-scanned_at", "-pk")
    if after is not None:
        rows = rows.filter(Q(scanned_at__lt=after.scanned_at) | Q(scanned_at=after.scanned_at, pk__lt=after.pk))
        rows = rows.filter(scanned_at__lte=after.scanned_at)  # so that an index is begun at the right place
    edge = None
    if filters.needs_looking_through:
        edge = rows[LOOKED_THROUGH - 1 : LOOKED_THROUGH].values_list("scanned_at", "pk").first()
        rows = rows.filter(_by_looking(member, filters))
        if edge is not None:
            rows = rows.filter(Q(scanned_at__gt=edge[0]) | Q(scanned_at=edge[0], pk__gte=edge[1]))
            rows = rows.filter(scanned_at__gte=edge[0])
    found = list(rows[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    if len(found) > PER_PAGE:
        return Page(_shown(member, shown), str(Place(shown[-1].scanned_at, shown[-1].pk)))
    if edge is not None:
        return Page(_shown(member, shown), str(Place(*edge)), looked_to=edge[0])
    return Page(_shown(member, shown))


def _by_index(member: Member, filters: Filters) -> Q:
    wanted = Q()
    if filters.sender:
        wanted &= Q(sender=filters.sender)
    if filters.domain:
        wanted &= Q(sender_domain=filters.domain)
    if filters.fingerprint:
        wanted &= Q(edf_hash=filters.fingerprint) | Q(structure_hash=filters.fingerprint)
    if "@" in filters.recipient:
        wanted &= Q(pk__in=copies_for(member).filter(address=filters.recipient).values("message"))
    if filters.start:
        wanted &= Q(scanned_at__gte=filters.start)
    if filters.end:
        wanted &= Q(scanned_at__lte=filters.end)
    return wanted


def _by_looking(member: Member, filters: Filters) -> Q:
    wanted = Q()
    copies = copies_for(member).filter(message=OuterRef("pk"))
    for word in filters.words.split()[:MOST_WORDS]:
        wanted &= (
            Q(subject__icontains=word)
            | Q(sender__icontains=word)
            | Q(sender_name__icontains=word)
            | Q(Exists(copies.filter(address__icontains=word.casefold())))
        )
    if filters.recipient and "@" not in filters.recipient:
        wanted &= Q(Exists(copies.filter(domain=filters.recipient)))
    match filters.disposition:
        case "":
            pass
        case "DETECTIONS":
            wanted &= ~Q(disposition__in=NO_DETECTION)
        case "THREATS":
            wanted &= Q(disposition__in=OF_THREATS)
        case Disposition.NONE:
            wanted &= Q(disposition__in=NO_DETECTION)
        case one:
            wanted &= Q(disposition=one)
    if filters.verdict:
        decided = cases_of(member).filter(verdict=filters.verdict, investigate_id=OuterRef("investigate_id"))
        wanted &= Q(Exists(decided))
    return wanted


def _shown(member: Member, rows: Sequence[SeenMessage]) -> list[Found]:
    names = [row.investigate_id for row in rows]
    told = [trimmed(row, member.scope) for row in rows]
    places, history = where_now(told, member.scope), history_of(member, names)
    return [Found(row, places[row.investigate_id], history.get(row.investigate_id) or History()) for row in told]
