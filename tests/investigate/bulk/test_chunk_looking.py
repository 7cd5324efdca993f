"""Chunks without an answer: one search tells of a thousand messages, and what it cannot tell is looked at singly."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import pytest
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.simulator.mailbox import Mailboxes
from dashboard.upstream.connection import build_client, use_client
from investigate.actions import chunk_looking, reconciling, sending, services
from investigate.bulk import engine, jobs
from investigate.models import Action, ActionItem, ActionState, BulkJob, JobState
from tests.investigate.actions.test_unknown import AMBIGUOUS, listed
from tests.investigate.bulk.truth import (
    LOOKS_AFTER,
    calls,
    chunk,
    click,
    consistent,
    decided,
    delivered,
    held,
    looks,
    passes,
    rehearsed,
    running,
    states,
    step,
)

pytestmark = pytest.mark.django_db


@pytest.mark.matrix(28, 29, 31, 32)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not applied"])
@pytest.mark.parametrize("kind", ["move", "release"])
@pytest.mark.parametrize("what", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_any_answer_that_proves_nothing_is_settled_by_looking(
    ana: Member, emailsec: Any, kind: str, what: dict[str, Any], applied: bool
) -> None:
    job = running(ana, kind, (delivered if kind == "move" else held)(emailsec, 12))
    emailsec.faults.next(kind, applied=applied, **what)

    job = step(job, emailsec)
    assert states(job) == {"unknown": 12}
    was_applied = bool(emailsec.ledger.of(kind))
    job = looks(job, emailsec, after=31)
    if was_applied:
        assert (job.state, states(job)) == (JobState.DONE, {"done": 12})
        assert calls(emailsec) == 1
        return

    assert states(job) == {"unknown": 12}, "one look without a trace proves nothing"
    for wait in LOOKS_AFTER[1:]:
        job = looks(job, emailsec, after=wait)

    assert job.state == JobState.DONE
    if kind == "move":
        assert states(job) == {"done": 12}, "sent again, because moving twice ends in the same folder"
        assert calls(emailsec) == 2
    else:
        assert (states(job), chunk(job).needs_person) == ({"unknown": 12}, True)
        assert calls(emailsec) == 1
        services.settle(actor=ana, action=chunk(job), as_done=False, request=None)
        job = consistent(job, emailsec)
        assert states(job) == {"failed": 12}


@pytest.mark.matrix(29, 30)
def test_what_is_carried_out_after_we_gave_up_is_found_by_a_later_look(ana: Member, emailsec: Any) -> None:
    records = held(emailsec, 12)
    job = running(ana, "release", records)
    emailsec.faults.next("release", lose_answer=True)
    job = looks(step(job, emailsec), emailsec, after=31)
    assert states(job) == {"unknown": 12}

    for record in records:
        Mailboxes(emailsec.world).release(record, emailsec.clock(), "late")
    job = looks(job, emailsec, after=150)

    assert states(job) == {"done": 12}
    assert calls(emailsec) == 1


@pytest.mark.matrix(29, 30)
def test_a_search_that_lags_behind_is_not_believed_without_single_looks(ana: Member, emailsec: Any) -> None:
    """At the last look the search still shows nothing, although everything was moved: nothing is sent again."""
    records = delivered(emailsec, 12)
    job = running(ana, "move", records)
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)
    blind = {"body": '{"success":true,"errors":[],"messages":[],"result":[],"result_info":{"count":0}}'}

    for wait in LOOKS_AFTER:
        emailsec.faults.next("search", content_type="application/json", **blind)
        job = looks(job, emailsec, after=wait)

    assert (job.state, states(job)) == (JobState.DONE, {"done": 12})
    assert calls(emailsec) == 1


def test_one_look_at_a_thousand_messages_is_one_call(ben: Member, many: Any) -> None:
    job = running(ben, "move", delivered(many, 9000)[-900:])
    many.faults.next("move", lose_answer=True, applied=True)
    job = step(job, many)
    before = len(many.calls)

    job = looks(job, many, after=31)

    assert set(states(job)) == {"done"}
    assert len(many.calls) - before <= 3


def test_a_slow_search_goes_on_with_the_next_look_from_where_it_stood(ana: Member, emailsec: Any) -> None:
    job = running(ana, "move", delivered(emailsec, 12))
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)
    emailsec.faults.endless_search = True

    for _ in range(3):
        job = looks(job, emailsec, after=60)
        assert states(job) == {"unknown": 12}
        assert chunk(job).looking["location"]
        assert chunk(job).looks == 0, "a look that goes on does not count yet"
    assert (calls(emailsec, "search"), calls(emailsec, "poll")) == (1, 2)

    emailsec.faults.endless_search = False
    emailsec.clock = _later(emailsec.clock, 10)
    job = looks(job, emailsec, after=60)

    assert states(job) == {"done": 12}
    assert chunk(job).looking == {}


def _later(clock: Any, seconds: float) -> Any:
    return lambda: clock() + seconds


@pytest.mark.matrix(46)
def test_a_slow_search_whose_result_expired_is_begun_again_once_and_then_done_without(
    ana: Member, emailsec: Any
) -> None:
    job = running(ana, "move", delivered(emailsec, 12))
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)
    emailsec.faults.endless_search = True
    emailsec.faults.next("poll", status=404, times=None)

    for _ in range(4):
        job = looks(job, emailsec, after=60)

    assert states(job) == {"done": 12}
    assert calls(emailsec, "search") == 2


@pytest.mark.matrix(44, 45)
@pytest.mark.parametrize("location", [None, "https://elsewhere.example/results/1"])
def test_a_search_that_never_ends_or_points_elsewhere_is_done_without(
    ana: Member, emailsec: Any, monkeypatch: pytest.MonkeyPatch, location: str | None
) -> None:
    monkeypatch.setattr(chunk_looking, "MOST_POLLS", 3)
    job = running(ana, "move", delivered(emailsec, 12))
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)
    if location is None:
        emailsec.faults.endless_search = True
    else:
        emailsec.faults.next("search", location=location, times=None)

    for _ in range(6):
        job = looks(job, emailsec, after=60)

    assert states(job) == {"done": 12}
    assert calls(emailsec, "message") >= 12


@pytest.mark.matrix(47)
def test_a_search_with_many_pages_is_followed_to_its_end(
    ana: Member, emailsec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_looking, "PER_PAGE", 5)
    job = running(ana, "move", delivered(emailsec, 40))
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)

    job = looks(job, emailsec, after=31)
    emailsec.clock = _later(emailsec.clock, 10)  # the window is a wide one: the first page takes a while
    job = looks(job, emailsec, after=10)

    assert states(job) == {"done": 40}
    assert calls(emailsec, "search", "poll") >= 8
    assert calls(emailsec, "message") == 0


def test_a_window_in_which_too_much_was_moved_is_looked_at_message_by_message(
    ana: Member, emailsec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_looking, "PER_PAGE", 5)
    monkeypatch.setattr(chunk_looking, "MOST_PAGES", 2)
    job = running(ana, "move", delivered(emailsec, 20))
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)

    job = looks(job, emailsec, after=31)

    assert states(job) == {"done": 20}
    assert calls(emailsec, "search") == 2
    assert calls(emailsec, "message") == 20


@pytest.mark.parametrize("applied", [True, False])
def test_a_look_without_the_time_for_all_goes_on_and_comes_to_an_end(
    ana: Member, emailsec: Any, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    """Nothing is known of when they were scanned, so that all have to be looked at singly, eight at a time."""
    monkeypatch.setattr(chunk_looking, "LOOK_SECONDS", 0.0)
    job = running(ana, "move", [(record, {"facts": {}}) for record in delivered(emailsec, 20)])
    emailsec.faults.next("move", lose_answer=True, applied=applied)
    job = step(job, emailsec)

    job = looks(job, emailsec, after=31)
    assert (len(chunk(job).looking["looked"]), chunk(job).looks) == (8, 0)
    for _ in range(2):
        job = looks(job, emailsec, after=0)

    assert calls(emailsec, "message") == 20, "each was looked at once"
    if applied:
        assert states(job) == {"done": 20}
    else:
        assert (chunk(job).looks, chunk(job).looking) == (1, {})
        for wait in (150, 0, 0, 430, 0, 0):
            job = looks(job, emailsec, after=wait)
        assert (job.state, states(job)) == (JobState.DONE, {"done": 20})


def test_a_budget_that_ends_in_the_middle_of_a_look_keeps_what_was_found(ana: Member, emailsec: Any) -> None:
    job = running(ana, "move", [(record, {"facts": {}}) for record in delivered(emailsec, 20)])
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)
    seen: list[int] = []

    def stingy(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            seen.append(1)
            if len(seen) > 20:
                emailsec.faults.pending.clear()
                emailsec.faults.next("*", status=429, retry_after=300)
        return emailsec(environ, start_response)

    with use_client(build_client(httpx.WSGITransport(app=stingy))):
        job = looks(job, emailsec, after=31)

    assert states(job)["done"] >= 8
    assert states(job)["unknown"] > 0


@pytest.mark.matrix(32)
def test_a_message_that_cannot_be_looked_at_does_not_hold_up_the_others(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 12)
    job = running(ana, "move", [(record, {"facts": {}}) for record in records])
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)

    def service(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].endswith(f"/{records[4].id}"):
            emailsec.faults.next("message", html=True)
        return emailsec(environ, start_response)

    with use_client(build_client(httpx.WSGITransport(app=service))):
        job = looks(job, emailsec, after=31)

    assert states(job) == {"done": 11, "unknown": 1}


# --- what the search shows need not come from this job --------------------------------------------------------------


@pytest.mark.matrix(28)
def test_messages_that_had_been_moved_before_are_told_by_their_own_log(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 12)
    moved = {"post_delivery_operations": ["MOVE"]}
    for record in records[:6]:
        Mailboxes(emailsec.world).move(record, "Inbox2", emailsec.clock() - 3600, "somebody")
    before = len(emailsec.ledger)
    job = rehearsed(ana, "move", records)
    for item in job.items.filter(investigate_id__in=[record.id for record in records[:6]]):
        item.facts = item.facts | moved
        item.save()
    job = decided(ana, job)
    emailsec.faults.next("move", lose_answer=True)
    engine.step(job.pk)

    passes(job, 31)
    engine.look(chunk(job).pk)

    assert states(job) == {"unknown": 12}, "an hour ago is not now"
    assert len(emailsec.ledger) == before


@pytest.mark.matrix(28, 61)
def test_what_a_colleague_moved_after_the_rehearsal_is_no_proof_of_this_job(
    ana: Member, ben: Member, emailsec: Any
) -> None:
    """Nothing had been moved when the messages were collected, and the search shows one moved: by Ben, elsewhere."""
    records = delivered(emailsec, 12)
    job = rehearsed(ana, "move", records)
    sending.send(click(ben, records[0], destination="DeletedItems").pk)
    Action.objects.filter(job=None).update(created_at=timezone.now() - dt.timedelta(minutes=1))
    BulkJob.objects.filter(pk=job.pk).update(collected_at=Now())  # as if Ben had come first, but the list was older
    job = decided(ana, job)
    emailsec.faults.next("move", lose_answer=True)
    engine.step(job.pk)

    passes(job, 31)
    engine.look(chunk(job).pk)

    assert states(job) == {"unknown": 12}


def test_a_failure_of_an_earlier_try_is_no_proof_of_a_later_one(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 12)
    for record in records:
        for name in record.client_recipients:
            emailsec.faults.fail_move_for(name)
    job = step(running(ana, "move", records), emailsec)
    assert states(job) == {"failed": 12}
    emailsec.faults.clear()
    jobs.retry_failed(actor=ana, job=job, request=None)
    emailsec.faults.next("move", lose_answer=True)
    job = step(job, emailsec)

    job = looks(job, emailsec, after=31)

    assert states(job) == {"unknown": 12}
    assert job.copies["failed"] == 0


# --- the last look --------------------------------------------------------------------------------------------------


def test_pauses_before_the_call_do_not_count_as_sendings(ana: Member, emailsec: Any) -> None:
    """Five waits for the budget and one lost answer: the move is still sent again after three looks."""
    job = running(ana, "move", delivered(emailsec, 12))
    emailsec.faults.next("move", status=401, times=5)
    for _ in range(5):
        job = step(job, emailsec)
        jobs.resume(actor=ana, job=job, request=None)
    emailsec.faults.next("move", lose_answer=True)
    job = step(job, emailsec)
    assert chunk(job).attempt == 6

    for wait in LOOKS_AFTER:
        job = looks(job, emailsec, after=wait)

    assert states(job) == {"done": 12}


def test_a_chunk_goes_to_a_person_after_ten_tries_that_left_no_trace(ana: Member, emailsec: Any) -> None:
    job = running(ana, "move", delivered(emailsec, 12))
    emailsec.faults.next("move", lose_answer=True, times=None)
    job = step(job, emailsec)

    for _ in range(12):
        for wait in LOOKS_AFTER:
            job = looks(job, emailsec, after=wait)

    assert calls(emailsec) == reconciling.MOST_SENDINGS_OF_CHUNK
    assert (chunk(job).needs_person, job.state) == (True, JobState.DONE)
    emailsec.faults.clear()


@pytest.mark.parametrize("how", ["cancelled before the last look", "cancelled while it waits to be sent again"])
def test_a_cancelled_job_sends_nothing_again_and_says_that_it_may_have_happened(
    ana: Member, emailsec: Any, how: str
) -> None:
    job = running(ana, "move", delivered(emailsec, 12))
    emailsec.faults.next("move", lose_answer=True)
    job = step(job, emailsec)
    for wait in LOOKS_AFTER[:2]:
        job = looks(job, emailsec, after=wait)
    if how == "cancelled before the last look":
        jobs.cancel(actor=ana, job=job, request=None)
        job = looks(job, emailsec, after=LOOKS_AFTER[2])
    else:
        passes(job, LOOKS_AFTER[2])
        reconciling.look_up(chunk(job).pk)
        assert chunk(job).state == ActionState.WAITING
        jobs.cancel(actor=ana, job=job, request=None)
    job = step(job, emailsec)

    assert job.state == JobState.CANCELLED
    assert (states(job), chunk(job).needs_person) == ({"unknown": 12}, True)
    assert calls(emailsec) == 1


def test_a_job_that_has_ended_sends_nothing_by_itself_when_somebody_looks_once_more(ana: Member, emailsec: Any) -> None:
    job = running(ana, "move", delivered(emailsec, 12))
    emailsec.faults.next("move", lose_answer=True)
    job = step(job, emailsec)
    for wait in LOOKS_AFTER[:2]:
        job = looks(job, emailsec, after=wait)
    emailsec.faults.next("move*", status=400, times=None)
    job = looks(job, emailsec, after=LOOKS_AFTER[2])
    emailsec.faults.clear()
    assert job.state == JobState.DONE

    jobs.look_now(actor=ana, job=job, request=None)
    job = looks(job, emailsec, after=1)

    assert states(job) == {"unknown": 12}, "and not queued for ever in a job that is over"
    assert not ActionItem.objects.filter(job=job, state=ActionState.QUEUED).exists()


def test_looking_now_is_heard_and_needs_something_to_look_at(ana: Member, emailsec: Any) -> None:
    job = running(ana, "move", delivered(emailsec, 12))
    with pytest.raises(jobs.NotPossible):
        jobs.look_now(actor=ana, job=job, request=None)
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)

    jobs.look_now(actor=ana, job=job, request=None)
    job = looks(job, emailsec, after=0)

    assert states(job) == {"done": 12}


# --- submissions ----------------------------------------------------------------------------------------------------


@pytest.mark.matrix(28)
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("alert", [True, False])
def test_unanswered_submissions_are_looked_for_among_the_submissions(
    ana: Member, emailsec: Any, applied: bool, alert: bool
) -> None:
    records = delivered(emailsec, 200)
    # What has the verdict already is refused, and which mail that is changes with the hour.
    records = [one for one in records if bool(one.alert_id) == alert and one.final_disposition != "SPOOF"][:12]
    job = running(ana, "reclassify", records, expected_disposition="SPOOF")
    emailsec.faults.next("submit", lose_answer=True, applied=applied)
    job = step(job, emailsec)
    assert job.copies == {"done": 0, "failed": 0, "unknown": len(records)}

    for wait in LOOKS_AFTER:
        job = looks(job, emailsec, after=wait)

    assert calls(emailsec) == 1
    if applied:
        assert states(job) == {"done": len(records)}
    else:
        assert (states(job), chunk(job).needs_person) == ({"unknown": len(records)}, True)


def test_a_submission_that_names_no_message_proves_nothing(ana: Member, emailsec: Any) -> None:
    records = [record for record in delivered(emailsec, 60) if not record.alert_id][:12]
    job = running(ana, "reclassify", [(record, {"postfix_id": ""}) for record in records], expected_disposition="SPOOF")
    emailsec.faults.next("submit", lose_answer=True)
    job = step(job, emailsec)
    emailsec.faults.next("submissions", **listed({"original_postfix_id": "", "requested_disposition": "SPOOF"}))

    job = looks(job, emailsec, after=31)

    assert set(states(job)) == {"unknown"}
    assert Action.objects.filter(job=job, next_look_at__gt=Now()).exists()
