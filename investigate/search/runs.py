"""Runs of searches: one row for each page of each upstream search, shared by everybody who asks the same.

A page asks with `obtain` and never waits longer than its patience; what takes longer goes on in a worker
(`continue_run`), and the page looks at the row. Due times are columns: no task sleeps, and the sweep rings again for
what nobody holds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from dashboard.emailsec import errors
from dashboard.emailsec.rows import MessageRow, decode_rows
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import RawSearchPage, SlowSearch
from dashboard.upstream import places
from dashboard.upstream.connection import get_client
from dashboard.upstream.parallel import side_by_side
from dashboard.upstream.ring import ring
from investigate.models import SearchRun, SearchState
from investigate.search.criteria import Criteria, search_query
from investigate.search.window import Window

log = structlog.get_logger("mailwarden.search")

OPEN = (SearchState.RUNNING, SearchState.SLOW)
LEAST_FRESH, MOST_FRESH = 15.0, 300.0  # seconds a finished run answers others without a new call
OLD_FIRST_PAGES = dt.timedelta(minutes=5)  # of a list that is kept current; longer than any is fresh
FAILURE_SHARED = 5.0  # seconds a failure answers others, so that a crowd does not knock on a closed door
NEXT_PAGE_KEPT = dt.timedelta(hours=1)
KEPT = dt.timedelta(hours=2)
CLAIM = dt.timedelta(seconds=75)  # longer than the longest call of a worker
PAGE_CLAIM = dt.timedelta(seconds=30)
FIRST_PATIENCE = 20.0  # seconds for a worker's first call for a run; the second may take twice as long, and so on
WORKER_PATIENCE = 60.0  # seconds for one call of a worker, so that a search that answers late is answered at last
LONGEST_BELL = 10.0  # seconds of countdown; what is due later is rung by the sweep
REFRESH_MARK = "r:"  # keys of refreshes in flight: nobody who opens the page is made to wait for one
NOT_FINISHED = "NotFinished"  # stands in `error` for a search given up at its deadline


@dataclass(frozen=True)
class PageRequest:
    """One page of one upstream search; two with the same key are the same page for everybody."""

    key: str
    parameters: dict[str, Any]
    window: Window
    cursor: str = ""
    per_page: int = 100
    is_pinned: bool = False  # part of one reading: kept as it is, while first pages age

    @property
    def refresh_key(self) -> str:
        return REFRESH_MARK + self.key


def first_pages(criteria: Criteria, now: dt.datetime, *, per_page: int) -> list[PageRequest]:
    """The first page of each branch. Colleagues share it although their "last 24 h" began some seconds apart."""
    window = criteria.window(now)
    return [
        PageRequest(_key(parameters, criteria.range_key(), per_page), parameters, window, "", per_page)
        for parameters in criteria.branches()
    ]


def page_after(parameters: dict[str, Any], window: Window, cursor: str, *, per_page: int) -> PageRequest:
    """A page further down (or, without a cursor, the first one again) of a search whose range is pinned."""
    exact = f"{window.start.isoformat()} to {window.end.isoformat()} at {cursor}"
    return PageRequest(_key(parameters, exact, per_page), parameters, window, cursor, per_page, is_pinned=True)


def _key(parameters: dict[str, Any], place: str, per_page: int) -> str:
    whole = json.dumps([settings.CLOUDFLARE_ACCOUNT_ID, parameters, place, per_page], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:60]


def known_runs() -> QuerySet[SearchRun]:
    """Runs of the configured account, whose mail alone may be shown."""
    return SearchRun.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


# --- for pages --------------------------------------------------------------------------------------------------------


def obtain_all(requests: Sequence[PageRequest], *, is_forced: bool = False) -> list[SearchRun]:
    """A run for each page, asked side by side; open ones are slow (a worker goes on) or held by another process."""
    if len(requests) == 1:
        return [obtain(requests[0], is_forced=is_forced)]
    answers = side_by_side([partial(obtain, request, is_forced=is_forced) for request in requests])
    runs: list[SearchRun] = []
    for answer in answers:
        if isinstance(answer, errors.EmailSecurityError):
            raise answer
        runs.append(answer)
    return runs


def obtain(request: PageRequest, *, is_forced: bool = False) -> SearchRun:
    """The run that answers this page: a finished one that is fresh enough, the open one, or a new one.

    `is_forced` asks for a new one even if a fresh one exists (not during a Retry-After: nothing may be sent then).
    """
    now = timezone.now()
    run = _newest(request.key)
    if run is not None and (run.state in OPEN or _still_answers(run, request, now, is_forced=is_forced)):
        return await_holder(run)
    made = _start(request, now)
    if made is None:  # somebody else was faster by a blink
        run = _newest(request.key)
        return obtain(request, is_forced=is_forced) if run is None else await_holder(run)
    if (rival := _finished_meanwhile(made)) is not None:
        made.delete()
        return rival
    _ask_for_page(made)
    return made


def _finished_meanwhile(made: SearchRun) -> SearchRun | None:
    """A run that was open when this one was wanted and done when it was made: one call is enough for both."""
    done = SearchRun.objects.filter(key=made.key, state=SearchState.DONE, answered_at__gt=made.started_at)
    return done.order_by("-started_at").first() if done.exists() else None  # hardly ever: first() reads whole answers


def _newest(key: str) -> SearchRun | None:
    return SearchRun.objects.filter(key=key).order_by("-started_at").first()


def _still_answers(run: SearchRun, request: PageRequest, now: dt.datetime, *, is_forced: bool) -> bool:
    if run.state == SearchState.FAILED:
        if run.retry_after and run.retry_after > now:
            return True
        return not is_forced and seconds_between(run.answered_at, now) < FAILURE_SHARED
    if run.state != SearchState.DONE or is_forced:
        return False
    if request.is_pinned:
        return bool(run.answered_at and now - run.answered_at < NEXT_PAGE_KEPT)
    return is_fresh(run, now)


def is_fresh(run: SearchRun, now: dt.datetime) -> bool:
    """A search that took long is shared for longer, and one people were told to come back for waits for them."""
    if run.location:
        return seconds_between(run.answered_at, now) <= MOST_FRESH
    took = seconds_between(run.started_at, run.answered_at)
    return seconds_between(run.answered_at, now) <= max(LEAST_FRESH, min(MOST_FRESH, 3 * took))


def seconds_between(earlier: dt.datetime | None, later: dt.datetime | None) -> float:
    return (later - earlier).total_seconds() if earlier and later else 0.0


def await_holder(run: SearchRun) -> SearchRun:
    """Give the process that is asking right now its page's patience before this one shows "still searching"."""
    give_up = time.monotonic() + settings.PAGE_PATIENCE
    pause = 0.05
    while run.state == SearchState.RUNNING and time.monotonic() < give_up:
        time.sleep(pause)
        pause = min(0.4, pause * 1.5)
        try:
            run.refresh_from_db()
        except SearchRun.DoesNotExist:  # it was given up for one that had finished in the same instant
            return _newest(run.key) or run
    return run


