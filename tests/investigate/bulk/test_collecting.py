"""How a job finds its messages: every page once, stored step by step, and honest about what could not be read."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission, Role
from dashboard.emailsec.types import DeliveryStatus, Disposition, Message, MessageDeliveryMode
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client, shared_meter
from dashboard.upstream.features import SharedMissingFeatures
from investigate.actions import words
from investigate.bulk import collecting, facts, jobs, rehearsal, ringing
from investigate.bulk.collecting import steps, walking
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobSource, JobState, SearchRun
from investigate.search import results
from investigate.search.criteria import Criteria, search_query

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]

DETECTIONS = "last=7d"
ALL_MAIL = "last=7d&clean=1"
SLOW = "last=30d&clean=1"  # the simulator answers 202 to wide searches that include clean mail


@pytest.fixture
def quick(emailsec: Simulator) -> Simulator:
    """The simulator, whose slow searches have their results at once, for who asks again."""
    emailsec.world.options = replace(emailsec.world.options, search_delay=0.0)
    return emailsec


def begun(
    actor: Member,
    source: JobSource = JobSource.SEARCH,
    *,
    kind: str = "move",
    query: str = DETECTIONS,
    terms: list[tuple[str, str]] | None = None,
    **values: Any,
) -> BulkJob:
    values = {"destination": "JunkEmail"} | values if kind == "move" else values
    return jobs.begin(
        actor=actor,
        source=source,
        kind=ActionKind(kind),
        query=query if source == JobSource.SEARCH else "",
        terms=terms or [],
        operation_key=uuid.uuid4().hex,
        request=None,
        **values,
    )


def after(job: BulkJob) -> BulkJob:
    return BulkJob.objects.get(pk=job.pk)


def collected(job: BulkJob) -> BulkJob:
    collecting.collect(job.pk)
    return after(job)


def time_passes(job: BulkJob, seconds: float = 0.0) -> None:
    """What the job waits for is due; what it remembers of times is `seconds` older."""
    progress = after(job).progress
    for name in ("failing_since", "slow_since"):
        if progress.get(name):
            progress[name] = (dt.datetime.fromisoformat(progress[name]) - dt.timedelta(seconds=seconds)).isoformat()
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now(), progress=progress)


def ids_of(job: BulkJob) -> set[str]:
    return set(ActionItem.objects.filter(job=job).values_list("investigate_id", flat=True))


def detections(simulator: Simulator, days: float = 7) -> set[str]:
    now = timezone.now().timestamp()
    return {
        record.id
        for record in simulator.store.records
        if record.final_disposition != "NONE" and now - days * 86400 < record.scanned_at <= now
    }


def searches(simulator: Simulator) -> int:
    return sum(call.operation in ("search", "poll") for call in simulator.calls)


# --- everything a search finds ---


def test_every_page_of_a_search_is_taken_once(monkeypatch, ana, emailsec):
    monkeypatch.setattr(walking, "PER_PAGE", 7)
    wanted = detections(emailsec)

    job = collected(begun(ana))

    assert job.state == JobState.REHEARSAL
    assert ids_of(job) >= wanted
    assert sum(job.counts.values()) == len(ids_of(job))
    assert searches(emailsec) == -(-len(ids_of(job)) // 7)
    assert not job.progress.get("has_changed")


def test_the_page_of_a_search_and_a_job_of_it_find_the_same(ana, emailsec):
    criteria = Criteria(disposition=("SPAM", "BULK"), last="7d")
    shown = results.search(criteria)

    job = collected(begun(ana, query=criteria.within(shown.window).query()))

    assert ids_of(job) == {row.id for row in shown.rows}


def test_several_values_are_several_searches_and_each_message_is_taken_once(ana, quick):
    emailsec = quick
    record = next(record for record in emailsec.store.records if len(record.client_recipients) > 1)
    both = "&".join(f"recipient={name}" for name in record.client_recipients[:2])

    job = collected(begun(ana, query=f"last=366d&{both}&disposition={record.final_disposition}&clean=1"))
    while job.state == JobState.COLLECTING:
        time_passes(job)
        job = collected(job)

    assert job.state == JobState.REHEARSAL, job.explanation
    assert record.id in ids_of(job)
    assert ActionItem.objects.filter(job=job, investigate_id=record.id).count() == 1
    assert not job.progress.get("has_changed")  # what two searches find is no change


def test_a_relative_range_is_pinned_once_and_mail_that_comes_later_is_not_taken(monkeypatch, ana, emailsec):
    monkeypatch.setattr(walking, "PER_PAGE", 5)
    monkeypatch.setattr(collecting, "STEP_SECONDS", 0.0)
    job = begun(ana)
    with time_machine.travel(timezone.now() - dt.timedelta(minutes=5)):
        collecting.collect(job.pk)
    pinned = after(job).query
    late = {record.id for record in emailsec.arrive(20)}
    while after(job).state == JobState.COLLECTING:
        collecting.collect(job.pk)

    assert pinned.startswith("start=")
    assert after(job).query == pinned
    assert not ids_of(job) & late


def test_clean_mail_is_asked_for_only_where_the_search_includes_it(ana, emailsec):
    collected(begun(ana))
    collected(begun(ana, query="last=1d&clean=1"))

    asked = [parse_qs(call.query) for call in emailsec.calls if call.operation == "search"]
    assert [query["detections_only"] for query in asked] == [["true"], ["false"]]
    assert [query["per_page"] for query in asked] == [["1000"], ["1000"]]


def test_the_sums_are_kept_so_that_looking_costs_nothing(ana, emailsec, django_assert_num_queries):
    job = collected(begun(ana))

    with django_assert_num_queries(0):
        assert rehearsal.summary_of(job).messages == job.counts["queued"]


def test_a_search_that_cannot_be_asked_ends_in_words(ana, emailsec):
    job = collected(begun(ana, query="disposition=TERRIBLE&last=7d"))

    assert job.state == JobState.FAILED
    assert "TERRIBLE" in job.explanation
    assert searches(emailsec) == 0


def test_an_empty_search_is_an_empty_rehearsal(ana, emailsec):
    job = collected(begun(ana, query="sender=nobody.invalid&last=7d"))

    assert (job.state, job.counts) == (JobState.REHEARSAL, {})


# --- slow searches ---


def test_a_slow_search_is_looked_at_again_and_nothing_waits_in_a_thread(ana, quick, bells):
    quick.faults.endless_search = True
    job = collected(begun(ana, query=SLOW))

    assert (job.state, job.explanation) == (JobState.COLLECTING, walking.SEARCHING)
    assert job.claimed_at is None
    assert job.due_at > timezone.now()
    assert searches(quick) == 1
    assert bells[-1][0] == ringing.COLLECT_TASK
    assert bells[-1][2] == pytest.approx(1.0, abs=0.5)

    quick.faults.endless_search = False
    time_passes(job)
    job = collected(job)

    assert (job.state, job.explanation) == (JobState.REHEARSAL, "")
    assert ids_of(job) >= detections(quick, 29)
    assert searches(quick) == 2


def test_a_slow_search_whose_answer_is_gone_is_asked_for_afresh_once(ana, quick):
    def carried_on(job: BulkJob) -> BulkJob:
        for _ in range(5):
            time_passes(job)
            job = collected(job)
        return job

    quick.faults.next("poll", status=404)
    job = carried_on(begun(ana, query=SLOW))
    assert job.state == JobState.REHEARSAL, job.explanation
    assert [call.operation for call in quick.calls] == ["search", "poll", "search", "poll"]

    quick.faults.next("poll", status=410, times=2)
    job = carried_on(begun(ana, query=SLOW))
    assert (job.state, job.explanation) == (JobState.FAILED, walking.EXPIRED)


def test_a_search_without_an_end_is_given_up(ana, emailsec):
    emailsec.faults.endless_search = True
    job = collected(begun(ana))
    time_passes(job, settings.SEARCH_DEADLINE + 60)
    job = collected(job)

    assert job.state == JobState.FAILED
    assert job.explanation == walking.GAVE_UP.format(minutes=16)


# --- an answer does not come ---


def test_a_429_waits_as_long_as_it_says_and_goes_on(ana, emailsec):
    emailsec.faults.next("search", status=429, retry_after=77)
    job = collected(begun(ana))

    assert job.state == JobState.COLLECTING
    assert "budget" in job.explanation
    assert (job.due_at - timezone.now()).total_seconds() == pytest.approx(77, abs=3)

    shared_meter()._locked().delete()  # five minutes later
    time_passes(job)
    assert collected(job).state == JobState.REHEARSAL


def test_collecting_takes_only_its_part_of_the_budget(ana, emailsec, monkeypatch):
    monkeypatch.setattr(walking, "PER_PAGE", 2)
    monkeypatch.setattr(get_client()._api._transport._meter, "limit", 8)
    job = collected(begun(ana))

    assert searches(emailsec) == 4
    assert job.state == JobState.COLLECTING
    assert sum(job.counts.values()) == 8
    assert "budget" in job.explanation


def test_silence_is_asked_again_and_given_up_at_the_deadline(ana, emailsec):
    emailsec.faults.next("search", status=503, times=None)
    job = collected(begun(ana))
    assert (job.state, job.explanation) == (JobState.COLLECTING, "Cloudflare does not answer; it is asked again.")

    time_passes(job, settings.SEARCH_DEADLINE - 60)
    assert collected(job).state == JobState.COLLECTING
    time_passes(job, 120)
    job = collected(job)

    assert job.state == JobState.FAILED
    assert job.explanation == "Cloudflare has not answered for 16 minutes."


def test_an_answer_ends_the_silence(ana, emailsec):
    emailsec.faults.next("search", status=503, times=4)  # the client itself tries four times
    job = collected(begun(ana))
    time_passes(job, settings.SEARCH_DEADLINE + 60)
    emailsec.faults.clear()
    job = collected(job)

    assert job.state == JobState.REHEARSAL
    assert job.progress.get("failing_since", "") == ""


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, "renew the API token"), (403, "the API token may not do this"), (400, "Cloudflare: ")],
)
def test_a_refusal_ends_collecting_and_says_who_can_mend_it(ana, emailsec, status, told):
    emailsec.faults.next("search", status=status, times=None)
    job = collected(begun(ana))

    assert job.state == JobState.FAILED
    assert told in job.explanation


# --- lists that lie ---


def page(simulator: Simulator, number: int, next_cursor: str | None, *, skip: int = 0) -> bytes:
    """A genuine answer of the search, cut, with another cursor."""
    window = Criteria(last="7d").window(timezone.now())
    answer = get_client().search_raw(search_query({"detections_only": True}, window), per_page=1000)
    body = json.loads(answer.body)
    body["result"] = body["result"][skip : skip + number]
    body["result_info"] = {"count": len(body["result"]), "per_page": 1000, "next": next_cursor}
    return json.dumps(body).encode()


def test_a_cursor_that_repeats_ends_the_list(ana, emailsec):
    first, second = page(emailsec, 3, "c1"), page(emailsec, 3, "c1", skip=3)
    emailsec.faults.next("search", body=first)
    emailsec.faults.next("search", body=second)
    job = collected(begun(ana))

    assert (job.state, sum(job.counts.values())) == (JobState.REHEARSAL, 6)
    assert job.progress["has_changed"]


def test_an_empty_page_that_promises_more_ends_the_list(ana, emailsec):
    first, second = page(emailsec, 3, "c1"), page(emailsec, 0, "c2")
    emailsec.faults.next("search", body=first)
    emailsec.faults.next("search", body=second)
    job = collected(begun(ana))

    assert (job.state, sum(job.counts.values())) == (JobState.REHEARSAL, 3)
    assert job.progress["has_changed"]


def test_a_list_that_goes_round_with_ever_new_cursors_ends(ana, emailsec):
    same = [page(emailsec, 3, f"c{number}") for number in range(5)]
    before = searches(emailsec)
    for body in same:
        emailsec.faults.next("search", body=body)
    job = collected(begun(ana))

    assert (job.state, sum(job.counts.values())) == (JobState.REHEARSAL, 3)
    assert job.progress["has_changed"]
    assert searches(emailsec) - before == 2


def test_a_row_on_two_pages_is_taken_once_and_told(ana, emailsec):
    first, second = page(emailsec, 4, "c1"), page(emailsec, 4, None, skip=3)
    emailsec.faults.next("search", body=first)
    emailsec.faults.next("search", body=second)
    job = collected(begun(ana))

    assert (job.state, sum(job.counts.values())) == (JobState.REHEARSAL, 7)
    assert job.progress["has_changed"]


@pytest.mark.parametrize("cursor", ["c\x00", "x" * 7000])
def test_a_cursor_nobody_can_keep_is_not_followed(ana, emailsec, cursor):
    emailsec.faults.next("search", body=page(emailsec, 3, cursor))
    job = collected(begun(ana))

    assert (job.state, sum(job.counts.values())) == (JobState.REHEARSAL, 3)
    assert job.progress["has_changed"]


def test_texts_no_database_keeps_are_kept_without_what_it_refuses(ana, emailsec):
    body = json.loads(page(emailsec, 2, None))
    body["result"][0] |= {"subject": "a\x00b\ud800", "from_name": "\x00", "alert_id": "x" * 400, "id": "y" * 300}
    body["result"][1] |= {"subject": "a\x00b", "from": "\ud800@x.example", "client_recipients": ["\x00@y.example"]}
    emailsec.faults.next("search", body=json.dumps(body).encode())
    job = collected(begun(ana))

    assert job.state == JobState.REHEARSAL
    (item,) = ActionItem.objects.filter(job=job)  # the other has an id no row can hold
    assert item.subject == "a\ufffdb"


def test_no_more_than_the_limit_is_taken_and_it_is_told(monkeypatch, ana, emailsec):
    monkeypatch.setattr(settings, "BULK_LIMIT", 10)
    monkeypatch.setattr(walking, "PER_PAGE", 4)
    job = collected(begun(ana))

    assert (job.state, sum(job.counts.values())) == (JobState.REHEARSAL, 10)
    assert job.progress["is_limited"]
    assert searches(emailsec) == 3


def test_exactly_the_limit_is_no_limit(monkeypatch, ana, emailsec):
    emailsec.faults.next("search", body=page(emailsec, 5, None))
    monkeypatch.setattr(settings, "BULK_LIMIT", 5)
    job = collected(begun(ana))

    assert sum(job.counts.values()) == 5
    assert not job.progress.get("is_limited")


# --- workers that die, and two at once ---


def test_a_step_that_was_overtaken_stores_nothing(ana, emailsec):
    job = begun(ana)
    slow_worker = steps.claim(job.pk)
    assert slow_worker is not None
    BulkJob.objects.filter(pk=job.pk).update(claimed_at=F("claimed_at") - dt.timedelta(seconds=steps.CLAIM_SECONDS + 1))
    other_worker = steps.claim(job.pk)
    assert other_worker is not None

    walking.walk_step(slow_worker)

    assert (after(job).progress, ids_of(job)) == ({}, set())
    walking.walk_step(other_worker)
    assert len(ids_of(job)) == sum(after(job).counts.values()) > 0


def test_a_worker_killed_between_two_steps_costs_nothing(monkeypatch, ana, emailsec):
    monkeypatch.setattr(walking, "PER_PAGE", 5)
    job = begun(ana)
    for _ in range(2):
        claimed = steps.claim(job.pk)
        assert claimed is not None
        walking.walk_step(claimed)
    before = searches(emailsec)
    done = after(job).progress["calls"]

    job = collected(job)

    assert job.state == JobState.REHEARSAL
    assert ids_of(job) >= detections(emailsec)
    assert searches(emailsec) - before == job.progress["calls"] - done


def test_a_worker_killed_in_a_step_is_waited_for_and_then_the_step_is_done_again(ana, emailsec):
    job = begun(ana)
    assert steps.claim(job.pk) is not None
    assert collected(job).state == JobState.COLLECTING  # somebody seems to be at it
    assert searches(emailsec) == 0

    BulkJob.objects.filter(pk=job.pk).update(claimed_at=F("claimed_at") - dt.timedelta(seconds=steps.CLAIM_SECONDS + 1))
    job = collected(job)

    assert job.state == JobState.REHEARSAL
    assert job.dead_attempts == 1


def test_a_job_that_kills_its_workers_is_given_up(ana, emailsec):
    job = begun(ana)
    for _ in range(collecting.MOST_DEAD):
        assert collecting._claimed(job.pk) is not None
        BulkJob.objects.filter(pk=job.pk).update(
            claimed_at=F("claimed_at") - dt.timedelta(seconds=steps.CLAIM_SECONDS + 1)
        )
    assert collecting._claimed(job.pk) is not None
    BulkJob.objects.filter(pk=job.pk).update(claimed_at=F("claimed_at") - dt.timedelta(seconds=steps.CLAIM_SECONDS + 1))
    job = collected(job)

    assert job.state == JobState.FAILED
    assert "broke off 6 times" in job.explanation


def test_a_task_lets_go_after_a_while_and_rings_for_the_next(monkeypatch, ana, emailsec, bells):
    monkeypatch.setattr(collecting, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(walking, "PER_PAGE", 5)
    job = begun(ana)
    bells.clear()
    job = collected(job)

    assert job.state == JobState.COLLECTING
    assert searches(emailsec) == 1
    assert bells == [(ringing.COLLECT_TASK, str(job.pk), None)]


def test_a_cancelled_job_collects_nothing_more(ana, emailsec):
    job = begun(ana)
    claimed = steps.claim(job.pk)
    assert claimed is not None
    jobs.cancel(actor=ana, job=job, request=None)
    walking.walk_step(claimed)

    assert after(job).state == JobState.CANCELLED
    assert ids_of(job) == set()


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_instant_find_each_message_once(monkeypatch, ana, emailsec):
    monkeypatch.setattr(walking, "PER_PAGE", 3)
    wanted = detections(emailsec)
    job = begun(ana)
    barrier = threading.Barrier(3)
    problems: list[Exception] = []

    def work() -> None:
        try:
            barrier.wait(10)
            for _ in range(60):
                collecting.collect(job.pk)
                if after(job).state != JobState.COLLECTING:
                    break
        except Exception as problem:  # noqa: BLE001  handed to the test
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    job = after(job)
    while job.state == JobState.COLLECTING:
        job = collected(job)

    assert not problems
    assert job.state == JobState.REHEARSAL
    assert ids_of(job) >= wanted
    assert searches(emailsec) == job.progress["calls"]


# --- rights ---


def test_who_loses_the_right_collects_nothing_more(ana, emailsec):
    job = begun(ana)
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)
    job = collected(job)

    assert job.state == JobState.FAILED
    assert job.explanation == "Ana no longer has the right to act on many messages."
    assert searches(emailsec) == 0


def test_nothing_is_asked_for_a_job_of_another_account(ana, emailsec):
    job = begun(ana)
    BulkJob.objects.filter(pk=job.pk).update(account_id="f" * 32)
    job = collected(job)

    assert (job.state, job.explanation) == (JobState.FAILED, collecting.OTHER_ACCOUNT)
    assert searches(emailsec) == 0


def test_malicious_mail_is_left_out_of_a_release_by_who_may_not_release_it(ana, ben, emailsec):
    by_analyst = collected(begun(ana, kind="release", query="last=30d"))
    by_responder = collected(begun(ben, kind="release", query="last=30d"))

    dangerous = {"disposition__in": ["MALICIOUS", "MALICIOUS-BEC"]}
    lacking = words.lacks(Permission.MESSAGE_RELEASE_MALICIOUS)
    left_out = ActionItem.objects.filter(job=by_analyst, **dangerous)
    assert left_out.exists()
    assert set(left_out.values_list("state", "explanation")) == {("skipped", lacking)}
    assert ActionItem.objects.filter(job=by_responder, state=ActionState.QUEUED, **dangerous).exists()


# --- why a message cannot be acted on ---

DELIVERED = Message(
    id="a:1",
    postfix_id="a",
    alert_id="a-1",
    message_id="<1@x.example>",
    from_="m@x.example",
    client_recipients=("j@corp.example",),
    delivery_status=(DeliveryStatus.DELIVERED,),
    final_disposition=Disposition.SPAM,
)


@pytest.mark.parametrize(
    ("kind", "values", "fields", "why"),
    [
        ("move", {}, {}, ""),
        ("move", {}, {"is_quarantined": True}, "The message is in quarantine; release it first."),
        ("move", {}, {"delivery_status": (DeliveryStatus.BOUNCED,)}, "No copy is in a mailbox (bounced)."),
        ("move", {}, {"is_phish_submission": True}, "This is the copy a user reported; act on the original message."),
        ("release", {}, {}, "The message is not in quarantine."),
        ("release", {}, {"delivery_mode": MessageDeliveryMode.BCC}, "Journal and BCC copies hold no quarantine."),
        ("release", {}, {"is_quarantined": True}, ""),
        ("reclassify", {"expected_disposition": "SPAM"}, {}, "Cloudflare says Spam already."),
        ("reclassify", {"expected_disposition": "BULK"}, {}, ""),
        (
            "reclassify",
            {"expected_disposition": "BULK"},
            {"alert_id": None, "message_id": None},
            "The message has no alert, and lacks the ids a missed detection is reported by.",
        ),
    ],
)
def test_why_a_message_is_left_out(ana, kind, values, fields, why):
    job = begun(ana, kind=kind, **values)
    message = msgspec.structs.replace(DELIVERED, **fields)

    item = facts.item_of(job, message, ana)

    assert (item.state, item.explanation) == ("skipped" if why else "queued", why)
    # What is kept of it says the same.
    assert facts.item_of(job, facts.message_of(item), ana).explanation == why


def test_the_older_way_to_submit_takes_clean_mail_one_by_one(ana):
    SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).remember("create_submissions")
    job = begun(ana, kind="reclassify", expected_disposition="BULK")

    clean = facts.item_of(job, msgspec.structs.replace(DELIVERED, alert_id=None), ana)

    assert "submit it by itself" in clean.explanation
    assert facts.item_of(job, DELIVERED, ana).explanation == ""


def test_what_we_purged_is_left_out(ana, ben, emailsec):
    job = begun(ana)
    purge = Action.objects.create(
        operation_key="purge-it", fingerprint="x", actor=ben, actor_name="Ben", kind=ActionKind.MOVE,
        destination="RecoverableItemsPurges", state=ActionState.PARTLY_DONE, created_at=timezone.now(),
        due_at=timezone.now(),
    )  # fmt: skip
    ActionItem.objects.create(action=purge, investigate_id="a:1", state=ActionState.DONE)
    ActionItem.objects.create(action=purge, investigate_id="a:2", state=ActionState.FAILED)

    assert facts.item_of(job, DELIVERED, ana).explanation == "The message was purged."


def test_a_thousand_messages_cost_three_queries(ana, django_assert_num_queries):
    job = begun(ana)
    many = [msgspec.structs.replace(DELIVERED, id=f"a:{number}") for number in range(1000)]
    with django_assert_num_queries(3):
        items = facts.items_of(job, many, ana)
    assert len(items) == 1000


def test_what_is_kept_of_a_message_is_small(ana, emailsec):
    job = collected(begun(ana, query="last=30d"))
    sizes = [len(json.dumps(item.facts)) for item in ActionItem.objects.filter(job=job)]
    assert sum(sizes) / len(sizes) < 400


# --- ticked rows ---


def ticked(actor: Member, ids: list[str], **values: Any) -> BulkJob:
    terms = [("investigate_id", investigate_id) for investigate_id in ids]
    return begun(actor, JobSource.SELECTION, terms=terms, **values)


def test_ticked_rows_that_a_search_just_showed_cost_no_call(ana, emailsec):
    shown = results.search(Criteria(last="7d"))
    ids = [row.id for row in shown.rows][:5]
    before = len(emailsec.calls)

    job = collected(ticked(ana, ids))

    assert job.state == JobState.REHEARSAL
    assert ids_of(job) == set(ids)
    assert len(emailsec.calls) == before


def test_rows_no_search_remembers_are_asked_for_one_by_one(ana, emailsec):
    shown = results.search(Criteria(last="7d"))
    ids = [row.id for row in shown.rows][:9]
    SearchRun.objects.all().delete()
    before = len(emailsec.calls)

    job = collected(ticked(ana, [*ids, "no-such-message"]))

    assert job.state == JobState.REHEARSAL
    assert ids_of(job) == set(ids)
    assert len(emailsec.calls) - before == 10
    assert job.not_found_count == 1
    assert job.not_found[0]["text"] == "no-such-message"


def test_rows_of_another_account_are_not_believed(ana, emailsec):
    shown = results.search(Criteria(last="7d"))
    SearchRun.objects.update(account_id="f" * 32)
    before = len(emailsec.calls)

    job = collected(ticked(ana, [shown.rows[0].id]))

    assert len(emailsec.calls) - before == 1
    assert job.state == JobState.REHEARSAL


def test_a_selection_waits_for_the_budget_where_it_stands(ana, emailsec):
    ids = [record.id for record in emailsec.store.records[-12:]]
    job = ticked(ana, ["never-there", *ids])
    for _ in range(3):  # what recent searches showed, and two steps of calls
        claimed = steps.claim(job.pk)
        assert claimed is not None
        collecting._step(claimed)
    found = len(ids_of(job))
    emailsec.faults.next("message", status=429, retry_after=50)
    job = collected(job)
    assert job.state == JobState.COLLECTING
    assert "budget" in job.explanation
    assert len(ids_of(job)) >= found

    shared_meter()._locked().delete()
    time_passes(job)
    job = collected(job)

    assert job.state == JobState.REHEARSAL
    assert len(ids_of(job)) == 12
    assert job.not_found_count == 1


# --- the messages of an earlier job ---


def test_the_messages_of_an_earlier_job_are_taken_over_without_a_call(ana, emailsec):
    earlier = collected(begun(ana))
    before = len(emailsec.calls)

    job = collected(begun(ana, JobSource.JOB, kind="release", terms=[("job", str(earlier.pk)), ("states", "all")]))

    assert job.state == JobState.REHEARSAL
    assert ids_of(job) == ids_of(earlier)
    assert len(emailsec.calls) == before
    held = ActionItem.objects.filter(job=earlier, facts__is_quarantined=True)
    assert job.counts["queued"] + job.counts["skipped"] == len(ids_of(earlier))
    ready = ActionItem.objects.filter(job=job, state="queued").values_list("investigate_id", flat=True)
    assert set(ready) <= set(held.values_list("investigate_id", flat=True))


def test_only_the_states_asked_for_are_taken_over(ana, emailsec):
    earlier = collected(begun(ana))
    pks = list(ActionItem.objects.filter(job=earlier).values_list("pk", flat=True))
    for pk, state in zip(pks, ("done", "failed", "partly_done", "skipped"), strict=False):
        ActionItem.objects.filter(pk=pk).update(state=state)
    ActionItem.objects.filter(job=earlier).exclude(pk__in=pks[:4]).update(state="cancelled")

    def taken(states: str) -> int:
        terms = [("job", str(earlier.pk)), ("states", states)]
        return len(ids_of(collected(begun(ana, JobSource.JOB, terms=terms))))

    assert (taken("failed"), taken("done"), taken("done,failed"), taken("skipped")) == (2, 1, 3, 1)


def test_what_the_earlier_job_did_is_known(ana, emailsec):
    earlier = collected(begun(ana, kind="release", query="last=30d"))
    ready = ActionItem.objects.filter(job=earlier, state="queued")
    assert ready.exists()
    ready.update(state=ActionState.DONE)
    terms = [("job", str(earlier.pk)), ("states", "done")]

    moved = collected(begun(ana, JobSource.JOB, terms=terms))
    again = collected(begun(ana, JobSource.JOB, kind="release", terms=terms))

    assert set(moved.counts) == {"queued"}
    reasons = set(ActionItem.objects.filter(job=again).values_list("explanation", flat=True))
    assert reasons <= {"The message was released already.", "Journal and BCC copies hold no quarantine."}


@pytest.mark.parametrize("name", ["", "not-a-job", str(uuid.UUID(int=7))])
def test_an_earlier_job_that_is_not_there_ends_in_words(ana, emailsec, name):
    job = collected(begun(ana, JobSource.JOB, terms=[("job", name)]))

    assert job.state == JobState.FAILED
    assert job.explanation == "The earlier job is not kept any more."
