"""Recent messages to try patterns on: read once for everybody, kept for ten minutes, a step at a time.

A reading is one search of 30 days, page after page. What was read is kept as the desk keeps other answers of the
search: as rows that expire (`Copy`), compressed. A person's request goes on with a reading for some seconds and is then
told how far it is; where the search is slow (202), the address of its results is kept and asked again by whoever looks
next. One process at a time goes on, whoever asked.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from dashboard.emailsec import errors
from dashboard.emailsec.requests import MOST_PER_PAGE, SearchQuery
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Message, SearchPage, SlowSearch
from dashboard.upstream.connection import get_client
from dashboard.upstream.models import Copy

log = structlog.get_logger("mailwarden.patterns")

T = TypeVar("T")

DAYS = 30
KEPT = dt.timedelta(minutes=10)
PAGES_KEPT = 2 * KEPT  # whoever finds a reading before it expires also finds its pages
PATIENCE = 8.0  # seconds a person's request goes on reading
_LEAST_CALL = 1.0  # seconds; with less left the next request goes on
_LEASE = dt.timedelta(seconds=20)  # longer than a request goes on
_SEARCH_GIVEN_UP = dt.timedelta(minutes=3)
_FAILURE_SHARED = 5.0  # seconds a failure answers everybody, so that a crowd does not knock on a closed door
_PAUSE = 60.0  # seconds until the rest of a sample is asked for again
LONGEST_TEXT = 2000
MOST_RECIPIENTS = 500


class Sampled(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What patterns are compared with, of one message."""

    id: str
    subject: str
    from_: str
    from_name: str
    envelope_from: str
    recipients: tuple[str, ...]
    disposition: str
    scanned_at: dt.datetime | None
    ips: tuple[str, ...]


class Progress(msgspec.Struct, kw_only=True):
    """How far a reading is."""

    token: str  # pages of one reading are never mixed with another's
    start: dt.datetime
    end: dt.datetime
    began_at: dt.datetime
    due_at: dt.datetime  # nobody asks before
    pages: int = 0
    cursor: str = ""
    location: str = ""
    restarts: int = 0
    is_finished: bool = False
    is_whole: bool = False  # nothing of the 30 days is missing
    is_paused: bool = False  # there are pages, and the next one has to wait
    problem: str = ""  # name of the error that came instead of the first page


class Narrowing(msgspec.Struct, frozen=True):
    """A filter of the API: an address or a domain."""

    sender: str = ""
    recipient: str = ""


EVERYTHING = Narrowing()


@dataclass(frozen=True)
class Reading:
    """What there is to try on now."""

    rows: tuple[Sampled, ...]  # newest first
    is_whole: bool
    is_open: bool  # more is coming within moments
    problem: str = ""
    retry_after: int = 0  # seconds


def sample() -> Reading:
    """The newest messages of the account."""
    return _read(EVERYTHING, most_pages=5, further=Priority.BACKGROUND)


def whole_sample() -> Reading | None:
    """The sample, if it is at hand and lacks nothing: then no narrower search is needed."""
    progress = _kept_progress(_key(EVERYTHING))
    if progress is None or not progress.is_whole:
        return None
    rows = _kept_rows(_key(EVERYTHING), progress)
    return None if rows is None else Reading(rows, is_whole=True, is_open=False)


def narrowed(to: Narrowing) -> Reading:
    """The newest messages that one of the API's own filters finds."""
    return _read(to, most_pages=3, further=Priority.READ)


def _read(narrowing: Narrowing, *, most_pages: int, further: Priority) -> Reading:
    key = _key(narrowing)
    deadline = time.monotonic() + PATIENCE
    progress, rows = _known(key)
    if not progress.is_finished and progress.due_at <= timezone.now():
        with _alone(key) as is_ours:
            if is_ours:
                progress, rows = _known(key)  # somebody else may have gone on in the meantime
                rows = _go_on(key, progress, rows, narrowing, most_pages, further, deadline)
    wait = max(0, round((progress.due_at - timezone.now()).total_seconds()))
    if progress.problem:
        return Reading((), is_whole=False, is_open=False, problem=progress.problem, retry_after=max(1, wait))
    is_open = not progress.is_finished and not progress.is_paused
    return Reading(_once(rows), is_whole=progress.is_whole, is_open=is_open)


def _known(key: str) -> tuple[Progress, list[Sampled]]:
    """The reading as it is kept, or a new one."""
    now = timezone.now()
    progress = _kept_progress(key)
    if progress is not None and not (progress.problem and progress.due_at <= now):
        rows = _kept_rows(key, progress)
        if rows is not None:
            return progress, list(rows)
    end = now.replace(microsecond=0)
    start = end - dt.timedelta(days=DAYS)
    return Progress(token=secrets.token_hex(4), start=start, end=end, began_at=now, due_at=now), []


def _go_on(
    key: str,
    progress: Progress,
    rows: list[Sampled],
    narrowing: Narrowing,
    most_pages: int,
    further: Priority,
    deadline: float,
) -> list[Sampled]:
    """Read on until all is there, the service wants to be left alone, or the person has waited long enough."""
    progress.is_paused = False
    while not progress.is_finished and progress.due_at <= timezone.now():
        left = deadline - time.monotonic()
        if left < _LEAST_CALL:
            break
        priority = further if progress.pages else Priority.READ
        try:
            answer = _ask(progress, narrowing, left, priority)
        except errors.SearchExpired as error:
            if progress.restarts or progress.pages:
                _stop(progress, error)
            else:
                progress.restarts, progress.location = 1, ""
        except errors.EmailSecurityError as error:
            _stop(progress, error)
        else:
            if isinstance(answer, SlowSearch):
                _wait(progress, answer)
            else:
                found = [_sampled(message) for message in answer.messages]
                _keep(key, f"page {progress.token} {progress.pages}", found, PAGES_KEPT)
                rows += found
                _turn_page(progress, answer, most_pages)
        _keep(key, "progress", progress, KEPT)
    return rows


