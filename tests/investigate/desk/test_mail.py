"""The account's mail, read once for the desk and the memory: all of it, never twice what people's searches brought."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.conf import settings as configured
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.transport import Priority
from dashboard.simulator import Simulator
from dashboard.upstream.connection import shared_meter
from dashboard.upstream.models import CallBudget
from investigate.desk import collecting, mail, reported
from investigate.memory import ingesting
from investigate.memory.searching import extent
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
from tests.simulated import serving, simulated_account

WANTED = ("MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS", "SPOOF")
ALL = Criteria(clean=True, last="1h")


@pytest.fixture(autouse=True)
def _far_back(settings: Any) -> None:
    settings.QUEUE_DAYS = 30
    settings.MEMORY_ALL_MAIL = True


@pytest.fixture
def emailsec(db: None, settings: Any) -> Iterator[Simulator]:
    """An account where no search is slow, and where nothing arrives by itself."""
    simulator = simulated_account(messages=300, seed=7,
        wide_search_days=60.0, arrival_interval=1e9,)  # fmt: skip
    with serving(simulator):
        yield simulator


@pytest.fixture
def arrive(emailsec: Any) -> Callable[..., set[str]]:
    """So many messages, the newest scanned so many seconds ago, each a second (or more) before the one after it."""

    def add(count: int, *, ago: float = 5.0, apart: float = 1.0) -> set[str]:
        names = set()
        for number in range(count):
            [record] = emailsec.population.arrive_now(1, time.time() - ago - number * apart)
            emailsec.add(record)
            names.add(record.id)
        return names

    return add


def read(*, rounds: int = 60) -> QueueMark:
    """Rounds of a minute each until the mail was read to its end."""
    for _ in range(rounds):
        a_round()
        mark = QueueMark.objects.get(source=CaseSource.DETECTION)
        if not mark.older and not mark.explanation:
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


# --- looked at again --------------------------------------------------------------------------------------------------


def hours_pass(hours: float) -> None:
    """The last look at what was read before was so long ago."""
    QueueMark.objects.filter(source=CaseSource.DETECTION).update(
        looked_again_at=timezone.now() - dt.timedelta(hours=hours)
    )


@pytest.mark.parametrize("all_mail", [False, True], ids=["detections alone", "all mail"])
def test_a_detection_that_is_listed_hours_later_comes_onto_the_desk(
    all_mail: bool, emailsec: Any, settings: Any
) -> None:
    settings.MEMORY_ALL_MAIL = all_mail
    read()
    clean = next(
        r for r in reversed(emailsec.store.records) if r.scanned_at < time.time() - 5 * 3600 and not r.alert_id
    )
    clean.final_disposition, clean.alert_id = "MALICIOUS", f"{clean.postfix_id}-later"

    minutes_pass(1)
    read()
    assert clean.id not in on_the_desk()

    hours_pass(6)
    minutes_pass(1)
    read()
    assert clean.id in on_the_desk()
    assert SeenMessage.objects.get(investigate_id=clean.id).disposition == "MALICIOUS"


def test_looking_again_costs_a_call_four_times_a_day_and_changes_nothing_else(emailsec: Any) -> None:
    read()
    before, extent_before = on_the_desk(), QueueMark.objects.get().complete_since
    hours_pass(6)
    made = searches(emailsec)

    a_round()
    a_round()

    assert searches(emailsec) - made == 2 + 1, "both rounds read the newest mail, and one looked at the others again"
    assert on_the_desk() == before
    assert (QueueMark.objects.get().complete_since, QueueMark.objects.get().again) == (extent_before, {})


def test_looking_again_waits_for_calls_and_goes_on_where_it_was(
    emailsec: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read()
    monkeypatch.setattr(mail, "PER_PAGE", 1)
    monkeypatch.setattr(mail, "PAGES_A_ROUND", 2)  # one for the newest mail, and one for the others
    hours_pass(6)

    a_round()
    begun = QueueMark.objects.get().again
    assert begun["cursor"]

    a_round()
    assert QueueMark.objects.get().again["cursor"] not in ("", begun["cursor"])
    for _ in range(20):
        a_round()
    assert QueueMark.objects.get().again == {}


# --- the newest first -------------------------------------------------------------------------------------------------


@pytest.fixture
def page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten, and two of them in a round."""
    monkeypatch.setattr(mail, "PER_PAGE", 10)
    monkeypatch.setattr(mail, "PAGES_A_ROUND", 2)


def a_round_a_minute_later() -> None:
    QueueMark.objects.update(read_until=timezone.now() - dt.timedelta(minutes=1))
    a_round()


@pytest.mark.parametrize("kind", ["first", "widened", "outage"])
@pytest.mark.usefixtures("page_by_page")
def test_new_detections_come_onto_the_desk_while_older_mail_is_read(kind: str, emailsec: Any, settings: Any) -> None:
    if kind == "widened":
        settings.MEMORY_ALL_MAIL, settings.MEMORY_FIRST_DAYS = False, 30
    if kind != "first":
        read()
    settings.MEMORY_ALL_MAIL = True
    if kind == "outage":
        minutes_pass(20 * 24 * 60)
        Case.objects.all().delete()
        SeenMessage.objects.all().delete()
    a_round()
    for _ in range(3):
        [record] = emailsec.population.arrive_now(1, time.time() - 1)
        record.final_disposition = "MALICIOUS"
        emailsec.add(record)

        a_round_a_minute_later()

        assert record.id in on_the_desk()
        assert QueueMark.objects.get().older, "there is older mail still to be read"

    read()
    since = time.time() - (20 if kind == "outage" else 30) * 86_400 + 60
    assert {r.id for r in emailsec.store.records if r.scanned_at > since} <= remembered()
    assert on_the_desk() <= everything(emailsec, *WANTED)


