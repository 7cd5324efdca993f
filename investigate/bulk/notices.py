"""What a member is told on whatever page they are: that jobs of theirs have ended, here or at Cloudflare, and what a
second person said to their requests.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from investigate.approvals import queries as approvals
from investigate.approvals import services as requests
from investigate.bulk import jobs
from investigate.bulk.progress import JobView, of_account_within
from investigate.bulk.upstream import memory, presenting
from investigate.models import LIVE_JOBS, ActionState, Approval, ApprovalState, BulkJob, UpstreamJob

MOST = 3


@dataclass(frozen=True)
class Notice:
    """One job that has ended."""

    key: str
    told: str
    reason: str
    url: str
    is_good: bool
    is_request: bool = False


Ended = BulkJob | UpstreamJob | Approval


def unseen(member: Member) -> list[Ended]:
    """The member's own jobs and requests that have ended without their having seen it, the latest first."""
    ended = {"actor": member, "finished_at__isnull": False, "seen_at": None}
    own = of_account_within(member.scope, **ended).defer("progress", "not_found").order_by("-finished_at")
    asked = _ended_at_cloudflare(member).filter(**ended).order_by("-finished_at")
    decided = approvals.untold(member).select_related(*approvals.ABOUT).order_by("-decided_at")
    return sorted([*own[:MOST], *asked[:MOST], *decided[:MOST]], key=_ended_at, reverse=True)[:MOST]


def are_to_come(member: Member) -> bool:
    """Whether a job or a request of the member's may still end."""
    if approvals.mine(member).filter(state=ApprovalState.PENDING).exists():
        return True
    open_ones = memory.ours().filter(actor=member, finished_at=None, needs_person=False)
    mine = of_account_within(member.scope, actor=member, state__in=LIVE_JOBS)
    return mine.exists() or (member.scope.is_whole and open_ones.exists())


def told(member: Member, ended: Sequence[Ended]) -> list[Notice]:
    """The notices; each stays in every tab until it is dismissed, or the job's page is opened."""
    return [_notice(member, job) for job in ended]


def mark_seen(member: Member, job: Ended) -> None:
    """Its owner was shown that it has ended; what others see counts for nothing."""
    if isinstance(job, Approval):
        requests.mark_seen(member, [job])
        return
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


def _ended_at(ended: Ended) -> dt.datetime:
    at = ended.decided_at if isinstance(ended, Approval) else ended.finished_at
    return at or timezone.now()


def _notice(member: Member, job: Ended) -> Notice:
    if isinstance(job, Approval):
        view = approvals.view_of(job, member)
        is_good, told = job.state == ApprovalState.APPROVED, f"{view.ended} {view.then}".strip()
        return Notice(str(job.pk), told, view.reason, view.url, is_good, is_request=True)
    if isinstance(job, BulkJob):
        view = JobView(job, member)
        return Notice(str(job.pk), view.sentence, job.reason, view.url, view.mark == "done")
    seen = memory.last_seen(job.upstream_id) if job.upstream_id else None
    asked = presenting.JobView(str(job.pk), job, seen)
    is_gone = seen is not None and not memory.is_ended(seen.job)
    told = "Cloudflare has no record of it any more." if is_gone else asked.sentence
    url = reverse("investigate:upstream_job", args=[job.pk])
    return Notice(str(job.pk), f"{asked.title}, at Cloudflare: {told}", job.reason, url, asked.state == "done")