def _ask(progress: Progress, narrowing: Narrowing, budget: float, priority: Priority) -> SearchPage | SlowSearch:
    client = get_client()
    if progress.location:
        return client.poll_search(progress.location, budget=budget, priority=priority)
    query = SearchQuery(
        start=progress.start,
        end=progress.end,
        detections_only=False,
        sender=narrowing.sender,
        recipient=narrowing.recipient,
    )
    return client.search(
        query, cursor=progress.cursor or None, per_page=MOST_PER_PAGE, budget=budget, priority=priority
    )


def _wait(progress: Progress, answer: SlowSearch) -> None:
    now = timezone.now()
    waited = now - progress.began_at
    if waited > _SEARCH_GIVEN_UP:
        progress.problem, progress.due_at = "NotFinished", now + dt.timedelta(seconds=_PAUSE)
        return
    pause = answer.retry_after or max(1.0, min(10.0, 0.2 * waited.total_seconds()))
    progress.location, progress.due_at = answer.location, now + dt.timedelta(seconds=pause)


def _turn_page(progress: Progress, answer: SearchPage, most_pages: int) -> None:
    progress.pages += 1
    progress.location = ""
    following = answer.next_cursor or ""
    is_last = not following or following == progress.cursor or not answer.messages
    progress.cursor = following
    progress.is_whole = is_last
    progress.is_finished = is_last or progress.pages >= most_pages


def _stop(progress: Progress, error: errors.EmailSecurityError) -> None:
    """Without a first page there is nothing to show; with one, the rest is asked for later."""
    log.warning("pattern_sample_not_read", pages=progress.pages, reason=str(error))
    wait = error.retry_after or (_PAUSE if progress.pages else _FAILURE_SHARED)
    progress.due_at = timezone.now() + dt.timedelta(seconds=wait)
    if progress.pages:
        progress.is_paused = True
    else:
        progress.problem = type(error).__name__


def _sampled(message: Message) -> Sampled:
    recipients = dict.fromkeys((*message.to, *message.envelope_to, *message.client_recipients))
    ips = (message.smtp_helo_server_ip, message.smtp_previous_hop_ip, message.x_originating_ip)
    return Sampled(
        id=message.id,
        subject=_cut(message.subject),
        from_=_cut(message.from_),
        from_name=_cut(message.from_name),
        envelope_from=_cut(message.envelope_from),
        recipients=tuple(_cut(recipient) for recipient in list(recipients)[:MOST_RECIPIENTS]),
        disposition=_cut(message.final_disposition),
        scanned_at=message.scanned_at,
        ips=tuple(_cut(ip) for ip in ips if ip),
    )


def _cut(text: str | None) -> str:
    return str(text or "")[:LONGEST_TEXT]


def _once(rows: list[Sampled]) -> tuple[Sampled, ...]:
    """Each message once: pages may overlap where mail came in between."""
    return tuple({row.id: row for row in rows}.values())


# --- what is kept -----------------------------------------------------------------------------------------------------


def _key(narrowing: Narrowing) -> str:
    """Patterns are not written into the key: it is a name for a row, not a second copy of what was typed."""
    return "patterns " + hashlib.sha256(msgspec.json.encode(narrowing)).hexdigest()


def _kept_progress(key: str) -> Progress | None:
    return _kept(key, "progress", Progress)


def _kept_rows(key: str, progress: Progress) -> tuple[Sampled, ...] | None:
    """All pages of a reading, or None where one of them is gone."""
    found: list[Sampled] = []
    for number in range(progress.pages):
        page = _kept(key, f"page {progress.token} {number}", list[Sampled])
        if page is None:
            return None
        found += page
    return _once(found)


def _kept(key: str, part: str, kind: type[T]) -> T | None:
    copies = Copy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=key, part=part)
    body = copies.filter(expires_at__gt=timezone.now()).values_list("body", flat=True).first()
    if body is None:
        return None
    try:
        return msgspec.json.decode(zlib.decompress(bytes(body)), type=kind)
    except (zlib.error, msgspec.MsgspecError, ValueError):  # written by another version
        return None


def _keep(key: str, part: str, value: object, life: dt.timedelta) -> None:
    """A full disk must not take away what the person waits for; the next one reads anew."""
    now = timezone.now()
    values: dict[str, Any] = {
        "body": zlib.compress(msgspec.json.encode(value), 1),
        "fetched_at": now,
        "expires_at": now + life,
    }
    try:
        Copy.objects.update_or_create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=key, part=part, defaults=values
        )
    except DatabaseError as error:
        log.warning("pattern_sample_not_kept", reason=type(error).__name__)


@contextmanager
def _alone(key: str) -> Iterator[bool]:
    """Whether this process is the one that goes on; the row that says so expires if it dies."""
    now = timezone.now()
    leases = Copy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=key, part="lease")
    fresh = {"fetched_at": now, "expires_at": now + _LEASE}
    is_ours = bool(leases.filter(expires_at__lte=now).update(**fresh))
    if not is_ours and not leases.exists():
        try:
            with transaction.atomic():
                Copy.objects.create(
                    account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=key, part="lease", body=b"", **fresh
                )
                is_ours = True
        except IntegrityError:  # somebody else was faster by a blink
            is_ours = False
    try:
        yield is_ours
    finally:
        if is_ours:
            leases.filter(fetched_at=now).delete()
