"""The account's settings: eight lists of entries, all read and changed the same way.

No write is ever repeated. A create has no key of its own: put one into the entry's remark and list what was made.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from dashboard.emailsec import errors
from dashboard.emailsec.core import NO_SUCH_ROUTE, Endpoint, Reply
from dashboard.emailsec.decoding import read, read_list
from dashboard.emailsec.enums import PatternType, SortDirection
from dashboard.emailsec.groups import USUAL_BUDGET, Group, time_left
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import (
    AllowPolicy,
    Answer,
    BatchResult,
    BlockSender,
    ContentPolicy,
    ImpersonationEntry,
    Page,
    ProtectedDomain,
    SendingDomainRestriction,
    SettingsEntry,
    TrustedDomain,
    UrlIgnorePattern,
    Verification,
)

MOST_IN_BATCH = 1000  # of each array
_EVERYTHING = ("deletes", "patches", "puts", "posts")
_PATTERN_FILTERS = ("pattern", "pattern_type")
_VERIFICATION = Endpoint(
    "GET", "/settings/domains/{entry_id}/verification", writes=False, feature="settings.domains.verification"
)


@dataclass(frozen=True)
class Kind:
    """One resource of the account's settings."""

    name: str
    """As in paths."""
    entry: type[SettingsEntry]
    has_put: bool
    batch: tuple[str, ...]
    """The arrays a batch takes, in the order the service runs them; none where there is no batch."""
    order: tuple[str, ...]
    """Empty where the server takes neither order nor direction nor search."""
    filters: tuple[str, ...]
    is_new: bool
    """Absent from the older generation as a whole; remembered as `settings.<name>`."""

    @property
    def path(self) -> str:
        return f"/settings/{self.name}"

    @property
    def feature(self) -> str | None:
        return f"settings.{self.name}" if self.is_new else None

    def part(self, what: str) -> str:
        """The name under which the absence of one operation is remembered, apart from the whole resource's."""
        return f"settings.{self.name}.{what}"

    @property
    def may_lack_create(self) -> bool:
        return self.is_new or self.name == "domains"  # domains were added in Cloudflare's own dashboard once

    def has(self, what: str) -> bool:
        """Whether today's API has it: "" the resource itself, "create", "put", "batch", "verification"."""
        known = {
            "": True,
            "create": True,
            "put": self.has_put,
            "batch": bool(self.batch),
            "verification": self.name == "domains",
        }
        if what not in known:
            raise ValueError(f"nothing that a server could offer: {what!r}")
        return known[what]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                "allow_policies",
                AllowPolicy,
                has_put=True,
                batch=_EVERYTHING,
                order=("pattern", "created_at"),
                filters=(
                    "is_acceptable_sender",
                    "is_exempt_recipient",
                    "is_trusted_sender",
                    "verify_sender",
                    *_PATTERN_FILTERS,
                ),
                is_new=False,
            ),
            Kind(
                "block_senders",
                BlockSender,
                has_put=True,
                batch=_EVERYTHING,
                order=("pattern", "created_at"),
                filters=_PATTERN_FILTERS,
                is_new=False,
            ),
            Kind(
                "trusted_domains",
                TrustedDomain,
                has_put=True,
                batch=_EVERYTHING,
                order=("pattern", "created_at"),
                filters=("is_recent", "is_similarity", "pattern"),
                is_new=False,
            ),
            Kind(
                "impersonation_registry",
                ImpersonationEntry,
                has_put=False,
                batch=(),
                order=("name", "email", "created_at"),
                filters=("provenance",),
                is_new=False,
            ),
            Kind(
                "sending_domain_restrictions",
                SendingDomainRestriction,
                has_put=False,
                batch=("deletes",),
                order=("domain", "created_at"),
                filters=(),
                is_new=True,
            ),
            Kind(
                "domains",
                ProtectedDomain,
                has_put=True,
                batch=_EVERYTHING,
                order=("domain", "created_at"),
                filters=("domain", "active_delivery_mode", "allowed_delivery_mode", "integration_id", "status"),
                is_new=False,
            ),
            Kind(
                "content_policies",
                ContentPolicy,
                has_put=False,
                batch=_EVERYTHING,
                order=("name", "created_at"),
                filters=("enabled", "name"),
                is_new=True,
            ),
            Kind(
                "url_ignore_patterns",
                UrlIgnorePattern,
                has_put=False,
                batch=_EVERYTHING,
                order=(),
                filters=(),
                is_new=True,
            ),
        )
    }
)


