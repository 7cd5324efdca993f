"""The trail as signed batches for an address of the team's own.

Each POST holds rows as JSON lines (`application/x-ndjson`), in order, each line as in an export. Headers:

    Mailwarden-Timestamp   seconds since 1970, when it was signed
    Mailwarden-Signature   v1=<hexadecimal HMAC-SHA256 with the shared secret, over timestamp + "." + body>
    Mailwarden-Rows        first-last, the sequence numbers inside

A receiver compares the signature in constant time, refuses timestamps that are minutes old, and answers 2xx once it has
kept the rows. Any other answer, a redirect among them, sends the same rows again later: a row may come twice, none is
left out.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import time
from collections.abc import Callable, Iterable, Sequence

import httpcore
import httpx

from dashboard.audit.chain import line
from dashboard.audit.models import AuditEvent
from dashboard.audit.targets import WebhookTarget, is_public, what_failed
from dashboard.emailsec.network import DeadlineBackend, NetworkTransport, Wire, current_wire

CALL_SECONDS = 20.0  # everything about one batch
CONNECT_SECONDS = 5.0
LARGEST_BATCH = 500_000  # bytes; one row alone may be larger

Resolver = Callable[[str, int], list[str]]


class Refused(Exception):
    """The receiver did not take the rows, or is somewhere we do not send them; the text says why."""


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
        except OSError as problem:
            raise httpcore.ConnectError(str(problem)) from problem
        if not found or not all(map(is_public, found)):
            raise httpcore.UnsupportedProtocol("its name leads to a private address")
        return super().connect_tcp(found[0], port, timeout, local_address, socket_options)


def send(target: WebhookTarget, secret: str, events: Sequence[AuditEvent], *, resolve: Resolver = addresses_of) -> int:
    """Send as many rows as fit one batch, and tell how many were taken. Raises Refused."""
    body, rows = _batch(events)
    now = str(int(time.time()))
    request = httpx.Request(
        "POST",
        target.url,
        content=body,
        headers={
            "Content-Type": "application/x-ndjson",
            "User-Agent": "Mailwarden",
            "Mailwarden-Timestamp": now,
            "Mailwarden-Signature": signature(secret, now, body),
            "Mailwarden-Rows": f"{events[0].sequence}-{events[rows - 1].sequence}",
        },
        extensions={"timeout": httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS).as_dict()},
    )
    backend = None if target.is_on_this_machine else _PublicBackend(resolve)
    token = current_wire.set(Wire(time.monotonic() + CALL_SECONDS, time.monotonic))
    try:
        with NetworkTransport(connections=1, backend=backend) as transport:
            response = transport.handle_request(request)
            response.close()  # what it says besides its status is nothing to us
    except httpx.UnsupportedProtocol as problem:
        raise Refused(str(problem)) from problem
    except httpx.TimeoutException as problem:
        raise Refused("no answer in time") from problem
    except httpx.TransportError as problem:
        raise Refused(what_failed(problem)) from problem
    finally:
        current_wire.reset(token)
    if response.is_redirect:
        raise Refused(f"it answers with a redirect ({response.status_code}), which is not followed")
    if not response.is_success:
        raise Refused(f"it answers {response.status_code}")
    return rows


def signature(secret: str, timestamp: str, body: bytes) -> str:
    mac = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={mac.hexdigest()}"


def _batch(events: Sequence[AuditEvent]) -> tuple[bytes, int]:
    body = b""
    for number, event in enumerate(events):
        octets = line(event).encode() + b"\n"
        if number and len(body) + len(octets) > LARGEST_BATCH:
            return body, number
        body += octets
    return body, len(events)
