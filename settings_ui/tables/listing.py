"""The entries of a list that leave as a file: all of them, or those that a filter finds."""

from __future__ import annotations

import time

from dashboard.emailsec import errors
from dashboard.emailsec.groups import every
from dashboard.emailsec.types import Page, SettingsEntry
from dashboard.upstream.connection import get_client
from settings_ui.lists.criteria import Criteria, kept
from settings_ui.resources.description import Resource
from settings_ui.watching.reading import MOST_PAGES, PER_PAGE, read_whole

SECONDS = 60.0  # for all pages together: a person waits for the file
_CALL_SECONDS = 15.0


def read(resource: Resource, criteria: Criteria) -> list[SettingsEntry]:
    """Raises what the client raises, and Unavailable where the last page does not come in time."""
    if criteria.is_everything and not criteria.order:
        return read_whole(resource, seconds=SECONDS)
    until = time.monotonic() + SECONDS

    def page(number: int) -> Page[SettingsEntry]:
        left = until - time.monotonic()
        if left <= 0:
            raise errors.Unavailable("the list could not be read to its end in time", operation=resource.kind.path)
        return get_client().entries(
            resource.name,
            filters=criteria.filters,
            search=criteria.search or None,
            order=criteria.order or None,
            direction=criteria.direction or None,
            page=number,
            per_page=PER_PAGE,
            budget=min(left, _CALL_SECONDS),
        )

    return list(kept(criteria, tuple(every(page, most_pages=MOST_PAGES)))[0])
