"""The settings resources: lists with filters and order, create, read, change, delete, batches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from dashboard.simulator.conformance import FIXTURE_ID, settings_fixture
from dashboard.simulator.kinds import KINDS, Kind, Problem
from dashboard.simulator.profiles import only
from dashboard.simulator.schema import (
    DELIVERY_MODES,
    DOMAIN_STATUSES,
    PROVENANCES,
    boolean_from_query,
    choice_from_query,
    paged,
    problems_of,
    require_object,
)
from dashboard.simulator.wire import ApiError, Reply, Request, ValidationError, not_found, rfc3339
from dashboard.simulator.world import World

Entry = dict[str, Any]
Key = tuple[str, ...]  # what must not be there twice, folded
Handler = Callable[[Request, dict[str, str]], Reply]

_OLD_FLAGS = {
    "is_sender": "is_trusted_sender",
    "is_recipient": "is_exempt_recipient",
    "is_spoof": "is_acceptable_sender",
}
_NUMBERED_IN_SEED = frozenset(
    {"allow_policies", "block_senders", "domains", "trusted_domains", "impersonation_registry"}
)
_ACTIVATION = 120.0  # seconds until a new domain's records are found in DNS
_BATCH_LIMIT = 1000


class SettingsApi:
    """All kinds. Entries are plain dicts with `id`, `created_at`, `modified_at` (epoch seconds) beside their fields."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entries: dict[str, dict[str, Entry]] = {name: {} for name in KINDS}
        self._ids_by_key: dict[str, dict[Key, set[str]]] = {name: {} for name in KINDS}
        self._numbers = 2400

    def handlers(self) -> dict[str, Handler]:
        found: dict[str, Handler] = {}
        for kind in KINDS.values():
            for verb, method in (
                ("list", self._list),
                ("create", self._create),
                ("get", self._get),
                ("patch", self._patch),
                ("put", self._put),
                ("delete", self._delete),
                ("batch", self._batch),
            ):
                found[f"{kind.name}.{verb}"] = _bind(method, kind)
        found["domains.verification"] = self._verification
        found["domains.bulk_delete"] = self._bulk_delete
        return found

    def seed_entry(self, kind: str, at: float, **values: Any) -> Entry:
        """Put an entry in place without a call: the account's configuration before anybody signed in."""
        rules = KINDS[kind]
        defaults = {name: spec.default for name, spec in rules.fields.items() if not spec.required}
        return self._store(rules, {**defaults, **copy.deepcopy(rules.extra), **values}, at)

    # reading

    def _list(self, kind: Kind, request: Request, _params: dict[str, str]) -> Reply:
        everything = list(self.entries[kind.name].values())
        keep = self._filters(kind, request.query, request.now)
        rows = [entry for entry in everything if all(test(entry) for test in keep)]
        order = choice_from_query(request.query, "order", frozenset(kind.order)) if kind.order else None
        direction = choice_from_query(request.query, "direction", frozenset({"asc", "desc"})) if kind.order else None
        key = order or "created_at"
        rows.sort(key=lambda entry: entry["id"])
        rows.sort(
            key=lambda entry: entry[key].casefold() if isinstance(entry[key], str) else entry[key],
            reverse=(direction or ("desc" if order is None else "asc")) == "desc",
        )
        found, info = paged(rows, request.query, before_filters=len(everything))
        return Reply([self._shown(kind, entry, request.now) for entry in found], info=info)

    def _filters(self, kind: Kind, query: dict[str, list[str]], now: float) -> list[Callable[[Entry], bool]]:
        tests: list[Callable[[Entry], bool]] = []
        for name in kind.bool_filters:
            wanted = boolean_from_query(query, name)
            if wanted is not None:
                tests.append(_equals(name, wanted))
        for name in kind.text_filters:
            values = [value for value in query.get(name, []) if value]
            if name == "status" and values and not self.world.profile.relaxed:
                choice_from_query(query, name, DOMAIN_STATUSES)
            if name == "provenance":
                choice_from_query(query, name, PROVENANCES)
            if values:
                tests.append(self._value_in(kind, name, values, now))
        if kind.name == "domains":
            for name in ("active_delivery_mode", "allowed_delivery_mode"):
                mode = choice_from_query(query, name, DELIVERY_MODES)
                if mode is not None:
                    tests.append(_allows(mode))
        words = query.get("search", [""])[-1].lower().split() if kind.searched else []
        if words:
            tests.append(
                lambda entry: all(
                    any(word in str(entry.get(name) or "").lower() for name in kind.searched) for word in words
                )
            )
        return tests

    def _value_in(self, kind: Kind, name: str, values: list[str], now: float) -> Callable[[Entry], bool]:
        if kind.name == "domains" and name == "status":
            return lambda entry: _status(entry, now) in values
        return lambda entry: entry[name] in values

    def _get(self, kind: Kind, request: Request, params: dict[str, str]) -> Reply:
        return Reply(self._shown(kind, self._find(kind, params["id"]), request.now))

    def _find(self, kind: Kind, entry_id: str) -> Entry:
        entry = self.entries[kind.name].get(entry_id)
        if entry is None and self.world.profile.relaxed and entry_id == FIXTURE_ID:
            return settings_fixture(kind)
        if entry is None:
            raise not_found(kind.label)
        return entry

    def _verification(self, request: Request, params: dict[str, str]) -> Reply:
        entry = self._find(KINDS["domains"], params["id"])
        status = _status(entry, request.now)
        checked = entry["created_at"] + _ACTIVATION if status == "ACTIVE" else None
        return Reply(
            {
                "status": status,
                "txt_record_name": f"_cf-email-sec-challenge.{entry['domain']}",
                "txt_record_value": f"cf-verify-{entry['id'].replace('-', '')[:16]}",
                "last_checked_at": None if checked is None else rfc3339(checked),
            }
        )

    # changing

    def _create(self, kind: Kind, request: Request, _params: dict[str, str]) -> Reply:
        body = request.json()
        if self.world.profile.seed_generation and kind.name == "trusted_domains" and isinstance(body, list):
            entries = [self._add(kind, item, request.now, f"/{index}") for index, item in enumerate(body)]
            return Reply([self._shown(kind, entry, request.now) for entry in entries], status=201)
        entry = self._add(kind, body, request.now)
        return Reply(self._shown(kind, entry, request.now), status=201)

    def _patch(self, kind: Kind, request: Request, params: dict[str, str]) -> Reply:
        entry = self._change(kind, params["id"], request.json(), request.now, partial=True)
        return Reply(self._shown(kind, entry, request.now))

    def _put(self, kind: Kind, request: Request, params: dict[str, str]) -> Reply:
        entry = self._change(kind, params["id"], request.json(), request.now, partial=False)
        return Reply(self._shown(kind, entry, request.now))

    def _delete(self, kind: Kind, request: Request, params: dict[str, str]) -> Reply:
        return Reply({"id": self._remove(kind, params["id"], request.now)})

    def _bulk_delete(self, request: Request, _params: dict[str, str]) -> Reply:
        body = request.json()
        if body is None and self.world.profile.relaxed:
            return Reply([])
        if not isinstance(body, list) or not body:
            raise ValidationError([("", "The request body must be a non-empty array of objects with an id.")])
        kind = KINDS["domains"]
        ids = [str(require_object(item).get("id")) for item in body]
        for entry_id in ids:
            self._find(kind, entry_id)
        return Reply([{"id": self._remove(kind, entry_id, request.now)} for entry_id in ids])

    def _batch(self, kind: Kind, request: Request, _params: dict[str, str]) -> Reply:
        """Deletes, patches, puts, posts, in this order; one wrong item undoes all of them."""
        body = require_object(request.json())
        problems: list[Problem] = []
        for name in kind.batch:
            items = body.get(name)
            if not isinstance(items, list):
                problems.append((f"/{name}", f"{name}: is required and must be an array"))
            elif len(items) > _BATCH_LIMIT:
                problems.append((f"/{name}", f"{name}: must have at most {_BATCH_LIMIT} items"))
        if problems:
            raise ValidationError(problems)
        before = self.entries[kind.name].copy()  # entries are replaced, never changed
        ledger_mark = len(self.world.ledger)
        try:
            results = {name: [] for name in kind.batch}
            for name in kind.batch:
                for index, item in enumerate(body[name]):
                    results[name].append(self._batch_item(kind, name, item, f"/{name}/{index}", request.now))
        except ApiError:
            self._restore(kind, before)
            self.world.ledger.undo_to(ledger_mark)
            raise
        return Reply(results)

    def _restore(self, kind: Kind, entries: dict[str, Entry]) -> None:
        self.entries[kind.name] = entries
        self._ids_by_key[kind.name] = {}
        for entry_id, entry in entries.items():
            self._ids_by_key[kind.name].setdefault(_key(kind, entry), set()).add(entry_id)

    def _batch_item(self, kind: Kind, name: str, item: Any, pointer: str, now: float) -> Entry:
        if not isinstance(item, dict):
            raise ValidationError([(pointer, "must be an object")])
        if name == "posts":
            return self._shown(kind, self._add(kind, item, now, pointer), now)
        entry_id = item.get("id")
        if entry_id is None and self.world.profile.relaxed:
            entry_id = FIXTURE_ID
        if entry_id is None:
            raise ValidationError([(f"{pointer}/id", "id: is required")])
        changes = {key: value for key, value in item.items() if key != "id"}
        try:
            if name == "deletes":
                return {"id": self._remove(kind, str(entry_id), now)}
            partial = name == "patches" or self.world.profile.relaxed
            entry = self._change(kind, str(entry_id), changes, now, partial=partial, pointer=pointer)
        except ApiError as exc:
            if exc.pointer is None:
                exc.pointer = f"{pointer}/id"
            raise
        return self._shown(kind, entry, now)

    def _add(self, kind: Kind, body: Any, now: float, pointer: str = "") -> Entry:
        body = require_object(body)
        problems = problems_of(body, kind.fields, closed=kind.closed_create, pointer=pointer)
        problems += kind.rule(body, pointer)
        self._refuse(kind, problems)
        values = {name: copy.deepcopy(_given(kind, body, name)) for name in kind.fields if name not in _OLD_FLAGS}
        self._refuse_duplicate(kind, values, None, pointer)
        entry = self._store(kind, {**copy.deepcopy(kind.extra), **values}, now)
        self.world.ledger.record("create", None, None, now, resource=kind.name, id=entry["id"])
        return entry

    def _change(self, kind: Kind, entry_id: str, body: Any, now: float, *, partial: bool, pointer: str = "") -> Entry:
        entry = self._find(kind, entry_id)
        body = require_object(body)
        relaxed, seed_generation = self.world.profile.relaxed, self.world.profile.seed_generation
        fields = {name: spec for name, spec in kind.fields.items() if seed_generation or name not in kind.immutable}
        problems = problems_of(body, fields, partial=partial, closed=kind.closed_edit, pointer=pointer)
        if partial and not body and kind.name != "domains" and not relaxed:
            problems.append((pointer, "At least one field is required."))
        if not seed_generation:
            problems += [
                (f"{pointer}/{name}", f"{name}: cannot be changed") for name in sorted(kind.immutable) if name in body
            ]
        elif kind.name == "domains" and "ip_restrictions" not in body:
            problems.append((f"{pointer}/ip_restrictions", "ip_restrictions: is required"))
        if partial and kind.null_on_edit is not None:
            problems += [
                (f"{pointer}/{name}", f"{name}: must not be null")
                for name, value in body.items()
                if value is None and name in fields and fields[name].nullable and name not in kind.null_on_edit
            ]
        given = {name: copy.deepcopy(_given(kind, body, name)) for name in body if name in fields}
        for old, new in _OLD_FLAGS.items():
            if old in given:
                given.setdefault(new, given.pop(old))
        if not partial:
            given = {name: spec.default for name, spec in fields.items() if name not in _OLD_FLAGS} | given
        changed = {**entry, **given, "modified_at": now}
        problems += kind.rule(changed, pointer)
        self._refuse(kind, problems)
        if kind.name == "impersonation_registry" and entry.get("provenance") not in (None, "A1S_INTERNAL"):
            raise ApiError(400, 1400, "Entries synchronised from a directory cannot be edited.")
        self._refuse_duplicate(kind, changed, entry_id, pointer)
        if entry_id in self.entries[kind.name]:  # a fixture stays as it is
            self._forget_key(kind, entry)
            self._keep(kind, changed)
        verb = "patch" if partial else "put"
        self.world.ledger.record(verb, None, None, now, resource=kind.name, id=entry_id, fields=sorted(given))
        return changed

    def _remove(self, kind: Kind, entry_id: str, now: float) -> Any:
        entry = self._find(kind, entry_id)
        if self.entries[kind.name].pop(entry_id, None) is not None:
            self._forget_key(kind, entry)
        self.world.ledger.record("delete", None, None, now, resource=kind.name, id=entry_id)
        return self._id(kind, entry)

    def _store(self, kind: Kind, values: Entry, at: float) -> Entry:
        self._numbers += 1
        numbered = self.world.profile.seed_generation and kind.name in _NUMBERED_IN_SEED
        entry_id = str(self._numbers) if numbered else self.world.new_id()
        entry = {"id": entry_id, **values, "created_at": at, "modified_at": at}
        self._keep(kind, entry)
        return entry

    def _keep(self, kind: Kind, entry: Entry) -> None:
        self.entries[kind.name][entry["id"]] = entry
        self._ids_by_key[kind.name].setdefault(_key(kind, entry), set()).add(entry["id"])

    def _forget_key(self, kind: Kind, entry: Entry) -> None:
        ids = self._ids_by_key[kind.name].get(_key(kind, entry), set())
        ids.discard(entry["id"])
        if not ids:
            self._ids_by_key[kind.name].pop(_key(kind, entry), None)

    def _refuse(self, kind: Kind, problems: list[Problem]) -> None:
        if self.world.profile.relaxed and kind.name in ("domains", "sending_domain_restrictions"):
            # The SDK's suite sends the literal text "domain" where a domain name belongs.
            problems = [(at, text) for at, text in problems if not (at or "").endswith("/domain")]
            problems = [(at, text) for at, text in problems if not (at or "").endswith("/exclude")]
        if problems:
            raise ValidationError(problems)

    def _refuse_duplicate(self, kind: Kind, values: Entry, own_id: str | None, pointer: str) -> None:
        if self.world.profile.relaxed:
            return
        same = self._ids_by_key[kind.name].get(_key(kind, values), set())
        if any(entry_id != own_id and entry_id in self.entries[kind.name] for entry_id in same):
            message = f"{kind.label} with this {' and '.join(kind.unique)} already exists."
            raise ApiError(409, 1409, message, pointer=f"{pointer}/{kind.unique[0]}")

    # showing

    def _id(self, kind: Kind, entry: Entry) -> Any:
        numbered = self.world.profile.seed_generation and kind.name in _NUMBERED_IN_SEED
        return int(entry["id"]) if numbered else entry["id"]

    def _shown(self, kind: Kind, entry: Entry, now: float) -> Entry:
        created, modified = rfc3339(entry["created_at"]), rfc3339(entry["modified_at"])
        shown = {**entry, "id": self._id(kind, entry), "created_at": created}
        del shown["modified_at"]
        for old in _OLD_FLAGS:
            shown.pop(old, None)
        if kind.name == "domains":
            shown["status"] = _status(entry, now)
            if shown["authorization"] is None and shown["status"] == "ACTIVE":
                shown["authorization"] = {"authorized": True, "timestamp": created, "status_message": None}
        retired = {"last_modified": modified} if kind.has_last_modified else {}
        if kind.name == "allow_policies":
            retired |= {old: entry[new] for old, new in _OLD_FLAGS.items()}
        old_form = {**shown, **retired}
        if kind.name == "domains":
            for name in ("require_tls_inbound", "require_tls_outbound"):
                old_form[name] = bool(old_form[name])
            old_form["status"] = old_form["status"].lower()
        elif kind.name == "impersonation_registry":
            for name in ("directory_id", "directory_node_id", "external_directory_node_id", "comments"):
                old_form.pop(name)
        return only(self.world.profile, current={**shown, "modified_at": modified}, retired=retired, seed=old_form)


def _given(kind: Kind, body: dict[str, Any], name: str) -> Any:
    """What a body says about a field, where it may not say it, or say null and mean the default."""
    value = body.get(name)
    is_default = name not in body or (value is None and name in kind.null_is_default)
    return kind.fields[name].default if is_default else value


def _status(entry: Entry, now: float) -> str:
    pending = entry["status"] == "PENDING" and now < entry["created_at"] + _ACTIVATION
    return "PENDING" if pending else "ACTIVE" if entry["status"] == "PENDING" else str(entry["status"])


def _key(kind: Kind, entry: Entry) -> Key:
    return tuple(str(entry[name]).casefold() for name in kind.unique)


def _equals(name: str, wanted: bool) -> Callable[[Entry], bool]:  # noqa: FBT001 - the value compared with
    return lambda entry: entry[name] is wanted


def _allows(mode: str) -> Callable[[Entry], bool]:
    return lambda entry: mode in entry["allowed_delivery_modes"]


def _bind(method: Callable[[Kind, Request, dict[str, str]], Reply], kind: Kind) -> Handler:
    return lambda request, params: method(kind, request, params)
