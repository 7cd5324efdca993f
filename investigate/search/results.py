"""What a search page shows: the answers of all branches as one list, or why there is none (yet)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from uuid import UUID

from django.utils import timezone

from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec import errors
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.emailsec.rows import MessageRow
from investigate.models import SearchRun, SearchState
from investigate.search import runs
from investigate.search.criteria import Criteria, branch_name
from investigate.search.merging import LONGEST_CURSOR, BadToken, MoreToken, Place, Stream, mark, merge, read_token
from investigate.search.scoping import asked_for, rows_within
from investigate.search.window import Window

PER_PAGE = 100
Sight = Callable[[Sequence[MessageRow]], Sequence[MessageRow]]  # what of an answer its reader gets


class State(StrEnum):
    ROWS = "rows"
    EMPTY = "empty"
    SLOW = "slow"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Unread:
    """A branch that could not be read, by the value that makes it one."""

    name: str
    run: SearchRun


@dataclass(frozen=True)
class Results:
    """One page of a search. With FAILED, `rows` may hold what an earlier run found, as old as `answered_at` says."""

    state: State
    window: Window
    runs: Sequence[SearchRun]
    rows: Sequence[MessageRow] = ()
    more: str = ""  # the token of "load more", "" on the last page
    shown: int = 0  # rows of all pages so far
    last: str = ""  # time of the last row above this page
    answered_at: dt.datetime | None = None
    unread: Sequence[Unread] = ()
    has_changed: bool = False  # the service showed a row twice, or the list did not end properly

    @property
    def open_runs(self) -> list[SearchRun]:
        return [run for run in self.runs if run.state in runs.OPEN]

    @property
    def started_at(self) -> dt.datetime:
        return min(run.started_at for run in self.runs)

    @property
    def deadline_at(self) -> dt.datetime:
        return max(run.deadline_at for run in self.runs)

    @property
    def failure(self) -> SearchRun | None:
        return next((run for run in self.runs if run.state == SearchState.FAILED), None)


def error_of(run: SearchRun) -> EmailSecurityError | None:
    """The error of a failed run as the client raised it; None for a search that was given up at its deadline."""
    kind = getattr(errors, run.error, None)
    if not (isinstance(kind, type) and issubclass(kind, EmailSecurityError)):
        return None
    wait = (run.retry_after - timezone.now()).total_seconds() if run.retry_after else None
    return kind(
        status=run.error_status,
        api_message=run.error_text,
        retry_after=max(1.0, wait) if wait is not None else None,
    )


def search(criteria: Criteria, *, scope: Scope = WHOLE, is_forced: bool = False, per_page: int = PER_PAGE) -> Results:
    """The first page. May raise TooManyBranches; every failure of the API is a state of the page instead."""
    asked = asked_for(criteria, scope)
    if asked is None:
        return _nothing(criteria)
    requests = runs.first_pages(asked, timezone.now(), per_page=per_page)
    return first_page(asked, runs.obtain_all(requests, is_forced=is_forced), scope=scope, per_page=per_page)


def resume(
    criteria: Criteria, ids: Collection[UUID], *, scope: Scope = WHOLE, per_page: int = PER_PAGE
) -> Results | None:
    """The page of runs that were started before (a slow search looked at again); None where they are gone."""
    asked = asked_for(criteria, scope)
    if asked is None:
        return None
    found = runs.known_runs().in_bulk(list(ids))
    branches = asked.branches()
    if len(found) != len(branches):
        return None
    ordered = [next((run for run in found.values() if run.parameters == branch), None) for branch in branches]
    known = [run for run in ordered if run is not None]
    return first_page(asked, known, scope=scope, per_page=per_page) if len(known) == len(branches) else None


def left(criteria: Criteria, ids: Collection[UUID], *, scope: Scope = WHOLE) -> Results:
    """What somebody sees who stopped waiting for these runs, whatever became of them. Starts nothing."""
    found = of_search(criteria, ids, scope)
    window = criteria.window(timezone.now())
    if found:
        window = Window(min(run.start for run in found), max(run.end for run in found))
    return Results(State.CANCELLED, window, found)


def of_search(criteria: Criteria, ids: Collection[UUID], scope: Scope) -> list[SearchRun]:
    """Those of these runs that are of the search as it is asked within the scope."""
    found = list(runs.known_runs().filter(pk__in=list(ids)).defer("body"))
    if scope.is_whole:
        return found
    asked = asked_for(criteria, scope)
    branches = asked.branches() if asked is not None else []
    return [run for run in found if run.parameters in branches]


def _nothing(criteria: Criteria) -> Results:
    """What a search finds that names only recipients outside the scope: what one finds that nothing matches."""
    now = timezone.now()
    return Results(State.EMPTY, criteria.window(now), (), answered_at=now)


def first_page(criteria: Criteria, found: Sequence[SearchRun], *, per_page: int, scope: Scope = WHOLE) -> Results:
    window = Window(min(run.start for run in found), max(run.end for run in found))
    states = {run.state for run in found}
    if SearchState.CANCELLED in states:
        return Results(State.CANCELLED, window, found)
    if not states.isdisjoint(runs.OPEN):
        return Results(State.SLOW, window, found)
    if states == {SearchState.FAILED}:
        return _old_rows(criteria, found, window, scope=scope, per_page=per_page)
    return _page_of_finished(criteria, found, window, scope=scope, per_page=per_page)


def _page_of_finished(
    criteria: Criteria, found: Sequence[SearchRun], window: Window, *, scope: Scope, per_page: int
) -> Results:
    unread = [Unread(branch_name(run.parameters, criteria), run) for run in found if run.state == SearchState.FAILED]
    places = [
        Place(int(run.start.timestamp()), int(run.end.timestamp()), is_over=run.state != SearchState.DONE)
        for run in found
    ]
    page = _assemble(places, found, MoreToken(1, 0, "", (), ()), seen=_sight(criteria, scope), per_page=per_page)
    return Results(
        State.ROWS if page.rows or page.more or unread else State.EMPTY,
        window,
        found,
        rows=page.rows,
        more=page.more,
        shown=page.shown,
        answered_at=min((run.answered_at for run in found if run.answered_at and not run.error), default=None),
        unread=unread,
        has_changed=page.has_changed,
    )


def _old_rows(
    criteria: Criteria, found: Sequence[SearchRun], window: Window, *, scope: Scope, per_page: int
) -> Results:
    """A failed search with what an earlier run of it found, so that the desk is not empty while we wait."""
    earlier = [runs.earlier_answer(run.key) for run in found]
    known = [run for run in earlier if run is not None]
    if len(known) < len(found):
        return Results(State.FAILED, window, found)
    known_window = Window(min(run.start for run in known), max(run.end for run in known))
    old = _page_of_finished(criteria, known, known_window, scope=scope, per_page=per_page)
    return Results(
        State.FAILED, old.window, found, rows=old.rows, more=old.more, shown=old.shown, answered_at=old.answered_at
    )


def more(
    criteria: Criteria, text: str, *, scope: Scope = WHOLE, is_forced: bool = False, per_page: int = PER_PAGE
) -> Results:
    """The rows after those a token stands for. Raises BadToken. A slow or failed branch gives no rows at all: the
    same token goes on later, and nothing is out of order or lost."""
    asked_criteria = asked_for(criteria, scope)
    if asked_criteria is None:
        raise BadToken("no search that has a first page")
    token = read_token(text, asked_criteria, timezone.now())
    found = _runs_of(asked_criteria, token, is_forced=is_forced, per_page=per_page)
    window = token.places[0].window
    states = {run.state for run in found if run is not None}
    asked = [run for run in found if run is not None]
    if SearchState.CANCELLED in states:
        return Results(State.CANCELLED, window, asked, more=text, shown=token.shown, last=token.last)
    if not states.isdisjoint(runs.OPEN):
        return Results(State.SLOW, window, asked, more=text, shown=token.shown, last=token.last)
    if SearchState.FAILED in states:
        return Results(State.FAILED, window, asked, more=text, shown=token.shown, last=token.last)
    page = _assemble(list(token.places), found, token, seen=_sight(asked_criteria, scope), per_page=per_page)
    return Results(
        State.ROWS,
        window,
        asked,
        rows=page.rows,
        more=page.more,
        shown=page.shown,
        last=token.last,
        answered_at=min((run.answered_at for run in asked if run.answered_at), default=None),
        has_changed=page.has_changed,
    )


def _runs_of(criteria: Criteria, token: MoreToken, *, is_forced: bool, per_page: int) -> list[SearchRun | None]:
    """The run each place of a token reads from; None for branches that are at their end."""
    hints = [UUID(hex=place.run) for place in token.places if place.run]
    remembered = runs.known_runs().filter(state=SearchState.DONE).in_bulk(hints) if hints else {}
    found: list[SearchRun | None] = [None] * len(token.places)
    missing: dict[int, runs.PageRequest] = {}
    for index, (place, parameters) in enumerate(zip(token.places, criteria.branches(), strict=True)):
        if place.is_over:
            continue
        run = remembered.get(UUID(hex=place.run)) if place.run else None
        if run is not None and run.parameters == parameters and run.cursor == place.cursor:
            found[index] = run
        else:
            missing[index] = runs.page_after(parameters, place.window, place.cursor, per_page=per_page)
    if missing:
        asked = runs.obtain_all(list(missing.values()), is_forced=is_forced)
        for index, run in zip(missing, asked, strict=True):
            found[index] = run
    return found


def _sight(criteria: Criteria, scope: Scope) -> Sight:
    return partial(rows_within, criteria=criteria, scope=scope)


@dataclass(frozen=True)
class _Page:
    rows: Sequence[MessageRow]
    more: str
    shown: int
    has_changed: bool


def _assemble(
    places: Sequence[Place], found: Sequence[SearchRun | None], token: MoreToken, *, seen: Sight, per_page: int
) -> _Page:
    """Merge the branches' pages from where they stand, and write down where they stand afterwards."""
    streams: list[Stream] = []
    has_changed = False
    for place, run in zip(places, found, strict=True):
        if run is None or place.is_over or run.state != SearchState.DONE:
            streams.append(Stream(()))
            continue
        page = runs.rows_of(run)
        leads_on = bool(run.next_cursor) and bool(page) and _is_new_cursor(run, place)
        rows = seen(page)
        has_changed |= bool(run.next_cursor) and not leads_on
        streams.append(Stream(rows, min(place.offset, len(rows)), leads_on, partial(_earlier_ids, run, place)))
    merged = merge(streams, most=per_page, last=token.last, last_ids=token.last_ids)
    following = [_place_after(place, run, stream) for place, run, stream in zip(places, found, streams, strict=True)]
    shown = token.shown + len(merged.rows)
    is_over = all(place.is_over for place in following)
    after = MoreToken(1, shown, merged.last, merged.last_ids, tuple(following))
    return _Page(merged.rows, "" if is_over else after.write(), shown, has_changed or merged.has_changed)


