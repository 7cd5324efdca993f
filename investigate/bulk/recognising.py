"""What a word of a text names: an id, a hash, an address, a domain, or nothing that can be looked up.

Ids are opaque: a label beside one ("alert_id: ...") decides what it is, and only without a label its shape does. Every
pattern here is bounded or possessive, so that no text makes reading slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

from dashboard.web.text import refang


class TermKind(StrEnum):
    """In the order of how exactly they name a message."""

    INVESTIGATE_ID = "investigate_id"
    ALERT_ID = "alert_id"
    POSTFIX_ID = "postfix_id"
    MESSAGE_ID = "message_id"
    HASH = "hash"
    ADDRESS = "address"
    DOMAIN = "domain"


RANK = {kind: rank for rank, kind in enumerate(TermKind)}
IDS = frozenset({TermKind.INVESTIGATE_ID, TermKind.ALERT_ID, TermKind.POSTFIX_ID, TermKind.MESSAGE_ID})
WIDE = frozenset({TermKind.ADDRESS, TermKind.DOMAIN})  # name any number of messages

LONGEST_ID = 255
LONGEST_MESSAGE_ID = 998  # a line of a mail is never longer
LONGEST_ADDRESS = 320


class Term(NamedTuple):
    kind: TermKind
    text: str  # a Message-ID in angle brackets where the text says that it is one

    @property
    def key(self) -> Term:
        """The same for all spellings of one term."""
        text = self.text.lower() if self.kind in WIDE else self.text.strip("<>")
        return Term(self.kind, text)


# --- labels -----------------------------------------------------------------------------------------------------------

_LABELS = {
    TermKind.MESSAGE_ID: "messageid internetmessageid emailmessageid rfc822messageid msgid headermessageid",
    TermKind.INVESTIGATE_ID: "investigateid investigationid",
    TermKind.ALERT_ID: "alertid alert",
    TermKind.POSTFIX_ID: "postfixid queueid postfixidoutbound",
    TermKind.HASH: "hash filehash attachmenthash sha256 sha1 md5 sha256hash sha1hash md5hash",
    TermKind.ADDRESS: (
        "from to cc bcc sender recipient recipients rcpt rcptto mailfrom envelopefrom envelopeto replyto returnpath "
        "deliveredto xoriginalto email emailaddress address user mailbox senderaddress recipientaddress fromaddress "
        "toaddress clientrecipients reportedby"
    ),
    TermKind.DOMAIN: "domain domains senderdomain host hostname fqdn url urls link links",
}
_KIND_OF_LABEL = {label: kind for kind, labels in _LABELS.items() for label in labels.split()}
# Header fields that name other messages, other servers' ids, or everybody on the way.
_FOREIGN_NAMES = (
    "references inreplyto received receivedspf dkimsignature domainkeysignature authenticationresults autosubmitted "
    "mimeversion edfhash htmltextstructurehash"
)
_FOREIGN = frozenset(_FOREIGN_NAMES.split())
_FOREIGN_BEGINNINGS = ("arc", "content", "list", "x")
_LABEL = re.compile(r"""[\s"'>*|•-]*+([A-Za-z][A-Za-z0-9 _-]{0,40}+)["'*]{0,4}+\s*+[:=]""")
_NOT_IN_LABELS = re.compile(r"[^a-z0-9]+")


def _plain(name: str) -> str:
    return _NOT_IN_LABELS.sub("", name[:60].lower())


def kind_of_label(name: str) -> TermKind | None:
    """What a column, a field of JSON or a header line of this name holds; None for any other name."""
    return _KIND_OF_LABEL.get(_plain(name))


def is_foreign(name: str) -> bool:
    """Whether what stands under this name is about something else than the message itself."""
    plain = _plain(name)
    return plain in _FOREIGN or (plain.startswith(_FOREIGN_BEGINNINGS) and plain not in _KIND_OF_LABEL and "-" in name)


# --- words ------------------------------------------------------------------------------------------------------------

_INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xAD])
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SPACED_AT = re.compile(r"\s?[\[({]\s?at\s?[\])}]\s?", re.IGNORECASE)
_SPACED_DOT = re.compile(r"\s?[\[({]\s?dot\s?[\])}]\s?", re.IGNORECASE)
_MAY_BE_DEFANGED = re.compile(r"[\[({]|xx?ps?:|fxp", re.IGNORECASE)
_ESCAPED = {"\\u003c": "<", "\\u003e": ">", "\\u0026": "&", "&lt;": "<", "&gt;": ">", "&amp;": "&", "\\/": "/"}
_ANY_ESCAPED = re.compile("|".join(map(re.escape, _ESCAPED)), re.IGNORECASE)
_MAY_HOLD_TERM = re.compile(r"[@.\d]|\bdot\b", re.IGNORECASE)
_PERCENT = re.compile(r"%(?:3a|3c|3e|40)", re.IGNORECASE)


