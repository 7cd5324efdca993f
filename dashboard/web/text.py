"""Hostile text made visible and inert: what a sender wrote must look like text, and like nothing else.

Escaping is the template's work; this is about characters that deceive the eye, and about links nobody may follow.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Characters that are nothing to look at and change how their neighbours are read: C0/C1 controls, bidirectional
# controls, zero-width and other default-ignorable characters, lone surrogates, line and paragraph separators.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_COMBINING_RUN = re.compile(
    r"([^\W\d_]?[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


def _mark(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures block: ␀ to ␟
    return "␡" if code == 0x7F else f"[U+{code:04X}]"


def visible(value: object, *, limit: int | None = None) -> str:
    """The value with its invisible characters shown as marks, cut at `limit` characters with an ellipsis.

    Tabs and line feeds stay: callers that show one line collapse white space in the style sheet.
    """
    text = "" if value is None else str(value)
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():  # nearly every text, and by far the fastest way to know
        return text
    return _COMBINING_RUN.sub(r"\1", _INVISIBLE.sub(_mark, text))


def punycode(domain: str) -> str:
    """The ASCII form of a domain with other letters, or "" where it is ASCII already or cannot be encoded."""
    if domain.isascii():
        return ""
    labels = []
    for label in unicodedata.normalize("NFKC", domain).split("."):
        if label.isascii():
            labels.append(label)
            continue
        try:
            labels.append("xn--" + label.lower().encode("punycode").decode("ascii"))
        except UnicodeError:
            return ""
    return ".".join(labels)


def split_address(address: str | None) -> tuple[str, str]:
    """(local part, domain) of an address; the domain is "" where there is none."""
    local, at, domain = (address or "").strip().rpartition("@")
    return (local, domain) if at else (domain, "")


_SCHEME = re.compile(r"\b(h)tt(ps?)(?=:)|\b(f)t(ps?)(?=:)", re.IGNORECASE)


def defang(value: str) -> str:
    """A link, address, domain or IP that no program will make live: `hxxps://pay-pal[.]example`, `a[@]b[.]example`.

    `refang` gives the original back. Hashes and plain words come through unchanged.
    """
    text = _SCHEME.sub(lambda m: f"{m[1]}xx{m[2]}" if m[1] else f"{m[3]}x{m[4]}", value)
    head, mark, path = text.partition("://")
    if mark:
        host, slash, rest = re.match(r"([^/?#]*)([/?#]?)(.*)", path, re.DOTALL).groups()  # type: ignore[union-attr]
        return head + mark + _defang_host(host) + slash + rest
    return _defang_host(text)


def _defang_host(text: str) -> str:
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}(:\d+)?(/\d+)?", text):  # an IPv4 address: one broken dot is enough
        start, _, end = text.rpartition(".")
        return f"{start}[.]{end}"
    # An IPv6 address: its last two colons. Each part ends where the next begins: senders write colons by the thousand.
    if re.fullmatch(r"[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*", text):
        start, middle, end = text.rsplit(":", 2)
        return f"{start}[:]{middle}[:]{end}"
    return re.sub(r"(?<!\[)([.@])(?!\])", r"[\1]", text)


def refang(value: str) -> str:
    """Undo `defang`, and the spellings other tools use, so that a pasted indicator finds what it names."""
    text = re.sub(r"\[([.@:])\]|\((\.)\)|\{(\.)\}", lambda m: m[1] or m[2] or m[3], value)
    text = re.sub(r"\[dot\]", ".", text, flags=re.IGNORECASE)
    text = re.sub(r"\[at\]", "@", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(h)xx(ps?)(?=:)", r"\1tt\2", text, flags=re.IGNORECASE)
    return re.sub(r"\b(f)x(ps?)(?=:)", r"\1t\2", text, flags=re.IGNORECASE)


def dom_id(investigate_id: str) -> str:
    """A short name for a message that is safe inside an element's id: investigate ids hold colons and anything else."""
    return hashlib.sha1(investigate_id.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:12]
