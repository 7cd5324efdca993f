"""Several at the same instant, against a real database: one wins, and the ledger agrees with the rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.recorder import AuditNotWritten
from investigate.actions import sending, services, transitions
from investigate.bulk import engine, jobs, lifecycle
from investigate.models import Action, ActionItem, ActionState, BulkJob, JobState
from tests.dashboard.audit.test_trail import block_trail
from tests.investigate.actions.test_races import together
from tests.investigate.bulk.truth import (
    as_carried_out,
    calls,
    chunks,
    click,
    consistent,
    counted_as_shown,
    delivered,
    held,
    rehearsed,
    running,
    states,
    trail_is_whole,
)

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 12


def put_back(emailsec: Any, records: list[Any], status: str = "delivered") -> None:
    """The messages are where they were, and the ledger begins anew."""
    for record in records:
        for copy in emailsec.world.store.touched(record).copies:
            copy.status, copy.folder = status, "Inbox" if status == "delivered" else None
    emailsec.ledger.undo_to(0)
    emailsec.calls.clear()


def tomorrow(job: BulkJob) -> None:
    """The round is over: what it left open does not stand in the way of the next one."""
    ActionItem.objects.filter(job=job).delete()


@pytest.mark.matrix(17)
@pytest.mark.parametrize("kind", ["move", "release"])
def test_workers_that_race_for_a_job_send_each_chunk_once(
    ana: Member, emailsec: Any, small_chunks: int, kind: str
) -> None:
    records = (delivered if kind == "move" else held)(emailsec, 25)
    for _ in range(ROUNDS):
        put_back(emailsec, records, "delivered" if kind == "move" else "quarantined")
        job = running(ana, kind, records)

        ends = together(*[lambda job=job: engine.step(job.pk)] * 3)
        engine.step(job.pk)

        assert ends == [None, None, None]
        job = consistent(job, emailsec)
        assert (job.state, states(job)) == (JobState.DONE, {"done": 25})
        assert calls(emailsec) == 3
        assert [one.number for one in chunks(job)] == [1, 2, 3]
        tomorrow(job)
    trail_is_whole()


@pytest.mark.matrix(17)
def test_two_workers_claim_a_chunk_once(ana: Member, emailsec: Any, small_chunks: int) -> None:
    records = delivered(emailsec, 10)
    for _ in range(ROUNDS):
        job = running(ana, "move", records)
        lifecycle.start(job)
        pk = engine._next_chunk(job)

        claims = together(*[lambda pk=pk: transitions.claim(pk)] * 3)

        assert sorted(type(claim).__name__ for claim in claims) == ["Action", "NoneType", "NoneType"], claims
        assert states(job) == {"sending": 10}
        consistent(job, emailsec)
        tomorrow(job)


@pytest.mark.matrix(10)
def test_a_cancel_in_the_same_instant_as_the_start_either_wins_or_leaves_whole_chunks(
    ana: Member, emailsec: Any, small_chunks: int
) -> None:
    records = delivered(emailsec, 25)
    for _ in range(ROUNDS):
        put_back(emailsec, records)
        job = running(ana, "move", records)

        cancelled, worked = together(
            lambda job=job: jobs.cancel(actor=ana, job=BulkJob.objects.get(pk=job.pk), request=None),
            lambda job=job: engine.step(job.pk),
        )
        engine.step(job.pk)

        assert worked is None
        job = consistent(job, emailsec)
        if isinstance(cancelled, jobs.Conflict):
            assert (job.state, states(job)) == (JobState.DONE, {"done": 25})
        else:
            assert isinstance(cancelled, BulkJob), cancelled
            assert job.state == JobState.CANCELLED
            assert set(states(job)) <= {"done", "cancelled"}
            assert states(job).get("done", 0) in (0, 10, 20, 25)
        tomorrow(job)


@pytest.mark.matrix(10)
def test_of_a_decision_and_a_cancel_in_the_same_instant_the_trail_tells_the_order(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 5)
    for number in range(ROUNDS):
        job = rehearsed(ana, "move", records)

        made, cancelled = together(
            lambda job=job, number=number: jobs.decide(
                actor=ana,
                job=BulkJob.objects.get(pk=job.pk),
                reason="ticket 4711",
                decision_key=f"key-{number}",
                expected_count=5,
                request=None,
            ),
            lambda job=job: jobs.cancel(actor=ana, job=BulkJob.objects.get(pk=job.pk), request=None),
        )

        assert isinstance(cancelled, BulkJob), cancelled
        assert isinstance(made, (BulkJob, jobs.Conflict)), made
        job.refresh_from_db()
        assert (job.state, states(job)) == (JobState.CANCELLED, {"cancelled": 5})
        engine.step(job.pk)
        assert calls(emailsec) == 0
        tomorrow(job)


@pytest.mark.matrix(8)
def test_a_decision_sent_twice_in_the_same_instant_is_one(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 3)
    for number in range(ROUNDS):
        job = rehearsed(ana, "move", records)

        made = together(
            *[
                lambda job=job, number=number: jobs.decide(
                    actor=ana,
                    job=BulkJob.objects.get(pk=job.pk),
                    reason="ticket 4711",
                    decision_key=f"key-{number}",
                    expected_count=3,
                    request=None,
                )
            ]
            * 2
        )

        assert all(isinstance(one, BulkJob) and one.state == JobState.WAITING for one in made), made
        consistent(job, emailsec)
        tomorrow(job)


def test_a_retry_in_the_same_instant_as_the_end_is_never_forgotten(
    ana: Member, emailsec: Any, small_chunks: int
) -> None:
    """A worker finds nothing left to pack while somebody puts failed messages back into the queue."""
    records = delivered(emailsec, 12)
    for _ in range(ROUNDS):
        put_back(emailsec, records)
        for record in records[:2]:
            for name in record.client_recipients:
                emailsec.faults.fail_move_for(name)
        job = running(ana, "move", records)
        lifecycle.start(job)
        while (pk := engine._next_chunk(job)) is not None:
            sending.send(pk)
        BulkJob.objects.filter(pk=job.pk).update(state=JobState.RUNNING, due_at=Now(), finished_at=None)
        emailsec.faults.clear()

        together(
            lambda job=job: engine.step(job.pk),
            lambda job=job: jobs.retry_failed(actor=ana, job=BulkJob.objects.get(pk=job.pk), request=None),
        )

        job.refresh_from_db()
        if states(job).get("queued"):
            assert job.state == JobState.RUNNING, "or nobody would ever take them up"
        engine.step(job.pk)
        job.refresh_from_db()
        assert (job.state, states(job)) == (JobState.DONE, {"done": 12})
        tomorrow(job)


@pytest.mark.matrix(59, 60, 61)
@pytest.mark.parametrize("destination", ["JunkEmail", "DeletedItems"], ids=["same", "opposite"])
def test_a_click_and_a_job_on_one_message_in_the_same_instant_never_send_both_at_once(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int, destination: str
) -> None:
    records = delivered(emailsec, 8)
    for number in range(ROUNDS):
        put_back(emailsec, records)
        job = running(ana, "move", records)
        BulkJob.objects.filter(pk=job.pk).update(decided_at=timezone.now() - dt.timedelta(seconds=5))
        Action.objects.filter(job=None).update(operation_key=f"round-{number}")

        _, clicked = together(
            lambda job=job: engine.step(job.pk), lambda: click(ben, records[4], destination=destination)
        )

        assert isinstance(clicked, (Action, services.Conflict, services.NotPossible)), clicked
        if isinstance(clicked, Action):
            sending.send(clicked.pk)
        job.refresh_from_db()
        counted_as_shown(job)
        as_carried_out([job], emailsec, tries=2)
        assert job.state == JobState.DONE
        assert set(states(job)) <= {"done", "skipped"}
        if "skipped" in states(job):
            assert job.items.get(state="skipped").investigate_id == records[4].id
        tomorrow(job)
        Action.objects.filter(job=None).delete()


@pytest.mark.matrix(52, 59)
def test_jobs_on_the_same_messages_in_crossing_order_come_to_an_end(ana: Member, ben: Member, emailsec: Any) -> None:
    """Each holds messages the other waits for: the database ends one of the two transactions, and it is repeated."""
    records = delivered(emailsec, 60)
    for _ in range(ROUNDS):
        put_back(emailsec, records)
        one, other = running(ana, "move", records), running(ben, "move", records[::-1], destination="DeletedItems")

        ends = together(lambda one=one: engine.step(one.pk), lambda other=other: engine.step(other.pk))
        for job in (one, other):
            engine.step(job.pk)

        assert ends == [None, None]
        for job in (one, other):
            job.refresh_from_db()
            assert job.state == JobState.DONE
            assert set(states(job)) <= {"done", "skipped"}
            counted_as_shown(job)
        assert not ActionItem.objects.filter(state__in=[ActionState.SENDING, ActionState.QUEUED]).exists()
        for job in (one, other):
            tomorrow(job)
    trail_is_whole()


@pytest.mark.matrix(58)
def test_a_job_that_cannot_be_recorded_is_not_decided(ana: Member, emailsec: Any) -> None:
    job = rehearsed(ana, "move", delivered(emailsec, 3))
    block_trail()

    with pytest.raises(AuditNotWritten):
        jobs.decide(actor=ana, job=job, reason="ticket 4711", decision_key="key", expected_count=3, request=None)

    job.refresh_from_db()
    assert job.state == JobState.REHEARSAL
