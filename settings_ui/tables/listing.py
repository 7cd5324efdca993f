"""The entries of a list that leave as a file: all of them, or those that a filter finds."""

from __future__ import annotations

from dashboard.emailsec.groups import every
from dashboard.emailsec.types import SettingsEntry
from dashboard.upstream.connection import get_client
from settings_ui.lists.criteria import Criteria, kept
from settings_ui.resources.description import Resource
from settings_ui.watching.reading import PER_PAGE, read_whole


def read(resource: Resource, criteria: Criteria) -> list[SettingsEntry]:
    if criteria.is_everything and not criteria.order:
        return read_whole(resource)
    found = every(
        lambda number: get_client().entries(
            resource.name,
            filters=criteria.filters,
            search=criteria.search or None,
            order=criteria.order or None,
            direction=criteria.direction or None,
            page=number,
            per_page=PER_PAGE,
        )
    )
    return list(kept(criteria, tuple(found))[0])
