"""The search of a view, and what stands in its way."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs

from django.utils import timezone

from dashboard.access.scope import Scope
from dashboard.web.text import visible
from investigate.models import SavedView
from investigate.search.criteria import Criteria
from investigate.search.presenting import COLUMNS
from investigate.search.scoping import asked_for, why_not_within

LONGEST_QUERY = 6000
ALWAYS = ("subject", "us")  # what opens a message, and what became of our actions on it


def criteria_of(view: SavedView) -> Criteria:
    """What the view searches for; a relative range is one still."""
    return Criteria.from_query(parse_qs(view.query))


def query_of(criteria: Criteria) -> str:
    """A search as a view keeps it."""
    return replace(criteria, view="").query()


def why_not(criteria: Criteria, scope: Scope) -> str:
    """Why this search cannot be saved, as a sentence, or ""."""
    if criteria.ignored:
        strange = ", ".join(visible(one, limit=60) for one in criteria.ignored[:3])
        return f"Not a filter: {strange}. Without it, the view would find more."
    if problem := criteria.problem(timezone.now()) or why_not_within(criteria, scope):
        return problem
    return "These filters are too long to be saved." if len(query_of(criteria)) > LONGEST_QUERY else ""


def exists_within(criteria: Criteria, scope: Scope) -> bool:
    """Whether this search may be known to somebody limited to the scope: not if it names recipients outside alone."""
    return asked_for(criteria, scope) is not None


def has_ended(criteria: Criteria) -> bool:
    """Whether nothing new can be found any more, because the range is exact and over."""
    return criteria.end is not None and criteria.end < timezone.now()


def columns_of(view: SavedView) -> tuple[str, ...]:
    """The view's own columns; () for the usual ones. What this version does not know is left out."""
    chosen = tuple(dict.fromkeys(name for name in view.columns if name in COLUMNS))
    if not chosen:
        return ()
    whole = (*chosen, *(name for name in ALWAYS if name not in chosen))
    return () if whole == tuple(COLUMNS) else whole
