"""Indicators: what in mail can be looked for elsewhere, where it stood, and why one may not want to share it."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.types import Attachment, Detections, Message
from dashboard.web.text import defang, punycode, split_address
from investigate.message.links import host_of, registrable
from investigate.models import SeenMessage

MOST = 1_000  # of one page, and so of one file
LONGEST = 4_000  # characters of a value


class Kind(StrEnum):
    """In the order in which they are shown."""

    SENDER = "sender"
    DOMAIN = "domain"
    URL = "url"
    SHA256 = "sha256"
    MD5 = "md5"
    IP = "ip"
    FINGERPRINT = "fingerprint"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def is_of_body(self) -> bool:
        """Whether it comes out of what the sender wrote, which takes the right to read that."""
        return self in (Kind.URL, Kind.SHA256, Kind.MD5)


_LABELS = {
    Kind.SENDER: "Senders",
    Kind.DOMAIN: "Domains",
    Kind.URL: "Links",
    Kind.SHA256: "SHA-256 of attachments",
    Kind.MD5: "MD5 of attachments",
    Kind.IP: "IP addresses",
    Kind.FINGERPRINT: "Cloudflare's own fingerprints",
}

OWN = "yours: one of your own domains"
RECIPIENT = "yours: the address of a recipient"
NAMES_OURS = "yours: holds the name of one of your own domains, perhaps a recipient's address"
PROVIDER = "a mail or hosting provider that many share"
PROVIDER_IP = "probably the provider's server, which many share"
PRIVATE = "not a public address"
CLOUDFLARE = "Cloudflare's own measure of likeness: no other product can look for it"

# Providers whose domains say nothing about who wrote: an address there is an indicator, the domain is none.
PROVIDERS = frozenset(
    {
        "126.com", "163.com", "aol.com", "bing.com", "bit.ly", "cloudflare.com", "dropbox.com", "fastmail.com",
        "github.com", "github.io", "gmail.com", "gmx.at", "gmx.ch", "gmx.de", "gmx.net", "google.com",
        "googlemail.com", "googleusercontent.com", "hotmail.com", "hotmail.co.uk", "hotmail.fr", "icloud.com",
        "laposte.net", "libero.it", "linkedin.com", "live.com", "mac.com", "mail.com", "mail.ru", "mailgun.org",
        "me.com", "microsoft.com", "microsoftonline.com", "msn.com", "naver.com", "office.com", "office365.com",
        "onmicrosoft.com", "orange.fr", "outlook.com", "outlook.de", "outlook.fr", "proton.me", "protonmail.com",
        "qq.com", "r2.dev", "rambler.ru", "sendgrid.net", "sharepoint.com", "t-online.de", "t.co", "tinyurl.com",
        "tutanota.com", "web.de", "windows.net", "workers.dev", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com",
        "yahoo.de", "yahoo.fr", "yandex.ru", "youtube.com", "zoho.com",
    }
)  # fmt: skip

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{4,253}}$){_LABEL}(?:\.{_LABEL})+")
_HEX = {Kind.SHA256: re.compile(r"[0-9a-f]{64}"), Kind.MD5: re.compile(r"[0-9a-f]{32}")}
_DROPPED = re.compile(r"[\t\r\n\x00]")  # as browsers do
_BREAKS = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True)
class Indicator:
    """One value as it is looked for. `roles` says where it stood; `why_not` why it is not ticked, "" where it is."""

    kind: Kind
    value: str
    roles: tuple[str, ...] = ()
    why_not: str = ""
    seen_at: dt.datetime | None = None  # when the earliest of the messages was scanned

    @property
    def key(self) -> str:
        """What its tick is called."""
        return hashlib.sha256(f"{self.kind}|{self.value}".encode("utf-8", "surrogatepass")).hexdigest()[:20]

    @property
    def defanged(self) -> str:
        """As it is written where no program may make it live; hashes have no such form."""
        return defang(self.value) if self.kind in (Kind.SENDER, Kind.DOMAIN, Kind.URL, Kind.IP) else self.value

    @property
    def said(self) -> str:
        return ", ".join(self.roles)


def of_message(
    message: Message, detections: Detections | None, *, own: Iterable[str], shows_body: bool
) -> list[Indicator]:
    """All of one message; links and hashes only for who may read what the sender wrote."""
    at = message.scanned_at
    found = _of_senders(message.from_, message.envelope_from, message.replyto, at)
    shared = split_address(message.envelope_from or message.from_)[1].casefold() in PROVIDERS
    for role, address in (
        ("HELO", message.smtp_helo_server_ip),
        ("previous hop", message.smtp_previous_hop_ip),
        ("X-Originating-IP", message.x_originating_ip),
        ("sender's server", detections.sender_info.ip if detections else None),
    ):
        found.append(_ip(address, role, at, why_not=PROVIDER_IP if shared and role != "X-Originating-IP" else ""))
    if detections is not None and shows_body:
        for number, link in enumerate(detections.links, start=1):
            found += _of_link(link.href, f"link {number}", at)
        for file in detections.attachments:
            found += _of_file(file, at)
    found.append(_fingerprint(message.edf_hash, at))
    mailboxes, ours = message.mailboxes, {_ascii(split_address(name)[1]) for name in message.mailboxes} | set(own)
    # Of the header, which senders write as they like, only who is one of us: it must make no place of theirs ours.
    named = (name for name in message.to if split_address(name)[1] and _is_below(split_address(name)[1], ours))
    recipients = {address.strip().casefold() for address in (*mailboxes, *named)}
    return settled(found, own=own, recipients=recipients)


def of_rows(rows: Iterable[MessageRow], *, own: Iterable[str]) -> list[Indicator]:
    """Of a result list: what its rows show."""
    found: list[Indicator | None] = []
    recipients: set[str] = set()
    for row in rows:
        at = row.scanned_at_time
        found += _of_senders(row.from_, row.envelope_from, row.replyto, at)
        found.append(_fingerprint(row.edf_hash, at))
        recipients.update(address.strip().casefold() for address in row.mailboxes)
    return settled(found, own=own, recipients=recipients)


def of_seen(rows: Iterable[SeenMessage], *, own: Iterable[str]) -> list[Indicator]:
    """Of what the memory keeps of messages."""
    found: list[Indicator | None] = []
    for row in rows:
        found += _of_senders(row.sender, None, None, row.scanned_at)
        found.append(_fingerprint(row.edf_hash, row.scanned_at))
    return settled(found, own=own, recipients=())


def settled(
    found: Iterable[Indicator | None], *, own: Iterable[str], recipients: Iterable[str] = ()
) -> list[Indicator]:
    """Each value once, with all its roles, by kind; what is ours or everybody's is not ticked."""
    mailboxes = set(recipients)
    ours = {_ascii(domain) for domain in (*own, *(split_address(address)[1] for address in mailboxes)) if domain}
    once: dict[tuple[Kind, str], Indicator] = {}
    for one in found:
        if one is None:
            continue
        known = once.get((one.kind, one.value))
        if known is not None:
            roles = tuple(dict.fromkeys((*known.roles, *one.roles)))
            moments = [at for at in (known.seen_at, one.seen_at) if at]
            one = replace(known, roles=roles, seen_at=min(moments, default=None))
        once[one.kind, one.value] = one
    order = list(Kind)
    encoded = tuple(b64encode(address.encode()).rstrip(b"=").decode()[:-1] for address in mailboxes)
    judged = (replace(one, why_not=_why_not(one, ours, mailboxes, encoded)) for one in once.values())
    return sorted(judged, key=lambda one: order.index(one.kind))


