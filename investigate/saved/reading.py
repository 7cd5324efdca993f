"""What saved views find: each is read by the worker alone, once for all who look and all who are told.

A round claims the view, makes a few calls out of the collector's share, and stores what each page brought together
with the place to go on at. It reads again some time before the end of the last reading, because lists grow late and
clocks differ; what is known already makes nothing twice: the database sees to that. Where people have the same list
open, its answer is taken and nothing is asked.

Hits are kept for KEPT_DAYS, which is as long as "new since I looked" is of use, and no longer than the memory's rule
says.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from dashboard.audit.chain import storable_text
from dashboard.emailsec import errors
from dashboard.emailsec.rows import decode_messages
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Message, SearchPage, SlowSearch
from dashboard.installation.values import setting
from dashboard.upstream.connection import get_client
from dashboard.upstream.ring import ring
from investigate.bulk.facts import is_id
from investigate.desk import words
from investigate.memory.remembering import remember, unwritten
from investigate.memory.shapes import campaign_of
from investigate.models import NoticeRule, SavedView, SearchRun, ViewHit
from investigate.saved.asking import criteria_of
from investigate.saved.pace import SOONEST, all_views, live_views, pace
from investigate.search import runs
from investigate.search.criteria import Criteria, search_query
from investigate.search.results import PER_PAGE, Results
from investigate.search.window import Window

log = structlog.get_logger("mailwarden.saved")

TASK = "investigate.saved.tasks.read_view"
EARLY = dt.timedelta(seconds=5)  # sweeps come every few seconds: the one before a reading is due may ring for it
CLAIM = dt.timedelta(minutes=8)  # longer than all calls of a round, each as slow as it may be
OVERLAP = dt.timedelta(minutes=15)
KEPT_DAYS = 14
MESSAGES_A_PAGE = 250
PAGES_A_ROUND = 6
PAGES_A_BRANCH = 8  # of one reading; who left a view alone while more than this came is told so
CALL_SECONDS = 10.0
AT_HAND = dt.timedelta(seconds=90)  # an answer of people's list that is not older is as good as a call
MOST_RUNG = 200  # in one sweep
AT_ONCE = 500  # hits a statement deletes, so that nobody waits for a lock
TOO_MANY = "More came than is counted here: the count is of the newest."


@dataclass
class Reading:
    """A range that is read branch by branch and page by page, as it is kept between two rounds."""

    start: str
    end: str
    is_first: bool = False  # it marks what is there as known: nobody is told of the past
    branch: int = 0
    page: int = 0
    cursor: str = ""
    location: str = ""  # where a slow search will be answered
    since: str = ""  # when that search was begun
    is_cut: bool = False  # there was more than is walked through

    @property
    def window(self) -> Window:
        return Window(dt.datetime.fromisoformat(self.start), dt.datetime.fromisoformat(self.end))

    def next_branch(self) -> None:
        self.branch, self.page, self.cursor, self.location, self.since = self.branch + 1, 0, "", "", ""

    def next_page(self, cursor: str) -> None:
        self.page, self.cursor, self.location, self.since = self.page + 1, cursor, "", ""


class Overtaken(Exception):
    """The view was changed or claimed anew while this round asked: what it brought belongs to no one."""


# --- when -------------------------------------------------------------------------------------------------------------


def ring_if_due() -> None:
    """Ring for views that are due, those that have waited longest first.

    For so many and no more: what nobody reads for hours would be rung for with every sweep, until the broker is full.
    """
    may_be = Q(tried_at=None) | Q(tried_at__lte=timezone.now() - SOONEST + EARLY)
    free = list(live_views().filter(_is_free() & may_be).order_by(F("tried_at").asc(nulls_first=True)))
    every = pace() if free else {}
    due = [view for view in free if view.pk in every and _is_due(view, every[view.pk])]
    for view in due[:MOST_RUNG]:
        if not ring(TASK, str(view.pk)):
            return  # the broker is away; the next sweep is not far


def forget_old() -> None:
    """Hits that are old, some at a time; and personal views of members who are no more."""
    before = timezone.now() - kept()
    old = list(ViewHit.objects.filter(found_at__lt=before).order_by("found_at").values_list("pk", flat=True)[:AT_ONCE])
    if old:
        ViewHit.objects.filter(pk__in=old).delete()
    SavedView.objects.filter(owner=None, is_shared=False).delete()


def kept() -> dt.timedelta:
    """How long a hit is kept: as long as it is of use, and never longer than the memory keeps messages."""
    return dt.timedelta(days=min(KEPT_DAYS, setting("MEMORY_DAYS")))


def _is_free() -> Q:
    return Q(claimed_at=None) | Q(claimed_at__lt=timezone.now() - CLAIM)


def _is_due(view: SavedView, every: dt.timedelta) -> bool:
    return view.tried_at is None or view.tried_at <= timezone.now() - every + EARLY


# --- a round ----------------------------------------------------------------------------------------------------------


def read(view_id: int) -> None:
    """One round of one view, if it is due and nobody else does it."""
    view = _claim(view_id)
    if view is None:
        return
    criteria, now = criteria_of(view), timezone.now()
    reading = Reading(**view.reading) if view.reading else _begin(view, criteria, now)
    if reading is None or criteria.problem(now):
        _update(view, claimed_at=None, reading={}, read_until=now, explanation=criteria.problem(now)[:500])
        return
    try:
        is_finished = _read_on(view, criteria, reading)
    except Overtaken:
        return
    except (errors.SearchExpired, errors.ForeignLocation, errors.Rejected) as problem:
        # The place to go on at is lost, so the range is read from its beginning: all that is known stays.
        _update(view, claimed_at=None, explanation=_told(problem), reading={})
    except errors.EmailSecurityError as problem:
        _update(view, claimed_at=None, explanation=_told(problem))
    else:
        if is_finished:
            told = TOO_MANY if reading.is_cut else ""
            _update(view, claimed_at=None, explanation=told, reading={}, read_until=reading.window.end)
        else:
            _update(view, claimed_at=None, tried_at=None, explanation="")  # goes on with the next sweep


def _claim(view_id: int) -> SavedView | None:
    now = timezone.now()
    view = all_views().filter(pk=view_id).first()
    every = pace().get(view_id)
    if view is None or every is None or not _is_due(view, every):
        return None
    ours = all_views().filter(_is_free(), pk=view_id, tried_at=view.tried_at, version=view.version)
    if not ours.update(claimed_at=now, tried_at=now):
        return None
    return all_views().filter(pk=view_id, claimed_at=now).first()


def _begin(view: SavedView, criteria: Criteria, now: dt.datetime) -> Reading | None:
    """The range to read: what came since the last reading, as far as the view's own range holds it; None for none."""
    is_first = view.read_until is None
    since = now if view.read_until is None else max(view.read_until, now - kept())
    start, end = max(criteria.window(now).start, since - OVERLAP), min(criteria.end or now, now)
    return Reading(start.isoformat(), end.isoformat(), is_first) if start < end else None


