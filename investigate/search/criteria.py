"""What a search asks for, and its two written forms: the URL and the filter line.

Both forms carry the same thing: `Criteria.from_query(criteria.query()) == criteria`, and the same for the line.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from dashboard.emailsec.enums import DeliveryStatus, Disposition, MessageActionFilter
from dashboard.emailsec.requests import SearchQuery
from investigate.search.values import CHOICES, FIELDS, MANY, ONE, RANGE_FIELDS, Mistake, read_field
from investigate.search.window import API_DEFAULT_DAYS, DEFAULT_LAST, Window, length_of, write_moment

MOST_BRANCHES = 12  # searches side by side for one list; each is a call
MOST_NAMED = 20  # ignored values and mistakes
MOST_SENTENCES = 3

API_NAMES = {
    "q": "query",
    "disposition": "final_disposition",
    "status": "delivery_status",
    "action": "message_action",
}
# Parameters of the page that say nothing about what is searched.
PAGE_FIELDS = frozenset(
    {"open", "tab", "sort", "fresh", "more", "run", "cancelled", "line", "panel", "filters", "since", "newest", "view"}
)

Pairs = list[tuple[str, str]]


class TooManyBranches(ValueError):
    """The ticked values multiply to more searches than one list may start."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"These filters make {count:,} searches side by side; {MOST_BRANCHES} is the most. Take some values away."
        )


