"""The entry that stands where another one is to be made."""

from __future__ import annotations

from dashboard.emailsec.errors import EmailSecurityError
from dashboard.upstream.connection import get_client
from settings_ui.resources.description import Resource, Values
from settings_ui.watching import mirrored


def twin_of(resource: Resource, values: Values) -> str:
    """Its id: as the last reading of the list knows it, else by one call, or "" where it cannot be found so."""
    key = resource.key(values)
    for one in mirrored(resource.name):
        if resource.key(one.values) == key:
            return one.upstream_id
    first = resource.identity[0]
    filters = {first: str(values[first])} if first in resource.kind.filters else {}
    search = str(values[first]) if not filters and resource.is_searched else None
    try:
        page = get_client().entries(resource.name, filters=filters, search=search)
    except EmailSecurityError:
        return ""  # the refusal is told all the same
    return next((entry.id for entry in page.items if resource.key(entry.values()) == key), "")