def _read_on(view: SavedView, criteria: Criteria, reading: Reading) -> bool:
    """Whether all branches are read; else the round has made its calls, or waits for a slow search."""
    branches = criteria.branches()
    calls = 0
    while reading.branch < len(branches):
        known = None
        if not (reading.cursor or reading.location):
            known = _at_hand(criteria, reading)
        if known is not None:
            reading.next_branch()
            _keep(view, reading, known)
            continue
        if calls >= PAGES_A_ROUND:
            return False
        calls += 1
        answer = _ask(branches[reading.branch], reading)
        if isinstance(answer, SlowSearch):
            reading.since = reading.since or timezone.now().isoformat()
            reading.location = "" if _is_too_late(reading.since) else answer.location
            _keep(view, reading)
            return False
        remember(answer.messages)
        _go_on(reading, answer)
        _keep(view, reading, answer.messages)
    return True


def _go_on(reading: Reading, answer: SearchPage) -> None:
    if not answer.next_cursor or answer.next_cursor == reading.cursor:
        reading.next_branch()
    elif reading.page + 1 >= PAGES_A_BRANCH:
        reading.is_cut = True
        reading.next_branch()
    else:
        reading.next_page(answer.next_cursor)


def _ask(parameters: dict[str, Any], reading: Reading) -> SearchPage | SlowSearch:
    client = get_client()
    if reading.location:
        return client.poll_search(reading.location, budget=CALL_SECONDS, priority=Priority.COLLECT, is_lenient=True)
    return client.search(
        search_query(parameters, reading.window),
        cursor=reading.cursor or None,
        per_page=MESSAGES_A_PAGE,
        budget=CALL_SECONDS,
        priority=Priority.COLLECT,
        is_lenient=True,
    )


def _is_too_late(since: str) -> bool:
    return timezone.now() - dt.datetime.fromisoformat(since) > dt.timedelta(seconds=settings.SEARCH_DEADLINE)


