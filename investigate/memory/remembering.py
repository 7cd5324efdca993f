"""Taking messages into the memory. The same message is one row however often it is told; the latest answer wins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dashboard.access.scope import domain_of, spaced
from dashboard.audit.chain import storable_text
from dashboard.emailsec.types import Message
from dashboard.web.text import split_address
from investigate.bulk.facts import is_id
from investigate.memory.places import told_place
from investigate.memory.shapes import LONGEST, shape_of
from investigate.models import SeenCopy, SeenMessage

AT_ONCE = 200  # rows a statement writes
_FACTS = (
    "postfix_id",
    "alert_id",
    "message_id",
    "subject",
    "sender",
    "sender_name",
    "sender_domain",
    "recipients",
    "domains",
    "disposition",
    "is_quarantined",
    "delivery_status",
    "reasons",
    "categories",
    "edf_hash",
    "structure_hash",
    "shape",
    "scanned_at",
    "seen_at",
)  # fmt: skip  `seen_at` is the last


def remember(messages: Iterable[Message], *, seen_at: dt.datetime | None = None) -> int:
    """Keep what these say, with all their copies; how many were new. What was seen later than `seen_at` stays.

    Messages that nobody could find again (without a usable id, or without the time they were scanned) are left out.
    """
    moment = seen_at or timezone.now()
    found = {message.id: message for message in messages if is_id(message.id) and message.scanned_at is not None}
    names = sorted(found)  # always in one order: two writers never hold what the other waits for
    new = 0
    for start in range(0, len(names), AT_ONCE):
        new += _write([unwritten(found[name], moment) for name in names[start : start + AT_ONCE]], moment)
    return new


def unwritten(message: Message, moment: dt.datetime) -> SeenMessage:
    """The row of a message, not saved."""
    sender = storable_text((message.from_ or message.envelope_from or "").strip().casefold(), limit=500)
    domain = storable_text(split_address(sender)[1], limit=255)
    subject = storable_text(message.subject or "")
    return SeenMessage(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        investigate_id=message.id,
        postfix_id=storable_text(message.postfix_id or "", limit=255),
        alert_id=storable_text(message.alert_id or "", limit=255),
        message_id=storable_text(message.message_id or ""),
        subject=subject,
        sender=sender,
        sender_name=storable_text(message.from_name or "", limit=500),
        sender_domain=domain,
        recipients=[storable_text(name) for name in message.mailboxes],
        domains=storable_text(spaced(message.mailboxes)),
        disposition=storable_text(str(message.final_disposition or ""), limit=40),
        is_quarantined=message.is_quarantined,
        delivery_status=[storable_text(str(status)) for status in message.delivery_status],
        reasons=[storable_text(reason) for reason in message.detection_reasons],
        categories=[storable_text(category) for category in message.threat_categories],
        edf_hash=storable_text(message.edf_hash or "", limit=255),
        structure_hash=storable_text(message.htmltext_structure_hash or "", limit=255),
        shape=storable_text(shape_of(domain, subject), limit=LONGEST),
        scanned_at=message.scanned_at or moment,
        first_seen_at=moment,
        seen_at=moment,
    )


def _write(rows: list[SeenMessage], moment: dt.datetime) -> int:
    ours = SeenMessage.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    with transaction.atomic():
        # Locked in the same order as they are written, so that two writers never hold what the other waits for.
        locked = ours.select_for_update().order_by("investigate_id")
        names = [row.investigate_id for row in rows]
        known = {seen.investigate_id: seen for seen in locked.filter(investigate_id__in=names)}
        current = [row for row in rows if _is_later(row, known.get(row.investigate_id))]
        news = [row for row in current if not _says_the_same(row, known.get(row.investigate_id))]
        same = [known[row.investigate_id].pk for row in current if _says_the_same(row, known.get(row.investigate_id))]
        ours.filter(pk__in=same).update(seen_at=moment)  # most of what lists show again: cheap
        SeenMessage.objects.bulk_create(
            news,
            update_conflicts=True,
            unique_fields=["account_id", "investigate_id"],
            update_fields=list(_FACTS),
        )
        stored = dict(
            ours.filter(investigate_id__in=[row.investigate_id for row in news]).values_list("investigate_id", "pk")
        )
        SeenCopy.objects.bulk_create(
            [copy for row in news for copy in _copies(row, stored[row.investigate_id])],
            update_conflicts=True,
            unique_fields=["message", "address"],
            update_fields=["disposition", "told", "scanned_at"],
            batch_size=AT_ONCE,
        )
    return len(rows) - len(known)


def _is_later(row: SeenMessage, known: SeenMessage | None) -> bool:
    return known is None or known.seen_at <= row.seen_at


def _says_the_same(row: SeenMessage, known: SeenMessage | None) -> bool:
    return known is not None and all(getattr(row, name) == getattr(known, name) for name in _FACTS[:-1])


def _copies(row: SeenMessage, pk: int) -> list[SeenCopy]:
    addresses = {storable_text(address.strip().casefold(), limit=500): address for address in row.recipients}
    states: dict[str, str] = {}  # of each copy, where the answer tells whose is whose
    if len(row.delivery_status) == len(row.recipients):
        states = dict(zip(row.recipients, row.delivery_status, strict=True))
    return [
        SeenCopy(
            message_id=pk,
            account_id=row.account_id,
            address=address,
            domain=storable_text(domain_of(given), limit=255),
            disposition=row.disposition,
            told=told_place([states[given]] if states else row.delivery_status, is_held=row.is_quarantined),
            scanned_at=row.scanned_at,
        )
        for address, given in sorted(addresses.items())
        if address
    ]