def _why_not(one: Indicator, own: set[str], recipients: set[str], encoded: Sequence[str]) -> str:
    """`encoded` are the recipients in base64, as links that are made for one of them hold them."""
    match one.kind:
        case Kind.SENDER:
            local, domain = split_address(one.value)
            if one.value.casefold() in recipients:
                return RECIPIENT
            return OWN if _is_below(domain, own) else NAMES_OURS if _names(local, own) else ""
        case Kind.DOMAIN:
            if _is_below(one.value, own):
                return OWN
            return PROVIDER if one.value in PROVIDERS or registrable(one.value) in PROVIDERS else ""
        case Kind.URL:
            host = host_of(one.value)
            around = one.value.replace(host, "", 1)  # a host that imitates ours is what should be shared
            if _is_below(host, own):
                return OWN
            return NAMES_OURS if _names(around, own) or any(text in around for text in encoded) else ""
        case Kind.SHA256 | Kind.MD5:
            return NAMES_OURS if _names(one.said, own) else ""
        case Kind.FINGERPRINT:
            return CLOUDFLARE
    return one.why_not


def _names(text: str, own: set[str]) -> bool:
    """Whether it tells one of ours: a link made for one recipient, the address that takes back a bounce."""
    plain = unquote(text).casefold()
    return any(domain in plain for domain in own)


