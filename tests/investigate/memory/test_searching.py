"""The search of the own memory: finds what is there, tells what is not, asks nobody."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.enums import DeliveryStatus, Disposition
from dashboard.upstream.connection import get_client
from investigate.desk import cases
from investigate.memory import searching
from investigate.memory.remembering import remember
from investigate.memory.searching import Filters, Place
from investigate.models import CaseSource, OwnVerdict, QueueMark
from tests.investigate.memory.conftest import Seen

URL = "/investigate/memory/"


def found(member: Member, **filters: Any) -> list[str]:
    return [row.seen.investigate_id for row in searching.search(member, Filters(**filters)).rows]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["new", "mixed", "old"]),
        ({"words": "INVOICE"}, ["old"]),
        ({"words": "shop old-boss"}, ["old"]),
        ({"words": "pia@other"}, ["mixed"]),
        ({"sender": "sender@shop.example"}, ["new", "mixed"]),
        ({"domain": "bank.example"}, ["old"]),
        ({"recipient": "pia@other.example"}, ["mixed"]),
        ({"recipient": "other.example"}, ["mixed"]),
        ({"fingerprint": "edf-1"}, ["new"]),
        ({"fingerprint": "html-1"}, ["mixed"]),
        ({"disposition": "NONE"}, ["mixed"]),
        ({"verdict": OwnVerdict.GRAYMAIL}, []),
        ({"words": "100%"}, []),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, (dict, list)) else None,
)
def test_every_filter_finds_what_it_says(filters: dict[str, Any], names: list[str], seen: Seen, ana: Member) -> None:
    seen("old", ago=600, subject="Invoice from the shop", from_="Old-Boss@Bank.example")
    seen(
        "mixed",
        ago=90,
        to=("eva@corp.example", "Pia@Other.example"),
        final_disposition=None,
        htmltext_structure_hash="html-1",
    )
    seen("new", ago=10, edf_hash="edf-1", final_disposition=Disposition.MALICIOUS)

    assert found(ana, **filters) == names


def test_a_range_holds_what_was_scanned_within_it(seen: Seen, ana: Member) -> None:
    seen("old", ago=600)
    seen("new", ago=10)
    middle = timezone.now() - dt.timedelta(hours=2)

    assert found(ana, start=middle) == ["new"]
    assert found(ana, end=middle) == ["old"]


def test_our_verdict_finds_what_was_judged(seen: Seen, ana: Member, emailsec: Any) -> None:
    name = emailsec.store.records[0].id
    message = get_client().message(name)
    remember([message])
    seen("other")
    case = cases.ensure(message, CaseSource.DETECTION)
    cases.set_verdict(actor=ana, case=case, verdict=OwnVerdict.GRAYMAIL, request=None)

    page = searching.search(ana, Filters(verdict=OwnVerdict.GRAYMAIL))

    assert [row.seen.investigate_id for row in page.rows] == [name]
    assert page.rows[0].history.verdict_words == "graymail"


def test_pages_follow_each_other_without_gap_or_repeat(
    seen: Seen, ana: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "PER_PAGE", 3)
    at = timezone.now() - dt.timedelta(hours=1)
    for number in range(8):  # all of one moment: only their number tells them apart
        seen(f"m{number}", scanned_at=at)

    names, after = [], None
    for _ in range(3):
        page = searching.search(ana, Filters(), after=after)
        names += [row.seen.investigate_id for row in page.rows]
        after = Place.read(page.older)

    assert page.older == ""
    assert sorted(names) == [f"m{number}" for number in range(8)]


def test_a_look_ends_and_goes_on_where_it_ended(
    seen: Seen, analyst: Client, ana: Member, soup: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LOOKED_THROUGH", 3)
    for number in range(7):
        seen(f"m{number}", ago=100 - number, subject="The one" if number == 0 else "Others")

    page = soup(analyst.get(URL, {"words": "one"}))
    assert "Nothing was found so far" in page.select_one(".empty").text
    looks = 0
    while not page.select(".seen tbody tr"):
        page = soup(analyst.get(URL + page.find("a", string="Look further back")["href"]))
        looks += 1

    assert looks == 2
    assert "The one" in page.select_one(".seen .c-subject").text


def test_a_page_makes_no_call_and_as_many_queries_for_a_hundred_rows_as_for_one(
    seen: Seen, analyst: Client, emailsec: Any
) -> None:
    seen("m0")
    with CaptureQueriesContext(connection) as one:
        analyst.get(URL)
    for number in range(1, 40):
        seen(f"m{number}")
    with CaptureQueriesContext(connection) as many:
        analyst.get(URL)

    assert len(many) == len(one)
    assert emailsec.calls == []


def test_each_row_says_where_it_is_and_leads_to_the_message(seen: Seen, analyst: Client, soup: Any) -> None:
    seen("held", delivery_status=(DeliveryStatus.QUARANTINED,), is_quarantined=True, subject="<b>win</b>\u202e")

    page = soup(analyst.get(URL))

    row = page.select_one(".seen tbody tr")
    assert row.select_one(".c-where").text.strip() == "Quarantine"
    assert row.select_one("a")["href"] == reverse("investigate:message", args=["held"])
    assert "<b>win</b>" in row.select_one(".c-subject").text
    assert "\u202e" not in row.text


@pytest.mark.parametrize("state", ["filling", "empty", "nothing", "trouble", "wrong"])
def test_a_page_without_rows_says_why(state: str, analyst: Client, soup: Any) -> None:
    now = timezone.now()
    if state != "filling":
        QueueMark.objects.create(
            account_id=configured.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.DETECTION, read_until=now,
            covered_until=now, complete_since=now - dt.timedelta(days=3),
            explanation="the token may not do this" if state == "trouble" else "",
        )  # fmt: skip
    query = {"nothing": "?words=x", "wrong": "?start=never"}.get(state, "")
    answer = analyst.get(URL + query)
    text = soup(answer).select_one("main").text

    assert answer.status_code == (422 if state == "wrong" else 200)
    assert {
        "filling": "being filled for the first time",
        "empty": "has not seen any mail yet",
        "nothing": "Nothing that the desk remembers fits this",
        "trouble": "could not be read since",
        "wrong": "Write a time such as",
    }[state] in text
    if state == "empty":
        assert "Nothing is missing since" in text


def test_the_first_hundred_are_said_to_be_the_first(
    seen: Seen, analyst: Client, soup: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "PER_PAGE", 2)
    for number in range(3):
        seen(f"m{number}")

    page = soup(analyst.get(URL))

    assert "The first 2 are shown; there are more below." in page.text


def test_somebody_limited_finds_their_own_copies_alone(seen: Seen, ana: Member) -> None:
    seen("inside")
    seen("outside", to=("pia@other.example",))
    seen("both", to=("eva@corp.example", "secret@other.example"),
         delivery_status=(DeliveryStatus.QUARANTINED, DeliveryStatus.DELIVERED))  # fmt: skip
    ana.domains = ["corp.example"]
    ana.save(update_fields=["domains"])
    limited = Member.objects.get(pk=ana.pk)

    assert set(found(limited)) == {"inside", "both"}
    assert found(limited, recipient="secret@other.example") == []
    assert found(limited, recipient="other.example") == []
    assert found(limited, words="secret") == []
    [both] = [row for row in searching.search(limited, Filters()).rows if row.seen.investigate_id == "both"]
    assert both.seen.recipients == ["eva@corp.example"]
    assert both.where.word == "quarantined", "the copy elsewhere was delivered, and that is nobody's business here"


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "9" * 30 + "-1", "1-" + "9" * 25, "\u0661-\u0661"])
def test_a_place_that_says_nothing_is_the_beginning(text: str, seen: Seen, analyst: Client) -> None:
    seen("m0")

    assert Place.read(text) is None
    assert b"About m0" in analyst.get(URL, {"after": text}).content
