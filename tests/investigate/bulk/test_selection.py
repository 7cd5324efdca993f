"""Ticked rows, or everything a search finds, become a rehearsal: what is taken, what is refused, who may."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.features import SharedMissingFeatures
from investigate.bulk.forms import MOST_TICKED
from investigate.bulk.upstream.queries import FEATURE
from investigate.models import BulkJob, JobSource, JobState
from tests.conftest import HTMX

pytestmark = pytest.mark.django_db
URL = "/investigate/bulk/new"
SEARCH = "/investigate/"
EXACT = "disposition=SPAM&start=2026-11-01T00%3A00Z&end=2026-11-02T00%3A00Z"


def form(**values: Any) -> dict[str, Any]:
    return {"operation_key": uuid.uuid4().hex, "what": "move:JunkEmail", **values}


def job() -> BulkJob:
    return BulkJob.objects.select_related("input").get()


# --- ticked rows ---


def test_ticked_rows_become_a_job_that_is_being_collected(analyst: Client, ana: Member) -> None:
    answer = analyst.post(URL, form(message=["a-1", "b:2"], query=EXACT))

    begun = job()
    assert (answer.status_code, answer["Location"]) == (303, reverse("investigate:job", args=[begun.pk]))
    assert begun.state == JobState.COLLECTING
    assert (begun.actor, begun.source, begun.kind, begun.destination) == (ana, "selection", "move", "JunkEmail")
    assert begun.input.terms == [["investigate_id", "a-1"], ["investigate_id", "b:2"]]
    assert begun.query == EXACT
    assert AuditEvent.objects.filter(action="job:begin", actor_name="Ana").exists()


def test_htmx_is_led_to_the_job_too(analyst: Client) -> None:
    answer = analyst.post(URL, form(ids="a-1"), headers=HTMX)

    assert answer.status_code == 200
    assert answer["HX-Redirect"] == reverse("investigate:job", args=[job().pk])


def test_rows_in_one_field_and_rows_in_many_are_taken_once_each(analyst: Client) -> None:
    analyst.post(URL, form(message=["a", "b"], ids="b\r\nc d\n\na\n"))

    assert [text for _, text in job().input.terms] == ["a", "b", "c d"]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("move:Inbox", ("move", "Inbox", "")),
        ("release:", ("release", "", "")),
        ("reclassify:NONE", ("reclassify", "", "NONE")),
    ],
)
def test_the_action_is_the_one_on_the_button(analyst: Client, what: str, expected: tuple[str, str, str]) -> None:
    analyst.post(URL, form(message="a", what=what))

    begun = job()
    assert (begun.kind, begun.destination, begun.expected_disposition) == expected


def test_the_same_form_sent_twice_is_one_job_and_with_other_rows_a_conflict(analyst: Client) -> None:
    values = form(message="a")
    first, again = analyst.post(URL, values), analyst.post(URL, values)
    other = analyst.post(URL, values | {"message": "b"}, headers=HTMX)

    assert first["Location"] == again["Location"]
    assert other.status_code == 409
    assert other["HX-Retarget"] == "#notice"
    assert b"used already" in other.content
    assert job().input.terms == [["investigate_id", "a"]]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "Nothing is ticked."),
        ({"ids": "\n\n"}, "Nothing is ticked."),
        ({"message": "a/b"}, "is not a message"),
        ({"message": ".."}, "is not a message"),
        ({"message": "x" * 256}, "is not a message"),
        ({"message": "a\x00b"}, "reload the page"),
        ({"message": "a", "what": "move:Attic"}, "not one of the actions offered"),
        ({"message": "a", "what": ""}, "not one of the actions offered"),
        ({"message": "a", "what": "release:Inbox"}, "not one of the actions offered"),
        ({"message": "a", "what": "reclassify:MALICIOUS-BEC"}, "not one of the actions offered"),
        ({"message": "a", "source": "paste"}, "not one of ours"),
        ({"message": "a", "operation_key": "no key!"}, "not one of ours"),
        ({"message": "a", "operation_key": ""}, "not one of ours"),
        ({"ids": "\n".join(f"m{number}" for number in range(MOST_TICKED + 1))}, "5,001 are ticked; 5,000 is the most"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_what_cannot_be_begun_says_why(
    analyst: Client, soup: Callable[..., BeautifulSoup], values: dict[str, Any], told: str, headers: dict[str, str]
) -> None:
    answer = analyst.post(URL, form(**values), headers=headers)

    assert answer.status_code == 422
    assert told in soup(answer).get_text(" ", strip=True)
    assert answer.get("HX-Retarget") == ("#notice" if headers else None)
    assert not BulkJob.objects.exists()


# --- everything a search finds ---


def test_a_search_becomes_a_job_with_its_exact_range(analyst: Client) -> None:
    analyst.post(URL, form(source="search", query=EXACT, message="ticked-too"))

    begun = job()
    assert (begun.source, begun.query, begun.input.terms) == (JobSource.SEARCH, EXACT, [])


def test_a_relative_range_is_pinned_to_what_it_means_now(analyst: Client) -> None:
    analyst.post(URL, form(source="search", query="disposition=SPAM&last=7d"))

    query = parse_qs(job().query)
    assert set(query) == {"disposition", "start", "end"}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("disposition=SPAM&last=7d&colour=red", "Not a filter: colour=red"),
        ("disposition=GREEN&last=7d", "GREEN"),
        ("last=7d&sender=" + "&sender=".join(f"{number}.example" for number in range(13)), "searches side by side"),
        ("start=2026-11-02T00:00Z&end=2026-11-01T00:00Z", "ends before it starts"),
        ("", "Give a range, or a filter"),
        ("clean=1", "Give a range, or a filter"),
        ("end=2026-11-01T00:00Z", "Give a range, or a filter"),
        ("&".join(f"sender={number}.example" for number in range(300)), "reload the page"),
        ("sender=" + "a" * 8_000, "reload the page"),
    ],
)
def test_a_search_that_is_not_understood_whole_is_refused_and_never_widened(
    analyst: Client, soup: Callable[..., BeautifulSoup], query: str, told: str
) -> None:
    answer = analyst.post(URL, form(source="search", query=query))

    assert answer.status_code == 422
    assert told in soup(answer).get_text(" ", strip=True)
    assert not BulkJob.objects.exists()


def test_every_detection_of_a_range_is_taken_where_the_range_is_said(analyst: Client) -> None:
    answer = analyst.post(URL, form(source="search", query="last=24h"))

    assert answer.status_code == 303
    assert set(parse_qs(job().query)) == {"start", "end"}


# --- who may ---


def test_members_who_may_not_act_on_many_get_no_ticks_and_no_bar(
    viewer: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    page = soup(viewer.get(SEARCH, {"last": "30d"}))

    assert page.select_one("#rows tr[data-id]") is not None
    assert page.select(".c-tick, #selection, [src*='js/select'], [href*='css/selection']") == []
    assert {cell["colspan"] for cell in page.select("#rows [colspan]")} == {"8"}
    assert viewer.post(URL, form(message="a")).status_code == 403
    assert not BulkJob.objects.exists()


def test_a_row_somebody_else_saw_without_a_tick_has_one_for_who_may(
    viewer: Client, analyst: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    """Rows are remembered by the process; the memory must not mix up who sees them."""
    for client, has_ticks in ((viewer, False), (analyst, True), (viewer, False)):
        page = soup(client.get(SEARCH, {"last": "30d"}))
        rows = page.select("#rows tr[data-id]")
        assert rows
        assert all(bool(row.select(".c-tick")) == has_ticks for row in rows)


@pytest.mark.parametrize("what", ["move:RecoverableItemsDeletions", "move:RecoverableItemsPurges"])
def test_a_purge_is_begun_by_those_who_may(analyst: Client, responder: Client, what: str) -> None:
    assert analyst.post(URL, form(message="a", what=what)).status_code == 403
    assert not BulkJob.objects.exists()

    assert responder.post(URL, form(message="a", what=what)).status_code == 303


def test_buttons_are_those_of_the_role(
    analyst: Client, responder: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    for client, refused in ((analyst, {"Soft delete v 4", "Purge v 5"}), (responder, set())):
        bar = soup(client.get(SEARCH, {"last": "30d"})).select_one("#selection")
        assert bar is not None
        buttons = bar.select("button[name=what]")
        assert len(buttons) == 12  # five folders, release, six verdicts
        assert {" ".join(one.text.split()) for one in buttons if one.has_attr("disabled")} == refused
        assert all(Permission.MESSAGE_PURGE not in one.text for one in buttons)
        assert bool(bar.select("#whynot-many")) == bool(refused)


# --- what the list shows ---


def test_ticks_are_named_by_the_subject_and_belong_to_the_form(
    analyst: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    page = soup(analyst.get(SEARCH, {"last": "30d"}))

    for row in page.select("#rows tr[data-id]"):
        box = row.select_one(".c-tick input")
        assert box is not None
        assert (box["value"], box["form"], box["name"]) == (row["data-id"], "selection", "message")
        assert box["aria-label"] == row.select_one(".c-subject bdi").text.strip()
    columns = str(len(page.select("thead th")))
    assert {cell["colspan"] for cell in page.select("#rows [colspan]")} == {columns}


def test_the_bar_says_exactly_what_everything_takes(
    analyst: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    for query, told in (
        ({"disposition": "SPAM", "last": "30d"}, "what this search finds from"),
        ({"last": "30d"}, "every detection from"),
        ({"last": "7d", "clean": "1", "start": "2026-11-20T00:00Z"}, "all mail from"),
    ):
        page = soup(analyst.get(SEARCH, query))
        taken = page.select_one("#taken")
        assert taken is not None
        assert told in taken.text
        if page.select_one("#rows"):
            begun = parse_qs(page.select_one("#selection [name=query]")["value"])
            assert {"start", "end"} <= set(begun)
            assert "last" not in begun


def test_everything_can_be_left_to_cloudflare_by_who_may_use_it(
    analyst: Client, responder: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    link = f".selection a.all[href^='{reverse('investigate:new_upstream_job')}?']"
    address = f"{SEARCH}?disposition=SPAM&last=30d"

    found = soup(responder.get(address)).select_one(link)
    assert found
    page = soup(responder.get(str(found["href"]), follow=True))
    assert "is: spam" in page.select_one(".filterchips").text  # type: ignore[union-attr]
    assert not soup(analyst.get(address)).select(link)
    SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).remember(FEATURE)
    assert not soup(responder.get(address)).select(link)


def test_a_new_search_brings_a_new_bar(
    analyst: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    headers = {**HTMX, "HX-Target": "results"}
    first, second = (soup(analyst.get(SEARCH, {"last": last}, headers=headers)) for last in ("30d", "7d"))

    bars = [page.select_one("#selection[hx-swap-oob=true]") for page in (first, second)]
    keys = [bar.select_one("[name=operation_key]")["value"] for bar in bars if bar]
    assert len(set(keys)) == 2
    assert bars[0].select_one("[name=query]")["value"] != bars[1].select_one("[name=query]")["value"]


def test_where_nothing_is_shown_nothing_can_be_taken(
    analyst: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    for query in ({"line": "from:nobody.example last:1h"}, {"line": "is:green"}):
        page = soup(analyst.get(SEARCH, query, follow=True))
        everything = page.select_one("#everything")
        assert everything is not None
        assert everything.has_attr("disabled")
