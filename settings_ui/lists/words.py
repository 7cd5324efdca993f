"""Entries in words: the cells of a list, the fields of one entry, and what was done to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from dashboard.emailsec.times import parse_time
from dashboard.web.times import moment
from settings_ui.lists.queries import Snapshot
from settings_ui.models import Difference, Line, LineState, Observed, Verb
from settings_ui.resources import Field, Resource, Values
from settings_ui.resources.description import Shape, alike
from settings_ui.watching.presenting import makers

_FLAGS = "flags"
_MONO = (Shape.PATTERN, Shape.LIST)


@dataclass(frozen=True)
class Column:
    name: str
    heading: str
    is_mono: bool


@dataclass(frozen=True)
class Cell:
    column: Column
    text: str


@dataclass(frozen=True)
class Row:
    """One entry of a list."""

    entry: Snapshot
    label: str
    cells: tuple[Cell, ...]  # without the first column, which is the label


def columns(resource: Resource) -> tuple[Column, ...]:
    """The columns that differ from list to list; the first one is what people call an entry."""
    return tuple(
        Column(name, "Flags" if name == _FLAGS else _heading(resource.field(name)), _is_mono(resource, name))
        for name in resource.columns
        if name != _FLAGS or resource.flags
    )


def _heading(field: Field) -> str:
    return field.heading or field.label


def _is_mono(resource: Resource, name: str) -> bool:
    return name != _FLAGS and resource.field(name).shape in _MONO


def row(resource: Resource, shown: tuple[Column, ...], entry: Snapshot) -> Row:
    return Row(
        entry=entry,
        label=resource.label(entry.values),
        cells=tuple(Cell(column, cell_text(resource, column.name, entry.values)) for column in shown[1:]),
    )


def cell_text(resource: Resource, name: str, values: Values) -> str:
    if name == _FLAGS:
        return ", ".join(flag.word for flag in resource.flags if values.get(flag.name))
    return _shown(resource, resource.field(name), values.get(name))


def _shown(resource: Resource, one: Field, value: Any) -> str:
    """In the words of the field, or in those its filter has for what is only read."""
    options = () if one.options else next((each.options for each in resource.filters if each.name == one.name), ())
    return next((option.word for option in options if option.value == value), "") or one.shown(value)


def day(at: dt.datetime | None) -> str:
    """12 Nov, with the year where it is another one."""
    if at is None:
        return ""
    there, now = timezone.localtime(at), timezone.localtime()
    return f"{there.day} {there:%b}" if there.year == now.year else f"{there.day} {there:%b %Y}"


# --- one entry ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """One field of an entry."""

    label: str
    text: str
    is_mono: bool = False
    is_text: bool = False  # of several lines
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    heading: str
    fields: tuple[Said, ...]


def groups(resource: Resource, values: Values) -> list[Group]:
    """All fields under their headings, as in the form, without those that are only read and say nothing."""
    found: dict[str, list[Said]] = {}
    for one in resource.fields:
        value = values.get(one.name)
        if one.name not in values or (value is None and one.is_ours_to_read):
            continue  # of an entry that is gone, not every field may have been kept
        found.setdefault(one.group, []).append(_said(resource, one, value))
    return [Group(heading, tuple(fields)) for heading, fields in found.items()]


def _said(resource: Resource, one: Field, value: Any) -> Said:
    if isinstance(value, dict):
        return Said(one.label, _in_words(value))
    if one.shape is Shape.LIST and value:
        return Said(one.label, "", is_mono=True, items=tuple(map(str, value)))
    return Said(
        one.label,
        _shown(resource, one, value),
        is_mono=one.shape is Shape.PATTERN,
        is_text=one.shape is Shape.TEXT,
    )


def _in_words(value: Mapping[str, Any]) -> str:
    """What the service says about a domain in an object of its own."""
    at = f" on {moment(time)}" if (time := parse_time(str(value.get("timestamp") or ""))) else ""
    if "authorized" in value:
        said = {True: "granted", False: "not granted"}.get(value["authorized"], "not said")
        reason = f": {value['status_message']}" if value.get("status_message") else ""
        return f"{said}{reason}{at and f', as it stood{at}'}"
    if "total_emails_processed" in value:
        now, before = value["total_emails_processed"], value.get("total_emails_processed_previous")
        told = "unknown" if now is None else f"{now:,} messages"
        return told + ("" if before is None else f", {before:,} the time before") + (at and f", counted{at}")
    return ", ".join(f"{name}: {said}" for name, said in value.items() if said is not None)


# --- what happened to it ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turned:
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Event:
    """One thing that happened to an entry: here, with who and why, or elsewhere, with when it was noticed."""

    at: dt.datetime
    what: str
    line: Line | None = None
    differences: tuple[Turned, ...] = ()

    @property
    def is_ours(self) -> bool:
        return self.line is not None


_DID = {Verb.ADD: "added it", Verb.CHANGE: "changed it", Verb.REMOVE: "removed it"}
_TRIED = {Verb.ADD: "add it", Verb.CHANGE: "change it", Verb.REMOVE: "remove it"}
_OPEN = {
    LineState.WAITING: "it waits to be sent",
    LineState.SENDING: "it is being sent",
    LineState.UNKNOWN: "no answer came, and it is looked for",
}
_NOTICED = {
    Difference.ADDED: "Added elsewhere",
    Difference.CHANGED: "Changed elsewhere",
    Difference.REMOVED: "Removed elsewhere",
}
_NOTICED_OURS = {
    Difference.ADDED: "added it",
    Difference.CHANGED: "changed it",
    Difference.REMOVED: "removed it",
}


def past(resource: Resource, lines: list[Line], seen: list[Observed]) -> list[Event]:
    """Everything that is known to have happened, newest first."""
    by = makers(seen)
    events = [*(_ours(resource, line) for line in lines), *(_seen(resource, one, by[one.pk]) for one in seen)]
    return sorted(events, key=lambda event: event.at, reverse=True)


def _ours(resource: Resource, line: Line) -> Event:
    change = line.change
    verb, state = Verb(line.verb), LineState(line.state)
    if state in _OPEN:
        what = f"{change.actor_name} decided to {_TRIED[verb]}: {_OPEN[state]}"
    elif state == LineState.FAILED:
        what = f"{change.actor_name} tried to {_TRIED[verb]}: it was refused"
    else:
        what = f"{change.actor_name} {_DID[verb]}"
    before = line.before or {}
    differences = tuple(_differences(resource, before, {**before, **line.values})) if line.verb == Verb.CHANGE else ()
    return Event(change.finished_at or change.created_at, what, line, differences)


def _seen(resource: Resource, one: Observed, by: str) -> Event:
    """What was noticed; by nobody here, or by one of us in another way than by a change."""
    differences = tuple(_differences(resource, one.before, one.after)) if one.before and one.after else ()
    what = Difference(one.what)
    return Event(one.at, f"{by} {_NOTICED_OURS[what]}" if by else _NOTICED[what], None, differences)


def _differences(resource: Resource, before: Values, after: Values) -> Iterator[Turned]:
    for one in resource.fields:
        old, new = before.get(one.name), after.get(one.name)
        if not alike(old, new):
            yield Turned(one.label, one.shown(old), one.shown(new))
