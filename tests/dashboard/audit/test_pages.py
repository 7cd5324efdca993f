"""The audit room: who may look, what the rows say, how they are found, opened and taken away as files."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine
from bs4 import BeautifulSoup
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit import exporting, queries, streams, verifying
from dashboard.audit.models import AuditEvent, ChainCheck, Stream
from dashboard.audit.recorder import record
from tests.conftest import HTMX
from tests.dashboard.audit.test_trail import edit, trail, unguarded, verify

pytestmark = pytest.mark.django_db
__all__ = ["trail", "unguarded"]

URL = "/audit/"
HOSTILE = "<img src=x onerror=alert(1)>\u202eevil\x1b[31m"
Soup = Callable[[HttpResponse], BeautifulSoup]


def numbers(page: BeautifulSoup) -> list[int]:
    return [int(body["id"].removeprefix("row-")) for body in page.select(".events tbody")]


def text_of(page: BeautifulSoup, selector: str) -> str:
    return " ".join(page.select_one(selector).get_text(" ").split())


@pytest.fixture
def busy(ana: Member, ben: Member, rf: Any) -> dict[str, AuditEvent]:
    """A trail with something for every filter."""
    asked = record(
        actor=ana, action="message:move", phase="attempt", targets=["a:1"], reason="ticket 4711",
        detail={"action": "9", "kind": "move", "destination": "JunkEmail"},
        request=rf.get("/", REMOTE_ADDR="192.0.2.7"),
    )  # fmt: skip
    done = record(
        actor=None, action="message:move", targets=["a:1"], refers_to=asked.sequence,
        detail={"action": "9", "copies": {"done": 1}, "explanation": "Moved."},
    )  # fmt: skip
    refused = record(
        actor=ben, action="job:decide", phase="refused", detail={"job": "Ünïcode", "n": 3},
        request=rf.get("/", REMOTE_ADDR="198.51.100.9"),
    )  # fmt: skip
    strange = record(actor=ben, action="weather:forecast", phase="sunny", targets=["b:2", "b:3"])
    return {"asked": asked, "done": done, "refused": refused, "strange": strange}


def test_rows_are_sentences_newest_first(auditor: Client, busy: dict[str, AuditEvent], soup: Soup) -> None:
    page = soup(auditor.get(URL))

    assert numbers(page) == [4, 3, 2, 1]
    cells = [" ".join(cell.get_text(" ").split()) for cell in page.select("#row-1 td")]
    assert cells[1:] == ["Ana", "192.0.2.7", "Move a message to Junk", "a:1", "Begun", "ticket 4711"]
    at = busy["asked"].at.astimezone(dt.UTC)
    assert cells[0].endswith(f"{at:%H:%M:%S}.{at.microsecond // 1000:03}")
    assert text_of(page, "#row-2 .c-who") == "Mailwarden"


def test_an_action_without_words_is_shown_as_it_is(auditor: Client, busy: dict[str, AuditEvent], soup: Soup) -> None:
    page = soup(auditor.get(URL))

    assert text_of(page, "#row-4 .c-what") == "weather:forecast"
    assert text_of(page, "#row-4 .c-result") == "Sunny"
    assert text_of(page, "#row-4 .c-object") == "b:2 and 1 more"


@pytest.mark.parametrize("role", ["analyst", "responder", "viewer", "policy_manager"])
def test_others_do_not_get_in(request: pytest.FixtureRequest, role: str, trail: list[AuditEvent]) -> None:
    client = request.getfixturevalue(role)

    for url in (URL, "/audit/1/", "/audit/export.csv", "/audit/export.jsonl"):
        assert client.get(url).status_code == 403


def test_a_member_limited_to_domains_does_not_get_in(otto: Member, auditor: Client, soup: Soup) -> None:
    otto.domains = ["a.example"]
    otto.save(update_fields=["domains"])

    assert auditor.get(URL).status_code == 403
    assert not soup(auditor.get("/investigate/")).select("a[href='/audit/']")


def test_the_menu_leads_there(auditor: Client, analyst: Client, soup: Soup, emailsec: object) -> None:
    assert soup(auditor.get(URL)).select_one("nav.wide a[href='/audit/']")["aria-current"] == "page"
    assert not soup(analyst.get("/investigate/")).select("a[href='/audit/']")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("who=ana", [1]),
        ("who=mailwarden", [2]),
        ("action=message:move", [2, 1]),
        ("action=message:", [2, 1]),
        ("action=weather:forecast", [4]),
        ("phase=refused", [3]),
        ("object=a:1", [2, 1]),
        ("object=b:3", [4]),
        ("object=Ünïcode", [3]),
        ('object="n": 3', [3]),
        ("object=JunkEmail", [1]),
        ("reason=4711", [1]),
        ("reason=100%", []),
        ("address=192.0.2.", [1]),
        ("who=ben&phase=refused", [3]),
        ("start=2020-01-01", [4, 3, 2, 1]),
        ("end=2020-01-01T00:00:00", []),
        ("before=3", [2, 1]),
        ("before=nonsense", [4, 3, 2, 1]),
    ],
)
def test_the_address_is_the_filter(
    auditor: Client, busy: dict[str, AuditEvent], soup: Soup, query: str, found: list[int]
) -> None:
    page = soup(auditor.get(f"{URL}?{query}"))

    assert numbers(page) == found
    for name, value in (pair.split("=", 1) for pair in query.split("&")):
        control = page.select_one(f".filter [name={name}]")
        if control is not None and control.name == "select":
            assert control.select_one("option[selected]")["value"] == value
        elif control is not None and name not in ("start", "end"):
            assert control["value"] == value


def test_times_are_utc_whatever_the_member_sees_elsewhere(
    auditor: Client, otto: Member, ana: Member, soup: Soup
) -> None:
    otto.time_zone, otto.shows_local_time = "Asia/Tokyo", True
    otto.save(update_fields=["time_zone", "shows_local_time"])
    with time_machine.travel(dt.datetime(2026, 11, 21, 10, 0, 0, 250_000, tzinfo=dt.UTC), tick=False):
        record(actor=ana, action="message:read")

    page = soup(auditor.get(f"{URL}?start=2026-11-21T10:00:00&end=2026-11-21T10:00:01"))

    assert numbers(page) == [1]
    assert text_of(page, "#row-1 .c-at") == "21 Nov 2026 10:00:00.250"


def test_unknown_parameters_are_named_and_malformed_ones_keep_their_value(
    auditor: Client, trail: list[AuditEvent], soup: Soup
) -> None:
    page = soup(auditor.get(f"{URL}?colour=blue&who=ana"))
    assert "Ignored" in page.get_text()
    assert "colour" in page.get_text()
    assert numbers(page) == [5, 4, 3, 2, 1]

    answer = auditor.get(f"{URL}?start=yesterday&phase=imaginary")
    assert answer.status_code == 422
    assert "such as 2026-11-21T14:05:00" in answer.content.decode()
    assert not numbers(soup(answer))


def test_pages_go_back_by_row_and_never_tell_a_total(auditor: Client, ana: Member, soup: Soup) -> None:
    for _ in range(queries.PAGE + 3):
        record(actor=ana, action="message:read", reason="x")

    first = soup(auditor.get(f"{URL}?who=ana"))
    older = first.find("a", string="Older")
    second = soup(auditor.get(URL + older["href"]))

    assert numbers(first) == list(range(53, 3, -1))
    assert numbers(second) == [3, 2, 1]
    assert second.find("a", string="Newest")
    assert not second.find("a", string="Older")


def test_a_filter_looks_at_so_many_rows_and_offers_to_go_on(
    auditor: Client, busy: dict[str, AuditEvent], soup: Soup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", 2)

    page = soup(auditor.get(f"{URL}?who=ana"))
    assert numbers(page) == []
    assert "Rows before 3 were not looked at yet." in page.get_text()

    page = soup(auditor.get(URL + page.find("a", string="Look further back")["href"]))
    assert numbers(page) == [1]


def test_a_row_opens_inside_the_list_and_closes_again(auditor: Client, busy: dict[str, AuditEvent], soup: Soup) -> None:
    link = soup(auditor.get(URL)).select_one("#row-1 .c-at a")
    assert link["aria-expanded"] == "false"

    open_ = soup(auditor.get(link["hx-get"], headers=HTMX))
    body = open_.select_one("tbody#row-1[data-opened]")
    assert '"destination": "JunkEmail"' in body.select_one("pre").text
    assert busy["asked"].hash in body.text
    assert busy["asked"].previous_hash in body.text
    assert "Row 2" in body.text
    assert "ticket 4711" in body.text
    link = body.select_one(".c-at a")
    assert link["aria-expanded"] == "true"

    closed = soup(auditor.get(link["hx-get"], headers=HTMX))
    assert not closed.select(".opened")


def test_a_row_has_a_page_of_its_own_that_leads_to_the_row_it_belongs_to(
    auditor: Client, busy: dict[str, AuditEvent], soup: Soup
) -> None:
    page = soup(auditor.get("/audit/2/"))

    assert page.h1.text == "Move a message"
    assert page.select_one(".facts a[href='/audit/1/']")
    assert "Moved." in page.select_one("pre").text


@pytest.mark.parametrize("url", ["/audit/99/", "/audit/0/", f"/audit/{10**30}/", "/audit/export.xml"])
def test_what_is_not_there_is_not_found(auditor: Client, trail: list[AuditEvent], url: str) -> None:
    assert auditor.get(url).status_code == 404


def test_hostile_text_is_text(auditor: Client, ana: Member) -> None:
    ana.first_name = HOSTILE
    ana.save(update_fields=["first_name"])
    record(actor=ana, action=HOSTILE, phase="<b>", targets=[HOSTILE], reason=HOSTILE, detail={HOSTILE: [HOSTILE]})

    for answer in (auditor.get(URL), auditor.get("/audit/1/"), auditor.get("/audit/1/", headers=HTMX)):
        shown = answer.content.decode()
        assert "<img" not in shown.replace('<img src="/static/', "")
        assert "\u202e" not in shown
        assert "\x1b" not in shown


def test_the_page_never_asks_by_itself(auditor: Client, trail: list[AuditEvent], soup: Soup) -> None:
    page = soup(auditor.get(URL))

    triggers = [element["hx-trigger"] for element in page.select("main [hx-trigger]")]
    assert triggers == []


def test_the_page_says_how_far_the_chain_was_verified(auditor: Client, trail: list[AuditEvent], soup: Soup) -> None:
    assert "has not been verified yet" in text_of(soup(auditor.get(URL)), ".chain")

    verifying.verify_new()
    told = text_of(soup(auditor.get(URL)), ".chain")

    checked = timezone.localtime(ChainCheck.objects.get().checked_at)
    assert told.startswith(f"Chain verified to row 5 at {checked:%H:%M:%S}")
    assert "manage.py verify_audit" in told


def test_the_page_says_when_nobody_looks_any_more(auditor: Client, trail: list[AuditEvent], soup: Soup) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        verifying.verify_new()
        clock.shift(dt.timedelta(minutes=11))

        assert "and not since: no worker is looking" in text_of(soup(auditor.get(URL)), ".chain[data-state=silent]")


def test_a_broken_chain_is_said_in_red_with_its_first_broken_link(
    auditor: Client, trail: list[AuditEvent], unguarded: None, soup: Soup
) -> None:
    edit()
    verifying.verify_new()

    page = soup(auditor.get(URL))
    assert "The chain is broken. Row 3 was changed after it was written." in text_of(
        page, ".chain[data-state=broken][role=alert]"
    )


def test_the_page_says_how_far_a_receiver_is_behind(
    auditor: Client, trail: list[AuditEvent], settings: Any, soup: Soup
) -> None:
    settings.AUDIT_WEBHOOK = "https://logs.example/"
    Stream.objects.create(name="webhook", position=3, problem="connection refused", tries=2)

    told = text_of(soup(auditor.get(URL)), ".chain + .chain")

    assert told.startswith("Webhook: 2 rows behind since ")
    assert "connection refused" in told
    assert streams.behind()[0].since == trail[3].at


def body_of(answer: HttpResponse) -> bytes:
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


def test_a_csv_holds_the_filter_and_nothing_a_spreadsheet_would_run(auditor: Client, ana: Member) -> None:
    record(actor=ana, action="message:read", reason="=1+1", targets=["+a", "b"], detail={"x": "y"})
    record(actor=None, action="job:done", reason="left out")

    answer = auditor.get("/audit/export.csv?who=ana&bom=1")
    rows = list(csv.DictReader(io.StringIO(body_of(answer).decode("utf-8-sig"), newline="")))

    assert answer["Content-Disposition"].startswith('attachment; filename="mailwarden-audit-')
    assert [row["sequence"] for row in rows] == ["1"]
    assert (rows[0]["reason"], rows[0]["objects"]) == ("'=1+1", "'+a; b")
    assert rows[0]["hash"] == AuditEvent.objects.get(pk=1).hash


def test_an_unfiltered_export_of_json_lines_can_be_verified_elsewhere(
    auditor: Client, trail: list[AuditEvent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "STEP", 2)
    file = tmp_path / "audit.jsonl"
    file.write_bytes(body_of(auditor.get("/audit/export.jsonl")))

    assert [json.loads(line)["sequence"] for line in file.read_text().splitlines()] == [1, 2, 3, 4, 5]
    assert "whole up to row 5" in verify(file=str(file))


def test_a_filter_by_time_is_a_part_that_can_be_verified(
    auditor: Client, ana: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "STEP", 2)
    with time_machine.travel(dt.datetime(2026, 11, 21, tzinfo=dt.UTC), tick=False) as clock:
        for _ in range(8):
            record(actor=ana, action="message:read")
            clock.shift(60)
    file = tmp_path / "audit.jsonl"
    url = "/audit/export.jsonl?start=2026-11-21T00:02:00&end=2026-11-21T00:05:00"
    file.write_bytes(body_of(auditor.get(url)))

    assert [json.loads(line)["sequence"] for line in file.read_text().splitlines()] == [3, 4, 5]
    assert "whole up to row 5" in verify(file=str(file))


def test_an_export_is_written_down_with_its_filter_and_its_rows(auditor: Client, trail: list[AuditEvent]) -> None:
    body_of(auditor.get("/audit/export.csv?who=ana&start=2020-01-01", REMOTE_ADDR="192.0.2.8"))

    asked, done = AuditEvent.objects.filter(action="audit:export")
    assert (asked.phase, asked.actor_name, asked.address) == ("attempt", "Otto", "192.0.2.8")
    assert asked.detail == {"format": "csv", "filter": {"who": "ana", "start": "2020-01-01T00:00:00"}, "until": 5}
    assert (done.phase, done.refers_to, done.detail) == ("done", asked.sequence, {"format": "csv", "rows": 5})


def test_an_export_that_is_broken_off_says_how_far_it_came(
    otto: Member, trail: list[AuditEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "STEP", 2)
    file = exporting.export(actor=otto, filters=queries.Filters(), kind="jsonl", with_mark=False, request=None)
    next(file)
    next(file)
    file.close()  # what the server does when the browser has gone

    end = AuditEvent.objects.last()
    assert (end.phase, end.detail) == ("failed", {"format": "jsonl", "rows": 4})


def test_an_export_holds_a_step_at_a_time(
    auditor: Client, ana: Member, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable
) -> None:
    monkeypatch.setattr(queries, "STEP", 10)
    for _ in range(40):
        record(actor=ana, action="message:read")
    stream = iter(auditor.get("/audit/export.jsonl").streaming_content)  # type: ignore[attr-defined]

    with django_assert_max_num_queries(1):
        assert next(stream).count(b"\n") == 10


def test_one_member_takes_so_many_files_an_hour(
    auditor: Client, admin: Client, trail: list[AuditEvent], settings: Any
) -> None:
    settings.EXPORTS_PER_HOUR = 3
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(3):
            body_of(auditor.get("/audit/export.csv"))
            clock.shift(60)

        refused = auditor.get("/audit/export.csv")
        assert refused.status_code == 429
        assert 3400 <= int(refused["Retry-After"]) <= 3600 - 180 + 1
        assert "as many files as an hour allows" in refused.content.decode()
        assert body_of(admin.get("/audit/export.csv"))

        clock.shift(int(refused["Retry-After"]))
        assert body_of(auditor.get("/audit/export.csv"))


def test_how_many_files_an_hour_is_asked_of_that_hour_and_before_the_trail_is_locked(
    auditor: Client, ana: Member, settings: Any
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(30):
            record(actor=ana, action="message:read")
        clock.shift(dt.timedelta(hours=2))
        record(actor=ana, action="message:read")
        with CaptureQueriesContext(connection) as asked:
            body_of(auditor.get("/audit/export.csv"))

    counts = [query["sql"] for query in asked if "job:export" in query["sql"]]
    bounds = [re.findall(r'"sequence" (>|<=) (\d+)', sql) for sql in counts]
    assert bounds == [[(">", "30"), ("<=", "31")], [(">", "31"), ("<=", "31")]]


def test_a_filter_that_cannot_be_read_exports_nothing(auditor: Client, trail: list[AuditEvent]) -> None:
    assert auditor.get("/audit/export.csv?start=never").status_code == 422
    assert not AuditEvent.objects.filter(action="audit:export").exists()


@pytest.mark.matrix(58)
def test_no_export_without_a_record(auditor: Client, trail: list[AuditEvent]) -> None:
    from tests.dashboard.audit.test_trail import block_trail

    block_trail()

    assert auditor.get(reverse("audit:export", args=["csv"])).status_code == 503


def test_a_time_is_found_by_halving_whatever_lies_around_it(auditor: Client, ana: Member, soup: Soup) -> None:
    with time_machine.travel(dt.datetime(2026, 11, 21, tzinfo=dt.UTC), tick=False) as clock:
        for _ in range(60):
            record(actor=ana, action="message:read")
            clock.shift(600)

    page = soup(auditor.get(f"{URL}?start=2026-11-21T02:00:00&end=2026-11-21T02:30:00"))
    assert numbers(page) == [15, 14, 13]
    assert not page.find("a", string="Older")
    page = soup(auditor.get(f"{URL}?who=ana&start=2026-11-21T09:40:00"))
    assert numbers(page) == [60, 59]
    assert "not looked at" not in page.get_text()