class _Word(NamedTuple):
    text: str
    was_defanged: bool


def _words(line: str) -> list[_Word]:
    """The words of a line, live again where somebody had defanged them."""
    text = line if line.isascii() else line.translate(_INVISIBLE)
    text = _CONTROLS.sub(" ", text)
    if "&" in text or "\\" in text:
        text = _ANY_ESCAPED.sub(lambda found: _ESCAPED[found[0].lower()], text)
    is_marked = _MAY_BE_DEFANGED.search(text) is not None
    if is_marked:
        text = _SPACED_DOT.sub("[.]", _SPACED_AT.sub("@", text)).replace("[://]", "://")
    found = []
    for word in text.split():
        plain = refang(word) if is_marked and _MAY_BE_DEFANGED.search(word) else word
        was_defanged = plain != word
        if _PERCENT.search(plain):
            plain = "".join(_CONTROLS.sub("", unquote(plain, errors="replace")).split())
        found.append(_Word(plain, was_defanged))
    return found


# --- terms ------------------------------------------------------------------------------------------------------------

_ID = re.compile(
    r"(?<![0-9A-Za-z])([0-9A-Za-z]{8,24})-(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z?(-[0-9A-Fa-f]{8})?(?![0-9A-Za-z])"
)
_POSTFIX = re.compile(r"4[0-9A-Za-z]{10,19}")
_HASH = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}")
_BRACKETS = re.compile(r"<([^<>]{3,1000})>")
_URL = re.compile(r"(?:https?|ftps?)://([^/?#\\]{1,300})", re.IGNORECASE)
_SEPARATORS = re.compile(r"""["`,;|()\[\]{}<>]+""")
_EDGES = ".,:!?*'\u2019\u201c\u201d\u201e\u00ab\u00bb\u2026"  # points and quotation marks
_PREFIX = re.compile(r"(?:mailto|from|to|cc|sender|recipient|email|user|rcpt|orig_to|smtp)[:=]", re.IGNORECASE)
_NAMES_MESSAGE_ID = re.compile(r"(?:message|msg)[\s_-]?id", re.IGNORECASE)
_BULLET = re.compile(r"[\W_]{1,8}|\(?\d{1,6}[.):]?")
_LABEL_OF_NAME = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?|_[\w-]{1,62}")
_MACHINE_MADE = re.compile(r"[$=/#%&*!{}^~]")
_HEX = re.compile(r"(?=[^\d]*\d)[0-9A-Fa-f]{12,}")
# A file's name is a word with a dot, too.
_SUFFIXES = (
    "pdf doc docx docm xls xlsx xlsm ppt pptx txt csv tsv json xml htm html exe dll js vbs ps1 bat lnk zip rar 7z gz "
    "tar iso img png jpg jpeg gif svg bmp eml msg ics log md py php asp aspx"
)
_FILES = frozenset(_SUFFIXES.split())