def _at_hand(criteria: Criteria, reading: Reading) -> Sequence[Message] | None:
    """What people's own list of this search holds of the range, if it was read a moment ago and reaches back to its
    beginning; the memory has taken it in already. What came after it was read, the overlap of the next reading finds.
    """
    request = runs.first_pages(criteria, timezone.now(), per_page=PER_PAGE)[reading.branch]
    run = runs.latest_answer(request)
    if run is None or run.end < reading.window.end - AT_HAND or run.start > reading.window.start:
        return None
    messages = _messages_of(run)
    if messages is None:
        return None
    times = [message.scanned_at for message in messages if message.scanned_at]
    if run.next_cursor and (not times or min(times) >= reading.window.start):
        return None
    return [message for message in messages if message.scanned_at and message.scanned_at >= reading.window.start]


# --- what it found ----------------------------------------------------------------------------------------------------


def _keep(view: SavedView, reading: Reading, messages: Iterable[Message] = ()) -> None:
    """Store what a page brought and how far the reading came, both or neither."""
    now = timezone.now()
    hits = [_hit(view, message, now, is_known=reading.is_first) for message in messages if _is_usable(message)]
    hits.sort(key=lambda hit: (hit.scanned_at, hit.investigate_id))
    with transaction.atomic():
        if not _update(view, reading=asdict(reading)):
            raise Overtaken
        known = set(
            ViewHit.objects.filter(view=view, investigate_id__in=[hit.investigate_id for hit in hits]).values_list(
                "investigate_id", flat=True
            )
        )
        new = [hit for hit in hits if hit.investigate_id not in known]
        ViewHit.objects.bulk_create(new, ignore_conflicts=True)
        if reading.is_first and new:  # who is told of this view is not told of what was there before
            last = ViewHit.objects.filter(view=view).aggregate(last=Max("pk"))["last"]
            NoticeRule.objects.filter(view=view, told_hit__lt=last).update(told_hit=last)
    if new and not reading.is_first:
        log.info("view_found", view=view.pk, messages=len(new))


def note_shown(view: SavedView, found: Results) -> None:
    """What somebody has before them is found, though the next reading may be minutes away: later it is not new to them.

    Others, and those who are told of the view, learn of it as of every other hit.
    """
    if view.read_until is None:
        return  # the first reading marks what there is
    since = max(view.read_until, timezone.now() - kept()) - OVERLAP
    shown = {row.id for row in found.rows if (at := row.scanned_at_time) and at >= since}
    shown -= set(view.hits.filter(investigate_id__in=shown).values_list("investigate_id", flat=True))
    if not shown:
        return
    hits = [
        _hit(view, message, found.answered_at or timezone.now(), is_known=False)
        for run in found.runs
        for message in _messages_of(run) or ()
        if message.id in shown and _is_usable(message)
    ]
    hits.sort(key=lambda hit: (hit.scanned_at, hit.investigate_id))
    with transaction.atomic():
        if all_views().select_for_update().filter(pk=view.pk, version=view.version).exists():
            ViewHit.objects.bulk_create(hits, ignore_conflicts=True)


def _messages_of(run: SearchRun) -> Sequence[Message] | None:
    """The rows of an answer in full; None where they cannot be read."""
    try:
        return decode_messages(zlib.decompress(bytes(run.body or b"")))
    except (zlib.error, errors.UnexpectedReply):
        return None


def _is_usable(message: Message) -> bool:
    return is_id(message.id) and message.scanned_at is not None


def _hit(view: SavedView, message: Message, now: dt.datetime, *, is_known: bool) -> ViewHit:
    seen = unwritten(message, now)
    return ViewHit(
        view=view,
        investigate_id=seen.investigate_id,
        campaign=campaign_of(seen)[:300],
        subject=seen.subject,
        sender=seen.sender,
        recipients=seen.recipients,
        named=[storable_text(one) for one in {*message.to, *message.envelope_to} - set(message.mailboxes)],
        domains=seen.domains,
        disposition=seen.disposition,
        scanned_at=seen.scanned_at,
        found_at=min(seen.scanned_at, now) if is_known else now,
    )


def _update(view: SavedView, **values: Any) -> bool:
    """Write to the view while this round still has it: one that slept too long, or whose view was changed, has not."""
    ours = all_views().filter(pk=view.pk, claimed_at=view.claimed_at, version=view.version)
    return bool(ours.update(**values))


def _told(problem: errors.EmailSecurityError) -> str:
    return storable_text(words.not_read(problem), limit=500)
