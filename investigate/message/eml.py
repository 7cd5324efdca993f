"""Headers and parts of a raw message, read as hostile input.

The standard library's feed parser recurses into nested parts and its header classes raise on malformed fields, so the
structure is read here by a loop with hard bounds; the library only decodes single words and parameters. Nothing is
ever raised: what cannot be read is shown as it came, and `Mail.cut` says what was left out.
"""

from __future__ import annotations

import base64
import binascii
import email.errors
import hashlib
import quopri
import re
import time
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message as Fields

MAX_BYTES = 50_000_000
MAX_HEADER_BYTES = 1_000_000
MAX_HEADERS = 2_000
MAX_PARTS = 500
MAX_DEPTH = 20
MAX_SECONDS = 5.0
MAX_VALUE = 16_000  # characters of one decoded header value
MAX_PARAMETERS = 4_000  # characters of a Content-Type or Content-Disposition that are looked at

# Besides what they document, the library's decoders are known to raise these on input nobody expected.
_DECODER_ERRORS = (
    ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError, email.errors.MessageError,
)  # fmt: skip
_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]{1,256})[ \t]*:(.*)", re.DOTALL)
_TYPE = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    value: str  # unfolded and with encoded words decoded


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the MIME tree; sizes and hashes are of the decoded bytes."""

    content_type: str
    filename: str
    disposition: str
    size: int
    is_encrypted: bool
    md5: str
    sha1: str
    sha256: str

    @property
    def is_attachment(self) -> bool:
        return bool(self.filename) or self.disposition == "attachment" or self.content_type == "message/rfc822"


@dataclass(slots=True)
class Mail:
    headers: list[Header] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)  # sentences: what was left out, and why

    @property
    def attachments(self) -> list[Part]:
        return [part for part in self.parts if part.is_attachment]


@dataclass(slots=True)
class _Section:
    """A piece of the message that still has to be looked at."""

    data: memoryview
    depth: int


def read(raw: bytes, *, now: float | None = None) -> Mail:
    """Headers and leaf parts of a message, within the bounds above."""
    mail = Mail()
    deadline = (time.monotonic() if now is None else now) + MAX_SECONDS
    if len(raw) > MAX_BYTES:
        raw = raw[:MAX_BYTES]
        mail.cut.append(f"Only the first {MAX_BYTES // 1_000_000} MB were read.")
    waiting = [_Section(memoryview(raw), 0)]
    is_first = True
    while waiting:
        if len(mail.parts) >= MAX_PARTS:
            mail.cut.append(f"Only the first {MAX_PARTS} parts are listed.")
            break
        if time.monotonic() > deadline:
            mail.cut.append("The structure of the message is too expensive to read; the rest is left out.")
            break
        section = waiting.pop()
        fields, body = _split(section.data)
        if is_first:
            mail.headers = _headers(fields, mail.cut)
            is_first = False
        inner = _inner_sections(fields, body, section.depth, mail.cut)
        if inner is None:
            mail.parts.append(_leaf(fields, body))
        else:
            waiting.extend(reversed(inner))
    mail.cut = list(dict.fromkeys(mail.cut))
    return mail


def headers(raw: bytes) -> list[Header]:
    """The header fields of a message alone."""
    fields, _ = _split(memoryview(raw))
    return _headers(fields, [])


def _split(data: memoryview) -> tuple[list[tuple[str, bytes]], memoryview]:
    """Unfolded raw fields, and the body after the first empty line."""
    fields: list[tuple[str, bytes]] = []
    at, stop = 0, min(len(data), MAX_HEADER_BYTES)
    head = bytes(data[:stop])
    name, value = "", bytearray()
    while at < stop:
        end = head.find(b"\n", at)
        end = stop if end < 0 else end
        line = head[at:end].rstrip(b"\r")
        begins_at, at = at, end + 1
        if not line:
            break
        if line[:1] in b" \t":
            value += b" " + line.strip() if name else b""
            continue
        matched = _FIELD.fullmatch(line)
        if matched is None:
            if not fields and not name and line.startswith((b"From ", b">From ")):
                continue  # the separator line of a mailbox file
            at = begins_at  # not a header: the body begins without an empty line
            break
        if name:
            fields.append((name, bytes(value)))
        name, value = matched[1].decode("ascii"), bytearray(matched[2].strip())
        if len(fields) >= MAX_HEADERS:
            name = ""
            break
    if name:
        fields.append((name, bytes(value)))
    return fields, data[at:]


def _headers(fields: list[tuple[str, bytes]], cut: list[str]) -> list[Header]:
    if len(fields) >= MAX_HEADERS:
        cut.append(f"Only the first {MAX_HEADERS:,} header lines are listed.")
    return [Header(name, decode_words(text(value))) for name, value in fields]


def text(value: bytes) -> str:
    """Header bytes as text: UTF-8 where it is that, else byte by byte, so that nothing is lost."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def decode_words(value: str) -> str:
    """A header value with its encoded words (RFC 2047) decoded; one that cannot be decoded stays as it came."""
    value = value[:MAX_VALUE]
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
        return "".join(_word(piece, charset) for piece, charset in pieces)[:MAX_VALUE]
    except (*_DECODER_ERRORS, binascii.Error):
        return value


