"""The lists behind the figures."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.emailsec.enums import SHORT_DISPOSITIONS, SubmitterType
from dashboard.overview.spans import Range
from investigate.campaigns.queries import address_of
from investigate.search.criteria import Criteria
from investigate.search.window import write_moment

SEARCHABLE = frozenset(value.value for value in SHORT_DISPOSITIONS)


def search(range_: Range, **filters: Any) -> str:
    """The search for the same thing in the same range."""
    return f"{reverse('investigate:search')}?{Criteria(last=str(range_.span), **filters).query()}"


def of_disposition(range_: Range, disposition: str) -> str:
    """A verdict that the search cannot ask for has no list of its own."""
    return search(range_, disposition=(disposition,)) if disposition in SEARCHABLE else ""


def of_step(range_: Range, start: dt.datetime) -> str:
    """What was found in one hour or day."""
    end = min(start + range_.span.step, range_.end)
    return f"{reverse('investigate:search')}?{urlencode({'start': write_moment(start), 'end': write_moment(end)})}"


def campaigns() -> str:
    return reverse("investigate:campaigns")


def campaign(by: str, key: str) -> str:
    return address_of(by, key)


def approvals() -> str:
    return f"{reverse('investigate:approvals')}?{urlencode({'show': 'all'})}"


def queue(**filters: str) -> str:
    return f"{reverse('investigate:queue')}?{urlencode(filters)}"


def actions() -> str:
    return reverse("investigate:actions")


def submissions(range_: Range, **filters: str) -> str:
    """What the team asked for in the same range."""
    query = {"type": SubmitterType.TEAM.value, "last": str(range_.span), **filters}
    return f"{reverse('investigate:submissions')}?{urlencode(query)}"
