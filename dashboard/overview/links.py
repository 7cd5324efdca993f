"""The lists behind the figures."""

from __future__ import annotations

import datetime as dt
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.emailsec.enums import SubmitterType
from dashboard.overview.spans import Range
from investigate.actions.words import DISPOSITIONS
from investigate.campaigns.queries import address_of
from investigate.search.criteria import Criteria
from investigate.search.window import write_moment

_MOMENT = "%Y-%m-%dT%H:%M:%S"


def remembered(range_: Range, **filters: str) -> str:
    """The same messages in our memory: what was counted, and no call is made for it."""
    return _remembered(range_.start, range_.end, **filters)


def of_disposition(range_: Range, disposition: str) -> str:
    """A verdict nobody knows yet cannot be asked for."""
    return remembered(range_, disposition=disposition) if disposition in DISPOSITIONS else ""


def of_step(range_: Range, start: dt.datetime) -> str:
    """What was found in one hour or day."""
    return _remembered(start, min(start + range_.span.step, range_.end), disposition="DETECTIONS")


def search(range_: Range, words: str) -> str:
    """The account's mail with these words: what the memory cannot be searched for."""
    return f"{reverse('investigate:search')}?{Criteria(q=words, start=range_.start, end=_after(range_)).query()}"


def _remembered(start: dt.datetime, end: dt.datetime, **filters: str) -> str:
    last = end - dt.timedelta(seconds=1)  # the range there has its end in it
    query = {**filters, "start": start.strftime(_MOMENT), "end": last.strftime(_MOMENT)}
    return f"{reverse('investigate:memory')}?{urlencode(query)}"


def campaigns() -> str:
    return reverse("investigate:campaigns")


def campaign(by: str, key: str) -> str:
    return address_of(by, key)


def approvals() -> str:
    return f"{reverse('investigate:approvals')}?{urlencode({'show': 'all'})}"


def done(range_: Range, **filters: str) -> str:
    """Cases that were done in the same range."""
    query = {"list": "done", **filters, "since": write_moment(range_.start)}
    return f"{reverse('investigate:queue')}?{urlencode(query)}"


def in_hand(who: str) -> str:
    return f"{reverse('investigate:queue')}?{urlencode({'list': 'all', 'who': who})}"


def releases() -> str:
    return f"{reverse('investigate:actions')}?{urlencode({'show': 'released'})}"


def submissions(range_: Range, **filters: str) -> str:
    """What the team asked for in the same range."""
    start, end = write_moment(range_.start), write_moment(_after(range_))
    query = {"type": SubmitterType.TEAM.value, "start": start, "end": end, **filters}
    return f"{reverse('investigate:submissions')}?{urlencode(query)}"


def _after(range_: Range) -> dt.datetime:
    """The first whole second after the range: the ends of lists are whole seconds."""
    return range_.end.replace(microsecond=0) + dt.timedelta(seconds=1)
