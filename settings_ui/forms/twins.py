"""The entry that stands where another one is to be made."""

from __future__ import annotations

from dashboard.emailsec.errors import EmailSecurityError
from dashboard.emailsec.types import SettingsEntry
from dashboard.upstream.connection import get_client
from settings_ui.resources.description import Resource, Values
from settings_ui.watching import mirrored


def twin_of(resource: Resource, values: Values) -> str:
    """Its id: as the last reading of the list knows it, else by one call, or "" where it cannot be found so."""
    key = resource.key(values)
    for one in mirrored(resource.name):
        if resource.key(one.values) == key:
            return one.upstream_id
    found = standing_twin(resource, values)
    return found.id if found is not None else ""


def standing_twin(resource: Resource, values: Values) -> SettingsEntry | None:
    """It as it stands now, by one call; where that fails, the refusal it explains is told all the same."""
    first = resource.identity[0]
    filters = {first: str(values[first])} if first in resource.kind.filters else {}
    search = str(values[first]) if not filters and resource.is_searched else None
    try:
        page = get_client().entries(resource.name, filters=filters, search=search)
    except EmailSecurityError:
        return None
    key = resource.key(values)
    return next((entry for entry in page.items if resource.key(entry.values()) == key), None)
