"""What the comparison of a backup shows: for each list three groups of differences, as many as a page holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.access.models import Member
from dashboard.access.roles import RIGHTS
from settings_ui.backup.comparing import Compared, Difference, Group
from settings_ui.backup.restoring import ALL
from settings_ui.resources import Resource
from settings_ui.tables import words
from settings_ui.tables.dry_run import told

SHOWN = 80  # of each group; of all groups together fewer than the fields a form may have
SHOWN_ALONE = 1_500

_HEADINGS = {
    Group.ONLY_FILE: "only in the backup",
    Group.DIFFERENT: "different",
    Group.ONLY_ACCOUNT: "only in the account",
}
_DOES = {
    Group.ONLY_FILE: "Restoring adds them to the account.",
    Group.DIFFERENT: "Restoring gives them what the backup says.",
    Group.ONLY_ACCOUNT: "Restoring removes them from the account.",
}


@dataclass(frozen=True)
class ShownGroup:
    """One group of one list. `name` is what the address and the form call it."""

    resource: Resource
    group: Group
    differences: Sequence[Difference]
    most: int

    @property
    def name(self) -> str:
        return f"{self.resource.name}/{self.group}"

    @property
    def all_mark(self) -> str:
        return f"{self.name}:{ALL}"

    @property
    def count(self) -> int:
        return len(self.differences)

    @property
    def heading(self) -> str:
        return f"{self.count:,} {_HEADINGS[self.group]}"

    @property
    def does(self) -> str:
        return _DOES[self.group]

    @property
    def every(self) -> str:
        """The tick for all of them."""
        return "This one" if self.count == 1 else f"All {self.count:,}"

    @property
    def is_removal(self) -> bool:
        return self.group is Group.ONLY_ACCOUNT

    @property
    def may_be_ticked(self) -> bool:
        return any(not each.stays for each in self.differences)

    @property
    def rows(self) -> list[tuple[Difference, str, list[tuple[str, str]]]]:
        """Each difference, its mark in the form, and what the entry says where only one side has it."""
        return [
            (each, f"{self.resource.name}/{each.mark}", [] if each.fields else told(self.resource, each.values))
            for each in self.differences[: self.most]
        ]

    @property
    def has_more(self) -> bool:
        return self.count > self.most


@dataclass(frozen=True)
class ShownList:
    """One list of the comparison. `why_not`: why this member restores nothing of it, or ""."""

    resource: Resource
    same: int
    groups: list[ShownGroup]
    why_not: str

    @property
    def named(self) -> str:
        return words.named(self.resource)

    @property
    def same_said(self) -> str:
        return "1 entry is the same." if self.same == 1 else f"{self.same:,} entries are the same."


def shown(member: Member, compared: Sequence[Compared], *, alone: str = "") -> list[ShownList]:
    """`alone`: the name of one group that is shown with as many as a form takes, and nothing else."""
    found = []
    for one in compared:
        groups = [
            ShownGroup(one.resource, group, differences, SHOWN_ALONE if alone else SHOWN)
            for group, differences in one.groups.items()
            if differences
        ]
        wanted = [group for group in groups if alone in ("", group.name)]
        if alone and not wanted:
            continue
        why_not = "" if member.may(one.resource.write) else f"You lack the right to {RIGHTS[one.resource.write]}."
        found.append(ShownList(one.resource, one.same, wanted, why_not))
    return found
