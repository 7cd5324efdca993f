"""Finding what a paste names: each kind, slow searches, refusals, a worker that dies, and what was not found."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import time_machine
from django.conf import settings
from django.db.models.functions import Now
from django.test import Client, override_settings
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, get_client, use_client
from investigate.bulk import collecting, jobs
from investigate.bulk.collecting import finding, steps
from investigate.bulk.collecting.finding import find_step
from investigate.models import ActionItem, ActionKind, ActionState, BulkJob, JobSource, JobState
from investigate.search.window import write_moment

pytestmark = pytest.mark.usefixtures("bells")
Terms = list[tuple[str, str]]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def paste(ana: Member, emailsec: Simulator) -> Callable[..., BulkJob]:
    """A job as the page begins it; its range is short enough for searches to be answered at once."""

    def begin(terms: Terms, *, days: float = 6, actor: Member = ana) -> BulkJob:
        end = dt.datetime.now(dt.UTC).replace(microsecond=0)
        pinned = {"start": write_moment(end - dt.timedelta(days=days)), "end": write_moment(end)}
        return jobs.begin(
            actor=actor,
            source=JobSource.PASTE,
            kind=ActionKind.MOVE,
            destination="DeletedItems",
            query=urlencode(pinned),
            terms=terms,
            operation_key=uuid.uuid4().hex,
            request=None,
        )

    return begin


def step(job: BulkJob) -> BulkJob:
    """One step of a worker, whatever the job waits for."""
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
    claimed = steps.claim(job.pk)
    assert claimed is not None
    find_step(claimed)
    job.refresh_from_db()
    return job


def to_the_end(job: BulkJob, clock: time_machine.Traveller | None = None) -> BulkJob:
    for _ in range(50):
        if step(job).state != JobState.COLLECTING:
            return job
        if clock is not None:
            clock.shift(5)
    raise AssertionError(f"still collecting: {job.progress}")


def found(job: BulkJob) -> set[str]:
    return set(job.items.values_list("investigate_id", flat=True))


def recent(emailsec: Simulator, **has: Any) -> list[Any]:
    """Messages of the range, newest first."""
    since = emailsec.clock() - 6 * 86400 + 60
    records = [record for record in reversed(emailsec.store.records) if record.scanned_at > since]
    return [record for record in records if all(getattr(record, name) for name in has)]


def test_each_id_finds_its_message(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    a, b, c, d = recent(emailsec, alert_id=True, message_id=True)[:4]

    job = to_the_end(
        paste(
            [
                ("investigate_id", a.id),
                ("alert_id", b.alert_id),
                ("message_id", c.message_id.strip("<>")),
                ("postfix_id", d.postfix_id),
            ]
        )
    )

    assert job.state == JobState.REHEARSAL
    assert found(job) == {a.id, b.id, c.id, d.id}
    assert job.not_found == []
    assert sum(call.operation == "message" for call in emailsec.calls) == 2, "an id that names its message is no search"


def test_an_address_finds_mail_from_and_to_it(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    address = recent(emailsec)[0].client_recipients[0]
    wanted = {record.id for record in recent(emailsec) if address in (*record.client_recipients, record.from_)}

    job = to_the_end(paste([("address", address.upper())]))

    assert wanted
    assert wanted <= found(job)


def test_all_pages_of_an_address_are_read(
    paste: Callable[..., BulkJob], emailsec: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "PER_PAGE", 2)
    (address, _), *_ = Counter(name for record in recent(emailsec) for name in record.client_recipients).most_common(1)
    wanted = {record.id for record in recent(emailsec) if address in record.client_recipients}

    job = to_the_end(paste([("address", address)]))

    assert len(wanted) > 2
    assert wanted <= found(job)
    assert job.not_found == []


def test_a_domain_and_a_hash_are_searched_for(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    sender = next(record for record in recent(emailsec) if record.final_disposition != "NONE")
    domain = sender.from_.rpartition("@")[2]
    with_file = next(record for record in recent(emailsec) if record.attachments())
    digest = with_file.attachments()[0].sha256

    job = to_the_end(paste([("domain", domain), ("hash", digest)]))

    assert {sender.id, with_file.id} <= found(job)


def test_clean_mail_is_found_too(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    clean = next(record for record in recent(emailsec, message_id=True) if record.final_disposition == "NONE")

    assert found(to_the_end(paste([("message_id", clean.message_id)]))) == {clean.id}


def test_a_bare_id_that_is_an_address_after_all_is_looked_up_as_one(
    paste: Callable[..., BulkJob], emailsec: Simulator
) -> None:
    sender = recent(emailsec)[0].from_

    job = to_the_end(paste([("message_id", sender)]))

    assert recent(emailsec)[0].id in found(job)


def test_what_finds_nothing_is_told_with_its_reason(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    job = to_the_end(
        paste([("investigate_id", "4none-1"), ("message_id", "<no@such.example>"), ("line", "line 3: what is this")])
    )

    assert job.state == JobState.REHEARSAL
    assert job.not_found_count == 3
    assert {(entry["kind"], entry["text"], entry["why"]) for entry in job.not_found} == {
        ("investigate_id", "4none-1", "Cloudflare knows no message with this id."),
        ("message_id", "<no@such.example>", "No message in the range has this Message-ID."),
        ("line", "line 3: what is this", "This line names nothing that can be looked up."),
    }


def test_a_copy_somebody_reported_is_found_and_says_why_it_is_left_out(
    paste: Callable[..., BulkJob], emailsec: Simulator
) -> None:
    reported = emailsec.store.reported[0]

    job = to_the_end(paste([("investigate_id", reported.id)]))

    item = job.items.get()
    assert item.state == ActionState.SKIPPED
    assert "original message" in item.explanation


def test_messages_of_a_server_that_ignores_the_filter_are_not_taken(
    paste: Callable[..., BulkJob], emailsec: Simulator
) -> None:
    """As an older generation might: it does not know `alert_id`, and answers with everything."""

    def deaf(environ: Any, start_response: Any) -> Any:
        environ["QUERY_STRING"] = re.sub(r"alert_id=[^&]*&?", "", environ["QUERY_STRING"])
        return emailsec(environ, start_response)

    with use_client(build_client(httpx.WSGITransport(app=deaf))):
        job = to_the_end(paste([("alert_id", "4nosuchalert-1")]))

    assert not job.items.exists()
    assert job.not_found[0]["why"] == finding.OTHERS_ANSWERED


def test_slow_searches_are_waited_for_without_standing_in_the_way(
    paste: Callable[..., BulkJob], emailsec: Simulator, clock: time_machine.Traveller
) -> None:
    slow = [("message_id", record.message_id) for record in recent(emailsec, message_id=True)[:3]]
    ids = [("investigate_id", record.id) for record in recent(emailsec)[5:25]]
    job = paste([*slow, *ids], days=29)  # the simulator answers 202 to wide searches that include clean mail

    step(job)

    assert job.state == JobState.COLLECTING
    assert found(job) == {text for _, text in ids}, "the others are found while the slow ones are searched"
    assert job.explanation == "20 of 23 looked up."
    assert job.due_at is not None
    assert job.due_at > dt.datetime.now(dt.UTC)

    clock.shift(10)
    to_the_end(job, clock)
    assert job.items.count() == 23


def test_a_search_that_never_ends_is_given_up(
    paste: Callable[..., BulkJob], emailsec: Simulator, clock: time_machine.Traveller
) -> None:
    emailsec.faults.endless_search = True
    job = step(paste([("alert_id", "4a-1"), ("investigate_id", recent(emailsec)[0].id)]))

    clock.shift(settings.SEARCH_DEADLINE + 1)
    to_the_end(job, clock)

    assert job.state == JobState.REHEARSAL
    assert [entry["why"] for entry in job.not_found] == [finding.NOT_IN_TIME]
    assert job.items.count() == 1


def test_an_expired_search_is_begun_afresh(
    paste: Callable[..., BulkJob], emailsec: Simulator, clock: time_machine.Traveller
) -> None:
    record = recent(emailsec, message_id=True)[0]
    job = step(paste([("message_id", record.message_id)], days=29))

    clock.shift(700)  # the simulator keeps results for ten minutes
    to_the_end(job, clock)

    assert found(job) == {record.id}


def test_a_refusal_for_lack_of_budget_pauses_and_loses_nothing(
    paste: Callable[..., BulkJob], emailsec: Simulator, clock: time_machine.Traveller
) -> None:
    records = recent(emailsec)[:20]
    job = paste([("investigate_id", record.id) for record in records])
    emailsec.faults.next("message", status=429, retry_after=120)

    step(job)

    assert job.state == JobState.COLLECTING
    assert "budget" in job.explanation
    assert job.due_at is not None
    assert 100 < (job.due_at - dt.datetime.now(dt.UTC)).total_seconds() <= 121

    calls = len(emailsec.calls)
    step(job)  # rung too early
    assert len(emailsec.calls) == calls, "nothing is sent while the service wants silence"
    clock.shift(130)
    to_the_end(job, clock)
    assert found(job) == {record.id for record in records}
    assert job.not_found == []


def test_one_id_that_is_never_answered_does_not_hold_up_the_others(
    paste: Callable[..., BulkJob], emailsec: Simulator, clock: time_machine.Traveller
) -> None:
    records = recent(emailsec)[:12]
    emailsec.faults.next("search", times=None, status=503)
    job = paste([("alert_id", "4a-1"), *(("investigate_id", record.id) for record in records)])

    to_the_end(job, clock)

    assert job.state == JobState.REHEARSAL
    assert found(job) == {record.id for record in records}
    assert [entry["why"] for entry in job.not_found] == [finding.NO_ANSWER]


def test_a_service_that_is_away_ends_collecting_after_a_while(
    paste: Callable[..., BulkJob], emailsec: Simulator, clock: time_machine.Traveller
) -> None:
    emailsec.faults.next("*", times=None, status=503)
    job = step(paste([("investigate_id", "4none-1"), ("investigate_id", "4none-2")]))
    assert job.state == JobState.COLLECTING

    clock.shift(settings.SEARCH_DEADLINE + 1)
    to_the_end(job, clock)

    assert job.state == JobState.FAILED
    assert job.not_found == [], "nobody knows whether they exist"


def test_refused_credentials_end_it_with_who_can_mend_that(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    emailsec.faults.next("message", times=None, status=401)

    job = step(paste([("investigate_id", "4none-1")]))

    assert job.state == JobState.FAILED
    assert "renew the API token" in job.explanation


def test_a_worker_that_dies_between_steps_costs_nothing(
    paste: Callable[..., BulkJob], emailsec: Simulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MOST_HELD", 5)
    records = recent(emailsec)[:20]
    job = step(paste([("investigate_id", record.id) for record in records]))
    assert 5 <= job.items.count() < 20

    dead = steps.claim(job.pk)  # takes the job, and is never heard of again
    assert dead is not None
    assert steps.claim(job.pk) is None
    clock.shift(steps.CLAIM_SECONDS + 1)
    BulkJob.objects.filter(pk=job.pk).update(claimed_at=Now() - dt.timedelta(seconds=steps.CLAIM_SECONDS + 1))
    to_the_end(job, clock)

    assert found(job) == {record.id for record in records}


def test_of_two_workers_only_one_stores_what_it_found(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    job = paste([("investigate_id", record.id) for record in recent(emailsec)[:4]])
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
    slow = steps.claim(job.pk)
    assert slow is not None
    BulkJob.objects.filter(pk=job.pk).update(claimed_at=None)  # its claim is over

    to_the_end(job)
    version = job.version
    find_step(slow)

    job.refresh_from_db()
    assert job.version == version
    assert job.state == JobState.REHEARSAL
    assert job.items.count() == 4


def test_no_more_messages_are_taken_than_a_job_may_have(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    address = recent(emailsec)[0].client_recipients[0].rpartition("@")[2]
    with override_settings(BULK_LIMIT=3):
        job = to_the_end(paste([("domain", address), ("investigate_id", "4none-1")]))

    assert job.state == JobState.REHEARSAL
    assert job.items.count() == 3
    assert job.progress["is_limited"]


def test_what_is_found_again_takes_no_room(
    paste: Callable[..., BulkJob], emailsec: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MOST_HELD", 1)
    monkeypatch.setattr(finding, "SIDE_BY_SIDE", 1)
    records = recent(emailsec, message_id=True)[:5]
    twice = [("message_id", record.message_id) for record in records for _ in range(2)]
    with override_settings(BULK_LIMIT=6):
        job = to_the_end(paste([*twice, ("investigate_id", "4none-1")]))

    assert found(job) == {record.id for record in records}
    assert "is_limited" not in job.progress
    assert job.not_found_count == 1


def test_what_a_list_showed_a_moment_ago_is_not_asked_for_again(
    paste: Callable[..., BulkJob], emailsec: Simulator, analyst: Client
) -> None:
    analyst.get(reverse("investigate:search"), {"last": "6d", "clean": "1"})
    records = recent(emailsec)[:10]
    calls = len(emailsec.calls)

    job = to_the_end(paste([("investigate_id", record.id) for record in records]))

    assert found(job) == {record.id for record in records}
    assert len(emailsec.calls) == calls


def test_an_alert_whose_message_was_found_is_not_asked_for(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    record = recent(emailsec, alert_id=True)[0]
    job = paste([("investigate_id", record.id), *[("line", "x")] * 5, ("alert_id", record.alert_id)])

    to_the_end(job)

    assert found(job) == {record.id}
    assert job.not_found_count == 5


def test_a_paste_costs_the_budget_for_background_work_only(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    with override_settings(CALL_LIMIT=40), use_client(build_client(httpx.WSGITransport(app=emailsec))):
        job = step(paste([("investigate_id", f"4none-{number}") for number in range(60)]))
        assert get_client().message(recent(emailsec)[0].id), "people can still read"

    assert job.state == JobState.COLLECTING
    assert sum(call.operation == "message" for call in emailsec.calls) <= 22


def test_collecting_takes_a_paste_to_its_rehearsal(paste: Callable[..., BulkJob], emailsec: Simulator) -> None:
    record = recent(emailsec)[0]
    job = paste([("investigate_id", record.id)])

    collecting.collect(job.pk)

    job.refresh_from_db()
    assert job.state == JobState.REHEARSAL
    assert ActionItem.objects.get(job=job).investigate_id == record.id
