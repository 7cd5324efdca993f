"""One call from request to result: the only place that sees status codes and envelopes."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import msgspec

from dashboard.emailsec import errors
from dashboard.emailsec.credentials import Credentials
from dashboard.emailsec.decoding import Malformed, parse
from dashboard.emailsec.features import MissingFeatures
from dashboard.emailsec.paths import checked_base_url, fill
from dashboard.emailsec.transport import (
    JSON_LIMIT,
    USUAL_RETRY_AFTER,
    AnswerUnusable,
    CallFailed,
    Priority,
    RetryTransport,
    retry_after,
)

logger = logging.getLogger("mailwarden.emailsec")

T = TypeVar("T")
Params = Sequence[tuple[str, str | int | bool | None]]

NO_SUCH_ROUTE = 7003
_LONGEST_API_MESSAGE = 2000
_LONGEST_RAY = 100


@dataclass(frozen=True)
class Endpoint:
    """One operation of the API."""

    method: str
    template: str
    writes: bool
    """Whether it changes anything: such a call is never repeated, and without an answer its outcome is unknown."""
    feature: str | None = None
    """The name under which its absence is remembered, for operations an older server lacks."""
    collection: bool = False
    """A path without an object in it: a 404 there means that the operation, not an object, is missing.

    Only these teach us that a feature is missing; elsewhere code 7003 may as well mean a bad id.
    """
    max_bytes: int = JSON_LIMIT

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(frozen=True)
class Reply:
    """A 2xx answer, not yet looked into."""

    endpoint: Endpoint
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)  # mail content: not for debug pages
    url: str = field(repr=False)
    ray_id: str | None


class Caller:
    """Signs, sends and judges calls for one account. Safe to share between threads."""

    def __init__(
        self,
        *,
        account_id: str,
        base_url: str,
        credentials: Credentials,
        read_credentials: Credentials | None,
        transport: RetryTransport,
        missing: MissingFeatures,
        user_agent: str,
    ) -> None:
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,32}", account_id):
            raise ValueError("the account id is up to 32 letters and digits")
        self.account_id = account_id
        self.base_url = checked_base_url(base_url)
        self._origin = httpx.URL(self.base_url)
        self.missing = missing
        self._credentials = credentials
        self._read_credentials = read_credentials if read_credentials is not None else credentials
        self._transport = transport
        self._user_agent = user_agent

    def close(self) -> None:
        self._transport.close()

    def send(
        self,
        endpoint: Endpoint,
        values: Mapping[str, str] | None = None,
        *,
        params: Params = (),
        json: object = None,
        budget: float,
        priority: Priority,
    ) -> Reply:
        """The 2xx answer, or the error that says what happened."""
        path = fill(endpoint.template, dict(values or {}))
        if endpoint.feature is not None and self.missing.is_missing(endpoint.feature):
            raise errors.NotOnThisServer(operation=endpoint.name)
        url = httpx.URL(f"{self.base_url}/accounts/{self.account_id}/email-security{path}")
        wanted: list[tuple[str, str | int | float | bool | None]] = [
            (name, _query_text(value)) for name, value in params if value is not None and value != ""
        ]
        if wanted:
            url = url.copy_merge_params(wanted)
        return self._exchange(endpoint, url, json, budget, priority)

    def follow(self, endpoint: Endpoint, location: str, *, budget: float, priority: Priority) -> Reply:
        """A read of an address that `paths.own_location` has let through."""
        try:
            url = httpx.URL(location)
        except httpx.InvalidURL:
            raise errors.ForeignLocation(operation=endpoint.name) from None
        # Two parsers, one answer: what is checked must be what is connected to.
        if (url.scheme, url.host, url.port, url.userinfo) != (
            self._origin.scheme,
            self._origin.host,
            self._origin.port,
            b"",
        ):
            raise errors.ForeignLocation(operation=endpoint.name)
        return self._exchange(endpoint, url, None, budget, priority)

    def result(self, reply: Reply, reader: Callable[[Any], T], envelope: dict[str, Any] | None = None) -> T:
        """What `reader` makes of the envelope's `result`; give the envelope if it is at hand."""
        if envelope is None:
            envelope = self.envelope(reply)
        try:
            return reader(envelope.get("result"))
        except Malformed:
            raise self.unusable(reply, "the result does not have the expected shape") from None

    def envelope(self, reply: Reply) -> dict[str, Any]:
        envelope = _json(reply.body)
        if not isinstance(envelope, dict) or "success" not in envelope:
            raise self.unusable(reply, "not an answer of the API")
        if envelope["success"] is not True:
            raise self.unusable(reply, "the answer says that it failed", envelope)
        return envelope

    def unusable(self, reply: Reply, why: str, envelope: object = None) -> errors.EmailSecurityError:
        """A 2xx whose content cannot be trusted: for a read an error, for a write an unknown outcome."""
        kind = errors.OutcomeUnknown if reply.endpoint.writes else errors.UnexpectedReply
        return kind(
            why, operation=reply.endpoint.name, status=reply.status, ray_id=reply.ray_id, **self._told(envelope)
        )

    def _exchange(self, endpoint: Endpoint, url: httpx.URL, json: object, budget: float, priority: Priority) -> Reply:
        if not budget > 0:
            raise ValueError("a call needs some seconds")
        request = httpx.Request(
            endpoint.method,
            url,
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": self._user_agent},
            content=msgspec.json.encode(json) if json is not None else None,
            extensions={
                "budget": budget,
                "priority": priority,
                "repeatable": not endpoint.writes,
                "max_bytes": endpoint.max_bytes,
            },
        )
        if endpoint.method != "GET":
            request.headers["Content-Type"] = "application/json"
        (self._read_credentials if endpoint.method == "GET" else self._credentials).sign(request)
        started = time.monotonic()
        try:
            response = self._transport.handle_request(request)
        except CallFailed as exc:
            failure = exc
        except errors.RateLimited as exc:  # our own meter; it does not know which operation it held back
            exc.operation = exc.operation or endpoint.name
            self._log(endpoint, "budget", None, started)
            raise
        else:
            ray_id = response.headers.get("cf-ray", "")[:_LONGEST_RAY] or None
            self._log(endpoint, response.status_code, ray_id, started)
            if 200 <= response.status_code < 300:
                return Reply(endpoint, response.status_code, response.headers, response.content, str(url), ray_id)
            raise self._refusal(endpoint, response, ray_id)
        # Out of the handler, so that the error carries no trace of the request and its credentials.
        self._log(endpoint, failure.reason, None, started)
        raise self._no_answer(endpoint, failure)

    def _log(self, endpoint: Endpoint, status: int | str, ray_id: str | None, started: float) -> None:
        # The template, never the address: ids and search terms are other people's mail.
        logger.info(
            "emailsec_call",
            extra={
                "method": endpoint.method,
                "path": endpoint.template,
                "status": status,
                "ray_id": ray_id,
                "ms": round((time.monotonic() - started) * 1000),
            },
        )

    def _no_answer(self, endpoint: Endpoint, failure: CallFailed) -> errors.EmailSecurityError:
        if endpoint.writes and failure.sent:
            return errors.OutcomeUnknown(f"no usable answer ({failure.reason})", operation=endpoint.name)
        if isinstance(failure, AnswerUnusable):
            return errors.UnexpectedReply(failure.reason, operation=endpoint.name)
        return errors.Unavailable(f"no answer ({failure.reason})", operation=endpoint.name)

    def _refusal(self, endpoint: Endpoint, response: httpx.Response, ray_id: str | None) -> errors.EmailSecurityError:
        """The error for an answer other than 2xx."""
        status = response.status_code
        envelope = _json(response.content)
        told = self._told(envelope)
        kind = self._kind_of_refusal(endpoint, status, told["codes"], is_ours=_is_failure(envelope))
        waiting = retry_after(response.headers)
        if kind is errors.RateLimited and waiting is None:
            waiting = USUAL_RETRY_AFTER
        return kind(operation=endpoint.name, status=status, ray_id=ray_id, retry_after=waiting, **told)

    def _kind_of_refusal(
        self, endpoint: Endpoint, status: int, codes: tuple[int, ...], *, is_ours: bool
    ) -> type[errors.EmailSecurityError]:
        if status == 401:
            return errors.CredentialsRefused
        if status == 403:
            return errors.NotPermitted
        if status == 429:
            return errors.RateLimited
        if status >= 500 or status == 408:
            return errors.OutcomeUnknown if endpoint.writes else errors.Unavailable
        if status < 400:  # a redirect: never followed, and no word on what became of a write
            return errors.OutcomeUnknown if endpoint.writes else errors.UnexpectedReply
        no_route = status == 405 or (status == 404 and NO_SUCH_ROUTE in codes)
        if no_route and endpoint.collection and endpoint.feature is not None:
            self.missing.remember(endpoint.feature)
        if status == 405:
            return errors.NotOnThisServer
        if status == 404:
            if not is_ours and not endpoint.writes:
                return errors.UnexpectedReply  # somebody else's 404: it does not say that the message is gone
            return errors.NotOnThisServer if endpoint.collection else errors.NotFound
        return errors.Rejected

    def _told(self, envelope: object) -> dict[str, Any]:
        """What an envelope says went wrong, as arguments of an error."""
        codes: list[int] = []
        texts: list[str] = []
        pointers: list[tuple[str, str]] = []
        items = envelope.get("errors") if isinstance(envelope, dict) else None
        for item in _error_items(items):
            code, text, source = item.get("code"), item.get("message"), item.get("source")
            if isinstance(code, int):
                codes.append(code)
            if not isinstance(text, str):
                continue
            text = self._redact(text)
            texts.append(text)
            if isinstance(source, dict) and isinstance(source.get("pointer"), str):
                pointers.append((source["pointer"], text))
        return {"codes": tuple(codes), "api_message": "; ".join(texts)[:_LONGEST_API_MESSAGE], "pointers": pointers}

    def _redact(self, text: str) -> str:
        return self._read_credentials.redact(self._credentials.redact(text))


def _error_items(items: object) -> list[dict[str, Any]]:
    """The error objects of an envelope, each followed by its chain (which older edge errors have)."""
    found: list[dict[str, Any]] = []
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict):
            found.append(item)
            chain = item.get("error_chain")
            found += [link for link in chain if isinstance(link, dict)] if isinstance(chain, list) else []
    return found


def _is_failure(envelope: object) -> bool:
    return isinstance(envelope, dict) and "success" in envelope and isinstance(envelope.get("errors"), list)


def _json(body: bytes) -> object:
    try:
        return parse(body)
    except Malformed:
        return None


def _query_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
