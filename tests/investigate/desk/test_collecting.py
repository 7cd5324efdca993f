"""What comes onto the desk by itself: everything wanted, each once, whatever goes wrong on the way."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from structlog.testing import capture_logs

from dashboard.access.models import Member
from dashboard.upstream.connection import get_client
from investigate.desk import cases, collecting, forgetting, mail, reported, rounds
from investigate.models import Case, CaseReport, CaseSource, CaseState, OwnVerdict, QueueMark

WANTED = ("MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS", "SPOOF")


@pytest.fixture(autouse=True)
def _far_back(settings: Any) -> None:
    settings.QUEUE_DAYS = 30


def wanted_ids(emailsec: Any) -> set[str]:
    return {record.id for record in emailsec.store.records if record.final_disposition in WANTED}


@pytest.fixture
def reports(emailsec: Any) -> dict[str, Any]:
    """User reports nobody has reviewed, by id: three of ordinary mail, one of a copy that only reporting made known."""
    for entry in emailsec.submissions.submissions.values():
        entry.reviewed = True
    (copy,) = emailsec.store.reported[:1] or [None]
    records = [*emailsec.store.records[-3:], *([copy] if copy else [])]
    entries = [
        emailsec.submissions._add(record, time.time() - 900, record.client_recipients[0], "MALICIOUS", by_team=False)
        for record in records
    ]
    return {entry.submission_id: entry for entry in entries}


def read(source: CaseSource, *, rounds: int = 40) -> QueueMark:
    """Rounds until the source was read to its end; a minute passes before each."""
    began = timezone.now()
    for _ in range(rounds):
        a_minute_passes()
        collecting.collect(source)
        mark = QueueMark.objects.get(source=source)
        if not mark.reading and not mark.older and mark.read_until >= began - dt.timedelta(minutes=5):
            return mark
    raise AssertionError("the reading did not come to its end")


def a_minute_passes() -> None:
    QueueMark.objects.filter(tried_at__isnull=False).update(tried_at=timezone.now() - dt.timedelta(seconds=61))


def calls(emailsec: Any) -> list[str]:
    return [call.operation for call in emailsec.calls]


def test_every_wanted_detection_comes_onto_the_desk_with_one_call(emailsec: Any) -> None:
    mark = read(CaseSource.DETECTION)

    assert set(Case.objects.values_list("investigate_id", flat=True)) == wanted_ids(emailsec)
    assert set(Case.objects.values_list("source", "state")) == {("detection", "new")}
    assert calls(emailsec) == ["search"]
    assert timezone.now() - mark.read_until < dt.timedelta(minutes=1)


def test_the_first_reading_goes_back_as_far_as_is_set(emailsec: Any, settings: Any) -> None:
    settings.QUEUE_DAYS = 15
    read(CaseSource.DETECTION)

    oldest = Case.objects.order_by("scanned_at")[0].scanned_at
    assert oldest is not None
    assert oldest > timezone.now() - dt.timedelta(days=15, minutes=16)


def test_nothing_the_first_reading_finds_is_overdue_already(emailsec: Any, reports: dict[str, Any]) -> None:
    read(CaseSource.DETECTION)
    read(CaseSource.SUBMISSION)

    assert Case.objects.filter(scanned_at__lt=timezone.now() - dt.timedelta(days=2)).exists()
    assert not [case.key for case in Case.objects.all() if cases.is_overdue(case)]
    alike = Case.objects.filter(source=CaseSource.DETECTION, disposition="SUSPICIOUS")
    assert list(alike.order_by("due_at")) == list(alike.order_by("scanned_at", "due_at")), "older ones come first"


def test_reading_again_finds_what_is_new_and_doubles_nothing(emailsec: Any) -> None:
    read(CaseSource.DETECTION)
    emailsec.arrive(20)

    read(CaseSource.DETECTION)

    assert set(Case.objects.values_list("investigate_id", flat=True)) == wanted_ids(emailsec)


@pytest.mark.matrix(72)
def test_what_was_worked_on_stays_as_it_is_when_it_is_read_again(emailsec: Any, ana: Member) -> None:
    read(CaseSource.DETECTION)
    newest = Case.objects.order_by("-scanned_at")[0]
    cases.set_verdict(actor=ana, case=newest, verdict=OwnVerdict.GRAYMAIL, request=None)
    cases.finish(actor=ana, case=newest, request=None)
    QueueMark.objects.update(read_until=timezone.now() - dt.timedelta(days=30))

    read(CaseSource.DETECTION)

    newest.refresh_from_db()
    assert (newest.state, newest.verdict) == (CaseState.DONE, OwnVerdict.GRAYMAIL)


def test_many_pages_are_read_over_several_rounds(emailsec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "PER_PAGE", 10)
    monkeypatch.setattr(mail, "PAGES_A_ROUND", 2)

    collecting.collect(CaseSource.DETECTION)
    assert len(emailsec.calls) == 2
    assert 0 < Case.objects.count() < len(wanted_ids(emailsec))

    read(CaseSource.DETECTION)
    assert set(Case.objects.values_list("investigate_id", flat=True)) == wanted_ids(emailsec)


@pytest.mark.matrix(72)
def test_a_reading_that_fails_in_the_middle_goes_on_from_there(emailsec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "PER_PAGE", 10)
    monkeypatch.setattr(mail, "PAGES_A_ROUND", 2)
    collecting.collect(CaseSource.DETECTION)
    before = QueueMark.objects.get()
    emailsec.faults.next("search", status=403)

    a_minute_passes()
    collecting.collect(CaseSource.DETECTION)

    failed = QueueMark.objects.get()
    assert "token may not do this" in failed.explanation
    assert before.older
    assert (failed.older, failed.read_until) == (before.older, before.read_until)
    assert [told for told, _ in collecting.troubles()] == ["Detections"]

    read(CaseSource.DETECTION)
    assert set(Case.objects.values_list("investigate_id", flat=True)) == wanted_ids(emailsec)
    assert collecting.troubles() == []


@pytest.mark.matrix(72)
def test_what_a_refused_cursor_leaves_unread_is_read_in_halves(emailsec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "PER_PAGE", 10)
    monkeypatch.setattr(mail, "PAGES_A_ROUND", 2)
    collecting.collect(CaseSource.DETECTION)
    emailsec.faults.next("search", status=400)

    a_minute_passes()
    collecting.collect(CaseSource.DETECTION)
    assert [kept["cursor"] for kept in QueueMark.objects.get().older] == ["", ""]

    read(CaseSource.DETECTION)
    assert set(Case.objects.values_list("investigate_id", flat=True)) == wanted_ids(emailsec)


@pytest.mark.matrix(72)
def test_a_slow_search_is_not_an_empty_one(emailsec: Any) -> None:
    emailsec.faults.endless_search = True
    collecting.collect(CaseSource.DETECTION)
    mark = QueueMark.objects.get()
    assert [bool(kept["location"]) for kept in mark.older] == [True]
    assert not Case.objects.exists()

    emailsec.faults.endless_search = False
    emailsec.clock = lambda: time.time() + 120
    read(CaseSource.DETECTION)
    assert set(Case.objects.values_list("investigate_id", flat=True)) == wanted_ids(emailsec)


@pytest.mark.matrix(20)
def test_a_minute_holds_one_round_however_often_it_is_rung(emailsec: Any) -> None:
    for _ in range(3):
        collecting.collect(CaseSource.DETECTION)

    assert len(emailsec.calls) == 1


@pytest.mark.matrix(16)
def test_a_round_whose_worker_died_is_taken_over_later_and_not_before(emailsec: Any) -> None:
    claimed = rounds.claim(CaseSource.DETECTION)
    assert claimed is not None
    a_minute_passes()
    collecting.collect(CaseSource.DETECTION)
    assert not emailsec.calls

    QueueMark.objects.update(claimed_at=timezone.now() - rounds.CLAIM - dt.timedelta(minutes=1))
    read(CaseSource.DETECTION)
    assert Case.objects.count() == len(wanted_ids(emailsec))


@pytest.mark.matrix(18)
def test_a_round_that_was_overtaken_does_not_move_the_mark(emailsec: Any) -> None:
    slept = rounds.claim(CaseSource.DETECTION)
    assert slept is not None
    QueueMark.objects.update(claimed_at=timezone.now())
    before = QueueMark.objects.get().read_until

    rounds.update(slept, read_until=timezone.now())

    assert QueueMark.objects.get().read_until == before


@pytest.mark.matrix(41)
def test_the_queue_leaves_the_budget_to_people(emailsec: Any, settings: Any) -> None:
    from dashboard.emailsec.transport import Priority
    from dashboard.upstream.connection import shared_meter

    for _ in range(int(shared_meter().limit * 0.8)):
        shared_meter().reserve(Priority.ACTION)

    collecting.collect(CaseSource.DETECTION)

    assert not emailsec.calls
    assert "call budget" in QueueMark.objects.get().explanation


def test_what_users_reported_is_linked_to_its_message(reports: dict[str, Any]) -> None:
    read(CaseSource.SUBMISSION)

    found = {report.upstream_id: report.case.investigate_id for report in CaseReport.objects.select_related("case")}
    assert found == {name: entry.record.id for name, entry in reports.items()}
    assert set(Case.objects.values_list("source", flat=True)) == {"submission"}


def test_what_phishguard_reported_joins_the_detection(emailsec: Any) -> None:
    written_up = next(record for record in emailsec.store.records if record.final_disposition == "MALICIOUS")
    written_up.edf_hash = "notable-2"  # the simulator writes up a third of the campaigns, by their fingerprint
    read(CaseSource.DETECTION)
    before = Case.objects.count()

    read(CaseSource.PHISHGUARD)

    reports = CaseReport.objects.filter(source=CaseSource.PHISHGUARD)
    assert reports.exists()
    assert Case.objects.count() == before
    assert all(report.case.source == CaseSource.DETECTION for report in reports.select_related("case"))


def test_a_report_whose_message_cannot_be_found_stands_alone(emailsec: Any, reports: dict[str, Any]) -> None:
    entry = next(iter(reports.values()))
    del emailsec.store._by_key[entry.record.postfix_id]
    entry.record = dataclasses.replace(entry.record, postfix_id="gone", subject="Not to be found", edf_hash="gone")

    read(CaseSource.SUBMISSION)

    case = CaseReport.objects.get(upstream_id=entry.submission_id).case
    assert (case.key, case.investigate_id) == (f"submission:{entry.submission_id}", "")
    assert case.subject == entry.record.subject
    assert case.domains == f" {entry.requested_by.rpartition('@')[2]} "


def test_a_report_whose_message_is_searched_slowly_holds_up_no_other(emailsec: Any, reports: dict[str, Any]) -> None:
    day = time.time() - 86_400
    records = emailsec.store.records
    twins = Counter(record.subject for record in records)  # it is searched for by what it says, so it must say it alone
    record = next(r for r in reversed(records) if r.scanned_at < day and twins[r.subject] == 1)
    slow = emailsec.submissions._add(record, time.time() - 60, record.client_recipients[0], "SPAM", by_team=False)
    del emailsec.store._by_key[record.postfix_id]  # the look-up by this id finds nothing, so it is searched for
    emailsec.faults.endless_search = True

    collecting.collect(CaseSource.SUBMISSION)
    taken = set(CaseReport.objects.values_list("upstream_id", flat=True))
    assert taken == set(reports)

    emailsec.faults.endless_search = False
    read(CaseSource.SUBMISSION)
    assert CaseReport.objects.get(upstream_id=slow.submission_id).case.investigate_id == record.id


@pytest.mark.matrix(72)
def test_a_report_that_cannot_be_taken_in_is_logged_by_its_id_and_holds_up_no_other(
    emailsec: Any, reports: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *others = sorted(reports, key=lambda name: reports[name].requested_at)
    shown = emailsec.submissions.shown
    del emailsec.store._by_key[reports[bad].record.postfix_id]  # so that it is searched for, days before year one
    monkeypatch.setattr(
        emailsec.submissions,
        "shown",
        lambda entry, now: (
            shown(entry, now) | ({"requested_at": "0001-01-01T00:00:00Z"} if entry.submission_id == bad else {})
        ),
    )

    with capture_logs() as logged:
        mark = read(CaseSource.SUBMISSION)

    assert set(CaseReport.objects.values_list("upstream_id", flat=True)) == set(others)
    assert mark.explanation == ""
    told = [line for line in logged if line["event"] == "report_not_taken_in"]
    assert told == [{"event": "report_not_taken_in", "log_level": "error", "id": bad, "error": "OverflowError"}]


@pytest.mark.matrix(72)
@pytest.mark.parametrize("status", [400, 500])
def test_a_message_that_cannot_be_looked_for_leaves_its_report_alone_on_the_desk(
    status: int, emailsec: Any, reports: dict[str, Any]
) -> None:
    bad = min(reports, key=lambda name: reports[name].requested_at)
    del emailsec.store._by_key[reports[bad].record.postfix_id]
    emailsec.faults.next("message" if status == 500 else "search", status=status, times=20 if status == 500 else 1)

    read(CaseSource.SUBMISSION)

    assert set(CaseReport.objects.values_list("upstream_id", flat=True)) == set(reports)


def test_a_claim_outlasts_the_slowest_round() -> None:
    last_call = dt.timedelta(seconds=reported.CALL_SECONDS)

    assert rounds.ROUND + 6 * last_call < rounds.CLAIM


def test_reading_reports_again_asks_for_no_message_twice(emailsec: Any, reports: dict[str, Any]) -> None:
    read(CaseSource.SUBMISSION)
    before = len(emailsec.calls)

    QueueMark.objects.update(read_until=timezone.now() - dt.timedelta(days=30))
    read(CaseSource.SUBMISSION)

    assert set(calls(emailsec)[before:]) == {"submissions"}
    assert CaseReport.objects.count() == len(reports)


def test_looking_for_messages_is_bounded_in_a_round(
    emailsec: Any, reports: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "LOOKUPS_A_ROUND", 3)

    collecting.collect(CaseSource.SUBMISSION)
    assert calls(emailsec) == ["submissions", "message", "message", "message"]
    assert 0 < CaseReport.objects.count() < len(reports)

    read(CaseSource.SUBMISSION)
    assert CaseReport.objects.count() == len(reports)


def test_a_report_of_what_was_done_opens_it_again(reports: dict[str, Any], ana: Member) -> None:
    message = get_client().message(next(iter(reports.values())).record.id)
    case = cases.ensure(message)
    cases.set_verdict(actor=ana, case=case, verdict=OwnVerdict.FALSE_POSITIVE, request=None)
    done = cases.finish(actor=ana, case=case, request=None)

    read(CaseSource.SUBMISSION)

    done.refresh_from_db()
    assert (done.state, done.done_at, done.verdict) == (CaseState.NEW, None, OwnVerdict.FALSE_POSITIVE)


@pytest.mark.parametrize("keeps", ["nothing", "verdict", "note", "open", "recent"])
def test_old_cases_that_hold_nothing_are_forgotten(keeps: str, ana: Member, case: Case, write: Any) -> None:
    if keeps == "verdict":
        cases.set_verdict(actor=ana, case=case, verdict=OwnVerdict.UNSURE, request=None)
    cases.finish(actor=ana, case=case, request=None)
    if keeps == "note":
        write(ana, case, "the user called")
    age = dt.timedelta(days=89 if keeps == "recent" else 91)
    Case.objects.update(done_at=timezone.now() - age, created_at=timezone.now() - age)
    if keeps == "open":
        Case.objects.update(state=CaseState.WAITING, done_at=None)

    forgetting.forget_old()

    assert Case.objects.exists() == (keeps != "nothing")


def test_many_old_cases_are_forgotten_in_pieces(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 10)
    Case.objects.update(state=CaseState.DONE, done_at=timezone.now() - dt.timedelta(days=91))
    old = Case.objects.get()
    for number in range(24):
        old.pk, old.key = None, f"old-{number}"
        old.save()

    with CaptureQueriesContext(connection) as asked:
        forgetting.forget_old()

    deletes = [query["sql"] for query in asked if query["sql"].startswith('DELETE FROM "investigate_case"')]
    assert len(deletes) == 3
    assert not Case.objects.exists()
