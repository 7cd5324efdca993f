"""Find messages and read about one."""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any

import msgspec

from dashboard.emailsec import errors
from dashboard.emailsec.core import NO_SUCH_ROUTE, Endpoint, Reply
from dashboard.emailsec.decoding import read, read_list, read_those
from dashboard.emailsec.groups import USUAL_BUDGET, Group, checked_per_page, time_left
from dashboard.emailsec.paths import own_location
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.rows import decode_rows, next_cursor
from dashboard.emailsec.transport import MEGABYTE, PICTURE_LIMIT, RAW_LIMIT, Priority, retry_after
from dashboard.emailsec.types import (
    ActionEntry,
    Detections,
    Message,
    RawSearchPage,
    SearchPage,
    SlowSearch,
    Trace,
)

SEARCH = Endpoint("GET", "/investigate", writes=False, collection=True)
POLL = Endpoint("GET", "/investigate (results of a slow search)", writes=False)
MESSAGE = Endpoint("GET", "/investigate/{investigate_id}", writes=False)
ACTION_LOG = Endpoint("GET", "/investigate/{investigate_id}/action_log", writes=False, feature="action_log")
DETECTIONS = Endpoint("GET", "/investigate/{investigate_id}/detections", writes=False)
RAW = Endpoint("GET", "/investigate/{investigate_id}/raw", writes=False, max_bytes=RAW_LIMIT)
TRACE = Endpoint("GET", "/investigate/{investigate_id}/trace", writes=False)

_PICTURE_BODY = PICTURE_LIMIT * 4 // 3 + MEGABYTE  # as base64 in an envelope
PREVIEW = Endpoint("GET", "/investigate/{investigate_id}/preview", writes=False, max_bytes=_PICTURE_BODY)
# A POST that needs the Write permission, yet only draws a picture: it may be repeated.
RENDER_PREVIEW = Endpoint("POST", "/investigate/preview", writes=False, max_bytes=_PICTURE_BODY)

_PNG = b"\x89PNG\r\n\x1a\n"


