"""Jobs of a limited member: what is elsewhere is left out like what does not exist, from the form to sending."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from investigate.bulk import jobs, rights
from investigate.bulk.recognising import TermKind
from investigate.bulk.rehearsal import summary_of
from investigate.message.visible import OUTSIDE
from investigate.models import Action, ActionKind, ActionState, BulkJob, JobSource, JobState
from investigate.search.criteria import Criteria
from tests.scope.conftest import (
    INSIDE,
    MARK,
    Desk,
    Mail,
    delivered,
    held,
    is_inside,
    run,
    unknown_like,
)
from tests.scope.test_search import visible

Begin = Callable[..., BulkJob]
RANGE = "start=2000-01-01T00:00:00Z&end=2100-01-01T00:00:00Z"


def ids_of(job: BulkJob) -> set[str]:
    return set(job.items.values_list("investigate_id", flat=True))


def ticked(*records: Any) -> list[tuple[str, str]]:
    return [("investigate_id", getattr(record, "id", record)) for record in records]


def test_ticked_messages_elsewhere_are_left_out_like_unknown_ones(
    sam: Member, ben: Member, mail: Mail, begin: Begin, responder: Client
) -> None:
    inside, mixed, foreign = delivered(mail.inside), delivered(mail.mixed), delivered(mail.foreign)
    responder.get("/investigate/", {"last": "30d"})  # their rows are in everybody's memory
    unknown = unknown_like(foreign.id)

    job = begin(sam, JobSource.SELECTION, ticked(inside, mixed, foreign, unknown))

    assert job.scope == [INSIDE]
    assert ids_of(job) == {inside.id, mixed.id}
    assert job.items.get(investigate_id=mixed.id).explanation == OUTSIDE
    why = {entry["text"]: (entry["kind"], entry["why"]) for entry in job.not_found}
    assert set(why) == {foreign.id, unknown}
    assert why[foreign.id] == why[unknown]
    assert summary_of(job).messages == 1
    assert summary_of(job).copies == len(inside.client_recipients)
    assert [domain.name for domain in summary_of(job).by_domain] == [INSIDE]


@pytest.mark.parametrize("one", ["foreign", "unknown"])
def test_asking_for_one_elsewhere_takes_the_calls_of_an_unknown_one(
    one: str, sam: Member, mail: Mail, begin: Begin, calls: Callable[[], list[str]]
) -> None:
    foreign = delivered(mail.foreign)
    calls()

    begin(sam, JobSource.SELECTION, ticked(foreign if one == "foreign" else unknown_like(foreign.id)))

    assert calls() == ["message"]


def test_everything_a_search_finds_is_what_the_member_sees_of_it(
    sam: Member, mail: Mail, begin: Begin, emailsec: Simulator
) -> None:
    job = begin(sam, JobSource.SEARCH, query=f"{RANGE}&clean=1")

    assert ids_of(job) == visible(emailsec, clean=True, days=36_500)
    fit = job.items.filter(state=ActionState.QUEUED)
    assert not fit.exclude(domains=f" {INSIDE} ").exists()


def test_a_search_for_recipients_elsewhere_collects_nothing(
    sam: Member, mail: Mail, begin: Begin, calls: Callable[[], list[str]]
) -> None:
    calls()

    job = begin(sam, JobSource.SEARCH, query=f"{RANGE}&recipient=tarnfell.example")

    assert job.state == JobState.REHEARSAL
    assert ids_of(job) == set()
    assert calls() == []


def terms_for(record: Any) -> dict[str, tuple[str, str]]:
    return {
        "investigate id": (TermKind.INVESTIGATE_ID, record.id),
        "alert id": (TermKind.ALERT_ID, record.alert_id),
        "postfix id": (TermKind.POSTFIX_ID, record.postfix_id),
        "Message-ID": (TermKind.MESSAGE_ID, record.message_id),
        "recipient": (TermKind.ADDRESS, record.client_recipients[0]),
        "hash": (TermKind.HASH, "0" * 64),
    }


@pytest.mark.parametrize("kind", ["investigate id", "alert id", "postfix id", "Message-ID", "recipient"])
def test_pasted_terms_of_messages_elsewhere_look_like_unknown_ones(
    kind: str, sam: Member, mail: Mail, begin: Begin, calls: Callable[[], list[str]], responder: Client
) -> None:
    foreign = next(record for record in mail.foreign if record.alert_id and record.message_id)
    term = terms_for(foreign)[kind]
    unknown = (term[0], unknown_like(term[1]) if kind != "recipient" else f"nobody{term[1]}")
    responder.get("/investigate/", {"last": "30d", "clean": "1"})
    asked, told = [], []
    for one in (term, unknown):
        calls()
        job = begin(sam, JobSource.PASTE, [one], query=RANGE)
        asked.append(calls())
        told.append([(entry["kind"], entry["why"]) for entry in job.not_found])
        assert ids_of(job) == set()

    assert asked[0] == asked[1]
    assert told[0] == told[1]
    assert told[0]


@pytest.mark.parametrize("kind", ["investigate id", "alert id", "postfix id", "Message-ID", "recipient"])
def test_pasted_terms_of_messages_inside_are_found(kind: str, sam: Member, mail: Mail, begin: Begin) -> None:
    record = next(record for record in mail.inside if record.alert_id and record.message_id)

    job = begin(sam, JobSource.PASTE, [terms_for(record)[kind]], query=RANGE)

    assert record.id in ids_of(job)


def test_a_pasted_sender_finds_their_mail_inside(sam: Member, mail: Mail, begin: Begin, emailsec: Simulator) -> None:
    sender = next(
        record.from_
        for record in mail.inside
        if record.from_ and any(record.from_ == one.from_ for one in mail.foreign)
    )

    job = begin(sam, JobSource.PASTE, [(TermKind.ADDRESS, sender)], query=RANGE)

    everything = visible(emailsec, clean=True, days=36_500)
    assert ids_of(job) == {
        record.id
        for record in emailsec.store.records
        if record.id in everything and sender in (record.from_, record.envelope_from)
    }


def test_an_earlier_job_that_holds_more_is_no_source(sam: Member, ben: Member, mail: Mail, begin: Begin) -> None:
    whole = begin(ben, JobSource.SELECTION, ticked(delivered(mail.inside), delivered(mail.foreign)))
    terms = [("states", "")]

    foreign = begin(sam, JobSource.JOB, [("job", str(whole.pk)), *terms])
    unknown = begin(sam, JobSource.JOB, [("job", str(uuid.uuid4())), *terms])

    assert (foreign.state, foreign.explanation) == (unknown.state, unknown.explanation)
    assert foreign.state == JobState.FAILED
    assert ids_of(foreign) == set()


def test_ones_own_job_is_a_source(sam: Member, mail: Mail, begin: Begin) -> None:
    first = begin(sam, JobSource.SELECTION, ticked(delivered(mail.inside), delivered(mail.mixed)))

    again = begin(sam, JobSource.JOB, [("job", str(first.pk)), ("states", "")])

    assert ids_of(again) == ids_of(first)
    assert again.items.get(investigate_id=delivered(mail.mixed).id).state == ActionState.SKIPPED


def test_the_whole_way_touches_nothing_elsewhere(
    sam: Member,
    scoped: Client,
    mail: Mail,
    begin: Begin,
    decide: Callable[[Member, BulkJob], BulkJob],
    emailsec: Simulator,
) -> None:
    some = (*mail.inside[:30], *mail.mixed[:10], *mail.foreign[:10])
    wanted = [record for record in some if record.delivery_mode == "DIRECT"]

    job = run(decide(sam, begin(sam, JobSource.SELECTION, ticked(*wanted))))

    moved = {entry.investigate_id for entry in emailsec.ledger.of("move")}
    assert job.state == JobState.DONE
    assert moved
    assert moved <= {record.id for record in mail.inside}
    assert all(is_inside(entry.recipient or "") for entry in emailsec.ledger.of("move"))
    result = b"".join(scoped.get(reverse("investigate:job_result", args=[job.pk])).streaming_content).decode()  # type: ignore[attr-defined]
    assert MARK not in result
    rows = list(csv.DictReader(io.StringIO(result)))
    assert {row["investigate_id"] for row in rows} <= {record.id for record in (*mail.inside, *mail.mixed)}
    assert all(is_inside(row["recipient"]) for row in rows)


def test_copies_that_only_the_answer_names_are_not_told(
    sam: Member, scoped: Client, mail: Mail, begin: Begin, decide: Callable[[Member, BulkJob], BulkJob]
) -> None:
    job = run(decide(sam, begin(sam, JobSource.SELECTION, ticked(delivered(mail.inside)))))
    item = job.items.get()
    item.receipts.create(recipient=f"{MARK}@tarnfell.example", is_done=True)

    page = scoped.get(reverse("investigate:job_message", args=[job.pk, item.pk])).content.decode()
    result = b"".join(scoped.get(reverse("investigate:job_result", args=[job.pk])).streaming_content).decode()  # type: ignore[attr-defined]

    assert MARK not in page + result
    assert all(recipient in page for recipient in item.recipients)


@pytest.mark.matrix(62)
def test_what_a_member_is_no_longer_limited_to_is_not_sent(
    sam: Member, mail: Mail, begin: Begin, decide: Callable[[Member, BulkJob], BulkJob], emailsec: Simulator
) -> None:
    """Row 62: rights are those of the moment of sending, for each chunk."""
    sam.domains = []
    sam.save(update_fields=["domains"])
    inside = [record for record in mail.inside if record.delivery_mode == "DIRECT" and not record.is_quarantined][:5]
    outside = [record for record in mail.foreign if record.delivery_mode == "DIRECT" and not record.is_quarantined][:5]
    job = decide(sam, begin(sam, JobSource.SELECTION, ticked(*inside, *outside, delivered(mail.mixed))))
    sam.domains = [INSIDE]
    sam.save(update_fields=["domains"])

    job = run(job)

    moved = {entry.investigate_id for entry in emailsec.ledger.of("move")}
    assert moved
    assert moved <= {record.id for record in inside}
    left_out = job.items.filter(investigate_id__in=[*(record.id for record in outside), delivered(mail.mixed).id])
    assert set(left_out.values_list("state", flat=True)) == {ActionState.SKIPPED}
    assert "outside the domains" in left_out[0].explanation
    assert job.state == JobState.DONE


@pytest.mark.matrix(62)
def test_a_job_nothing_of_which_is_inside_any_more_ends_without_a_call(
    sam: Member, mail: Mail, begin: Begin, decide: Callable[[Member, BulkJob], BulkJob], emailsec: Simulator
) -> None:
    job = decide(sam, begin(sam, JobSource.SELECTION, ticked(delivered(mail.inside))))
    sam.domains = ["elsewhere.example"]
    sam.save(update_fields=["domains"])

    job = run(job)

    assert job.state == JobState.DONE
    assert not emailsec.ledger.of("move")


@pytest.mark.matrix(62)
def test_a_single_action_is_not_sent_once_its_message_is_outside(
    sam: Member, mail: Mail, emailsec: Simulator, act: Callable[..., Action], monkeypatch: pytest.MonkeyPatch
) -> None:
    from investigate.actions import sending

    send = sending.send
    monkeypatch.setattr(sending, "send", lambda _pk: None)
    action = act(sam, delivered(mail.inside), ActionKind.MOVE, destination="JunkEmail")
    Member.objects.filter(pk=sam.pk).update(domains=["elsewhere.example"])

    send(action.pk)

    action.refresh_from_db()
    assert action.state == ActionState.FAILED
    assert "outside the domains" in action.explanation
    assert not emailsec.ledger.of("move")


@pytest.mark.matrix(62)
def test_collecting_stops_when_the_member_is_limited_to_other_domains(
    sam: Member, mail: Mail, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.begin(
        actor=sam, source=JobSource.SELECTION, kind=ActionKind.MOVE, destination="JunkEmail",
        terms=ticked(delivered(mail.inside)), operation_key=uuid.uuid4().hex, request=None,
    )  # fmt: skip
    Member.objects.filter(pk=sam.pk).update(domains=["elsewhere.example"])
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
    from investigate.bulk import collecting

    collecting.collect(job.pk)

    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert job.explanation == "Sam is limited to other recipient domains now."


def test_jobs_that_hold_more_are_not_there(scoped: Client, responder: Client, desk: Desk) -> None:
    mine = scoped.get(reverse("investigate:jobs")).content.decode()
    live = scoped.get(
        reverse("investigate:jobs"),
        {"part": "live", "ids": ",".join(str(job.pk) for job in desk.jobs.values())},
        headers={"HX-Request": "true"},
    ).content.decode()

    for name in ("whole", "foreign"):
        assert str(desk.jobs[name].pk) not in mine + live
    assert str(desk.jobs["done"].pk) in mine
    assert str(desk.jobs["foreign"].pk) in responder.get(reverse("investigate:jobs")).content.decode()


def test_a_limited_member_takes_over_nothing_that_holds_more(
    sam: Member, ana: Member, mail: Mail, begin: Begin
) -> None:
    job = begin(ana, JobSource.SELECTION, ticked(delivered(mail.inside)))
    Member.objects.filter(pk=ana.pk).update(role="viewer")
    job.refresh_from_db()

    assert not rights.may_take_over(sam, job)
    assert not rights.may_control(sam, job)


def test_a_colleague_without_a_limit_takes_over_and_the_limit_of_the_job_stays(
    sam: Member,
    ben: Member,
    mail: Mail,
    begin: Begin,
    emailsec: Simulator,
    decide: Callable[[Member, BulkJob], BulkJob],
) -> None:
    job = begin(sam, JobSource.SELECTION, ticked(delivered(mail.inside), delivered(mail.mixed)))
    Member.objects.filter(pk=sam.pk).update(role="viewer")
    job.refresh_from_db()

    taken = jobs.take_over(actor=ben, job=job, request=None)
    run(decide(ben, taken))

    assert taken.scope == [INSIDE]
    assert {entry.investigate_id for entry in emailsec.ledger.of("move")} == {delivered(mail.inside).id}


def test_a_job_of_messages_in_quarantine_releases_nothing_elsewhere(
    sam: Member, mail: Mail, begin: Begin, decide: Callable[[Member, BulkJob], BulkJob], emailsec: Simulator
) -> None:
    job = begin(
        sam,
        JobSource.SELECTION,
        ticked(held(mail.inside), held(mail.mixed), held(mail.foreign)),
        kind=ActionKind.RELEASE,
        destination="",
    )
    run(decide(sam, job))

    assert {entry.investigate_id for entry in emailsec.ledger.of("release")} == {held(mail.inside).id}


def test_criteria_say_the_same_to_members_without_a_limit(
    ben: Member, mail: Mail, begin: Begin, emailsec: Simulator
) -> None:
    job = begin(ben, JobSource.SEARCH, query=f"{RANGE}&disposition=SPAM")

    assert job.scope == []
    assert ids_of(job) == {record.id for record in emailsec.store.records if record.final_disposition == "SPAM"}
    assert Criteria().recipient == ()


@pytest.mark.parametrize("kind", ["alert id", "Message-ID", "recipient"])
def test_pasted_terms_are_looked_for_at_each_domain(kind: str, sam: Member, mail: Mail, begin: Begin) -> None:
    sam.domains = ["another.example", INSIDE, "third.example"]
    sam.save(update_fields=["domains"])
    record = next(record for record in mail.inside if record.alert_id and record.message_id)

    job = begin(sam, JobSource.PASTE, [terms_for(record)[kind]], query=RANGE)

    assert record.id in ids_of(job)
