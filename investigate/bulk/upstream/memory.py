"""Jobs as Cloudflare last showed them, shared by everybody who looks: one call serves all viewers.

Jobs of ours keep what was seen in their row, for good; of jobs made elsewhere a copy is kept for a while.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from dashboard.audit.chain import storable
from dashboard.emailsec.enums import BulkJobStatus
from dashboard.emailsec.types import BulkJob as CloudflareJob
from dashboard.upstream.models import Copy
from investigate.message import store
from investigate.models import UpstreamJob

PART, TURN = "bulk_job", "bulk_job_turn"
KEPT = dt.timedelta(hours=12)
ENDED = (BulkJobStatus.COMPLETED, BulkJobStatus.FAILED, BulkJobStatus.CANCELLED)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A job, when it was shown, and since when it shows the same."""

    job: CloudflareJob
    at: dt.datetime
    same_since: dt.datetime


def ours() -> QuerySet[UpstreamJob]:
    """Our rows of the configured account."""
    return UpstreamJob.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def last_seen(job_id: str) -> Seen | None:
    """What Cloudflare last said about a job, as far as we kept it. Costs no call."""
    snapshot = ours().filter(upstream_id=job_id).values_list("snapshot", flat=True).first()
    if snapshot is not None:
        try:
            return msgspec.convert(snapshot, Seen)
        except msgspec.ValidationError:  # written by another version
            return None
    return store.kept_as(Seen, job_id, PART)


def remember(job: CloudflareJob) -> Seen:
    """Keep what Cloudflare just said."""
    now, before = timezone.now(), last_seen(job.job_id)
    is_same = before is not None and _figures(before.job) == _figures(job)
    seen = Seen(job=job, at=now, same_since=before.same_since if before is not None and is_same else now)
    found = ours().filter(upstream_id=job.job_id)
    if found.update(snapshot=storable(msgspec.to_builtins(seen)), snapshot_at=now):
        if is_ended(job):
            found.filter(finished_at=None).update(finished_at=job.completed_at or now)
    else:
        store.keep_struct(job.job_id, PART, seen, KEPT)
    return seen


def forget(job_id: str) -> None:
    """The record is gone at Cloudflare; what a job of ours had come to stays."""
    Copy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=job_id, part=PART).delete()


def is_ended(job: CloudflareJob) -> bool:
    return job.status in ENDED


def counts(job: CloudflareJob) -> dict[str, int]:
    """Cloudflare's counters by the names we give them."""
    return {
        "pending": job.messages_pending,
        "successful": job.messages_successful,
        "failed": job.messages_failed,
        "skipped": job.messages_skipped,
        "cancelled": job.messages_cancelled,
    }


def take_turn(job_id: str, *, every: float) -> bool:
    """Whether it is this caller who asks Cloudflare now: one caller in so many seconds, in whichever process."""
    now = timezone.now()
    turns = Copy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=job_id, part=TURN)
    fresh = {"fetched_at": now, "expires_at": now + dt.timedelta(hours=1)}
    if turns.filter(fetched_at__lte=now - dt.timedelta(seconds=every)).update(**fresh):
        return True
    if turns.exists():
        return False
    try:
        with transaction.atomic():
            Copy.objects.create(
                account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=job_id, part=TURN, body=b"", **fresh
            )
    except IntegrityError:  # somebody else was faster by a blink
        return False
    return True


def ask_at_once(job_id: str) -> None:
    """Something was done about the job: the next look asks Cloudflare, whenever the last one was."""
    Copy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=job_id, part=TURN).delete()


def drop_parts(key: str, beginning: str) -> None:
    """Forget copies whose part begins so."""
    Copy.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=key, part__startswith=beginning
    ).delete()


def _figures(job: CloudflareJob) -> tuple[object, ...]:
    return (job.status, job.status_message, job.total_messages_discovered, *counts(job).values())
