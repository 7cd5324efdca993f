"""The raw message (RFC 5322, MIME) of an invented record, in agreement with its metadata."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from random import Random

from dashboard.simulator.mail import notation
from dashboard.simulator.mail.blocks import Block, QrCode
from dashboard.simulator.mail.picture import qr_png
from dashboard.simulator.mail.record import Attachment, Header, Link, MailRecord
from dashboard.simulator.mail.trace import GATEWAY

MAILERS = ("Quillmail 11.2", "Outpost 16.0", "Featherpost 128.4", "Postcard for Web")
ADDRESSES = re.compile(r"^(?:To|Cc):[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.MULTILINE)
ENCODED_COMMA = re.compile(r"\s+=\?utf-8\?q\?=2C\?=(\s+)")


@dataclass(frozen=True, slots=True)
class File:
    name: str
    content_type: str
    data: bytes
    encrypted: bool
    detection: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """`bulk` adds the headers of mailing lists; `link` is the sender's site."""

    record: MailRecord
    body: tuple[Block, ...]
    files: tuple[File, ...]
    bulk: bool
    link: str


def describe(file: File) -> Attachment:
    return Attachment(
        filename=file.name,
        content_type=file.content_type,
        size=len(file.data),
        encrypted=file.encrypted,
        detection=file.detection,
        md5=hashlib.md5(file.data, usedforsecurity=False).hexdigest(),
        sha1=hashlib.sha1(file.data, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(file.data).hexdigest(),
    )


def links_of(body: tuple[Block, ...]) -> tuple[Link, ...]:
    return tuple(Link(href, text) for href, text in notation.links(body))


def compose(letter: Letter) -> tuple[tuple[Header, ...], str]:
    """Headers in reading form, and the raw text with CRLF line ends, pure ASCII."""
    record = letter.record
    message = EmailMessage(policy=policy.SMTP)
    for name, value in _transport_headers(record):
        message[name] = value
    _address_headers(message, record)
    if letter.bulk:
        message["List-Unsubscribe"] = f"<{letter.link}/unsubscribe>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["Precedence"] = "bulk"
    else:
        message["X-Mailer"] = MAILERS[record.seed % len(MAILERS)]
    message.set_content(notation.to_text(letter.body), cte="quoted-printable")
    message.add_alternative(notation.to_html(letter.body, record.language), subtype="html", cte="quoted-printable")
    for block in letter.body:
        if isinstance(block, QrCode):
            related = message.get_payload()[1]
            related.add_related(qr_png(block.data), "image", "png", cid="<qr>")
            break
    for file in letter.files:
        main, _, sub = file.content_type.partition("/")
        message.add_attachment(file.data, main, sub, filename=file.name)
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{record.seed & 0xFFFFFFFF:08x}_{number}")
    headers = tuple(Header(name, " ".join(str(value).split())) for name, value in message.items())
    head, blank, rest = message.as_bytes().decode("ascii").partition("\r\n\r\n")
    return headers, ADDRESSES.sub(_with_plain_commas, head) + blank + rest


def _with_plain_commas(header: re.Match[str]) -> str:
    """The email package encodes the comma after an address whose name is not ASCII, which hides all later addresses."""
    return ENCODED_COMMA.sub(",\\1", header[0])


def _transport_headers(record: MailRecord) -> list[tuple[str, str]]:
    rng = Random(record.seed)
    validation, domain = record.validation, (record.from_ or "").rpartition("@")[2]
    envelope_domain = (record.envelope_from or "").rpartition("@")[2]
    helo, hop = record.smtp_helo_server_ip, record.smtp_previous_hop_ip
    headers = [
        ("Return-Path", f"<{record.envelope_from or ''}>"),
        (
            "Received",
            f"from mail.{envelope_domain} ([{helo}]) by {GATEWAY} with ESMTPS id {record.postfix_id}; "
            f"{_date(record.scanned_at)}",
        ),
    ]
    if hop and hop != helo:
        headers.append(
            ("Received", f"from out.{domain} ([{hop}]) by mail.{envelope_domain} with ESMTPSA; {_date(record.sent_at)}")
        )
    headers.append((
        "Authentication-Results",
        f"{GATEWAY}; spf={validation.spf} smtp.mailfrom={envelope_domain}; dkim={validation.dkim} header.d={domain}; "
        f"dmarc={validation.dmarc} header.from={domain}",
    ))  # fmt: skip
    if validation.dkim in {"pass", "fail"}:
        signer = envelope_domain if validation.dkim == "pass" and validation.dmarc == "fail" else domain
        body_hash = "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789", k=43))
        headers.append(
            (
                "DKIM-Signature",
                f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={signer}; s=s1; h=from:to:subject:date; bh={body_hash}=; b=",
            )
        )
    if record.x_originating_ip:
        headers.append(("X-Originating-IP", f"[{record.x_originating_ip}]"))
    return headers


def _address_headers(message: EmailMessage, record: MailRecord) -> None:
    message["Message-ID"] = record.message_id
    message["Date"] = _date(record.sent_at)
    message["From"] = Address(record.from_name or "", addr_spec=record.from_ or "")
    message["To"] = [Address(name, addr_spec=address) for name, address in zip(record.to_name, record.to, strict=True)]
    if record.cc:
        message["Cc"] = [Address("", addr_spec=address) for address in record.cc]
    if record.replyto:
        message["Reply-To"] = Address("", addr_spec=record.replyto)
    message["Subject"] = record.subject or ""


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC))
