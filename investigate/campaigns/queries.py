"""Messages that are one campaign, found in the memory: no call is made, and everything is cut to a member's domains.

A page of groups takes a constant number of queries: one groups the range by the key, the others look at the groups on
the page alone.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Max, Min, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from investigate.memory.places import REACHABLE, placed
from investigate.memory.queries import copies_for, seen_by
from investigate.memory.remembering import unwritten
from investigate.memory.shapes import COLUMN, key_of
from investigate.models import CampaignBy, SeenMessage

PER_PAGE = 50
MOST_NAMED = 3  # sender domains of a group, by name
SMALLEST = 2  # one message alone is no campaign


@dataclass(frozen=True)
class Group:
    """Remembered messages of one range that have a key in common, as far as the member may know of them."""

    by: CampaignBy
    key: str
    title: str  # the newest one's subject
    sender_domains: tuple[str, ...]  # the most frequent ones
    other_domains: int  # beyond those
    count: int  # messages
    copies: int
    people: int
    first_at: dt.datetime
    last_at: dt.datetime
    dispositions: dict[str, int]  # messages by what Cloudflare said, most first; "" where it said nothing
    still_delivered: int  # copies that somebody can still open, as far as is known
    url: str
    newest_id: str = ""  # the newest one's investigate id
    last_row: int = 0  # of those counted here the row that was made last: what comes later lies beyond it


@dataclass(frozen=True)
class Narrowing:
    """What of the groups is wanted."""

    disposition: str = ""
    sender_domain: str = ""
    only_delivered: bool = False
    newest_first: bool = False

    @property
    def is_narrow(self) -> bool:
        return bool(self.disposition or self.sender_domain or self.only_delivered)


EVERYTHING = Narrowing()


@dataclass(frozen=True)
class Page:
    groups: list[Group] = field(default_factory=list)
    has_more: bool = False


def address_of(by: str, key: str) -> str:
    """The page of one campaign."""
    return f"{reverse('investigate:campaign')}?{urlencode({'by': str(by), 'key': key})}"


def biggest(
    member: Member,
    *,
    start: dt.datetime,
    end: dt.datetime,
    by: CampaignBy = CampaignBy.FINGERPRINT,
    limit: int = 10,
) -> list[Group]:
    """The groups with the most messages scanned from `start` on and before `end`."""
    return page(member, start=start, end=end, by=by, limit=limit).groups


def page(
    member: Member,
    *,
    start: dt.datetime,
    end: dt.datetime,
    by: CampaignBy,
    narrowing: Narrowing = EVERYTHING,
    offset: int = 0,
    limit: int = PER_PAGE,
) -> Page:
    """Groups of the range, from the one at `offset` on."""
    column = COLUMN[by]
    meant: dict[str, Any] = {"scanned_at__gte": start, "scanned_at__lt": end}
    if narrowing.sender_domain:
        meant["sender_domain"] = narrowing.sender_domain
    within = seen_by(member).filter(**meant, **{f"{column}__gt": ""})
    grouped = _grouped(within, column).filter(messages__gte=SMALLEST)
    if narrowing.disposition:
        judged = Count("pk", filter=Q(disposition=narrowing.disposition))
        grouped = grouped.annotate(judged=judged).filter(judged__gt=0)
    if narrowing.only_delivered:
        copies = copies_for(member).filter(**_of_messages(meant), **{f"message__{column}__gt": ""})
        left = placed(copies).filter(place__in=REACHABLE).order_by()
        grouped = grouped.filter(**{f"{column}__in": left.values(f"message__{column}")})
    order = ("-last_at", "-messages") if narrowing.newest_first else ("-messages", "-last_at")
    found = list(grouped.order_by(*order, column)[offset : offset + limit + 1])
    return Page(_described(member, by, found[:limit], meant), has_more=len(found) > limit)


def members_of(member: Member, by: CampaignBy, key: str) -> QuerySet[SeenMessage]:
    """Every remembered message of one campaign that the member may know of, newest first."""
    if not key:
        return SeenMessage.objects.none()
    return seen_by(member).filter(**{COLUMN[by]: key}).order_by("-scanned_at", "-pk")


def group_of(member: Member, by: CampaignBy, key: str) -> Group | None:
    """One campaign in all that is remembered of it, also where it has a single message; None where there is none."""
    column, every = COLUMN[by], members_of(member, by, key).order_by()
    return next(iter(_described(member, by, list(_grouped(every, column)), {})), None)


def groups_of(member: Member, keys: Sequence[tuple[str, str]]) -> list[Group]:
    """These campaigns of any kind in all that is remembered of them, in their order; a constant number of queries."""
    found: dict[tuple[str, str], Group] = {}
    for by in CampaignBy:
        column, wanted = COLUMN[by], [key for kind, key in keys if kind == by and key]
        if wanted:
            rows = _grouped(seen_by(member).filter(**{f"{column}__in": wanted}).order_by(), column)
            found |= {(str(by), group.key): group for group in _described(member, by, list(rows), {})}
    return [found[kind, key] for kind, key in keys if (kind, key) in found]


def _grouped(rows: QuerySet[SeenMessage], column: str) -> QuerySet[SeenMessage, dict[str, Any]]:
    """One row for each key. Mail is read newest first, so that its newest message is seldom its last row."""
    return rows.values(column).annotate(
        messages=Count("pk"), first_at=Min("scanned_at"), last_at=Max("scanned_at"), last_row=Max("pk")
    )


def sizes_of(member: Member, keys: Sequence[tuple[CampaignBy, str]]) -> dict[tuple[CampaignBy, str], int]:
    """How many messages the memory has of each of these campaigns; one query for each kind."""
    sizes: dict[tuple[CampaignBy, str], int] = {}
    for by in CampaignBy:
        wanted = [key for kind, key in keys if kind == by and key]
        if wanted:
            column = COLUMN[by]
            rows = seen_by(member).filter(**{f"{column}__in": wanted}).order_by().values_list(column)
            sizes |= {(by, key): number for key, number in rows.annotate(messages=Count("pk"))}
    return sizes


@dataclass(frozen=True)
class Known:
    """The campaign a message belongs to, as far as the memory knows."""

    kind: str  # what makes it one
    count: int
    url: str


def known_of(member: Member, message: Message) -> Known | None:
    """The campaign of a message by the surest likeness it shares with others; None where the memory knows none."""
    seen = unwritten(message, message.scanned_at or timezone.now())
    keys = [(by, key) for by in CampaignBy if (key := key_of(seen, by))]
    sizes = sizes_of(member, keys)
    for by, key in keys:
        if (count := sizes.get((by, key), 0)) >= SMALLEST:
            return Known(str(by.label), count, address_of(by, key))
    return None


def _described(
    member: Member, by: CampaignBy, found: Sequence[dict[str, Any]], meant: Mapping[str, Any]
) -> list[Group]:
    """The groups with all that is told of them, in their order; `meant` narrows their messages."""
    if not found:
        return []
    column = COLUMN[by]
    meant = {**meant, f"{column}__in": [row[column] for row in found]}
    rows = seen_by(member).filter(**meant)
    newest = rows.filter(reduce(or_, [Q(**{column: row[column], "scanned_at": row["last_at"]}) for row in found]))
    titles = {getattr(seen, column): seen for seen in newest.only(column, "subject", "investigate_id").order_by("pk")}
    verdicts = _counted(rows.values_list(column, "disposition"))
    domains = _counted(rows.values_list(column, "sender_domain"))
    copies = placed(copies_for(member).filter(**_of_messages(meant))).order_by().values_list(f"message__{column}")
    numbers = copies.annotate(
        number=Count("pk"),
        people=Count("address", distinct=True),
        left=Count("pk", filter=Q(place__in=REACHABLE)),
    )
    counted = {key: told for key, *told in numbers}
    groups = []
    for row in found:
        key = row[column]
        senders = [domain for domain in domains[key] if domain]
        copies_there, people, left = counted.get(key, (0, 0, 0))
        groups.append(
            Group(
                by=by,
                key=key,
                title=titles[key].subject if key in titles else "",
                sender_domains=tuple(senders[:MOST_NAMED]),
                other_domains=max(0, len(senders) - MOST_NAMED),
                count=row["messages"],
                copies=copies_there,
                people=people,
                first_at=row["first_at"],
                last_at=row["last_at"],
                dispositions=verdicts[key],
                still_delivered=left,
                url=address_of(by, key),
                newest_id=titles[key].investigate_id if key in titles else "",
                last_row=row["last_row"],
            )
        )
    return groups


def _of_messages(meant: Mapping[str, Any]) -> dict[str, Any]:
    """What narrows messages, said of their copies."""
    return {f"message__{name}": value for name, value in meant.items()}


def _counted(rows: QuerySet[Any, tuple[str, str]]) -> dict[str, dict[str, int]]:
    """For each key its values with their numbers, most first."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for key, value, number in rows.order_by().annotate(number=Count("pk")).order_by("-number"):
        found[key][value] = number
    return found
