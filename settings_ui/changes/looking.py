"""Look up what became of a call without an answer, by reading the list; nothing is ever sent again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

import structlog
from django.conf import settings

from dashboard.emailsec import Priority, errors
from dashboard.emailsec.types import SettingsEntry
from dashboard.upstream.connection import get_client
from dashboard.upstream.patience import until_next_look
from dashboard.upstream.ring import ring
from settings_ui.changes import transitions, words
from settings_ui.changes.transitions import Outcome
from settings_ui.models import Line, LineState, Operation, Step, Verb
from settings_ui.resources import BY_NAME
from settings_ui.resources.description import Resource, Values, alike
from settings_ui.watching.reading import PER_PAGE, read_whole, still_there

log = structlog.get_logger("mailwarden.changes")

CLOCK_SLACK = dt.timedelta(minutes=5)  # between our clock and Cloudflare's
READ_SECONDS = settings.CALL_SECONDS / 2  # a reading and the call after it end well before the claim does
FEW = 10  # entries that are read one by one rather than with their whole list
STEP_TASK, LOOK_TASK = "settings_ui.tasks.step_change", "settings_ui.tasks.look_up_step"
_LATER = 60.0
_EXACT = ("pattern", "name", "domain")  # filters that compare as a whole
_BROKEN = "Cloudflare carried out a part of this call only, although it says that it never does."


def look_up(step_id: uuid.UUID | str) -> None:
    """Look for one call whose outcome is unknown, if a look is due, and carry its change on."""
    step = transitions.take_for_look(step_id)
    if step is None:
        return
    lines = lines_of(step, LineState.UNKNOWN)
    try:
        found = judge(step, lines)
    except errors.EmailSecurityError as problem:
        log.warning("change_look_failed", step=str(step.pk), error=type(problem).__name__, status=problem.status)
        transitions.look_again(step, after=max(problem.retry_after or 0.0, _LATER), is_counted=False)
        return
    wait = until_next_look(step.sent_at, step.looks)
    if not _is_clear(step, found) and wait is not None:
        transitions.look_again(step, after=wait, is_counted=True)
        return
    if transitions.settle(step, _outcomes(step, lines, found), explanation=_told(step, found)):
        ring(STEP_TASK, str(step.change_id))


def lines_of(step: Step, *states: LineState) -> list[Line]:
    """The lines of a call that are in one of these states, in the order they are sent."""
    return list(step.lines.filter(state__in=states).select_related("change").order_by("number", "pk"))


def judge(step: Step, lines: Sequence[Line]) -> list[SettingsEntry | bool | None]:
    """For each line the entry as it stands where the line is in effect, True for a removal that is, else None."""
    resource = BY_NAME[step.change.resource]
    if len(lines) == 1 and step.operation != Operation.BATCH:
        there = _read_for(resource, lines[0])
    else:
        known = [line.upstream_id for line in lines if line.upstream_id]
        there = read_whole(resource, Priority.BULK, known=known, seconds=READ_SECONDS)
    by_id = {entry.id: entry for entry in there}
    by_key: dict[tuple[str, ...], list[SettingsEntry]] = defaultdict(list)
    for entry in there:
        by_key[resource.key(entry.values())].append(entry)
    return [_in_effect(resource, step, line, by_id, by_key) for line in lines]


def standing(resource: Resource, lines: Sequence[Line], *, seconds: float) -> dict[str, SettingsEntry]:
    """The entries these lines are about, as they stand now, by id; what is gone is missing."""
    ids = [line.upstream_id for line in lines]
    if len(ids) > FEW:
        return {entry.id: entry for entry in read_whole(resource, Priority.BULK, known=ids, seconds=seconds)}
    priority = Priority.ACTION if len(ids) == 1 else Priority.BULK
    return still_there(resource, ids, priority, seconds=seconds)


def differs(resource: Resource, before: Values | None, there: SettingsEntry) -> bool:
    """Whether an entry says otherwise than it did when somebody decided about it."""
    if before is None:
        return False
    now = there.values()
    return any(not alike(before[field.name], now.get(field.name)) for field in resource.sent if field.name in before)


def _read_for(resource: Resource, line: Line) -> Iterable[SettingsEntry]:
    client = get_client()
    if line.verb != Verb.ADD:
        try:
            return [client.entry(resource.name, line.upstream_id, budget=READ_SECONDS, priority=Priority.ACTION)]
        except errors.NotFound:
            return []
    exact = next((name for name in _EXACT if name in resource.kind.filters and line.values.get(name)), None)
    if exact is None:
        return read_whole(resource, Priority.ACTION, seconds=READ_SECONDS)
    page = client.entries(
        resource.name,
        filters={exact: str(line.values[exact])},
        per_page=PER_PAGE,
        budget=READ_SECONDS,
        priority=Priority.ACTION,
    )
    if page.is_last:
        return page.items
    return read_whole(resource, Priority.ACTION, seconds=READ_SECONDS)  # a server that ignores the filter


def _in_effect(
    resource: Resource,
    step: Step,
    line: Line,
    by_id: dict[str, SettingsEntry],
    by_key: dict[tuple[str, ...], list[SettingsEntry]],
) -> SettingsEntry | bool | None:
    there = by_id.get(line.upstream_id)
    match line.verb:
        case Verb.REMOVE:
            return None if there is not None else True
        case Verb.CHANGE:
            return there if there is not None and _is_changed(resource, line, there) else None
    for entry in by_key[resource.key(line.values)]:
        if _is_added(resource, line, entry) and _is_made_since(entry, step):
            return entry
    return None


def _is_added(resource: Resource, line: Line, there: SettingsEntry) -> bool:
    """Whether the entry says what was sent. What an older answer leaves out, or was left to the service, contradicts
    nothing; of what makes the entry itself upper and lower case are one.
    """
    now = there.values()
    return all(
        name in resource.identity or value is None or now.get(name) is None or alike(value, now[name])
        for name, value in line.values.items()
    )


def _is_changed(resource: Resource, line: Line, there: SettingsEntry) -> bool:
    """Whether each field says what was sent; one that was cleared may have become the service's default instead."""
    now, before = there.values(), line.before or {}
    for name, value in line.values.items():
        is_same = alike(value, now.get(name))
        if name in resource.identity:
            is_same = is_same or str(value or "").casefold() == str(now.get(name) or "").casefold()
        elif value is None:
            is_same = is_same or not alike(before.get(name), now.get(name))
        if not is_same:
            return False
    return True


