"""From ticked differences to dry runs: one for each list, decided like every other change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.emailsec import errors
from settings_ui.backup.comparing import Compared, Difference, Group, compare
from settings_ui.backup.files import Backup
from settings_ui.backup.taking import read_all
from settings_ui.changes import services
from settings_ui.changes.planning import Draft
from settings_ui.entries.life import Life
from settings_ui.models import Change, ChangeKind, Verb
from settings_ui.resources.description import Resource, Wrong, alike, shortened
from settings_ui.tables import columns
from settings_ui.tables.dangers import SECONDS, warned
from settings_ui.tables.lives import NOTHING, Kept, Lives, kept
from settings_ui.tables.planning import LONGEST_EXPLANATION, LONGEST_LABEL

ALL = "all"


def compared(backup: Backup) -> tuple[list[Compared], list[str]]:
    """Each list that both have, and the names of those the account's server lacks."""
    taken = read_all([resource for resource, _ in backup.known])
    found = [
        compare(resource, items, taken.lists[resource.name])
        for resource, items in backup.known
        if resource.name in taken.lists
    ]
    return found, list(taken.missing)


def restore(
    *,
    actor: Member,
    backup: Backup,
    marks: Collection[str],
    file_name: str,
    operation_key: str,
    request: HttpRequest | None,
) -> list[Change]:
    """The dry runs of what was ticked. A mark is `resource/group:place`, or `resource/group:all`.

    The account is read anew: what is as the file says meanwhile needs nothing any more.
    """
    wanted = {name: set[str]() for name in (mark.partition("/")[0] for mark in marks)}
    for mark in marks:
        name, _, what = mark.partition("/")
        wanted[name].add(what)
    made = []
    lists = [(resource, items) for resource, items in backup.known if resource.name in wanted]
    taken = read_all([resource for resource, _ in lists])
    for resource, items in lists:
        if resource.name in taken.missing:
            raise errors.NotOnThisServer(operation=resource.kind.path)
        found = compare(resource, items, taken.lists[resource.name])
        # What the file puts into the account is looked at like an upload: it may be old, or not ours.
        lines, cut = warned(resource, drafts(found, wanted[resource.name]), seconds=SECONDS / len(lists))
        if not lines:
            continue
        change = services.draft(
            actor=actor,
            resource=resource,
            kind=ChangeKind.RESTORE,
            lines=lines,
            file_name=file_name,
            remarks=cut,
            operation_key=f"{operation_key}-{resource.slug}"[:64],
            request=request,
        )
        made.append(change)
    return made


def drafts(found: Compared, wanted: Collection[str]) -> list[Draft]:
    """The lines of one list, in the order of the page."""
    lives = Lives(found.resource)
    chosen = [
        each
        for group, differences in found.groups.items()
        for each in differences
        if each.mark in wanted or f"{group}:{ALL}" in wanted
    ]
    entries = [each.entry.id for each in chosen if each.entry is not None]
    known = kept(found.resource, entries)
    lines = [_draft(found.resource, each, lives, known) for each in chosen]
    return [replace(line, number=number) for number, line in enumerate(lines, start=1)]


def _draft(resource: Resource, each: Difference, lives: Lives, known: Mapping[str, Kept]) -> Draft:
    label = shortened(each.label, LONGEST_LABEL)
    if each.stays:
        return _bad(label, each, each.stays)
    match each.group:
        case Group.ONLY_FILE:
            return _addition(resource, label, each, lives)
        case Group.DIFFERENT:
            return _change(resource, label, each, lives, known)
    assert each.entry is not None  # noqa: S101  what only the account has is an entry of it
    return Draft(0, Verb.REMOVE, label, each.entry.id, each.entry.values())


def _addition(resource: Resource, label: str, each: Difference, lives: Lives) -> Draft:
    values, problems = resource.cleaned({one.name: each.values.get(one.name, one.default) for one in resource.sent})
    life, wrong, why_no_end = _life(each, lives, NOTHING)
    if problems | wrong:
        return _bad(label, each, _told(problems | wrong))
    told = f"{why_no_end} It is added without an end." if why_no_end else ""
    return Draft(0, Verb.ADD, label, values=values, life=life, explanation=told)


def _life(each: Difference, lives: Lives, known: Kept) -> tuple[Life | None, dict[str, str], str]:
    """Owner, ticket, reason and end where the file has them; what is wrong with them; and why its end is not taken.

    A backup outlives people and ends: an owner who left and an end that is over are left out.
    """
    cells = {name: cell for name, cell in each.item.life_cells.items() if cell} if each.item is not None else {}
    if not lives.member_or_nobody(cells.get(columns.OWNER, "")):
        cells.pop(columns.OWNER, None)
    life, wrong = lives.read(cells, known)
    why_no_end = wrong.get(columns.ENDS, "")
    if why_no_end:
        del cells[columns.ENDS]
        life, wrong = lives.read(cells, known)
    return life, wrong, why_no_end


def _change(resource: Resource, label: str, each: Difference, lives: Lives, known: Mapping[str, Kept]) -> Draft:
    assert each.entry is not None  # noqa: S101  what differs is an entry of the account
    before = each.entry.values()
    after: dict[str, Any] = dict(before)
    problems: dict[str, str] = {}
    for one in each.fields:
        try:
            value = one.field.clean(each.values[one.field.name])
        except Wrong as wrong:
            problems[one.field.name] = str(wrong)
            continue
        if value is not None or not one.field.is_never_null:
            after[one.field.name] = value
    changes = {} if problems else resource.changes(before, after)
    already = resource.problems(before)
    problems |= {name: told for name, told in resource.problems(after).items() if already.get(name) != told}
    life, wrong, _ = _life(each, lives, known.get(each.entry.id, NOTHING))
    if problems | wrong:
        return _bad(label, each, _told(problems | wrong))
    if not changes:
        return Draft(0, Verb.SAME, label, each.entry.id, before)
    return Draft(0, Verb.CHANGE, label, each.entry.id, before, changes, life)


def _bad(label: str, each: Difference, told: str) -> Draft:
    cells = [f"{name}: {value}" for name, value in each.values.items() if not alike(value, None)]
    return Draft(
        0, Verb.BAD, label, values={"columns": [], "cells": cells}, explanation=shortened(told, LONGEST_EXPLANATION)
    )


def _told(problems: dict[str, str]) -> str:
    return " ".join(f"{name}: {text}" for name, text in problems.items())
