"""Reading jobs at Cloudflare: whether there are any, the list merged with ours, one job, what became of each copy."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from dashboard.emailsec.enums import BulkAction, BulkJobStatus, BulkMessageStatus
from dashboard.emailsec.errors import EmailSecurityError, NotFound, NotOnThisServer
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import BulkJob as CloudflareJob
from dashboard.emailsec.types import BulkMessage, Page
from dashboard.upstream.connection import get_client
from dashboard.upstream.features import SharedMissingFeatures
from investigate.bulk.upstream import memory
from investigate.message import store
from investigate.models import OPEN_STATES, ActionKind, UpstreamJob

FEATURE = "bulk_jobs"
PER_PAGE = 50
COPIES_PER_PAGE = 100
MOST_OURS = 50
TURN_SECONDS, ENDED_TURN_SECONDS = 5.0, 60.0
LIST_FRESH = dt.timedelta(seconds=5)
OURS_SHOWN = dt.timedelta(days=30)  # of jobs that never came to be


@dataclass(frozen=True)
class Listing:
    """One page of the list. With `problem`, only what we know ourselves."""

    asked: Sequence[UpstreamJob]  # ours that Cloudflare does not have (yet)
    jobs: Sequence[tuple[CloudflareJob, UpstreamJob | None]]
    page: int
    is_last: bool
    problem: EmailSecurityError | None = None


@dataclass(frozen=True)
class Watched:
    """One job: our row, what Cloudflare last showed, and why it shows nothing newer."""

    job_id: str  # what it was asked for by
    ours: UpstreamJob | None
    seen: memory.Seen | None
    problem: EmailSecurityError | None = None

    @property
    def is_gone(self) -> bool:
        """Cloudflare has no record of it any more."""
        return isinstance(self.problem, NotFound)


def is_known_missing() -> bool:
    """Whether this account's server was found to have no bulk jobs. Costs no call."""
    return SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).is_missing(FEATURE)


def is_offered() -> bool:
    """Whether this account's server has bulk jobs. Asks once where it is not known."""
    if is_known_missing():
        return False
    if memory.ours().exclude(upstream_id="").exists() or store.kept("", _part(None, None, 1)) is not None:
        return True
    try:
        _page(None, None, 1)
    except NotOnThisServer:
        return False
    except EmailSecurityError:
        return True  # the list could not be read, which says nothing about what the server has
    return True


def listing(*, action: BulkAction | None, status: BulkJobStatus | None, page: int) -> Listing:
    """Cloudflare's list with ours in it. Raises NotOnThisServer; other failures leave what we know ourselves."""
    asked = _not_there(action) if status is None and page == 1 else []
    try:
        found = _page(action, status, page)
    except NotOnThisServer:
        raise
    except EmailSecurityError as problem:
        known = [(seen.job, row) for row in _there(action) if (seen := memory.last_seen(row.upstream_id)) is not None]
        shown = [(job, row) for job, row in known if status in (None, job.status)]
        return Listing(asked, shown if page == 1 else [], page, is_last=True, problem=problem)
    rows = {row.upstream_id: row for row in memory.ours().filter(upstream_id__in=[job.job_id for job in found.items])}
    return Listing(asked, [(job, rows.get(job.job_id)) for job in found.items], page, found.is_last)


def watch(job_id: str, *, is_poll: bool = False, is_forced: bool = False) -> Watched:
    """One job by Cloudflare's id, or by ours. At most one call in five seconds, however many people look.

    Raises NotFound where neither Cloudflare nor we know it, and what the first call for a job of others raises.
    """
    ours = find_ours(job_id)
    upstream_id = ours.upstream_id if ours else job_id
    if not upstream_id:
        return Watched(job_id, ours, None)
    seen = memory.last_seen(upstream_id)
    rests = seen is not None and memory.is_ended(seen.job) and not is_forced
    if not memory.take_turn(upstream_id, every=ENDED_TURN_SECONDS if rests else TURN_SECONDS):
        return Watched(job_id, ours, seen)
    try:
        priority = Priority.REFRESH if is_poll else Priority.READ
        seen = memory.remember(get_client().bulk_job(upstream_id, priority=priority))
    except EmailSecurityError as problem:
        if isinstance(problem, NotFound):
            memory.forget(upstream_id)
        if seen is None:
            memory.ask_at_once(upstream_id)
        if ours is None and (seen is None or isinstance(problem, NotFound)):
            raise
        return Watched(job_id, ours, seen, problem)
    if ours is not None:
        ours.refresh_from_db()
    return Watched(job_id, ours, seen)


def find_ours(job_id: str) -> UpstreamJob | None:
    """Our row, by its own id or by Cloudflare's."""
    by_id = Q(upstream_id=job_id)
    with suppress(ValueError):
        by_id |= Q(pk=uuid.UUID(job_id))
    return memory.ours().filter(by_id).first()


def copies(job_id: str, *, status: BulkMessageStatus | None, page: int) -> Page[BulkMessage]:
    """What became of each copy, as Cloudflare says."""
    return get_client().bulk_messages(job_id, status=status, page=page, per_page=COPIES_PER_PAGE)


def _page(action: BulkAction | None, status: BulkJobStatus | None, number: int) -> Page[CloudflareJob]:
    """A page of Cloudflare's list; who looks within some seconds of somebody else sees the same."""
    part = _part(action, status, number)
    kept = store.kept_as(Page[CloudflareJob], "", part, younger_than=LIST_FRESH)
    if kept is not None:
        return kept
    page = get_client().bulk_jobs(action=action, status=status, page=number, per_page=PER_PAGE)
    store.keep_struct("", part, page, memory.KEPT)
    return page


def forget_lists() -> None:
    """A job was made, stopped or deleted: the next look at the list asks Cloudflare."""
    memory.drop_parts("", "jobs")


def _part(action: BulkAction | None, status: BulkJobStatus | None, number: int) -> str:
    return f"jobs {action or ''} {status or ''} {number}"


def _of_kind(action: BulkAction | None) -> Q:
    return Q() if action is None else Q(kind=ActionKind.RELEASE if action == BulkAction.RELEASE else ActionKind.MOVE)


def _not_there(action: BulkAction | None) -> list[UpstreamJob]:
    open_ones = Q(state__in=OPEN_STATES)
    lately = Q(created_at__gt=timezone.now() - OURS_SHOWN)
    found = memory.ours().filter(_of_kind(action), open_ones | lately, upstream_id="")
    return list(found.order_by("-created_at")[:MOST_OURS])


def _there(action: BulkAction | None) -> list[UpstreamJob]:
    return list(memory.ours().filter(_of_kind(action)).exclude(upstream_id="").order_by("-created_at")[:MOST_OURS])
