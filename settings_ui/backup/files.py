"""The file of a backup: what is in it, how it is written, and how one that comes back is read."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from dashboard.emailsec.types import SettingsEntry
from settings_ui.resources import BY_NAME, RESOURCES, Resource
from settings_ui.resources.description import shortened
from settings_ui.tables import columns
from settings_ui.tables.lives import NOTHING, kept

FORMAT, VERSION = "mailwarden-settings", 1
LARGEST_FILE = 50_000_000  # bytes
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
        raise Unreadable(f"The file is larger than {LARGEST_FILE // 1_000_000} MB, which no backup of ours is.")
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
        backup = msgspec.json.decode(data, type=Backup)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise Unreadable(f"The backup was changed and cannot be read: {_where(problem)}") from None
    for resource, items in backup.known:
        if len(items) > MOST_ENTRIES:
            raise Unreadable(f"{resource.title} in it has {len(items):,} entries; {MOST_ENTRIES:,} is the most.")
    if backup.taken_at.tzinfo is None:
        raise Unreadable("The backup was changed and cannot be read: taken_at names no time zone.")
    return backup


def _where(problem: Exception) -> str:
    """msgspec says what it expected and where: "Expected `str`, got `int` - at `$.resources[...][0].id`"."""
    return shortened(str(problem), 200).rstrip(".") + "." if isinstance(problem, msgspec.DecodeError) else "too deep."
