"""What was done stays told when the rest is not sent, and stopping a large job keeps nobody else from working."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from investigate.actions import queries
from investigate.bulk import jobs
from investigate.models import Action, ActionState, BulkJob, JobState
from tests.investigate.bulk.job_rows import chunk_of, counted, item_of, job_of, many
from tests.investigate.bulk.truth import consistent, running, states, step

pytestmark = pytest.mark.django_db


@pytest.fixture
def partly(ana: Member, emailsec: Any) -> BulkJob:
    """A move of one message, of which one recipient's copy was refused."""
    store = emailsec.world.store
    record = next(
        one
        for one in store.records
        if len(set(one.client_recipients)) > 1
        and set(one.delivery_status) == {"delivered"}
        and not {name.rpartition("@")[2] for name in one.client_recipients} & set(store.domains_without_integration)
    )
    emailsec.faults.fail_move_for(record.client_recipients[0])
    job = step(running(ana, "move", [record]), emailsec)
    assert states(job) == {"partly_done": 1}
    return job


def test_a_retry_that_is_cancelled_leaves_what_was_done_before(ana: Member, emailsec: Any, partly: BulkJob) -> None:
    before = dict(partly.copies)
    jobs.retry_failed(actor=ana, job=partly, request=None)
    jobs.cancel(actor=ana, job=partly, request=None)

    job = consistent(partly, emailsec)
    item = job.items.get()
    assert (job.state, states(job)) == (JobState.CANCELLED, {"partly_done": 1})
    assert job.copies == before
    assert queries.states_for([item.investigate_id])[item.investigate_id].state == ActionState.PARTLY_DONE
    assert jobs.retry_failed(actor=ana, job=job, request=None).state == JobState.RUNNING, "it can be retried again"


def test_a_retry_that_was_packed_and_is_cancelled_leaves_what_was_done_before(
    ana: Member, emailsec: Any, partly: BulkJob
) -> None:
    jobs.retry_failed(actor=ana, job=partly, request=None)
    emailsec.faults.next("move_one", status=429, retry_after=60)
    step(partly, emailsec)
    jobs.cancel(actor=ana, job=partly, request=None)

    job = consistent(partly, emailsec)
    assert states(job) == {"partly_done": 1}
    assert Action.objects.filter(job=job, state=ActionState.CANCELLED).count() == 1


def test_a_retry_that_is_refused_leaves_what_was_done_before(ana: Member, emailsec: Any, partly: BulkJob) -> None:
    jobs.retry_failed(actor=ana, job=partly, request=None)
    emailsec.faults.next("move_one", status=400)
    job = step(partly, emailsec)

    item = job.items.get()
    assert states(job) == {"partly_done": 1}
    assert item.explanation.startswith("Cloudflare")
    assert {receipt.is_done for receipt in item.receipts.all()} == {True, False}


def test_who_cancels_a_large_job_holds_the_audit_trail_only_at_the_end(ana: Member, db: None) -> None:
    """A record locks the head of the chain: whatever is written after it makes everybody wait for it."""
    job = job_of(ana, "running")
    for number in (1, 2):
        item_of(job, f"packed-{number}", "queued", chunk=chunk_of(job, number, "waiting", sent_at=None))
    many(job, 300)
    counted(job)

    with CaptureQueriesContext(
        connection,
    ) as captured:
        jobs.cancel(actor=ana, job=job, request=None)

    statements = [query["sql"] for query in captured]
    head = next(place for place, sql in enumerate(statements) if "audit_chainhead" in sql)
    written = [place for place, sql in enumerate(statements) if re.match(r'UPDATE "investigate_', sql)]
    assert written
    assert max(written) < head
    assert not any("GROUP BY" in sql for sql in statements[head:]), "and counts nothing"
    assert states(job) == {"cancelled": 302}
    cancelled = AuditEvent.objects.filter(action="message:move", phase="cancelled")
    assert [event.actor_name for event in cancelled] == ["Ana", "Ana"]
