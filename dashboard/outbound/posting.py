"""One POST to an address that somebody typed, and its signature.

The name is looked up once and the very address that was looked at is connected to; a private one gets nothing unless
the caller says that it may. Redirects are answers, not directions. What the receiver says besides its status and its
`Retry-After` is never read, so that it can neither fill the memory nor be shown to whoever chose the address.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import httpcore
import httpx

from dashboard.emailsec.network import DeadlineBackend, NetworkTransport, Wire, current_wire
from dashboard.outbound.addresses import is_public, what_failed

CALL_SECONDS = 20.0  # everything about one call
CONNECT_SECONDS = 5.0

Resolver = Callable[[str, int], list[str]]


class Refused(Exception):
    """The receiver did not take it, or is somewhere we do not send to; the text says why."""


@dataclass(frozen=True)
class Answer:
    status: int
    retry_after: str = ""  # as it came: seconds, a date, or anything else

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def told(self) -> str:
        """The answer as the end of a sentence about the receiver."""
        if 300 <= self.status < 400:
            return f"it answers with a redirect ({self.status}), which is not followed"
        return f"it answers {self.status}"


def addresses_of(host: str, port: int) -> list[str]:
    """What the name stands for now."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class _PublicBackend(DeadlineBackend):
    """Connects to the very address that was looked at: a name may answer differently the next time it is asked."""

    def __init__(self, resolve: Resolver) -> None:
        super().__init__()
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as problem:  # a label that no name can have is the latter
            raise httpcore.ConnectError(str(problem)) from problem
        if not found or not all(map(is_public, found)):
            raise httpcore.UnsupportedProtocol("its name leads to a private address")
        return super().connect_tcp(found[0], port, timeout, local_address, socket_options)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    may_be_private: bool = False,
    resolve: Resolver = addresses_of,
    seconds: float = CALL_SECONDS,
) -> Answer:
    """What the receiver answered, whatever its status. Raises Refused where nothing was answered, or nothing sent."""
    try:
        request = httpx.Request(
            "POST",
            url,
            content=body,
            headers={"User-Agent": "Mailwarden", **headers},
            extensions={"timeout": httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)).as_dict()},
        )
    except (httpx.InvalidURL, UnicodeError) as problem:  # 1.2.3.999, which nothing before took for an address
        raise Refused("its address can be that of nothing") from problem
    backend = None if may_be_private else _PublicBackend(resolve)
    token = current_wire.set(Wire(time.monotonic() + seconds, time.monotonic))
    try:
        with NetworkTransport(connections=1, backend=backend) as transport:
            response = transport.handle_request(request)
            response.close()
    except httpx.UnsupportedProtocol as problem:
        raise Refused(str(problem)) from problem
    except httpx.TimeoutException as problem:
        raise Refused("no answer in time") from problem
    except httpx.TransportError as problem:
        raise Refused(what_failed(problem)) from problem
    finally:
        current_wire.reset(token)
    return Answer(response.status_code, response.headers.get("Retry-After", ""))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    mac = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={mac.hexdigest()}"
