"""The page that takes a list: what it says about the text before anything is asked, and the job it begins."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
import time_machine
from bs4 import BeautifulSoup
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from investigate.bulk.pasting import MOST_TERMS
from investigate.models import BulkJob, JobSource, JobState
from investigate.search.window import read_moment
from tests.conftest import HTMX

URL = "/investigate/bulk/paste"
ID = "4Njp3P0STMz2c02Q-2024-01-05T10:00:00-12345678"

pytestmark = pytest.mark.usefixtures("emailsec", "bells")
Soup = Callable[[Any], BeautifulSoup]


def form(text: str = "", **values: Any) -> dict[str, Any]:
    usual = {"text": text, "last": "30d", "act": "move:DeletedItems", "operation_key": uuid.uuid4().hex}
    return usual | values


def test_a_list_becomes_a_job_that_collects(analyst: Client, bells: list[Any], emailsec: Simulator) -> None:
    answer = analyst.post(URL, form(f"{ID}\nwhat is this\n<a@b.example>\n"))

    job = BulkJob.objects.get()
    assert answer.status_code == 303
    assert answer["Location"] == reverse("investigate:job", args=[job.pk])
    assert (job.source, job.state, job.kind, job.destination) == (
        JobSource.PASTE,
        JobState.COLLECTING,
        "move",
        "DeletedItems",
    )
    assert job.input.terms == [
        ["investigate_id", ID],
        ["message_id", "<a@b.example>"],
        ["line", "line 2: what is this"],
    ]
    start, end = (read_moment(parse_qs(job.query)[name][0]) for name in ("start", "end"))
    assert start is not None
    assert end is not None
    assert (end - start).days == 30
    assert bells == [("investigate.tasks.collect_job", str(job.pk), None)]
    assert AuditEvent.objects.get(action="job:begin").detail["terms"] == 3
    assert emailsec.calls == [], "the page asks nothing of the API"


def test_htmx_is_led_to_the_job(analyst: Client) -> None:
    answer = analyst.post(URL, form(ID, act="release:", last="24h"), headers=HTMX)

    job = BulkJob.objects.get()
    assert answer["HX-Redirect"] == reverse("investigate:job", args=[job.pk])
    assert (job.kind, job.destination) == ("release", "")


def test_the_second_click_of_a_pair_begins_no_second_job(analyst: Client) -> None:
    values = form(ID)
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        first = analyst.post(URL, values)
        clock.shift(3)
        again = analyst.post(URL, values)

    other = analyst.post(URL, values | {"text": "<a@b.example>"})

    assert again["Location"] == first["Location"]
    assert other.status_code == 409
    assert BulkJob.objects.count() == 1


def test_what_is_recognised_is_shown_before_anything_is_asked(analyst: Client, soup: Soup, emailsec: Simulator) -> None:
    text = f"Hi,\n{ID} came to bob@corp.example\n{ID}\n"

    page = soup(analyst.post(URL, form(text, check="1"), headers=HTMX))

    labels = {box["value"]: box.has_attr("checked") for box in page.select("input[name=kinds]")}
    assert labels == {"investigate_id": True, "address": False}
    assert "1 investigate id" in page.text
    assert "bob[@]corp[.]example" in page.text
    assert "1 line without anything to look up" in page.text
    assert "1 named again" in page.text
    assert not BulkJob.objects.exists()
    assert emailsec.calls == []


def test_only_ticked_kinds_are_looked_up_and_new_ones_as_usual(analyst: Client) -> None:
    text = f"{ID}\nbob@corp.example\n<a@b.example>\n"

    analyst.post(URL, form(text, offered=["investigate_id", "address"], kinds=["address"]))

    assert BulkJob.objects.get().input.terms == [["address", "bob@corp.example"], ["message_id", "<a@b.example>"]]


def test_a_list_of_addresses_needs_no_tick(analyst: Client) -> None:
    analyst.post(URL, form("bob@corp.example\nevil[.]example\n"))

    assert [kind for kind, _ in BulkJob.objects.get().input.terms] == ["address", "domain"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"text": "  \n"}, "Paste a text, or choose a file."),
        ({"text": "nothing of use"}, "Nothing here can be looked up."),
        ({"text": ID, "offered": ["investigate_id"]}, "Tick at least one kind"),
        ({"text": ID, "act": "move:RecoverableItemsPurges"}, "Your role may not do this."),
        ({"file": b"PK\x03\x04 sheet"}, "save the list as CSV"),
        ({"file": b"\x00\x01\x02"}, "not a text file"),
        ({"file": b"a@b.example\n" * 900_000}, "larger than 10 MB"),
    ],
)
def test_what_cannot_be_taken_is_said_and_the_text_kept(
    values: dict[str, Any], told: str, analyst: Client, soup: Soup
) -> None:
    if "file" in values:
        values = values | {"file": SimpleUploadedFile("list.csv", values["file"])}

    full, part = analyst.post(URL, form() | values), None
    if "file" in values:
        values["file"].seek(0)
    part = analyst.post(URL, form() | values, headers=HTMX)

    page = soup(full)
    assert full.status_code == part.status_code == 422
    assert told in page.select_one(".errors").text
    assert told in soup(part).select_one("#recognised .errors").text
    assert part["HX-Retarget"] == "#recognised", "text and file stay where they are"
    assert page.select_one("textarea").text.strip() == values.get("text", "").strip()
    assert ("Choose the file again: list.csv" in page.text) == ("file" in values)
    assert not BulkJob.objects.exists()


def test_a_file_is_read_in_pieces_up_to_the_most_a_job_takes(responder: Client) -> None:
    lines = "".join(f"4{number:014d}B-2026-11-20T18:48:13-759577e8\n" for number in range(150_000))
    file = SimpleUploadedFile("ids.txt", lines.encode())

    responder.post(URL, form(file=file))

    terms = BulkJob.objects.get().input.terms
    assert len(terms) == MOST_TERMS + 1
    assert terms[-1] == ["rest", "everything after the first 50,000"]


def test_more_text_than_a_form_takes_is_answered_with_what_to_do(analyst: Client) -> None:
    answer = analyst.post(URL, form("a@b.example\n" * 300_000), headers=HTMX)

    assert answer.status_code == 413
    assert "Send it as a file." in answer.content.decode()


def test_the_menu_holds_what_the_member_may_do(analyst: Client, responder: Client, soup: Soup) -> None:
    def offered(client: Client) -> list[str]:
        return [option["value"] for option in soup(client.get(URL)).select("select[name=act] option")]

    assert offered(analyst)[0] == "move:DeletedItems"
    assert "move:RecoverableItemsPurges" not in offered(analyst)
    assert {"move:RecoverableItemsPurges", "release:", "reclassify:NONE"} <= set(offered(responder))


def test_who_may_not_run_jobs_reads_why(viewer: Client, soup: Soup) -> None:
    page = soup(viewer.get(URL))
    answer = viewer.post(URL, form(ID))

    assert page.select_one("#paste-form") is None
    assert "analyst, responder" in page.text
    assert answer.status_code == 403
    assert not BulkJob.objects.exists()


def test_hostile_text_stays_text(analyst: Client, soup: Soup) -> None:
    text = '"><img src=x onerror=alert(1)>@b.example\n\u202egpj.exe\n<script>alert(1)</script>\n</textarea><b id=x>\n'

    for extra in ({}, {"check": "1"}):
        page = soup(analyst.post(URL, form(text, **extra)))
        assert page.select("img[src=x], b#x, main script") == []
        assert "\u202e" not in page.select_one("#recognised").text
    assert soup(analyst.post(URL, form(text, check="1"), headers=HTMX)).select("img, script") == []


def test_the_page_can_be_reached_by_key_and_from_the_jobs(analyst: Client, soup: Soup) -> None:
    jobs = soup(analyst.get(reverse("investigate:jobs")))

    assert jobs.select_one(f'main a[href="{URL}"]')
    assert jobs.select_one(f'.topbar a[href="{URL}"]')["data-key"] == "g v"
    assert analyst.get(URL).status_code == 200


def test_more_than_the_members_own_limit_is_refused_before_anything_is_looked_up(
    monkeypatch, analyst: Client, responder: Client, soup: Soup
) -> None:
    monkeypatch.setattr(settings, "LARGE_JOB", 3)
    three = "\n".join(f"<{number}@pay-pal.example>" for number in range(3))
    four = f"{three}\n<3@pay-pal.example>"

    answer = analyst.post(URL, form(four))

    assert answer.status_code == 422
    told = soup(answer).select_one(".errors").get_text()  # type: ignore[union-attr]
    assert "Your role may not run a job of this size: ask a responder." in told
    assert "This names 4 to look up; without that right 3 is the most of one job." in told
    assert not BulkJob.objects.exists()
    assert analyst.post(URL, form(three)).status_code == 303
    assert responder.post(URL, form(four)).status_code == 303
