"""What a dry run shows: how many lines do what, and what some of them would do exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, QuerySet

from dashboard.access.models import Member
from dashboard.web.times import moment
from settings_ui.entries.life import Life
from settings_ui.models import Change, Line, Verb
from settings_ui.resources import BY_NAME, Resource, Values
from settings_ui.tables import words

SHOWN = 50  # lines of each kind
_ORDER = (Verb.BAD, Verb.REMOVE, Verb.CHANGE, Verb.ADD, Verb.SAME)


@dataclass(frozen=True)
class Said:
    """One field of a line. `before` is None where the line makes or removes the whole entry."""

    label: str
    value: str
    before: str | None = None


@dataclass(frozen=True)
class Row:
    """One line as it is shown. `danger` is what is dangerous about it, `told` anything else."""

    number: int
    label: str
    fields: Sequence[Said]
    danger: str = ""
    told: str = ""
    cells: Sequence[str] = ()  # of a line that cannot be used: as it was written


@dataclass(frozen=True)
class Block:
    """The lines that do the same."""

    verb: Verb
    count: int
    rows: list[Row] = field(default_factory=list)
    is_page: bool = False  # of all of them, with other pages before and after it

    @property
    def heading(self) -> str:
        return words.heading(self.verb, self.count)

    @property
    def has_more(self) -> bool:
        return not self.is_page and self.count > len(self.rows)


@dataclass(frozen=True)
class DryRun:
    """A change before it is decided."""

    resource: Resource
    counts: Mapping[Verb, int]
    blocks: list[Block]
    dangerous: int
    remarks: list[str]

    @property
    def sentence(self) -> str:
        return words.sentence(self.counts)

    @property
    def command(self) -> str:
        return words.command(self.counts, self.resource, self.dangerous)

    @property
    def named(self) -> str:
        return words.named(self.resource)

    @property
    def singular(self) -> str:
        return self.resource.singular[:1].upper() + self.resource.singular[1:]

    @property
    def dangerous_said(self) -> str:
        return words.dangerous(self.dangerous)

    @property
    def does_something(self) -> bool:
        return any(self.counts.get(verb) for verb in (Verb.ADD, Verb.CHANGE, Verb.REMOVE))

    @property
    def removed(self) -> int:
        return self.counts.get(Verb.REMOVE, 0)


def of(change: Change, *, shown: int = SHOWN) -> DryRun:
    """What the page of a draft shows."""
    resource = BY_NAME[change.resource]
    counts = Counter({Verb(verb): number for verb, number in _counted(change)})
    blocks = [
        Block(verb, counts[verb], rows(resource, change.lines.filter(verb=verb).order_by("number", "pk")[:shown]))
        for verb in _ORDER
        if counts[verb]
    ]
    return DryRun(resource, counts, blocks, dangerous(change), change.remarks.splitlines())


def dangerous(change: Change) -> int:
    """How many of the lines that would be sent are dangerous."""
    return change.lines.filter(verb__in=[Verb.ADD, Verb.CHANGE]).exclude(explanation="").count()


def rows(resource: Resource, lines: QuerySet[Line] | Iterable[Line]) -> list[Row]:
    found = list(lines)
    owners = _owners(found)
    return [_row(resource, line, owners) for line in found]


def _row(resource: Resource, line: Line, owners: Mapping[int, str]) -> Row:
    is_sent = line.verb in (Verb.ADD, Verb.CHANGE)
    return Row(
        number=line.number,
        label=line.label,
        fields=[*_fields(resource, line), *_life(line, owners)],
        danger=line.explanation if is_sent else "",
        told="" if is_sent else line.explanation,
        cells=_written(line) if line.verb == Verb.BAD else (),
    )


def _written(line: Line) -> list[str]:
    """The line as the file has it, without the empty cells at its end."""
    cells: list[str] = list(line.values.get("cells", []))
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _fields(resource: Resource, line: Line) -> list[Said]:
    match line.verb:
        case Verb.ADD | Verb.REMOVE:
            values = line.values if line.verb == Verb.ADD else line.before or {}
            return [Said(label, value) for label, value in told(resource, values)]
        case Verb.CHANGE:
            before = line.before or {}
            return [
                Said(each.label, each.shown(line.values[each.name]), each.shown(before.get(each.name)))
                for each in resource.sent
                if each.name in line.values
            ]
    return []


def told(resource: Resource, values: Values) -> list[tuple[str, str]]:
    """What an entry says besides its name: no field that says nothing, and no flag that is not set."""
    return [
        (each.label, each.shown(value))
        for each in resource.sent
        if each.name != resource.identity[0] and (value := values.get(each.name)) not in (None, "", [], False)
    ]


def _life(line: Line, owners: Mapping[int, str]) -> list[Said]:
    life = Life.of(line.life)
    said: list[tuple[str, Any]] = [
        ("Owner", owners.get(life.owner_id or 0, "")),
        ("Ticket", life.ticket),
        ("Reason", life.reason),
        ("Ends", moment(life.expires_at) if life.expires_at else ""),
    ]
    return [Said(label, value) for label, value in said if value]


def _owners(lines: Sequence[Line]) -> dict[int, str]:
    ids = {line.life.get("owner_id") for line in lines} - {None}
    return {member.pk: member.display_name for member in Member.objects.filter(pk__in=ids)} if ids else {}


def _counted(change: Change) -> list[tuple[str, int]]:
    return list(change.lines.order_by().values_list("verb").annotate(Count("pk")))