def _start(request: PageRequest, now: dt.datetime, **values: Any) -> SearchRun | None:
    """A new open run, or None where there is one already: the database decides."""
    fields = {
        "key": request.key,
        "state": SearchState.RUNNING,
        "claimed_at": now,
        "due_at": None,
        **values,
    }
    try:
        with transaction.atomic():
            return SearchRun.objects.create(
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                parameters=request.parameters,
                start=request.window.start,
                end=request.window.end,
                cursor=request.cursor,
                per_page=request.per_page,
                started_at=now,
                deadline_at=now + dt.timedelta(seconds=settings.SEARCH_DEADLINE),
                **fields,
            )
    except IntegrityError:
        return None


def _ask_for_page(run: SearchRun) -> None:
    """One call within a page's patience; afterwards the run is done, failed, or a worker's."""
    try:
        answer = _call(run, budget=float(settings.PAGE_PATIENCE), priority=Priority.READ)
    except errors.EmailSecurityError as error:
        if isinstance(error, errors.Unavailable) and _was_silent(error):  # perhaps just a large search
            _hand_over(run, delay=0.0)
        else:
            _fail(run, error)
    else:
        _take(run, answer)


def _was_silent(error: errors.Unavailable) -> bool:
    """Whether the service took the question and said nothing until the time was over, rather than being away."""
    return error.status is None and ("ReadTimeout" in error.detail or "while reading" in error.detail)


def cancel(ids: Iterable[UUID], *, by: str) -> int:
    """Stop asking; watchers see that it was stopped. Returns how many were still open."""
    stopped = SearchRun.objects.filter(pk__in=list(ids), state__in=OPEN).update(
        state=SearchState.CANCELLED, answered_at=timezone.now(), due_at=None, error_text=by[:500]
    )
    log.info("search_cancelled", runs=stopped)
    return stopped


def earlier_answer(key: str) -> SearchRun | None:
    """The last finished run of the same search, for pages that can only show old rows."""
    return SearchRun.objects.filter(key=key, state=SearchState.DONE).order_by("-started_at").first()


