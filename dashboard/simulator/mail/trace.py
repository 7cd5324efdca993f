"""Delivery log lines of one message, worded like a mail transfer agent's."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboard.simulator.mail.record import MailRecord

GATEWAY = "mx1.mailgate.example"
NOT_INLINE = frozenset({"BCC", "JOURNAL", "API", "RETRO_SCAN"})

_OUTBOUND = {
    "delivered": "status=sent (250 2.6.0 {message_id} Queued mail for delivery)",
    "moved": "status=sent (250 2.6.0 {message_id} Queued mail for delivery)",
    "move_failed": "status=sent (250 2.6.0 {message_id} Queued mail for delivery)",
    "bounced": "status=bounced (host {host} said: 550 5.1.1 Recipient address rejected: user unknown)",
    "rejected": "status=bounced (host {host} said: 550 5.7.1 Message refused by the recipient's policy)",
    "deferred": "status=deferred (host {host} said: 451 4.7.500 Server busy, please retry later)",
    "queued": "status=queued (waiting for a delivery slot)",
}


def trace_of(record: MailRecord, direction: str) -> list[tuple[float, str]]:
    """Time (epoch seconds) and text of each log line; `direction` is `inbound` or `outbound`."""
    rng = Random(f"{record.seed}-{direction}")
    if direction == "inbound":
        return _inbound(record, rng)
    return _outbound(record, rng)


def _inbound(record: MailRecord, rng: Random) -> list[tuple[float, str]]:
    queue, at = record.postfix_id, record.scanned_at - rng.uniform(1.5, 4.0)
    host = record.smtp_helo_server_ip or "unknown"
    copies = len(record.client_recipients)
    size = rng.randrange(6_000, 90_000)
    steps = [
        f"connect from {record.sender_info.pld or 'unknown'}[{host}]",
        f"TLS connection established from [{host}]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
        f"{queue}: client=[{host}]",
        f"{queue}: message-id={record.message_id or '<>'}",
        f"{queue}: from=<{record.envelope_from or ''}>, size={size}, nrcpt={copies} (queue active)",
        f"{queue}: spf={record.validation.spf} dkim={record.validation.dkim} dmarc={record.validation.dmarc}",
        f"{queue}: scanned, disposition={record.final_disposition}",
    ]
    if record.is_quarantined:
        steps.append(f"{queue}: held in quarantine for {copies} recipient{'s' if copies != 1 else ''}")
    elif record.delivery_mode in NOT_INLINE:
        steps.append(f"{queue}: copy received by {record.delivery_mode.lower()}; nothing to deliver")
    else:
        steps.append(f"{queue}: passed on as {record.postfix_id_outbound or queue}")
    steps.append(f"{queue}: removed")
    return _timed(steps, at, rng)


def _outbound(record: MailRecord, rng: Random) -> list[tuple[float, str]]:
    queue = record.postfix_id_outbound
    if queue is None or record.is_quarantined:
        return []
    steps = [f"{queue}: from=<{record.envelope_from or ''}>, nrcpt={len(record.client_recipients)} (queue active)"]
    for address, status in zip(record.client_recipients, record.delivery_status, strict=False):
        wording = _OUTBOUND.get(status)
        if wording is None:
            continue
        host = f"inbound.{address.rpartition('@')[2]}"
        outcome = wording.format(message_id=record.message_id or "<>", host=host)
        steps.append(f"{queue}: to=<{address}>, relay={host}[{GATEWAY}]:25, delay={rng.uniform(0.6, 4):.1f}, {outcome}")
    if not {"queued", "deferred"} & set(record.delivery_status):
        steps.append(f"{queue}: removed")
    return _timed(steps, record.scanned_at + rng.uniform(0.2, 1.5), rng)


def _timed(steps: list[str], at: float, rng: Random) -> list[tuple[float, str]]:
    lines = []
    for step in steps:
        lines.append((round(at, 3), step))
        at += rng.uniform(0.02, 0.6)
    return lines
