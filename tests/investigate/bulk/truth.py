"""Jobs made straight from the simulator's mail, and what has to be true of them after every step."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
from django.core.management import call_command
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.upstream.connection import build_client, use_client
from investigate.actions import reconciling, services
from investigate.actions.decision import Decision
from investigate.actions.transitions import CLAIM_SECONDS
from investigate.bulk import engine, jobs
from investigate.bulk.collecting import steps
from investigate.bulk.tally import OVERTAKEN
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobSource, Receipt
from tests.investigate.bulk.conftest import decided

WRITES = ("move", "move_one", "release", "submit", "reclassify")
LOOKS_AFTER = (31, 150, 430)  # seconds from one look to the next, by the usual quiet time
_ENDS = {True: "done", False: "failed", None: "unknown"}


def delivered(emailsec: Any, number: int) -> list[Any]:
    """Messages all of whose copies can be moved, and never were.

    How many of those the sample holds depends on the hour it is made: where they are too few, others are delivered.
    """
    store = emailsec.world.store
    movable = [
        record
        for record in store.records
        if not {name.rpartition("@")[2] for name in record.client_recipients} & set(store.domains_without_integration)
    ]
    movable.sort(key=lambda record: set(record.delivery_status) != {"delivered"})
    for record in movable[:number]:
        record.delivery_status = ["delivered"] * len(record.delivery_status)
    if len(movable) < number:
        raise LookupError(f"the simulator has only {len(movable)} such messages")
    return movable[:number]


def held(emailsec: Any, number: int) -> list[Any]:
    """Harmless messages all of whose copies are in quarantine, of people whose mailboxes are not full."""
    store = emailsec.world.store
    records = [
        record
        for record in delivered(emailsec, number + 60)
        if record.final_disposition == "NONE" and not set(record.client_recipients) & store.full_mailboxes
    ][:number]
    for record in records:
        for copy in store.touched(record).copies:
            copy.status, copy.folder = "quarantined", None
    assert len(records) == number
    return records


def item_of(job: BulkJob, record: Any, **values: Any) -> ActionItem:
    return ActionItem(
        **{
            "job": job,
            "investigate_id": record.id,
            "postfix_id": record.postfix_id,
            "alert_id": record.alert_id or "",
            "message_id": record.message_id or "",
            "recipients": list(record.client_recipients),
            "disposition": record.final_disposition,
            "state": ActionState.QUEUED,
            "facts": {
                "scanned_at": dt.datetime.fromtimestamp(record.scanned_at, tz=dt.UTC).isoformat(),
                "post_delivery_operations": [],
            },
            **values,
        }
    )


def begun(actor: Member, kind: str, **values: Any) -> BulkJob:
    values = {"destination": "JunkEmail"} | values if kind == "move" else values
    return jobs.begin(
        actor=actor,
        source=JobSource.SELECTION,
        kind=ActionKind(kind),
        operation_key=uuid.uuid4().hex,
        request=None,
        **values,
    )


def rehearsed(actor: Member, kind: str, items: Sequence[Any], **values: Any) -> BulkJob:
    """A job whose messages are collected: records of the simulator, or (record, values of its item)."""
    claimed = steps.claim(begun(actor, kind, **values).pk)
    assert claimed is not None
    pairs = [item if isinstance(item, tuple) else (item, {}) for item in items]
    assert steps.store(claimed, items=[item_of(claimed, record, **more) for record, more in pairs], progress={})
    claimed = steps.claim(claimed.pk)
    assert claimed is not None
    assert steps.collected(claimed)
    return BulkJob.objects.get(pk=claimed.pk)


def running(actor: Member, kind: str, items: Sequence[Any], **values: Any) -> BulkJob:
    """A job that was decided, and whose undo window is over; nothing was sent yet."""
    return decided(actor, rehearsed(actor, kind, items, **values))


def step(job: BulkJob, emailsec: Any) -> BulkJob:
    """What a worker does when the bell rings; everything is consistent afterwards."""
    engine.step(job.pk)
    return consistent(job, emailsec)


def passes(job: BulkJob, seconds: float) -> None:
    """Everything about the chunks of a job happened `seconds` earlier."""
    delta = dt.timedelta(seconds=seconds)
    for name in ("due_at", "claimed_at", "sent_at", "next_look_at"):
        Action.objects.filter(job=job, **{f"{name}__isnull": False}).update(**{name: F(name) - delta})
    BulkJob.objects.filter(pk=job.pk, due_at__isnull=False).update(due_at=F("due_at") - delta)


def looks(job: BulkJob, emailsec: Any, *, after: float) -> BulkJob:
    """So much later a worker looks at what is due, and carries the job on."""
    passes(job, after)
    due = Action.objects.filter(job=job, state=ActionState.UNKNOWN, next_look_at__lte=Now())
    for chunk in list(due.values_list("pk", flat=True)):
        engine.look(chunk)
        engine.step(job.pk)
    return consistent(job, emailsec)


def looks_only(job: BulkJob, *, after: float) -> None:
    """So much later the chunks in doubt are looked up; the job is not carried on."""
    passes(job, after)
    for chunk in list(Action.objects.filter(job=job, state=ActionState.UNKNOWN).values_list("pk", flat=True)):
        reconciling.look_up(chunk)


def claim_expires(job: BulkJob) -> None:
    passes(job, CLAIM_SECONDS + 1)


def click(actor: Member, record: Any, kind: str = "move", **what: Any) -> Action:
    """What a person does to one message, its undo window over."""
    what = {"destination": "JunkEmail"} | what if kind == "move" else what
    decision = Decision(kind=ActionKind(kind), investigate_ids=(record.id,), **what)
    action = services.act(actor=actor, decision=decision, operation_key=f"{kind}-{record.id}"[:64], request=None)
    Action.objects.filter(pk=action.pk).update(due_at=timezone.now() - dt.timedelta(seconds=1))
    return action


def during_the_call(emailsec: Any, work: Any) -> Any:
    """A service during whose first write call something else happens."""
    done: list[int] = []

    def service(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST" and not done:
            done.append(1)
            work()
        return emailsec(environ, start_response)

    return use_client(build_client(httpx.WSGITransport(app=service)))


def chunks(job: BulkJob) -> list[Action]:
    return list(Action.objects.filter(job=job).order_by("number"))


def chunk(job: BulkJob, number: int = 1) -> Action:
    return Action.objects.get(job=job, number=number)


def calls(emailsec: Any, *operations: str) -> int:
    return sum(call.operation in (operations or WRITES) for call in emailsec.calls)


def states(job: BulkJob) -> dict[str, int]:
    return dict(Counter(job.items.values_list("state", flat=True)))


def trail_is_whole() -> None:
    out = io.StringIO()
    call_command("verify_audit", stdout=out)
    assert "whole" in out.getvalue(), out.getvalue()


def consistent(job: BulkJob, emailsec: Any) -> BulkJob:
    """The job as it is now, after comparing counts with rows, and rows with what was really carried out."""
    job.refresh_from_db()
    counted_as_shown(job)
    as_carried_out([job], emailsec)
    ends_are_recorded(job)
    return job


def counted_as_shown(job: BulkJob) -> None:
    counts = {state: number for state, number in job.counts.items() if number}
    if overtaken := counts.pop(OVERTAKEN, 0):
        counts["skipped"] = counts.get("skipped", 0) + overtaken
    assert counts == states(job)
    ends = Counter(
        _ENDS[is_done] for is_done in Receipt.objects.filter(item__job=job).values_list("is_done", flat=True)
    )
    assert {end: number for end, number in job.copies.items() if number} == dict(ends)
    for one in chunks(job):
        on_its_way = Q(state=ActionState.SENDING) | Q(state=ActionState.UNKNOWN)
        if one.state not in (ActionState.SENDING, ActionState.UNKNOWN):
            assert not one.items.filter(on_its_way).exists(), f"chunk {one.number} is {one.state}"
    in_flight = [one for one in chunks(job) if one.state == ActionState.SENDING]
    assert len(in_flight) <= 1, "one chunk of a job is on its way at a time"


def as_carried_out(all_jobs: Iterable[BulkJob], emailsec: Any, *, tries: int = 1) -> None:
    """Message by message: what is done stands in the ledger, what is not does not, and nothing stands there twice."""
    for job in all_jobs:
        kind = {"reclassify": "submission"}.get(job.kind, job.kind)
        done = Counter((entry.investigate_id, entry.recipient) for entry in emailsec.ledger.of(kind))
        if done:
            assert max(done.values()) <= tries, f"applied twice: {done.most_common(3)}"
        by_message = Counter(name for name, _ in done)
        never = (ActionState.QUEUED, ActionState.CANCELLED, ActionState.SKIPPED)
        receipts: dict[str, list[Receipt]] = {}
        for receipt in Receipt.objects.filter(item__job=job).select_related("item"):
            receipts.setdefault(receipt.item.investigate_id, []).append(receipt)
        for item in job.items.all():
            name, reached = item.investigate_id, by_message[item.investigate_id]
            mine = receipts.get(name, [])
            if item.state == ActionState.DONE:
                assert reached == (1 if kind == "submission" else len(item.recipients)), f"{name} is shown as done"
                assert {receipt.is_done for receipt in mine} == {True}, name
            elif item.state == ActionState.PARTLY_DONE:
                assert reached > 0, name
                assert {receipt.is_done for receipt in mine} == {True, False}, name
            elif item.state == ActionState.FAILED:
                assert {receipt.is_done for receipt in mine} <= {False}, name
                assert not reached or kind == "release", name  # a release may have left and bounced
            elif item.state in never and not mine:
                assert not reached or _others(job, name), f"{name} is shown as {item.state}"


def _others(job: BulkJob, name: str) -> bool:
    """Whether somebody else's action reached the message."""
    reached = (ActionState.DONE, ActionState.PARTLY_DONE, ActionState.UNKNOWN)
    return ActionItem.objects.filter(investigate_id=name, state__in=reached).exclude(job=job).exists()


def ends_are_recorded(job: BulkJob) -> None:
    """Each chunk that was sent and has its end, has it in the audit trail; the decision stands there once."""
    ended = [one for one in chunks(job) if one.state in ("done", "partly_done", "failed") and one.sent_at is not None]
    recorded = AuditEvent.objects.filter(action=f"message:{job.kind}", phase__in=["done", "partly_done", "failed"])
    named = Counter(event.detail["action"] for event in recorded)
    for one in ended:
        assert named[str(one.pk)] == 1, f"chunk {one.number} {one.state}: {named[str(one.pk)]} rows of the trail"
    if job.decided_at is not None:
        assert AuditEvent.objects.filter(action="job:decide", detail__job=str(job.pk)).count() == 1
