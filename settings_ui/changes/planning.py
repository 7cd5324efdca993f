"""What a change is made of: its lines as they are written down, what they hold, and the calls they are packed into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Case, IntegerField, Max, Value, When
from django.db.models.functions import Now

from dashboard.audit.chain import storable, storable_text
from dashboard.emailsec.settings import MOST_IN_BATCH
from dashboard.upstream.connection import get_client
from settings_ui.models import Change, Line, LineState, Operation, Step, Verb
from settings_ui.resources import BY_NAME
from settings_ui.resources.description import Resource, Values

if TYPE_CHECKING:
    from settings_ui.entries.life import Life

ARRAYS = {Verb.REMOVE: "deletes", Verb.CHANGE: "patches", Verb.ADD: "posts"}
SENT = tuple(ARRAYS)  # in the order they are carried out: what goes makes room for what comes
_SINGLE = {Verb.REMOVE: Operation.DELETE, Verb.CHANGE: Operation.EDIT, Verb.ADD: Operation.CREATE}
_RANK = Case(
    *(When(verb=verb, then=Value(rank)) for rank, verb in enumerate(SENT)),
    default=Value(len(SENT)),
    output_field=IntegerField(),
)


@dataclass(frozen=True)
class Draft:
    """A line to be. `values`: all fields of an addition, what changes of an edit, nothing of a removal."""

    number: int
    verb: Verb
    label: str
    upstream_id: str = ""
    before: Values | None = None
    values: Values = field(default_factory=dict)
    life: Life | None = None
    explanation: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)


def line_of(resource: Resource, draft: Draft, state: LineState) -> Line:
    """A draft as a row, not saved."""
    return Line(
        number=draft.number,
        verb=draft.verb,
        upstream_id=storable_text(draft.upstream_id, limit=100),
        label=storable_text(draft.label, limit=1100),
        before=None if draft.before is None else storable(dict(draft.before)),
        values=storable(dict(draft.values)),
        life=storable(draft.life.kept()) if draft.life is not None else {},
        holds=holds(resource, draft),
        state=state if draft.verb in SENT else LineState.LEFT_OUT,
        explanation=storable_text(draft.explanation, limit=500),
        problems=storable(dict(draft.problems)),
    )


def holds(resource: Resource, draft: Draft) -> str:
    """What no two open lines may touch: the entry that stands there, or the place of the one that is added."""
    if draft.upstream_id:
        return f"{resource.name}:{storable_text(draft.upstream_id, limit=100)}"
    return place_of(resource, draft.values)


def place_of(resource: Resource, values: Values) -> str:
    """The place of an entry that may not be there yet: its key, whatever id it gets."""
    key = json.dumps(resource.key(values))
    return f"{resource.name}+{hashlib.sha256(key.encode()).hexdigest()}"


def place_taken(resource: Resource, line: Line) -> str:
    """The place that a line puts an entry into: an addition, or a change of what makes the entry itself. Else ""."""
    if line.verb == Verb.ADD:
        return line.holds
    if line.verb == Verb.CHANGE and not set(resource.identity).isdisjoint(line.values):
        return place_of(resource, {**(line.before or {}), **line.values})
    return ""


def fingerprint_of(change: Change, lines: Iterable[Line]) -> str:
    """Of who wants what, why, and exactly which entries as they were shown; the same content has the same one."""
    resource = BY_NAME[change.resource]
    shown = [field.name for field in resource.sent]
    digest = hashlib.sha256()
    head = [change.account_id, change.resource, change.kind, change.actor_id, change.reason, change.ticket]
    digest.update(json.dumps(head).encode())
    for line in lines:
        if line.verb not in SENT or line.state == LineState.LEFT_OUT:
            continue
        before = None if line.before is None else {name: line.before.get(name) for name in shown}
        row = [line.number, line.verb, line.upstream_id, before, line.values, line.life]
        digest.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def stored_fingerprint(change: Change) -> str:
    """The same of the rows in the database now."""
    return fingerprint_of(change, change.lines.order_by("number", "pk").iterator(chunk_size=1000))


def pack(change: Change) -> Step | None:
    """Make the next call out of lines whose turn it is; None where none is left. The caller holds the change's row."""
    free = change.lines.filter(state=LineState.WAITING, step=None).annotate(rank=_RANK).order_by("rank", "number", "pk")
    first = free.first()
    if first is None:
        return None
    batched = _batched(change.resource)
    if Verb(first.verb) in batched:
        chosen = list(free.filter(verb__in=batched).values_list("pk", flat=True)[:MOST_IN_BATCH])
    else:
        chosen = [first.pk]
    return new_step(change, chosen, _SINGLE[Verb(first.verb)] if len(chosen) == 1 else Operation.BATCH)


def new_step(change: Change, lines: list[Any], operation: Operation | None = None) -> Step:
    """A call that waits, with these lines (keys); `operation` None: as their number says."""
    if operation is None:
        one = Line.objects.get(pk=lines[0]) if len(lines) == 1 else None
        operation = Operation.BATCH if one is None else _SINGLE[Verb(one.verb)]
    last = change.steps.aggregate(last=Max("position"))["last"] or 0
    step = Step.objects.create(change=change, position=last + 1, operation=operation, due_at=Now(), changed_at=Now())
    for start in range(0, len(lines), 500):
        Line.objects.filter(pk__in=lines[start : start + 500]).update(step=step)
    return step


def _batched(name: str) -> list[Verb]:
    """What goes together in one call: what this server's batch takes."""
    if not get_client().offers(name, "batch"):
        return []
    return [verb for verb, array in ARRAYS.items() if array in BY_NAME[name].kind.batch]


def is_older(name: str) -> bool:
    """Whether this server is known to be of the older generation, where that wants more of a change."""
    client = get_client()
    return BY_NAME[name].wants_networks and not (client.offers("content_policies") and client.offers(name, "batch"))


def of_account() -> Any:
    """Changes of the configured account; those of another one are never sent, looked up or decided from here."""
    return Change.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
