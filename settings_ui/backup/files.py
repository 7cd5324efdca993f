"""The file of a backup: what is in it, how it is written, and how one that comes back is read."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from dashboard.emailsec.types import SettingsEntry
from settings_ui.resources import BY_NAME, RESOURCES, Resource
from settings_ui.resources.description import shortened
from settings_ui.tables import columns
from settings_ui.tables.lives import NOTHING, kept

FORMAT, VERSION = "mailwarden-settings", 1
LARGEST_FILE = 15_000_000  # bytes
MOST_LISTS = 100
MOST_ENTRIES = 50_000  # of one list


class Unreadable(ValueError):
    """This is no backup that can be used; the text says why."""


class Item(msgspec.Struct, frozen=True):
    """One entry in a backup."""

    id: str
    values: dict[str, Any]
    created_at: str | None = None
    modified_at: str | None = None
    life: dict[str, str | None] = {}

    @property
    def life_cells(self) -> dict[str, str]:
        """Owner, ticket, reason and end as a line of a CSV file has them."""
        return {name: self.life.get(name) or "" for name in columns.LIFE}


class Backup(msgspec.Struct, frozen=True):
    """A backup that was read."""

    account_id: str
    taken_at: dt.datetime
    resources: dict[str, list[Item]]
    missing: list[str] = []  # lists that the account's server did not have

    @property
    def known(self) -> list[tuple[Resource, list[Item]]]:
        return [(one, self.resources[one.name]) for one in RESOURCES if one.name in self.resources]

    @property
    def unknown(self) -> list[str]:
        """What this version knows nothing of, and leaves out."""
        return [shortened(name, 60) for name in self.resources if name not in BY_NAME]


class _Head(msgspec.Struct, frozen=True):
    format: str | None = None
    version: int | None = None


class _Name(str):
    """What a list is called; a type of its own, so that `_Names` is asked."""

    __slots__ = ()


class _Names:
    """Hands on the names of lists while they are few: a file may be nothing but names."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, _wanted: type, name: str) -> _Name:
        self.number += 1
        if self.number > MOST_LISTS:
            raise ValueError(f"it has more than {MOST_LISTS} lists")
        return _Name(name)


class _Whole(msgspec.Struct, frozen=True):
    """The file as it is, with lists that nobody has looked into yet: what is not ours is never taken apart."""

    account_id: str
    taken_at: dt.datetime
    resources: dict[_Name, msgspec.Raw]
    missing: Annotated[list[str], msgspec.Meta(max_length=MOST_LISTS)] = []


class _Life(msgspec.Struct, frozen=True):
    owner: str | None = None
    ticket: str | None = None
    reason: str | None = None
    ends: str | None = None


class _RawItem(msgspec.Struct, frozen=True):
    id: str
    values: msgspec.Raw
    created_at: str | None = None
    modified_at: str | None = None
    life: _Life = _Life()


_Scalar = str | int | float | bool | None
_VALUE = msgspec.json.Decoder(_Scalar | list[_Scalar])  # whatever a field of ours may hold
_VALUES = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Taken:
    """The account's lists, read as wholes; a list that its server does not have is missing."""

    account_id: str
    taken_at: dt.datetime
    lists: Mapping[str, Sequence[SettingsEntry]]
    missing: Sequence[str]

    @property
    def number(self) -> int:
        return sum(map(len, self.lists.values()))


def written(taken: Taken) -> bytes:
    """The file. Entries stand one on each line, so that two files can be compared by what compares texts."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "account_id": taken.account_id,
        "taken_at": columns.moment(taken.taken_at),
        "missing": list(taken.missing),
    }
    lists = [
        f" {json.dumps(name)}: [" + ",".join(f"\n  {_item(one)}" for one in _items(BY_NAME[name], entries)) + "\n ]"
        for name, entries in taken.lists.items()
    ]
    fields = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    return ("{\n" + ",\n".join(fields) + ',\n"resources": {\n' + ",\n".join(lists) + "\n}}\n").encode()


def _item(item: Mapping[str, Any]) -> str:
    return json.dumps(item, sort_keys=True)


def _items(resource: Resource, entries: Sequence[SettingsEntry]) -> list[dict[str, Any]]:
    lives = kept(resource, [entry.id for entry in entries])
    return [
        {
            "id": entry.id,
            "created_at": columns.moment(entry.created_at) or None,
            "modified_at": columns.moment(entry.modified_at) or None,
            "values": entry.values(),
            "life": {name: cell for name, cell in lives.get(entry.id, NOTHING).cells.items() if cell},
        }
        for entry in entries
    ]


def parsed(data: bytes) -> Backup:
    """What a file holds. Raises Unreadable."""
    if len(data) > LARGEST_FILE:
        raise Unreadable(f"The file is larger than {LARGEST_FILE // 1_000_000} MB, which is more than can be compared.")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.ValidationError:
        raise Unreadable("This is not a backup of the settings.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable("The file is no JSON: it is another file, or was cut off on its way.") from None
    if head.format != FORMAT:
        raise Unreadable("This is not a backup of the settings.")
    if head.version != VERSION:
        raise Unreadable(f"The file is of version {head.version}, and this Mailwarden reads version {VERSION}.")
    try:
        backup = _decoded(data)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise Unreadable(f"The backup was changed and cannot be read: {_where(problem)}") from None
    if backup.taken_at.tzinfo is None:
        raise Unreadable("The backup was changed and cannot be read: taken_at names no time zone.")
    return backup


def _decoded(data: bytes) -> Backup:
    """Only what is ours is taken apart, and its entries are counted first: the file may be made to fill the memory."""
    whole = msgspec.json.decode(data, type=_Whole, dec_hook=_Names())
    lists: dict[str, list[Item]] = {}
    for name, raw in whole.resources.items():
        lists[str(name)] = _read(BY_NAME[name], raw) if name in BY_NAME else []
    return Backup(whole.account_id, whole.taken_at, lists, whole.missing)


def _read(resource: Resource, raw: msgspec.Raw) -> list[Item]:
    found = msgspec.json.decode(raw, type=list[_RawItem])
    if len(found) > MOST_ENTRIES:
        raise Unreadable(f"{resource.title} in it has {len(found):,} entries; {MOST_ENTRIES:,} is the most.")
    names = {field.name for field in resource.fields}
    return [
        Item(
            one.id,
            {name: _value(value) for name, value in _VALUES.decode(one.values).items() if name in names},
            one.created_at,
            one.modified_at,
            msgspec.structs.asdict(one.life),
        )
        for one in found
    ]


def _value(raw: msgspec.Raw) -> Any:
    """What stands in a field; what no field takes is an object, which is told at its line."""
    try:
        return _VALUE.decode(raw)
    except msgspec.ValidationError:
        return {}


def _where(problem: Exception) -> str:
    """msgspec says what it expected and where: "Expected `str`, got `int` - at `$.resources[...][0].id`"."""
    return shortened(str(problem), 200).rstrip(".") + "." if isinstance(problem, msgspec.DecodeError) else "too deep."
