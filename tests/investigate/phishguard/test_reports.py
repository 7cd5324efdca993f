"""PhishGuard's reports: the list and what it costs, one report and who may read it, its message, the queue."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission, Role
from dashboard.access.scope import WHOLE, Scope
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import PhishGuardReport
from dashboard.installation import values
from dashboard.upstream.models import Copy
from investigate.desk import collecting
from investigate.models import Case, CaseReport, CaseSource
from investigate.phishguard.criteria import Criteria
from investigate.phishguard.presenting import inert
from tests.conftest import HTMX
from tests.simulated import serving, simulated_account

LIST = reverse("investigate:phishguard")
RANGE = "?last=30d"


def url(name: str, report: PhishGuardReport, query: str = RANGE) -> str:
    return reverse(f"investigate:phishguard_{name}", args=[report.id]) + query


def page_of(client: Client, address: str, status: int = 200, **how: Any) -> BeautifulSoup:
    answer = client.get(address, **how)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return BeautifulSoup(answer.content, "html.parser")


def asked(emailsec: Any) -> list[str]:
    return [call.operation for call in emailsec.calls]


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_shows_each_report_with_verdict_title_and_priority(analyst: Client, listed: Any) -> None:
    page = page_of(analyst, LIST + RANGE)

    rows = page.select("tr[data-id]")
    assert {row["data-id"] for row in rows} == {f"phishguard:{report.id}" for report in listed}
    assert rows[0].select_one(".chip").text in ("Malicious", "BEC", "Malicious-BEC")
    assert "That is all of this range." in page.text


def test_fifty_viewers_within_a_minute_cost_one_call(
    analyst: Client, responder: Client, viewer: Client, emailsec: Any, listed: Any
) -> None:
    for client in (analyst, responder, viewer) * 3:
        page_of(client, LIST + RANGE)

    assert asked(emailsec) == ["phishguard"]


def test_opening_reports_of_a_list_costs_no_call(analyst: Client, emailsec: Any, listed: Any) -> None:
    links = [link["data-pane"] for link in page_of(analyst, LIST + RANGE).select("tr[data-id] .open")]

    for link in links:
        page_of(analyst, link, headers=HTMX)

    assert asked(emailsec) == ["phishguard"]


def test_more_goes_on_where_the_list_ends_without_page_numbers(
    analyst: Client, listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("investigate.phishguard.reading.PER_PAGE", 2)
    first = page_of(analyst, LIST + RANGE)

    more = first.select_one("#load-more")["href"]
    second = page_of(analyst, LIST + more, headers=HTMX)

    seen = [row["data-id"] for row in [*first.select("tr[data-id]"), *second.select("tr[data-id]")]]
    assert len(seen) == len(set(seen)) == min(4, len(listed))
    assert not second.select("html")
    assert "page" not in more
    pane = page_of(analyst, second.select_one(".open")["data-pane"], headers=HTMX)
    assert pane.select_one("article")["data-id"] == seen[2]


def test_an_older_server_gives_all_at_once(db: None, analyst: Client, settings: Any) -> None:

    simulator = simulated_account(
        messages=300,
        seed=7,
        profile="seed",
    )
    with serving(simulator):
        page = page_of(analyst, LIST + RANGE)

    assert page.select("tr[data-id]")
    assert not page.select("#load-more")


def test_nothing_in_the_range_says_so(analyst: Client, emailsec: Any) -> None:
    page = page_of(analyst, LIST + "?start=2020-01-01T00:00&end=2020-01-02T00:00")

    assert "PhishGuard reported nothing in this range." in page.text


def test_a_failed_read_says_what_happened_and_offers_to_ask_again(analyst: Client, emailsec: Any) -> None:
    emailsec.faults.next("phishguard", status=403)

    page = page_of(analyst, LIST + RANGE, status=502)

    assert page.select_one(".failed")
    assert "fresh=1" in page.select_one(".list .do .button")["href"]


def test_what_was_read_before_stays_while_cloudflare_does_not_answer(
    analyst: Client, emailsec: Any, listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime as dt

    page_of(analyst, LIST + RANGE)
    monkeypatch.setattr("investigate.message.store.BY_HAND", dt.timedelta(0))
    emailsec.faults.next("phishguard", status=400, times=None)

    page = page_of(analyst, LIST + RANGE + "&fresh=1")

    assert len(page.select("tr[data-id]")) == len(listed)
    assert "What you see is from" in page.text


def test_an_account_without_the_service_is_told_so(analyst: Client, emailsec: Any) -> None:
    emailsec.faults.next("phishguard", status=404)

    assert "offers no PhishGuard reports" in page_of(analyst, LIST + RANGE).text
    assert "offers no PhishGuard reports" in page_of(analyst, LIST + RANGE).text  # remembered
    assert asked(emailsec) == ["phishguard"]


@pytest.mark.parametrize("query", ["?last=tomorrow", "?start=never", "?start=2026-01-02&end=2026-01-01", "?last=900d"])
def test_a_range_that_cannot_be_meant_is_not_asked_for(analyst: Client, emailsec: Any, query: str) -> None:
    page = page_of(analyst, LIST + query, status=422)

    assert "This range cannot be asked for." in page.text
    assert not asked(emailsec)


def test_an_exact_range_is_asked_for_as_typed() -> None:
    criteria = Criteria.from_query({"last": "", "start": "2026-11-01T10:00", "end": "2026-11-02T10:00"})

    assert criteria.query() == "start=2026-11-01T10%3A00Z&end=2026-11-02T10%3A00Z"
    assert Criteria.from_query({"more": "7", "last": "24h"}).page == 7
    assert Criteria.from_query({"more": "-1"}).page == Criteria.from_query({"more": "9" * 30}).page == 1
    for more in ("0010019", "001000" + "9" * 30, "000001" + "9" * 5000):
        assert Criteria.from_query({"more": more}).page == 1, more


def test_typed_times_win_over_a_range_that_was_left_as_it_was_and_a_new_range_over_old_times() -> None:
    typed = {"start": "2026-11-01T10:00", "end": "2026-11-02T10:00"}

    assert Criteria.from_query({"last": "7d", "was": "7d", **typed}).last == ""
    assert Criteria.from_query({"last": "30d", "was": "", **typed}).last == "30d"


# --- one report -------------------------------------------------------------------------------------------------------


def test_the_text_is_plain_inert_and_its_links_are_dead(
    analyst: Client, report: PhishGuardReport, written: Any
) -> None:
    written(
        content="See https://pay-pal.example/login?x=1 or www.evil.example\r\n<script>alert(1)</script>\u202etxt\x00"
    )
    Copy.objects.all().delete()

    answer = analyst.get(url("text", report))

    text = answer.content.decode()
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "hxxps://pay-pal[.]example/login?x=1" in text
    assert "www[.]evil[.]example" in text
    assert "https:" not in text
    assert "\u202e" not in text
    assert "␀" in text
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_page_escapes_what_outsiders_wrote(analyst: Client, report: PhishGuardReport, written: Any) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'\u202e"
    written(title=hostile, priority=hostile, tags=[{"category": hostile, "value": hostile}])
    Copy.objects.all().delete()

    for address in (LIST + RANGE, url("report", report), url("pane", report)):
        html = analyst.get(address).content.decode()
        assert "<img src=x" not in html, address
        assert "\u202e" not in html, address


def test_looking_at_the_text_is_written_to_the_trail_and_at_the_list_is_not(
    analyst: Client, report: PhishGuardReport
) -> None:
    page_of(analyst, LIST + RANGE)
    page_of(analyst, url("pane", report))
    assert not AuditEvent.objects.filter(action="report:read").exists()

    analyst.get(url("text", report))

    event = AuditEvent.objects.get(action="report:read", phase="done")
    assert event.targets == [f"phishguard:{report.id}"]
    assert set(event.detail) == {"bytes", "sha256"}


def test_who_may_not_read_bodies_sees_the_titles_alone(viewer: Client, report: PhishGuardReport) -> None:
    pane = page_of(viewer, url("pane", report))

    assert report.title in pane.text
    assert "You may not read what the sender wrote." in pane.text
    assert not pane.select("iframe")
    assert viewer.get(url("text", report)).status_code == 403


def test_privacy_mode_covers_the_text_until_a_reason_is_given(
    analyst: Client, report: PhishGuardReport, settings: Any
) -> None:
    settings.PRIVACY = True

    pane = page_of(analyst, url("pane", report))
    assert not pane.select("iframe")
    assert analyst.get(url("text", report)).status_code == 403
    assert not AuditEvent.objects.filter(action="report:read").exists()

    refused = analyst.post(url("uncover", report), {"occasion": "incident"}, headers=HTMX)
    assert refused.status_code == 422
    uncovered = analyst.post(url("uncover", report), {"occasion": "reported"}, headers=HTMX)

    assert b"<iframe" in uncovered.content
    assert analyst.get(url("text", report)).status_code == 200
    event = AuditEvent.objects.get(action="message:uncover")
    assert (event.targets, event.reason) == ([f"phishguard:{report.id}"], "Reported by a user")


def test_privacy_mode_set_by_an_admin_covers_it_as_well(admin: Client, analyst: Client, report: Any) -> None:
    admin.post(reverse("installation:value", args=["PRIVACY"]), {"value": "on", "version": "0"})

    assert analyst.get(url("text", report)).status_code == 403
    values.believe({}, seconds=3600)


def test_an_unknown_report_is_not_found_in_words(analyst: Client, listed: Any) -> None:
    page = page_of(analyst, reverse("investigate:phishguard_report", args=["999999"]) + RANGE, status=404)

    assert "This report is not here." in page.text


def test_a_report_opens_by_its_link_after_the_copies_are_gone(analyst: Client, report: PhishGuardReport) -> None:
    link = page_of(analyst, LIST + RANGE).select_one(f'tr[data-id="phishguard:{report.id}"] .open')["href"]
    Copy.objects.all().delete()

    assert report.title in page_of(analyst, link).text


# --- scope ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(db: None) -> Any:
    def sign_in(domain: str) -> Client:
        member = Member.objects.create_user(
            "lea", "lea@corp.example", "correct horse battery", role=Role.ANALYST, domains=[domain]
        )
        client = Client()
        client.force_login(member)
        return client

    return sign_in


def test_a_limited_member_sees_only_reports_about_their_domains(listed: Any, limited: Any) -> None:
    domain = listed[0].fields.to[0].rpartition("@")[2]
    lea = limited(domain)

    seen = {row["data-id"] for row in page_of(lea, LIST + RANGE).select("tr[data-id]")}

    inside = [one for one in listed if any(to.endswith(f"@{domain}") for to in one.fields.to)]
    assert seen == {f"phishguard:{one.id}" for one in inside}


def test_a_foreign_report_is_nowhere_to_be_had(report: PhishGuardReport, limited: Any) -> None:
    lea = limited("nowhere.example")

    for name in ("report", "pane", "text", "message"):
        answer = lea.get(url(name, report))
        assert answer.status_code == 404, name
        assert report.title not in answer.content.decode()
    for name in ("take", "uncover"):
        assert lea.post(url(name, report), {"occasion": "reported"}).status_code == 404
    assert not Case.objects.exists()


def test_addresses_elsewhere_are_taken_out_of_the_text(
    limited: Any, report: PhishGuardReport, written: Any, emailsec: Any
) -> None:
    domain = report.fields.to[0].rpartition("@")[2]
    written(content=f"Also bob@elsewhere.example, amy@{domain} and {report.fields.from_}.")
    Copy.objects.all().delete()

    text = limited(domain).get(url("text", report)).content.decode()

    assert "bob@" not in text
    assert f"amy@{domain}" in text
    assert str(report.fields.from_) in text


def test_a_long_word_is_read_once_for_its_addresses() -> None:
    limit = Scope(frozenset({"corp.example"}))
    report = PhishGuardReport(wire_id=1, content=f"{'a' * 60_000} {'@' * 60_000} x{'.' * 9}bob@elsewhere.example")

    began = time.thread_time()
    text = inert(report, limit)

    assert time.thread_time() - began < 1
    assert "bob@" not in text


# --- its message, and the queue ---------------------------------------------------------------------------------------


def test_the_link_leads_to_the_message(analyst: Client, report: PhishGuardReport, emailsec: Any) -> None:
    answer = analyst.get(url("message", report))

    record = next(one for one in emailsec.store.records if one.postfix_id == report.fields.postfix_id)
    assert answer.status_code == 302
    assert answer["Location"] == f"/investigate/{quote(record.id, safe=':@+')}/"


def test_a_message_that_is_gone_is_words(analyst: Client, report: PhishGuardReport, emailsec: Any) -> None:
    analyst.get(LIST + RANGE)
    emailsec.faults.next("*", status=404, times=None, code=1404)

    answer = analyst.get(url("message", report))

    assert answer.status_code == 404
    assert b"The message of this report is gone." in answer.content


def test_taking_it_puts_its_message_onto_the_queue_once(
    analyst: Client, report: PhishGuardReport, emailsec: Any
) -> None:
    pane = analyst.post(url("take", report), headers=HTMX).content.decode()
    again = analyst.post(url("take", report))

    assert "Take into the queue" not in pane
    assert "new" in pane
    assert again.status_code == 303
    case = Case.objects.get()
    assert case.source == CaseSource.PHISHGUARD
    assert case.investigate_id
    assert case.holder is None
    assert CaseReport.objects.get().upstream_id == report.id
    events = AuditEvent.objects.filter(action="report:take", phase="done")
    assert [event.detail["case"] for event in events] == [case.key, case.key]


def test_the_collector_finds_it_there_already(analyst: Client, report: PhishGuardReport, emailsec: Any) -> None:
    analyst.post(url("take", report))
    collecting.collect(CaseSource.PHISHGUARD)

    assert CaseReport.objects.filter(upstream_id=report.id).count() == 1


def test_a_report_without_a_message_stands_alone_on_the_queue(
    analyst: Client, report: PhishGuardReport, written: Any
) -> None:
    written(fields={"postfix_id": None, "to": ["a@corp.example"], "from": None, "occurred_at": None})
    Copy.objects.all().delete()

    pane = page_of(analyst, url("pane", report))
    assert "It names no message that could be opened." in pane.text
    assert analyst.get(url("message", report)).status_code == 404
    analyst.post(url("take", report))

    assert Case.objects.get().key == f"phishguard:{report.id}"


def test_the_list_says_what_is_in_the_queue_and_who_has_it(
    analyst: Client, responder: Client, ana: Member, report: PhishGuardReport
) -> None:
    from investigate.desk import cases

    analyst.post(url("take", report))
    cases.take(actor=ana, case=Case.objects.get(), request=None)

    row = page_of(responder, LIST + RANGE).select_one(f'tr[data-id="phishguard:{report.id}"]')
    assert "in work, Ana" in row.select_one(".c-us").text


def test_who_may_not_work_on_cases_takes_nothing(viewer: Client, report: PhishGuardReport) -> None:
    assert viewer.post(url("take", report)).status_code == 403
    assert "Take into the queue" not in page_of(viewer, url("pane", report)).text
    assert not Case.objects.exists()


def test_a_slow_search_for_the_message_is_told_and_takes_nothing(
    analyst: Client, report: PhishGuardReport, emailsec: Any, settings: Any, written: Any
) -> None:
    import datetime as dt

    from django.utils import timezone

    written(created_at=(timezone.now() - dt.timedelta(minutes=1)).isoformat().replace("+00:00", "Z"))
    Copy.objects.all().delete()
    analyst.get(LIST + RANGE)
    where = f"/client/v4/accounts/{settings.CLOUDFLARE_ACCOUNT_ID}/email-security/investigate?slow=1"
    emailsec.faults.next("search", location=where, times=None)
    emailsec.faults.next("message", status=404, code=1404, times=None)

    answer = analyst.post(url("take", report))

    assert answer.status_code == 503
    assert b"Not taken yet." in answer.content
    assert not Case.objects.exists()
    assert AuditEvent.objects.filter(action="report:take", phase="refused").exists()


def test_a_long_text_ends_with_a_word_about_it() -> None:
    text = inert(PhishGuardReport(wire_id=1, content="a" * 1_000_001), WHOLE)

    assert text.endswith("[Mailwarden shows the first million characters.]\n")
    assert inert(PhishGuardReport(wire_id=1), WHOLE) == ""


def test_each_address_names_its_right() -> None:
    from django.urls import resolve

    rights = {
        name: resolve(reverse(f"investigate:phishguard_{name}", args=["7"])).func.required_permission
        for name in ("report", "pane", "text", "uncover", "message", "take")
    }
    assert rights == {
        "report": Permission.MESSAGE_READ,
        "pane": Permission.MESSAGE_READ,
        "text": Permission.MESSAGE_READ_BODY,
        "uncover": Permission.MESSAGE_READ_BODY,
        "message": Permission.MESSAGE_READ,
        "take": Permission.CASE_WORK,
    }
