"""An account in which everything that a limited member must not see carries a mark, and such a member beside others.

Mailboxes outside the member's domain are renamed so that their addresses hold MARK, and so are the subjects of messages
that went nowhere inside: wherever the mark is read, something has got through.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.simulator import Simulator
from dashboard.simulator.mail.record import MailRecord
from dashboard.upstream.connection import get_client
from investigate.actions import sending, services
from investigate.actions.decision import Decision
from investigate.bulk import collecting, engine, jobs
from investigate.message import parts
from investigate.models import Action, ActionKind, BulkJob, JobSource, JobState
from tests.simulated import serving, simulated_account

MARK = "zqmarked"
INSIDE = "tarnfell-messtechnik.example"
REASON = "ticket 4711"


def is_inside(address: str) -> bool:
    return address.rpartition("@")[2] == INSIDE


def _marked(addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(address if is_inside(address) else f"{MARK}.{address}" for address in addresses)


class _AsItWas:
    """Invents what a message holds from the addresses it had before they were marked."""

    def __init__(self, record: MailRecord) -> None:
        self._original, self._source = replace(record), record.source

    def content(self, _record: MailRecord) -> Any:
        return self._source.content(self._original)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def groups(records: list[MailRecord]) -> tuple[list[MailRecord], list[MailRecord], list[MailRecord]]:
    """Those that went inside alone, those that went elsewhere too, and those that went nowhere inside."""
    found: tuple[list[MailRecord], list[MailRecord], list[MailRecord]] = ([], [], [])
    for record in records:
        covered = [is_inside(address) for address in record.client_recipients]
        found[0 if all(covered) else 1 if any(covered) else 2].append(record)
    return found


def _settle(records: list[MailRecord]) -> None:
    """What is invented depends on the hour: of each group the first is delivered mail, the last is in quarantine."""
    first, last = records[0], records[-1]
    first.final_disposition, first.is_quarantined = "SPAM", False
    first.delivery_status = ("delivered",) * len(first.client_recipients)
    last.final_disposition, last.is_quarantined = "SUSPICIOUS", True
    last.delivery_status = ("quarantined",) * len(last.client_recipients)


def mark(simulator: Simulator) -> None:
    for record in (*simulator.store.records, *simulator.store.reported):
        record.source = _AsItWas(record)
    inside = [record for record in simulator.store.records if all(map(is_inside, record.client_recipients))]
    for record in inside[::3]:  # copies of these went elsewhere, too
        also = ("zoe@tarnfell.example",)
        record.to, record.envelope_to = (*record.to, *also), (*record.envelope_to, *also)
        record.client_recipients = (*record.client_recipients, *also)
        record.delivery_status = (*record.delivery_status, record.delivery_status[0])
    for record in (*simulator.store.records, *simulator.store.reported):
        record.to, record.cc = _marked(record.to), _marked(record.cc)
        record.envelope_to, record.client_recipients = _marked(record.envelope_to), _marked(record.client_recipients)
        if not any(map(is_inside, record.client_recipients)):
            record.subject = f"{MARK} {record.subject or ''}"
    for group in groups(simulator.store.records):
        _settle([record for record in group if record.alert_id and record.delivery_mode == "DIRECT"])
    simulator.store._haystacks = [f"{text}\n{MARK}" for text in simulator.store._haystacks]


@pytest.fixture
def emailsec(db: None) -> Iterator[Simulator]:
    simulator = simulated_account(
        messages=900,
        seed=7,
        arrival_interval=0,
        wide_search_days=100_000,
    )
    mark(simulator)
    simulator.store.full_mailboxes.clear()
    with serving(simulator):
        yield simulator


@pytest.fixture
def sam(db: None) -> Member:
    """A responder limited to one domain."""
    return Member.objects.create_user(
        "sam", "sam@corp.example", "correct horse battery", role=Role.RESPONDER, domains=[INSIDE], first_name="Sam"
    )


@pytest.fixture
def scoped(sam: Member) -> Client:
    client = Client()
    client.force_login(sam)
    return client


@dataclass(frozen=True)
class Mail:
    """Messages by where their copies went."""

    inside: list[MailRecord]
    mixed: list[MailRecord]
    foreign: list[MailRecord]


@pytest.fixture
def mail(emailsec: Simulator) -> Mail:
    return Mail(*groups(emailsec.store.records))


def held(records: list[MailRecord], *, disposition: str = "") -> MailRecord:
    """One that is in quarantine, and that a release may be asked for by one person alone."""
    return next(
        record
        for record in records
        if record.is_quarantined
        and record.final_disposition not in ("MALICIOUS", "MALICIOUS-BEC")
        and disposition in ("", record.final_disposition)
    )


def delivered(records: list[MailRecord]) -> MailRecord:
    return next(
        record
        for record in records
        if record.is_detection and set(record.delivery_status) == {"delivered"} and record.delivery_mode == "DIRECT"
    )


def unknown_like(investigate_id: str) -> str:
    """An id of the same shape that names nothing."""
    return "".join("0" if character.isdigit() else character for character in investigate_id[:-4]) + "0000"


@pytest.fixture
def act() -> Callable[..., Action]:
    """Decide, send and finish an action as a colleague does."""

    def carry_out(actor: Member, record: MailRecord, kind: ActionKind, **values: Any) -> Action:
        decision = Decision(
            kind=kind, investigate_ids=(record.id,), is_confirmed=True, reason=f"{REASON} of a colleague", **values
        )
        action = services.act(actor=actor, decision=decision, operation_key=uuid.uuid4().hex, request=None)
        Action.objects.filter(pk=action.pk).update(due_at=timezone.now())
        sending.send(action.pk)
        return Action.objects.get(pk=action.pk)

    return carry_out


@pytest.fixture
def begin() -> Callable[..., BulkJob]:
    """Begin a job and collect its messages."""

    def collected(
        actor: Member, source: JobSource, terms: list[tuple[str, str]] | None = None, query: str = "", **values: Any
    ) -> BulkJob:
        values = {"kind": ActionKind.MOVE, "destination": "JunkEmail"} | values
        job = jobs.begin(
            actor=actor,
            source=source,
            terms=terms or [],
            query=query,
            operation_key=uuid.uuid4().hex,
            request=None,
            **values,
        )
        for _ in range(50):
            BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
            collecting.collect(job.pk)
            job.refresh_from_db()
            if job.state != JobState.COLLECTING:
                break
        return job

    return collected


@pytest.fixture
def decide() -> Callable[[Member, BulkJob], BulkJob]:
    """Decide a rehearsed job; its undo window is over."""

    def decided(actor: Member, job: BulkJob) -> BulkJob:
        count = job.items.filter(state="queued").count()
        jobs.decide(
            actor=actor, job=job, reason=REASON, decision_key=uuid.uuid4().hex, expected_count=count, request=None
        )
        BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
        return BulkJob.objects.get(pk=job.pk)

    return decided


def run(job: BulkJob) -> BulkJob:
    engine.step(job.pk)
    job.refresh_from_db()
    return job


@dataclass(frozen=True)
class Desk:
    """What colleagues have done before the limited member looks."""

    actions: dict[str, Action]
    jobs: dict[str, BulkJob]


@pytest.fixture
def desk(
    mail: Mail,
    ben: Member,
    sam: Member,
    act: Callable[..., Action],
    begin: Callable[..., BulkJob],
    decide: Callable[[Member, BulkJob], BulkJob],
) -> Desk:
    """Colleagues have opened, moved and rehearsed messages in- and outside; so has the limited member inside."""
    for record in (delivered(mail.foreign), delivered(mail.mixed), held(mail.foreign)):
        opened = parts.open_message(record.id)
        parts.trace(record.id)
        parts.raw(opened.message)
        parts.preview(opened.message)
    inside = [record for record in mail.inside if record is not delivered(mail.inside)]
    foreign = [record for record in mail.foreign if record is not delivered(mail.foreign)]
    actions = {
        "inside": act(sam, delivered(mail.inside), ActionKind.MOVE, destination="JunkEmail"),
        "mixed": act(ben, delivered(mail.mixed), ActionKind.MOVE, destination="JunkEmail"),
        "foreign": act(ben, delivered(mail.foreign), ActionKind.MOVE, destination="JunkEmail"),
    }
    everything = [("investigate_id", record.id) for record in (*inside[:4], *mail.mixed[:3], *foreign[:4])]
    made = {
        "rehearsal": begin(sam, JobSource.SELECTION, everything),
        "whole": begin(ben, JobSource.SELECTION, everything),
        "done": run(decide(sam, begin(sam, JobSource.SELECTION, everything))),
    }
    made["foreign"] = run(decide(ben, begin(ben, JobSource.SELECTION, everything)))
    return Desk(actions, made)


def message(investigate_id: str) -> Any:
    return get_client().message(investigate_id)