def _is_made_since(entry: SettingsEntry, step: Step) -> bool:
    return entry.created_at is None or step.sent_at is None or entry.created_at >= step.sent_at - CLOCK_SLACK


def _outcomes(step: Step, lines: Sequence[Line], found: Sequence[SettingsEntry | bool | None]) -> list[Outcome]:
    outcomes = []
    for line, entry in zip(lines, found, strict=True):
        if entry is None:
            told = f"Looked {step.looks + 1} times after no answer came; {_not_there(line)}."
            outcomes.append(Outcome(line, LineState.FAILED, told))
        else:
            made = entry if isinstance(entry, SettingsEntry) else None
            outcomes.append(Outcome(line, LineState.DONE, words.FOUND, entry=made))
    return outcomes


def _is_clear(step: Step, found: Sequence[object]) -> bool:
    """Whether one look can tell: what is carried out as a whole and seems to be in effect in part was read badly."""
    there = sum(entry is not None for entry in found)
    return there == len(found) or (there > 0 and not _is_whole(step))


def _is_whole(step: Step) -> bool:
    """Whether the service carries the call out as a whole or not at all."""
    return BY_NAME[step.change.resource].is_atomic


def _not_there(line: Line) -> str:
    match line.verb:
        case Verb.ADD:
            return "it is not there"
        case Verb.CHANGE:
            return "it was not changed"
    return "it was not removed"


def _told(step: Step, found: Sequence[object]) -> str:
    """What is remarkable about what was found."""
    there = sum(entry is not None for entry in found)
    if 0 < there < len(found) and _is_whole(step):
        return _BROKEN
    return words.FOUND if there else "Looked; it was not carried out."
