"""The rounds: each list is read as a whole once in a while, and what is different is written down.

A reading that does not come to its end changes nothing. One worker reads a list at a time; the last word is bound to
the claim, so that a worker that was overtaken stores nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.audit.chain import storable, storable_text
from dashboard.emailsec import errors
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import SettingsEntry
from dashboard.sql import seconds_from_now
from dashboard.upstream.connection import get_client
from dashboard.upstream.ring import ring
from dashboard.upstream.words import refusal
from settings_ui.entries import life
from settings_ui.models import Difference, Mirrored, Observed, Reading
from settings_ui.resources import BY_NAME, RESOURCES, Resource
from settings_ui.watching import comparing
from settings_ui.watching.queries import mirror, readings
from settings_ui.watching.reading import Incomplete, read_whole

log = structlog.get_logger("mailwarden.watching")

TASK = "settings_ui.tasks.read_list"
KEPT_FOR = dt.timedelta(days=90)  # differences
READING_SECONDS = settings.CALL_SECONDS + 30  # in all; a task may take little longer
LEASE_SECONDS = settings.CELERY_TASK_TIME_LIMIT + 30
SHORTEST_PAUSE = 60.0  # seconds between readings that people ask for
_LATER = 300.0  # seconds until a reading that broke off is tried again
_A_DAY = 86_400.0
_CHUNK = 500


def read_lists() -> None:
    """Ring for the lists that are due. Harmless when repeated."""
    known = set(readings().values_list("resource", flat=True))
    Reading.objects.bulk_create(
        [
            Reading(account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource.name, due_at=Now())
            for resource in RESOURCES
            if resource.name not in known
        ],
        ignore_conflicts=True,
    )
    for name in _due().values_list("resource", flat=True):
        if name in BY_NAME and not ring(TASK, name):
            return  # the broker is away; the next sweep is not far


def ask_now(resources: Iterable[Resource]) -> int:
    """Have lists read as soon as a worker can; how many. One that was read within the minute waits for its turn."""
    names = [resource.name for resource in resources if get_client().offers(resource.name)]
    taken = (
        readings()
        .filter(_is_free(), resource__in=names)
        .filter(Q(finished_at=None) | Q(finished_at__lte=seconds_from_now(-SHORTEST_PAUSE)))
        .update(due_at=Now())
    )
    read_lists()
    return taken


def read_list(resource_name: str) -> None:
    """Read one list, if it is due and nobody else does."""
    resource = BY_NAME[resource_name]
    claimed = timezone.now()  # names the claim, too
    if not _due().filter(resource=resource.name).update(claimed_at=claimed):
        return
    reading = readings().get(resource=resource.name)
    if not get_client().offers(resource.name):
        _give_up(reading, claimed, after=settings.LISTS_MINUTES * 60.0, told=_LACKS)
        return
    try:
        before = {one.upstream_id: one for one in mirror(resource.name)}
        entries = read_whole(resource, Priority.BACKGROUND, known=before, seconds=READING_SECONDS)
    except errors.NotOnThisServer:
        _give_up(reading, claimed, after=_A_DAY, told=_LACKS)
    except Incomplete:
        log.warning("list_incomplete", list=resource.name)
        _give_up(reading, claimed, after=_LATER, told="The list came without entries that stand. It is read again.")
    except errors.EmailSecurityError as problem:
        log.warning("list_not_read", list=resource.name, error=type(problem).__name__, status=problem.status)
        _give_up(reading, claimed, after=max(problem.retry_after or 0.0, _LATER), told=_why(problem))
    else:
        now = {entry.id: entry for entry in entries}
        _store(reading, claimed, resource, before, now, set(before).difference(now))


_LACKS = "Cloudflare does not offer this list for the account."


def _why(problem: errors.EmailSecurityError) -> str:
    if isinstance(problem, errors.CredentialsRefused | errors.NotPermitted | errors.Rejected):
        return refusal(problem)
    if isinstance(problem, errors.RateLimited):
        return "The account's call budget is used up; people's own calls go first."
    return "Cloudflare did not give the whole list."


def _due() -> QuerySet[Reading]:
    return readings().filter(_is_free(), due_at__lte=Now())


def _is_free() -> Q:
    return Q(claimed_at=None) | Q(claimed_at__lte=seconds_from_now(-LEASE_SECONDS))


def _store(
    reading: Reading,
    claimed: dt.datetime,
    resource: Resource,
    before: dict[str, Mirrored],
    now: dict[str, SettingsEntry],
    gone: set[str],
) -> None:
    """Everything at once, or nothing where the claim was lost meanwhile."""
    at = timezone.now()
    with transaction.atomic():
        done = _claimed(reading, claimed).update(
            claimed_at=None,
            due_at=seconds_from_now(settings.LISTS_MINUTES * 60.0),
            finished_at=at,
            count=len(now),
            explanation="",
        )
        if not done:
            log.warning("reading_overtaken", list=resource.name)
            return
        ours = set()
        if reading.finished_at is not None:
            found = comparing.differences(resource, before, now, gone, at)
            _observe(resource, found, reading.finished_at)
            ours = {one.upstream_id for one in found if one.what == Difference.REMOVED and one.line_id is not None}
        _mirror_anew(resource, before, now, gone, at)
        _observed(resource).filter(at__lt=at - KEPT_FOR).delete()
        life.note_gone(resource.name, gone - ours)
    log.info("list_read", list=resource.name, entries=len(now))


def _observe(resource: Resource, found: list[Observed], since: dt.datetime) -> None:
    """Write the differences down, each with the change of ours that made it. What was settled late is named late."""
    comparing.attribute(resource, found, since)
    Observed.objects.bulk_create(found, batch_size=_CHUNK)
    lately = _observed(resource).filter(line=None, at__gte=since - dt.timedelta(days=1), at__lte=since)
    named = comparing.attribute(resource, lately, since - dt.timedelta(days=1))
    Observed.objects.bulk_update(named, ["line"], batch_size=_CHUNK)


def _mirror_anew(
    resource: Resource,
    before: dict[str, Mirrored],
    now: dict[str, SettingsEntry],
    gone: set[str],
    at: dt.datetime,
) -> None:
    added: list[Mirrored] = []
    changed: list[Mirrored] = []
    for upstream_id, entry in now.items():
        values = storable(entry.values())
        known = before.get(upstream_id)
        if known is not None and (known.values, known.modified_at) == (values, entry.modified_at):
            continue
        row = known or Mirrored(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID,
            resource=resource.name,
            upstream_id=upstream_id,
            first_seen_at=at,
        )
        row.label, row.values = comparing.label_of(resource, values), values
        row.created_at, row.modified_at = entry.created_at, entry.modified_at
        (changed if known else added).append(row)
    Mirrored.objects.bulk_create(added, batch_size=_CHUNK)
    Mirrored.objects.bulk_update(changed, ["label", "values", "created_at", "modified_at"], batch_size=_CHUNK)
    for some in _chunks(gone):
        mirror(resource.name).filter(upstream_id__in=some).delete()


def _observed(resource: Resource) -> QuerySet[Observed]:
    return Observed.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource.name)


def _give_up(reading: Reading, claimed: dt.datetime, *, after: float, told: str) -> None:
    _claimed(reading, claimed).update(
        claimed_at=None, due_at=seconds_from_now(after), explanation=storable_text(told, limit=500)
    )


def _claimed(reading: Reading, claimed: dt.datetime) -> QuerySet[Reading]:
    return readings().filter(pk=reading.pk, claimed_at=claimed)


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    every = sorted(ids)
    yield from (every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK))