def terms_of_line(line: str) -> list[Term]:
    """Everything in a line of text that can be looked up, in its order."""
    if not _MAY_HOLD_TERM.search(line):
        return []
    label = _LABEL.match(line)
    if label is None:
        return terms_of_words(_words(line))
    kind, rest = kind_of_label(label[1]), line[label.end() :]
    if kind is None:
        return [] if is_foreign(label[1]) else terms_of_words(_words(line))
    return terms_under(kind, rest) or terms_of_words(_words(line))


def terms_under(kind: TermKind, value: str) -> list[Term]:
    """What a value holds that stands under a label: ids as they are, whatever their shape."""
    words = _words(value)
    if kind == TermKind.MESSAGE_ID:
        return _message_ids(words)
    found = [term for word in words for term in _of_word(word, is_alone=kind == TermKind.DOMAIN)]
    if kind == TermKind.ADDRESS:  # a label says more than the looks of its local part
        return [_as_address(term) for term in found if term.kind in (TermKind.ADDRESS, TermKind.MESSAGE_ID)]
    if kind == TermKind.DOMAIN:
        return [term for term in found if term.kind == TermKind.DOMAIN]
    if kind == TermKind.HASH:
        return [term for term in found if term.kind == TermKind.HASH]
    return [term for term in found if term.kind in IDS] or _opaque(kind, words)


def terms_of_cell(cell: str) -> list[Term]:
    """The term a cell consists of; none for a cell of several words."""
    if len(cell) < 4 or not _MAY_HOLD_TERM.search(cell):
        return []
    words = [word for word in _words(cell) if not _BULLET.fullmatch(word.text)]
    return terms_of_words(words) if len(words) == 1 else []


def terms_of_words(words: Sequence[_Word]) -> list[Term]:
    meat = [word for word in words if not _BULLET.fullmatch(word.text)]
    is_alone = len(meat) == 1
    found: list[Term] = []
    before = ""
    for word in words:
        if _MAY_HOLD_TERM.search(word.text):
            found += _of_word(word, is_alone=is_alone, before=before)
        before = f"{before[-40:]} {word.text[-40:]}"
    return found


def _message_ids(words: Sequence[_Word]) -> list[Term]:
    """All that stands in angle brackets, folded or not; without brackets each word with an @, or the one word."""
    text = " ".join(word.text for word in words)
    named = ["".join(inner.split()) for inner in _BRACKETS.findall(text)]
    if not named:
        plain = [piece.strip(_EDGES) for word in words for piece in _SEPARATORS.split(word.text)]
        named = [piece for piece in plain if "@" in piece] or [piece for piece in plain if len(piece) > 5][:1]
    return [Term(TermKind.MESSAGE_ID, f"<{name}>") for name in named if 3 < len(name) <= LONGEST_MESSAGE_ID]


def _opaque(kind: TermKind, words: Sequence[_Word]) -> list[Term]:
    pieces = [piece.strip(_EDGES) for word in words for piece in re.split(r"""[\s"'`,;\[\]<>]+""", word.text)]
    first = next(filter(None, pieces), "")
    is_id = 6 <= len(first) <= LONGEST_ID and first.isprintable() and re.search(r"\d", first) and "/" not in first
    return [Term(kind, first)] if is_id else []


def _of_word(word: _Word, *, is_alone: bool, before: str = "") -> list[Term]:
    text, found = word.text, list[Term]()
    if "<" in text:
        for brackets in _BRACKETS.finditer(text):
            found += _in_brackets(brackets[1], before + text[: brackets.start()], text, is_alone=is_alone)
        text = _BRACKETS.sub(" ", text)
    if "://" in text:  # commas and brackets may belong to it
        return found + _of_url(text)
    for piece in _SEPARATORS.split(text):
        found += _of_piece(piece.strip(_EDGES), is_named_domain=is_alone or word.was_defanged)
    return found


