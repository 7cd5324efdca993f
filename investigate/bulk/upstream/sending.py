"""Ask Cloudflare for a job, once: claim the row, write the request down, call, store the answer.

A request whose answer was lost is never repeated. The job it may have made is looked for by the key in its comment and
adopted; where three looks over ten minutes find nothing, a person decides.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.audit.chain import storable
from dashboard.emailsec import Priority, errors, every
from dashboard.emailsec.enums import MailboxDestination
from dashboard.emailsec.groups import time_left
from dashboard.emailsec.types import BulkJob as CloudflareJob
from dashboard.sql import seconds_from_now
from dashboard.upstream.connection import get_client
from dashboard.upstream.patience import pause_after, until_next_look
from investigate.actions import words as action_words
from investigate.actions.looking import CLOCK_SLACK
from investigate.actions.sending import CALL_SECONDS, GIVE_UP_AFTER, STALE_SECONDS
from investigate.actions.transitions import CLAIM_SECONDS, MOST_DEAD_ATTEMPTS, storable_words
from investigate.approvals.rights import approval_of
from investigate.bulk.upstream import asking, following, memory, services, words
from investigate.models import ActionState, UpstreamJob

log = structlog.get_logger("mailwarden.jobs")

LONGEST_ID = 100
LIST_SECONDS = 45.0  # all pages of the list together; a look is leased for 60 s
LEASE = 60.0
MOST_PAGES = 20
_LATER = 60.0  # seconds until a look that failed is tried again


def step(job_id: uuid.UUID | str, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Do what is due for one job. Harmless when nothing is, and when another worker has it."""
    claimed = clock()
    job = _claim(job_id)
    if job is not None:
        _send(job, claimed, clock)
        return
    job = _take_for_look(job_id)
    if job is not None:
        _look(job)
        return
    following.follow(job_id)


def end_dead_claims() -> None:
    """Let go of what workers that never came back have held. Harmless when repeated."""
    held_too_long = Q(state=ActionState.SENDING, claimed_at__lte=seconds_from_now(-CLAIM_SECONDS))
    for job in memory.ours().filter(held_too_long):
        try:
            _expire(job)
        except Exception as problem:  # noqa: BLE001  one bad row must not keep the others from being rescued
            log.warning("claim_not_ended", job=str(job.pk), error=type(problem).__name__)


def due() -> QuerySet[UpstreamJob]:
    """Jobs that wait to be asked for, looks, and jobs to be followed, whose time has come."""
    is_due = Q(state=ActionState.WAITING, due_at__lte=Now()) | Q(state=ActionState.UNKNOWN, next_look_at__lte=Now())
    return memory.ours().filter(is_due) | following.due()


# --- asking -----------------------------------------------------------------------------------------------------------


def _claim(job_id: uuid.UUID | str) -> UpstreamJob | None:
    taken = (
        memory.ours()
        .filter(pk=job_id, state=ActionState.WAITING, due_at__lte=Now())
        .update(
            state=ActionState.SENDING,
            attempt=F("attempt") + 1,
            claimed_at=Now(),
            sent_at=None,
            looks=0,
            explanation="",
        )
    )
    return UpstreamJob.objects.select_related("actor").get(pk=job_id) if taken else None


def _send(job: UpstreamJob, claimed: float, clock: Callable[[], float]) -> None:
    if told := services.why_not_asked(job):
        _fail(job, f"Nothing was sent: {told}")
        return
    if not _held(job).update(sent_at=Now()):
        return
    if clock() - claimed > STALE_SECONDS:
        _give_back(job, after=0)
        return
    try:
        made = _create(job)
    except (errors.RateLimited, errors.Unavailable) as problem:
        _wait_and_try_again(job, problem)
    except errors.REFUSED as problem:
        log.warning("upstream_job_refused", job=str(job.pk), error=type(problem).__name__, status=problem.status)
        _fail(job, action_words.refusal(problem))
    except errors.EmailSecurityError as problem:
        log.warning("upstream_job_unknown", job=str(job.pk), error=type(problem).__name__, status=problem.status)
        _lose(job)
    else:
        if not 0 < len(made.job_id) <= LONGEST_ID or not _adopt(job, made, _held(job)):
            log.warning("upstream_job_without_usable_id", job=str(job.pk), length=len(made.job_id))
            _lose(job)
    # Anything else is a fault of ours: the row stays `sending` until its claim expires and is then looked for.


def _create(job: UpstreamJob) -> CloudflareJob:
    return get_client().create_bulk_job(
        action=asking.action_of(job.kind),
        search=asking.search_in(job.request),
        destination=MailboxDestination(job.destination) if job.destination else None,
        comment=job.request["comment"],
        budget=CALL_SECONDS,
        priority=Priority.ACTION,
    )


def _wait_and_try_again(job: UpstreamJob, problem: errors.EmailSecurityError) -> None:
    """Nothing was sent. The row waits, not the worker."""
    approval = approval_of(job)
    decided_at = job.created_at if approval is None or approval.decided_at is None else approval.decided_at
    if timezone.now() - decided_at > GIVE_UP_AFTER:
        _fail(job, f"{action_words.pause(problem)} It was given up after an hour of tries.")
        return
    pause = pause_after(problem, attempt=job.attempt)
    _give_back(job, after=pause, explanation=action_words.pause(problem))


