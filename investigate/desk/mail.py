"""Reading the account's mail once for everybody: what is wanted comes onto the desk, all of it into the memory.

What people's searches brought is not fetched again. A finished search without filters that reaches back to what is
known moves `covered_until`; one that reaches back before the overlap moves the mark as a reading does. So while a desk
is open, whose list is fetched every few seconds for all its viewers, a reading is needed only for mail that is listed
late: one in a quarter of an hour.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from dashboard.emailsec.errors import UnexpectedReply
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Message, SearchPage, SlowSearch
from dashboard.installation.values import setting
from dashboard.upstream.connection import get_client
from investigate.bulk.facts import is_id
from investigate.desk.cases import ensure_many
from investigate.desk.rounds import Reading
from investigate.memory.ingesting import messages_of, note_remembered
from investigate.memory.remembering import remember
from investigate.models import CaseSource, QueueMark, SearchRun, SearchState
from investigate.search.runs import known_runs

log = structlog.get_logger("mailwarden.desk")
T = TypeVar("T")

OVERLAP = dt.timedelta(minutes=15)  # lists grow late: mail of this age is read once more
PER_PAGE = 1000
PAGES_A_ROUND = 60
CALL_SECONDS = 10.0
FRESH = dt.timedelta(seconds=75)  # covered up to so long ago is covered up to now: two searches of an open desk
READ_AGAIN = dt.timedelta(minutes=15)  # what searches cover is read once more after that, for mail listed late
RUNS_LOOKED_AT = 100
RESOLUTION = dt.timedelta(seconds=1)  # a page may end between two messages of one second


# --- what the account is asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    new: list[str]  # ids of what is new on the desk
    is_last: bool = False
    is_slow: bool = False  # there is no answer yet; a reading without a location was waited for long enough


def read_page(reading: Reading, *, priority: Priority) -> Page:
    """Ask for the next page, newest mail first, take in what it holds, and move the reading on."""
    asked_at = timezone.now()
    answer = _next_page(reading, priority)
    if isinstance(answer, SlowSearch):
        reading.since = reading.since or asked_at.isoformat()
        reading.location = "" if _is_too_late(reading.since) else answer.location
        return Page([], is_slow=True)
    new = take_in(answer.messages, seen_at=asked_at, queue_from=reading.wanted_from)
    is_last = not answer.next_cursor or answer.next_cursor == reading.cursor
    reading.cursor, reading.location, reading.since = str(answer.next_cursor or ""), "", ""
    return Page(new, is_last)


def _next_page(reading: Reading, priority: Priority) -> SearchPage | SlowSearch:
    """One list for all dispositions: the search takes one of them, and knows no filter for Malicious-BEC."""
    client = get_client()
    if reading.location:
        return client.poll_search(reading.location, budget=CALL_SECONDS, priority=priority, is_lenient=True)
    start, end = reading.window
    return client.search(
        SearchQuery(start=start, end=end, detections_only=not reading.of_all_mail),
        cursor=reading.cursor or None,
        per_page=PER_PAGE,
        budget=CALL_SECONDS,
        priority=priority,
        is_lenient=True,
    )


def _is_too_late(since: str) -> bool:
    return timezone.now() - dt.datetime.fromisoformat(since) > dt.timedelta(seconds=settings.SEARCH_DEADLINE)


# --- what is done with it ---------------------------------------------------------------------------------------------


def take_in(
    messages: Sequence[Message],
    *,
    seen_at: dt.datetime,
    queue_from: dt.datetime | None = None,
) -> list[str]:
    """Put what is wanted onto the desk, and all into the memory; ids of what is new on the desk."""
    usable = [message for message in messages if is_id(message.id)]
    wanted = [message for message in usable if _is_wanted(message, queue_from)]
    new: list[str] = []
    each_at_least(lambda some: new.extend(ensure_many(some, CaseSource.DETECTION)), wanted, "id")
    each_at_least(lambda some: remember(some, seen_at=seen_at), usable, "id")
    return new


def _is_wanted(message: Message, queue_from: dt.datetime | None) -> bool:
    if message.final_disposition not in settings.QUEUE_DISPOSITIONS:
        return False
    return queue_from is None or message.scanned_at is None or message.scanned_at >= queue_from


def each_at_least(act: Callable[[Sequence[T]], Any], items: Sequence[T], name: str) -> None:
    """All at once; where what one of them holds is refused, one by one, so that it stops no other."""
    try:
        act(items)
    except OperationalError:
        raise  # not about a message
    except Exception:  # noqa: BLE001  whatever it is: one of them is the reason, and the log says which
        for item in items:
            try:
                act([item])
            except OperationalError:
                raise
            except Exception as problem:  # noqa: BLE001  the same
                log.error("row_not_taken_in", id=getattr(item, name), error=type(problem).__name__)


# --- what searches brought --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """What one search read without a gap, over one page or several."""

    low: dt.datetime
    high: dt.datetime
    runs: tuple[SearchRun, ...]


def take_from_searches(mark: QueueMark) -> tuple[list[str], bool]:
    """Move the mark (not saved) by what finished searches brought: ids of what is new on the desk by that, and whether
    they leave nothing to ask for: neither new mail, nor the second look at mail that is listed late."""
    new: list[str] = []
    before = mark.covered_until
    if before is None or is_first_reading(mark):
        return new, False
    until = before
    waiting = list(_stretches(before))
    while found := [stretch for stretch in waiting if stretch.low <= until < stretch.high]:
        farthest = max(found, key=lambda stretch: (stretch.high, -stretch.low.timestamp()))
        try:
            brought = [(run, messages_of(run)) for run in farthest.runs]
        except UnexpectedReply:
            log.error("search_not_taken", run=str(farthest.runs[0].pk))
            waiting.remove(farthest)
            continue
        for run, messages in brought:
            new += take_in(messages, seen_at=run.started_at)  # again, if it is in the memory: nothing is missed
            note_remembered(run)
        if farthest.low <= mark.read_until - OVERLAP:
            mark.read_until = farthest.high
        until = farthest.high
    mark.covered_until = until
    now = timezone.now()
    is_fresh = until > max(before, now - FRESH)
    return new, is_fresh and mark.read_until > now - READ_AGAIN


def is_first_reading(mark: QueueMark) -> bool:
    """Whether the account was never read to the end, or not as widely as the memory is set now."""
    return mark.covered_until is None or bool(setting("MEMORY_ALL_MAIL") and not mark.of_all_mail)


def _stretches(since: dt.datetime) -> Iterable[Stretch]:
    """Of the newest searches of the whole account that ended after `since`."""
    kinds = [{"detections_only": False}]
    if not setting("MEMORY_ALL_MAIL"):
        kinds.append({"detections_only": True})
    done = known_runs().filter(state=SearchState.DONE, end__gt=since, parameters__in=kinds)
    runs = list(done.order_by("-started_at")[:RUNS_LOOKED_AT])
    pages = {(str(run.parameters), run.start, run.end, run.cursor): run for run in runs if run.cursor}
    for run in runs:
        if run.cursor:
            continue
        chain = [run]
        while (following := pages.get((str(run.parameters), run.start, run.end, chain[-1].next_cursor))) is not None:
            if following in chain:
                break
            chain.append(following)
        low = _read_down_to(chain)
        if low is not None:
            yield Stretch(low, min(run.end, run.started_at), tuple(chain))


def _read_down_to(chain: Sequence[SearchRun]) -> dt.datetime | None:
    """Where a search that was read page by page stops; None where its order says nothing about what is missing."""
    if not chain[-1].next_cursor:
        return chain[0].start
    try:
        times = [message.scanned_at for run in chain for message in messages_of(run) if message.scanned_at]
    except UnexpectedReply:
        return None
    if not times or times != sorted(times, reverse=True):
        return None
    return times[-1] + RESOLUTION
