"""Reading a raw message from outside as hostile input: nothing it holds may raise, hang or grow without bound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from html import unescape

MAX_BYTES = 20_000_000  # more than mail servers commonly accept
MAX_PARTS = 1_000
MAX_DEPTH = 20
MAX_BOUNDARIES = 100  # beyond this only the head is parsed: nesting costs time per line and level
MAX_TEXT = 200_000
MAX_LINKS = 500
MAX_ADDRESSES = 50
MAX_HEADERS = 500

_UNPARSEABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    RecursionError,
    HeaderParseError,
    OverflowError,
)
_URL = re.compile(r"https?://[^\s<>\"'\]\)\u3000]{3,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    filename: str | None
    content_type: str
    data: bytes


@dataclass(slots=True)
class Parsed:
    """What could be read. `headers` are decoded and on one line; `paragraphs` hold (text, href or None)."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    html: str = ""
    links: list[tuple[str, str | None]] = field(default_factory=list)
    paragraphs: list[tuple[str, str | None]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def all_headers(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


def clean(text: str) -> str:
    """Without NULs and lone surrogates, so that it encodes to UTF-8 everywhere."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def decode_bytes(data: bytes, charset: str | None = None) -> str:
    for name in (charset, "utf-8"):
        if name:
            try:
                return data.decode(name)
            except _UNPARSEABLE:
                continue
    return data.decode("latin-1")


def decode_value(raw: str) -> str:
    """A header value with its encoded words decoded, on one line."""
    text = decode_bytes(raw.encode("utf-8", "surrogateescape")) if not raw.isascii() else raw
    if "=?" in text:
        with suppress(*_UNPARSEABLE):
            text = "".join(
                decode_bytes(piece, charset) if isinstance(piece, bytes) else piece
                for piece, charset in decode_header(text)
            )
    return " ".join(clean(text).split())[:20_000]


def parse(data: bytes) -> Parsed:
    parsed = Parsed()
    message = _message(data[:MAX_BYTES])
    for name, value in list(message.raw_items())[:MAX_HEADERS]:
        parsed.headers.append((clean(name)[:200], decode_value(str(value))))
    texts: list[str] = []
    pages: list[str] = []
    for part in _leaves(message):
        _sort_part(part, parsed, texts, pages)
    parsed.text = "\n\n".join(texts)[:MAX_TEXT]
    parsed.html = "\n".join(pages)[:MAX_TEXT]
    _read_body(parsed)
    return parsed


def _message(data: bytes) -> Message:
    if data.lower().count(b"boundary=") <= MAX_BOUNDARIES:
        with suppress(*_UNPARSEABLE):
            return message_from_bytes(data, policy=policy.compat32)
    head, _, body = data.partition(b"\n\n")
    kept = [line for line in head.split(b"\n")[:MAX_HEADERS] if not line.lower().startswith(b"content-")]
    try:
        return message_from_bytes(b"\n".join(kept) + b"\n\n" + body[:MAX_TEXT], policy=policy.compat32)
    except _UNPARSEABLE:
        empty = Message()
        empty.set_payload("")
        return empty


def _leaves(message: Message) -> Iterator[Message]:
    """Parts that hold content, in reading order, within the bounds; attached messages count as parts of the whole."""
    pending: list[tuple[Message, int]] = [(message, 0)]
    seen = 0
    while pending and seen < MAX_PARTS:
        part, depth = pending.pop()
        seen += 1
        children = part.get_payload() if part.is_multipart() else None
        if isinstance(children, list):
            if depth < MAX_DEPTH:
                pending.extend(
                    (child, depth + 1) for child in reversed(children[:MAX_PARTS]) if isinstance(child, Message)
                )
            continue
        yield part


def _sort_part(part: Message, parsed: Parsed, texts: list[str], pages: list[str]) -> None:
    try:
        content_type = clean(part.get_content_type())
    except _UNPARSEABLE:
        content_type = "application/octet-stream"
    filename = _filename(part)
    try:
        payload = part.get_payload(decode=True)
    except _UNPARSEABLE:
        payload = None
    data = payload if isinstance(payload, bytes) else b""
    is_attached = filename is not None or str(part.get("Content-Disposition", "")).lower().startswith("attachment")
    if not is_attached and content_type in {"text/plain", "text/html"}:
        text = clean(decode_bytes(data[: MAX_TEXT * 2], _charset(part)))[:MAX_TEXT]
        (pages if content_type == "text/html" else texts).append(text)
    elif is_attached or data:
        parsed.parts.append(Part(filename, content_type, data))


def _charset(part: Message) -> str | None:
    try:
        charset = part.get_content_charset()
    except _UNPARSEABLE:
        return None
    # `unicode_escape`, `idna` and the like are codecs of the language, not charsets of mail.
    return charset if charset and not re.search("escape|idna|punycode|undefined|palmos|rot", charset) else None


def _filename(part: Message) -> str | None:
    try:
        name = part.get_filename()
    except _UNPARSEABLE:
        return None
    return decode_value(str(name))[:255] if name else None


def addresses(values: list[str]) -> list[tuple[str, str]]:
    """Display name and address of each mailbox named in some address headers."""
    try:
        found = getaddresses([value[:10_000] for value in values])
    except _UNPARSEABLE:
        return []
    pairs = [(clean(name).strip(), clean(address).strip()) for name, address in found[:MAX_ADDRESSES]]
    return [(name, address) for name, address in pairs if address]


def timestamp(value: str | None) -> float | None:
    if not value:
        return None
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (*_UNPARSEABLE, OSError):
        return None
    return at if 0 < at < 4_102_444_800 else None  # 1970 to 2100


def _read_body(parsed: Parsed) -> None:
    seen: dict[tuple[str, str | None], None] = {}
    if parsed.html:
        reader = _Page()
        reader.read(parsed.html)
        parsed.paragraphs = reader.paragraphs
        for text, href in reader.paragraphs:
            if href:
                seen[(href, text or None)] = None
    hrefs = {href for href, _ in seen}
    for match in _URL.finditer(parsed.text):
        url = match[0].rstrip(".,;:!?")
        if url not in hrefs:
            seen.setdefault((url, None), None)
        if len(seen) >= MAX_LINKS:
            break
    parsed.links = list(seen)[:MAX_LINKS]
    if not any(text.strip() for text, _ in parsed.paragraphs):
        blocks = re.split(r"\n[ \t\r]*\n", parsed.text)
        parsed.paragraphs = [(block.strip("\r\n"), None) for block in blocks[:400] if block.strip()]


_TAG = re.compile(r"(/?)([a-zA-Z][a-zA-Z0-9]{0,20})(?=[\s/]|$)")
_ATTRIBUTE = r"""(?:^|[\s"'/]){name}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
_HREF = re.compile(_ATTRIBUTE.format(name="href"), re.IGNORECASE)
_ALT = re.compile(_ATTRIBUTE.format(name="alt"), re.IGNORECASE)


def _attribute(pattern: re.Pattern[str], tag: str) -> str:
    found = pattern.search(tag[:8_000])
    return clean(unescape(next((value for value in found.groups() if value), ""))).strip()[:4_000] if found else ""


class _Page:
    """Text and links of a page, block by block; scripts and styles are skipped, nothing is resolved or fetched.

    Cut at every `<` and read in one pass: the standard parser takes quadratic time on unclosed tags and comments.
    """

    BLOCKS = frozenset(
        (
            *("p", "div", "tr", "table", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "br", "hr", "td", "th"),
            *("blockquote", "section", "article", "header", "footer", "center", "pre", "body"),
        )
    )
    SILENT = frozenset({"script", "style", "title"})

    def __init__(self) -> None:
        self.paragraphs: list[tuple[str, str | None]] = []
        self._words: list[str] = []
        self._silent: str | None = None
        self._href: str | None = None

    def read(self, html: str) -> None:
        first, *pieces = html.split("<")
        self._add(first)
        for piece in pieces:
            self._read_piece(piece)
        self._end_link()
        self._flush()

    def _read_piece(self, piece: str) -> None:
        """One tag without its `<`, and the text up to the next tag."""
        if self._silent is None and piece.startswith("!--"):
            self._silent = "--"
        if self._silent == "--":
            _, closed, text = piece.partition("-->")
            if closed:
                self._silent = None
                self._add(text)
            return
        tag, closed, text = piece.partition(">")
        match = _TAG.match(tag)
        if closed and match:
            (self._end if match[1] else self._start)(match[2].lower(), tag)
            self._add(text)
        elif not (closed and tag[:1] in {"!", "?"}):
            self._add(f"<{piece}" if not match else "")
        else:
            self._add(text)

    def _add(self, text: str) -> None:
        if self._silent is None and text:
            self._words.append(unescape(text))

    def _flush(self, href: str | None = None) -> None:
        text = " ".join(clean(" ".join(self._words)).split())
        self._words = []
        if (text or href) and len(self.paragraphs) < 2_000:
            self.paragraphs.append((text[:5_000], href))

    def _start(self, name: str, tag: str) -> None:
        if self._silent:
            return
        if name in self.SILENT:
            self._silent = name
        elif name == "a":
            self._end_link()
            href = _attribute(_HREF, tag)
            if href and not href.startswith("#"):
                self._flush()
                self._href = href
        elif name == "img" and self._href:
            self._words.append(_attribute(_ALT, tag))
        elif name in self.BLOCKS and not self._href:
            self._flush()

    def _end(self, name: str, _tag: str) -> None:
        if self._silent:
            if name == self._silent:
                self._silent = None
        elif name == "a":
            self._end_link()
        elif name in self.BLOCKS and not self._href:
            self._flush()

    def _end_link(self) -> None:
        if self._href:
            self._flush(self._href)
            self._href = None
