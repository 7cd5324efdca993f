"""What the page of a list shows: its rows in words, what the filters are, what is above and below, who may do what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from dashboard.access.models import Member
from dashboard.upstream.connection import get_client
from dashboard.web.errors import ErrorText, explain
from settings_ui.entries import words as lives
from settings_ui.entries.knowing import Known, who
from settings_ui.lists import words
from settings_ui.lists.criteria import PER_PAGE, Criteria
from settings_ui.lists.queries import NEWEST, Listed
from settings_ui.resources import Resource
from settings_ui.resources.description import Option

_MOVING = (("j", "Next entry"), ("k", "Previous entry"), ("Enter", "Into the entry"))
_TICKING = (("x", "Tick this entry"), ("* a", "Tick all on this page"), ("* n", "Tick none"))


@dataclass(frozen=True)
class Rights:
    """What this member may do with the list; what they may not is not shown."""

    may_write: bool
    may_remove: bool
    why_nothing_new: str  # "" where entries can be made


def rights(member: Member, resource: Resource) -> Rights:
    has_create = get_client().offers(resource.name, "create")
    return Rights(
        may_write=member.may(resource.write),
        may_remove=member.may(resource.remove),
        why_nothing_new=""
        if has_create
        else f"This account's API makes no {resource.singular}: it is added in Cloudflare's dashboard.",
    )


@dataclass(frozen=True)
class Chip:
    """A filter that is set, and the list without it."""

    words: str
    query: str


@dataclass(frozen=True)
class Choice:
    """A filter as part of the form."""

    name: str
    label: str
    value: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class LineOfList:
    """One entry with what is known about its life."""

    row: words.Row
    known: Known

    @property
    def changed_at(self) -> dt.datetime | None:
        return self.row.entry.modified_at or self.row.entry.created_at

    @property
    def changed_on(self) -> str:
        return words.day(self.changed_at)

    @property
    def ends_on(self) -> str:
        """Its last day, which is one of UTC wherever it is told."""
        return lives.day(self.known.expires_at) if self.known.expires_at else ""


@dataclass(frozen=True)
class ListPage:
    resource: Resource
    criteria: Criteria
    found: Listed
    columns: tuple[words.Column, ...]
    lines: tuple[LineOfList, ...]
    rights: Rights
    open_id: str = ""

    @property
    def explained(self) -> ErrorText | None:
        """Why the list could not be read now."""
        return explain(self.found.problem) if self.found.problem is not None else None

    @property
    def status(self) -> int:
        explained = self.explained
        return explained.status if explained is not None and not self.lines else 200

    @property
    def choices(self) -> Iterator[Choice]:
        for one in self.resource.filters:
            value = self.criteria.filters.get(one.name, "")
            yield Choice(one.name, one.label, value if isinstance(value, str) else ", ".join(value), one.options)

    @property
    def orders(self) -> Iterator[Option]:
        """Order and direction as one choice; the first is what a list comes in by itself."""
        yield Option("", "newest first")
        yield Option(NEWEST, "oldest first")
        for one in self.resource.orders:
            if one.value != NEWEST:
                yield Option(one.value, f"{one.word}, A to Z")
                yield Option(f"-{one.value}", f"{one.word}, Z to A")

    @property
    def order(self) -> str:
        """The chosen one of these."""
        criteria = self.criteria
        if criteria.order in ("", NEWEST):
            is_down = criteria.direction == "desc" or not (criteria.order or criteria.direction)
            return "" if is_down else NEWEST
        return f"-{criteria.order}" if criteria.direction == "desc" else criteria.order

    @property
    def sizes(self) -> tuple[int, ...]:
        return PER_PAGE

    @property
    def chips(self) -> Iterator[Chip]:
        if self.criteria.search:
            yield Chip(f"like “{self.criteria.search}”", self.criteria.without("search").query())
        for choice in self.choices:
            if choice.value:
                yield Chip(f"{choice.label}: {_word(choice)}", self.criteria.without(choice.name).query())

    @property
    def not_looked_at(self) -> list[str]:
        """The filters the server ignored, by their labels."""
        return [choice.label for choice in self.choices if choice.name in self.found.not_looked_at]

    @property
    def query(self) -> str:
        return self.criteria.query()

    @property
    def previous(self) -> str | None:
        return None if self.criteria.page == 1 else self.criteria.on_page(self.criteria.page - 1).query()

    @property
    def next(self) -> str | None:
        return None if self.found.is_last else self.criteria.on_page(self.criteria.page + 1).query()

    @property
    def first(self) -> str:
        return self.criteria.on_page(1).query()

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """What the cursor of the list does, for the list of keys and for who cannot press them."""
        return (*_MOVING, *_TICKING) if self.rights.may_remove else _MOVING

    @property
    def told(self) -> str:
        """How much of the list this is. There is no total: the service's own is from before the filters."""
        came, before = self.found.came, (self.criteria.page - 1) * self.criteria.per_page
        if not came:
            return ""
        if self.found.not_looked_at:
            said = f"{len(self.lines):,} of {came:,} fit"
        elif before:
            said = f"{before + 1:,} to {before + came:,}"
        elif self.found.is_last:
            return "1 entry" if came == 1 else f"{came:,} entries"
        else:
            said = f"first {came:,} shown"
        said += ", no more below" if self.found.is_last else ", more below"
        hint = self.found.total_hint
        return f"{said}, about {hint:,} in all" if hint and hint > came and not self.found.is_last else said


def _word(choice: Choice) -> str:
    return next((option.word for option in choice.options if option.value == choice.value), choice.value)


def page(resource: Resource, criteria: Criteria, found: Listed, *, member: Member, open_id: str) -> ListPage:
    shown = words.columns(resource)
    known = who(resource.name, [entry.id for entry in found.entries])
    return ListPage(
        resource=resource,
        criteria=criteria,
        found=found,
        columns=shown,
        lines=tuple(LineOfList(words.row(resource, shown, entry), known[entry.id]) for entry in found.entries),
        rights=rights(member, resource),
        open_id=open_id,
    )