def rows_of(run: SearchRun) -> tuple[MessageRow, ...]:
    """The rows of a finished run."""
    return _read(bytes(run.body)) if run.body else ()


@lru_cache(maxsize=32)
def _read(body: bytes) -> tuple[MessageRow, ...]:
    """Answers people look at are looked at again: by colleagues, and by the same person coming back."""
    return decode_rows(zlib.decompress(body))[0]


def next_look(run: SearchRun, now: dt.datetime) -> int:
    """Seconds until a page looks again: a fifth of the wait so far, 1 to 10. Costs no call."""
    return int(max(1, min(10, 0.2 * seconds_between(run.started_at, now))))


# --- for workers ------------------------------------------------------------------------------------------------------


def continue_run(run_id: UUID, *, priority: Priority = Priority.READ) -> None:
    """Go on with one slow search if it is due and nobody else does; harmless when rung twice.

    Searches never take more than half of a worker's threads: what people do must not wait behind silent searches.
    """
    with places.SEARCHES.taken() as has_place:
        if has_place:
            _continue(run_id, priority)
            return
    run = SearchRun.objects.filter(pk=run_id, state__in=OPEN).defer("body").first()
    if run is not None:
        places.SEARCHES.ring_again(_task_of(run), str(run.pk))


def _continue(run_id: UUID, priority: Priority) -> None:
    run = _claim(run_id)
    if run is None:
        return
    if run.deadline_at <= timezone.now():
        _give_up(run)
        return
    try:
        answer = _call(run, budget=min(WORKER_PATIENCE, FIRST_PATIENCE * run.polls), priority=priority)
    except errors.SearchExpired as error:
        if run.restarts:
            _fail(run, error)
        else:
            _settle(run, location="", restarts=1)
            _hand_over(run, delay=0.0)
    except errors.RateLimited as error:
        _hand_over(run, delay=error.retry_after or LEAST_FRESH)
    except errors.Unavailable as error:
        _hand_over(run, delay=max(backoff(run, timezone.now()), error.retry_after or 0.0))
    except errors.EmailSecurityError as error:
        _fail(run, error)
    else:
        _take(run, answer)


def _claim(run_id: UUID) -> SearchRun | None:
    """Take a due run for this worker, or ring again for one that is due in a moment."""
    now = timezone.now()
    due = Q(state=SearchState.SLOW, due_at__lte=now) & (Q(claimed_at=None) | Q(claimed_at__lt=now - CLAIM))
    orphaned = Q(state=SearchState.RUNNING, claimed_at__lt=now - PAGE_CLAIM)
    claimed = (
        known_runs()
        .filter(due | orphaned, pk=run_id)
        .update(state=SearchState.SLOW, claimed_at=now, attempt=F("attempt") + 1, polls=F("polls") + 1)
    )
    run = SearchRun.objects.filter(pk=run_id).first()
    if claimed:
        return run
    if run is not None and run.state == SearchState.SLOW and run.due_at and not run.claimed_at:
        _ring(run, seconds_between(now, run.due_at))  # the bell was early
    return None


def backoff(run: SearchRun, now: dt.datetime) -> float:
    """Seconds to the next poll: a fifth of the wait so far, from 1 to 10, so that the answer is seen in good time."""
    return max(1.0, min(10.0, 0.2 * seconds_between(run.started_at, now)))


def needs_refresh(request: PageRequest) -> bool:
    """Whether the newest first page of a search is older than a slot and nobody is fetching it."""
    slot = timezone.now() - dt.timedelta(seconds=LEAST_FRESH)
    keys = (request.key, request.refresh_key)
    # A run that is open stays a reason to wait for as long as it takes.
    return not SearchRun.objects.filter(Q(started_at__gt=slot) | Q(state__in=OPEN), key__in=keys).exists()


def refresh(request: PageRequest) -> None:
    """Have a worker fetch the first page again. Makes no call itself; a second refresh joins the first."""
    now = timezone.now()
    made = _start(request, now, key=request.refresh_key, state=SearchState.SLOW, claimed_at=None, due_at=now)
    if made is not None:
        _ring(made, 0.0)


def is_refresh(run: SearchRun) -> bool:
    return run.key.startswith(REFRESH_MARK)


def latest_answer(request: PageRequest) -> SearchRun | None:
    """The newest finished first page of a search, whoever it was fetched for."""
    keys = (request.key, request.refresh_key)
    return SearchRun.objects.filter(key__in=keys, state=SearchState.DONE).order_by("-started_at").first()


