"""A list as a file. It is read to its end before the first byte leaves.

A file that held only the first pages, and came back as the whole list, would remove the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.audit.exporting import record_export
from dashboard.audit.recorder import record
from dashboard.emailsec.types import SettingsEntry
from dashboard.web import csv_cells
from settings_ui.models import Change, Verb
from settings_ui.resources.description import Resource
from settings_ui.tables import columns
from settings_ui.tables.lives import NOTHING, Kept, kept

T = TypeVar("T")

_STEP = 500  # rows written at a time


def export(
    *,
    actor: Member,
    resource: Resource,
    read: Callable[[], Sequence[SettingsEntry]],
    said: Mapping[str, str],
    request: HttpRequest | None,
) -> Iterator[bytes]:
    """The file of what `read` gives. Raises TooManyExports, and whatever reading raises, before its first byte."""
    entries = recorded(
        actor=actor,
        action="policy:export",
        detail={"resource": resource.name, "filter": dict(said)},
        read=read,
        counted=lambda found: {"rows": len(found)},
        request=request,
    )
    # With its mark, spreadsheets take the file for the UTF-8 it is; reading it back, the mark is no part of a name.
    return csv_cells.pieces(columns.of_export(resource), _steps(resource, entries), with_mark=True)


def recorded(
    *,
    actor: Member,
    action: str,
    detail: Mapping[str, Any],
    read: Callable[[], T],
    counted: Callable[[T], Mapping[str, Any]],
    request: HttpRequest | None,
) -> T:
    """Read what is to leave. Written down before, counted against the member's hour, and written down after."""
    asked = record_export(actor=actor, action=action, detail=detail, request=request, phase="attempt")
    phase, told = "failed", dict[str, Any]()
    try:
        found = read()
        phase, told = "done", dict(counted(found))
    finally:
        record(
            actor=actor,
            action=action,
            phase=phase,
            detail={**detail, **told},
            refers_to=asked.sequence,
            request=request,
        )
    return found


def _steps(resource: Resource, entries: Sequence[SettingsEntry]) -> Iterator[list[list[object]]]:
    for start in range(0, len(entries), _STEP):
        some = entries[start : start + _STEP]
        lives = kept(resource, [entry.id for entry in some])
        yield [row(resource, entry, lives.get(entry.id, NOTHING)) for entry in some]


def row(resource: Resource, entry: SettingsEntry, known: Kept) -> list[object]:
    values = entry.values()
    return [
        entry.id,
        *(field.cell(values.get(field.name)) for field in resource.fields),
        *(known.cells[name] for name in columns.LIFE),
        columns.moment(entry.created_at),
        columns.moment(entry.modified_at),
    ]


def bad_lines(change: Change) -> Iterator[bytes]:
    """The lines of a file that cannot be used, with what is wrong, to be mended and uploaded again."""
    lines = list(change.lines.filter(verb=Verb.BAD).order_by("number", "pk"))
    header = next((line.values["columns"] for line in lines if "columns" in line.values), [])
    at = next((place for place, name in enumerate(header) if columns.folded(name) == columns.PROBLEM), None)
    names = [name for place, name in enumerate(header) if place != at]

    def mended(cells: list[str], problem: str) -> list[object]:
        filled = [cell for place, cell in enumerate(cells) if place != at]
        return [*filled, *[""] * (len(names) - len(filled)), problem]

    rows = [mended(line.values.get("cells", []), line.explanation) for line in lines]
    return csv_cells.pieces([*names, columns.PROBLEM], [rows], with_mark=True)