def _is_new_cursor(run: SearchRun, place: Place) -> bool:
    return (
        run.next_cursor != run.cursor
        and mark(run.next_cursor) not in place.used
        and len(run.next_cursor) <= LONGEST_CURSOR
        and run.next_cursor.isprintable()
    )


def _place_after(place: Place, run: SearchRun | None, stream: Stream) -> Place:
    if run is None or run.state != SearchState.DONE:
        return Place(place.start, place.end, is_over=True)
    start, end = int(run.start.timestamp()), int(run.end.timestamp())
    if not stream.is_dry:
        return Place(start, end, run.cursor, stream.offset, run.pk.hex, place.used)
    if stream.has_next:
        return Place(start, end, run.next_cursor, 0, "", (*place.used, mark(run.next_cursor)))
    return Place(start, end, is_over=True)


def _earlier_ids(run: SearchRun, place: Place) -> Collection[str]:
    """Ids of the pages of this branch before this one, as far as we remember them."""
    pages = runs.known_runs().filter(start=run.start, end=run.end, state=SearchState.DONE).exclude(pk=run.pk)
    ids: set[str] = set()
    for page in pages:
        was_followed = not page.cursor or mark(page.cursor) in place.used
        if page.parameters == run.parameters and page.cursor != run.cursor and was_followed:
            ids.update(message.id for message in runs.rows_of(page))
    return ids
