"""Rounds that read the account's mail: the newest page first.

What that page leaves unread (a first reading, an outage, a memory that was widened) is put off to `older` and read with
the calls that are left, so that it holds up nothing that comes in.

Mail is judged again after it was delivered: a detection may be listed hours later, at the time its mail was scanned. So
four times a day the detections of the last two days are read once more, after everything else.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, replace
from typing import Any

from django.utils import timezone

from dashboard.emailsec import errors
from dashboard.emailsec.transport import Priority
from dashboard.installation.values import setting
from investigate.desk import mail
from investigate.desk.rounds import EVERY, LONGEST_RANGE, LOST_PLACE, Reading, Round, store, what_came
from investigate.models import QueueMark

OLDER_FOR = dt.timedelta(seconds=40)  # then no further page of older mail: the newest is asked for again after a minute
SHORTEST_RANGE = dt.timedelta(minutes=2)  # not cut in halves any more
AGAIN_EVERY = dt.timedelta(hours=6)
AGAIN_FOR = dt.timedelta(days=2)  # how old mail is that a later judgement still finds


def begin(mark: QueueMark, now: dt.datetime) -> Reading:
    """What a round is to read that goes on with nothing."""
    reading = _first_reading(mark, now) if mail.is_first_reading(mark) else what_came(mark, now, overlap=mail.OVERLAP)
    reading.of_all_mail = bool(setting("MEMORY_ALL_MAIL"))
    return reading


def _first_reading(mark: QueueMark, now: dt.datetime) -> Reading:
    """Back as far as the memory shall begin; onto the desk comes only what is not too old for it. It holds all that was
    put off before, whose place it takes."""
    put_off = [Reading(**kept) for kept in mark.older]
    first_day = now - dt.timedelta(days=setting("QUEUE_DAYS"))
    queue_from = min(mark.read_until, first_day, *(old.wanted_from or old.window[0] for old in put_off))
    days = max(setting("MEMORY_FIRST_DAYS"), setting("QUEUE_DAYS"))
    start = min(mark.read_until, now - dt.timedelta(days=days), *(old.window[0] for old in put_off))
    start = max(start, now - LONGEST_RANGE)
    return Reading(start.isoformat(), now.isoformat(), queue_from=queue_from.isoformat())


def read(began: Round) -> bool:
    """The newest page first, then of the older mail as much as there is time and calls for."""
    mark, pages = began.mark, mail.PAGES_A_ROUND
    if mark.reading:  # begun before readings were put off
        _put_off(mark, began.reading)
    elif not _is_just_read(mark) and _leave_something_to_read(began):
        reading = begin(mark, timezone.now())
        page = mail.read_page(reading, priority=Priority.COLLECT)
        began.new += page.new
        _put_off(mark, reading, is_read=page.is_last)
        pages -= 1
    until = timezone.now() + OLDER_FOR
    while (older := _newest_put_off(mark)) is not None:
        if pages <= 0 or timezone.now() > until or not _read_older(began, older):
            return False
        pages -= 1
    while pages > 0 and timezone.now() < until and (again := _again(mark)) is not None and _read_again(began, again):
        pages -= 1
    return True


def _is_just_read(mark: QueueMark) -> bool:
    """Whether the newest mail can wait: while there is older mail to read, rounds come more often than every minute."""
    if not mark.older:
        return False
    newest = Reading(**mark.older[-1])
    is_awaited = bool(newest.location) and not newest.cursor and not newest.queue_from  # the newest mail itself is slow
    return is_awaited or timezone.now() - mark.read_until < EVERY


def _leave_something_to_read(began: Round) -> bool:
    """Take what people's searches brought, and whether that leaves anything to ask for."""
    new, is_enough = mail.take_from_searches(began.mark)
    store(began.mark, read_until=began.mark.read_until, covered_until=began.mark.covered_until)
    began.new += new
    return not is_enough


def _put_off(mark: QueueMark, reading: Reading, *, is_read: bool = False) -> None:
    """Move the mark to the end of a reading; what it leaves unread waits with the older mail, newest last."""
    start, end = reading.window
    is_wider = reading.of_all_mail and not mark.of_all_mail
    goes_on = mark.complete_since is not None and start <= mark.read_until and not is_wider
    older = [] if reading.queue_from else mark.older  # a first reading goes over all the others
    store(
        mark,
        reading={},
        older=older if is_read else [*older, asdict(reading)],
        read_until=end,
        covered_until=end,
        complete_since=mark.complete_since if goes_on else start,
        of_all_mail=reading.of_all_mail,
    )


def _newest_put_off(mark: QueueMark) -> Reading | None:
    """Of what was put off, as far as the service still looks back."""
    oldest = timezone.now() - LONGEST_RANGE
    while mark.older:
        reading = Reading(**mark.older[-1])
        start, end = reading.window
        if start >= oldest or reading.has_place:
            return reading
        left = [asdict(replace(reading, start=oldest.isoformat()))] if oldest < end else []
        since = max(mark.complete_since or oldest, min(oldest, end))
        store(mark, older=[*mark.older[:-1], *left], complete_since=since)
    return None


def _read_older(began: Round, reading: Reading) -> bool:
    """One page of it; False where it has to wait for its answer, or for calls."""
    others = began.mark.older[:-1]
    if reading.of_all_mail and not setting("MEMORY_ALL_MAIL"):
        reading = replace(reading.begun_again(), of_all_mail=False)
    try:
        page = mail.read_page(reading, priority=Priority.CATCH_UP)
    except errors.BudgetExhausted:
        return False
    except LOST_PLACE:
        if reading.has_place:
            store(began.mark, older=[*others, *_halves(reading)])
        raise
    began.new += page.new
    if page.is_last:
        store(began.mark, older=others)
    elif page.is_slow and not reading.location:
        store(began.mark, older=[*others, *_halves(reading)])
    else:
        store(began.mark, older=[*others, asdict(reading)])
    return not page.is_slow


def _again(mark: QueueMark) -> Reading | None:
    """The detections that were read before, if it is time to look at them once more."""
    if mark.again:
        return Reading(**mark.again)
    now = timezone.now()
    if mark.looked_again_at is None:  # the first reading has just seen them all
        store(mark, looked_again_at=now)
    if now - mark.looked_again_at < AGAIN_EVERY:
        return None
    queue_from = now - dt.timedelta(days=setting("QUEUE_DAYS"))
    reading = Reading((now - AGAIN_FOR).isoformat(), now.isoformat(), queue_from=queue_from.isoformat())
    store(mark, again=asdict(reading), looked_again_at=now)
    return reading


def _read_again(began: Round, reading: Reading) -> bool:
    """One page of it; False where it ends, or has to wait. What is lost on the way comes with the next one."""
    try:
        page = mail.read_page(reading, priority=Priority.CATCH_UP)
    except errors.BudgetExhausted:
        return False
    except LOST_PLACE:
        store(began.mark, again={})
        return False
    began.new += page.new
    is_over = page.is_last or (page.is_slow and not reading.location)
    store(began.mark, again={} if is_over else asdict(reading))
    return not is_over and not page.is_slow


def _halves(reading: Reading) -> list[dict[str, Any]]:
    """What was lost is read again in smaller parts, so that each loss costs less and the reading comes to an end."""
    again = reading.begun_again()
    start, end = again.window
    if end - start < SHORTEST_RANGE:
        return [asdict(again)]
    middle = start + (end - start) / 2
    older = replace(again, end=(middle + mail.RESOLUTION).isoformat())
    return [asdict(older), asdict(replace(again, start=middle.isoformat()))]
