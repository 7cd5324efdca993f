"""What colleagues do reaches an open page: one small question, an answer only where there is news, nothing foreign."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from investigate.desk import cases, changes, presence
from investigate.desk.changes import note_change
from investigate.models import ActionItem, Case, DeskChange, OwnVerdict, Presence
from investigate.tasks import forget_cases
from tests.conftest import HTMX

URL = reverse("investigate:live")
CELLS = reverse("investigate:live_cells")


def settled() -> None:
    """Changes are some time old: nothing is told twice any more."""
    DeskChange.objects.update(at=timezone.now() - dt.timedelta(minutes=1))


def ask(client: Client, **values: Any) -> Any:
    return client.get(URL, values, headers=HTMX)


def test_a_page_with_no_news_gets_nothing_in_a_handful_of_queries_however_much_happened_before(
    analyst: Client, db: None
) -> None:
    for number in range(50):
        note_change([f"message-{number}-{row}" for row in range(100)])
    settled()
    latest = changes.latest()

    with CaptureQueriesContext(
        connection,
    ) as asked:
        answer = ask(analyst, since=latest)

    assert answer.status_code == 204
    desk = [query["sql"] for query in asked if "investigate_" in query["sql"]]
    assert len(desk) <= 3, desk


def test_a_change_is_named_once_and_the_next_question_starts_after_it(analyst: Client, case: Case) -> None:
    before = changes.latest()
    note_change([case.investigate_id, "another"])
    settled()

    news = BeautifulSoup(ask(analyst, since=before).content, "html.parser").select_one("#live")

    assert news is not None
    assert news["data-changed"].split("\n") == [case.investigate_id, "another"]
    assert ask(analyst, since=news["hx-get"].partition("since=")[2]).status_code == 204


@pytest.mark.matrix(71)
def test_a_change_that_was_numbered_earlier_and_committed_later_is_told_all_the_same(
    analyst: Client, case: Case
) -> None:
    note_change([case.investigate_id])

    answer = ask(analyst, since=changes.latest() + 1)

    assert case.investigate_id in answer.content.decode()


@pytest.mark.matrix(64)
def test_a_page_that_was_away_for_long_looks_at_all_it_shows(analyst: Client, db: None) -> None:
    note_change(["first"])
    first = changes.latest()
    note_change(["second"])
    note_change(["third"])
    settled()
    DeskChange.objects.filter(investigate_ids=["second"]).delete()
    DeskChange.objects.filter(pk=first).delete()

    news = BeautifulSoup(ask(analyst, since=first).content, "html.parser").select_one("#live")

    assert news is not None
    assert news["data-changed"] == "*"


@pytest.mark.matrix(64)
def test_more_changes_than_one_answer_looks_at_are_told_as_everything_and_never_dropped(
    analyst: Client, db: None
) -> None:
    note_change(["before"])
    before = changes.latest()
    for number in range(changes.MOST_READ + 1):
        note_change([f"message-{number}"])
    settled()

    news = BeautifulSoup(ask(analyst, since=before).content, "html.parser").select_one("#live")
    one_later = BeautifulSoup(ask(analyst, since=before + 1).content, "html.parser").select_one("#live")

    assert news is not None
    assert news["data-changed"] == "*"
    assert one_later is not None
    assert len(one_later["data-changed"].split("\n")) == changes.MOST_READ
    assert ask(analyst, since=changes.latest()).status_code == 204


def test_the_hourly_task_forgets_old_changes_and_a_page_that_missed_them_looks_at_all(
    analyst: Client, db: None
) -> None:
    note_change(["first"])
    first = changes.latest()
    note_change(["second"])
    note_change(["third"])
    DeskChange.objects.update(at=timezone.now() - changes.KEPT - dt.timedelta(minutes=1))

    forget_cases()

    assert [change.investigate_ids for change in DeskChange.objects.all()] == [["third"]]
    assert 'data-changed="*"' in ask(analyst, since=first).content.decode()
    assert ask(analyst, since=changes.latest()).status_code == 204


def test_the_cell_of_a_row_says_who_has_it_what_we_say_and_how_many_notes(
    analyst: Client, ben: Member, case: Case, write: Callable[..., Any]
) -> None:
    cases.take(actor=ben, case=case, request=None)
    cases.set_verdict(actor=ben, case=case, verdict=OwnVerdict.FALSE_POSITIVE, request=None)
    write(ben, case, "Asked the supplier.")

    page = BeautifulSoup(analyst.get(CELLS, {"id": [case.investigate_id]}, headers=HTMX).content, "html.parser")

    row = page.select_one(f"[data-row='{case.investigate_id}']")
    assert row is not None
    assert row.select_one(".holder").get_text(" ", strip=True) == "B Ben has this."
    assert row.select_one(".ours").text == "false positive"
    assert "1 note" in row.text


def test_the_list_shows_the_same_as_the_live_update(analyst: Client, ben: Member, case: Case) -> None:
    cases.take(actor=ben, case=case, request=None)

    listed = BeautifulSoup(
        analyst.get(reverse("investigate:search"), {"last": "30d", "disposition": "SUSPICIOUS"}).content, "html.parser"
    )
    update = BeautifulSoup(analyst.get(CELLS, {"id": [case.investigate_id]}, headers=HTMX).content, "html.parser")

    row = listed.select_one(f"tr[data-id='{case.investigate_id}'] .c-us")
    assert row is not None
    assert row.decode_contents().strip() == update.select_one("[data-row]").decode_contents().strip()


def test_who_else_looks_is_told_while_they_look(analyst: Client, ana: Member, ben: Member, case: Case) -> None:
    presence.looks_at(ben, case.investigate_id)
    settled()

    news = ask(analyst, since=changes.latest(), open=case.investigate_id)
    again = ask(analyst, since=changes.latest(), open=case.investigate_id, here="Ben is looking, too.")
    Presence.objects.filter(member=ben).update(seen_at=timezone.now() - dt.timedelta(seconds=21))
    gone = ask(analyst, since=changes.latest(), open=case.investigate_id, here="Ben is looking, too.")

    assert "Ben is looking, too." in news.content.decode()
    assert again.status_code == 204, "the page says so already"
    assert "Ben" not in gone.content.decode()
    assert Presence.objects.get(member=ana).investigate_id == case.investigate_id


@pytest.mark.parametrize("no_id", ["", "x" * 256, "a\0b", "a\nb", "..", "a/b"])
def test_what_cannot_be_an_id_is_no_open_message(no_id: str, analyst: Client, ana: Member, case: Case) -> None:
    answer = ask(analyst, since=changes.latest(), open=no_id)
    cells = analyst.get(CELLS, {"id": [no_id, case.investigate_id], "open": no_id}, headers=HTMX)

    assert answer.status_code == 204
    assert not Presence.objects.exists()
    assert [row["data-row"] for row in BeautifulSoup(cells.content, "html.parser").select("[data-row]")] == [
        case.investigate_id
    ]


def test_a_second_window_neither_clears_nor_flips_what_the_first_one_says(
    analyst: Client, ana: Member, case: Case, report: Case
) -> None:
    cases.take(actor=ana, case=report, request=None)
    Case.objects.update(holder_seen_at=timezone.now() - dt.timedelta(minutes=10))
    presence.looks_at(ana, case.key)

    ask(analyst, since=0)
    ask(analyst, since=0, open=report.key)
    assert Presence.objects.get().investigate_id == case.key
    assert cases.held_now(Case.objects.get(pk=report.pk), now=timezone.now() + dt.timedelta(minutes=10))

    presence.looks_at(ana, report.key)
    assert Presence.objects.get().investigate_id == report.key, "what somebody opens counts at once"

    Presence.objects.update(seen_at=timezone.now() - presence.SAID_EVERY)
    ask(analyst, since=0, open=case.key)
    assert Presence.objects.get().investigate_id == case.key


def test_looking_keeps_ones_own_claim_and_nobody_elses(analyst: Client, ana: Member, ben: Member, case: Case) -> None:
    cases.take(actor=ana, case=case, request=None)
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    Case.objects.update(holder_seen_at=long_ago)

    presence.looks_at(ben, case.investigate_id)
    assert Case.objects.get().holder_seen_at == long_ago
    ask(analyst, since=0, open=case.investigate_id)
    assert Case.objects.get().holder_seen_at > long_ago


@pytest.fixture
def limited(ana: Member) -> Member:
    ana.domains = ["elsewhere.example"]
    ana.save(update_fields=["domains"])
    return ana


def test_a_limited_member_hears_nothing_of_foreign_messages(
    analyst: Client, limited: Member, ben: Member, case: Case
) -> None:
    cases.take(actor=ben, case=case, request=None)
    presence.looks_at(ben, case.investigate_id)

    assert ask(analyst, since=0).status_code == 204
    assert ask(analyst, since=0, open=case.investigate_id).status_code == 204
    cells = analyst.get(CELLS, {"id": [case.investigate_id]}, headers=HTMX)
    unknown = analyst.get(CELLS, {"id": ["unknown"]}, headers=HTMX)
    assert cells.content == unknown.content
    assert not Presence.objects.filter(member=limited).exclude(investigate_id="").exists()


def test_a_limited_member_hears_of_what_is_theirs(analyst: Client, limited: Member, case: Case) -> None:
    Case.objects.update(domains=" elsewhere.example ")
    note_change([case.investigate_id])

    assert case.investigate_id in ask(analyst, since=0).content.decode()
    assert not ActionItem.objects.exists()


def test_a_report_without_a_message_is_told_and_shown_and_held_like_any_other(
    analyst: Client, ana: Member, ben: Member, report: Case
) -> None:
    before = changes.latest()
    cases.take(actor=ben, case=report, request=None)
    assert DeskChange.objects.get().investigate_ids == [report.key]
    Case.objects.update(holder_seen_at=timezone.now() - dt.timedelta(minutes=10))
    presence.looks_at(ben, report.key)

    news = ask(analyst, since=before, open=report.key).content.decode()
    cells = analyst.get(CELLS, {"id": [report.key], "open": report.key}, headers=HTMX).content.decode()
    listed = analyst.get(reverse("investigate:queue"), {"list": "all"}).content.decode()
    page = analyst.get(reverse("investigate:queue_case", args=[report.pk])).content.decode()

    assert report.key in news
    assert "Ben is looking, too." in news
    assert "Ben has this." in cells
    assert reverse("investigate:case", args=[report.key]) in cells
    assert reverse("investigate:foot", args=[report.key]) not in cells, "there is no message to act on"
    assert "Ben has this." in listed
    assert 'id="live"' in page
    assert "Ben is looking, too." in page
    seen_at = Case.objects.get().holder_seen_at
    assert seen_at is not None
    assert timezone.now() - seen_at < dt.timedelta(minutes=1)


def test_a_limited_member_hears_of_reports_inside_their_domains_alone(
    analyst: Client, limited: Member, ben: Member, report: Case
) -> None:
    cases.take(actor=ben, case=report, request=None)
    assert ask(analyst, since=0, open=report.key).status_code == 204

    Case.objects.update(domains=" elsewhere.example ")
    assert report.key in ask(analyst, since=0).content.decode()
