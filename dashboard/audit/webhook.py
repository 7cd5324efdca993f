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

import time
from collections.abc import Sequence

from dashboard.audit.chain import line
from dashboard.audit.models import AuditEvent
from dashboard.audit.targets import WebhookTarget
from dashboard.outbound.posting import Refused, Resolver, addresses_of, post, signature

LARGEST_BATCH = 500_000  # bytes; one row alone may be larger


def send(target: WebhookTarget, secret: str, events: Sequence[AuditEvent], *, resolve: Resolver = addresses_of) -> int:
    """Send as many rows as fit one batch, and tell how many were taken. Raises Refused."""
    body, rows = _batch(events)
    now = str(int(time.time()))
    answer = post(
        target.url,
        body,
        {
            "Content-Type": "application/x-ndjson",
            "Mailwarden-Timestamp": now,
            "Mailwarden-Signature": signature(secret, now, body),
            "Mailwarden-Rows": f"{events[0].sequence}-{events[rows - 1].sequence}",
        },
        may_be_private=target.is_on_this_machine,
        resolve=resolve,
    )
    if not answer.is_success:
        raise Refused(answer.told)
    return rows


def _batch(events: Sequence[AuditEvent]) -> tuple[bytes, int]:
    body = b""
    for number, event in enumerate(events):
        octets = line(event).encode() + b"\n"
        if number and len(body) + len(octets) > LARGEST_BATCH:
            return body, number
        body += octets
    return body, len(events)
