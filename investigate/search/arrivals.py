"""How many messages came since a list was read: counted from an answer that all viewers share.

A look makes no call. It counts in the newest answer we have, and when that is older than a slot it has a worker
fetch one more, whoever asked: as many calls for one viewer as for two hundred.
"""

from __future__ import annotations

import datetime as dt
import zlib
from functools import lru_cache

import msgspec
from django.utils import timezone

from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec.rows import decode_rows
from dashboard.emailsec.times import parse_time
from dashboard.upstream.connection import shared_meter
from investigate.models import SearchRun
from investigate.search import runs
from investigate.search.criteria import Criteria
from investigate.search.results import PER_PAGE
from investigate.search.scoping import asked_for, rows_within


class _Glance(msgspec.Struct):
    id: str
    scanned_at: str | None = None
    ts: str | None = None


class _Envelope(msgspec.Struct):
    result: list[_Glance]


_glances = msgspec.json.Decoder(_Envelope)


def can_grow(criteria: Criteria) -> bool:
    """Whether new messages can still fall into the range of this search."""
    return criteria.end is None or criteria.end > timezone.now()


def count(criteria: Criteria, since: str, *, scope: Scope = WHOLE, per_page: int = PER_PAGE) -> tuple[int, bool]:
    """(messages newer than `since`, whether there are probably more); `since` is a time as MessageRow writes it."""
    new: set[str] = set()
    is_full = False
    for page in _first_pages(criteria, scope, per_page):
        run = runs.latest_answer(page)
        if run is not None:
            newer = _newer_ids(run, since, criteria, scope)
            is_full |= len(newer) >= per_page
            new |= newer
    return len(new), is_full


def keep_current(criteria: Criteria, *, scope: Scope = WHOLE, per_page: int = PER_PAGE) -> None:
    """See to it that the answers everybody counts in are at most a slot old, while the budget is not below half."""
    due = [page for page in _first_pages(criteria, scope, per_page) if runs.needs_refresh(page)]
    if not due:
        return
    budget = shared_meter().view()
    if budget.frozen_for or budget.left * 2 < budget.limit:
        return
    for page in due:
        runs.refresh(page)


def _first_pages(criteria: Criteria, scope: Scope, per_page: int) -> list[runs.PageRequest]:
    asked = asked_for(criteria, scope)
    return [] if asked is None else runs.first_pages(asked, timezone.now(), per_page=per_page)


def _newer_ids(run: SearchRun, since: str, criteria: Criteria, scope: Scope) -> set[str]:
    limit = parse_time(since)
    if not scope.is_whole:
        times = ((row.id, row.scanned_at_time) for row in rows_within(runs.rows_of(run), criteria, scope))
        return {row_id for row_id, at in times if at is not None and (limit is None or at > limit)}
    return {row_id for row_id, at in _times(bytes(run.body or b"")) if limit is None or at > limit}


@lru_cache(maxsize=32)
def _times(body: bytes) -> tuple[tuple[str, dt.datetime], ...]:
    """(id, when it was scanned) of each message of an answer; everybody with the same list open looks into one."""
    answer = zlib.decompress(body)
    try:
        glances = _glances.decode(answer).result
        times = ((glance.id, parse_time(glance.scanned_at) or parse_time(glance.ts)) for glance in glances)
    except msgspec.DecodeError:  # an answer of an odd shape; the slow way reads it
        times = ((row.id, row.scanned_at_time) for row in decode_rows(answer)[0])
    return tuple((row_id, at) for row_id, at in times if at is not None)
