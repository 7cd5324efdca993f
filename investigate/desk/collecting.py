"""What comes onto the desk by itself: detections, what users reported, what PhishGuard reported.

The same readings fill the memory (see `mail.py`), so that the account is read once for both.

Each source (mail in `mail_rounds`, the others in `reported`) has a mark: how far it was read, and a reading that goes
on. A round claims the mark, makes a few calls of low priority, and stores what each page brought before it asks for the
next one. It reads again some time before the mark, because lists grow late and clocks differ; what is known already
makes nothing twice: the database sees to that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import NamedTuple

import structlog
from django.conf import settings
from django.utils import timezone

from dashboard.audit.chain import storable_text
from dashboard.emailsec import errors
from dashboard.installation.values import setting
from dashboard.upstream.ring import ring
from investigate.desk import mail_rounds, reported, words
from investigate.desk.rounds import LOST_PLACE, ROUND, AskedEnough, Reading, Round, claim, is_due, update
from investigate.models import CaseSource, QueueMark

log = structlog.get_logger("mailwarden.desk")

TASK = "investigate.tasks.collect_queue"
SOURCES = (CaseSource.DETECTION, CaseSource.SUBMISSION, CaseSource.PHISHGUARD)
LOOKUPS_A_ROUND = 20  # calls that look for the messages reports are about


def ring_if_due() -> None:
    """Ring for each source that nobody has read for a minute."""
    now = timezone.now()
    account = settings.CLOUDFLARE_ACCOUNT_ID
    waits = set(QueueMark.objects.filter(account_id=account).exclude(is_due(now)).values_list("source", flat=True))
    for source in SOURCES:
        if source not in waits and not ring(TASK, source.value):
            return  # the broker is away; the next sweep is not far


def collect(source: str) -> None:
    """One round of one source, if it is due and nobody else does it."""
    mark = claim(CaseSource(source))
    if mark is None:
        return
    now, of = timezone.now(), _SOURCES[CaseSource(source)]
    reading = Reading(**mark.reading) if mark.reading else of.begin(mark, now)
    began = Round(mark, reading, LOOKUPS_A_ROUND, now + ROUND)
    try:
        is_finished = of.read(began)
    except AskedEnough:
        update(mark, claimed_at=None, tried_at=None, explanation="")
    except errors.ShareUsedUp:  # what was read is kept; it goes on as soon as there are calls again
        update(mark, claimed_at=None, tried_at=None, explanation="")
    except LOST_PLACE as problem:  # the range is read from its beginning: all that is known stays
        update(mark, claimed_at=None, explanation=_told(problem), reading={})
    except errors.EmailSecurityError as problem:
        update(mark, claimed_at=None, explanation=_told(problem))
    else:
        if is_finished:
            update(mark, claimed_at=None, explanation="")
        else:
            update(mark, claimed_at=None, tried_at=None, explanation="")  # goes on with the next sweep
    if began.new:
        log.info("queue_grew", source=source, cases=len(began.new))


def troubles() -> list[tuple[str, QueueMark]]:
    """(source in words, its mark) of each source that cannot be read at the moment."""
    marks = QueueMark.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID).exclude(explanation="")
    return [(words.SOURCE_LISTS[CaseSource(mark.source)], mark) for mark in marks.order_by("source")]


def is_first_reading() -> bool:
    """Whether detections have never been read to the end."""
    mark = QueueMark.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.DETECTION).first()
    return mark is None or mark.covered_until is None or any(kept["queue_from"] for kept in mark.older)


def complete_since(mark: QueueMark | None) -> dt.datetime | None:
    """From when on the memory holds all that is remembered; None before the first reading."""
    if mark is None or mark.complete_since is None:
        return None
    unread = [Reading(**kept).window[1] for kept in mark.older]
    return max(mark.complete_since, timezone.now() - dt.timedelta(days=setting("MEMORY_DAYS")), *unread)


def _told(problem: errors.EmailSecurityError) -> str:
    return storable_text(words.not_read(problem), limit=500)


class _Source(NamedTuple):
    begin: Callable[[QueueMark, dt.datetime], Reading]  # the range of a round that goes on with none
    read: Callable[[Round], bool]  # some pages of it, and whether that was all


_SOURCES = {
    CaseSource.DETECTION: _Source(mail_rounds.begin, mail_rounds.read),
    CaseSource.SUBMISSION: _Source(reported.begin_submissions, reported.read_submissions),
    CaseSource.PHISHGUARD: _Source(reported.begin_phishguard, reported.read_phishguard),
}