class SettingsGroup(Group):
    """`kind` is a name of `KINDS`, values go by their wire names; those of `SettingsEntry.writable` and no other."""

    def entries(
        self,
        kind: str,
        *,
        filters: Mapping[str, str | bool | Sequence[str]] | None = None,
        search: str | None = None,
        order: str | None = None,
        direction: str | None = None,
        page: int = 1,
        per_page: int = 100,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> Page[SettingsEntry]:
        """Filters are compared as a whole, `search` is fuzzy. Some servers ignore filters: compare what comes."""
        sort = _kind(kind)
        endpoint = Endpoint("GET", sort.path, writes=False, feature=sort.feature, collection=True)
        params = [*_filters(sort, filters or {}), *_ordering(sort, search, order, direction)]
        return self._page(
            endpoint, sort.entry, params=params, page=page, per_page=per_page, budget=budget, priority=priority
        )

    def entry(
        self, kind: str, entry_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ
    ) -> SettingsEntry:
        sort = _kind(kind)
        reply = self._api.send(_item("GET", sort), {"entry_id": entry_id}, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, sort.entry))

    def create_entry(
        self,
        kind: str,
        values: Mapping[str, Any],
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> SettingsEntry:
        sort = _kind(kind)
        feature = sort.part("create") if sort.may_lack_create else None
        endpoint = Endpoint("POST", sort.path, writes=True, feature=feature, collection=True)
        body = _checked(sort, values)
        self._refuse_if_absent(sort, endpoint)
        reply = self._api.send(endpoint, json=body, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(_alone(raw), sort.entry))

    def edit_entry(
        self,
        kind: str,
        entry_id: str,
        changes: Mapping[str, Any],
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> SettingsEntry:
        """Change the named fields and nothing else; None clears one.

        An older server refuses a change of a domain that does not bring its `ip_restrictions` along.
        """
        sort = _kind(kind)
        body = _checked(sort, changes, is_change=True)
        endpoint = _item("PATCH", sort)
        reply = self._api.send(endpoint, {"entry_id": entry_id}, json=body, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, sort.entry))

    def replace_entry(
        self,
        kind: str,
        entry_id: str,
        values: Mapping[str, Any],
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> SettingsEntry:
        """Replace all of it: what `values` leaves out is reset to the service's default."""
        sort = _kind(kind)
        if not sort.has_put:
            raise ValueError(f"{kind} are changed, not replaced")
        body = _checked(sort, values, is_change=True)
        endpoint = Endpoint("PUT", sort.path + "/{entry_id}", writes=True, feature=sort.part("put"))
        try:
            reply = self._api.send(endpoint, {"entry_id": entry_id}, json=body, budget=budget, priority=priority)
        except errors.NotOnThisServer as problem:
            self._learn(sort.part("put"), problem)
            raise
        return self._api.result(reply, lambda raw: read(raw, sort.entry))

    def delete_entry(
        self, kind: str, entry_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.ACTION
    ) -> None:
        """NotFound may come from something in between: `entry` proves that it is gone."""
        endpoint = _item("DELETE", _kind(kind))
        reply = self._api.send(endpoint, {"entry_id": entry_id}, budget=budget, priority=priority)
        self._api.envelope(reply)

    def change_entries(
        self,
        kind: str,
        *,
        deletes: Sequence[str] = (),
        patches: Sequence[Mapping[str, Any]] = (),
        puts: Sequence[Mapping[str, Any]] = (),
        posts: Sequence[Mapping[str, Any]] = (),
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> BatchResult:
        """Many changes in one call, run in the order of the arguments; patches and puts hold their entry's `id`.

        All of it happens or nothing, except for domains, where the API does not say so. A pointer in an error begins
        with the array and the place in it: `/posts/3/pattern`, `/deletes/0/id` in a NotFound.
        """
        sort = _kind(kind)
        body = _batch(sort, {"deletes": deletes, "patches": patches, "puts": puts, "posts": posts})
        # Not called a collection: a 404 may be about one of the entries in it.
        endpoint = Endpoint("POST", sort.path + "/batch", writes=True, feature=sort.part("batch"))
        self._refuse_if_absent(sort, endpoint)
        try:
            reply = self._api.send(endpoint, json=body, budget=budget, priority=priority)
        except errors.NotOnThisServer as problem:
            self._learn(sort.part("batch"), problem)
            raise
        except errors.NotFound as problem:
            if NO_SUCH_ROUTE not in problem.codes:
                raise
            self._api.missing.remember(sort.part("batch"))
            raise errors.NotOnThisServer(operation=endpoint.name, status=404, ray_id=problem.ray_id) from None
        return self._api.result(reply, lambda raw: _batch_result(sort, body, raw, reply))

    def domain_verification(
        self, domain_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ
    ) -> Verification:
        started = time.monotonic()
        try:
            reply = self._api.send(_VERIFICATION, {"entry_id": domain_id}, budget=budget, priority=priority)
        except errors.NotFound as problem:
            if NO_SUCH_ROUTE not in problem.codes:
                raise
            # No such path, or no such id? If the domain is there, it is the path.
            self.entry("domains", domain_id, budget=time_left(budget, started), priority=priority)
            self._api.missing.remember(KINDS["domains"].part("verification"))
        else:
            return self._api.result(reply, lambda raw: read(raw, Verification))
        raise errors.NotOnThisServer(operation=_VERIFICATION.name)

    def offers(self, kind: str, what: str = "") -> bool:
        """Whether it is worth trying; asks nobody but memory.

        `what` is "" for the resource itself, or "create", "put", "batch", "verification". A server without any of the
        new lists is of the older generation, whose domains were made elsewhere: that is known before it is tried.
        """
        sort = _kind(kind)
        if not sort.has(what) or self._is_absent(sort):
            return False
        if sort.name == "domains" and what == "create" and self._is_older():
            return False
        return not what or not self._api.missing.is_missing(sort.part(what))

    def _is_older(self) -> bool:
        return all(self._is_absent(sort) for sort in KINDS.values() if sort.is_new)

    def _learn(self, feature: str, problem: errors.NotOnThisServer) -> None:
        """A 405 is about the operation even where the path has an id in it, unlike a 404."""
        if problem.status == 405:
            self._api.missing.remember(feature)

    def _is_absent(self, sort: Kind) -> bool:
        return sort.feature is not None and self._api.missing.is_missing(sort.feature)

    def _refuse_if_absent(self, sort: Kind, endpoint: Endpoint) -> None:
        """For operations remembered under a name of their own; the others ask for the resource anyway."""
        if self._is_absent(sort):
            raise errors.NotOnThisServer(operation=endpoint.name)


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise ValueError(f"no list of the account's settings: {name!r}")
    return KINDS[name]


def _item(method: str, sort: Kind) -> Endpoint:
    return Endpoint(method, sort.path + "/{entry_id}", writes=method != "GET", feature=sort.feature)


def _filters(sort: Kind, filters: Mapping[str, str | bool | Sequence[str]]) -> list[tuple[str, str | bool]]:
    if unknown := set(filters).difference(sort.filters):
        raise ValueError(f"{sort.name} are not filtered by {', '.join(sorted(unknown))}")
    found: list[tuple[str, str | bool]] = []
    for name, value in filters.items():
        if isinstance(value, str | bool):
            found.append((name, value))
        else:
            found += [(name, one) for one in value]
    return found


def _ordering(sort: Kind, search: str | None, order: str | None, direction: str | None) -> list[tuple[str, str | None]]:
    if not sort.order and (search or order or direction):
        raise ValueError(f"{sort.name} come in one order and are not searched")
    if order and order not in sort.order:
        raise ValueError(f"{sort.name} are not ordered by {order}")
    if direction and not SortDirection(direction).is_known:
        raise ValueError("a list goes up or down")
    return [("search", search), ("order", order), ("direction", direction)]


def _checked(sort: Kind, values: Mapping[str, Any], *, is_change: bool = False) -> dict[str, Any]:
    """The body of one entry; ValueError for what the API surely does not take."""
    taken = set(sort.entry.writable).difference(sort.entry.fixed if is_change else ())
    if not values or not taken.issuperset(values):
        wrong = ", ".join(sorted(set(values) - taken)) or "nothing"
        raise ValueError(f"name at least one field that can be written, and no other: {sort.name} got {wrong}")
    body = dict(values)
    if "pattern_type" in body:
        pattern_type = PatternType(body["pattern_type"])
        if not pattern_type.is_known or pattern_type == PatternType.UNKNOWN:
            raise ValueError("a pattern is about an address, a domain or an IP")
        body["pattern_type"] = str(pattern_type)
    return body


def _batch(sort: Kind, given: Mapping[str, Sequence[Any]]) -> dict[str, list[dict[str, Any]]]:
    if not sort.batch:
        raise ValueError(f"{sort.name} are changed one by one")
    for name, items in given.items():
        if items and name not in sort.batch:
            raise ValueError(f"a batch of {sort.name} has no {name}")
        if len(items) > MOST_IN_BATCH:
            raise ValueError(f"a batch holds at most {MOST_IN_BATCH} {name}")
    if not any(given.values()):
        raise ValueError("a batch changes something")
    body: dict[str, list[dict[str, Any]]] = {}
    for name in sort.batch:  # all of them: the service wants empty ones, too
        if name == "deletes":
            body[name] = [{"id": _id(entry_id)} for entry_id in given[name]]
        elif name == "posts":
            body[name] = [_checked(sort, values) for values in given[name]]
        else:
            body[name] = [_change(sort, item) for item in given[name]]
    return body


def _change(sort: Kind, item: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in item.items() if name != "id"}
    return {"id": _id(item.get("id")), **_checked(sort, values, is_change=True)}


def _id(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("each change names its entry by id")
    return value


class _Deleted(Answer, frozen=True):
    id: str


def _batch_result(sort: Kind, body: Mapping[str, list[dict[str, Any]]], raw: Any, reply: Reply) -> BatchResult:
    if not isinstance(raw, dict):
        raise msgspec.ValidationError("expected an object")
    # What was asked for and is not answered for is not known to be done; what was not asked for may be left out.
    lists: dict[str, Any] = {name: raw.get(name) if items else [] for name, items in body.items()}
    return BatchResult(
        deletes=tuple(gone.id for gone in read_list(lists["deletes"], _Deleted)),
        **{name: read_list(lists[name], sort.entry) for name in ("patches", "puts", "posts") if name in lists},
        ray_id=reply.ray_id,
    )


def _alone(raw: Any) -> Any:
    """An older server may answer the create of one trusted domain with an array of one."""
    return raw[0] if isinstance(raw, list) and len(raw) == 1 else raw