@pytest.mark.usefixtures("page_by_page")
def test_older_mail_leaves_calls_for_what_comes_in(
    emailsec: Any, settings: Any, arrive: Callable[..., set[str]]
) -> None:
    settings.COLLECTOR_SHARE = 1  # of 1,200 calls: twelve, and eight of them for older mail
    for _ in range(8):
        a_round()
    assert len(emailsec.calls) == 8
    assert QueueMark.objects.get().explanation == ""

    new = arrive(5)
    a_round_a_minute_later()

    assert new <= remembered()
    assert len(emailsec.calls) == 9


@pytest.mark.usefixtures("page_by_page")
def test_a_service_that_forgets_every_place_is_read_to_the_end(
    emailsec: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.QUEUE_DAYS, settings.MEMORY_FIRST_DAYS = 5, 5
    monkeypatch.setattr(mail, "PAGES_A_ROUND", 1)
    for _ in range(200):
        older = QueueMark.objects.values_list("older", flat=True).first() or []
        if older and older[-1]["cursor"]:
            emailsec.faults.next("search", status=400)
        a_round()
        mark = QueueMark.objects.get()
        if not mark.older and not mark.explanation:
            break
    else:
        raise AssertionError("it begins again for ever")

    since = time.time() - 5 * 86_400 + 60
    there = {r.id for r in emailsec.store.records if r.scanned_at > since}
    assert len(there) > 20
    assert there <= remembered()


@pytest.mark.usefixtures("page_by_page")
def test_the_memory_says_what_it_does_not_hold_yet(emailsec: Any, ana: Member) -> None:
    a_round()

    held = extent(ana)
    assert held.is_filling
    assert collecting.is_first_reading()
    assert held.complete_since is not None
    assert held.complete_since > timezone.now() - dt.timedelta(minutes=1)

    read()
    held = extent(ana)
    assert not held.is_filling
    assert not collecting.is_first_reading()
    assert held.complete_since is not None
    assert held.complete_since < timezone.now() - dt.timedelta(days=29)


@pytest.mark.usefixtures("page_by_page")
def test_clean_mail_is_not_read_any_more_once_it_shall_not_be_remembered(emailsec: Any, settings: Any) -> None:
    a_round()
    settings.MEMORY_ALL_MAIL = False
    before = len(emailsec.calls)

    read()

    assert {asked(call)["detections_only"] for call in emailsec.calls[before:]} == {"true"}
    assert on_the_desk() == everything(emailsec, *WANTED)


@pytest.mark.usefixtures("page_by_page")
def test_what_the_service_has_forgotten_is_asked_for_no_more(emailsec: Any) -> None:
    a_round()
    mark = QueueMark.objects.get()
    long_ago = timezone.now() - dt.timedelta(days=40)
    gone = mark.older[-1] | {
        "cursor": "",
        "start": long_ago.isoformat(),
        "end": (long_ago + dt.timedelta(days=1)).isoformat(),
    }
    QueueMark.objects.update(older=[gone], complete_since=long_ago)

    mark = read()

    assert mark.complete_since is not None
    assert mark.complete_since >= long_ago + dt.timedelta(days=1)


def test_a_reading_of_an_earlier_version_goes_on(emailsec: Any) -> None:
    now = timezone.now()
    start = now - dt.timedelta(days=30)
    QueueMark.objects.create(
        account_id=configured.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.DETECTION, read_until=start,
        reading={
            "start": start.isoformat(), "end": now.isoformat(), "cursor": "", "page": 1,
            "location": "", "since": "", "of_all_mail": True, "queue_from": start.isoformat(),
        },
    )  # fmt: skip

    mark = read()

    assert mark.reading == {}
    assert remembered() == everything(emailsec)


# --- its share of the calls -------------------------------------------------------------------------------------------


def test_all_sources_together_stay_within_the_share_of_the_calls(
    emailsec: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COLLECTOR_SHARE = 1  # of 1,200 calls: twelve
    monkeypatch.setattr(mail, "PER_PAGE", 30)
    monkeypatch.setattr(reported, "REPORTS_PER_PAGE", 1)
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
    came = arrive(200, apart=7 * 60)  # all through the day
    before = len(emailsec.calls)

    for five_minutes in range(1, 6):
        CallBudget.objects.update(calls={})
        a_round()
        assert len(emailsec.calls) <= before + 12 * five_minutes
        if not QueueMark.objects.get().older:
            break
    else:
        raise AssertionError("it was not caught up")

    assert came <= remembered()
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


def test_a_search_that_cannot_be_read_stops_no_reading(emailsec: Any, arrive: Callable[..., set[str]]) -> None:
    read()
    minutes_pass(2)
    new = arrive(20, ago=10)
    somebody_searches()
    SearchRun.objects.update(body=b"not compressed")

    a_round()

    assert new <= remembered()
    assert QueueMark.objects.get().claimed_at is None


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
