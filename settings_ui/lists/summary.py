"""The first page of the settings: each list in one line, and what happens to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Max, QuerySet
from django.utils import timezone

from dashboard.upstream.connection import get_client
from settings_ui.changes import words as changes_words
from settings_ui.entries.announcing import Ending, ending_soon
from settings_ui.lists.queries import open_changes
from settings_ui.models import Change, Difference, LineState, Observed, Reading
from settings_ui.resources import BY_NAME, RESOURCES, Resource
from settings_ui.watching import counts, recent
from settings_ui.watching.presenting import makers
from settings_ui.watching.queries import readings

_MOST = 8  # of each kind; the rooms behind them hold the rest


@dataclass(frozen=True)
class ListLine:
    """One list. `count` is None where it was never read as a whole, and `trouble` says why."""

    resource: Resource
    count: int | None
    as_of: dt.datetime | None
    changed_at: dt.datetime | None  # the last change that is known, ours or not
    trouble: str


@dataclass(frozen=True)
class OpenChange:
    change: Change
    title: str
    state: str


@dataclass(frozen=True)
class Sight:
    """One difference of the last day."""

    observed: Observed
    resource: Resource
    what: str
    by: str

    @property
    def is_gone(self) -> bool:
        return self.observed.what == Difference.REMOVED


@dataclass(frozen=True)
class Summary:
    lists: tuple[ListLine, ...]
    changes: tuple[OpenChange, ...]
    more_changes: int
    ending: tuple[Ending, ...]
    more_ending: int
    seen: tuple[Sight, ...]
    more_seen: int


def summary() -> Summary:
    """All of it from our own rows; Cloudflare is not asked."""
    changes, ending, seen = open_changes(), ending_soon(), recent()
    return Summary(
        lists=tuple(_lists()),
        changes=tuple(OpenChange(one, changes_words.title(one), changes_words.short(one)) for one in changes[:_MOST]),
        more_changes=max(0, changes.count() - _MOST),
        ending=tuple(ending[:_MOST]),
        more_ending=max(0, len(ending) - _MOST),
        seen=tuple(_sights(list(seen[:_MOST]))),
        more_seen=max(0, seen.count() - _MOST),
    )


def _lists() -> Iterator[ListLine]:
    account, client = settings.CLOUDFLARE_ACCOUNT_ID, get_client()
    known, read = counts(), {one.resource: one for one in readings()}
    here = Change.objects.filter(account_id=account, lines__state=LineState.DONE)
    ours, theirs = _latest(here, "finished_at"), _latest(Observed.objects.filter(account_id=account), "at")
    for resource in RESOURCES:
        if not client.offers(resource.name):
            continue
        count = known.get(resource.name)
        times = [at for at in (ours.get(resource.name), theirs.get(resource.name)) if at is not None]
        yield ListLine(
            resource=resource,
            count=count.number if count else None,
            as_of=count.as_of if count else None,
            changed_at=max(times, default=None),
            trouble=_trouble(read.get(resource.name)),
        )


def _latest(rows: QuerySet[Any], name: str) -> dict[str, dt.datetime | None]:
    return dict(rows.order_by().values_list("resource").annotate(last=Max(name)))


def _trouble(reading: Reading | None) -> str:
    """Why the last reading came to nothing, or that none was made."""
    if reading is None or (reading.finished_at is None and not reading.explanation):
        return "not read yet"
    overdue = reading.finished_at is not None and timezone.now() - reading.finished_at > dt.timedelta(
        minutes=3 * settings.LISTS_MINUTES
    )
    return reading.explanation or ("not read for long" if overdue else "")


def _sights(shown: list[Observed]) -> Iterator[Sight]:
    by = makers(shown)
    for one in shown:
        if one.resource in BY_NAME:
            yield Sight(one, BY_NAME[one.resource], Difference(one.what).value, by[one.pk])
