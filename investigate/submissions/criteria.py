"""What an address asks of the list: the filters and orders of the API, and some of our own. The rest is named."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone

from dashboard.audit.chain import storable_text
from dashboard.emailsec.enums import CustomerStatus, Disposition, SortDirection, SubmissionOrder, SubmitterType
from dashboard.emailsec.types import SHORT_DISPOSITIONS
from investigate.search.window import Window, length_of, read_moment, write_moment
from investigate.submissions.figures import Answer

DEFAULT_LAST = "30d"
PRESETS = ("24h", "7d", "30d", "90d")
LONGEST_TEXT = 300
LAST_PAGE = 10_000
UNKNOWN = "-"  # in an address: those of whom a name, a sender or a reason is not known
BOTH = "BOTH"
YES, NO = "yes", "no"
_OF_THE_PAGE = frozenset({"open", "fresh", "format", "bom"})  # what the address says besides


@dataclass(frozen=True)
class Criteria:
    """One list as somebody wants to see it; `query()` is the same as an address."""

    type: str = SubmitterType.TEAM.value
    status: str = ""  # Cloudflare's review state
    submission_id: str = ""
    original_disposition: str = ""
    requested_disposition: str = ""
    outcome_disposition: str = ""
    query: str = ""
    escalated_from_user: str = ""
    order: str = ""
    direction: str = ""
    last: str = ""
    start: str = ""
    end: str = ""
    # What only we know:
    answer: str = ""
    by: str = ""
    sender: str = ""
    reason: str = ""
    page: int = 1
    ignored: tuple[str, ...] = ()

    @property
    def kind(self) -> SubmitterType | None:
        return None if self.type == BOTH else SubmitterType(self.type)

    @property
    def is_escalated(self) -> bool | None:
        return {YES: True, NO: False}.get(self.escalated_from_user)

    @property
    def asks_us(self) -> bool:
        """Whether only our own memory can answer it."""
        return bool(self.answer or self.by or self.sender or self.reason)

    @property
    def range_name(self) -> str:
        """The relative range, "" where the address names exact times."""
        return "" if self.start or self.end else self.last or DEFAULT_LAST

    def window(self, now: dt.datetime | None = None) -> Window:
        """The range as exact times."""
        end = read_moment(self.end) or (now or timezone.now()).replace(microsecond=0) + dt.timedelta(seconds=1)
        length = length_of(self.range_name or DEFAULT_LAST) or dt.timedelta(days=30)
        start = read_moment(self.start) or end - length
        return Window(min(start, end), end)

    def values(self) -> dict[str, str]:
        """What differs from the usual list, by the address's names."""
        said = {name: getattr(self, name) for name in _TEXTS}
        if self.type == SubmitterType.TEAM:
            del said["type"]
        if self.page > 1:
            said["page"] = str(self.page)
        return {name: value for name, value in said.items() if value}

    def address(self, **changes: object) -> str:
        """The query of this list with some things changed, from its beginning where nothing else is said."""
        return urlencode(replace(self, **({"page": 1} | changes)).values())  # type: ignore[arg-type]

    def pinned(self, window: Window) -> Criteria:
        """The same list with its range as exact times, so that its pages do not slide."""
        return replace(self, last="", start=write_moment(window.start), end=write_moment(window.end))

    def fingerprint(self) -> str:
        """Alike for all who ask the API the same."""
        return hashlib.sha256(urlencode(self.values()).encode()).hexdigest()[:24]

    @property
    def chips(self) -> list[tuple[str, str]]:
        """(filter in words, address without it) of all that cuts the list, but its tab and its range."""
        return [
            (f"{LABELS[name]}: {said(name, getattr(self, name))}", self.address(**{name: ""}))
            for name in LABELS
            if getattr(self, name)
        ]


LABELS = {
    "query": "Words",
    "status": "Review at Cloudflare",
    "original_disposition": "Was",
    "requested_disposition": "Asked for",
    "outcome_disposition": "Answer",
    "escalated_from_user": "Escalated from a user",
    "submission_id": "Id",
    "answer": "What became of it",
    "by": "Sent by",
    "sender": "Sender",
    "reason": "Reason",
}
_DISPOSITIONS = frozenset(value.value for value in SHORT_DISPOSITIONS)
_CHOICES: dict[str, frozenset[str]] = {
    "type": frozenset({*(value.value for value in SubmitterType), BOTH}),
    "status": frozenset(value.value for value in CustomerStatus),
    "original_disposition": _DISPOSITIONS,
    "requested_disposition": _DISPOSITIONS,
    "outcome_disposition": _DISPOSITIONS,
    "escalated_from_user": frozenset({YES, NO}),
    "order": frozenset(value.value for value in SubmissionOrder),
    "direction": frozenset(value.value for value in SortDirection),
    "answer": frozenset(Answer.values),
}
_FREE: dict[str, Callable[[str], object]] = {
    "submission_id": bool,
    "query": bool,
    "by": bool,
    "sender": bool,
    "reason": bool,
    "last": length_of,
    "start": read_moment,
    "end": read_moment,
}
_TEXTS = (*_CHOICES, *_FREE)
_UPPER = frozenset({"type", "original_disposition", "requested_disposition", "outcome_disposition"})


def read(query: QueryDict) -> Criteria:
    """The criteria in an address. What it cannot mean is kept in `ignored`."""
    taken: dict[str, str] = {}
    ignored: list[str] = []
    page = 1
    for name, values in query.lists():
        value = values[-1].strip()
        value = value.upper() if name in _UPPER else value
        if not value or name in _OF_THE_PAGE:
            continue
        if name == "page" and value.isascii() and value.isdigit() and len(value) < 6:
            page = min(max(int(value), 1), LAST_PAGE)
        elif len(value) <= LONGEST_TEXT and storable_text(value) == value and _is_meant(name, value):
            taken[name] = value
        else:
            ignored.append(f"{name}={value}")
    if "start" in taken or "end" in taken:
        taken.pop("last", None)
    return Criteria(**taken, page=page, ignored=tuple(ignored))  # type: ignore[arg-type]


def said(name: str, value: str) -> str:
    """A filter's value in words."""
    if value == UNKNOWN and name in ("by", "sender", "reason"):
        return "not known"
    if name.endswith("_disposition"):
        return "Clean" if value == Disposition.NONE else value.capitalize()
    return value


def _is_meant(name: str, value: str) -> bool:
    if name in _CHOICES:
        return value in _CHOICES[name]
    return name in _FREE and bool(_FREE[name](value))
