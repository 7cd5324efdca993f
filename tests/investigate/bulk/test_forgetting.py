"""What nobody decided and what jobs were begun with is forgotten after a week; what was done stays."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from dashboard.access.models import Member
from investigate import tasks
from investigate.bulk import forgetting
from investigate.models import ActionItem, ActionState, BulkJob, JobInput
from tests.investigate.bulk.job_rows import job_of

pytestmark = pytest.mark.django_db
UNDECIDED = {"decided_at": None, "started_at": None}


def job_begun(actor: Member, state: str, days: float, **values: Any) -> BulkJob:
    """A job that was begun, and ended if it has, so many days ago; with an input and three messages."""
    when = timezone.now() - dt.timedelta(days=days)
    is_over = state in ("done", "cancelled", "failed")
    job = job_of(actor, state, created_at=when, finished_at=when if is_over else None, **values)
    JobInput.objects.create(job=job, terms=[["address", "sender@example.net"]])
    for number in range(3):
        ActionItem.objects.create(job=job, investigate_id=f"{job.pk.hex}-{number}", state=ActionState.QUEUED)
    return job


@pytest.mark.parametrize("state", ["collecting", "rehearsal", "failed"])
def test_what_nobody_decided_is_forgotten_after_a_week(
    ana: Member, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    job_begun(ana, state, 8, **UNDECIDED)
    younger = job_begun(ana, state, 6, **UNDECIDED)

    tasks.forget_jobs()

    assert list(BulkJob.objects.all()) == [younger]
    assert JobInput.objects.get().job == younger
    assert set(ActionItem.objects.values_list("job", flat=True)) == {younger.pk}


@pytest.mark.parametrize("state", ["waiting", "running", "paused"])
def test_a_job_that_goes_on_keeps_everything_however_old(ana: Member, state: str) -> None:
    job_begun(ana, state, 80)

    tasks.forget_jobs()

    assert (BulkJob.objects.count(), JobInput.objects.count(), ActionItem.objects.count()) == (1, 1, 3)


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_a_job_that_ended_forgets_what_it_was_begun_with_and_keeps_its_messages(ana: Member, state: str) -> None:
    job_begun(ana, state, 8)
    younger, copied = job_begun(ana, state, 6), job_begun(ana, state, 8, source="job")

    tasks.forget_jobs()

    assert BulkJob.objects.count() == 3
    assert {found.job for found in JobInput.objects.all()} == {younger, copied}
    assert ActionItem.objects.count() == 9