def _held(job: UpstreamJob) -> Any:
    """The row while this attempt holds it."""
    return UpstreamJob.objects.filter(pk=job.pk, attempt=job.attempt, state=ActionState.SENDING)


def _give_back(job: UpstreamJob, *, after: float, explanation: str = "") -> None:
    _held(job).update(
        state=ActionState.WAITING,
        due_at=seconds_from_now(after),
        sent_at=None,
        explanation=storable_words(explanation),
    )


def _fail(job: UpstreamJob, explanation: str) -> None:
    with transaction.atomic():
        if _held(job).update(
            state=ActionState.FAILED, finished_at=Now(), explanation=storable_words(explanation), next_look_at=None
        ):
            services.note(job, "failed", detail={"explanation": explanation})


def _lose(job: UpstreamJob, explanation: str = "") -> None:
    """No answer to trust: the job may have been made."""
    with transaction.atomic():
        if _held(job).update(
            state=ActionState.UNKNOWN,
            next_look_at=seconds_from_now(float(settings.QUIET_SECONDS)),
            explanation=explanation,
        ):
            services.note(job, "unknown")


def _adopt(job: UpstreamJob, made: CloudflareJob, row: Any, explanation: str = "") -> bool:
    """The job at Cloudflare is ours. `row`: our row as long as nobody else has settled it.

    False where it belongs to another row of ours already.
    """
    now = timezone.now()
    seen = memory.Seen(job=made, at=now, same_since=now)
    if memory.ours().filter(upstream_id=made.job_id).exclude(pk=job.pk).exists():
        return False
    with transaction.atomic():
        changed = row.update(
            state=ActionState.DONE,
            upstream_id=made.job_id,
            snapshot=storable(msgspec.to_builtins(seen)),
            snapshot_at=now,
            next_look_at=None,
            needs_person=False,
            explanation=explanation,
        )
        if not changed:
            log.warning("upstream_job_overtaken", job=str(job.pk), attempt=job.attempt)
            return True
        job.upstream_id = made.job_id
        services.note(job, "done", detail={"explanation": explanation} if explanation else None)
    return True


def _expire(job: UpstreamJob) -> None:
    """A worker never came back. What it had not written down as sent cannot have left."""
    expired = _held(job).filter(claimed_at__lte=seconds_from_now(-CLAIM_SECONDS))
    log.warning("upstream_job_claim_expired", job=str(job.pk), attempt=job.attempt)
    if job.sent_at is not None:
        if expired.exists():
            _lose(job, "A worker stopped while it was asking.")
    elif job.dead_attempts + 1 >= MOST_DEAD_ATTEMPTS:
        if expired.filter(sent_at=None).exists():
            _fail(job, f"{job.dead_attempts + 1} tries ended with a worker that stopped. Nothing was sent.")
    else:
        expired.filter(sent_at=None).update(
            state=ActionState.WAITING,
            due_at=Now(),
            dead_attempts=F("dead_attempts") + 1,
            explanation="A worker stopped before it sent anything.",
        )


# --- looking for a job whose answer was lost --------------------------------------------------------------------------


def _take_for_look(job_id: uuid.UUID | str) -> UpstreamJob | None:
    due = memory.ours().filter(pk=job_id, state=ActionState.UNKNOWN, sent_at__isnull=False, next_look_at__lte=Now())
    return UpstreamJob.objects.get(pk=job_id) if due.update(next_look_at=seconds_from_now(LEASE)) else None


def _look(job: UpstreamJob) -> None:
    looked_at = UpstreamJob.objects.filter(pk=job.pk, attempt=job.attempt, looks=job.looks, state=ActionState.UNKNOWN)
    try:
        found = _find(job)
    except errors.EmailSecurityError as problem:
        log.warning("upstream_job_look_failed", job=str(job.pk), error=type(problem).__name__, status=problem.status)
        looked_at.update(next_look_at=seconds_from_now(max(problem.retry_after or 0.0, _LATER)))
        return
    if found and _adopt(job, found[0], looked_at, words.found_again(len(found))):
        return
    wait = until_next_look(job.sent_at, job.looks)
    if wait is not None:
        looked_at.update(looks=F("looks") + 1, next_look_at=seconds_from_now(wait))
        return
    explanation = words.not_found_again(job.looks + 1)
    with transaction.atomic():
        if looked_at.update(looks=F("looks") + 1, next_look_at=None, needs_person=True, explanation=explanation):
            services.note(job, "unknown", detail={"explanation": explanation})


def _find(job: UpstreamJob) -> list[CloudflareJob]:
    """The jobs at Cloudflare that carry our key, oldest first: one, unless our one request was carried out twice."""
    started, mark = time.monotonic(), asking.mark(job.pk)
    since = (job.sent_at or job.created_at) - CLOCK_SLACK
    listed = every(
        lambda page: get_client().bulk_jobs(
            page=page,
            per_page=1000,
            budget=min(CALL_SECONDS, time_left(LIST_SECONDS, started)),
            priority=Priority.READ,
        ),
        most_pages=MOST_PAGES,
    )
    found = [
        one
        for one in listed
        if (one.comment or "").startswith(mark)
        and 0 < len(one.job_id) <= LONGEST_ID
        and (one.created_at is None or one.created_at >= since)
    ]
    return sorted(found, key=lambda one: one.created_at or since)
