"""Find stranded jobs in the database: the broker only rings the bell, and bells are lost."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from dashboard.upstream.ring import ring
from investigate.actions.transitions import seconds_from_now
from investigate.bulk import jobs
from investigate.models import Action, ActionState, BulkJob, JobState

MOST_AT_ONCE = 200


def sweep_jobs() -> None:
    """Ring for jobs that are due and held by nobody. Harmless when repeated."""
    unclaimed = Q(claimed_at=None) | Q(claimed_at__lte=seconds_from_now(-jobs.COLLECT_CLAIM))
    collecting = BulkJob.objects.filter(unclaimed, state=JobState.COLLECTING, due_at__lte=Now())
    resting = Action.objects.filter(
        Q(state__in=[ActionState.SENDING, ActionState.UNKNOWN], needs_person=False)
        | Q(state=ActionState.WAITING, due_at__gt=Now()),
        job=OuterRef("pk"),
    )
    going = BulkJob.objects.filter(
        Q(state=JobState.WAITING) | Q(state=JobState.RUNNING) & ~Exists(resting), due_at__lte=Now()
    )
    for task, due in ((jobs.COLLECT_TASK, collecting), (jobs.STEP_TASK, going)):
        for pk in due.order_by("due_at").values_list("pk", flat=True)[:MOST_AT_ONCE]:
            if not ring(task, str(pk)):
                return  # the broker is away; the next sweep is not far
