"""What is different between two readings of a list, and whether it was us."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db.models import Q

from dashboard.audit.chain import storable, storable_text
from dashboard.emailsec.types import SettingsEntry
from settings_ui.models import Difference, Line, LineState, Mirrored, Observed, Verb
from settings_ui.resources import Resource
from settings_ui.resources.description import alike

LABEL_LIMIT = 1100
FIGURES = frozenset({"emails_processed"})  # counts mail: different at each reading, and nobody's change
_BEFORE = dt.timedelta(minutes=10)  # a change that was under way while the reading before it was made
_CHUNK = 500

_VERBS = {Difference.ADDED: Verb.ADD, Difference.CHANGED: Verb.CHANGE, Difference.REMOVED: Verb.REMOVE}


def differences(
    resource: Resource,
    before: Mapping[str, Mirrored],
    now: Mapping[str, SettingsEntry],
    gone: Collection[str],
    at: dt.datetime,
) -> list[Observed]:
    """What was added, changed and removed, not stored yet. Of a change only the fields that differ."""
    found = []
    for upstream_id, entry in now.items():
        values = entry.values()
        if upstream_id not in before:
            found.append(_seen(resource, Difference.ADDED, upstream_id, at, after=values))
            continue
        then = before[upstream_id].values
        if names := changed_fields(resource, then, values):
            one = _seen(
                resource,
                Difference.CHANGED,
                upstream_id,
                at,
                before={name: then.get(name) for name in names},
                after={name: values.get(name) for name in names},
            )
            one.label = label_of(resource, values)
            found.append(one)
    found += [
        _seen(resource, Difference.REMOVED, upstream_id, at, before=before[upstream_id].values) for upstream_id in gone
    ]
    return found


def changed_fields(resource: Resource, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        field.name
        for field in resource.fields
        if field.name not in FIGURES and not alike(_lasting(before.get(field.name)), _lasting(after.get(field.name)))
    ]


def attribute(resource: Resource, observed: Iterable[Observed], since: dt.datetime) -> list[Observed]:
    """Name the line of ours that caused a difference, where one did; answers those that were named."""
    open_ones = [one for one in observed if one.line_id is None]
    lines = _lines(resource, [one.upstream_id for one in open_ones], since)
    named = []
    for one in open_ones:
        ours = lines[one.upstream_id, _VERBS[Difference(one.what)]]
        if ours and (one.what != Difference.CHANGED or _explains(ours, one.after or {})):
            one.line = ours[-1]
            named.append(one)
    return named


def label_of(resource: Resource, values: Mapping[str, Any]) -> str:
    return storable_text(resource.label(values), limit=LABEL_LIMIT)


def _lines(resource: Resource, upstream_ids: list[str], since: dt.datetime) -> dict[tuple[str, str], list[Line]]:
    """Our own settled lines about these entries, in their order. What is changed twice must be of this time."""
    found: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for start in range(0, len(upstream_ids), _CHUNK):
        lines = Line.objects.filter(
            ~Q(verb=Verb.CHANGE) | Q(change__finished_at=None) | Q(change__finished_at__gte=since - _BEFORE),
            upstream_id__in=upstream_ids[start : start + _CHUNK],
            state=LineState.DONE,
            change__resource=resource.name,
            change__account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        )
        for line in lines.order_by("pk"):
            found[line.upstream_id, line.verb].append(line)
    return found


def _explains(lines: list[Line], after: Mapping[str, Any]) -> bool:
    """Whether these changes, one after the other, account for every field that is different now."""
    made: dict[str, Any] = {}
    for line in lines:
        made |= line.values
    return all(name in made and alike(made[name], value) for name, value in after.items())


def _lasting(value: Any) -> Any:
    """A value without the time at which Cloudflare last looked."""
    return {name: item for name, item in value.items() if name != "timestamp"} if isinstance(value, dict) else value


def _seen(
    resource: Resource,
    what: Difference,
    upstream_id: str,
    at: dt.datetime,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Observed:
    return Observed(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        resource=resource.name,
        upstream_id=upstream_id,
        label=label_of(resource, after or before or {}),
        what=what,
        before=storable(dict(before)) if before is not None else None,
        after=storable(dict(after)) if after is not None else None,
        at=at,
    )
