"""Several searches as one list: merged by time, each message once, continued exactly where a page ended."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from dashboard.emailsec.rows import MessageRow
from investigate.search.criteria import Criteria
from investigate.search.window import API_DEFAULT_DAYS, Window, length_of

LONGEST_TOKEN = 24_000
LONGEST_CURSOR = 6000
_MARK = 8  # hexadecimal digits that stand for a cursor or an id


class BadToken(ValueError):
    """A "load more" address that is not one of ours, or belongs to another search."""


class Place(msgspec.Struct, array_like=True, frozen=True):
    """Where the reading of one branch stands."""

    start: int  # of the window, in seconds
    end: int
    cursor: str = ""  # leads to the page being read; "" for the first one
    offset: int = 0  # rows of that page already shown
    run: str = ""  # its row in our memory, a hint; "" when nothing of the page was read yet
    used: tuple[str, ...] = ()  # marks of the cursors followed so far
    is_over: bool = False

    @property
    def window(self) -> Window:
        return Window(dt.datetime.fromtimestamp(self.start, dt.UTC), dt.datetime.fromtimestamp(self.end, dt.UTC))


class MoreToken(msgspec.Struct, array_like=True, frozen=True):
    """Everything "load more" needs to go on exactly, carried in its own address."""

    version: int
    shown: int
    last: str  # time of the last row shown, as MessageRow.scanned_at writes it
    last_ids: tuple[str, ...]  # marks of the rows shown with that very time
    places: tuple[Place, ...]

    def write(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


_VERSION = 1
_reader = msgspec.json.Decoder(MoreToken)


def read_token(text: str, criteria: Criteria, now: dt.datetime) -> MoreToken:
    """The token of a "load more" address; BadToken unless it is one that this search could have written."""
    if len(text) > LONGEST_TOKEN:
        raise BadToken("too long")
    try:
        token = _reader.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError) as exc:
        raise BadToken("not readable") from exc
    if token.version != _VERSION or not 0 <= token.shown <= 10_000_000 or len(token.last) > 40:
        raise BadToken("not one of ours")
    if len(token.places) != len(criteria.branches()):
        raise BadToken("belongs to another search")
    for place in token.places:
        _check(place, criteria, now)
    return token


def _check(place: Place, criteria: Criteria, now: dt.datetime) -> None:
    if not (0 <= place.offset <= 1000 and len(place.cursor) <= LONGEST_CURSOR and len(place.used) <= 2000):
        raise BadToken("out of range")
    if not place.cursor.isprintable():  # no cursor of the service; a database may refuse it, too
        raise BadToken("no such cursor")
    if place.run:
        try:
            UUID(hex=place.run)
        except ValueError as exc:
            raise BadToken("no such run") from exc
    latest = int(now.timestamp()) + 60
    if not 0 < place.start < place.end or place.end > max(latest, int(criteria.end.timestamp()) if criteria.end else 0):
        raise BadToken("no such range")
    if not _fits(criteria, place.window):
        raise BadToken("belongs to another range")


def _fits(criteria: Criteria, window: Window) -> bool:
    """Whether a pinned range is one this relative or half-open range can mean."""
    if criteria.last:
        return window.end - window.start == length_of(criteria.last)
    if criteria.end and window.end != criteria.end:
        return False
    if criteria.start:
        return window.start == criteria.start
    return window.end - window.start == dt.timedelta(days=API_DEFAULT_DAYS)


def mark(text: str) -> str:
    """A short name for a cursor or an id inside a token."""
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:_MARK]


@dataclass
class Stream:
    """One branch while a page is put together: the rows of its current page, and whether the service has more."""

    rows: Sequence[MessageRow]
    offset: int = 0
    has_next: bool = False
    earlier_ids: Callable[[], Collection[str]] = frozenset  # ids of this branch's former pages, asked for when needed

    @property
    def is_dry(self) -> bool:
        return self.offset >= len(self.rows)


@dataclass
class Merged:
    """Rows of one page, newest first; `has_changed` when the service showed a row twice."""

    rows: list[MessageRow] = field(default_factory=list)
    last: str = ""
    last_ids: tuple[str, ...] = ()
    has_changed: bool = False


def merge(streams: Sequence[Stream], *, most: int, last: str = "", last_ids: Collection[str] = ()) -> Merged:
    """Up to `most` rows of all streams in order of time, each id once; moves the streams' offsets.

    Ends early when a stream with a next page runs dry: what comes next there may be newer than the others' rows.
    `last` and `last_ids` are those of the page before.
    """
    found = Merged(last=last, last_ids=tuple(last_ids))
    if len(streams) == 1 and not last:
        _take_all(streams[0], found, most)
        return found
    taken: set[str] = set()
    heads = [stream.rows[stream.offset].scanned_at if not stream.is_dry else "" for stream in streams]
    waiting = [index for index, stream in enumerate(streams) if not stream.is_dry]
    while waiting and len(found.rows) < most:
        index = max(waiting, key=heads.__getitem__) if len(waiting) > 1 else waiting[0]
        stream, at = streams[index], heads[index]
        row = stream.rows[stream.offset]
        stream.offset += 1
        if row.id in taken:
            found.has_changed |= len(streams) == 1
        elif last and at >= last and _was_shown(row, at, last, last_ids, stream):
            found.has_changed |= at > last
        else:
            taken.add(row.id)
            found.rows.append(row)
        if stream.is_dry:
            if stream.has_next:
                break
            waiting.remove(index)
        else:
            heads[index] = stream.rows[stream.offset].scanned_at
    _note_boundary(found, last_ids)
    return found


def _take_all(stream: Stream, found: Merged, most: int) -> None:
    """The usual case, the first page of one search: its rows as they come."""
    page = stream.rows[stream.offset : stream.offset + most]
    found.rows = list({row.id: row for row in page}.values())
    found.has_changed = len(found.rows) < len(page)
    stream.offset += len(page)
    _note_boundary(found, ())


def _was_shown(row: MessageRow, at: str, last: str, last_ids: Collection[str], stream: Stream) -> bool:
    """Whether an earlier page held this row. Only rows as new as its last one need a look."""
    if at == last and mark(row.id) in last_ids:
        return True
    return at > last and row.id in stream.earlier_ids()


def _note_boundary(found: Merged, last_ids: Collection[str]) -> None:
    if not found.rows:
        return
    last = found.rows[-1].scanned_at
    ids: list[str] = list(last_ids) if last == found.last else []
    for row in reversed(found.rows):
        if row.scanned_at != last:
            break
        ids.append(mark(row.id))
    found.last, found.last_ids = last, tuple(ids[:1000])
