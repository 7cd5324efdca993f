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
_CALL_SECONDS = 15.0


def read_whole(
    resource: Resource, priority: Priority = Priority.READ, *, seconds: float = USUAL_SECONDS
) -> list[SettingsEntry]:
    """Every entry of a list, as it is now, oldest first where the list has an order. Raises what the client raises.

    New entries come last and shift nothing. One that is removed meanwhile moves the next page's first entry to the
    page before, which has been read: where the server says that there are more than were seen, it is read once again.
    """
    until = time.monotonic() + seconds
    found, said = _read(resource, priority, until)
    if said is not None and len(found) < said:
        again, said = _read(resource, priority, until)
        found = again if said is None or len(again) >= said else {**found, **again}
    return list(found.values())


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


def _read(resource: Resource, priority: Priority, until: float) -> tuple[dict[str, SettingsEntry], int | None]:
    """The entries by their ids, and how many the server says there are."""
    client = get_client()
    is_ordered = "created_at" in resource.kind.order
    said: int | None = None

    def page(number: int) -> Page[SettingsEntry]:
        nonlocal said
        read = client.entries(
            resource.name,
            order="created_at" if is_ordered else None,
            direction="asc" if is_ordered else None,
            page=number,
            per_page=PER_PAGE,
            budget=_left(resource, until),
            priority=priority,
        )
        said = read.total_hint
        return read

    return {entry.id: entry for entry in every(page, most_pages=MOST_PAGES)}, said


def _left(resource: Resource, until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise errors.Unavailable("the list could not be read to its end in time", operation=resource.kind.path)
    return min(left, _CALL_SECONDS)
