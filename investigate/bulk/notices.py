"""What a member is told on whatever page they are: that jobs of theirs have ended, here or at Cloudflare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from dashboard.access.models import Member
from investigate.bulk import jobs
from investigate.bulk.progress import JobView, of_account_within
from investigate.bulk.upstream import memory, presenting
from investigate.models import LIVE_JOBS, ActionState, BulkJob, UpstreamJob

MOST = 3


@dataclass(frozen=True)
class Notice:
    """One job that has ended."""

    key: str
    told: str
    reason: str
    url: str
    is_good: bool


def unseen(member: Member) -> list[BulkJob | UpstreamJob]:
    """The member's own jobs that have ended without their having seen it, the latest first."""
    ended = {"actor": member, "finished_at__isnull": False, "seen_at": None}
    own = of_account_within(member.scope, **ended).defer("progress", "not_found").order_by("-finished_at")
    asked = _ended_at_cloudflare(member).filter(**ended).order_by("-finished_at")
    return sorted([*own[:MOST], *asked[:MOST]], key=attrgetter("finished_at"), reverse=True)[:MOST]


def are_to_come(member: Member) -> bool:
    """Whether a job of the member's may still end."""
    open_ones = memory.ours().filter(actor=member, finished_at=None, needs_person=False)
    mine = of_account_within(member.scope, actor=member, state__in=LIVE_JOBS)
    return mine.exists() or (member.scope.is_whole and open_ones.exists())


def told(member: Member, ended: Sequence[BulkJob | UpstreamJob]) -> list[Notice]:
    """The notices; each stays in every tab until it is dismissed, or the job's page is opened."""
    return [_notice(member, job) for job in ended]


def mark_seen(member: Member, job: BulkJob | UpstreamJob) -> None:
    """Its owner was shown that it has ended; what others see counts for nothing."""
    if job.actor_id != member.pk or job.finished_at is None or job.seen_at is not None:
        return
    if isinstance(job, BulkJob):
        jobs.mark_seen(actor=member, job=job)
    else:
        UpstreamJob.objects.filter(pk=job.pk, seen_at=None).update(seen_at=Now())


def _ended_at_cloudflare(member: Member) -> QuerySet[UpstreamJob]:
    """Also what Cloudflare refused to begin; not what was undone, which nobody but its owner did.

    These jobs cover the whole account: whoever is limited to a part of it is told of none.
    """
    if not member.scope.is_whole:
        return UpstreamJob.objects.none()
    return memory.ours().filter(state__in=[ActionState.DONE, ActionState.FAILED])


def _notice(member: Member, job: BulkJob | UpstreamJob) -> Notice:
    if isinstance(job, BulkJob):
        view = JobView(job, member)
        return Notice(str(job.pk), view.sentence, job.reason, view.url, view.mark == "done")
    seen = memory.last_seen(job.upstream_id) if job.upstream_id else None
    asked = presenting.JobView(str(job.pk), job, seen)
    is_gone = seen is not None and not memory.is_ended(seen.job)
    told = "Cloudflare has no record of it any more." if is_gone else asked.sentence
    url = reverse("investigate:upstream_job", args=[job.pk])
    return Notice(str(job.pk), f"{asked.title}, at Cloudflare: {told}", job.reason, url, asked.state == "done")
