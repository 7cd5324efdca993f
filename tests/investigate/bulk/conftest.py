"""Jobs for tests: begun and filled without collecting, run by stepping the engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.actions.feasibility import affected_recipients
from investigate.bulk import engine, jobs
from investigate.bulk.collecting import steps
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobSource, JobState
from tests.simulated import serving, simulated_account

REASON = "ticket 4711"


def item_for(job: BulkJob, message: Message) -> ActionItem:
    """A message as collecting stores it, whatever could be said against acting on it."""
    return ActionItem(
        job=job,
        investigate_id=message.id,
        postfix_id=message.postfix_id or "",
        alert_id=message.alert_id or "",
        message_id=message.message_id or "",
        subject=message.subject or "",
        recipients=affected_recipients(message, job.kind),
        disposition=str(message.final_disposition or ""),
        state=ActionState.QUEUED,
        facts={
            "scanned_at": message.scanned_at.isoformat() if message.scanned_at else "",
            "post_delivery_operations": [str(operation) for operation in message.post_delivery_operations],
        },
    )


def rehearsed(actor: Member, kind: ActionKind, records: Iterable[Any], **values: Any) -> BulkJob:
    """A job whose messages are collected."""
    client = get_client()
    values = {"destination": "JunkEmail"} | values if kind == ActionKind.MOVE else values
    job = jobs.begin(
        actor=actor, source=JobSource.SELECTION, kind=kind, operation_key=uuid.uuid4().hex, request=None, **values
    )
    job = steps.claim(job.pk) or job
    steps.store(job, items=[item_for(job, client.message(record.id)) for record in records], progress={})
    assert steps.collected(BulkJob.objects.get(pk=job.pk))
    return BulkJob.objects.get(pk=job.pk)


def decided(actor: Member, job: BulkJob) -> BulkJob:
    """The job, decided, its undo window over."""
    count = job.items.filter(state=ActionState.QUEUED).count()
    jobs.decide(actor=actor, job=job, reason=REASON, decision_key=uuid.uuid4().hex, expected_count=count, request=None)
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
    return BulkJob.objects.get(pk=job.pk)


@pytest.fixture
def run(emailsec: Simulator) -> Callable[..., BulkJob]:
    """Decide a rehearsed job and carry it on until it rests."""

    def carry_on(job: BulkJob) -> BulkJob:
        if job.state == JobState.REHEARSAL:
            assert job.actor is not None
            job = decided(job.actor, job)
        engine.step(job.pk)
        job.refresh_from_db()
        return job

    return carry_on


def all_due(job: BulkJob) -> None:
    """Let what waits wait no longer: pauses, looks and claims are over."""
    Action.objects.filter(job=job).update(
        due_at=Now(), next_look_at=Now(), claimed_at=F("claimed_at"), sent_at=F("sent_at")
    )
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now())


@pytest.fixture
def many(db: None) -> Any:
    """A large account, without the limits of the call budget."""
    simulator = simulated_account(
        messages=15_500,
        seed=7,
        arrival_interval=0,
    )
    with serving(simulator):
        yield simulator


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Ten messages to a chunk, so that jobs of some dozens have several."""
    for name in ("MOST_IDS", "MOST_PER_RELEASE", "MOST_PER_SUBMISSION"):
        monkeypatch.setattr(engine, name, 10)
    return 10


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine ends no step early: what rings for the next one in a worker rings for nobody here."""
    monkeypatch.setattr(engine, "STEP_SECONDS", 600.0)
