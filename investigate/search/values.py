"""One value of a search as people write it: read, normalised, or refused with a sentence that says what is possible."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, NamedTuple

from dashboard.emailsec.enums import SHORT_DISPOSITIONS, DeliveryStatus, Disposition, MessageActionFilter
from dashboard.web.text import refang, visible
from investigate.search.window import LONGEST_DAYS, length_of, read_moment

MOST_TEXT = 1000
MOST_QUOTED = 60

DISPOSITIONS = tuple(value.value for value in SHORT_DISPOSITIONS)
STATUSES = tuple(value.value for value in DeliveryStatus)
ACTIONS = tuple(value.value for value in MessageActionFilter)

# Fields of the URL in their canonical order. Those of MANY may be repeated.
CHOICES = {"disposition": DISPOSITIONS, "status": STATUSES, "action": ACTIONS}
MANY = ("sender", "recipient", "domain", "disposition", "status", "action")
ONE = ("q", "subject", "alert_id", "message_id", "smtp_helo_ip")
FIELDS = (
    *("q", "sender", "recipient", "domain", "subject", "disposition", "status", "action"),
    *("smtp_helo_ip", "alert_id", "message_id"),
)
RANGE_FIELDS = ("last", "start", "end", "clean")

# Verdicts that messages carry and the API's filter does not take (it takes ShortDisposition).
_UNFILTERED = {value.value.casefold(): value.value for value in Disposition if value not in SHORT_DISPOSITIONS}
_UNFILTERED["bec"] = Disposition.MALICIOUS_BEC.value
_WORDS = {
    "q": "words",
    "disposition": "verdict",
    "smtp_helo_ip": "HELO IP",
    "alert_id": "alert id",
    "message_id": "Message-ID",
    "start": "start of the range",
    "end": "end of the range",
    "last": "range",
    "clean": "clean mail",
}


class Mistake(NamedTuple):
    """A value that would narrow the search and cannot be used; to leave it out would find more than was asked for."""

    name: str  # the field, or "" for a word of the line that belongs to none
    value: str
    sentence: str


def read_field(found: dict[str, Any], name: str, value: str) -> list[Mistake]:
    """Put a value of one of FIELDS or RANGE_FIELDS into `found`, or the values of a comma list; says what is wrong."""
    if name in MANY and re.search("[,;]", value):
        parts = [part for part in re.split("[,;]", value) if part.strip()]
        if parts:
            return [mistake for part in parts for mistake in read_field(found, name, part)]
    sentence = _read(found, name, value)
    return [Mistake(name, value, sentence)] if sentence else []


def quoted(value: str) -> str:
    return f"“{visible(value.strip(), limit=MOST_QUOTED)}”"


def _read(found: dict[str, Any], name: str, value: str) -> str:
    if name in CHOICES:
        return _read_choice(found, name, value)
    if name in RANGE_FIELDS:
        return _read_range(found, name, value.strip())
    text = _CLEANERS.get(name, clean_text)(value)
    word = _WORDS.get(name, name)
    if not text:
        return f"The {word} {quoted(value)} holds nothing to search for." if value.strip() else f"The {word} is empty."
    if len(text) > MOST_TEXT:
        return f"The {word} {quoted(value)} is too long; {MOST_TEXT:,} characters is the most."
    if name in MANY:
        found.setdefault(name, []).append(text)
        return ""
    return _once(found, name, text, value)


def _once(found: dict[str, Any], name: str, read: object, value: str) -> str:
    if found.setdefault(name, read) == read:
        return ""
    return f"There can be only one {_WORDS.get(name, name)}; {quoted(value)} is one too many."


def _read_choice(found: dict[str, Any], name: str, value: str) -> str:
    wanted = value.strip().casefold()
    if name == "disposition" and wanted == "clean":
        wanted = "none"
    for known in CHOICES[name]:
        if known.casefold() == wanted.replace("-", "_"):
            found.setdefault(name, []).append(known)
            return ""
    if name == "disposition" and (unfiltered := _UNFILTERED.get(wanted.replace("_", "-"))):
        return (
            f"Cloudflare's search cannot filter the verdict {unfiltered}: "
            "search without a verdict and look for it in the list."
        )
    possible = ["clean" if known == "NONE" else known.lower() for known in CHOICES[name]]
    return f"There is no {_WORDS.get(name, name)} {quoted(value)}; possible are {', '.join(possible)}."


def _read_range(found: dict[str, Any], name: str, value: str) -> str:
    read: bool | str | dt.datetime | None
    if name == "clean":
        read = {"0": False, "1": True}.get(value)
        advice = "write 1 to include clean mail, 0 to leave it out."
    elif name == "last":
        last = value.replace(" ", "").lower()
        read = last if length_of(last) else None
        advice = f"write 90m, 24h or 7d, {LONGEST_DAYS}d at most."
    else:
        read = read_moment(value)
        advice = "write 2026-11-20 or 2026-11-20T14:30Z."
    if read is None:
        return f"The {_WORDS[name]} {quoted(value)} cannot be read; {advice}"
    return _once(found, name, read, value)


# --- text -------------------------------------------------------------------------------------------------------------

_CONTROLS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]+")


def clean_text(value: str) -> str:
    """One line without controls, defanged spellings understood; stable under repetition."""
    text = " ".join(_CONTROLS.sub(" ", value).split())
    while (plain := refang(text)) != text:
        text = plain
    return text


def _clean_address(value: str) -> str:
    text = clean_text(value)
    if named := re.search(r"<([^<>\s]+@[^<>\s]+)>", text):  # Name <a@b.example>, as it is copied out of a mail
        text = named[1]
    previous = None
    while previous != text:
        previous = text
        text = re.sub(r"^mailto:", "", text.strip("<>,; "), flags=re.IGNORECASE)
    return text


def _clean_domain(value: str) -> str:
    return _clean_address(value).lstrip("@").rstrip(".").strip("<>,; @.").lower()


_CLEANERS = {"sender": _clean_address, "recipient": _clean_address, "domain": _clean_domain}