def _in_brackets(inner: str, before: str, word: str, *, is_alone: bool) -> list[Term]:
    """`Ana <ana@corp.example>` is an address, `<4f1a@mx.example>` alone in its line a Message-ID."""
    if "@" not in inner or "://" in inner:
        return _of_url(inner) if "://" in inner else []
    if inner[:7].lower() == "mailto:":
        return _of_piece(inner, is_named_domain=False)
    local, _, domain = inner.rpartition("@")
    stands_alone = is_alone and not _SEPARATORS.sub("", word.replace(inner, "", 1)).strip(_EDGES)
    names_it = _NAMES_MESSAGE_ID.search(before[-40:])
    if stands_alone or names_it or looks_machine_made(local, domain):
        return [Term(TermKind.MESSAGE_ID, f"<{inner}>")]
    return _of_piece(inner, is_named_domain=False)


def _of_url(text: str) -> list[Term]:
    """The host of a link, or the message it names: links into this desk and Cloudflare's hold investigate ids."""
    named = _ids(text)
    if named:
        return named
    hosts = [
        found[1].rpartition("@")[2].partition(":")[0].strip(_EDGES + '"`,;|()[]{}<>') for found in _URL.finditer(text)
    ]
    return [Term(TermKind.DOMAIN, host.lower()) for host in hosts if is_domain(host)]


def _ids(text: str) -> list[Term]:
    if "T" not in text:
        return []
    found = _ID.finditer(text)
    return [Term(TermKind.INVESTIGATE_ID if one[3] else TermKind.ALERT_ID, one[0]) for one in found]


def _of_piece(piece: str, *, is_named_domain: bool) -> list[Term]:
    if len(piece) < 4:
        return []
    if named := _ids(piece):
        return named
    if "@" in piece:
        return _of_address(_PREFIX.sub("", piece, count=1) if _PREFIX.match(piece) else piece)
    last = re.split("[:=/]", piece)[-1] if len(piece) < 200 else ""
    if _HASH.fullmatch(last):
        return [Term(TermKind.HASH, last.lower())]
    if _POSTFIX.fullmatch(last) and re.search("[A-Za-z]", last):
        return [Term(TermKind.POSTFIX_ID, last)]
    host = piece.partition("/")[0].partition(":")[0].lstrip("@")
    if is_named_domain and is_domain(host) and (host != piece or host.rpartition(".")[2].lower() not in _FILES):
        return [Term(TermKind.DOMAIN, host.lower())]
    return []


def _of_address(text: str) -> list[Term]:
    local, _, domain = text.rpartition("@")
    if not local or len(text) > LONGEST_MESSAGE_ID or "://" in text:
        return []
    if looks_machine_made(local, domain):
        is_possible = is_domain(domain) or re.fullmatch(r"[\w.-]{1,255}", domain)
        return [Term(TermKind.MESSAGE_ID, text)] if is_possible else []
    if is_domain(domain) and len(text) <= LONGEST_ADDRESS:
        return [Term(TermKind.ADDRESS, text)]
    return []


def _as_address(term: Term) -> Term:
    return Term(TermKind.ADDRESS, term.text.strip("<>"))


def looks_machine_made(local: str, domain: str) -> bool:
    """Whether `local@domain` is rather a Message-ID than somebody's address; looking it up tries the other as well."""
    if "." not in domain or "@" in local or len(local) >= 32:
        return True
    digits = sum(map(str.isdecimal, local))
    return bool((digits >= 6 and len(local) >= 14) or _MACHINE_MADE.search(local) or _HEX.fullmatch(local))


def is_domain(text: str) -> bool:
    """Whether this can be the name of a host: labels with dots between, the last one not a number."""
    if not 4 <= len(text) <= 253 or "." not in text:
        return False
    labels = text.removesuffix(".").split(".")
    top = labels[-1]
    return len(top) >= 2 and not top[0].isdecimal() and all(map(_LABEL_OF_NAME.fullmatch, labels))


def most_exact(cells: Iterable[list[Term]]) -> list[Term]:
    """Of what the cells of one record hold, what names the message best: a record is about one message."""
    found = [term for terms in cells for term in terms]
    best = min((RANK[term.kind] for term in found), default=0)
    return [term for term in found if RANK[term.kind] == best]
