"""What a job releases is judged by the verdict of the moment, not by that of its collecting."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from dashboard.access.models import Member
from investigate.actions import verdicts
from investigate.bulk import collecting, engine, jobs
from investigate.models import ActionItem, ActionKind, BulkJob, JobSource, JobState
from tests.investigate.bulk.conftest import decided
from tests.investigate.bulk.truth import calls, held, passes, rehearsed, running, states, step

pytestmark = pytest.mark.django_db


def left_out(job: BulkJob) -> dict[str, str]:
    return dict(ActionItem.objects.filter(job=job, state="skipped").values_list("investigate_id", "explanation"))


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ("MALICIOUS", "It became Malicious since: release it by itself."),
        ("MALICIOUS-BEC", "It became BEC since: release it by itself."),
        (None, "It has no clear verdict any more: release it by itself."),
    ],
)
def test_a_message_that_became_malicious_is_not_released_by_an_old_verdict(
    ana: Member, emailsec: Any, verdict: str | None, told: str
) -> None:
    records = held(emailsec, 4)
    job = running(ana, "release", records)
    records[1].final_disposition = verdict

    job = step(job, emailsec)

    assert job.state == JobState.DONE
    assert states(job) == {"done": 3, "skipped": 1}
    assert left_out(job) == {records[1].id: told}
    assert records[1].id not in {entry.investigate_id for entry in emailsec.ledger}


def test_the_job_again_releases_nothing_by_the_verdicts_of_the_first(ana: Member, emailsec: Any) -> None:
    records = held(emailsec, 3)
    first = rehearsed(ana, "move", records)
    for record in records:
        record.final_disposition = "MALICIOUS-BEC"
    again = jobs.begin(
        actor=ana,
        source=JobSource.JOB,
        kind=ActionKind.RELEASE,
        terms=[("job", str(first.pk)), ("states", "")],
        operation_key=uuid.uuid4().hex,
        request=None,
    )
    while BulkJob.objects.get(pk=again.pk).state == JobState.COLLECTING:
        collecting.collect(again.pk)
    again.refresh_from_db()
    again.items.update(state="queued")  # whatever collecting knew of the quarantine
    job = step(decided(ana, again), emailsec)

    assert states(job) == {"skipped": 3}
    assert calls(emailsec) == 0


def test_who_may_release_anything_alone_pays_for_no_reading(ben: Member, emailsec: Any) -> None:
    job = running(ben, "release", held(emailsec, 4))
    before = calls(emailsec, "message")

    assert states(step(job, emailsec)) == {"done": 4}
    assert calls(emailsec, "message") == before


def test_a_message_that_is_gone_is_left_out(ana: Member, emailsec: Any) -> None:
    records = held(emailsec, 3)
    job = running(ana, "release", [*records, (records[0], {"investigate_id": "gone", "postfix_id": "gone"})])

    job = step(job, emailsec)

    assert states(job) == {"done": 3, "skipped": 1}
    assert left_out(job) == {"gone": verdicts.UNREAD}


def test_while_nothing_can_be_read_nothing_is_released(ana: Member, emailsec: Any) -> None:
    job = running(ana, "release", held(emailsec, 3))
    for _ in range(100):
        emailsec.faults.next("message", status=503)

    job = step(job, emailsec)
    assert (job.state, states(job)) == (JobState.RUNNING, {"queued": 3})
    assert job.explanation == "Cloudflare could not be reached; nothing was sent."

    emailsec.faults.clear()
    passes(job, 60)
    assert states(step(job, emailsec)) == {"done": 3}


def test_what_one_step_could_not_read_the_next_one_reads(
    ana: Member, emailsec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "READ_SECONDS", -1.0)
    monkeypatch.setattr(engine, "STEP_SECONDS", 0.0)
    job = running(ana, "release", held(emailsec, 3))

    assert states(step(job, emailsec)) == {"queued": 3}
    monkeypatch.undo()
    assert states(step(job, emailsec)) == {"done": 3}
