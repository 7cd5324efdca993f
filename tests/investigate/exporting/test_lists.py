"""Result lists and campaigns as files: whole, or said to be cut; cut to the member's domains; counted and recorded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.installation import services
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from dashboard.web import csv_cells
from investigate.exporting import lists
from investigate.memory.remembering import remember
from tests.conftest import HTMX

FILE = "/investigate/export/"
PAGE = "/investigate/export/list"
ASKED = {"last": "30d", "disposition": "MALICIOUS"}


def rows_of(response: HttpResponse) -> list[dict[str, str]]:
    text = response.content.decode()
    return [
        {name: csv_cells.as_meant(cell or "") for name, cell in row.items() if name}
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]


def malicious(emailsec: Simulator) -> set[str]:
    return {record.id for record in emailsec.store.records if record.final_disposition == "MALICIOUS"}


def many_detections(emailsec: Simulator, clock: Any) -> set[str]:
    """More than a page of the list holds, all of them some seconds old."""
    while len(found := {record.id for record in emailsec.store.records if record.is_detection}) <= 120:
        emailsec.arrive(300)
    clock.shift(10)
    return found


def test_a_file_holds_every_row_of_the_search(clock: Any, analyst: Client, emailsec: Simulator) -> None:
    wanted = many_detections(emailsec, clock)

    response = analyst.get(FILE, {"what": "results", "format": "csv", "last": "30d"})

    rows = rows_of(response)
    assert {row["investigate_id"] for row in rows} == wanted
    assert len(rows) == len(wanted)
    assert response["Content-Disposition"].startswith('attachment; filename="mailwarden-messages-')
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]


def test_json_is_one_object_that_says_what_when_and_by_which_criteria(analyst: Client, emailsec: Simulator) -> None:
    whole = json.loads(analyst.get(FILE, {"what": "results", "format": "json", **ASKED}).content)

    assert whole["what"] == "messages"
    assert whole["written_by"] == "Ana"
    assert {"name": "disposition", "value": "MALICIOUS"} in whole["criteria"]
    assert whole["from"] < whole["to"] <= whole["written_at"]
    assert {row["investigate_id"] for row in whole["rows"]} == malicious(emailsec)
    assert whole["number_of_rows"] == len(whole["rows"])
    assert whole["is_cut"] is False


def test_what_is_on_the_screen_is_taken_without_a_call(
    clock: Any, analyst: Client, emailsec: Simulator, searches: Callable[[], int], soup: Callable[..., BeautifulSoup]
) -> None:
    page = soup(analyst.get("/investigate/", ASKED))
    clock.shift(600)  # long enough that a new look would ask again
    link = next(a["href"] for a in page.select("#searchbar .tools a") if a.text == "Export")
    before = searches()

    offered = soup(analyst.get(link))
    address = next(a["href"] for a in offered.select("#reading a") if a.text == "CSV")
    rows = rows_of(analyst.get(address))

    assert searches() == before
    assert [row["investigate_id"] for row in rows] == [row["data-id"] for row in page.select("#rows tr[data-id]")]


def test_a_second_file_of_the_same_range_costs_no_call(
    clock: Any, analyst: Client, emailsec: Simulator, searches: Callable[[], int], soup: Callable[..., BeautifulSoup]
) -> None:
    many_detections(emailsec, clock)
    page = soup(analyst.get(PAGE, {"last": "30d"}))
    assert searches() == 1, "one answer holds up to a thousand"
    addresses = [a["href"] for a in page.select("#reading .do a") if a.text in ("CSV", "JSON")]

    for address in addresses:
        assert analyst.get(address).status_code == 200
    assert searches() == 1


def test_a_list_that_is_longer_than_a_file_says_so_on_the_page_and_in_the_file(
    analyst: Client, emailsec: Simulator, monkeypatch: pytest.MonkeyPatch, soup: Callable[..., BeautifulSoup]
) -> None:
    monkeypatch.setattr(lists, "MOST_ROWS", 5)

    assert "There are more" in soup(analyst.get(PAGE, ASKED)).select_one("#reading .cut").text
    *rows, last = rows_of(analyst.get(FILE, {"what": "results", "format": "csv", **ASKED}))
    whole = json.loads(analyst.get(FILE, {"what": "results", "format": "json", **ASKED}).content)

    assert len(rows) == len(whole["rows"]) == 5
    assert last["investigate_id"] == whole["cut"] == "Cut: there are more than these 5 rows."
    assert whole["is_cut"] is True


def test_a_slow_search_is_no_empty_file(
    clock: Any, analyst: Client, emailsec: Simulator, work: Callable[[], None], soup: Callable[..., BeautifulSoup]
) -> None:
    asked = {"last": "30d", "clean": "1"}
    first = analyst.get(FILE, {"what": "results", "format": "csv", **asked})

    assert first.status_code == 202
    assert "attachment" not in first.get("Content-Disposition", "")
    waits = soup(first).select_one("#reading .slow")
    assert "still searching" in waits.text
    assert not AuditEvent.objects.filter(action="message:export").exists()

    for _ in range(30):
        clock.shift(10)
        work()
        found = soup(analyst.get(waits["hx-get"], headers=HTMX))
        if not found.select_one(".slow"):
            break
    address = next(a["href"] for a in found.select("a") if a.text == "CSV")
    rows = rows_of(analyst.get(address))

    assert {row["investigate_id"] for row in rows} >= malicious(emailsec)


def test_a_search_that_fails_is_told_and_no_file(
    analyst: Client, emailsec: Simulator, soup: Callable[..., BeautifulSoup]
) -> None:
    emailsec.faults.next("search", times=None, status=500)
    response = analyst.get(FILE, {"what": "results", "format": "json", **ASKED})

    assert response.status_code == 503
    assert "attachment" not in response.get("Content-Disposition", "")
    assert soup(response).select_one("#reading .failed")
    emailsec.faults.clear()


def test_a_search_that_cannot_be_asked_is_refused(analyst: Client, emailsec: Simulator) -> None:
    assert analyst.get(FILE, {"what": "results", "format": "csv", "disposition": "NO_SUCH"}).status_code == 422
    assert analyst.get(PAGE, {"last": "never"}).status_code == 422


@pytest.mark.parametrize("query", ["what=results&format=exe", "what=everything", "", "what=campaign&by=x&key=y"])
def test_what_is_no_file_is_not_found(analyst: Client, emailsec: Simulator, query: str) -> None:
    assert analyst.get(f"{FILE}?{query}").status_code == 404


def test_a_file_is_written_down_and_counts_towards_the_hour(
    analyst: Client, emailsec: Simulator, settings: Any
) -> None:
    settings.EXPORTS_PER_HOUR = 2
    address = {"what": "results", "format": "csv", **ASKED}

    assert [analyst.get(FILE, address).status_code for _ in range(3)] == [200, 200, 429]
    event = AuditEvent.objects.filter(action="message:export").first()
    assert event.actor_name == "Ana"
    assert event.detail["rows"] == len(malicious(emailsec))
    assert "disposition=MALICIOUS" in event.detail["query"]


def test_nothing_is_asked_for_a_file_that_is_one_too_many(analyst: Client, emailsec: Simulator, settings: Any) -> None:
    settings.EXPORTS_PER_HOUR = 1
    assert analyst.get(FILE, {"what": "results", **ASKED}).status_code == 200
    emailsec.calls.clear()

    assert analyst.get(f"{FILE}?what=results&last=29d&disposition=SPAM").status_code == 429
    assert analyst.post(f"{reverse('investigate:list_indicators')}?last=29d&disposition=SPAM").status_code == 429
    assert emailsec.calls == []


def test_privacy_mode_that_an_admin_switched_on_reaches_files(
    analyst: Client, emailsec: Simulator, threat: Any, ada: Member
) -> None:
    threat.detection_reasons = ["Link to https://pay.evil.example/x"]
    one = get_client().message(threat.id)
    remember([one])
    files = ({"what": "results", **ASKED}, {"what": "campaign", "by": "edf", "key": one.edf_hash})
    asked = [{**file, "format": kind} for file in files for kind in ("csv", "json")]
    assert all(b"evil.example" in analyst.get(FILE, file).content for file in asked)

    services.set_value(actor=ada, name="PRIVACY", value=True, version=0, request=None)
    services.set_value(actor=ada, name="EXPORTS_PER_HOUR", value=17, version=0, request=None)

    answers = [analyst.get(FILE, file) for file in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(b"evil.example" in answer.content for answer in answers)
    report = analyst.get(reverse("investigate:campaign_report"), {"by": "edf", "key": one.edf_hash})
    assert b"Link to (hidden)" in report.content
    assert b"17 files an hour" in analyst.get(PAGE, ASKED).content


def test_reasons_that_name_recipients_elsewhere_stay_out_of_files(emailsec: Simulator, threat: Any) -> None:
    here = threat.client_recipients[0]
    threat.client_recipients = threat.envelope_to = (here, "eve@elsewhere.example")
    threat.to = (*threat.client_recipients, "zoe@third.example")  # whose copy is nobody's here
    threat.detection_reasons = ["Also went to eve@elsewhere.example", "Names zoe@third.example", "A known kit"]
    one = get_client().message(threat.id)
    remember([one])
    client = limited(here.rpartition("@")[2])
    campaign = {"by": "edf", "key": one.edf_hash}

    for file in ({"what": "results", **ASKED}, {"what": "campaign", **campaign}):
        content = client.get(FILE, {**file, "format": "csv"}).content
        assert b"A known kit" in content, file
        assert not any(name in content for name in (b"elsewhere.example", b"third.example")), file
    report = client.get(reverse("investigate:campaign_report"), campaign).content
    assert b"A known kit" in report
    assert not any(name in report for name in (b"elsewhere.example", b"third.example"))
    assert b"elsewhere.example" not in client.get("/investigate/", ASKED).content


def limited(domain: str) -> Client:
    member = Member.objects.create(username="sam", first_name="Sam", role=Role.ANALYST, domains=[domain])
    client = Client()
    client.force_login(member)
    return client


def test_somebody_limited_to_a_domain_takes_that_domain_alone(emailsec: Simulator, threat: Any) -> None:
    domain = threat.client_recipients[0].rpartition("@")[2]
    remember([get_client().message(threat.id)])
    client = limited(domain)

    rows = rows_of(client.get(FILE, {"what": "results", "format": "csv", **ASKED}))
    assert threat.id in {row["investigate_id"] for row in rows}
    for row in rows:
        assert {name.rpartition("@")[2] for name in row["recipients"].split("; ")} == {domain}

    campaign = {"what": "campaign", "format": "csv", "by": "edf", "key": get_client().message(threat.id).edf_hash}
    (row,) = rows_of(client.get(FILE, campaign))
    assert {name.rpartition("@")[2] for name in row["recipients"].split("; ")} == {domain}
    Member.objects.update(domains=["elsewhere.example"])
    assert client.get(FILE, campaign).status_code == 404


def test_a_campaign_is_taken_out_of_the_memory_without_a_call(
    analyst: Client, emailsec: Simulator, calls: Callable[[], list[str]]
) -> None:
    page = get_client().search(_everything()).messages
    remember(page)
    key = next(message.edf_hash for message in page if message.edf_hash)
    wanted = {message.id for message in page if message.edf_hash == key}
    calls()

    rows = rows_of(analyst.get(FILE, {"what": "campaign", "format": "csv", "by": "edf", "key": key}))
    whole = json.loads(analyst.get(FILE, {"what": "campaign", "format": "json", "by": "edf", "key": key}).content)

    assert {row["investigate_id"] for row in rows} == {row["investigate_id"] for row in whole["rows"]} == wanted
    assert whole["by"] == "fingerprint"
    assert whole["key"] == key
    assert calls() == []
    assert AuditEvent.objects.filter(action="campaign:export").count() == 2


def _everything() -> Any:
    from django.utils import timezone

    from investigate.search.criteria import Criteria, search_query

    criteria = Criteria(last="30d")
    (branch,) = criteria.branches()
    return search_query(branch, criteria.window(timezone.now()))


def test_the_address_of_indicators_leads_to_their_page(analyst: Client, emailsec: Simulator) -> None:
    response = analyst.get(FILE, {"what": "indicators", "format": "stix", **ASKED})

    assert response.url.startswith(reverse("investigate:list_indicators"))
    assert "disposition=MALICIOUS" in response.url