class InvestigateGroup(Group):
    """Reads. All may raise Unavailable, RateLimited, CredentialsRefused, NotPermitted, UnexpectedReply."""

    def search(
        self,
        criteria: SearchQuery,
        *,
        cursor: str | None = None,
        per_page: int = 100,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
        is_lenient: bool = False,
    ) -> SearchPage | SlowSearch:
        """One page of messages, newest first, or word that the search is slow (never an empty page in its place).

        Send the same criteria with each cursor. Raises ForeignLocation if a slow search points elsewhere. A lenient
        page leaves out rows that cannot be read, where any other refuses the answer.
        """
        reply = self._search(criteria, cursor, per_page, budget, priority)
        return self._search_page(reply, is_lenient=is_lenient)

    def search_raw(
        self,
        criteria: SearchQuery,
        *,
        cursor: str | None = None,
        per_page: int = 100,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> RawSearchPage | SlowSearch:
        """The same page as bytes to keep; they are checked, so `decode_rows` will read them."""
        return self._raw_page(self._search(criteria, cursor, per_page, budget, priority))

    def poll_search(
        self,
        location: str,
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.REFRESH,
        is_lenient: bool = False,
    ) -> SearchPage | SlowSearch:
        """Ask whether a slow search is ready. Raises SearchExpired, ForeignLocation."""
        return self._search_page(self._poll(location, budget, priority), location, is_lenient=is_lenient)

    def poll_search_raw(
        self, location: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.REFRESH
    ) -> RawSearchPage | SlowSearch:
        """As `poll_search`, with the page as bytes to keep."""
        return self._raw_page(self._poll(location, budget, priority), location)

    def message(
        self,
        investigate_id: str,
        *,
        submission: bool = False,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> Message:
        """One message. With `submission`, only copies reported by people are looked at; without, only the others."""
        reply = self._api.send(
            MESSAGE,
            {"investigate_id": investigate_id},
            params=[("submission", True)] if submission else (),
            budget=budget,
            priority=priority,
        )
        return self._api.result(reply, lambda raw: read(raw, Message))

    def action_log(
        self, investigate_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ
    ) -> tuple[ActionEntry, ...]:
        """What was done to a message, all of it (up to 1,000 lines).

        An older server keeps the log inside the message; then it is taken from there, at the cost of another call.
        """
        values = {"investigate_id": investigate_id}
        params = [("per_page", 1000)]
        started = time.monotonic()
        try:
            reply = self._api.send(ACTION_LOG, values, params=params, budget=budget, priority=priority)
        except (errors.NotOnThisServer, errors.NotFound) as exc:
            # Code 7003 says "no such route or bad id"; only the message itself can tell the two apart.
            left = time_left(budget, started)
            embedded = self.message(investigate_id, budget=left, priority=priority).action_log
            if exc.status == 405 or NO_SUCH_ROUTE in exc.codes:
                self._api.missing.remember("action_log")
            return embedded
        return self._api.result(reply, lambda raw: read_list(raw, ActionEntry))

    def detections(
        self, investigate_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ
    ) -> Detections:
        """Why it was judged so. Clean mail has none: expect NotFound or Rejected."""
        reply = self._get(DETECTIONS, investigate_id, budget, priority)
        return self._api.result(reply, lambda raw: read(raw, Detections))

    def trace(self, investigate_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ) -> Trace:
        """The delivery log of both sides; a side that is `pending` will grow."""
        reply = self._get(TRACE, investigate_id, budget, priority)
        return self._api.result(reply, lambda raw: read(raw, Trace))

    def raw(self, investigate_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ) -> str:
        """The message itself (EML) as text, up to 50 MB. Hostile; only for messages with a detection."""
        reply = self._get(RAW, investigate_id, budget, priority)
        return self._api.result(reply, lambda raw: _text(raw, "raw"))

    def preview(
        self, investigate_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ
    ) -> bytes:
        """A picture of a message with a detection: bytes that begin as a PNG, at most 15 MB. Not yet safe to serve."""
        return self._picture(self._get(PREVIEW, investigate_id, budget, priority))

    def render_preview(
        self, investigate_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ
    ) -> bytes:
        """A picture of a message *without* a detection; needs Write, an integration, and the mail in its inbox."""
        return self._picture(
            self._api.send(RENDER_PREVIEW, json={"id": investigate_id}, budget=budget, priority=priority)
        )

    def _get(self, endpoint: Endpoint, investigate_id: str, budget: float, priority: Priority) -> Reply:
        return self._api.send(endpoint, {"investigate_id": investigate_id}, budget=budget, priority=priority)

    def _search(
        self, criteria: SearchQuery, cursor: str | None, per_page: int, budget: float, priority: Priority
    ) -> Reply:
        params = [*criteria.filters().items(), ("per_page", checked_per_page(per_page)), ("cursor", cursor)]
        return self._api.send(SEARCH, params=params, budget=budget, priority=priority)

    def _poll(self, location: str, budget: float, priority: Priority) -> Reply:
        address = own_location(
            location, base_url=self._api.base_url, account_id=self._api.account_id, request_url=self._api.base_url
        )
        if address is None:
            raise errors.ForeignLocation(operation=POLL.name)
        try:
            return self._api.follow(POLL, address, budget=budget, priority=priority)
        except (errors.NotFound, errors.UnexpectedReply, errors.Rejected) as exc:
            if exc.status in (404, 410):
                raise errors.SearchExpired(
                    operation=exc.operation,
                    status=exc.status,
                    codes=exc.codes,
                    api_message=exc.api_message,
                    ray_id=exc.ray_id,
                ) from None
            raise

    def _search_page(
        self, reply: Reply, polled: str | None = None, *, is_lenient: bool = False
    ) -> SearchPage | SlowSearch:
        slow = self._still_running(reply, polled)
        if slow is not None:
            return slow
        envelope = self._api.envelope(reply)
        rows = read_those if is_lenient else read_list
        messages = self._api.result(reply, lambda raw: rows(raw, Message), envelope)
        return SearchPage(messages=messages, next_cursor=next_cursor(envelope), ray_id=reply.ray_id)

    def _raw_page(self, reply: Reply, polled: str | None = None) -> RawSearchPage | SlowSearch:
        slow = self._still_running(reply, polled)
        if slow is not None:
            return slow
        try:
            rows, cursor = decode_rows(reply.body)
        except errors.UnexpectedReply as exc:
            self._api.envelope(reply)  # raises first, and says more, where the envelope itself tells of a failure
            raise self._api.unusable(reply, exc.detail) from None
        return RawSearchPage(body=reply.body, next_cursor=cursor, count=len(rows), ray_id=reply.ray_id)

    def _still_running(self, reply: Reply, polled: str | None) -> SlowSearch | None:
        """A 202, or an empty body when polling: never to be read as an empty result."""
        if reply.status != 202 and not (polled is not None and not reply.body.strip()):
            return None
        location = reply.headers.get("location")
        if location is None:
            if polled is None:
                raise self._api.unusable(reply, "a slow search without an address for its results")
            location = polled
        address = own_location(
            location, base_url=self._api.base_url, account_id=self._api.account_id, request_url=reply.url
        )
        if address is None:
            raise errors.ForeignLocation(operation=SEARCH.name, status=reply.status, ray_id=reply.ray_id)
        return SlowSearch(location=address, retry_after=retry_after(reply.headers), ray_id=reply.ray_id)

    def _picture(self, reply: Reply) -> bytes:
        return self._api.result(reply, lambda raw: _png(_text(raw, "screenshot")))


def _text(raw: Any, name: str) -> str:
    value = raw.get(name) if isinstance(raw, dict) else None
    if not isinstance(value, str):
        raise msgspec.ValidationError(f"no {name}")
    return value


def _png(encoded: str) -> bytes:
    try:
        picture = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise msgspec.ValidationError("not base64") from None
    if len(picture) > PICTURE_LIMIT or not picture.startswith(_PNG):
        raise msgspec.ValidationError("not a PNG of bearable size")
    return picture
