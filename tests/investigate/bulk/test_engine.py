"""Jobs from the decision to the last chunk, with the simulator's ledger as the truth that rows are compared with."""

from __future__ import annotations

import datetime as dt
import io
import math
from collections import Counter
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.transport import Priority
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, shared_meter, use_client
from dashboard.upstream.models import CallBudget
from investigate import tasks
from investigate.actions import sending, services, transitions
from investigate.actions import sweep as action_sweep
from investigate.bulk import engine, jobs, lifecycle, ringing, sweep
from investigate.bulk.collecting import steps
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobState
from tests.investigate.bulk import truth
from tests.investigate.bulk.truth import (
    calls,
    chunk,
    chunks,
    claim_expires,
    click,
    consistent,
    delivered,
    during_the_call,
    held,
    looks,
    passes,
    rehearsed,
    running,
    states,
    step,
)
from tests.simulated import serving, simulated_account

pytestmark = pytest.mark.django_db


# --- packing --------------------------------------------------------------------------------------------------------


@pytest.mark.matrix(35)
@pytest.mark.parametrize("number", [1, 999, 1000, 1001, 2345])
def test_a_job_takes_as_few_calls_as_the_service_allows(ben: Member, many: Any, number: int) -> None:
    job = running(ben, "move", delivered(many, number))

    job = step(job, many)

    assert job.state == JobState.DONE
    assert states(job) == {"done": number}
    assert calls(many) == math.ceil(number / 1000)
    assert [one.number for one in chunks(job)] == list(range(1, math.ceil(number / 1000) + 1))


@pytest.mark.matrix(35)
def test_ten_thousand_messages_are_ten_calls(ben: Member, many: Any) -> None:
    job = running(ben, "move", delivered(many, 10_000))

    job = step(job, many)

    assert (job.state, states(job)) == (JobState.DONE, {"done": 10_000})
    assert calls(many) == 10
    assert len({name for one in chunks(job) for name in one.request["ids"]}) == 10_000


@pytest.mark.matrix(35)
def test_a_job_without_messages_cannot_be_decided_and_calls_nothing(ana: Member, emailsec: Any) -> None:
    job = rehearsed(ana, "move", [])

    with pytest.raises(jobs.NotPossible):
        jobs.decide(actor=ana, job=job, reason="ticket 4711", decision_key="key-0001", expected_count=0, request=None)
    step(job, emailsec)

    assert calls(emailsec) == 0


@pytest.mark.matrix(35)
def test_the_same_message_twice_is_one_message_of_a_job(ana: Member, emailsec: Any) -> None:
    first, second = delivered(emailsec, 2)
    job = steps.claim(truth.begun(ana, "move").pk)
    assert job is not None
    assert steps.store(job, items=[truth.item_of(job, one) for one in (first, second, first)], progress={})
    job = steps.claim(job.pk)
    assert job is not None
    assert steps.store(job, items=[truth.item_of(job, second)], progress={})

    assert states(job) == {"queued": 2}
    assert BulkJob.objects.get(pk=job.pk).counts == {"queued": 2}


@pytest.mark.matrix(35)
def test_ids_with_colons_and_slashes_are_sent_as_they_are(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 2)
    odd = ["4H8W:x/y-2026-10-22T12:24:32-5da730a0", "a/../b?c#d%2F"]
    job = running(ana, "move", [(record, {"investigate_id": name}) for record, name in zip(records, odd, strict=True)])

    engine.step(job.pk)

    assert chunk(job).request["ids"] == odd
    assert calls(emailsec, "move") == 1
    assert states(job) == {"failed": 2}, "the service knows neither"


@pytest.mark.matrix(35)
@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    kind=st.sampled_from(["move", "release", "reclassify"]),
    alerts=st.lists(st.booleans(), max_size=350),
    most=st.integers(1, 120),
)
def test_packing_puts_each_message_into_exactly_one_chunk(
    ben: Member, monkeypatch: pytest.MonkeyPatch, kind: str, alerts: list[bool], most: int
) -> None:
    for name in ("MOST_IDS", "MOST_PER_RELEASE", "MOST_PER_SUBMISSION"):
        monkeypatch.setattr(engine, name, most)
    values = {"destination": "JunkEmail"} if kind == "move" else {}
    job = truth.begun(ben, kind, expected_disposition="SPAM" if kind == "reclassify" else "", **values)
    ActionItem.objects.bulk_create(
        ActionItem(
            job=job, investigate_id=f"m-{number}", alert_id=f"a-{number}" if has else "", state=ActionState.QUEUED
        )
        for number, has in enumerate(alerts)
    )

    packed = []
    while (pk := engine._pack(job)) is not None:
        packed.append(pk)

    sizes = [list(ActionItem.objects.filter(action=pk).values_list("alert_id", flat=True)) for pk in packed]
    assert sum(map(len, sizes)) == len(alerts)
    assert not ActionItem.objects.filter(job=job, action=None).exists()
    assert all(0 < len(one) <= most for one in sizes)
    if kind == "reclassify":
        assert all(len({bool(alert) for alert in one}) == 1 for one in sizes), "a call takes one kind of submission"
        assert len(sizes) == sum(math.ceil(n / most) for n in Counter(alerts).values())
    else:
        assert len(sizes) == math.ceil(len(alerts) / most)


# --- one chunk at a time --------------------------------------------------------------------------------------------


