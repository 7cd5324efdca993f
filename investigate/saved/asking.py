"""The search of a view."""

from __future__ import annotations

from urllib.parse import parse_qs

from investigate.models import SavedView
from investigate.search.criteria import Criteria


def criteria_of(view: SavedView) -> Criteria:
    """What the view searches for; a relative range is one still."""
    return Criteria.from_query(parse_qs(view.query))
