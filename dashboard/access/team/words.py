"""What a change of rights means, in sentences: read before it is saved, and kept with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.access.roles import RIGHTS, Permission
from dashboard.access.scope import WHOLE, Scope

NAMES_SHOWN = 8


@dataclass(frozen=True)
class Access:
    """What somebody may do, and on mail to whom."""

    permissions: frozenset[Permission] = frozenset()
    scope: Scope = WHOLE


NO_ACCESS = Access()


@dataclass(frozen=True)
class Meaning:
    """A sentence about rights that pages show as a list where there are several."""

    lead: str  # "Ana loses the right to"
    rights: tuple[str, ...]

    @classmethod
    def of(cls, lead: str, permissions: Iterable[Permission]) -> Meaning:
        return cls(lead, tuple(RIGHTS[one] for one in sorted(permissions)))

    def __str__(self) -> str:
        return f"{self.lead} {joined(self.rights, before='to ')}."


def rights(permissions: Iterable[Permission]) -> str:
    """ "purge messages, to move messages and to manage the team", in the order of the table."""
    return joined([RIGHTS[one] for one in sorted(permissions)], before="to ")


def joined(parts: Sequence[str], *, before: str = "") -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f", {before}".join(parts[:-1]) + f" and {before}{parts[-1]}"


def named(names: Sequence[str]) -> str:
    """Names as a sentence holds them, the first few of many."""
    if len(names) > NAMES_SHOWN:
        return f"{', '.join(names[:NAMES_SHOWN])} and {len(names) - NAMES_SHOWN} more"
    return joined(names)


def gains_and_losses(name: str, before: Access, after: Access) -> list[str | Meaning]:
    """What changes for one person; empty where nothing does."""
    gained, lost = after.permissions - before.permissions, before.permissions - after.permissions
    said: list[str | Meaning] = []
    if gained:
        said.append(Meaning.of(f"{name} gains the right to", gained))
    if lost:
        said.append(Meaning.of(f"{name} loses the right to", lost))
    if after.permissions:
        said += _domains(name, before, after)
    return said


def _domains(name: str, before: Access, after: Access) -> list[str]:
    old, new = before.scope, after.scope
    said = []
    if old != new and before.permissions:
        if new.is_whole:
            said.append(f"{name} gains mail to all domains; until now {old}.")
        elif old.is_whole:
            said.append(f"{name} loses mail to all domains but {new}.")
        else:
            if more := new.domains - old.domains:
                said.append(f"{name} gains mail to {joined(sorted(more))}.")
            if fewer := old.domains - new.domains:
                said.append(f"{name} loses mail to {joined(sorted(fewer))}.")
    elif not new.is_whole and not before.permissions:
        said.append(f"This holds for mail to {joined(sorted(new.domains))} only.")
    closed = after.permissions & {Permission.AUDIT_READ, Permission.TEAM_MANAGE}
    if closed and not new.is_whole and (old != new or before.permissions != after.permissions):
        said.append(
            f"Limited to domains, {name} cannot use the right to {rights(closed)}: it covers the whole account."
        )
    return said


def beyond(permissions: Iterable[Permission]) -> str:
    """Why somebody without the right to give more than they hold may not do this."""
    return (
        f"This is about the right to {rights(permissions)}, which you do not hold. Somebody with the right to "
        f"{RIGHTS[Permission.TEAM_GRANT]} can do it."
    )
