"""Asking Cloudflare for a job: once, whatever becomes of the answer, the worker, or the budget."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.upstream.connection import get_client
from dashboard.upstream.models import CallBudget
from investigate.actions.transitions import CLAIM_SECONDS
from investigate.bulk import sweep
from investigate.bulk.sweep import sweep_jobs
from investigate.bulk.upstream import sending, services
from investigate.models import ActionState, UpstreamJob
from tests.investigate.bulk.upstream_desk import LIST, calls, decided, elsewhere, page_of, passes, worked

pytestmark = pytest.mark.django_db

AMBIGUOUS: dict[str, dict[str, Any]] = {
    "answer lost": {"lose_answer": True},
    "500": {"status": 500},
    "520": {"status": 520},
    "an edge page with 200": {"html": True},
    "success false with 200": {"success_false": True},
    "cut off": {"truncate": 20},
    "empty": {"empty": True},
    "a job without an id": {
        "body": b'{"success":true,"errors":[],"messages":[],"result":{"job_id":""}}',
        "content_type": "application/json",
    },
}


@pytest.mark.matrix(38)
@pytest.mark.parametrize("what", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_job_whose_answer_was_lost_is_found_by_its_comment_and_adopted(
    responder: Client, emailsec: Any, what: dict[str, Any]
) -> None:
    elsewhere()
    emailsec.faults.next("bulk.create", applied=True, **what)

    job = worked(decided(responder))
    assert job.state == ActionState.UNKNOWN
    assert "Looking for it there; it is not asked for again." in responder.get(page_of(job.pk)).content.decode()
    worked(job, after=31)

    assert job.state == ActionState.DONE
    theirs = next(one for one in emailsec.bulk.jobs.values() if one.comment.startswith(f"Mailwarden {job.pk}:"))
    assert job.upstream_id == theirs.job_id
    assert "found again by its comment" in responder.get(page_of(job.pk)).content.decode()
    worked(job, after=600)
    assert calls(emailsec, "bulk.create") == 2, "one of it was somebody else's"
    assert [event.phase for event in AuditEvent.objects.order_by("sequence")] == ["attempt", "unknown", "done"]


def test_nobody_looks_before_the_quiet_time_is_over(responder: Client, emailsec: Any) -> None:
    emailsec.faults.next("bulk.create", applied=True, lose_answer=True)
    job = worked(decided(responder))
    listed = calls(emailsec, "bulk.list")

    worked(job, after=10)

    assert calls(emailsec, "bulk.list") == listed
    assert job.state == ActionState.UNKNOWN


@pytest.mark.matrix(38)
def test_what_is_not_found_goes_to_a_person_and_is_never_asked_for_again(responder: Client, emailsec: Any) -> None:
    emailsec.faults.next("bulk.create", applied=False, lose_answer=True)
    job = worked(decided(responder))

    for wait, looks in ((31, 1), (150, 2), (430, 3)):
        assert not job.needs_person
        worked(job, after=wait)
        assert job.looks == looks
    worked(job, after=10_000)

    assert (job.state, job.needs_person) == (ActionState.UNKNOWN, True)
    assert calls(emailsec, "bulk.create") == 1
    page = responder.get(page_of(job.pk)).content.decode()
    assert "Looked 3 times and did not find the job at Cloudflare." in page
    assert "It was not made" in page
    assert "hx-trigger" not in page.partition('id="upstream-job"')[2].partition(">")[0]

    responder.post(f"{LIST}{job.pk}/settle")
    job.refresh_from_db()
    assert (job.state, job.needs_person) == (ActionState.FAILED, False)
    assert "Settled by Ben: it was not made." in responder.get(page_of(job.pk)).content.decode()
    event = AuditEvent.objects.latest("sequence")
    assert (event.actor_name, event.phase) == ("Ben", "failed")


def test_a_person_names_the_job_it_is(responder: Client, emailsec: Any) -> None:
    emailsec.faults.next("bulk.create", applied=False, lose_answer=True)
    job = worked(decided(responder))
    UpstreamJob.objects.filter(pk=job.pk).update(needs_person=True, next_look_at=None)
    theirs = elsewhere("its comment was edited")

    wrong = responder.post(f"{LIST}{job.pk}/settle", {"upstream_id": "of-nobody"})
    right = responder.post(f"{LIST}{job.pk}/settle", {"upstream_id": theirs.job_id})

    job.refresh_from_db()
    assert (wrong.status_code, right.status_code) == (404, 303)
    assert (job.state, job.upstream_id) == (ActionState.DONE, theirs.job_id)


def test_looking_now_does_not_wait(responder: Client, emailsec: Any) -> None:
    emailsec.faults.next("bulk.create", applied=True, lose_answer=True)
    job = worked(decided(responder))

    assert responder.post(f"{LIST}{job.pk}/look").status_code == 303
    worked(job, after=0)

    assert job.state == ActionState.DONE


def test_without_budget_it_waits_and_is_asked_for_once(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    emailsec.faults.next("bulk.create", status=429, retry_after=120)

    worked(job)
    assert job.state == ActionState.WAITING
    assert 100 < (job.due_at - timezone.now()).total_seconds() <= 120
    assert job.sent_at is None
    assert "call budget is used up; nothing was sent." in responder.get(page_of(job.pk)).content.decode()
    sending.step(job.pk)
    assert calls(emailsec, "bulk.create") == 1, "not before it is due"


def test_what_could_not_be_sent_for_an_hour_is_given_up(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    UpstreamJob.objects.filter(pk=job.pk).update(created_at=timezone.now() - dt.timedelta(hours=2))
    emailsec.faults.next("bulk.create", status=429, retry_after=600)

    worked(job)

    assert job.state == ActionState.FAILED
    assert "given up after an hour" in job.explanation
    assert emailsec.bulk.jobs == {}


def test_a_refusal_is_told_in_cloudflares_words(responder: Client, emailsec: Any) -> None:
    emailsec.faults.next("bulk.create", status=422, message="search_params is too broad")

    job = worked(decided(responder))

    assert job.state == ActionState.FAILED
    assert "Not made. Cloudflare: search_params is too broad." in responder.get(page_of(job.pk)).content.decode()
    worked(job, after=600)
    assert calls(emailsec, "bulk.create") == 1


def test_a_right_that_was_taken_away_meanwhile_counts(responder: Client, ben: Member, emailsec: Any) -> None:
    job = decided(responder)
    Member.objects.filter(pk=ben.pk).update(role=Role.ANALYST)

    worked(job)

    assert job.state == ActionState.FAILED
    assert "Ben no longer has the right" in job.explanation
    assert calls(emailsec, "bulk.create") == 0


def test_a_worker_that_died_before_it_sent_costs_nothing(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    passes(job, 60)
    assert sending._claim(job.pk) is not None
    passes(job, CLAIM_SECONDS + 1)

    sweep_jobs()
    job.refresh_from_db()
    assert job.state == ActionState.WAITING
    worked(job, after=1)

    assert job.state == ActionState.DONE
    assert calls(emailsec, "bulk.create") == 1


def test_a_worker_that_dies_again_and_again_is_not_fed_for_ever(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    for _ in range(3):
        passes(job, 60)
        assert sending._claim(job.pk) is not None
        passes(job, CLAIM_SECONDS + 1)
        sweep_jobs()

    job.refresh_from_db()
    assert job.state == ActionState.FAILED
    assert "Nothing was sent." in job.explanation


def test_tries_that_were_put_off_are_no_dead_workers(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    emailsec.faults.next("bulk.create", times=3, status=429, retry_after=300)
    for _ in range(3):
        worked(job, after=301)
        CallBudget.objects.all().delete()
    assert (job.state, job.attempt) == (ActionState.WAITING, 3)
    passes(job, 301)
    assert sending._claim(job.pk) is not None
    passes(job, CLAIM_SECONDS + 1)

    sweep_jobs()
    job.refresh_from_db()
    assert (job.state, job.dead_attempts) == (ActionState.WAITING, 1)
    worked(job)
    assert job.state == ActionState.DONE


@pytest.mark.matrix(16)
def test_one_bad_row_stops_neither_the_bells_nor_the_rescue_of_the_others(
    responder: Client, emailsec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good, due = (decided(responder) for _ in range(3))
    for job in (bad, good):
        passes(job, 60)
        assert sending._claim(job.pk) is not None
        passes(job, CLAIM_SECONDS + 1)
    passes(due, 60)
    rung: list[str] = []
    expire = sending._expire

    def stumble(job: UpstreamJob) -> None:
        assert rung == [str(due.pk)], "what is due is rung for first"
        if job.pk == bad.pk:
            raise ZeroDivisionError
        expire(job)

    monkeypatch.setattr(sending, "_expire", stumble)
    monkeypatch.setattr(sweep, "ring", lambda _, job: not rung.append(job))
    with capture_logs() as lines:
        sweep_jobs()

    good.refresh_from_db()
    assert good.state == ActionState.WAITING
    (line,) = [line for line in lines if line["event"] == "claim_not_ended"]
    assert (line["job"], line["error"]) == (str(bad.pk), "ZeroDivisionError")


def test_of_two_people_who_name_the_same_job_at_cloudflare_one_is_told(responder: Client, emailsec: Any) -> None:
    emailsec.faults.next("bulk.create", times=2, applied=False, lose_answer=True)
    mine, other = (worked(decided(responder)) for _ in range(2))
    UpstreamJob.objects.update(needs_person=True, next_look_at=None)
    theirs = elsewhere("its comment was edited")

    def meanwhile(job_id: str) -> Any:
        """While one person's job is read there, the other's is settled."""
        made = get_client().bulk_job(job_id)
        UpstreamJob.objects.filter(pk=other.pk).update(upstream_id=job_id, state=ActionState.DONE)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "get_client", lambda: SimpleNamespace(bulk_job=meanwhile))
        answer = responder.post(f"{LIST}{mine.pk}/settle", {"upstream_id": theirs.job_id})

    mine.refresh_from_db()
    assert (mine.state, mine.upstream_id, mine.needs_person) == (ActionState.UNKNOWN, "", True)
    assert answer.status_code == 409
    assert services.TAKEN in answer.content.decode()


def test_a_worker_that_died_while_it_sent_is_looked_up(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    passes(job, 60)
    claimed = sending._claim(job.pk)
    assert claimed is not None
    sending._held(claimed).update(sent_at=timezone.now())
    sending._create(claimed)  # and here it is killed
    passes(job, CLAIM_SECONDS + 1)

    sweep_jobs()
    job.refresh_from_db()
    assert job.state == ActionState.UNKNOWN
    worked(job, after=31)

    # Its clock was moved back with its claim, so the job is not older than the request.
    assert job.state == ActionState.DONE
    assert calls(emailsec, "bulk.create") == 1


def test_a_late_answer_of_an_overtaken_worker_changes_nothing(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    passes(job, 60)
    old = sending._claim(job.pk)
    assert old is not None
    passes(job, CLAIM_SECONDS + 1)
    sweep_jobs()
    passes(job, 1)
    assert sending._claim(job.pk) is not None

    sending._fail(old, "late")
    sending._lose(old)

    job.refresh_from_db()
    assert (job.state, job.attempt) == (ActionState.SENDING, 2)


def test_a_worker_that_was_held_up_gives_the_job_back_unsent(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    passes(job, 60)
    ticks = iter([0.0, 5.0])

    sending.step(job.pk, clock=lambda: next(ticks))

    job.refresh_from_db()
    assert (job.state, job.sent_at) == (ActionState.WAITING, None)
    assert calls(emailsec, "bulk.create") == 0


def test_a_job_of_another_account_is_left_alone(responder: Client, emailsec: Any) -> None:
    job = decided(responder)
    UpstreamJob.objects.filter(pk=job.pk).update(account_id="somebody-elses")

    worked(job)

    assert job.state == ActionState.WAITING
    assert calls(emailsec, "bulk.create") == 0
    assert responder.get(page_of(job.pk)).status_code == 404
