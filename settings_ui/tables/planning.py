"""What a file would do to a list: each line against the entry it is about. Nothing is sent, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dashboard.emailsec.types import SettingsEntry
from settings_ui.changes.planning import Draft
from settings_ui.models import Verb
from settings_ui.resources.description import Field, Resource, Values, Wrong, alike, shortened
from settings_ui.tables import columns
from settings_ui.tables.lives import NOTHING, Kept, Lives
from settings_ui.tables.reading import Row, Table

LONGEST_LABEL, LONGEST_EXPLANATION = 1100, 500
OF_NO_LINE = 0  # the number of what the file does not name


class Mode(StrEnum):
    """What the file is, compared with the list."""

    ADD_AND_CHANGE = "change"
    WHOLE = "whole"  # entries that are not in it are removed


@dataclass(frozen=True)
class Plan:
    """The lines of a change to be, and what a person should know about all of them."""

    lines: list[Draft]
    remarks: list[str] = field(default_factory=list)


class _Bad(ValueError):
    """A line cannot be used; `problems` by column, where it is about some."""

    def __init__(self, told: str = "", problems: Mapping[str, str] | None = None) -> None:
        super().__init__(told or " ".join(f"{name}: {text}" for name, text in (problems or {}).items()))
        self.problems = dict(problems or {})


def plan(
    table: Table,
    resource: Resource,
    entries: Sequence[SettingsEntry],
    *,
    kept: Mapping[str, Kept],
    mode: Mode = Mode.ADD_AND_CHANGE,
    may_add: bool = True,
) -> Plan:
    """`may_add`: whether the server takes new entries."""
    planner = _Planner(table, resource, entries, kept, may_add=may_add)
    lines = [planner.line(row) for row in table.rows]
    remarks = planner.remarks()
    if mode is Mode.WHOLE:
        lines += planner.removals(remarks)
    return Plan(lines, remarks)


class _Planner:
    def __init__(
        self,
        table: Table,
        resource: Resource,
        entries: Sequence[SettingsEntry],
        kept: Mapping[str, Kept],
        *,
        may_add: bool,
    ) -> None:
        self.table, self.resource, self.may_add = table, resource, may_add
        self.entries = list(entries)
        self.values = {entry.id: entry.values() for entry in entries}
        self.kept = kept
        self.lives = Lives(resource)
        self.present = [each for each in resource.sent if each.name in table.places]
        self.by_id = {entry.id: entry for entry in entries}
        self.by_key: dict[tuple[str, ...], SettingsEntry] = {}
        for entry in entries:
            self.by_key.setdefault(resource.key(self.values[entry.id]), entry)
        self.is_header_kept = False
        self.lines_of: dict[str, int] = {}  # entry -> the line that is about it
        self.lines_for: dict[tuple[str, ...], int] = {}  # what an entry will be -> the line that says so

    # --- one line -----------------------------------------------------------------------------------------------------

    def line(self, row: Row) -> Draft:
        cells = {name: row.cells[place] for name, place in self.table.places.items() if place < len(row.cells)}
        try:
            if row.problem:
                raise _Bad(row.problem)
            return self._usable(row.number, cells)
        except _Bad as bad:
            return self._bad(row, cells, bad)

    def _usable(self, number: int, cells: Mapping[str, str]) -> Draft:
        entry = self._entry(cells)
        if entry is not None:
            if (first := self.lines_of.get(entry.id)) is not None:
                raise _Bad(f"Line {first:,} is about the same entry. Keep one of the two.")
            self.lines_of[entry.id] = number
        return self._addition(number, cells) if entry is None else self._change(number, cells, entry)

    def _entry(self, cells: Mapping[str, str]) -> SettingsEntry | None:
        """The entry a line is about: by its id, else by what no two entries share."""
        if missing := [name for name in self._needed(cells) if name not in cells]:
            raise _Bad(f"The file has no column {columns.listed(missing)}, and the line names no entry by its id.")
        entry_id = cells.get(columns.ID, "").strip()
        if entry_id in self.by_id:
            return self.by_id[entry_id]
        found = self.by_key.get(self.resource.key(self._as_compared(cells)))
        if entry_id and found is None:
            raise _Bad(
                "This entry is not in the account any more. Empty its id to add it again, or leave the line out."
            )
        return found

    def _needed(self, cells: Mapping[str, str]) -> list[str]:
        has_id = bool(cells.get(columns.ID, "").strip())
        return [] if has_id else [each.name for each in columns.required(self.resource)]

    def _as_compared(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """The fields that make an entry what it is; what is wrong with them is told once the entry is known."""
        found: dict[str, Any] = {}
        for name in self.resource.identity:
            described = self.resource.field(name)
            try:
                found[name] = described.clean(cells.get(name, "").strip() or described.default)
            except Wrong:
                found[name] = cells.get(name, "").strip()
        return found

    def _addition(self, number: int, cells: Mapping[str, str]) -> Draft:
        if not self.may_add:
            raise _Bad(f"This account's API takes no new {self.resource.singular}. Add it in Cloudflare's dashboard.")
        raw = {
            each.name: _or_default(each, cells[each.name]) if each.name in cells else each.default
            for each in self.resource.sent
        }
        values, problems = self.resource.cleaned(raw)
        life, wrong = self.lives.read(cells, NOTHING)
        if problems or wrong:
            raise _Bad(problems=problems | wrong)
        self._claim(number, values)
        return Draft(number, Verb.ADD, self._label(values), values=values, life=life)

    def _change(self, number: int, cells: Mapping[str, str], entry: SettingsEntry) -> Draft:
        before = self.values[entry.id]
        after, problems = self._after(cells, before)
        known = self.kept.get(entry.id, NOTHING)
        life, wrong = self.lives.read(cells, known)
        changes = self.resource.changes(before, after)
        if changes and (told := self.resource.fixed_because(before)):
            raise _Bad(told)
        if changes and not problems:
            already = self.resource.problems(before)
            found = self.resource.problems(after)
            problems = {name: told for name, told in found.items() if already.get(name) != told}
        if problems or wrong:
            raise _Bad(problems=problems | wrong)
        self._claim(number, after, entry)
        label = self._label(before)
        if not changes:
            told = _KEPT_HERE if life is not None else ""
            return Draft(number, Verb.SAME, label, entry.id, before, explanation=told)
        return Draft(number, Verb.CHANGE, label, entry.id, before, changes, life)

    def _after(self, cells: Mapping[str, str], before: Values) -> tuple[dict[str, Any], dict[str, str]]:
        """All fields as the line wants them. A cell that says what stands there is not looked at any further."""
        after, problems = dict(before), dict[str, str]()
        for each in self.present:
            cell = cells[each.name]
            if _lines(cell) == _lines(each.cell(before.get(each.name))):
                continue
            try:
                value = each.clean(_or_default(each, cell))
            except Wrong as wrong:
                problems[each.name] = str(wrong)
                continue
            if alike(value, before.get(each.name)) or (value is None and each.is_never_null):
                continue
            if each.is_fixed:
                problems[each.name] = "This never changes. Add an entry of its own for it."
            after[each.name] = value
        return after, problems

    def _claim(self, number: int, values: Values, entry: SettingsEntry | None = None) -> None:
        """No line may make an entry what another one is, or what another line makes."""
        key = self.resource.key(values)
        if entry is not None and key == self._own_key(entry):
            self.lines_for.setdefault(key, number)
            return
        if (first := self.lines_for.get(key)) is not None:
            raise _Bad(f"Line {first:,} makes the same entry. Keep one of the two.")
        if key in self.by_key:
            raise _Bad(f"{shortened(self._label(values))} is another entry of the list already.")
        self.lines_for[key] = number

    def _own_key(self, entry: SettingsEntry) -> tuple[str, ...]:
        return self.resource.key(self.values[entry.id])

    def _bad(self, row: Row, cells: Mapping[str, str], bad: _Bad) -> Draft:
        """The line as it was written, to be shown and given back; in lists, because every store keeps their order.

        The first one keeps the names of the columns for all of them.
        """
        first = next((cell for cell in row.cells if cell.strip()), "")
        label = next((cells[name].strip() for name in self.resource.identity if cells.get(name, "").strip()), first)
        values = {"cells": list(row.cells)}
        if not self.is_header_kept:  # once: with each of thousands of lines it would fill the store
            values["columns"] = list(self.table.header)
            self.is_header_kept = True
        problems = {name: shortened(told, LONGEST_EXPLANATION) for name, told in bad.problems.items()}
        told = shortened(str(bad), LONGEST_EXPLANATION)
        return Draft(
            number=row.number, verb=Verb.BAD, label=shortened(label, LONGEST_LABEL), values=values,
            explanation=told, problems=problems,
        )  # fmt: skip

    def _label(self, values: Values) -> str:
        return shortened(self.resource.label(values), LONGEST_LABEL)

    # --- all lines ----------------------------------------------------------------------------------------------------

    def remarks(self) -> list[str]:
        given = {*self.table.places, *(each.name for each in columns.required(self.resource))}
        absent = [each for each in self.resource.sent if each.name not in given]
        told = [f"{each.name} ({each.shown(each.default) or 'nothing'})" for each in absent]
        if not told:
            return []
        return [
            f"Not in the file: {', '.join(told)}. Changes leave that as it is; additions get what stands in brackets."
        ]

    def removals(self, remarks: list[str]) -> list[Draft]:
        """What is in the list and not in the file. A line that cannot be used keeps the entry it is about."""
        if self.resource.takes_typing:
            remarks.append(f"A file never removes a {self.resource.singular}: the ones it does not name stay.")
            return []
        if broken := [row.number for row in self.table.rows if row.problem]:
            where = f"line {broken[0]:,}" if len(broken) == 1 else f"{len(broken):,} lines, the first is {broken[0]:,},"
            remarks.append(f"Nothing is removed: {where} cannot be taken apart, and may name entries of the list.")
            return []
        named = self._named()
        found: list[Draft] = []
        fixed = 0
        for entry in self.entries:
            before = self.values[entry.id]
            if entry.id in named:
                continue
            if self.resource.fixed_because(before):
                fixed += 1
                continue
            found.append(Draft(OF_NO_LINE, Verb.REMOVE, self._label(before), entry.id, before))
        if fixed:
            remarks.append(
                f"{fixed:,} that are not in the file stay: Cloudflare takes their removal from elsewhere only."
            )
        return found

    def _named(self) -> set[str]:
        """The entries that lines are about, those included that cannot be used."""
        found: set[str] = set()
        for row in self.table.rows:
            cells = {name: row.cells[place] for name, place in self.table.places.items() if place < len(row.cells)}
            entry = self.by_id.get(cells.get(columns.ID, "").strip())
            entry = entry or self.by_key.get(self.resource.key(self._as_compared(cells)))
            if entry is not None:
                found.add(entry.id)
        return found


_KEPT_HERE = "Owner, ticket, reason and end are kept here; where nothing else changes, change them on the entry's page."


def _or_default(described: Field, cell: str) -> object:
    """What a cell holds; an empty one is nothing where a field may be empty, and what is usual else."""
    return described.default if not cell.strip() and not described.is_optional else cell


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
