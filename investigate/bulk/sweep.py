"""Find stranded jobs in the database: the broker only rings the bell, and bells are lost."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring
from investigate.actions.transitions import looks_due
from investigate.bulk import engine, ringing
from investigate.bulk.collecting import steps
from investigate.bulk.upstream import sending as upstream
from investigate.bulk.upstream.services import TASK as UPSTREAM_TASK
from investigate.models import Action, ActionState, BulkJob, JobState

MOST_AT_ONCE = 200


def sweep_jobs() -> None:
    """Ring for jobs that are due and held by nobody, end the claims of dead workers. Harmless when repeated."""
    for task, pk in _due():
        if not ring(task, pk):
            break  # the broker is away; the next sweep is not far
    upstream.end_dead_claims()


def _due() -> Iterator[tuple[str, str]]:
    unclaimed = Q(claimed_at=None) | Q(claimed_at__lte=seconds_from_now(-steps.CLAIM_SECONDS))
    collecting = BulkJob.objects.filter(unclaimed, state=JobState.COLLECTING, due_at__lte=Now())
    chunks = Action.objects.filter(job=OuterRef("pk"))
    resting = chunks.filter(engine.ON_ITS_WAY | Q(state=ActionState.WAITING, due_at__gt=Now()))
    ours = BulkJob.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    going = ours.filter(
        Q(state=JobState.WAITING, due_at__lte=Now())
        | Q(state=JobState.RUNNING) & ~Exists(resting)
        | Q(state=JobState.CANCELLED) & Exists(chunks.filter(state=ActionState.WAITING))
    )
    for task, found in (
        (ringing.COLLECT_TASK, collecting),
        (ringing.STEP_TASK, going),
        (UPSTREAM_TASK, upstream.due()),
    ):
        yield from ((task, str(pk)) for pk in found.order_by("due_at").values_list("pk", flat=True)[:MOST_AT_ONCE])
    looks = looks_due().filter(job__in=ours)
    yield from ((ringing.LOOK_TASK, str(pk)) for pk in looks.values_list("pk", flat=True)[:MOST_AT_ONCE])
