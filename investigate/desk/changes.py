"""What changed just now, told to every open page at the cost of one small question each.

A change is one row that names its messages. A page asks every few seconds what came after the last row it knows, which
is one look into an index; only when something did change does it ask for those of the messages that it shows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.sql import fetch
from investigate.message.visible import known_among
from investigate.models import DeskChange

MOST_NAMED = 1000  # messages one row names
MOST_READ = 50  # changes one answer looks at; after more of them a page looks at all it shows
MOST_TOLD = 2000  # messages one answer names; the same
# Rows get their numbers when they are written and are seen when their transaction ends, so a lower number may come
# later than a higher one. What is younger than this is told again, which does no harm.
SETTLED_AFTER = dt.timedelta(seconds=6)
KEPT = dt.timedelta(hours=1)


@dataclass(frozen=True)
class News:
    """What changed since a page last asked. `latest` is the number to ask from next time."""

    latest: int
    investigate_ids: tuple[str, ...] = ()
    is_everything: bool = False  # the page was away for too long, or too much changed: it looks at all it shows

    @property
    def named(self) -> str:
        """The ids as the page's script reads them: one a line, because an id may hold anything that can be printed."""
        return "*" if self.is_everything else "\n".join(self.investigate_ids)


def note_change(investigate_ids: Iterable[str]) -> None:
    """Tell the pages of colleagues about these messages. Runs in the caller's transaction: no change, no word of it."""
    ids = list(dict.fromkeys(name for name in investigate_ids if name))
    DeskChange.objects.bulk_create(
        DeskChange(at=Now(), investigate_ids=ids[start : start + MOST_NAMED])
        for start in range(0, len(ids), MOST_NAMED)
    )


def latest() -> int:
    """The number a page that is written now asks from."""
    ((number,),) = fetch("SELECT coalesce(max(id), 0) FROM investigate_deskchange")
    return int(number)


def since(number: int, member: Member) -> News:
    """What changed after that number, as far as this member may know of it."""
    if _was_away(number):
        return News(max(number, latest()), is_everything=True)
    recent = timezone.now() - SETTLED_AFTER
    rows = list(
        DeskChange.objects.filter(Q(pk__gt=number) | Q(at__gt=recent))
        .order_by("-pk")
        .values_list("pk", "investigate_ids")[: MOST_READ + 1]
    )
    if not rows:
        return News(number)
    newest = max(number, rows[0][0])
    ids = tuple(dict.fromkeys(name for _, names in rows for name in names))
    if len(rows) > MOST_READ or len(ids) > MOST_TOLD:
        return News(newest, is_everything=True)
    return News(newest, tuple(known_among(member, ids)))


def forget_old() -> None:
    """Drop what every page has been told. The newest one stays: by it a page sees that it was away."""
    DeskChange.objects.filter(at__lt=timezone.now() - KEPT, pk__lt=latest()).delete()


def _was_away(number: int) -> bool:
    """Whether rows after this number are forgotten already."""
    oldest = DeskChange.objects.aggregate(oldest=Min("pk"))["oldest"] or 0
    return number + 1 < oldest and number > 0