def _is_below(host: str, domains: set[str]) -> bool:
    labels = _ascii(host).split(".")
    return any(".".join(labels[at:]) in domains for at in range(len(labels)))


def _of_senders(
    from_: str | None, envelope: str | None, reply_to: str | None, at: dt.datetime | None
) -> list[Indicator | None]:
    found: list[Indicator | None] = []
    for role, address in (("From", from_), ("envelope", envelope), ("Reply-To", reply_to)):
        local, domain = split_address((address or "").strip().strip("<>"))
        host = _ascii(domain)
        if not (local and _HOST.fullmatch(host)) or _BREAKS.sub("", local) != local or len(local) > 256:
            continue  # what no program would take for an address is none
        found += [Indicator(Kind.SENDER, f"{local}@{host}", (role,), seen_at=at), _domain(host, role, at)]
    return found


def _of_link(href: str, role: str, at: dt.datetime | None) -> list[Indicator | None]:
    url = written_url(href)
    if not url:
        return []
    host = _ascii(host_of(url))
    place = _domain(host, role, at) if _HOST.fullmatch(host) else _ip(host.strip("[]"), role, at)
    return [Indicator(Kind.URL, url, (role,), seen_at=at), place]


def written_url(href: str) -> str:
    """A link as it is looked for: on one line, in ASCII, as browsers send it; "" where it leads nowhere in the web."""
    text = _DROPPED.sub("", href).strip()
    scheme, colon, _ = text.partition("://")
    if not colon or scheme.lower() not in ("http", "https", "ftp") or len(text) > LONGEST or not host_of(text):
        return ""
    try:
        netloc = urlsplit(text).netloc
    except ValueError:
        return ""
    host = host_of(text)
    if not host.isascii():
        start, _, rest = text.partition(netloc)
        text = f"{start}{re.sub(re.escape(host), lambda _: punycode(host) or host, netloc, flags=re.IGNORECASE)}{rest}"
    return _BREAKS.sub(lambda found: quote(found[0].encode("utf-8", "replace")), text)


def _of_file(file: Attachment, at: dt.datetime | None) -> list[Indicator | None]:
    name = (file.filename or "without a name")[:200]
    return [_hash(Kind.SHA256, file.sha256, name, at), _hash(Kind.MD5, file.md5, name, at)]


def _hash(kind: Kind, value: str | None, name: str, at: dt.datetime | None) -> Indicator | None:
    text = (value or "").strip().casefold()
    return Indicator(kind, text, (name,), seen_at=at) if _HEX[kind].fullmatch(text) else None


def _ip(value: str | None, role: str, at: dt.datetime | None, *, why_not: str = "") -> Indicator | None:
    try:
        address = ipaddress.ip_address((value or "").strip().partition("%")[0])  # a zone is anything at all
    except ValueError:
        return None
    if not address.is_global:
        why_not = PRIVATE
    return Indicator(Kind.IP, str(address), (role,), why_not, at)


def _domain(host: str, role: str, at: dt.datetime | None) -> Indicator | None:
    return Indicator(Kind.DOMAIN, host, (role,), seen_at=at) if _HOST.fullmatch(host) else None


def _fingerprint(value: str | None, at: dt.datetime | None) -> Indicator | None:
    text = _BREAKS.sub("", value or "")[:255]
    return Indicator(Kind.FINGERPRINT, text, ("the message",), seen_at=at) if text else None


def _ascii(domain: str) -> str:
    lowered = domain.strip().rstrip(".").casefold()
    return punycode(lowered) or lowered


def taken(found: Sequence[Indicator], keys: Iterable[str]) -> list[Indicator]:
    """Those that somebody ticked."""
    wanted = set(keys)
    return [one for one in found if one.key in wanted][:MOST]
