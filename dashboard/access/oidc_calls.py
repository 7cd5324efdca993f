"""Calls to the provider of single sign-on: few, short, never led elsewhere, never to where a provider has no business.

The provider's description names the addresses that get our client secret, so each is looked at: https as the issuer,
no redirects, and no connection to this machine or to link-local addresses (where clouds keep their own credentials),
whatever a name resolves to at that moment. Private networks are allowed: many a provider lives in one.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

import httpcore
import httpx

from dashboard.emailsec.network import DeadlineBackend, NetworkTransport, Wire, current_wire
from dashboard.emailsec.paths import checked_base_url

CALL_SECONDS = 6.0  # everything about one call
CONNECT_SECONDS = 3.0
LARGEST = 512 * 1024  # bytes of one answer, unpacked

_given: ContextVar[httpx.BaseTransport | None] = ContextVar("oidc_transport", default=None)


class ProviderAway(Exception):
    """The provider does not answer, or says itself that it cannot."""


class ProviderRefused(Exception):
    """The provider answers with an error: `status`, and the `error` of the protocol."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(f"{status} {error}")


class AnswerUnusable(Exception):
    """The provider's answer is not what the protocol says, or leads where we do not go."""


class _WaryBackend(DeadlineBackend):
    """Looks at the address a connection was made to, before anything is sent on it."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        if not is_elsewhere(stream.get_extra_info("server_addr")[0]):
            stream.close()
            raise httpcore.UnsupportedProtocol("an address of this machine or of its link")
        return stream


def is_elsewhere(address: str) -> bool:
    """Whether an address is neither this machine's own nor one that only exists on its link."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or found
    return not (mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped.is_multicast)


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _transport(*, is_on_this_machine: bool) -> httpx.BaseTransport:
    backend = DeadlineBackend() if is_on_this_machine else _WaryBackend()
    return NetworkTransport(tls=_authorities(), connections=1, backend=backend)


@contextmanager
def use_transport(transport: httpx.BaseTransport) -> Iterator[None]:
    """Calls inside the block go through this transport: a provider without a socket, in tests."""
    token = _given.set(transport)
    try:
        yield
    finally:
        _given.reset(token)


def fetch(
    method: str,
    url: object,
    *,
    is_on_this_machine: bool,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON object at an address of the provider. Raises ProviderAway, ProviderRefused or AnswerUnusable."""
    address = checked(url, is_on_this_machine=is_on_this_machine)
    given = _given.get()
    transport = given or _transport(is_on_this_machine=is_on_this_machine)
    request = httpx.Request(
        method,
        address,
        data=form,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})},
        extensions={"timeout": httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS).as_dict()},
    )
    token = current_wire.set(Wire(time.monotonic() + CALL_SECONDS, time.monotonic))
    try:
        response = transport.handle_request(request)
        try:
            body = _body(response)
        finally:
            response.close()
    except httpx.UnsupportedProtocol as problem:
        raise AnswerUnusable(str(problem)) from problem
    except httpx.TransportError as problem:
        raise ProviderAway(type(problem).__name__) from problem
    finally:
        current_wire.reset(token)
        if given is None:
            transport.close()  # sign-ins are too rare for connections to be kept
    if response.status_code >= 500:
        raise ProviderAway(f"status {response.status_code}")
    answer = _object(body)
    if response.status_code >= 400:
        raise ProviderRefused(response.status_code, error_code((answer or {}).get("error")))
    if response.status_code != 200 or answer is None:  # no redirect is followed: our secret would go along
        raise AnswerUnusable(f"status {response.status_code}" if response.status_code != 200 else "no JSON object")
    return answer


def error_code(told: object) -> str:
    """A word of the protocol such as invalid_grant; whatever else was written there is nobody's business."""
    return told if isinstance(told, str) and re.fullmatch(r"[a-z_]{1,40}", told) else "without a known error"


def basic(client_id: str, secret: str) -> str:
    """The header of RFC 6749, section 2.3.1: both parts are encoded as in a form first."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def checked(url: object, *, is_on_this_machine: bool) -> str:
    """An address the provider named, when it is one we go to; AnswerUnusable otherwise."""
    try:
        base, _, _query = str(url).partition("?")
        checked_base_url(base)
        if not isinstance(url, str) or "#" in url or not (is_on_this_machine or url.startswith("https://")):
            raise ValueError("not https")
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as problem:
        raise AnswerUnusable("names an address that is no https address") from problem
    return url


def _body(response: httpx.Response) -> bytes:
    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101  every transport here is synchronous
    body = b""
    for piece in response.stream:
        body += piece
        if len(body) > LARGEST:
            raise AnswerUnusable("answers with too much")
    return body


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