def _word(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    if charset is None:
        return piece.decode("utf-8", "replace")
    try:
        return piece.decode(charset, "replace")
    except LookupError:
        return piece.decode("latin-1")


def _first(fields: list[tuple[str, bytes]], name: str) -> str:
    return next((text(value[:MAX_PARAMETERS]) for key, value in fields if key.lower() == name), "")


def _parameters(fields: list[tuple[str, bytes]]) -> Fields:
    shown = Fields()
    for name in ("content-type", "content-disposition"):
        value = _first(fields, name)
        if value:
            shown[name] = value
    return shown


def _inner_sections(
    fields: list[tuple[str, bytes]], body: memoryview, depth: int, cut: list[str]
) -> list[_Section] | None:
    """The sections inside a multipart; None for a leaf (and for one nested deeper than anybody writes)."""
    if not _first(fields, "content-type").lstrip().lower().startswith("multipart/"):
        return None
    if depth >= MAX_DEPTH:
        cut.append(f"Parts nested deeper than {MAX_DEPTH} levels are listed as one.")
        return None
    try:
        boundary = _parameters(fields).get_boundary()
    except _DECODER_ERRORS:
        return None
    if not boundary or len(boundary) > 200:
        return None
    sections = _between(body, boundary.encode("utf-8", "replace"))
    return [_Section(section, depth + 1) for section in sections] if sections else None


def _between(body: memoryview, boundary: bytes) -> list[memoryview]:
    data = bytes(body)
    mark = b"--" + boundary
    found: list[memoryview] = []
    begin: int | None = None
    at = 0 if data.startswith(mark) else data.find(b"\n" + mark) + 1
    if at == 0 and not data.startswith(mark):
        return []
    while len(found) <= MAX_PARTS:
        if begin is not None:
            found.append(body[begin : _before_line_end(data, at, begin)])
        line_end = data.find(b"\n", at)
        rest = data[at + len(mark) : line_end if line_end >= 0 else len(data)].strip()
        if rest == b"--" or line_end < 0:
            return found
        begin = line_end + 1
        following = data.find(b"\n" + mark, line_end)
        if following < 0:
            found.append(body[begin:])  # the closing line is missing: the rest belongs to the last part
            return found
        at = following + 1
    return found


def _before_line_end(data: bytes, at: int, begin: int) -> int:
    """The line end before a boundary belongs to the boundary."""
    end = at - 1
    if end > begin and data[end - 1 : end] == b"\r":
        end -= 1
    return max(begin, end)


def _leaf(fields: list[tuple[str, bytes]], body: memoryview) -> Part:
    raw_type = _first(fields, "content-type").strip()
    matched = _TYPE.match(raw_type)
    content_type = matched.group().lower() if matched else "text/plain"
    disposition = _first(fields, "content-disposition").strip().partition(";")[0].strip().lower()[:40]
    data = _decoded(bytes(body), _first(fields, "content-transfer-encoding").strip().lower())
    return Part(
        content_type=content_type,
        filename=_filename(fields),
        disposition=disposition,
        size=len(data),
        is_encrypted=looks_encrypted(data),
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _filename(fields: list[tuple[str, bytes]]) -> str:
    try:
        name = _parameters(fields).get_filename("") or ""
    except _DECODER_ERRORS:
        return ""
    return decode_words(str(name))[:1_000]


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        packed = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        whole = packed[: len(packed) - len(packed) % 4]
        tail = packed[len(whole) :]
        if len(tail) > 1:
            whole += tail + b"=" * (4 - len(tail))
        return base64.b64decode(whole)
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    return body


def looks_encrypted(data: bytes) -> bool:
    """Whether an archive or document says in its first bytes that a password protects it."""
    if data.startswith(b"PK\x03\x04"):
        return bool(data[6:7]) and bool(data[6] & 1)
    if data.startswith(b"%PDF-"):
        return b"/Encrypt" in data[-4096:] or b"/Encrypt" in data[:4096]
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return "EncryptedPackage".encode("utf-16-le") in data[:200_000]
    return False
