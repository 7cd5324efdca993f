"""The filter line: `key:value` words and free text, understood and written here, quotes allowed."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, NamedTuple

from investigate.search.criteria import Criteria
from investigate.search.values import Mistake, clean_text, quoted, read_field
from investigate.search.window import write_moment

# What people may write before the colon, and the field it means.
KEYS = {
    "from": "sender",
    "sender": "sender",
    "to": "recipient",
    "recipient": "recipient",
    "domain": "domain",
    "subject": "subject",
    "is": "disposition",
    "verdict": "disposition",
    "disposition": "disposition",
    "status": "status",
    "action": "action",
    "ip": "smtp_helo_ip",
    "alert": "alert_id",
    "id": "message_id",
    "message-id": "message_id",
    "last": "last",
    "start": "start",
    "since": "start",
    "after": "start",
    "end": "end",
    "until": "end",
    "before": "end",
    "has": "clean",
    "clean": "clean",
}
# The word we write for a field, and its order in the line.
WRITTEN = {
    "disposition": "is",
    "status": "status",
    "action": "action",
    "sender": "from",
    "recipient": "to",
    "domain": "domain",
    "subject": "subject",
    "smtp_helo_ip": "ip",
    "alert_id": "alert",
    "message_id": "id",
}
RANGE_WORDS = {"last": "last", "start": "since", "end": "until"}
MOST_LINE = 4000
_TOKEN = re.compile(
    r"""(?:(?P<key>[A-Za-z][A-Za-z-]*):)?"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s|$)|(?P<bare>\S+)""", re.DOTALL
)
_BARE_KEY = re.compile(r"([A-Za-z][A-Za-z-]*):(.*)", re.DOTALL)
# What looks like a filter and is none. Empty values and addresses of the web are text: "Re: invoice", https://...
_STRANGE_KEY = re.compile(r"([A-Za-z][\w-]*):(?!//|:).+", re.DOTALL | re.ASCII)
_EXCLUDING = re.compile(r'-["A-Za-z]')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Word(NamedTuple):
    key: str  # "" for free text
    value: str
    wrong: str = ""  # why the search has no such word


def read_line(line: str) -> Criteria:
    """Criteria out of one line of text; words that cannot be used are `mistakes`."""
    found: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    free: list[str] = []
    if len(line) > MOST_LINE:
        mistakes.append(Mistake("", "", f"The line is too long; {MOST_LINE:,} characters is the most."))
    for word in _words(line[:MOST_LINE]):
        if word.wrong:
            mistakes.append(Mistake("", word.value, word.wrong))
        elif not word.key:
            free.append(word.value)
        else:
            mistakes += _read_word(found, word)
    text = " ".join(free)
    if clean_text(text):
        mistakes += read_field(found, "q", text)
    return Criteria.made(found, [], mistakes)


def _words(line: str) -> list[Word]:
    found = []
    for match in _TOKEN.finditer(line):
        written, text, key = match.group(), match["quoted"], match["key"] or ""
        if text is not None and (not key or key.lower() in KEYS):
            found.append(Word(key, _ESCAPED.sub(r"\1", text)))
            continue
        bare = _BARE_KEY.fullmatch(written)
        if bare and bare[1].lower() in KEYS:
            found.append(Word(bare[1], bare[2]))
        else:
            found.append(Word("", written, _wrong(written)))
    return found


def _wrong(written: str) -> str:
    """Why a word without a known key is probably not meant as free text, or ""."""
    if _EXCLUDING.match(written):
        return f"The search cannot exclude {quoted(written[1:])}. Quote {quoted(written)} to search for the words."
    strange = _STRANGE_KEY.fullmatch(written)
    if strange is None or strange[1].lower() == "mailto" or _is_ip(written):
        return ""
    known = ", ".join(f"{key}:" for key in (*WRITTEN.values(), "last", "since", "until", "has"))
    key = quoted(strange[1] + ":")
    return f"There is no key {key}; there are {known}. Quote {quoted(written)} to search for the words."


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _read_word(found: dict[str, Any], word: Word) -> list[Mistake]:
    key = word.key.lower()
    name, value = KEYS[key], word.value
    if not value.strip():
        return [Mistake("", word.key, f"Nothing follows {quoted(key + ':')}; write its value without a blank.")]
    if name == "clean":
        wanted = value.strip().lower()
        if wanted not in ("clean", "yes", "no", "0", "1"):
            return [Mistake(name, value, f"There is no {quoted(f'{key}:{value}')}; has:clean includes clean mail.")]
        value = "0" if wanted in ("no", "0") else "1"
    return read_field(found, name, value)


def write_line(criteria: Criteria) -> str:
    """The line that `read_line` turns into these criteria, mistakes included; the default range is left out."""
    words = []
    for name, key in WRITTEN.items():
        value = getattr(criteria, name)
        several = (value,) if isinstance(value, str) else value
        words += [f"{key}:{_quoted(_shown(name, one))}" for one in several if one]
    words += [_free(word) for word in criteria.q.split()]
    if criteria.last and criteria.last != Criteria().last:
        words.append(f"last:{criteria.last}")
    if criteria.start:
        words.append(f"since:{write_moment(criteria.start)}")
    if criteria.end:
        words.append(f"until:{write_moment(criteria.end)}")
    if criteria.clean and "NONE" not in criteria.disposition:
        words.append("has:clean")
    for mistake in criteria.mistakes:
        if word := WRITTEN.get(mistake.name) or RANGE_WORDS.get(mistake.name):
            words.append(f"{word}:{_quoted(mistake.value)}")
    return " ".join(words)


def _shown(name: str, value: str) -> str:
    if name == "disposition":
        return "clean" if value == "NONE" else value.lower()
    return value.lower() if name == "action" else value


def _quoted(value: str) -> str:
    if value and not re.search(r'[\s",\\]', value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _free(word: str) -> str:
    """A word of free text, quoted where it would be read as something else."""
    if _words(word) == [Word("", word)]:
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
