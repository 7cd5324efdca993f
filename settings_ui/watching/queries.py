"""What the readings have told; asks the database and never Cloudflare."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from settings_ui.models import Mirrored, Observed, Reading

A_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Count:
    """How many entries a list had, and when."""

    number: int
    as_of: dt.datetime


def counts() -> dict[str, Count]:
    """By the resource's name; what was never read to its end is not there."""
    return {
        one.resource: Count(one.count, one.finished_at)
        for one in readings()
        if one.count is not None and one.finished_at is not None
    }


def readings() -> QuerySet[Reading]:
    return Reading.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def mirror(resource_name: str) -> QuerySet[Mirrored]:
    """The entries of a list, as the last whole reading found them."""
    return Mirrored.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource_name)


def mirrored(resource_name: str) -> list[Mirrored]:
    """All of them."""
    return list(mirror(resource_name))


def own_domains() -> tuple[str, ...]:
    """The domains this account protects."""
    return tuple(mirror("domains").values_list("label", flat=True))


def seen_ids(resource_name: str) -> list[str]:
    """The ids of those entries."""
    return list(mirror(resource_name).values_list("upstream_id", flat=True))


def recent(resource: str | None = None, since: dt.datetime | None = None) -> QuerySet[Observed]:
    """What was different at the readings since then (usually: a day ago), newest first."""
    found = Observed.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, at__gte=since or timezone.now() - A_DAY)
    if resource is not None:
        found = found.filter(resource=resource)
    return found.select_related("line__change").order_by("-at", "-pk")
