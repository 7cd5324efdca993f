"""The trail as syslog (RFC 5424): over UDP, or over TCP and TLS with octet counting (RFC 6587, RFC 5425).

One row is one message and one line, whatever stands in it. The message itself is the line of an export, so that what a
receiver keeps can be verified like one. Syslog knows no receipt: over TCP a row counts as sent once the receiver has
taken the connection's end without a reset, over UDP once nothing came back that says nobody is there.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import select
import socket
import ssl
from collections.abc import Sequence

from dashboard.audit.chain import line
from dashboard.audit.models import AuditEvent
from dashboard.audit.targets import SyslogTarget
from dashboard.web.text import visible

FACILITY = 13  # log audit
WARNING, INFORMATIONAL = 4, 6
SD_ID = "mailwarden@32473"  # the number that RFC 5612 keeps for examples: ours has no registration to lean on
CONNECT_SECONDS = 5.0
SEND_SECONDS = 10.0
SETTLE_SECONDS = 0.2  # for an answer that says that nobody listens
LARGEST_DATAGRAM = 60_000
_AS_USUAL = ("attempt", "done", "cancelled")


def send(target: SyslogTarget, events: Sequence[AuditEvent]) -> None:
    """Send rows in their order. Raises OSError where it is not known that all arrived."""
    if target.transport == "udp":
        _send_datagrams(target, events)
    else:
        _send_stream(target, events)


def message(event: AuditEvent, *, largest: int | None = None) -> bytes:
    """One row as a syslog message; where it is larger than `largest`, without targets and detail, and says so."""
    severity = INFORMATIONAL if event.phase in _AS_USUAL else WARNING
    at = event.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    header = (
        f"<{FACILITY * 8 + severity}>1 {at} {_name(socket.gethostname(), 255)} mailwarden - {_name(event.action, 32)}"
    )
    facts = {
        "sequence": event.sequence,
        "actor": event.actor_name,
        "address": event.address,
        "action": event.action,
        "phase": event.phase,
        "hash": event.hash,
    }
    data = " ".join(f'{name}="{_parameter(value)}"' for name, value in facts.items())
    whole = f"{header} [{SD_ID} {data}] {line(event)}".encode()
    if largest is None or len(whole) <= largest:
        return whole
    note = json.dumps({"sequence": event.sequence, "hash": event.hash, "left_out": "larger than a datagram"})
    return f"{header} [{SD_ID} {data}] {note}".encode()


def _name(value: str, longest: int) -> str:
    """A field of the header: plain ASCII without spaces, `-` where nothing is left."""
    return re.sub(r"[^A-Za-z0-9:._-]", "", value)[:longest] or "-"


def _parameter(value: object) -> str:
    """A value inside the structured data: escaped as the RFC says, control characters shown as marks."""
    text = visible(value, limit=1000).replace("\n", "␊").replace("\t", "␉")
    return re.sub(r'(["\\\]])', r"\\\1", text)


def _send_datagrams(target: SyslogTarget, events: Sequence[AuditEvent]) -> None:
    kind, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0][0::4]
    with socket.socket(kind, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SEND_SECONDS)
        sock.connect(address)
        for event in events:
            sock.send(message(event, largest=LARGEST_DATAGRAM))
            _raise_pending(sock)
        waiting = select.poll()
        waiting.register(sock, select.POLLERR)
        waiting.poll(SETTLE_SECONDS * 1000)
        _raise_pending(sock)


def _raise_pending(sock: socket.socket) -> None:
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, "")


def _send_stream(target: SyslogTarget, events: Sequence[AuditEvent]) -> None:
    with socket.create_connection((target.host, target.port), timeout=CONNECT_SECONDS) as plain:
        plain.settimeout(SEND_SECONDS)
        sock = plain
        if target.transport == "tls":
            sock = ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
        with sock:
            for event in events:
                octets = message(event)
                sock.sendall(b"%d %s" % (len(octets), octets))
            _wait_for_end(sock)


def _wait_for_end(sock: socket.socket) -> None:
    """Say that nothing more comes, and let the receiver finish: what it refused to read comes back as a reset."""
    if isinstance(sock, ssl.SSLSocket):
        try:
            sock.unwrap()
        except (TimeoutError, ssl.SSLError):
            return  # many receivers end a connection without the farewell of TLS
    else:
        sock.shutdown(socket.SHUT_WR)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return  # it keeps the connection open, and has not refused anything
