"""Which calls may be repeated, how long a call may take, how much it may answer, and who counts it."""

from __future__ import annotations

import datetime as dt
import logging
import random
import re
import time
import zlib
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from enum import IntEnum
from typing import Protocol

import httpx

from dashboard.emailsec.network import NetworkTransport, Wire, current_wire
from dashboard.emailsec.times import as_utc

logger = logging.getLogger("mailwarden.emailsec")

MEGABYTE = 1_000_000
JSON_LIMIT = 25 * MEGABYTE
RAW_LIMIT = 50 * MEGABYTE
PICTURE_LIMIT = 15 * MEGABYTE

CONNECT_SECONDS = 5.0
MOST_ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 0.25, 4.0  # seconds; the real wait is drawn between 0 and this ("full jitter")
USUAL_RETRY_AFTER, LONGEST_RETRY_AFTER = 300.0, 900.0  # after a 429 the service refuses everything for five minutes

# Raised before a connection was made, so no byte of the request can have left.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class Priority(IntEnum):
    """Who waits for the call: decides whose call goes first when the budget runs low."""

    ACTION = 0
    READ = 1
    BULK = 2
    REFRESH = 3
    BACKGROUND = 4
    COLLECT = 5  # as REFRESH, and never more than a share of its own
    CATCH_UP = 6  # of that share: mail that waited already, so that it never uses up the calls for what comes in


class Meter(Protocol):
    """Counts every attempt: repeated reads and polls too."""

    def before(self, request: httpx.Request) -> None:
        """Reserve one call, or raise BudgetExhausted; then nothing is sent. See `priority_of`."""

    def after(self, response_headers: Mapping[str, str], status: int) -> None:
        """Learn from an answer's headers; not called where there was no answer."""


class Unmetered:
    def before(self, request: httpx.Request) -> None:
        pass

    def after(self, response_headers: Mapping[str, str], status: int) -> None:
        pass


def priority_of(request: httpx.Request) -> Priority:
    return Priority(request.extensions.get("priority", Priority.READ))


class CallFailed(httpx.TransportError):
    """No answer. `sent` is False only when not one byte of the request left."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class AnswerUnusable(CallFailed):
    """An answer came, but is too large or not encoded as it says; asking again would bring the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, sent=True)


class RetryTransport(httpx.BaseTransport):
    """Sends a request until it is answered, may not be repeated, or its time is over; reads the answer whole.

    Takes from `request.extensions`: `budget` (seconds for everything, waits included), `repeatable` (a read),
    `max_bytes` (of the answer once decompressed) and `priority`. Raises CallFailed, or what the meter raises.
    Reads are repeated on connection errors, 408 and 5xx; writes only when they surely were not carried out. A 429 is
    waited for only when its Retry-After fits into what is left. Redirects are answers like any other.
    """

    def __init__(
        self,
        inner: httpx.BaseTransport | None = None,
        *,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._inner = inner if inner is not None else NetworkTransport()
        self._sees_writes = isinstance(self._inner, NetworkTransport)
        self._meter: Meter = meter if meter is not None else Unmetered()
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = self._clock() + float(request.extensions.get("budget", 10.0))
        attempt = 0
        while True:
            attempt += 1
            self._meter.before(request)
            outcome = self._attempt(request, deadline)
            wait = self._wait_before_repeat(request, outcome, attempt)
            if wait is None or self._clock() + wait >= deadline:
                break
            self._sleep(wait)
        if isinstance(outcome, CallFailed):
            raise outcome
        return outcome

    def close(self) -> None:
        self._inner.close()

    def _attempt(self, request: httpx.Request, deadline: float) -> httpx.Response | CallFailed:
        """One answer, or why there is none. httpx's exceptions end here: they hold the request and its credentials."""
        wire = Wire(deadline, self._clock)
        remaining = wire.remaining()
        if remaining <= 0:
            return CallFailed("no time left", sent=False)
        request.extensions["timeout"] = {
            "connect": min(CONNECT_SECONDS, remaining),
            "read": remaining,
            "write": remaining,
            "pool": remaining,
        }
        entered = current_wire.set(wire)
        try:
            response = self._inner.handle_request(request)
            try:
                self._tell_meter(response)
                return self._whole(request, response, wire)
            finally:
                response.close()
        except CallFailed as exc:
            return type(exc)(exc.reason) if isinstance(exc, AnswerUnusable) else CallFailed(exc.reason, sent=exc.sent)
        except (httpx.TransportError, httpx.StreamError, OSError) as exc:
            sent = not isinstance(exc, _NEVER_SENT) and (wire.wrote or not self._sees_writes)
            return CallFailed(type(exc).__name__, sent=sent)
        finally:
            current_wire.reset(entered)

    def _tell_meter(self, response: httpx.Response) -> None:
        try:
            self._meter.after(response.headers, response.status_code)
        except Exception:  # the answer is here, and must not be lost because a count could not be stored
            logger.exception("emailsec_meter_failed")

    def _whole(self, request: httpx.Request, response: httpx.Response, wire: Wire) -> httpx.Response:
        try:
            body = self._body(response, wire, int(request.extensions.get("max_bytes", JSON_LIMIT)))
        except (httpx.TransportError, OSError):
            if response.status_code < 400:
                raise
            body = b""  # a refusal is known by its status, whatever became of its text
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return httpx.Response(response.status_code, headers=headers, content=body, request=request)

    def _body(self, response: httpx.Response, wire: Wire, limit: int) -> bytes:
        """All of the answer, decompressed, never longer than `limit` nor later than the deadline."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise AnswerUnusable("an encoding that was not asked for")
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in encoding else None
        pieces: list[bytes] = []
        size = received = 0
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("an asynchronous transport under a synchronous client")
        for chunk in response.stream:
            if wire.remaining() <= 0:
                raise CallFailed("no time left while reading", sent=True)
            received += len(chunk)
            piece = chunk
            if inflater is not None:
                try:
                    piece = inflater.decompress(chunk, limit - size + 1)
                except zlib.error:
                    raise AnswerUnusable("not the encoding it claims to be") from None
            size += len(piece)
            if size > limit or received > limit:
                raise AnswerUnusable(f"more than {limit} bytes")
            pieces.append(piece)
        if inflater is not None and received and not inflater.eof:
            raise CallFailed("cut off", sent=True)
        return b"".join(pieces)

    def _wait_before_repeat(
        self, request: httpx.Request, outcome: httpx.Response | CallFailed, attempt: int
    ) -> float | None:
        """Seconds to wait before sending again; None if this outcome stands."""
        if attempt >= MOST_ATTEMPTS:
            return None
        repeatable = bool(request.extensions.get("repeatable", False))
        backoff: float = self._jitter() * min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        if isinstance(outcome, AnswerUnusable):
            return None
        if isinstance(outcome, CallFailed):
            return backoff if repeatable or not outcome.sent else None
        if outcome.status_code == 429:
            return retry_after(outcome.headers) or USUAL_RETRY_AFTER
        if repeatable and (outcome.status_code == 408 or outcome.status_code >= 500):
            return max(backoff, retry_after(outcome.headers) or 0.0)
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, at most 15 minutes; None where the header is missing, and five minutes where it is nonsense."""
    value = headers.get("retry-after")
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", value):
        seconds = float(value)
    else:
        try:
            seconds = (as_utc(parsedate_to_datetime(value)) - dt.datetime.now(dt.UTC)).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return USUAL_RETRY_AFTER
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else USUAL_RETRY_AFTER
