"""Reports as the API lists them: one call for all who look at the same page within a minute.

What a page held is kept for an hour at most, and no longer than bodies are, so that opening a report costs no call.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import msgspec
from django.utils import timezone

from dashboard.access.scope import Scope
from dashboard.emailsec import errors
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import PhishGuardReport
from dashboard.upstream.connection import get_client
from investigate.message import parts, store
from investigate.phishguard.criteria import Criteria
from investigate.search.window import Window

PER_PAGE = 50
KEPT = dt.timedelta(hours=1)
CALL_SECONDS = 12.0
PAGES_TO_FIND_ONE = 5


class Told(msgspec.Struct, frozen=True):
    """What a page held when somebody last asked."""

    reports: tuple[PhishGuardReport, ...]
    is_last: bool
    at: dt.datetime
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True)
class Listing:
    """One page, cut to what the member may see. With a `problem`, the reports are from an earlier time, or none."""

    reports: tuple[PhishGuardReport, ...]
    here: Criteria
    """This page by exact times."""
    more: Criteria | None
    at: dt.datetime | None
    problem: errors.EmailSecurityError | None = None


def read(criteria: Criteria, scope: Scope, *, is_forced: bool = False) -> Listing:
    """The page, from an answer of the last minute where there is one."""
    problem = None
    try:
        told: Told | None = _told(criteria, younger_than=store.shared_for(is_forced=is_forced))
    except errors.EmailSecurityError as error:
        problem = error
        told = None if isinstance(error, errors.NotOnThisServer) else _kept(criteria)
    if told is None:
        return Listing((), criteria, None, None, problem)
    here = criteria.at(Window(told.start, told.end), criteria.page)
    return Listing(
        reports=tuple(report for report in told.reports if scope.sees(report.fields.to)),
        here=here,
        more=None if told.is_last else criteria.at(Window(told.start, told.end), criteria.page + 1),
        at=told.at,
        problem=problem,
    )


def find(report_id: str, criteria: Criteria, scope: Scope) -> PhishGuardReport | None:
    """One report of a range: on the page it was seen on, else read from the range's beginning.

    None also for one the member may not know of. Raises what the calls raise.
    """
    if criteria.problem:
        return None
    found, last = None, PAGES_TO_FIND_ONE
    for number in dict.fromkeys((criteria.page, *range(1, PAGES_TO_FIND_ONE + 1))):
        if number > last and number != criteria.page:
            break
        told = _told(replace(criteria, page=number), younger_than=KEPT)
        seen = (report for report in told.reports if scope.sees(report.fields.to))  # others take as long
        found = next((report for report in seen if report.id == report_id), None)
        if found is not None:
            break
        last = min(last, number) if told.is_last else last
    return found


def _kept(criteria: Criteria, *, younger_than: dt.timedelta | None = None) -> Told | None:
    return store.kept_as(Told, "", _part(criteria), younger_than=younger_than)


def _told(criteria: Criteria, *, younger_than: dt.timedelta) -> Told:
    told = _kept(criteria, younger_than=younger_than)
    if told is not None:
        return told
    window = criteria.window()
    page = get_client().phishguard_reports(
        start=window.start,
        end=window.end,
        page=criteria.page,
        per_page=PER_PAGE,
        budget=CALL_SECONDS,
        priority=Priority.READ,
    )
    told = Told(page.items, page.is_last, timezone.now(), window.start, window.end)
    for asked in {criteria, criteria.at(window, criteria.page)}:
        store.keep_struct("", _part(asked), told, min(KEPT, parts.body_life()))
    return told


def _part(criteria: Criteria) -> str:
    return f"phishguard {criteria.fingerprint()}"
