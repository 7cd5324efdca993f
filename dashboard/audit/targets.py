"""Where the trail is sent to, as the environment names it; read when Mailwarden starts."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.outbound.addresses import is_literal, is_loopback, is_public, split

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
    parts, host = split(value, ("udp", "tcp", "tls"))
    if parts.path or parts.query or not parts.port:
        raise ValueError("it must look like tls://logs.corp.example:6514")
    return SyslogTarget(parts.scheme, host, parts.port)


def webhook_target(value: str) -> WebhookTarget:
    """An https address; plain http only on this machine. Raises ValueError, which says what is wrong."""
    parts, host = split(value, ("https", "http"))
    is_here = is_loopback(host)
    if parts.scheme != "https" and not is_here:
        raise ValueError("it must begin with https://, because the trail names people")
    if not is_here and is_literal(host) and not is_public(host):
        raise ValueError("it names an address of a private network")
    return WebhookTarget(value, is_here)
