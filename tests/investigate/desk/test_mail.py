"""The account's mail, read once for the desk and the memory: all of it, never twice what people's searches brought."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from django.utils import timezone

from dashboard.emailsec.transport import Priority
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, shared_meter, use_client
from dashboard.upstream.models import CallBudget
from investigate.desk import collecting, mail
from investigate.memory import ingesting
from investigate.models import (
    Case,
    CaseReport,
    CaseSource,
    QueueMark,
    SearchRun,
    SeenCopy,
    SeenMessage,
    SeenSubmission,
)
from investigate.search import runs
from investigate.search.criteria import Criteria

WANTED = ("MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS", "SPOOF")
ALL = Criteria(clean=True, last="1h")


@pytest.fixture(autouse=True)
def _far_back(settings: Any) -> None:
    settings.QUEUE_DAYS = 30
    settings.MEMORY_ALL_MAIL = True


@pytest.fixture
def emailsec(db: None, settings: Any) -> Iterator[Simulator]:
    """An account where no search is slow, and where nothing arrives by itself."""
    simulator = Simulator(
        messages=300, seed=7, account_id=settings.CLOUDFLARE_ACCOUNT_ID, token=settings.CLOUDFLARE_API_TOKEN,
        wide_search_days=60.0, arrival_interval=1e9,
    )  # fmt: skip
    with use_client(build_client(httpx.WSGITransport(app=simulator))):
        yield simulator


@pytest.fixture
def arrive(emailsec: Any) -> Callable[..., set[str]]:
    """So many messages, the newest scanned so many seconds ago, each a second before the one after it."""

    def add(count: int, *, ago: float = 5.0) -> set[str]:
        names = set()
        for number in range(count):
            [record] = emailsec.population.arrive_now(1, time.time() - ago - number)
            emailsec.add(record)
            names.add(record.id)
        return names

    return add


def read(*, rounds: int = 60) -> QueueMark:
    """Rounds of a minute each until the mail was read to its end."""
    for _ in range(rounds):
        a_round()
        mark = QueueMark.objects.get(source=CaseSource.DETECTION)
        if not mark.reading and not mark.explanation:
            return mark
    raise AssertionError("the reading did not come to its end")


def a_round() -> None:
    QueueMark.objects.filter(tried_at__isnull=False).update(tried_at=timezone.now() - dt.timedelta(seconds=61))
    collecting.collect(CaseSource.DETECTION)


def somebody_searches(criteria: Criteria = ALL, *, per_page: int = 100) -> SearchRun:
    [page] = runs.first_pages(criteria, timezone.now(), per_page=per_page)
    return runs.obtain(page, is_forced=True)


def searches(emailsec: Any) -> int:
    return sum(call.operation == "search" for call in emailsec.calls)


def asked(call: Any) -> dict[str, str]:
    return dict(parse_qsl(call.query))


def remembered() -> set[str]:
    return set(SeenMessage.objects.values_list("investigate_id", flat=True))


def on_the_desk() -> set[str]:
    return set(Case.objects.values_list("investigate_id", flat=True))


def everything(emailsec: Any, *dispositions: str) -> set[str]:
    return {r.id for r in emailsec.store.records if not dispositions or r.final_disposition in dispositions}


def minutes_pass(minutes: float) -> None:
    """The mark was left so long ago."""
    for mark in QueueMark.objects.all():
        mark.read_until -= dt.timedelta(minutes=minutes)
        mark.covered_until = mark.read_until
        mark.save()


# --- both at once -----------------------------------------------------------------------------------------------------


def test_one_reading_fills_the_desk_and_the_memory(emailsec: Any) -> None:
    mark = read()

    assert remembered() == everything(emailsec)
    assert on_the_desk() == everything(emailsec, *WANTED)
    assert searches(emailsec) == 1
    assert SeenCopy.objects.exists()
    assert mark.complete_since is not None
    assert mark.complete_since < timezone.now() - dt.timedelta(days=29)


def test_detections_alone_are_remembered_where_that_is_the_rule(emailsec: Any, settings: Any) -> None:
    settings.MEMORY_ALL_MAIL = False
    read()

    assert remembered() == everything(emailsec) - everything(emailsec, "NONE")


def test_the_memory_goes_back_further_than_the_desk(emailsec: Any, settings: Any) -> None:
    settings.QUEUE_DAYS, settings.MEMORY_FIRST_DAYS = 5, 30
    read()

    assert remembered() == everything(emailsec)
    since = time.time() - 5 * 86_400 - 60
    assert on_the_desk() == {
        r.id for r in emailsec.store.records if r.final_disposition in WANTED and r.scanned_at > since
    }


def test_after_an_outage_longer_than_the_first_reading_the_desk_takes_all(emailsec: Any, settings: Any) -> None:
    settings.QUEUE_DAYS, settings.MEMORY_FIRST_DAYS = 1, 1
    read()
    before = on_the_desk()
    minutes_pass(20 * 24 * 60)

    read()

    assert len(on_the_desk()) > len(before)


def test_remembering_all_mail_from_now_on_reads_back_once(emailsec: Any, settings: Any) -> None:
    settings.MEMORY_ALL_MAIL, settings.MEMORY_FIRST_DAYS = False, 30
    read()
    settings.MEMORY_ALL_MAIL = True

    read()
    assert remembered() == everything(emailsec)
    before = searches(emailsec)
    a_round()
    start, end = (asked(emailsec.calls[-1])[name] for name in ("start", "end"))
    assert searches(emailsec) == before + 1
    assert dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(start) < dt.timedelta(minutes=20)


def test_a_row_without_an_id_stops_no_reading(emailsec: Any) -> None:
    rows = [{"subject": "nobody can find it again"}, {"id": "found-1", "scanned_at": "2026-11-20T10:00:00Z"}]
    emailsec.faults.next("search", body=json.dumps({"success": True, "errors": [], "messages": [], "result": rows}))

    read()

    assert remembered() == {"found-1"}


def test_a_message_the_memory_refuses_is_left_out_alone(emailsec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = emailsec.store.records[0].id
    remember = mail.remember

    def picky(messages: Any, **more: Any) -> int:
        if any(message.id == bad for message in messages):
            raise ValueError("no such time")
        return remember(messages, **more)

    monkeypatch.setattr(mail, "remember", picky)
    read()

    assert remembered() == everything(emailsec) - {bad}


# --- its share of the calls -------------------------------------------------------------------------------------------


def test_all_sources_together_stay_within_the_share_of_the_calls(
    emailsec: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COLLECTOR_SHARE = 1  # of 1,200 calls: twelve
    monkeypatch.setattr(mail, "PER_PAGE", 30)
    monkeypatch.setattr(collecting, "REPORTS_PER_PAGE", 1)
    for _ in range(3):
        a_round()
        collecting.collect(CaseSource.SUBMISSION)
        collecting.collect(CaseSource.PHISHGUARD)
        QueueMark.objects.update(tried_at=None)

    assert len(emailsec.calls) == 12
    assert not QueueMark.objects.exclude(explanation="").exists(), "a share that is used up is no trouble"
    shared_meter().reserve(Priority.READ)  # people are asked for nothing


def test_a_day_away_is_caught_up_within_the_share_without_gaps_or_doubles(
    emailsec: Any, settings: Any, arrive: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read()
    settings.COLLECTOR_SHARE = 1
    monkeypatch.setattr(mail, "PER_PAGE", 10)
    minutes_pass(24 * 60)
    arrive(200)
    before = len(emailsec.calls)

    for five_minutes in range(1, 6):
        CallBudget.objects.update(calls={})
        a_round()
        assert len(emailsec.calls) <= before + 12 * five_minutes
        if not QueueMark.objects.get().reading:
            break
    else:
        raise AssertionError("it was not caught up")

    assert remembered() == everything(emailsec)
    assert on_the_desk() == everything(emailsec, *WANTED)
    pages = [asked(call).get("cursor") for call in emailsec.calls[before:]]
    cursors = [cursor for cursor in pages if cursor]
    assert len(cursors) == len(set(cursors)), "no page was asked for twice"


# --- what searches brought --------------------------------------------------------------------------------------------


def test_what_a_search_of_everything_brought_is_not_fetched_again(
    emailsec: Any, arrive: Callable[..., set[str]]
) -> None:
    read()
    minutes_pass(2)
    new = arrive(20, ago=10)
    somebody_searches()
    before = len(emailsec.calls)

    a_round()

    assert len(emailsec.calls) == before
    assert new <= remembered()
    assert on_the_desk() == everything(emailsec, *WANTED)
    mark = QueueMark.objects.get()
    assert mark.covered_until is not None
    assert timezone.now() - mark.covered_until < dt.timedelta(seconds=30)


def test_an_open_desk_leaves_the_collector_one_call_in_a_quarter_of_an_hour(
    emailsec: Any, arrive: Callable[..., set[str]]
) -> None:
    read()
    minutes_pass(2)
    calls = 0
    for _ in range(5):
        arrive(10, ago=40)
        minutes_pass_since_the_last_look()
        somebody_searches(per_page=60)
        before = len(emailsec.calls)
        a_round()
        calls += len(emailsec.calls) - before
    assert calls == 0

    QueueMark.objects.update(read_until=timezone.now() - mail.READ_AGAIN - dt.timedelta(minutes=1))
    late = arrive(1, ago=14 * 60)  # listed only now
    before = len(emailsec.calls)
    a_round()
    assert len(emailsec.calls) == before + 1
    assert late <= remembered()


def minutes_pass_since_the_last_look() -> None:
    """What is covered ends a minute ago; the last reading stays where it is."""
    QueueMark.objects.update(covered_until=timezone.now() - dt.timedelta(seconds=60))
    SearchRun.objects.all().delete()


def test_a_full_page_covers_no_more_than_it_holds(emailsec: Any, arrive: Callable[..., set[str]]) -> None:
    read()
    minutes_pass(3)
    new = arrive(40, ago=60)
    somebody_searches(per_page=10)
    before = len(emailsec.calls)

    a_round()

    assert len(emailsec.calls) == before + 1
    assert new <= remembered()


def test_pages_read_one_after_the_other_cover_what_they_hold_together(
    emailsec: Any, arrive: Callable[..., set[str]]
) -> None:
    read()
    minutes_pass(2)
    new = arrive(25, ago=60)
    run = somebody_searches(per_page=20)
    while run.next_cursor and SearchRun.objects.count() < 3:
        following = runs.page_after(run.parameters, runs.Window(run.start, run.end), run.next_cursor, per_page=20)
        run = runs.obtain(following)
    before = len(emailsec.calls)

    a_round()

    assert len(emailsec.calls) == before
    assert new <= remembered()


@pytest.mark.parametrize("kind", ["filtered", "detections", "unfinished", "too_short"])
def test_other_searches_cover_nothing(kind: str, emailsec: Any, arrive: Callable[..., set[str]]) -> None:
    read()
    minutes_pass(5)
    new = arrive(20, ago=100)
    criteria = {"filtered": Criteria(clean=True, sender=("a@b.example",)), "detections": Criteria(last="1h")}
    if kind == "too_short":
        somebody_searches(Criteria(clean=True, last="2m"))
    else:
        somebody_searches(criteria.get(kind, ALL))
    if kind == "unfinished":
        SearchRun.objects.update(state="failed")
    before = len(emailsec.calls)

    a_round()

    assert len(emailsec.calls) == before + 1
    assert new <= remembered()


def test_a_search_of_all_mail_covers_detections_as_well(
    emailsec: Any, settings: Any, arrive: Callable[..., set[str]]
) -> None:
    settings.MEMORY_ALL_MAIL = False
    read()
    minutes_pass(2)
    arrive(20, ago=10)
    somebody_searches()
    before = len(emailsec.calls)

    a_round()

    assert len(emailsec.calls) == before
    assert on_the_desk() == everything(emailsec, *WANTED)


def test_a_search_that_went_into_the_memory_first_still_fills_the_desk(
    emailsec: Any, arrive: Callable[..., set[str]]
) -> None:
    read()
    minutes_pass(2)
    arrive(20, ago=10)
    somebody_searches()
    ingesting.ingest()
    before = len(emailsec.calls)

    a_round()

    assert len(emailsec.calls) == before
    assert on_the_desk() == everything(emailsec, *WANTED)


# --- submissions ------------------------------------------------------------------------------------------------------


def test_submissions_of_the_team_are_remembered_and_only_open_reports_come_onto_the_desk(emailsec: Any) -> None:
    for entry in emailsec.submissions.submissions.values():
        entry.reviewed = True
    record = next(one for one in emailsec.store.records if not one.is_phish_submission)
    ids = {
        by_team: emailsec.submissions._add(
            record, time.time() - 900, record.client_recipients[0], "MALICIOUS", by_team=by_team
        ).submission_id
        for by_team in (True, False)
    }

    collecting.collect(CaseSource.SUBMISSION)

    assert set(SeenSubmission.objects.values_list("submission_id", flat=True)) >= set(ids.values())
    assert [report.upstream_id for report in CaseReport.objects.all()] == [ids[False]]


def test_outcomes_that_come_after_days_are_read_once_an_hour(emailsec: Any) -> None:
    record = next(one for one in emailsec.store.records if not one.is_phish_submission)
    asked_at = time.time() - 3 * 86_400
    entry = emailsec.submissions._add(record, asked_at, record.client_recipients[0], "MALICIOUS", by_team=False)
    collecting.collect(CaseSource.SUBMISSION)
    SeenSubmission.objects.filter(submission_id=entry.submission_id).update(outcome="")
    CaseReport.objects.all().delete()
    within_the_hour = timezone.now()

    def starts(read_until: dt.datetime) -> dt.datetime:
        QueueMark.objects.update(tried_at=None, read_until=read_until)
        collecting.collect(CaseSource.SUBMISSION)
        [call] = [call for call in emailsec.calls if call.operation == "submissions"][-1:]
        return dt.datetime.fromisoformat(asked(call)["start"])

    assert starts(within_the_hour) > timezone.now() - dt.timedelta(hours=2)
    assert starts(within_the_hour - dt.timedelta(hours=1)).timestamp() <= asked_at + 1
    assert not CaseReport.objects.filter(upstream_id=entry.submission_id).exists(), "it is read for its outcome alone"
    assert SeenSubmission.objects.exclude(outcome="").filter(submission_id=entry.submission_id).exists()
