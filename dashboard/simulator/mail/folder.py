"""Real .eml files of a folder as records, with a guessed verdict. Survives any file; executes and fetches nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from dashboard.simulator.mail import blocks as b
from dashboard.simulator.mail import verdict
from dashboard.simulator.mail.parse import MAX_BYTES, Parsed, addresses, clean, decode_bytes, parse, timestamp
from dashboard.simulator.mail.reasons import THREAT_CATEGORIES
from dashboard.simulator.mail.record import (
    NO_PROPERTIES,
    Attachment,
    Finding,
    Header,
    Link,
    MailContent,
    MailRecord,
    SenderInfo,
)

SPAN = 30 * 86_400.0
FALLBACK_RECIPIENT = "mailbox@tarnfell.example"
HELD = frozenset({"MALICIOUS", "MALICIOUS-BEC", "SPOOF", "SUSPICIOUS"})
THREATS = {
    "MALICIOUS": ("Malware Delivery",),
    "MALICIOUS-BEC": ("Business Email Compromise",),
    "SPOOF": ("Sender Spoofing",),
    "SUSPICIOUS": ("Suspicious Link",),
    "SPAM": ("Unsolicited Commercial",),
    "BULK": ("Graymail",),
}


def read_folder(path: str | Path, now: float) -> list[MailRecord]:
    """Every .eml file below `path` as a record, oldest first.

    They are spread over the 30 days before `now` (epoch seconds), in the order of their own dates.
    A file that cannot be opened is left out.
    """
    read: list[tuple[float, str, Path, Parsed, bytes]] = []
    for file in sorted(Path(path).rglob("*.eml")):
        try:
            data = _load(file)
        except OSError:
            continue
        parsed = parse(data)
        read.append((timestamp(parsed.header("Date")) or float("inf"), file.name, file, parsed, data))
    read.sort(key=lambda entry: entry[:2])
    step = SPAN / max(1, len(read))
    return [
        _record(file, parsed, data, now - SPAN + (index + 0.5) * step)
        for index, (_, _, file, parsed, data) in enumerate(read)
    ]


def _load(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_BYTES)


@dataclass(frozen=True, slots=True)
class FolderFile:
    """Content is read again from the file when somebody opens the message."""

    path: Path

    def content(self, record: MailRecord) -> MailContent:
        try:
            data = _load(self.path)
        except OSError:
            data = b""
        parsed = parse(data)
        _, hits = verdict.judge(parsed, record.validation)
        return MailContent(
            headers=tuple(Header(name, value) for name, value in parsed.headers),
            links=tuple(Link(href, text) for href, text in parsed.links),
            attachments=tuple(_attachment(part) for part in parsed.parts),
            findings=tuple(
                Finding(
                    name=hit.name, detail=hit.text, field=hit.field, portion=hit.field, reason=hit.text,
                    attachment=hit.attachment, detection=hit.disposition, score=hit.score,
                )
                for hit in hits
            ),
            threat_categories=tuple(THREAT_CATEGORIES[name] for name in record.threat_categories),
            blocks=_blocks(parsed),
            body_text=parsed.text or "\n\n".join(text for text, _ in parsed.paragraphs),
            eml=decode_bytes(data),
        )  # fmt: skip


def _attachment(part: verdict.Part) -> Attachment:
    return Attachment(
        filename=part.filename,
        content_type=part.content_type,
        size=len(part.data),
        encrypted=verdict.is_encrypted(part),
        detection=verdict.part_detection(part),
        md5=hashlib.md5(part.data, usedforsecurity=False).hexdigest(),
        sha1=hashlib.sha1(part.data, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(part.data).hexdigest(),
    )


def _blocks(parsed: Parsed) -> tuple[b.Block, ...]:
    found: list[b.Block] = []
    for text, href in parsed.paragraphs[:300]:
        if href:
            if text.strip():
                found.append(b.TextLink(text[:400], href))
        elif text.lstrip().startswith(">"):
            found.append(b.Quote("\n".join(line.lstrip("> ") for line in text[:4_000].split("\n"))))
        elif text.strip():
            found.append(b.Paragraph(text[:6_000]))
    return tuple(found)


def _record(file: Path, parsed: Parsed, data: bytes, at: float) -> MailRecord:
    digest = hashlib.sha256(data + file.name.encode("utf-8", "replace")).hexdigest()
    seed = int(digest[:15], 16)
    at += seed % 600  # not all to the same beat
    validation = verdict.validation_of(parsed)
    disposition, hits = verdict.judge(parsed, validation)
    senders = addresses(parsed.all_headers("From"))
    name, sender = senders[0] if senders else (None, None)
    to, cc = addresses(parsed.all_headers("To")), addresses(parsed.all_headers("Cc"))
    delivered_to = addresses(parsed.all_headers("Delivered-To") or parsed.all_headers("X-Original-To"))
    recipients = tuple(dict.fromkeys(address for _, address in (delivered_to[:1] or [*to, *cc]))) or (
        FALLBACK_RECIPIENT,
    )
    is_held = disposition in HELD
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    postfix_id = f"4{digest[:14]}"
    envelope = addresses(parsed.all_headers("Return-Path"))
    replies = addresses(parsed.all_headers("Reply-To"))
    hops = _hops(parsed)
    originating = _ips(parsed.header("X-Originating-IP") or "")
    status = "quarantined" if is_held else "moved" if disposition == "SPAM" else "delivered"
    domain = (sender or "").rpartition("@")[2]
    return MailRecord(
        id=f"{postfix_id}-{stamp}-{digest[20:28]}",
        postfix_id=postfix_id,
        postfix_id_outbound=None if is_held else f"4{digest[30:44]}",
        alert_id=f"{postfix_id}-{stamp}" if disposition != "NONE" else None,
        message_id=parsed.header("Message-ID"),
        subject=parsed.header("Subject"),
        from_=sender,
        from_name=name or None,
        to=tuple(address for _, address in to),
        to_name=tuple(shown or address for shown, address in to),
        cc=tuple(address for _, address in cc),
        replyto=replies[0][1] if replies else None,
        envelope_from=envelope[0][1] if envelope else sender,
        envelope_to=recipients,
        client_recipients=recipients,
        final_disposition=disposition,
        detection_reasons=tuple(dict.fromkeys(hit.text for hit in hits)),
        threat_categories=THREATS.get(disposition, ()),
        validation=validation,
        delivery_mode="DIRECT",
        delivery_status=(status,) * len(recipients),
        is_quarantined=is_held,
        is_phish_submission=False,
        edf_hash=_fingerprint(re.sub(r"[\d\W]+", " ", parsed.text or parsed.html)[:20_000].lower()),
        htmltext_structure_hash=_fingerprint(" ".join(re.findall(r"<([a-z][a-z0-9]{0,20})", parsed.html.lower()))),
        smtp_helo_server_ip=hops[0] if hops else None,
        smtp_previous_hop_ip=hops[1] if len(hops) > 1 else None,
        x_originating_ip=originating[0] if originating else None,
        properties=NO_PROPERTIES,
        sender_info=SenderInfo(hops[0] if hops else None, None, None, None, verdict.site(domain) or None),
        scanned_at=round(at, 3),
        sent_at=float(int(at) - 12),
        kind="folder",
        language=_language(parsed.text or " ".join(text for text, _ in parsed.paragraphs)),
        source=FolderFile(file),
        seed=seed,
    )


def _fingerprint(text: str) -> str | None:
    return hashlib.sha256(clean(text).encode()).hexdigest()[:32] if text.strip() else None


def _ips(text: str) -> list[str]:
    found = []
    for candidate in re.findall(r"[\[(]((?:\d{1,3}\.){3}\d{1,3}|(?:IPv6:)?[0-9a-fA-F:]{4,45})[\])]", text[:5_000]):
        try:
            found.append(str(ip_address(candidate.removeprefix("IPv6:"))))
        except ValueError:
            continue
    return found


def _hops(parsed: Parsed) -> list[str]:
    """Addresses named in the Received headers, nearest first."""
    return [ip for value in parsed.all_headers("Received")[:20] for ip in _ips(value)[:1]]


def _language(text: str) -> str:
    sample = text[:4_000]
    if re.search("[\u3040-\u30ff]", sample):
        return "ja"
    if len(re.findall("[\u0400-\u04ff]", sample)) > len(sample) / 5 > 0:
        return "uk"
    words = set(re.findall(r"[^\W\d_]+", sample.lower()))
    marks = {
        "de": {"und", "nicht", "ist", "sie", "mit"},
        "fr": {"vous", "est", "pour", "les", "une"},
        "es": {"para", "los", "una", "por", "con"},
    }
    best = max(marks, key=lambda language: len(words & marks[language]))
    return best if len(words & marks[best]) >= 3 else "en"