@pytest.mark.matrix(28, 29)
@pytest.mark.parametrize("kind", ["move", "release"])
def test_an_unknown_chunk_holds_up_the_next_until_it_is_looked_up(
    ana: Member, emailsec: Any, small_chunks: int, kind: str
) -> None:
    job = running(ana, kind, (delivered if kind == "move" else held)(emailsec, 25))
    emailsec.faults.next(kind, lose_answer=True, applied=True)

    job = step(job, emailsec)

    assert job.state == JobState.RUNNING
    assert states(job) == {"unknown": 10, "queued": 15}
    for _ in range(3):
        step(job, emailsec)
    assert calls(emailsec) == 1

    job = looks(job, emailsec, after=31)

    assert job.state == JobState.DONE
    assert states(job) == {"done": 25}
    assert calls(emailsec) == 3, "no chunk was sent twice"


@pytest.mark.matrix(37)
def test_a_worker_that_dies_between_two_chunks_leaves_a_job_that_goes_on(
    ana: Member, emailsec: Any, small_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        pass

    job = running(ana, "move", delivered(emailsec, 25))
    send, sent = sending.send, []

    def dies_after_the_first(chunk_id: Any) -> Any:
        if sent:
            raise Death
        sent.append(chunk_id)
        return send(chunk_id)

    monkeypatch.setattr(sending, "send", dies_after_the_first)
    with pytest.raises(Death):
        engine.step(job.pk)
    monkeypatch.setattr(sending, "send", send)
    consistent(job, emailsec)
    assert states(job) == {"done": 10, "queued": 15}
    assert chunk(job, 2).state == ActionState.WAITING

    assert (ringing.STEP_TASK, str(job.pk)) in list(sweep._due()), "the sweep rings for it"
    job = step(job, emailsec)

    assert states(job) == {"done": 25}
    assert calls(emailsec) == 3


@pytest.mark.matrix(20)
def test_a_bell_that_rings_ten_times_sends_each_chunk_once(ana: Member, emailsec: Any, small_chunks: int) -> None:
    job = running(ana, "move", delivered(emailsec, 25))

    for _ in range(10):
        tasks.step_job(str(job.pk))
    for one in chunks(job):
        for _ in range(10):
            tasks.send_action(str(one.pk))
            tasks.look_up_chunk(str(one.pk))
            tasks.look_up_action(str(one.pk))

    assert calls(emailsec) == 3
    assert consistent(job, emailsec).state == JobState.DONE
    tasks.step_job("00000000-0000-0000-0000-000000000000")  # a job that is gone
    tasks.look_up_chunk("00000000-0000-0000-0000-000000000000")


def test_a_task_sends_for_half_a_minute_and_rings_for_the_next(
    ana: Member, emailsec: Any, small_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STEP_SECONDS", 0.0)
    job = running(ana, "move", delivered(emailsec, 25))

    for sent in (1, 2, 3):
        job = step(job, emailsec)
        assert calls(emailsec) == sent

    assert step(job, emailsec).state == JobState.DONE


# --- people stop, pause and go on -----------------------------------------------------------------------------------


@pytest.mark.matrix(10)
def test_nothing_is_sent_in_the_undo_window_and_never_after_a_cancel(ana: Member, emailsec: Any) -> None:
    job = rehearsed(ana, "move", delivered(emailsec, 5))
    job = jobs.decide(actor=ana, job=job, reason="ticket 4711", decision_key="key-0001", expected_count=5, request=None)
    assert job.state == JobState.WAITING
    job = step(job, emailsec)
    assert job.state == JobState.WAITING
    assert not chunks(job)

    jobs.cancel(actor=ana, job=job, request=None)
    passes(job, 3600)
    job = step(job, emailsec)

    assert job.state == JobState.CANCELLED
    assert states(job) == {"cancelled": 5}
    assert calls(emailsec) == 0
    with pytest.raises(jobs.Conflict):
        jobs.cancel(actor=ana, job=job, request=None)


def test_a_job_cancelled_between_two_chunks_keeps_what_was_done(
    ana: Member, emailsec: Any, small_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STEP_SECONDS", 0.0)
    job = step(running(ana, "move", delivered(emailsec, 25)), emailsec)

    jobs.cancel(actor=ana, job=job, request=None)
    job = step(job, emailsec)

    assert job.state == JobState.CANCELLED
    assert states(job) == {"done": 10, "cancelled": 15}
    assert calls(emailsec) == 1


def test_a_chunk_on_its_way_ends_when_its_job_is_cancelled(ana: Member, emailsec: Any, small_chunks: int) -> None:
    job = running(ana, "move", delivered(emailsec, 25))

    def cancel() -> None:
        jobs.cancel(actor=ana, job=job, request=None)
        assert states(job) == {"sending": 10, "cancelled": 15}
        truth.counted_as_shown(BulkJob.objects.get(pk=job.pk))

    with during_the_call(emailsec, cancel):
        job = step(job, emailsec)

    assert job.state == JobState.CANCELLED
    assert states(job) == {"done": 10, "cancelled": 15}


@pytest.mark.parametrize("what", [{"status": 429, "retry_after": 60}, {"status": 400}, {"status": 401}])
def test_a_chunk_that_comes_back_unsent_to_a_cancelled_job_is_not_sent_again(
    ana: Member, emailsec: Any, small_chunks: int, what: dict[str, Any]
) -> None:
    job = running(ana, "move", delivered(emailsec, 25))
    emailsec.faults.next("move", **what)

    with during_the_call(emailsec, lambda: jobs.cancel(actor=ana, job=job, request=None)):
        engine.step(job.pk)
    assert (ringing.STEP_TASK, str(job.pk)) in list(sweep._due()), "the sweep rings for the rest"
    passes(job, 3600)
    job = step(job, emailsec)

    assert states(job) == {"cancelled": 25}
    assert len(emailsec.ledger) == 0
    assert calls(emailsec) == 1
    assert [event.actor_name for event in AuditEvent.objects.filter(action="job:cancel")] == ["Ana"]


def test_a_retry_of_a_cancelled_job_does_not_send_what_came_back_unsent(
    ana: Member, emailsec: Any, small_chunks: int
) -> None:
    records = delivered(emailsec, 25)
    for name in records[0].client_recipients:
        emailsec.faults.fail_move_for(name)
    job = running(ana, "move", records)
    sent: list[int] = []

    def second_call_cancels(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST":
            sent.append(1)
            if len(sent) == 2:
                jobs.cancel(actor=ana, job=job, request=None)
                emailsec.faults.next("move", status=429, retry_after=60)
        return emailsec(environ, start_response)

    with serving(second_call_cancels):
        engine.step(job.pk)
    left = states(job)
    assert left["queued"] == 10, "the chunk came back, and no sweep has come by yet"

    jobs.retry_failed(actor=ana, job=BulkJob.objects.get(pk=job.pk), request=None)
    consistent(job, emailsec)

    assert states(job)["cancelled"] == 15
    assert states(job)["queued"] == left["failed"] >= 1


def test_a_paused_job_sends_nothing_until_it_is_resumed(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STEP_SECONDS", 0.0)
    job = step(running(ana, "move", delivered(emailsec, 25)), emailsec)

    jobs.pause(actor=ben, job=job, request=None)
    job = step(job, emailsec)
    assert (job.state, job.explanation) == (JobState.PAUSED, "Paused by Ben.")
    assert calls(emailsec) == 1
    with pytest.raises(jobs.Conflict):
        jobs.pause(actor=ana, job=job, request=None)

    job = jobs.resume(actor=ana, job=job, request=None)
    assert (job.state, job.explanation, job.actor) == (JobState.RUNNING, "", ana)
    for _ in range(3):
        job = step(job, emailsec)
    assert job.state == JobState.DONE
    with pytest.raises(jobs.Conflict):
        jobs.resume(actor=ana, job=job, request=None)


def test_a_job_paused_in_its_undo_window_starts_when_it_is_resumed(ana: Member, emailsec: Any) -> None:
    job = rehearsed(ana, "move", delivered(emailsec, 3))
    jobs.decide(actor=ana, job=job, reason="ticket 4711", decision_key="key-0001", expected_count=3, request=None)
    jobs.pause(actor=ana, job=job, request=None)
    passes(job, 3600)
    assert step(job, emailsec).state == JobState.PAUSED

    jobs.resume(actor=ana, job=job, request=None)
    job = step(job, emailsec)

    assert job.state == JobState.DONE
    assert job.started_at is not None, "the rate is counted from here"


def test_only_the_owner_and_those_who_run_large_jobs_stop_one(ana: Member, vera: Member, emailsec: Any) -> None:
    job = running(ana, "move", delivered(emailsec, 3))
    other = Member.objects.create_user("eve", "eve@corp.example", "correct horse battery", role=Role.ANALYST)

    for stranger in (vera, other):
        for what in (jobs.pause, jobs.cancel, jobs.retry_failed, jobs.look_now, jobs.resume):
            with pytest.raises(PermissionDenied):
                what(actor=stranger, job=job, request=None)


# --- the same form twice --------------------------------------------------------------------------------------------


@pytest.mark.matrix(8)
def test_the_same_decision_twice_is_one(ana: Member, emailsec: Any) -> None:
    job = rehearsed(ana, "move", delivered(emailsec, 3))
    form = {"actor": ana, "reason": "ticket 4711", "decision_key": "key-0001", "expected_count": 3, "request": None}

    first, second = jobs.decide(job=job, **form), jobs.decide(job=job, **form)

    assert (first.pk, first.version) == (second.pk, second.version)
    assert AuditEvent.objects.filter(action="job:decide").count() == 1


@pytest.mark.matrix(9)
def test_a_decision_for_another_job_or_another_number_of_messages_is_refused(ana: Member, emailsec: Any) -> None:
    one, other = (rehearsed(ana, "move", delivered(emailsec, number)) for number in (3, 4))
    form = {"actor": ana, "reason": "ticket 4711", "decision_key": "key-0001", "request": None}
    with pytest.raises(jobs.Conflict, match="has 3 messages now, not 4"):
        jobs.decide(job=one, expected_count=4, **form)
    jobs.decide(job=one, expected_count=3, **form)

    with pytest.raises(jobs.Conflict, match="used already"):
        jobs.decide(job=other, expected_count=4, **form)

    other.refresh_from_db()
    assert other.state == JobState.REHEARSAL


def test_a_decision_without_a_key_is_still_a_decision(ana: Member, emailsec: Any) -> None:
    """A form that lost its hidden field must not look as if it had been carried out."""
    job = rehearsed(ana, "move", delivered(emailsec, 3))

    job = jobs.decide(actor=ana, job=job, reason="ticket 4711", decision_key="", expected_count=3, request=None)

    assert job.state == JobState.WAITING


@pytest.mark.matrix(8, 9)
def test_the_same_beginning_twice_is_one_job_and_other_content_is_refused(ana: Member, ben: Member) -> None:
    form: dict[str, Any] = {
        "actor": ana,
        "source": "selection",
        "kind": ActionKind.MOVE,
        "destination": "JunkEmail",
        "terms": [("investigate_id", "a"), ("investigate_id", "b")],
        "operation_key": "key-0001",
        "request": None,
    }

    first, second = jobs.begin(**form), jobs.begin(**form)

    assert first.pk == second.pk
    for other in ({"terms": form["terms"][:1]}, {"destination": "Inbox"}, {"actor": ben}):
        with pytest.raises(jobs.Conflict, match="used already"):
            jobs.begin(**form | other)
    assert BulkJob.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "destination", "expected"),
    [
        ("move", "", ""),
        ("move", "Archive", ""),
        ("move", "JunkEmail", "SPAM"),
        ("release", "JunkEmail", ""),
        ("release", "", "NONE"),
        ("reclassify", "", ""),
        ("reclassify", "", "MALICIOUS-BEC"),
        ("reclassify", "Inbox", "SPAM"),
        ("erase", "", ""),
    ],
)
def test_an_action_that_does_not_exist_never_becomes_a_job(
    kind: Any, destination: str, expected: str, ana: Member
) -> None:
    what = {"kind": kind, "destination": destination, "expected_disposition": expected}
    with pytest.raises(ValueError, match="no such action"):
        jobs.begin(actor=ana, source="search", operation_key="key-0001", request=None, **what)
    assert not BulkJob.objects.exists()


def test_hostile_and_overlong_reasons_are_stored_in_a_form_every_database_takes(ana: Member, emailsec: Any) -> None:
    job = rehearsed(ana, "move", delivered(emailsec, 3), reason="\x00" + "x" * 3000)

    job = jobs.decide(
        actor=ana, job=job, reason="ticket\x00 " + "y" * 3000, decision_key="k", expected_count=3, request=None
    )

    assert len(job.reason) <= 1000
    assert "\x00" not in job.reason


# --- budget, credentials, rights ------------------------------------------------------------------------------------


@pytest.mark.matrix(40)
@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [(60, 50, 61), (300, 290, 301), ("nonsense", 290, 301), (None, 290, 301), (-5, 290, 301), (10**9, 880, 901)],
)
def test_a_job_waits_as_long_as_the_service_asks_and_says_so(
    ana: Member, emailsec: Any, small_chunks: int, retry_after: Any, least: int, most: int
) -> None:
    job = running(ana, "move", delivered(emailsec, 25))
    emailsec.faults.next("move", status=429, retry_after=retry_after)

    job = step(job, emailsec)

    assert job.state == JobState.RUNNING
    assert least <= (job.due_at - timezone.now()).total_seconds() <= most
    assert "call budget is used up; nothing was sent" in job.explanation
    for _ in range(5):
        step(job, emailsec)
    assert calls(emailsec) == 1, "no call before it is over"
    assert states(job) == {"queued": 25}


@pytest.mark.matrix(40)
def test_a_pause_of_a_second_is_waited_for_within_the_call(ana: Member, emailsec: Any) -> None:
    job = running(ana, "move", delivered(emailsec, 25))
    emailsec.faults.next("move", status=429, retry_after=1)

    job = step(job, emailsec)

    assert (job.state, states(job)) == (JobState.DONE, {"done": 25})
    first, second = (call.at for call in emailsec.calls if call.operation == "move")
    assert second - first >= 1


@pytest.mark.matrix(40)
def test_a_job_goes_on_after_the_wait_and_no_longer_says_that_it_waits(
    ana: Member, emailsec: Any, small_chunks: int
) -> None:
    job = running(ana, "move", delivered(emailsec, 25))
    emailsec.faults.next("move", status=429, retry_after=60)
    job = step(job, emailsec)
    told: list[str] = []
    assert job.explanation

    CallBudget.objects.update(frozen_until=None)
    passes(job, 61)
    with during_the_call(emailsec, lambda: told.append(BulkJob.objects.get(pk=job.pk).explanation)):
        job = step(job, emailsec)

    assert told == [""]
    assert (job.state, job.explanation) == (JobState.DONE, "")
    assert calls(emailsec) == 4


@pytest.mark.matrix(41)
def test_jobs_stop_at_their_share_of_the_budget_and_a_click_still_goes(
    ana: Member, emailsec: Any, small_chunks: int
) -> None:
    *records, single = delivered(emailsec, 26)
    job = running(ana, "move", records)
    for _ in range(int(settings.CALL_LIMIT * 0.86)):
        shared_meter().reserve(Priority.ACTION)

    job = step(job, emailsec)
    assert calls(emailsec) == 0
    assert states(job) == {"queued": 25}
    assert "call budget" in job.explanation
    action = click(ana, single)
    sending.send(action.pk)

    action.refresh_from_db()
    assert action.state == ActionState.DONE


@pytest.mark.matrix(43)
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_pause_the_job_after_one_call_and_it_goes_on_by_a_click(
    ana: Member, emailsec: Any, small_chunks: int, status: int
) -> None:
    job = running(ana, "move", delivered(emailsec, 25))
    emailsec.faults.next("move", status=status, times=None)

    job = step(job, emailsec)

    assert job.state == JobState.PAUSED
    assert job.explanation.startswith("Cloudflare")
    assert states(job) == {"queued": 25}
    for _ in range(5):
        passes(job, 600)
        sweep.sweep_jobs()
        step(job, emailsec)
    assert calls(emailsec) == 1
    assert AuditEvent.objects.filter(action="job:pause").count() == 1

    emailsec.faults.clear()
    jobs.resume(actor=ana, job=job, request=None)
    job = step(job, emailsec)
    assert (job.state, states(job)) == (JobState.DONE, {"done": 25})


@pytest.mark.matrix(62)
@pytest.mark.parametrize("loss", ["role", "disabled", "deleted"])
def test_a_job_whose_owner_lost_the_right_pauses_and_somebody_else_takes_it_over(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    monkeypatch.setattr(engine, "STEP_SECONDS", 0.0)
    job = step(running(ana, "move", delivered(emailsec, 25)), emailsec)
    if loss == "role":
        Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)
    elif loss == "disabled":
        Member.objects.filter(pk=ana.pk).update(is_active=False)
    else:
        ana.delete()

    job = step(job, emailsec)

    assert job.state == JobState.PAUSED
    assert job.explanation.startswith("Ana no longer has the right to do this.")
    assert states(job) == {"done": 10, "queued": 15}
    assert calls(emailsec) == 1

    job = jobs.resume(actor=ben, job=job, request=None)
    assert job.actor == ben
    for _ in range(3):
        job = step(job, emailsec)
    assert states(job) == {"done": 25}
    assert [one.actor_name for one in chunks(job)] == ["Ana", "Ben", "Ben"]


@pytest.mark.matrix(62)
def test_a_chunk_packed_before_the_takeover_is_sent_in_the_name_of_the_new_owner(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int
) -> None:
    """Otherwise it would be checked against the rights of who lost them, given back, and so on for ever."""
    job = running(ana, "move", delivered(emailsec, 25))
    emailsec.faults.next("move", status=401)
    job = step(job, emailsec)
    assert chunk(job).state == ActionState.WAITING
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)

    jobs.resume(actor=ben, job=job, request=None)
    job = step(job, emailsec)

    assert states(job) == {"done": 25}
    assert {one.actor_name for one in chunks(job)} == {"Ben"}


@pytest.mark.matrix(62)
def test_a_move_in_doubt_at_the_takeover_is_sent_again_by_the_new_owner(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int
) -> None:
    job = running(ana, "move", delivered(emailsec, 25))
    emailsec.faults.next("move", lose_answer=True)
    job = step(job, emailsec)
    Member.objects.filter(pk=ana.pk).update(is_active=False)
    jobs.pause(actor=ben, job=job, request=None)
    jobs.resume(actor=ben, job=job, request=None)

    for wait in truth.LOOKS_AFTER:
        job = looks(job, emailsec, after=wait)

    assert (job.state, states(job)) == (JobState.DONE, {"done": 25})


@pytest.mark.matrix(62)
def test_rights_lost_between_the_check_and_the_claim_stop_the_chunk(
    ana: Member, emailsec: Any, small_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = running(ana, "move", delivered(emailsec, 25))
    send = sending.send

    def too_late(chunk_id: Any) -> Any:
        Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)
        return send(chunk_id)

    monkeypatch.setattr(sending, "send", too_late)
    job = step(job, emailsec)

    assert job.state == JobState.PAUSED
    assert calls(emailsec) == 0


def test_large_jobs_need_a_right_of_their_own(ana: Member, ben: Member, many: Any) -> None:
    small, large = rehearsed(ana, "move", delivered(many, 1000)), rehearsed(ana, "move", delivered(many, 1001))
    form = {"actor": ana, "reason": "ticket 4711", "request": None}

    jobs.decide(job=small, decision_key="key-0001", expected_count=1000, **form)
    with pytest.raises(PermissionDenied):
        jobs.decide(job=large, decision_key="key-0002", expected_count=1001, **form)


# --- others act on the same messages --------------------------------------------------------------------------------


@pytest.mark.matrix(61)
def test_what_somebody_is_acting_on_is_left_to_them(ana: Member, ben: Member, emailsec: Any, small_chunks: int) -> None:
    records = delivered(emailsec, 12)
    theirs = click(ben, records[3], destination="DeletedItems")
    job = running(ana, "move", records)

    job = step(job, emailsec)

    assert states(job) == {"done": 11, "skipped": 1}
    skipped = job.items.get(state=ActionState.SKIPPED)
    assert (skipped.investigate_id, skipped.explanation) == (records[3].id, "Ben is acting on it.")
    sending.send(theirs.pk)
    theirs.refresh_from_db()
    assert theirs.state == ActionState.DONE
    consistent(job, emailsec)


@pytest.mark.matrix(61)
def test_a_click_on_a_message_on_its_way_is_refused_and_one_still_queued_is_free(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int
) -> None:
    records = delivered(emailsec, 12)
    job = running(ana, "move", records)
    emailsec.faults.next("move", lose_answer=True, applied=True)
    job = step(job, emailsec)

    with pytest.raises(services.Conflict, match="Ana has a"):
        click(ben, records[0], destination="DeletedItems")
    sending.send(click(ben, records[11], destination="DeletedItems").pk)
    job = looks(job, emailsec, after=31)

    assert states(job) == {"done": 11, "skipped": 1}
    assert job.items.get(state="skipped").explanation == "Ben acted on it after this job was decided."
    moved = emailsec.ledger.of("move", records[11].id)
    assert {entry.detail["destination"] for entry in moved} == {"DeletedItems"}, "the later decision stands"


@pytest.mark.matrix(61)
def test_a_decision_later_than_somebodys_click_is_carried_out(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int
) -> None:
    records = delivered(emailsec, 3)
    sending.send(click(ben, records[0], destination="DeletedItems").pk)
    Action.objects.filter(job=None).update(created_at=timezone.now() - dt.timedelta(minutes=1))

    job = truth.decided(ana, rehearsed(ana, "move", records))
    engine.step(job.pk)

    job.refresh_from_db()
    assert (job.state, states(job)) == (JobState.DONE, {"done": 3})
    folders = [entry.detail["destination"] for entry in emailsec.ledger.of("move", records[0].id)]
    assert folders[-1] == "JunkEmail"


@pytest.mark.matrix(61)
def test_two_jobs_on_the_same_messages_act_once_and_the_later_one_wins(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int
) -> None:
    records = delivered(emailsec, 10)
    earlier = running(ana, "move", records)
    later = running(ben, "move", records, destination="DeletedItems")

    later = step(later, emailsec)
    earlier = step(earlier, emailsec)

    assert states(later) == {"done": 10}
    assert states(earlier) == {"skipped": 10}
    assert earlier.state == JobState.DONE
    assert chunk(earlier).state == ActionState.CANCELLED
    assert calls(emailsec) == 1


# --- refusals -------------------------------------------------------------------------------------------------------


def refusing(emailsec: Any, bad: set[str], *, status: int = 400) -> Any:
    """A service that refuses every call in which one of these ids is."""
    refused: list[int] = []

    def service(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            if any(name.encode() in body or name in environ.get("PATH_INFO", "") for name in bad):
                refused.append(1)
                emailsec.faults.pending.clear()
                emailsec.faults.next("*", status=status)
        return emailsec(environ, start_response)

    return use_client(build_client(httpx.WSGITransport(app=service)))


@pytest.mark.matrix(36)
@pytest.mark.parametrize("kind", ["move", "release"])
@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_chunk_is_halved_until_the_bad_message_is_found(
    ana: Member, emailsec: Any, kind: str, status: int
) -> None:
    records = (delivered if kind == "move" else held)(emailsec, 64)
    job = running(ana, kind, records)

    with refusing(emailsec, {records[37].id}, status=status):
        job = step(job, emailsec)

    assert job.state == JobState.DONE
    assert states(job) == {"done": 63, "failed": 1}
    assert job.items.get(state="failed").investigate_id == records[37].id
    assert job.items.get(state="failed").explanation != ""
    assert calls(emailsec) <= 2 * math.log2(64) + 1


@pytest.mark.matrix(36)
def test_many_bad_messages_are_all_found(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 200)
    bad = {records[number].id for number in range(5, 200, 13)}
    job = running(ana, "move", records)

    with refusing(emailsec, bad):
        job = step(job, emailsec)

    assert job.state == JobState.DONE
    assert set(job.items.filter(state="failed").values_list("investigate_id", flat=True)) == bad
    assert states(job)["done"] == 200 - len(bad)


@pytest.mark.matrix(36)
def test_a_server_that_refuses_everything_pauses_the_job_after_a_bounded_number_of_calls(
    ana: Member, emailsec: Any
) -> None:
    job = running(ana, "move", delivered(emailsec, 200))
    emailsec.faults.next("move*", status=400, times=None)

    job = step(job, emailsec)

    assert job.state == JobState.PAUSED
    assert job.explanation.startswith("Cloudflare refuses most of it.")
    assert calls(emailsec) <= 2 * engine.MOST_HALVINGS + 2
    assert len(emailsec.ledger) == 0

    emailsec.faults.clear()
    jobs.resume(actor=ana, job=job, request=None)
    job = step(job, emailsec)
    assert job.state == JobState.DONE
    assert states(job)["done"] + states(job)["failed"] == 200


@pytest.mark.matrix(36)
def test_a_refused_release_of_what_has_left_the_quarantine_waits_for_a_person(
    ana: Member, emailsec: Any, small_chunks: int
) -> None:
    records = held(emailsec, 10)
    job = running(ana, "release", records)
    for copy in emailsec.world.store.touched(records[0]).copies:
        copy.status, copy.folder = "delivered", "Inbox"
    emailsec.faults.next("release", status=400)

    job = step(job, emailsec)

    assert job.state == JobState.PAUSED
    assert "has left the quarantine" in job.explanation
    assert calls(emailsec) == 1

    jobs.resume(actor=ana, job=job, request=None)
    job = step(job, emailsec)
    assert (job.state, states(job)) == (JobState.DONE, {"done": 9, "skipped": 1})


@pytest.mark.matrix(36)
def test_both_halves_of_a_chunk_keep_the_doubt_of_an_earlier_try(ana: Member, emailsec: Any, small_chunks: int) -> None:
    """A refusal of the second sending proves nothing about the first, for either half."""
    records = delivered(emailsec, 8)
    job = running(ana, "move", records)
    emailsec.faults.next("move", lose_answer=True)
    job = step(job, emailsec)
    for wait in truth.LOOKS_AFTER[:2]:
        job = looks(job, emailsec, after=wait)
    emailsec.faults.next("move*", status=400, times=None)

    job = looks(job, emailsec, after=truth.LOOKS_AFTER[2])

    assert states(job) == {"unknown": 8}
    assert all(one.needs_person for one in chunks(job))
    assert job.state == JobState.DONE


# --- answers in part ------------------------------------------------------------------------------------------------


@pytest.mark.matrix(34)
def test_releases_are_told_copy_by_copy_and_retried_only_where_nobody_was_reached(ana: Member, emailsec: Any) -> None:
    records = held(emailsec, 120)
    several = next(record for record in records if len(record.client_recipients) > 1)
    alone = next(record for record in records if len(record.client_recipients) == 1)
    emailsec.faults.fail_delivery_to(several.client_recipients[0])
    emailsec.faults.fail_delivery_to(alone.client_recipients[0])
    job = running(ana, "release", records)

    job = step(job, emailsec)

    assert calls(emailsec, "release") == 2, "releases go by the hundred"
    assert job.items.get(investigate_id=several.id).state == ActionState.PARTLY_DONE
    assert job.items.get(investigate_id=alone.id).state == ActionState.FAILED
    failed = states(job)["failed"]

    emailsec.faults.clear()
    before = calls(emailsec)
    job = jobs.retry_failed(actor=ana, job=job, request=None)
    consistent(job, emailsec)
    assert states(job)["queued"] == failed
    job = step(job, emailsec)
    assert calls(emailsec) == before + 1
    assert "failed" not in states(job)
    assert job.items.get(investigate_id=several.id).state == ActionState.PARTLY_DONE


def test_a_retry_of_moves_takes_up_what_failed_and_keeps_the_copies_that_were_moved(ana: Member, many: Any) -> None:
    emailsec = many
    records = delivered(emailsec, 600)
    several = next(record for record in records if len(record.client_recipients) > 1)
    emailsec.faults.fail_move_for(several.client_recipients[0])
    job = step(running(ana, "move", records), emailsec)
    assert states(job).get("partly_done", 0) >= 1

    emailsec.faults.clear()
    job = jobs.retry_failed(actor=ana, job=job, request=None)
    assert (job.state, job.finished_at) == (JobState.RUNNING, None)
    job = step(job, emailsec)

    assert states(job) == {"done": 600}
    with pytest.raises(jobs.NotPossible):
        jobs.retry_failed(actor=ana, job=job, request=None)


@pytest.mark.matrix(11, 28)
@pytest.mark.parametrize("kind", ["move", "release"])
def test_a_retry_whose_worker_dies_is_in_doubt_again(ana: Member, emailsec: Any, kind: str) -> None:
    """The copies failed in the first try; nobody may conclude from that what the second one did."""

    class Death(BaseException):
        pass

    (record,) = (delivered if kind == "move" else held)(emailsec, 1)
    fails = emailsec.faults.fail_move_for if kind == "move" else emailsec.faults.fail_delivery_to
    for name in record.client_recipients:
        fails(name)
    job = step(running(ana, kind, [record]), emailsec)
    assert states(job) == {"failed": 1}
    emailsec.faults.clear()
    jobs.retry_failed(actor=ana, job=job, request=None)

    def killed(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return emailsec(environ, start_response)
        b"".join(emailsec(environ, start_response))
        raise Death

    with use_client(build_client(httpx.WSGITransport(app=killed))), pytest.raises(Death):
        engine.step(job.pk)
    claim_expires(job)
    action_sweep.sweep_actions()
    job = consistent(job, emailsec)
    assert job.copies == {"done": 0, "failed": 0, "unknown": len(record.client_recipients)}

    job = looks(job, emailsec, after=31)
    assert states(job) == {"done": 1}


@pytest.mark.matrix(33)
def test_what_the_answer_leaves_out_is_unknown_and_looked_up(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 60)
    job = running(ana, "move", records)
    emailsec.faults.next("move", drop_items=7, applied=True)

    job = step(job, emailsec)

    assert 1 <= states(job)["unknown"] <= 7
    assert states(job)["done"] + states(job)["unknown"] == 60
    assert chunk(job).state == ActionState.UNKNOWN
    job = looks(job, emailsec, after=31)
    assert states(job) == {"done": 60}
    assert calls(emailsec) == 1


def test_submissions_go_by_the_hundred_and_each_call_is_of_one_kind(ana: Member, many: Any) -> None:
    alerted = [record for record in many.world.store.records if record.alert_id and record.final_disposition == "SPAM"]
    records = [*alerted[:130], *delivered(many, 400)[-150:]]
    records = list({record.id: record for record in records if record.final_disposition in ("SPAM", "NONE")}.values())
    job = running(ana, "reclassify", records, expected_disposition="BULK")

    job = step(job, many)

    assert job.state == JobState.DONE
    assert states(job) == {"done": len(records)}
    kinds = [{message["type"] for message in one.request["messages"]} for one in chunks(job)]
    assert all(len(one) == 1 for one in kinds)
    with_alert = sum(bool(record.alert_id) for record in records)
    assert calls(many, "submit") == math.ceil(with_alert / 100) + math.ceil((len(records) - with_alert) / 100)


def test_an_old_server_gets_one_submission_at_a_time(ana: Member, db: None) -> None:
    old = simulated_account(
        messages=300,
        seed=7,
        profile="seed",
    )
    with serving(old):
        records = [record for record in old.world.store.records if record.final_disposition == "SPAM"][:12]
        job = running(ana, "reclassify", records, expected_disposition="NONE")

        job = step(job, old)

    assert states(job) == {"done": len(records)}
    assert calls(old, "reclassify") == len(records)
    assert [one.state for one in chunks(job)].count(ActionState.CANCELLED) == 1, "the first was packed for a newer one"


# --- dead workers and zombies ---------------------------------------------------------------------------------------


def claimed(job: BulkJob, number: int = 1) -> Action:
    pk = engine._next_chunk(job)
    taken = transitions.claim(pk)
    assert taken is not None
    return taken


@pytest.mark.matrix(18)
def test_a_worker_that_wakes_after_its_claim_stores_nothing(ana: Member, emailsec: Any, small_chunks: int) -> None:
    job = running(ana, "move", delivered(emailsec, 10))
    lifecycle.start(job)
    zombie = claimed(job)
    consistent(job, emailsec)
    claim_expires(job)
    action_sweep.sweep_actions()
    consistent(job, emailsec)
    current = transitions.claim(zombie.pk)
    assert current is not None
    assert (zombie.attempt, current.attempt) == (1, 2)
    outcomes = [transitions.Outcome(item, state=ActionState.FAILED) for item in zombie.items.all()]

    assert not transitions.note_request(zombie, {"operation": "move"}), "so it may not send"
    assert not transitions.store_answer(zombie, outcomes, look_after=30)
    assert not transitions.give_back(zombie, after=0)
    assert not transitions.end_without_call(zombie, "nothing")

    assert states(job) == {"sending": 10}
    consistent(job, emailsec)


@pytest.mark.matrix(11)
def test_a_chunk_whose_worker_died_before_the_call_waits_again(ana: Member, emailsec: Any, small_chunks: int) -> None:
    job = running(ana, "release", held(emailsec, 10))
    lifecycle.start(job)
    claimed(job)
    action_sweep.sweep_actions()
    assert states(job) == {"sending": 10}, "the claim has not expired"

    claim_expires(job)
    action_sweep.sweep_actions()
    assert states(job) == {"queued": 10}
    job = step(job, emailsec)

    assert states(job) == {"done": 10}
    assert calls(emailsec) == 1


@pytest.mark.matrix(13)
def test_three_dead_workers_park_a_chunk_for_a_person_and_the_job_goes_on(
    ana: Member, emailsec: Any, small_chunks: int
) -> None:
    job = running(ana, "release", held(emailsec, 15))
    lifecycle.start(job)
    for _ in range(3):
        claimed(job)
        claim_expires(job)
        action_sweep.sweep_actions()
        consistent(job, emailsec)

    assert (chunk(job).state, chunk(job).needs_person) == (ActionState.UNKNOWN, True)
    job = step(job, emailsec)
    assert (job.state, states(job)) == (JobState.DONE, {"unknown": 10, "done": 5})

    services.settle(actor=ana, action=chunk(job), as_done=False, request=None)
    job = consistent(job, emailsec)
    assert states(job) == {"failed": 10, "done": 5}
    assert job.copies["unknown"] == 0


def test_settling_a_chunk_needs_the_right_for_its_most_dangerous_message(
    ana: Member, ben: Member, emailsec: Any
) -> None:
    first, second = held(emailsec, 2)
    job = running(ben, "release", [first, (second, {"disposition": "MALICIOUS"})])
    lifecycle.start(job)
    for _ in range(3):
        claimed(job)
        claim_expires(job)
        action_sweep.sweep_actions()

    with pytest.raises(PermissionDenied):
        services.settle(actor=ana, action=chunk(job), as_done=False, request=None)
    assert services.settle(actor=ben, action=chunk(job), as_done=False, request=None).state == ActionState.FAILED


@pytest.mark.matrix(11, 19)
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("kind", ["move", "release"])
def test_a_worker_killed_in_mid_call_leaves_a_chunk_that_is_looked_up_and_never_applied_twice(
    ana: Member, emailsec: Any, small_chunks: int, kind: str, applied: bool
) -> None:
    class Death(BaseException):
        pass

    job = running(ana, kind, (delivered if kind == "move" else held)(emailsec, 15))

    def killed(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return emailsec(environ, start_response)
        if applied:
            b"".join(emailsec(environ, start_response))
        raise Death

    with use_client(build_client(httpx.WSGITransport(app=killed))), pytest.raises(Death):
        engine.step(job.pk)
    consistent(job, emailsec)
    engine.step(job.pk)
    assert states(job) == {"sending": 10, "queued": 5}, "nobody goes on before the claim is over"
    claim_expires(job)
    action_sweep.sweep_actions()
    job = consistent(job, emailsec)
    assert states(job) == {"unknown": 10, "queued": 5}

    for wait in truth.LOOKS_AFTER:
        job = looks(job, emailsec, after=wait)
    job = step(job, emailsec)

    if applied or kind == "move":
        assert states(job) == {"done": 15}
    else:
        assert states(job) == {"unknown": 10, "done": 5}
        assert chunk(job).needs_person
    assert job.state == JobState.DONE


def test_a_worker_held_up_between_claim_and_call_gives_the_chunk_back(ana: Member, emailsec: Any) -> None:
    job = running(ana, "move", delivered(emailsec, 5))
    lifecycle.start(job)
    pk = engine._next_chunk(job)
    times = iter([0.0, sending.STALE_CHUNK_SECONDS + 0.5])

    sending.send(pk, clock=lambda: next(times))

    assert states(job) == {"queued": 5}
    assert calls(emailsec) == 0
    consistent(job, emailsec)


def test_a_job_of_another_account_stays_as_it_is(ben: Member, emailsec: Simulator) -> None:
    """Its ids name nothing in the account that is connected now."""
    job = running(ben, "move", delivered(emailsec, 2))
    BulkJob.objects.filter(pk=job.pk).update(account_id="f" * 32)

    engine.step(job.pk)

    assert not chunks(job)
    assert not calls(emailsec, "move", "move_one")


@pytest.mark.matrix(62)
def test_a_chunk_packed_before_the_pause_is_not_sent_after_it(ben: Member, emailsec: Simulator) -> None:
    """The pause is told to the person who pressed it: from then on nothing may leave."""
    job = running(ben, "move", delivered(emailsec, 3))
    BulkJob.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
    chunk_id = engine._next_chunk(BulkJob.objects.get(pk=job.pk))
    assert chunk_id is not None

    jobs.pause(actor=ben, job=job, request=None)
    sending.send(chunk_id)

    assert not calls(emailsec, "move", "move_one")
    consistent(jobs.resume(actor=ben, job=BulkJob.objects.get(pk=job.pk), request=None), emailsec)
    engine.step(job.pk)
    assert states(job) == {"done": 3}
