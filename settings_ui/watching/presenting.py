"""What changed in the lists, as a page shows it: by list, who it was, and each field before and after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from dashboard.audit.recorder import OURSELVES
from settings_ui.models import Difference, Entry, EntryState, Observed, Origin, Reading
from settings_ui.resources import RESOURCES, Resource
from settings_ui.resources.description import Shape
from settings_ui.watching import comparing
from settings_ui.watching.queries import readings, recent
from settings_ui.watching.rounds import LEASE_SECONDS

MOST_SHOWN = 200  # differences of one list
_SOON = dt.timedelta(minutes=2)  # a worker that has not come by then is away
_MONO = (Shape.PATTERN, Shape.LIST)


@dataclass(frozen=True)
class Turned:
    """One field that is different."""

    label: str
    before: str
    after: str
    is_mono: bool


@dataclass(frozen=True)
class Sight:
    """One difference."""

    observed: Observed
    what: str  # "added", "changed", "removed"
    by: str  # the member of ours, "Mailwarden", or "elsewhere"
    fields: tuple[Turned, ...]


@dataclass(frozen=True)
class Seen:
    """One list: how old the knowledge is, and what was different."""

    resource: Resource
    reading: Reading | None
    is_being_read: bool
    sights: tuple[Sight, ...]
    number: int

    @property
    def more(self) -> int:
        return self.number - len(self.sights)


def seen(days: int, *, offered: Sequence[Resource] = RESOURCES) -> list[Seen]:
    """Every list with what was different in the last days."""
    since = timezone.now() - dt.timedelta(days=days)
    known = {reading.resource: reading for reading in readings()}
    return [_list(resource, known.get(resource.name), since) for resource in offered]


def _list(resource: Resource, reading: Reading | None, since: dt.datetime) -> Seen:
    every = recent(resource.name, since)
    shown = list(every[:MOST_SHOWN])
    return Seen(
        resource=resource,
        reading=reading,
        is_being_read=reading is not None and is_being_read(reading),
        sights=tuple(_sights(resource, shown)),
        number=len(shown) if len(shown) < MOST_SHOWN else every.count(),
    )


def is_being_read(reading: Reading) -> bool:
    """Whether a worker has it or will have it in a moment."""
    now = timezone.now()
    if reading.claimed_at is not None:
        return reading.claimed_at > now - dt.timedelta(seconds=LEASE_SECONDS)
    return now - _SOON < reading.due_at <= now


def makers(shown: Collection[Observed]) -> dict[int, str]:
    """By the difference's key: who of us it was, or "" where it was somebody elsewhere. One question."""
    lives = {
        (entry.resource, entry.upstream_id): entry
        for entry in Entry.objects.filter(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID,
            upstream_id__in=[one.upstream_id for one in shown if one.line_id is None],
        ).defer("values")
    }
    return {one.pk: _by(one, lives.get((one.resource, one.upstream_id))) for one in shown}


def _by(one: Observed, entry: Entry | None) -> str:
    """Rules for one sender and ends are no changes, and have rows of their own."""
    if one.line is not None:
        return one.line.change.actor_name
    if entry is None:
        return ""
    if one.what == Difference.ADDED and entry.origin == Origin.ACCEPT:
        return entry.owner_name
    # What we remove ourselves says nothing more; what was only found to be gone says so.
    is_ended = entry.state in (EntryState.REMOVING, EntryState.REMOVED) and not entry.explanation
    return OURSELVES if one.what == Difference.REMOVED and is_ended else ""


def _sights(resource: Resource, shown: list[Observed]) -> Iterator[Sight]:
    by = makers(shown)
    for one in shown:
        yield Sight(
            observed=one,
            what=Difference(one.what).value,
            by=by[one.pk] or "elsewhere",
            fields=tuple(_turned(resource, one)) if one.what == Difference.CHANGED else (),
        )


def _turned(resource: Resource, one: Observed) -> list[Turned]:
    before, after = one.before or {}, one.after or {}
    names = comparing.changed_fields(resource, before, after)
    return [
        Turned(
            field.label,
            field.shown(before.get(field.name)),
            field.shown(after.get(field.name)),
            is_mono=field.shape in _MONO,
        )
        for field in resource.fields
        if field.name in names
    ]
