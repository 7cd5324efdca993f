"""A round of one source: it has claimed the mark, and stores how far it came as long as nobody has overtaken it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from dashboard.emailsec import errors
from dashboard.installation.values import setting
from investigate.models import CaseSource, QueueMark

EVERY = dt.timedelta(seconds=55)  # a sweep comes more often, and the next one after a minute shall find it due
CLAIM = dt.timedelta(minutes=8)  # longer than a round, whose last call may be slow
ROUND = dt.timedelta(minutes=4)  # then no further call is begun
LONGEST_RANGE = dt.timedelta(days=30)  # further back the service does not look
LOST_PLACE = (
    errors.SearchExpired,
    errors.ForeignLocation,
    errors.Rejected,
)  # the service has forgotten where it goes on


@dataclass
class Reading:
    """A range that is read page by page, as it is kept between two rounds."""

    start: str
    end: str
    cursor: str = ""
    page: int = 1
    location: str = ""  # where a slow search will be answered
    since: str = ""  # when that search was begun
    of_all_mail: bool = False
    queue_from: str = ""  # of a first reading, which goes back further for the memory than for the desk

    @property
    def wanted_from(self) -> dt.datetime | None:
        """The oldest mail that comes onto the desk; None for all."""
        return dt.datetime.fromisoformat(self.queue_from) if self.queue_from else None

    @property
    def has_place(self) -> bool:
        """Whether it goes on somewhere, which the service may have forgotten."""
        return bool(self.cursor or self.location)

    def begun_again(self) -> Reading:
        return replace(self, cursor="", page=1, location="", since="")

    @property
    def window(self) -> tuple[dt.datetime, dt.datetime]:
        return dt.datetime.fromisoformat(self.start), dt.datetime.fromisoformat(self.end)


@dataclass
class Round:
    """One claimed mark, and what this round may still ask."""

    mark: QueueMark
    reading: Reading
    lookups: int
    until: dt.datetime
    new: list[str] = field(default_factory=list)

    def check_time(self) -> None:
        """Raise AskedEnough once the round has lasted long enough."""
        if timezone.now() > self.until:
            raise AskedEnough


class AskedEnough(Exception):
    """The round has made its calls; what is done stays done, and the next one goes on."""


def is_due(now: dt.datetime) -> Q:
    is_free = Q(claimed_at=None) | Q(claimed_at__lt=now - CLAIM)
    return is_free & (Q(tried_at=None) | Q(tried_at__lte=now - EVERY))


def claim(source: CaseSource) -> QueueMark | None:
    now = timezone.now()
    QueueMark.objects.get_or_create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        source=source,
        defaults={"read_until": now - dt.timedelta(days=setting("QUEUE_DAYS"))},
    )
    ours = QueueMark.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=source)
    if not ours.filter(is_due(now)).update(claimed_at=now, tried_at=now):
        return None
    return ours.filter(claimed_at=now).first()


def update(mark: QueueMark, **values: Any) -> bool:
    """Write to the mark while this round still has it: a round that slept too long was overtaken."""
    return bool(QueueMark.objects.filter(pk=mark.pk, claimed_at=mark.claimed_at).update(**values))


def store(mark: QueueMark, **values: Any) -> None:
    """Store how far the round came. Raises AskedEnough where it was overtaken."""
    if not update(mark, **values):
        raise AskedEnough
    for name, value in values.items():
        setattr(mark, name, value)


def what_came(mark: QueueMark, now: dt.datetime, *, overlap: dt.timedelta) -> Reading:
    """From some time before the mark until now."""
    start = max(mark.read_until - overlap, now - LONGEST_RANGE)
    return Reading(start.isoformat(), now.isoformat())
