"""What an address asks of a list: search, filters, order, page. What it cannot mean is named, and ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from django.http import QueryDict

from dashboard.emailsec.types import SettingsEntry
from settings_ui.resources import Resource, Values
from settings_ui.resources.description import Filter, unstorable

PER_PAGE = (50, 100, 200)
DIRECTIONS = ("asc", "desc")
_USUAL_PER_PAGE = 100
_LAST_PAGE = 100_000
_LONGEST = 1024
_MOST_TEXTS = 20  # of one filter
_OF_THE_PAGE = frozenset({"open"})  # what the address says besides, and no list is asked for

Wanted = str | tuple[str, ...]
"""What a filter asks for: a tuple where it takes several texts, of which one has to fit."""


@dataclass(frozen=True)
class Criteria:
    """One list as somebody wants to see it; `query()` is the same as part of an address.

    Without an order it is the newest first. A form says `-pattern` for the order and the direction in one.
    """

    search: str = ""
    filters: Mapping[str, Wanted] = field(default_factory=dict)
    order: str = ""
    direction: str = ""
    page: int = 1
    per_page: int = _USUAL_PER_PAGE
    ignored: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not self.search and not self.filters

    def query(self) -> str:
        said: dict[str, Wanted] = {
            "search": self.search,
            **self.filters,
            "order": self.order,
            "direction": self.direction,
        }
        if self.per_page != _USUAL_PER_PAGE:
            said["per_page"] = str(self.per_page)
        if self.page > 1:
            said["page"] = str(self.page)
        return urlencode({name: value for name, value in said.items() if value}, doseq=True)

    def on_page(self, number: int) -> Criteria:
        return replace(self, page=number)

    def without(self, name: str) -> Criteria:
        """The same list from its beginning, with one filter or the search less."""
        if name == "search":
            return replace(self, search="", page=1)
        return replace(self, filters={other: value for other, value in self.filters.items() if other != name}, page=1)


def read(resource: Resource, query: QueryDict) -> Criteria:
    """The criteria in an address."""
    known = {one.name: one for one in resource.filters}
    orders = {option.value for option in resource.orders}
    taken: dict[str, str] = {}
    several: dict[str, tuple[str, ...]] = {}
    ignored: list[str] = []
    for name, values in query.lists():
        given = [value for value in values if value.strip()]
        if name in known and known[name].takes_several:
            texts = list(dict.fromkeys(text for value in given for text in value.replace(",", " ").split(" ") if text))
            meant = [text for text in texts if _is_meant(resource, known, orders, name, text)][:_MOST_TEXTS]
            several |= {name: tuple(meant)} if meant else {}
            ignored += [f"{name}={text}" for text in texts if text not in meant]
            continue
        taken_here = next((value for value in reversed(given) if _is_meant(resource, known, orders, name, value)), None)
        if taken_here is not None:
            taken[name] = taken_here.strip()
            given.remove(taken_here)
        if name not in _OF_THE_PAGE:
            ignored += [f"{name}={value}" for value in given]
    if (order := taken.get("order", "")).startswith("-"):
        taken |= {"order": order.removeprefix("-"), "direction": "desc"}
    asked: dict[str, Wanted] = {**taken, **several}
    return Criteria(
        search=taken.get("search", ""),
        filters={name: asked[name] for name in known if name in asked},
        order=taken.get("order", ""),
        direction=taken.get("direction", ""),
        page=int(taken.get("page", 1)),
        per_page=int(taken.get("per_page", _USUAL_PER_PAGE)),
        ignored=tuple(ignored),
    )


def _is_meant(resource: Resource, known: Mapping[str, Filter], orders: set[str], name: str, value: str) -> bool:
    value = value.strip()
    if unstorable(value, allows_lines=False) or len(value) > _LONGEST:
        return False
    match name:
        case "page":
            return value.isascii() and value.isdigit() and len(value) < 7 and 1 <= int(value) <= _LAST_PAGE
        case "per_page":
            return value in {str(number) for number in PER_PAGE}
        case "order":
            return value.removeprefix("-") in orders
        case "direction":
            return bool(orders) and value in DIRECTIONS
        case "search":
            return resource.is_searched
    options = known[name].options if name in known else ()
    return name in known and (not options or value in {option.value for option in options})


# --- what came, against what was asked ----------------------------------------------------------------------------


def kept(criteria: Criteria, entries: Sequence[SettingsEntry]) -> tuple[tuple[SettingsEntry, ...], frozenset[str]]:
    """What of a page fits the filters, and the names of the filters the server plainly did not look at."""
    if not criteria.filters:
        return tuple(entries), frozenset()
    found = [(entry, misses(criteria.filters, entry.values())) for entry in entries]
    not_looked_at = frozenset(name for _, missed in found for name in missed)
    return tuple(entry for entry, missed in found if not missed), not_looked_at


def misses(filters: Mapping[str, Wanted], values: Values) -> frozenset[str]:
    """The filters an entry does not fit. What it does not say is no miss."""
    return frozenset(name for name, wanted in filters.items() if not _fits(name, wanted, values))


def _fits(name: str, wanted: Wanted, values: Values) -> bool:
    if isinstance(wanted, tuple):
        return any(_fits(name, one, values) for one in wanted)
    # Which mode is in use is not told; it is one of those that are allowed.
    value = values.get("allowed_delivery_modes" if name.endswith("_delivery_mode") else name)
    match value:
        case None:
            return True
        case bool():
            return value is (wanted == "true")
        case list():
            return wanted.casefold() in {str(item).casefold() for item in value}
    return str(value).casefold() == wanted.casefold()
