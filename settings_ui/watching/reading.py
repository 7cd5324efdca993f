"""Reading a whole list, which comes in pages and may change meanwhile."""

from __future__ import annotations

import time
from collections.abc import Collection

from dashboard.emailsec import errors
from dashboard.emailsec.groups import every
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Page, SettingsEntry
from dashboard.upstream.connection import get_client
from settings_ui.resources import Resource

PER_PAGE = 1000
MOST_PAGES = 500
USUAL_SECONDS = 60.0
ASKED_ONE_BY_ONE = 20  # entries that seem to be gone; more of them cost a second reading as well
_CALL_SECONDS = 15.0


class Incomplete(errors.Unavailable):
    """The list came without entries that stand."""


def read_whole(
    resource: Resource,
    priority: Priority = Priority.READ,
    *,
    known: Collection[str] = (),
    seconds: float = USUAL_SECONDS,
) -> list[SettingsEntry]:
    """Every entry of a list, as it is now, oldest first where the list has an order. Raises what the client raises.

    New entries come last and shift nothing. One that is removed meanwhile moves the first entry of the next page to a
    page that has been read: where the server's count does not rule that out, the list is read once again. The count
    cannot tell where another one came at the same time, so name in `known` what stood before: what then does not come
    is asked for by itself, and what is missing in the end is gone. Raises Incomplete where that cannot be said.
    """
    until = time.monotonic() + seconds
    found, is_steady = _read(resource, priority, until)
    if not is_steady:
        again, is_steady = _read(resource, priority, until)
        found = again if is_steady else {**found, **again}
    elif len(_missing(known, found)) > ASKED_ONE_BY_ONE:
        found |= _read(resource, priority, until)[0]
    missing = _missing(known, found)
    asked = missing[:ASKED_ONE_BY_ONE]
    stand = still_there(resource, asked, priority, seconds=until - time.monotonic())
    if stand and len(missing) > len(asked):
        raise Incomplete("the list came without entries that stand", operation=resource.kind.path)
    return [*found.values(), *stand.values()]


def _missing(known: Collection[str], found: Collection[str]) -> list[str]:
    return [upstream_id for upstream_id in dict.fromkeys(known) if upstream_id not in found]


def still_there(
    resource: Resource, upstream_ids: Collection[str], priority: Priority, *, seconds: float = USUAL_SECONDS
) -> dict[str, SettingsEntry]:
    """Those of these entries that stand, each asked for by itself. The others are provably gone."""
    until = time.monotonic() + seconds
    found = {}
    for upstream_id in upstream_ids:
        try:
            found[upstream_id] = get_client().entry(
                resource.name, upstream_id, budget=_left(resource, until), priority=priority
            )
        except errors.NotFound:
            continue
    return found


def _read(resource: Resource, priority: Priority, until: float) -> tuple[dict[str, SettingsEntry], bool]:
    """The entries by their ids, and whether none was removed between two pages, as far as the server tells."""
    client = get_client()
    is_ordered = "created_at" in resource.kind.order
    told: list[int] = []

    def page(number: int) -> Page[SettingsEntry]:
        read = client.entries(
            resource.name,
            order="created_at" if is_ordered else None,
            direction="asc" if is_ordered else None,
            page=number,
            per_page=PER_PAGE,
            budget=_left(resource, until),
            priority=priority,
        )
        told.append(read.total_hint or 0)
        return read

    found = {entry.id: entry for entry in every(page, most_pages=MOST_PAGES)}
    is_counted = len(told) == 1 or all(told)
    return found, is_counted and told == sorted(told)


def _left(resource: Resource, until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise errors.Unavailable("the list could not be read to its end in time", operation=resource.kind.path)
    return min(left, _CALL_SECONDS)