@dataclass(frozen=True)
class Criteria:
    """Every filter of the API, several values where people want several, and a relative or exact range.

    Either `last` is set, or at least one of `start` and `end`. Values are normalised by `from_query` and
    `read_line`; a Criteria built by hand must hold values of that form.
    """

    q: str = ""
    sender: tuple[str, ...] = ()
    recipient: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    subject: str = ""
    disposition: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    smtp_helo_ip: str = ""
    alert_id: str = ""
    message_id: str = ""
    last: str = DEFAULT_LAST
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    clean: bool = False
    view: str = field(default="", compare=False)  # number of the saved view this search began with
    ignored: tuple[str, ...] = field(default=(), compare=False)  # what says nothing about the search, as "foo=bar"
    mistakes: tuple[Mistake, ...] = field(default=(), compare=False)  # what says something that cannot be asked

    def __post_init__(self) -> None:
        if "NONE" in self.disposition and not self.clean:  # clean mail cannot be found among detections only
            object.__setattr__(self, "clean", True)
        if self.start or self.end:
            object.__setattr__(self, "last", "")

    # --- the URL ---

    @classmethod
    def from_query(cls, query: Mapping[str, Sequence[str]]) -> Criteria:
        """Read the lists of a query string (`dict(request.GET.lists())`).

        Names that are no filter land in `ignored`, values that cannot be used in `mistakes`.
        """
        found: dict[str, Any] = {}
        ignored: list[str] = []
        mistakes: list[Mistake] = []
        for name, values in query.items():
            given = [value for value in values if value.strip()]
            if any_filter([name]):
                mistakes += [mistake for value in given for mistake in read_field(found, name, value)]
            elif name not in PAGE_FIELDS:
                ignored += [f"{name}={value}" for value in given]
        return replace(cls.made(found, ignored, mistakes), view=view_of(query))

    @classmethod
    def made(cls, found: dict[str, Any], ignored: list[str], mistakes: list[Mistake]) -> Criteria:
        """Criteria out of what `read_field` collected: each value once, choices in the API's order."""
        if "last" in found and ("start" in found or "end" in found):  # the exact range wins
            ignored = [*ignored, f"last={found['last']}"]
        for name in MANY:
            if name in found:
                values = tuple(dict.fromkeys(found[name]))
                order = CHOICES.get(name)
                found[name] = tuple(sorted(values, key=order.index)) if order else values
        return cls(**found, ignored=tuple(ignored[:MOST_NAMED]), mistakes=tuple(mistakes[:MOST_NAMED]))

    def pairs(self) -> Pairs:
        """The filters as name and value, in canonical order, without what is at its default."""
        found: Pairs = []
        for name in FIELDS:
            value = getattr(self, name)
            found += [(name, one) for one in ((value,) if isinstance(value, str) else value) if one]
        if self.last:
            found.append(("last", self.last))
        if self.start:
            found.append(("start", write_moment(self.start)))
        if self.end:
            found.append(("end", write_moment(self.end)))
        if self.clean:
            found.append(("clean", "1"))
        if self.view:
            found.append(("view", self.view))
        return found

    def query(self, **more: str) -> str:
        """The query string that reproduces this search."""
        return urlencode([*self.pairs(), *more.items()])

    @property
    def has_filters(self) -> bool:
        """Whether anything but the range, and leaving clean mail out, narrows the search."""
        return any(getattr(self, name) for name in FIELDS)

    # --- changes, for links ---

    def without(self, name: str, value: str) -> Criteria:
        """The search without one filter, as the x on its chip removes it."""
        current = getattr(self, name)
        if isinstance(current, tuple):
            current = tuple(one for one in current if one != value)
            if name == "disposition" and value == "NONE":
                return replace(self, disposition=current, clean=False)
            changed: dict[str, Any] = {name: current}
            return replace(self, **changed)
        emptied: dict[str, Any] = {name: ""}
        return replace(self, **emptied)

    def with_clean(self, *, clean: bool) -> Criteria:
        kept = self.disposition if clean else tuple(value for value in self.disposition if value != "NONE")
        return replace(self, clean=clean, disposition=kept)

    def lasting(self, last: str) -> Criteria:
        return replace(self, last=last, start=None, end=None)

    def within(self, window: Window) -> Criteria:
        """The same search with its range pinned."""
        return replace(self, last="", start=window.start, end=window.end)

    # --- what is asked ---

    def window(self, now: dt.datetime) -> Window:
        """The exact range this search means at `now`."""
        now = now.replace(microsecond=0)
        if self.last:
            return Window(now - (length_of(self.last) or dt.timedelta(hours=24)), now)
        end = self.end or now
        return Window(self.start or end - dt.timedelta(days=API_DEFAULT_DAYS), end)

    def range_key(self) -> str:
        """What two people must have in common to share a run: `24h` and `1d` are the same."""
        if self.last:
            return f"last {length_of(self.last)}"
        return f"{self.start and write_moment(self.start)} to {self.end and write_moment(self.end)}"

    def problem(self, now: dt.datetime) -> str:
        """Why this search cannot be asked, as a sentence, or ""."""
        if self.mistakes:
            return " ".join(list(dict.fromkeys(mistake.sentence for mistake in self.mistakes))[:MOST_SENTENCES])
        window = self.window(now)
        if window.start >= window.end:
            return "The range ends before it starts."
        if window.start > now:
            return "The range starts in the future."
        try:
            self._count_branches()
        except TooManyBranches as exc:
            return str(exc)
        return ""

    @property
    def branch_count(self) -> int:
        """How many searches side by side this one is."""
        count = 1
        for name in MANY:
            count *= len(getattr(self, name)) or 1
        return count

    def _count_branches(self) -> int:
        if self.branch_count > MOST_BRANCHES:
            raise TooManyBranches(self.branch_count)
        return self.branch_count

    def branches(self) -> list[dict[str, Any]]:
        """One set of API parameters (without window and cursor) for each combination: a filter takes one value.

        Raises TooManyBranches beyond MOST_BRANCHES.
        """
        self._count_branches()
        single = {API_NAMES.get(name, name): getattr(self, name) for name in ONE if getattr(self, name)}
        several = [[(name, value) for value in getattr(self, name)] for name in MANY if getattr(self, name)]
        found = []
        for combination in itertools.product(*several):
            chosen = {API_NAMES.get(name, name): value for name, value in combination}
            found.append({"detections_only": not self.clean, **single, **chosen})
        return found


def branch_name(parameters: Mapping[str, Any], criteria: Criteria) -> str:
    """What tells one branch from the others: the values of the filters that have several."""
    names = [API_NAMES.get(name, name) for name in MANY if len(getattr(criteria, name)) > 1]
    return ", ".join(str(parameters[name]) for name in names)


def search_query(parameters: Mapping[str, Any], window: Window) -> SearchQuery:
    """Stored parameters as the client wants them."""
    known = dict(parameters)
    if "final_disposition" in known:
        known["final_disposition"] = Disposition(known["final_disposition"])
    if "delivery_status" in known:
        known["delivery_status"] = DeliveryStatus(known["delivery_status"])
    if "message_action" in known:
        known["message_action"] = MessageActionFilter(known["message_action"])
    return SearchQuery(start=window.start, end=window.end, **known)


def view_of(query: Mapping[str, Sequence[str]]) -> str:
    """The number of the saved view that a query string names, or ""."""
    named = [value for value in query.get("view", ()) if value.isascii() and value.isdigit() and len(value) <= 18]
    return named[-1] if named else ""


def any_filter(query: Iterable[str]) -> bool:
    """Whether a URL with these parameter names asks for a search at all (else it is somebody's first visit)."""
    return any(name in FIELDS or name in RANGE_FIELDS for name in query)
