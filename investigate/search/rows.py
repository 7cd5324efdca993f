"""What one row of results shows: a message's metadata in the words of the list, hostile text made inert.

The hot path of the application: a row is built from plain strings, once; `rendering` writes it and remembers it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from dashboard.emailsec.enums import DeliveryStatus, Disposition, Operation
from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.times import parse_time
from dashboard.installation.values import setting
from dashboard.web.text import punycode, split_address, visible
from investigate.message.explain import domains_of, without_quotes
from investigate.message.links import registrable

MOST_SUBJECT = 200
MOST_NAME = 80
MOST_REASON = 120

_PLAIN_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9:@+._~-]+")
_VERDICT_WORDS = {
    Disposition.MALICIOUS: "Malicious",
    Disposition.MALICIOUS_BEC: "BEC",
    Disposition.SUSPICIOUS: "Suspicious",
    Disposition.SPOOF: "Spoof",
    Disposition.SPAM: "Spam",
    Disposition.BULK: "Bulk",
    Disposition.ENCRYPTED: "Encrypted",
    Disposition.EXTERNAL: "External",
    Disposition.UNKNOWN: "Unknown",
    Disposition.NONE: "Clean",
}


@dataclass(slots=True)
class Row:
    """What of a row follows from the message alone, every text ready to be escaped and written."""

    id: str
    href: str
    verdict: str
    verdict_word: str
    clock: str
    day: str  # 2026-11-20 in the zone the member reads; "" where no time is known
    domain: str
    local: str
    name: str
    mark: str
    subject: str
    why: str
    more_reasons: int
    to: str
    more_recipients: int
    where: str


def row_of(message: MessageRow, zone: dt.tzinfo) -> Row:
    day, clock = _when(message.scanned_at_time, zone)
    local, domain = split_address(message.from_)
    recipients, reasons = message.recipients, message.detection_reasons
    disposition = message.final_disposition
    return Row(
        id=message.id,
        href=_path(message.id),
        verdict="" if disposition is None else visible(disposition.value, limit=40),
        verdict_word="Unknown" if disposition is None else _verdict_word(disposition),
        clock=clock,
        day=day,
        domain=visible(domain, limit=MOST_NAME),
        local=visible(local, limit=MOST_NAME),
        name=visible(message.from_name, limit=MOST_NAME) if message.from_name else "",
        mark=mismatch(message, domain),
        subject=visible(message.subject, limit=MOST_SUBJECT).strip(),
        why=visible(_said(reasons[0], message), limit=MOST_REASON) if reasons else "",
        more_reasons=max(0, len(reasons) - 1),
        to=_recipient(recipients[0]) if recipients else "",
        more_recipients=max(0, len(recipients) - 1),
        where=where(message),
    )


def _said(reason: str, message: MessageRow) -> str:
    """A reason in the words of the list; in privacy mode without what it may quote of a body."""
    return without_quotes(reason, domains_of(message.from_, message.envelope_from)) if setting("PRIVACY") else reason


def _path(investigate_id: str) -> str:
    """The message's own address; colons stay readable, everything else is one encoded segment."""
    plain = _PLAIN_ID.fullmatch(investigate_id)
    return f"/investigate/{investigate_id if plain else quote(investigate_id, safe=':@+')}/"


def _verdict_word(disposition: Disposition) -> str:
    return _VERDICT_WORDS.get(disposition) or visible(disposition.value, limit=40)


def _recipient(address: str) -> str:
    return visible(split_address(address)[0], limit=MOST_NAME)


def mismatch(message: MessageRow, domain: str) -> str:
    """What about the sender does not fit together, the most telling first; "" where nothing is odd."""
    if not domain.isascii():
        return visible(punycode(domain) or "other letters", limit=MOST_NAME)
    if message.from_name and ("@" in message.from_name or "." in message.from_name):
        claimed = _claimed_domain(message.from_name)
        if claimed and _differs(claimed, domain):
            return "name differs"
    if message.replyto and _differs(_domain_of(message.replyto), domain):
        return "reply-to differs"
    if message.envelope_from and _differs(_domain_of(message.envelope_from), domain):
        return "envelope differs"
    return ""


def _domain_of(address: str) -> str:
    return split_address(address.rstrip("> "))[1]


def _claimed_domain(name: str) -> str:
    """The domain of an address, or a domain, that a display name shows."""
    for written in name.split():
        word = written.strip("<>()[]\"',;:")
        host = word.rpartition("@")[2]
        ending = host.rpartition(".")[2]
        if "." in host.strip(".") and ending.isalpha() and ("@" in word or (host.isascii() and len(ending) > 1)):
            return host
    return ""


def _differs(one: str, other: str) -> bool:
    """Whether two domains belong to different owners: `bounce.shop.example` and `shop.example` do not."""
    if not one or one == other:
        return False
    return _owner(one) != _owner(other)


@lru_cache(maxsize=4096)
def _owner(domain: str) -> str:
    return registrable(domain).casefold()


def where(message: MessageRow) -> str:
    """Where the copies are, in words: "quarantined", "delivered", "2 delivered, 1 moved"."""
    if message.is_quarantined:
        return "quarantined"
    statuses = message.delivery_status
    if not statuses:
        return ""
    if Operation.QUARANTINE_RELEASE in message.post_delivery_operations and set(statuses) == {DeliveryStatus.DELIVERED}:
        return "released"
    if len(set(statuses)) == 1:
        return _status_word(statuses[0])
    counted: dict[DeliveryStatus, int] = {}
    for status in statuses:
        counted[status] = counted.get(status, 0) + 1
    return ", ".join(f"{count} {_status_word(status)}" for status, count in counted.items())


def _status_word(status: DeliveryStatus) -> str:
    return visible(status.value.replace("_", " "), limit=40)


def _when(at: dt.datetime | None, zone: dt.tzinfo) -> tuple[str, str]:
    """(day, clock) in the zone the member reads."""
    if at is None:
        return "", ""
    text = at.astimezone(zone).isoformat()
    return text[:10], text[11:19]


def day_of(scanned_at: str, zone: dt.tzinfo) -> str:
    """The day of a time as MessageRow writes it."""
    return _when(parse_time(scanned_at), zone)[0]


@lru_cache(maxsize=64)
def say_day(day: str) -> str:
    """`2026-11-20` as "Friday 20 November 2026"."""
    if not day:
        return "No time known"
    date = dt.date.fromisoformat(day)
    return f"{date:%A} {date.day} {date:%B %Y}"


def newest_of(messages: Iterable[MessageRow]) -> str:
    """The newest time of these messages, as text that sorts; "" for none."""
    return max((message.scanned_at for message in messages), default="")
