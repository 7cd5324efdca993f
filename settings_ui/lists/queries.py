"""Pages of a list and single entries, read from the API, and from the last whole reading where no call can be made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from dashboard.emailsec import errors
from dashboard.upstream.connection import get_client
from settings_ui.lists.criteria import Criteria, kept, misses
from settings_ui.models import Change, ChangeState, Difference, Line, LineState, Mirrored, Observed, Reading, Verb
from settings_ui.resources import Resource, Values
from settings_ui.watching import mirror

CALL_SECONDS = 8.0
NEWEST = "created_at"  # the order of a list that is asked for no other; every list that has orders has this one
_MOST_PAST = 50
NOT_HAPPENED = (LineState.DRAFT, LineState.LEFT_OUT, LineState.CANCELLED)


@dataclass(frozen=True)
class Snapshot:
    """One entry, as the API or the last whole reading said it."""

    id: str
    values: Values
    created_at: dt.datetime | None = None
    modified_at: dt.datetime | None = None


@dataclass(frozen=True)
class Listed:
    """One page of a list. With a `problem` the entries are those of the last whole reading, if there was one."""

    entries: tuple[Snapshot, ...]
    as_of: dt.datetime | None
    came: int  # how many the page held before what does not fit the filters was left out
    is_last: bool
    total_hint: int | None = None
    not_looked_at: frozenset[str] = field(default_factory=frozenset)  # filters the server ignored
    problem: errors.EmailSecurityError | None = None


def listed(resource: Resource, criteria: Criteria) -> Listed:
    """One page, in one call. Raises NotOnThisServer alone: what else goes wrong is part of the answer."""
    client = get_client()
    try:
        page = client.entries(
            resource.name,
            filters=criteria.filters,
            search=criteria.search or None,
            order=criteria.order or (NEWEST if resource.orders else None),
            direction=criteria.direction or ("asc" if criteria.order else "desc") if resource.orders else None,
            page=criteria.page,
            per_page=criteria.per_page,
            budget=CALL_SECONDS,
        )
    except errors.NotOnThisServer:
        raise
    except errors.EmailSecurityError as problem:
        return _mirrored_page(resource, criteria, problem)
    found, not_looked_at = kept(criteria, page.items)
    return Listed(
        entries=tuple(Snapshot(one.id, one.values(), one.created_at, one.modified_at) for one in found),
        as_of=timezone.now(),
        came=len(page.items),
        is_last=page.is_last,
        total_hint=page.total_hint if criteria.is_everything else None,
        not_looked_at=not_looked_at,
    )


def _mirrored_page(resource: Resource, criteria: Criteria, problem: errors.EmailSecurityError) -> Listed:
    """The same page out of the last whole reading, by name: nobody can be asked for another order now."""
    rows = mirror(resource.name).order_by("label", "pk")
    first, end = (criteria.page - 1) * criteria.per_page, criteria.page * criteria.per_page + 1
    found: list[Mirrored]
    if criteria.is_everything:
        found = list(rows[first:end])
    else:
        found = [row for row in rows.iterator() if _fits(resource, criteria, row)][first:end]
    entries = tuple(map(_of_mirror, found[: criteria.per_page]))
    return Listed(entries, read_at(resource), len(entries), len(found) <= criteria.per_page, problem=problem)


def _fits(resource: Resource, criteria: Criteria, row: Mirrored) -> bool:
    """Looked at here and not in the database: its JSON is text with the names of the fields in it, and not all letters
    have a case there."""
    names = [name for name in resource.identity if not resource.field(name).options]
    said = [row.values.get(name) for name in (*names, resource.note)]
    is_like = any(criteria.search.casefold() in str(one or "").casefold() for one in (row.label, *said))
    return is_like and not misses(criteria.filters, row.values)


def read_at(resource: Resource) -> dt.datetime | None:
    """When the list was last read as a whole."""
    reading = Reading.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource.name).first()
    return reading.finished_at if reading is not None else None


def _of_mirror(row: Mirrored) -> Snapshot:
    return Snapshot(row.upstream_id, row.values, row.created_at, row.modified_at)


# --- one entry ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """One entry and all we know of its past. `entry` is None where it is gone and nothing of it was ever seen."""

    entry: Snapshot | None
    is_gone: bool
    as_of: dt.datetime | None
    lines: Sequence[Line]
    seen: Sequence[Observed]
    problem: errors.EmailSecurityError | None = None

    @property
    def removal(self) -> Line | None:
        """Our change that removed it."""
        return next((line for line in self.lines if line.verb == Verb.REMOVE and line.state == LineState.DONE), None)

    @property
    def was_seen_to_go(self) -> dt.datetime | None:
        """When a reading missed it, where it was removed elsewhere."""
        return next((one.at for one in self.seen if one.what == Difference.REMOVED), None)


def opened(resource: Resource, entry_id: str) -> Opened:
    """One entry, in one call. A gone one comes with its last values, as far as we saw them."""
    lines, seen = _lines(resource, entry_id), _seen(resource, entry_id)
    problem: errors.EmailSecurityError | None = None
    try:
        found = get_client().entry(resource.name, entry_id, budget=CALL_SECONDS)
    except errors.NotFound:
        last, as_of = _last_known(resource, entry_id, lines, seen)
        return Opened(last, is_gone=True, as_of=as_of, lines=lines, seen=seen)
    except errors.NotOnThisServer:
        raise
    except errors.EmailSecurityError as error:
        problem = error
    else:
        known = Snapshot(found.id, found.values(), found.created_at, found.modified_at)
        return Opened(known, is_gone=False, as_of=timezone.now(), lines=lines, seen=seen)
    row = mirror(resource.name).filter(upstream_id=entry_id).first()
    last = _of_mirror(row) if row is not None else None
    return Opened(last, is_gone=False, as_of=read_at(resource), lines=lines, seen=seen, problem=problem)


def _lines(resource: Resource, entry_id: str) -> list[Line]:
    """What was done to it here, newest first."""
    found = Line.objects.filter(
        change__account_id=settings.CLOUDFLARE_ACCOUNT_ID, change__resource=resource.name, upstream_id=entry_id
    ).exclude(state__in=NOT_HAPPENED)
    return list(found.select_related("change").order_by("-change__created_at", "-pk")[:_MOST_PAST])


def _seen(resource: Resource, entry_id: str) -> list[Observed]:
    """What was noticed about it that nobody did here, newest first."""
    found = Observed.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource.name, upstream_id=entry_id, line=None
    )
    return list(found.order_by("-at")[:_MOST_PAST])


def _last_known(
    resource: Resource, entry_id: str, lines: Sequence[Line], seen: Sequence[Observed]
) -> tuple[Snapshot | None, dt.datetime | None]:
    row = mirror(resource.name).filter(upstream_id=entry_id).first()
    if row is not None:
        return _of_mirror(row), read_at(resource)
    for one in seen:
        if values := one.before or one.after:
            return Snapshot(entry_id, values), one.at
    for line in lines:
        if line.before or line.values:
            return Snapshot(entry_id, {**(line.before or {}), **line.values}), line.change.created_at
    return None, None


# --- all lists ----------------------------------------------------------------------------------------------------


def open_changes() -> QuerySet[Change]:
    """What is under way, newest first; dry runs are nobody's decision yet."""
    states = (ChangeState.AWAITING_APPROVAL, ChangeState.WAITING, ChangeState.RUNNING)
    return Change.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, state__in=states).order_by("-created_at")
