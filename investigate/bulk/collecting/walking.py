"""Everything a search finds, page by page: one branch after the other, each of them to its end.

A filter of the API takes one value, so a search with several values is several searches ("branches"); what more than
one of them finds is taken once. The range is pinned before the first call: mail that arrives meanwhile moves nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qs

import msgspec
from django.conf import settings
from django.utils import timezone

from dashboard.access.scope import Scope
from dashboard.emailsec import errors
from dashboard.emailsec.rows import MessageRow, decode_rows
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import RawSearchPage, SlowSearch
from dashboard.installation.values import setting
from dashboard.upstream.connection import get_client
from investigate.bulk import facts
from investigate.bulk.collecting import steps
from investigate.bulk.collecting.pausing import pause
from investigate.models import ActionItem, BulkJob
from investigate.search.criteria import Criteria, search_query
from investigate.search.merging import LONGEST_CURSOR, mark
from investigate.search.scoping import asked_for, rows_seen, why_not_within
from investigate.search.window import Window

PER_PAGE = 1000  # the most the API gives at once
CALL_SECONDS = 60.0  # a wide search may take long; together with a step well below the claim
SHORTEST_LOOK, LONGEST_LOOK = 1.0, 10.0  # seconds between two looks at a slow search, a fifth of the wait so far
SEARCHING = "Cloudflare is still searching."
GAVE_UP = "Cloudflare searched for {minutes} minutes without an end. Take a shorter range."
EXPIRED = "Cloudflare forgot the results of this search before they could be read, twice."


class Place(msgspec.Struct, omit_defaults=True):
    """Where the reading stands; `BulkJob.progress` between two steps."""

    branch: int = 0
    cursor: str = ""  # leads to the page that is asked for next; "" for the first one
    used: list[str] = []  # marks of the cursors followed in this branch
    last: str = ""  # time of the last row of this branch
    location: str = ""  # where the service said the answer will be
    slow_since: str = ""
    restarts: int = 0  # of this page; an expired answer is asked for afresh once
    calls: int = 0
    is_limited: bool = False  # there was more than one job takes
    has_changed: bool = False  # a row came twice, or the list did not end properly
    is_over: bool = False
    failing_since: str = ""


def walk_step(job: BulkJob) -> None:
    """Ask for one page of the search, or look once at one that is slow."""
    place = msgspec.convert(job.progress, Place)
    if place.is_over:
        steps.collected(job)
        return
    now = timezone.now()
    criteria = _criteria(job, now)
    if problem := criteria.problem(now):
        steps.failed(job, problem)
        return
    scope = Scope(frozenset(job.scope))
    if problem := why_not_within(criteria, scope):
        steps.failed(job, problem)
        return
    asked = asked_for(criteria, scope)
    if asked is None:
        steps.collected(job)
        return
    branches = asked.branches()
    try:
        answer = _call(branches[place.branch], asked.window(now), place)
    except errors.SearchExpired:
        _ask_afresh(job, place)
    except errors.EmailSecurityError as error:
        pause(job, error, progress=_written(place))
    else:
        place.calls += 1
        place.failing_since = ""
        if isinstance(answer, SlowSearch):
            _look_later(job, place, answer, now)
        else:
            _take(job, place, answer, asked, scope, most_branches=len(branches))


def _criteria(job: BulkJob, now: dt.datetime) -> Criteria:
    """The search, its range exact; one that was relative is pinned for good."""
    criteria = Criteria.from_query(parse_qs(job.query, keep_blank_values=True))
    if criteria.mistakes or (criteria.start and criteria.end):
        return criteria
    pinned = criteria.within(criteria.window(now))
    BulkJob.objects.filter(pk=job.pk, attempt=job.attempt).update(query=pinned.query())
    return pinned


def _call(parameters: dict[str, Any], window: Window, place: Place) -> RawSearchPage | SlowSearch:
    client = get_client()
    if place.location:
        return client.poll_search_raw(place.location, budget=CALL_SECONDS, priority=Priority.BACKGROUND)
    return client.search_raw(
        search_query(parameters, window),
        cursor=place.cursor or None,
        per_page=PER_PAGE,
        budget=CALL_SECONDS,
        priority=Priority.BACKGROUND,
    )


def _look_later(job: BulkJob, place: Place, answer: SlowSearch, now: dt.datetime) -> None:
    since = dt.datetime.fromisoformat(place.slow_since) if place.slow_since else now
    searched = (now - since).total_seconds()
    if searched >= settings.SEARCH_DEADLINE:
        steps.failed(job, GAVE_UP.format(minutes=round(searched / 60)))
        return
    place.location, place.slow_since = answer.location, since.isoformat()
    wait = answer.retry_after or max(SHORTEST_LOOK, min(LONGEST_LOOK, searched / 5))
    steps.store(job, items=[], progress=_written(place), due_in=wait, explanation=SEARCHING)


def _ask_afresh(job: BulkJob, place: Place) -> None:
    if place.restarts:
        steps.failed(job, EXPIRED)
        return
    place.location, place.slow_since, place.restarts = "", "", 1
    steps.store(job, items=[], progress=_written(place))


def _take(
    job: BulkJob, place: Place, answer: RawSearchPage, criteria: Criteria, scope: Scope, *, most_branches: int
) -> None:
    """Store what is new of a page, and where the next one is."""
    assert job.actor is not None  # noqa: S101  collecting has looked
    rows = {row.id: row for row in decode_rows(answer.body)[0]}
    known = set(
        ActionItem.objects.filter(job=job, investigate_id__in=list(rows)).values_list("investigate_id", flat=True)
    )
    seen = rows_seen(list(rows.values()), criteria, scope)
    new = [row for row in seen if row.id not in known]
    free = setting("BULK_LIMIT") - sum(job.counts.values())
    items = facts.items_of(job, new[:free], job.actor)
    # Another branch may have found them before; within one search a row that comes again has moved.
    place.has_changed |= len(rows) < answer.count or (bool(known) and most_branches == 1)
    has_more = _leads_on(place, answer, list(rows.values()), has_new=bool(new))
    if len(new) > free or (len(new) == free and (has_more or place.branch + 1 < most_branches)):
        place.is_limited = place.is_over = True
    elif has_more:
        cursor = answer.next_cursor or ""
        place.cursor, place.used = cursor, [*place.used, mark(cursor)]
    else:
        place.branch, place.cursor, place.used, place.last = place.branch + 1, "", [], ""
        place.is_over = place.branch >= most_branches
    place.location, place.slow_since, place.restarts = "", "", 0
    steps.store(job, items=items, progress=_written(place))


def _leads_on(place: Place, answer: RawSearchPage, rows: list[MessageRow], *, has_new: bool) -> bool:
    """Whether to follow the page's cursor: it must be a new one, and the page must have brought us further."""
    cursor, before = answer.next_cursor, place.last
    place.last = rows[-1].scanned_at if rows else before
    if not cursor:
        return False
    is_new = cursor != place.cursor and mark(cursor) not in place.used
    is_usable = len(cursor) <= LONGEST_CURSOR and cursor.isprintable()
    brought_further = bool(rows) and (has_new or not before or place.last < before)
    leads_on = is_new and is_usable and brought_further
    place.has_changed |= not leads_on
    return leads_on


def _written(place: Place) -> dict[str, Any]:
    written: dict[str, Any] = msgspec.to_builtins(place)
    return written
