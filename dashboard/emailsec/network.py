"""Sockets with a deadline for the whole call, and a note of whether anything was written.

httpx's read timeout starts anew with every piece that arrives, so a server that sends one byte every few seconds is
never timed out. Here each single read and write gets only what is left of the call's own time. (Looking up a name is
the one step the operating system does not let us cut short.)
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx


@dataclass
class Wire:
    """One attempt, as seen by the sockets it uses."""

    deadline: float
    clock: Callable[[], float]
    wrote: bool = False
    """Whether a byte of the request may have left; a TLS handshake does not count."""

    def remaining(self) -> float:
        return self.deadline - self.clock()


current_wire: ContextVar[Wire | None] = ContextVar("emailsec_wire", default=None)


def _left(timeout: float | None, expired: type[Exception]) -> float | None:
    wire = current_wire.get()
    if wire is None:
        return timeout
    remaining = wire.remaining()
    if remaining <= 0:
        raise expired("the call's time is over")
    return remaining if timeout is None else min(timeout, remaining)


class DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = _left(timeout, httpcore.WriteTimeout)
        wire = current_wire.get()
        if wire is not None and buffer:
            wire.wrote = True
        self._stream.write(buffer, timeout=left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname=server_hostname, timeout=left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        stream = self._backend.connect_tcp(
            host, port, timeout=left, local_address=local_address, socket_options=socket_options
        )
        return DeadlineStream(stream)


class NetworkTransport(httpx.HTTPTransport):
    """httpx's own transport over sockets that know the call's deadline. HTTP/1.1, no proxy, no environment.

    `tls` replaces the usual authorities (a private one in a test); there is no switch to trust everybody.
    `backend` opens the sockets: one that keeps the deadline and refuses some addresses, for instance.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        connections: int = 64,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        context = tls if tls is not None else httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._pool.close()
        # httpx has no argument for the network backend; everything else it would build the same way.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=30.0,
            network_backend=backend or DeadlineBackend(),
        )
