"""One message of the simulated mailboxes.

A `MailRecord` holds what a search needs as plain attributes and derives what only an opened message needs (body,
headers, links, attachments, raw text, picture) from its `source` on demand, so that 200,000 of them fit in memory.

Nothing here speaks the API's wire format: times are epoch seconds, several values are tuples, absent is `None`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from dashboard.simulator.mail.blocks import Block
from dashboard.simulator.mail.picture import Page, render
from dashboard.simulator.mail.trace import trace_of


class Validation(NamedTuple):
    """Sender authentication; each result is `pass`, `neutral`, `fail`, `error` or `none`."""

    spf: str | None
    dkim: str | None
    dmarc: str | None
    comment: str | None


class SenderInfo(NamedTuple):
    """The network the message came from; `geo` looks like `DE/Hamburg/-`, `pld` is the sender's registrable domain."""

    ip: str | None
    geo: str | None
    as_name: str | None
    as_number: int | None
    pld: str | None


class Properties(NamedTuple):
    """The allow or block entry that matched, if any."""

    allowlisted_pattern: str | None = None
    allowlisted_pattern_type: str | None = None
    blocklisted_message: bool | None = None
    blocklisted_pattern: str | None = None


class Link(NamedTuple):
    href: str
    text: str | None


class Header(NamedTuple):
    name: str
    value: str


class Attachment(NamedTuple):
    """`size` and the hashes are those of the decoded bytes inside the raw message."""

    filename: str | None
    content_type: str | None
    size: int
    encrypted: bool
    detection: str | None
    md5: str
    sha1: str
    sha256: str


class Finding(NamedTuple):
    """One thing the detection engine noticed; fields as in the API's Finding."""

    name: str
    detail: str | None = None
    field: str | None = None
    portion: str | None = None
    reason: str | None = None
    value: str | None = None
    attachment: str | None = None
    detection: str | None = None
    score: float | None = None


class ThreatCategory(NamedTuple):
    id: int
    name: str
    description: str


class TraceLine(NamedTuple):
    """`logged_at` in epoch seconds; `lineno` counts from 1 within its direction."""

    lineno: int
    logged_at: float
    message: str


@dataclass(frozen=True, slots=True)
class MailContent:
    """Everything about a message that only its opening needs."""

    headers: tuple[Header, ...]
    links: tuple[Link, ...]
    attachments: tuple[Attachment, ...]
    findings: tuple[Finding, ...]
    threat_categories: tuple[ThreatCategory, ...]
    blocks: tuple[Block, ...]
    body_text: str
    eml: str


class MailSource(Protocol):
    """Where a record's content comes from: a generated campaign, or a file in a folder."""

    def content(self, record: MailRecord) -> MailContent: ...


NO_PROPERTIES = Properties()


@dataclass(slots=True, eq=False)
class MailRecord:
    """One message as it arrived.

    Compared and hashed by identity. The attributes describe the state at arrival; who simulates later moves and
    releases keeps them elsewhere or assigns `delivery_status` and `is_quarantined`: content and picture do not
    depend on those two.
    """

    id: str
    postfix_id: str
    postfix_id_outbound: str | None
    alert_id: str | None
    message_id: str | None
    subject: str | None
    from_: str | None
    from_name: str | None
    to: tuple[str, ...]
    to_name: tuple[str, ...]
    cc: tuple[str, ...]
    replyto: str | None
    envelope_from: str | None
    envelope_to: tuple[str, ...]
    client_recipients: tuple[str, ...]
    final_disposition: str
    detection_reasons: tuple[str, ...]
    threat_categories: tuple[str, ...]
    validation: Validation
    delivery_mode: str
    delivery_status: tuple[str, ...]  # one per entry of client_recipients, in the same order
    is_quarantined: bool
    is_phish_submission: bool
    edf_hash: str | None
    htmltext_structure_hash: str | None
    smtp_helo_server_ip: str | None
    smtp_previous_hop_ip: str | None
    x_originating_ip: str | None
    properties: Properties
    sender_info: SenderInfo
    scanned_at: float
    sent_at: float
    kind: str  # campaign family: `credential-phish`, `ceo-gift-card`, `newsletter`, `meeting`, ...
    language: str  # ISO 639-1
    source: MailSource
    seed: int  # what `source` derives this message's own details from

    @property
    def is_detection(self) -> bool:
        """True for mail the API shows with `detections_only`: anything that is not clean."""
        return self.final_disposition != "NONE"

    def headers(self) -> tuple[Header, ...]:
        """All header fields of the raw message in their order, decoded and unfolded."""
        return _content(self).headers

    def links(self) -> tuple[Link, ...]:
        """Links of the body in reading order, each target and text pair once."""
        return _content(self).links

    def attachments(self) -> tuple[Attachment, ...]:
        return _content(self).attachments

    def findings(self) -> tuple[Finding, ...]:
        """Most decisive first; empty for clean mail."""
        return _content(self).findings

    def threat_category_objects(self) -> tuple[ThreatCategory, ...]:
        """`threat_categories` with their ids and descriptions."""
        return _content(self).threat_categories

    def body_text(self) -> str:
        return _content(self).body_text

    def eml(self) -> str:
        """The raw message as text; it encodes to UTF-8 without error."""
        return _content(self).eml

    def trace_lines(self, direction: str) -> tuple[TraceLine, ...]:
        """Delivery log of one side, `inbound` or `outbound`; outbound is empty for mail that was never passed on."""
        return tuple(
            TraceLine(number, at, text) for number, (at, text) in enumerate(trace_of(self, direction), start=1)
        )

    def png(self, width: int = 880) -> bytes:
        """A PNG picture of the message as a mail reader would show it. Costs some ten milliseconds; keep the result."""
        content = _content(self)
        page = Page(
            subject=self.subject or "",
            from_name=self.from_name or "",
            from_address=self.from_ or "",
            to=self.to_name or self.to or self.envelope_to,
            cc=self.cc,
            sent_at=self.sent_at,
            blocks=content.blocks,
            attachments=tuple((item.filename or "(no name)", item.size) for item in content.attachments),
        )
        return render(page, width=width)


@lru_cache(maxsize=64)
def _content(record: MailRecord) -> MailContent:
    return record.source.content(record)
