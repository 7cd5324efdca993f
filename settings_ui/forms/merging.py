"""Two people changed one entry: what each of them changed, and what stands in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from settings_ui.resources.description import Field, Resource, Values, alike


class Whose(StrEnum):
    NOBODYS = "nobody's"  # neither changed it, or both to the same
    MINE = "mine"
    THEIRS = "theirs"
    BOTH = "both"  # each to something else: somebody has to choose


CHOICE = "keep-"  # the name of a choice in the form begins with it


@dataclass(frozen=True)
class Side:
    """One field of both versions, beside the one they began with."""

    field: Field
    was: Any
    theirs: Any
    mine: Any
    chosen: str = ""  # where both changed it

    @property
    def whose(self) -> Whose:
        if alike(self.mine, self.theirs):
            return Whose.NOBODYS
        if alike(self.was, self.mine):
            return Whose.THEIRS
        return Whose.MINE if alike(self.was, self.theirs) else Whose.BOTH

    @property
    def is_open(self) -> bool:
        return self.whose is Whose.BOTH and self.chosen not in (Whose.MINE, Whose.THEIRS)

    @property
    def kept(self) -> Any:
        takes_mine = self.whose is Whose.MINE or (self.whose is Whose.BOTH and self.chosen == Whose.MINE)
        return self.mine if takes_mine else self.theirs

    @property
    def name(self) -> str:
        return CHOICE + self.field.name

    @property
    def anchor(self) -> str:
        return f"keep-{self.field.name}-mine"

    @property
    def words(self) -> Iterator[tuple[str, str]]:
        """The three versions in words, "" for nothing."""
        for version, value in (("was", self.was), ("theirs", self.theirs), ("mine", self.mine)):
            yield version, self.field.shown(value)


@dataclass(frozen=True)
class Merge:
    sides: tuple[Side, ...]

    @property
    def is_open(self) -> bool:
        """Whether a choice is still to be made."""
        return any(side.is_open for side in self.sides)

    @property
    def changed(self) -> tuple[Side, ...]:
        """What differs between the three versions; the rest needs nobody's eye."""
        return tuple(side for side in self.sides if not (alike(side.was, side.mine) and alike(side.was, side.theirs)))

    @property
    def open_sides(self) -> tuple[Side, ...]:
        return tuple(side for side in self.sides if side.is_open)

    @property
    def values(self) -> dict[str, Any]:
        return {side.field.name: side.kept for side in self.sides}


def merge(resource: Resource, *, was: Values, theirs: Values, mine: Values, chosen: Mapping[str, str]) -> Merge:
    """Compare field by field; `chosen` holds what was posted."""
    return Merge(
        tuple(
            Side(
                field,
                was.get(field.name),
                theirs.get(field.name),
                mine.get(field.name),
                chosen.get(CHOICE + field.name, ""),
            )
            for field in resource.sent
        )
    )
