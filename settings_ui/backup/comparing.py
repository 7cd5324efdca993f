"""A backup beside the account as it is now: what only one of them has, and what differs, field by field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dashboard.emailsec.types import SettingsEntry
from settings_ui.backup.files import Item
from settings_ui.resources.description import Field, Resource, Values, alike


class Group(StrEnum):
    ONLY_FILE = "file"
    DIFFERENT = "different"
    ONLY_ACCOUNT = "account"


@dataclass(frozen=True)
class FieldDifference:
    """One field that both have and that says something else."""

    field: Field
    in_file: str
    in_account: str


@dataclass(frozen=True)
class Difference:
    """One entry that is not the same on both sides. `mark` names it in a form: the place in the file, or the id."""

    group: Group
    mark: str
    label: str
    item: Item | None = None
    entry: SettingsEntry | None = None
    fields: Sequence[FieldDifference] = ()
    stays: str = ""  # why this is not for us to change

    @property
    def values(self) -> Values:
        return self.item.values if self.item is not None else self.entry.values() if self.entry is not None else {}


@dataclass(frozen=True)
class Compared:
    """One list of both."""

    resource: Resource
    same: int
    groups: dict[Group, list[Difference]] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        return not any(self.groups.values())


def compare(resource: Resource, items: Sequence[Item], entries: Sequence[SettingsEntry]) -> Compared:
    """Entries are the same by id, else by what no two of them share; each is compared once."""
    values = {entry.id: entry.values() for entry in entries}
    by_id = {entry.id: entry for entry in entries}
    pairs: dict[int, SettingsEntry] = {place: by_id[item.id] for place, item in enumerate(items) if item.id in by_id}
    taken = {entry.id for entry in pairs.values()}
    by_key = {resource.key(values[entry.id]): entry for entry in entries if entry.id not in taken}
    for place, item in enumerate(items):
        if place not in pairs and (entry := by_key.pop(resource.key(item.values), None)) is not None:
            pairs[place] = entry
    groups: dict[Group, list[Difference]] = {group: [] for group in Group}
    same, met = 0, set[str]()
    for place, item in enumerate(items):
        label, mark = resource.label(item.values), f"{Group.ONLY_FILE}:{place}"
        other = pairs.get(place)
        if other is None or other.id in met:
            groups[Group.ONLY_FILE].append(Difference(Group.ONLY_FILE, mark, label, item))
            continue
        met.add(other.id)
        differ = differences(resource, item.values, values[other.id])
        if not differ:
            same += 1
            continue
        stays = resource.fixed_because(values[other.id])
        groups[Group.DIFFERENT].append(Difference(Group.DIFFERENT, mark, label, item, other, differ, stays))
    for entry in entries:
        if entry.id not in met:
            mark = f"{Group.ONLY_ACCOUNT}:{entry.id}"
            label = resource.label(values[entry.id])
            stays = why_not_removed(resource, values[entry.id])
            groups[Group.ONLY_ACCOUNT].append(Difference(Group.ONLY_ACCOUNT, mark, label, entry=entry, stays=stays))
    return Compared(resource, same, groups)


def differences(resource: Resource, in_file: Values, in_account: Values) -> list[FieldDifference]:
    """Of what can be sent; what only the service says is its own, and what a file does not name is not compared."""
    return [
        FieldDifference(each, each.shown(in_file[each.name]), each.shown(in_account.get(each.name)))
        for each in resource.sent
        if each.name in in_file and not each.is_fixed and not alike(in_file[each.name], in_account.get(each.name))
    ]


def why_not_removed(resource: Resource, values: Values) -> str:
    if resource.takes_typing:
        return f"A {resource.singular} is never removed from a file: remove it on its own page."
    return resource.fixed_because(values)
