"""Where the trail is sent to, as the environment names it; read when Mailwarden starts."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9a-fA-F:.]+")
SHORTEST_SECRET = 16


@dataclass(frozen=True)
class SyslogTarget:
    transport: str  # udp, tcp or tls
    host: str
    port: int


@dataclass(frozen=True)
class WebhookTarget:
    url: str
    is_on_this_machine: bool  # written so, as an address or as localhost; never found out by a name


def syslog_target(value: str) -> SyslogTarget:
    """`udp://host:port`, `tcp://host:port` or `tls://host:port`. Raises ValueError, which says what is wrong."""
    parts, host = _split(value, ("udp", "tcp", "tls"))
    if parts.path or parts.query or not parts.port:
        raise ValueError("it must look like tls://logs.corp.example:6514")
    return SyslogTarget(parts.scheme, host, parts.port)


def webhook_target(value: str) -> WebhookTarget:
    """An https address; plain http only on this machine. Raises ValueError, which says what is wrong."""
    parts, host = _split(value, ("https", "http"))
    is_here = _is_loopback(host)
    if parts.scheme != "https" and not is_here:
        raise ValueError("it must begin with https://, because the trail names people")
    if not is_here and _is_literal(host) and not is_public(host):
        raise ValueError("it names an address of a private network")
    return WebhookTarget(value, is_here)


def is_public(address: str) -> bool:
    """Whether an address belongs to the Internet, and not to this machine, its link or a private network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None) or found
    return found.is_global and mapped.is_global and not mapped.is_multicast and not found.is_multicast


def what_failed(problem: BaseException) -> str:
    """The reason at the bottom of a chain of exceptions, in the system's own words: "connection refused"."""
    found: BaseException | None = problem
    while found is not None:
        if isinstance(found, TimeoutError):
            return "no answer in time"
        if isinstance(found, ssl.SSLCertVerificationError):
            return "its certificate is not accepted"
        if isinstance(found, ssl.SSLError):
            return "no TLS connection"
        if isinstance(found, OSError) and found.errno:
            return (found.strerror or os.strerror(found.errno)).lower()
        found = found.__cause__ or found.__context__
    return "the connection broke"


def _split(value: str, schemes: tuple[str, ...]) -> tuple[SplitResult, str]:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("it holds a character that no address has")
    parts = urlsplit(value)
    host = parts.hostname or ""
    if parts.scheme not in schemes or not _HOST.fullmatch(host):
        raise ValueError(f"it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and name a host")
    if parts.username is not None or parts.fragment or parts.port == 0:
        raise ValueError("it must hold no name, password or fragment")
    return parts, host


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_literal(host) and ipaddress.ip_address(host).is_loopback)