def sweep() -> None:
    """Ring for slow runs that are due and held by nobody, and for pages that died while they asked; purge old rows."""
    now = timezone.now()
    due = Q(state=SearchState.SLOW, due_at__lte=now) & (Q(claimed_at=None) | Q(claimed_at__lt=now - CLAIM))
    orphaned = Q(state=SearchState.RUNNING, claimed_at__lt=now - PAGE_CLAIM)
    soon = Q(state=SearchState.SLOW, claimed_at=None, due_at__gt=now, due_at__lte=now + dt.timedelta(seconds=15))
    purge_runs()
    for wanted in (due | orphaned, soon):
        for run in SearchRun.objects.filter(wanted).defer("body").order_by("due_at")[:200]:
            if not _ring(run, max(0.0, seconds_between(now, run.due_at))):
                return  # the broker is away; the next sweep is not far


def purge_runs() -> None:
    """Forget old runs, open ones only once their deadline is over, and those of an account that was ours before."""
    now = timezone.now()
    is_over = ~Q(state__in=OPEN) | Q(deadline_at__lt=now)
    is_foreign = ~Q(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    SearchRun.objects.filter((is_over & Q(started_at__lt=now - KEPT)) | is_foreign).delete()


# --- what becomes of a run --------------------------------------------------------------------------------------------


def _call(run: SearchRun, *, budget: float, priority: Priority) -> RawSearchPage | SlowSearch:
    client = get_client()
    if run.location:
        return client.poll_search_raw(run.location, budget=budget, priority=priority)
    query = search_query(run.parameters, Window(run.start, run.end))
    return client.search_raw(query, cursor=run.cursor or None, per_page=run.per_page, budget=budget, priority=priority)


def _take(run: SearchRun, answer: RawSearchPage | SlowSearch) -> None:
    now = timezone.now()
    was_refresh = is_refresh(run)
    if isinstance(answer, SlowSearch):
        _settle(run, location=answer.location)
        _hand_over(run, delay=answer.retry_after or backoff(run, now))
        return
    _settle(
        run,
        key=run.key.removeprefix(REFRESH_MARK),
        body=zlib.compress(answer.body, 1),
        state=SearchState.DONE,
        answered_at=now,
        count=answer.count,
        next_cursor=(answer.next_cursor or "").replace("\x00", "\x01"),  # leads nowhere, and PostgreSQL takes it
        due_at=None,
    )
    if was_refresh:  # a list that stays open is fetched again every 15 s, and only its newest answers are of use
        old = SearchRun.objects.filter(key=run.key, state=SearchState.DONE, answered_at__lt=now - OLD_FIRST_PAGES)
        old.delete()


def _hand_over(run: SearchRun, *, delay: float) -> None:
    """Let go of an unfinished run; a worker takes it when it is due."""
    due_at = min(timezone.now() + dt.timedelta(seconds=delay), run.deadline_at)
    if _settle(run, state=SearchState.SLOW, due_at=due_at, claimed_at=None):
        _ring(run, delay)


def _fail(run: SearchRun, error: errors.EmailSecurityError) -> None:
    now = timezone.now()
    wait = error.retry_after if isinstance(error, errors.RateLimited) else None
    log.warning("search_failed", run=str(run.pk), reason=str(error))
    _settle(
        run,
        state=SearchState.FAILED,
        answered_at=now,
        due_at=None,
        error=type(error).__name__,
        error_status=error.status,
        error_text=error.api_message.replace("\x00", "")[:500],
        retry_after=now + dt.timedelta(seconds=wait) if wait else None,
    )


def _give_up(run: SearchRun) -> None:
    log.warning("search_not_finished", run=str(run.pk), polls=run.polls)
    _settle(run, state=SearchState.FAILED, answered_at=timezone.now(), due_at=None, error=NOT_FINISHED)


def _settle(run: SearchRun, **values: Any) -> bool:
    """Write to an open run of this attempt; False (and the row as it is) where a person or another worker was first."""
    is_ours = SearchRun.objects.filter(pk=run.pk, attempt=run.attempt, state__in=OPEN).update(**values)
    if is_ours:
        for name, value in values.items():
            setattr(run, name, value)
    else:
        run.refresh_from_db()
    return bool(is_ours)


def _ring(run: SearchRun, delay: float) -> bool:
    """Tell a worker, at the earliest when the run is due. A broker that is away costs a sweep, never the page."""
    if delay > LONGEST_BELL:
        return True
    return ring(_task_of(run), str(run.pk), countdown=max(0.0, delay))


def _task_of(run: SearchRun) -> str:
    return "investigate.tasks.refresh_search" if is_refresh(run) else "investigate.tasks.continue_search"
