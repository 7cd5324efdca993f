"""What people's searches brought goes into the memory as well: by the worker, after the page was answered."""

from __future__ import annotations

import datetime as dt
import zlib

import structlog
from django.db import DatabaseError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from dashboard.emailsec.errors import UnexpectedReply
from dashboard.emailsec.rows import decode_messages
from dashboard.emailsec.types import Message
from investigate.memory.remembering import remember
from investigate.models import SearchRun, SearchState
from investigate.search.runs import known_runs

log = structlog.get_logger("mailwarden.memory")

RUNS_AT_ONCE = 10  # newest first: what one bell leaves lying the next one takes, and a purged one is no loss
YOUNGER_THAN = dt.timedelta(hours=2)


def waiting_runs() -> QuerySet[SearchRun]:
    """The newest finished searches whose rows nobody has remembered, without their answers."""
    since = timezone.now() - YOUNGER_THAN
    done = known_runs().filter(state=SearchState.DONE, remembered_at=None, count__gt=0, started_at__gt=since)
    return done.order_by("-answered_at").defer("body")[:RUNS_AT_ONCE]


def ingest() -> int:
    """Remember what the newest searches found; how many messages were new."""
    new = 0
    for run in waiting_runs():
        try:
            new += remember(messages_of(run), seen_at=run.started_at)
        except SearchRun.DoesNotExist:  # purged in between
            continue
        except OperationalError:  # the database is busy or away: the next bell tries again
            raise
        except (UnexpectedReply, DatabaseError, ValueError, OverflowError) as problem:
            log.error("search_not_remembered", run=str(run.pk), error=type(problem).__name__)
        note_remembered(run)  # only now, so that a worker that dies before it loses nothing; twice changes nothing
    return new


def messages_of(run: SearchRun) -> tuple[Message, ...]:
    """The whole messages of a finished run, as far as they can be read. Raises UnexpectedReply."""
    if not run.body:
        return ()
    try:
        return decode_messages(zlib.decompress(bytes(run.body)))
    except zlib.error:
        raise UnexpectedReply("not an answer that was kept") from None


def note_remembered(run: SearchRun) -> None:
    SearchRun.objects.filter(pk=run.pk, remembered_at=None).update(remembered_at=timezone.now())
