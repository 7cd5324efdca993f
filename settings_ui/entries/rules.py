"""What an entry's life must keep to, and how a refusal to change it is told."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from dashboard.installation.values import setting
from settings_ui.models import Entry, Origin
from settings_ui.resources import RESOURCES, Resource

# What somebody has to type the name of, or two have to agree on, never goes by itself.
NEVER_ENDED = frozenset(one.name for one in RESOURCES if one.takes_typing or not one.may_expire)
PATTERN_LIMIT = 1024  # characters of the column that holds what an entry is called


class NotPossible(Exception):
    """It cannot work or would be dangerous, which is known without asking; the text says why."""


class Conflict(Exception):
    """Something stands in the way. `other` is the entry that does, where there is one."""

    def __init__(self, told: str, other: Entry | None = None) -> None:
        super().__init__(told)
        self.other = other


def last_day(now: dt.datetime | None = None) -> dt.datetime:
    """The latest end a rule for one sender may have."""
    return (now or timezone.now()) + dt.timedelta(days=setting("ACCEPT_DAYS"))


def end_of(day: dt.date) -> dt.datetime:
    """An entry stands through its last day."""
    return dt.datetime.combine(day, dt.time(23, 59, 59), tzinfo=dt.UTC)


def why_not_until(resource: Resource, origin: str, expires_at: dt.datetime | None) -> str:
    """Why an entry cannot end then, or ""."""
    if expires_at is None:
        return "A rule for one sender always ends." if origin == Origin.ACCEPT else ""
    if resource.name in NEVER_ENDED:
        return f"A {resource.singular} has no end: it takes a decision each time."
    if expires_at <= timezone.now():
        return "This end is over already."
    if origin == Origin.ACCEPT and expires_at > last_day() + dt.timedelta(days=1):  # days end at midnight
        return f"A rule for one sender lasts {setting('ACCEPT_DAYS')} days at most."
    return ""
