"""The search page: what it shows, in each of its states."""

from __future__ import annotations

import json
import re
import zoneinfo
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from dashboard.emailsec.enums import DeliveryStatus as D
from dashboard.emailsec.rows import MessageRow
from investigate.models import SearchRun
from investigate.search.rendering import render_rows
from investigate.search.rows import mismatch, where
from tests.conftest import HTMX
from tests.investigate.search.conftest import SLOW

pytestmark = pytest.mark.django_db
URL = "/investigate/"
MONTH = {"last": "30d"}
ROW_HTMX = {**HTMX, "HX-Target": "none"}
LIST_HTMX = {**HTMX, "HX-Target": "results"}


def link_query(element) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(element["hx-get"]).query).items()}


def ids(page) -> list[str]:
    return [row["data-id"] for row in page.select("tr[data-id]")]


def of_upstream(emailsec, **criteria) -> int:
    """How many messages the simulator holds for a search, counted on its own side."""
    wanted = criteria.get("disposition")
    start = timezone.now().timestamp() - 30 * 86_400
    return sum(
        record.scanned_at >= start and record.final_disposition == wanted
        for record in emailsec.store.newest_first(start, timezone.now().timestamp(), [], None)
    )


# --- the list ---


def test_rows_show_what_an_analyst_judges_by(analyst, emailsec, soup, clock):
    page = soup(analyst.get(URL, MONTH))
    rows = page.select("#rows tr[data-id]")
    assert len(rows) > 50
    assert len(set(ids(page))) == len(rows)
    for row in rows:
        assert row.select_one(".chip").text
        assert row.select_one(".open")["href"] == f"/investigate/{row['data-id']}/"
        assert re.fullmatch(r"\d\d:\d\d:\d\d", row.select_one("time").text)
        assert row.select_one(".c-us") is not None
    assert page.select_one(".day").text.endswith("2026")
    assert page.title.text == "last:30d - Mailwarden"
    assert len(page.select("h1")) == 1
    assert "last 30 days = 22 Oct 01:20:30 to 21 Nov 01:20:30 UTC" in page.select_one("#search-meta").text


def test_htmx_gets_the_list_alone_with_what_goes_around_it(analyst, emailsec, soup, clock):
    page = soup(analyst.get(URL, MONTH, headers=HTMX))
    assert page.html is None
    assert page.select("table.rows")
    for name in ("#filter-line", "#search-meta", "#searchbar", "#footer"):
        assert page.select_one(name)["hx-swap-oob"] == "true"
    assert "shown" in page.find(attrs={"hx-swap-oob": "innerHTML:#status"}).text


def test_a_link_reproduces_the_view(analyst, emailsec, soup, clock):
    first = soup(analyst.get(URL, {"line": "is:spam,bulk last:30d"}, headers=HTMX))
    response = analyst.get(URL, {"line": "is:spam,bulk last:30d"}, headers=HTMX)
    assert response["HX-Push-Url"] == "/investigate/?disposition=SPAM&disposition=BULK&last=30d"
    assert ids(soup(analyst.get(response["HX-Push-Url"]))) == ids(first) != []


def test_without_a_script_the_line_leads_to_the_same_address(analyst, emailsec):
    response = analyst.get(URL, {"line": "is:spam last:30d"})
    assert (response.status_code, response["Location"]) == (302, "/investigate/?disposition=SPAM&last=30d")


def test_two_dispositions_are_one_list_by_time(analyst, emailsec, soup, clock):
    page = soup(analyst.get(URL, {"disposition": ["SPAM", "MALICIOUS"], "last": "30d"}))
    words = [chip.text for chip in page.select("#rows .chip")]
    assert set(words) == {"Spam", "Malicious"}
    assert words.count("Spam") == of_upstream(emailsec, disposition="SPAM")
    assert words.count("Malicious") == of_upstream(emailsec, disposition="MALICIOUS")


def walk(client, soup, page) -> list[str]:
    """All ids from this page to the last one, by the button at its end."""
    seen = ids(page)
    while button := page.select_one("#load-more"):
        page = soup(client.get(URL + button["hx-get"], headers=ROW_HTMX))
        seen += ids(page)
    assert f"{len(seen)} shown, that is all" in page.select_one(".end").text
    return seen


def test_load_more_goes_on_to_the_end_without_a_gap(analyst, emailsec, soup, clock):
    emailsec.arrive(250)
    page = soup(analyst.get(URL, {"clean": "1", "last": "7d"}))
    whole = walk(analyst, soup, page)
    assert len(whole) == len(set(whole)) > 250
    start = timezone.now().timestamp() - 7 * 86_400
    assert whole == [record.id for record in emailsec.store.newest_first(start, timezone.now().timestamp(), [], None)]


def test_merged_searches_go_on_to_the_end_without_a_gap(analyst, emailsec, soup, clock):
    emailsec.arrive(250)
    query = {"clean": "1", "last": "7d", "disposition": ["NONE", "SPAM", "BULK", "SPOOF", "SUSPICIOUS", "MALICIOUS"]}
    merged = walk(analyst, soup, soup(analyst.get(URL, query)))
    start = timezone.now().timestamp() - 7 * 86_400
    held = emailsec.store.newest_first(start, timezone.now().timestamp(), [], None)
    expected = [record for record in held if record.final_disposition in query["disposition"]]
    assert len(merged) == len(set(merged))
    assert set(merged) == {record.id for record in expected}
    times = {record.id: record.scanned_at for record in expected}
    assert [times[name] for name in merged] == sorted(times.values(), reverse=True)


def test_two_branches_that_find_one_message_show_it_once(analyst, emailsec, soup, clock):
    recipient = next(iter(emailsec.store.newest_first(0, timezone.now().timestamp(), [], None))).client_recipients[0]
    domain = recipient.rpartition("@")[2]
    one = walk(analyst, soup, soup(analyst.get(URL, {"clean": "1", "last": "7d", "recipient": domain})))
    both = walk(analyst, soup, soup(analyst.get(URL, {"clean": "1", "last": "7d", "recipient": [domain, recipient]})))
    assert both == one


def test_without_a_script_load_more_is_a_page_of_its_own(analyst, emailsec, soup, clock):
    emailsec.arrive(150)
    page = soup(analyst.get(URL, {"clean": "1", "last": "6d"}))
    button = page.select_one("#load-more")
    following = soup(analyst.get(URL + button["href"]))
    assert following.html is not None
    assert set(ids(following)).isdisjoint(ids(page))


@pytest.mark.parametrize("token", ["", "x", "AAAA", "!!!", "W10", "%00", "é" * 10, "A" * 30_000])
def test_a_hostile_token_is_a_plain_sentence(analyst, emailsec, token):
    response = analyst.get(URL, {"more": token}, headers=ROW_HTMX)
    assert response.status_code == 422
    assert b"does not belong to this search" in response.content


@pytest.mark.parametrize(
    "query",
    [
        "disposition=EVIL&status=gone&last=-1h&start=0&end=x&clean=9&foo=%00bar&sort=up",
        "run=x&run=%00&fresh=1",
        "open=../../etc&tab=%3Cscript%3E",
        "sender=" + "a" * 5000,
        "q=%F0%9F%98%80%ED%A0%80&sender=%ff",
        "&".join(f"sender={n}.example" for n in range(500)),
        "start=9999-12-31T23:59:59Z",
        "start=0001-01-01&end=0001-01-02",
        "line=" + "%22" * 100,
    ],
)
def test_no_parameter_is_an_error_page(analyst, emailsec, query):
    assert analyst.get(f"{URL}?{query}", headers=HTMX).status_code in (200, 422)
    assert analyst.get(f"{URL}?{query}", follow=True).status_code in (200, 422)


def test_parameters_that_are_no_filter_are_named(analyst, emailsec, soup):
    page = soup(analyst.get(URL, {"foo": "bar", "last": "24h", "start": "2026-11-20"}))
    assert page.select_one("#ignored").text == "ignored: foo=bar, last=24h"


@pytest.mark.parametrize(
    ("query", "line", "sentence"),
    [
        ({"line": "is:bec last:30d"}, "is:bec last:30d", "cannot filter the verdict MALICIOUS-BEC"),
        ({"line": "is:spam,nonsense"}, "is:spam,nonsense", "There is no verdict “nonsense”"),
        ({"line": "-is:spam"}, "-is:spam", "The search cannot exclude “is:spam”"),
        ({"line": "foo:bar"}, "foo:bar", "There is no key “foo:”"),
        ({"disposition": "MALICIOUS-BEC", "last": "30d"}, "last:30d is:MALICIOUS-BEC", "MALICIOUS-BEC"),
        ({"panel": "1", "start": "yesterday"}, "since:yesterday", "write 2026-11-20"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_word_that_cannot_be_used_asks_nothing_and_stays_as_typed(
    analyst, emailsec, soup, searches, query, line, sentence, headers
):
    response = analyst.get(URL, query, headers=headers)
    page = soup(response)
    assert response.status_code == 422
    assert page.select_one("#filter-line")["value"] == line
    assert sentence in page.select_one("#results .failed, .failed").text
    assert not ids(page)
    assert "HX-Push-Url" not in response
    assert searches() == 0


def test_the_panel_says_which_words_of_the_line_it_could_not_take(analyst, emailsec, soup):
    page = soup(analyst.get(URL + "filters", {"line": "is:evil subject:invoice"}))
    assert "There is no verdict “evil”" in page.select_one("[role=alert]").text
    assert page.select_one("[name=subject]")["value"] == "invoice"


def test_without_a_script_what_was_ignored_stays_visible(analyst, emailsec, soup):
    response = analyst.get(URL, {"line": "last:7d since:2026-11-20", "foo": "bar"})
    assert response.status_code == 200
    assert soup(response).select_one("#ignored").text == "ignored: last=7d, foo=bar"


def test_half_an_address_is_explained_where_nothing_was_found(analyst, emailsec, soup):
    page = soup(analyst.get(URL, {"line": "to:deborah.finch subject:invoice", "panel": "1"}, headers=HTMX))
    advice = page.select_one("#nothing .advice")
    assert "to: takes a whole address or a domain; deborah.finch was taken for a domain." in advice.text
    assert advice.a["href"] == "?q=deborah.finch&subject=invoice&last=24h"


def test_too_many_searches_at_once_are_refused_in_words(analyst, emailsec, soup, searches):
    query = {"disposition": ["SPAM", "BULK", "SPOOF"], "sender": [f"{n}.example" for n in range(5)]}
    response = analyst.get(URL, query)
    assert response.status_code == 422
    assert "15 searches side by side; 12 is the most" in soup(response).select_one("#results .failed").text
    assert searches() == 0


def test_a_chip_takes_its_filter_away(analyst, emailsec, soup):
    page = soup(analyst.get(URL, {"disposition": ["SPAM", "BULK"], "last": "7d", "clean": "1"}))
    chips = {chip.span.text: chip.a for chip in page.select("#filter-chips li")}
    assert set(chips) == {"is: spam", "is: bulk", "clean mail included"}
    assert link_query(chips["is: spam"]) == {"disposition": "BULK", "last": "7d", "clean": "1"}
    assert "clean" not in link_query(chips["clean mail included"])


def test_the_panel_shows_what_stands_in_the_line(analyst, soup):
    page = soup(analyst.get(URL + "filters", {"line": "from:a.example,b.example is:spam last:90m"}))
    assert page.select_one("[name=sender]")["value"] == "a.example, b.example"
    assert [tick["value"] for tick in page.select("[name=disposition][checked]")] == ["SPAM"]
    assert page.select_one("[name=last] [selected]")["value"] == "90m"


def test_the_exact_link_has_no_relative_range(analyst, emailsec, soup, clock):
    button = soup(analyst.get(URL, MONTH)).select_one("[data-key='Shift+U']")
    assert button.has_attr("data-copy-place")  # the script adds the open message and its tab
    copied = button["data-copy"]
    assert copied == "http://testserver/investigate/?start=2026-10-22T01%3A20%3A30Z&end=2026-11-21T01%3A20%3A30Z"
    assert "#arrivals[hx-get]" not in str(analyst.get(copied).content)


def test_local_time_is_shown_beside_utc(analyst, ana, emailsec, soup, clock):
    ana.time_zone, ana.shows_local_time = "Europe/Berlin", True
    ana.save(update_fields=["time_zone", "shows_local_time"])
    page = soup(analyst.get(URL))
    assert page.select_one("#search-meta").text == (
        "last 24 h = 20 Nov 01:20:30 to 21 Nov 01:20:30 UTC (20 Nov 02:20:30 to 21 Nov 02:20:30 in Berlin)"
    )


def test_the_first_visit_teaches_and_any_search_ends_the_lesson(analyst, emailsec, soup):
    page = soup(analyst.get(URL))
    assert len(page.select("#first-visit a")) == 3
    for link in page.select("#first-visit a"):
        answer = soup(analyst.get(URL + link["href"]))
        assert not answer.select("#first-visit")
        assert not answer.select("#ignored")


def test_an_open_message_is_marked_and_its_pane_asked_for(analyst, emailsec, soup, clock):
    wanted = ids(soup(analyst.get(URL, MONTH)))[3]
    page = soup(analyst.get(URL, {**MONTH, "open": wanted}))
    assert page.select_one("tr[data-current]")["data-id"] == wanted
    assert page.select_one("#detail")["hx-trigger"] == "load"
    assert page.select_one("#detail")["hx-get"].endswith("/pane")


def test_nothing_found_says_what_to_change(analyst, emailsec, soup):
    page = soup(analyst.get(URL, {"subject": "no such words anywhere", "last": "7d"}))
    nothing = page.select_one("#nothing")
    assert "No message matches." in nothing.text
    assert "Clean mail is not included." in nothing.text
    assert nothing.select_one(".filterchips a")


# --- slow searches ---


def test_a_slow_search_fills_itself_in(analyst, emailsec, soup, clock, work):
    page = soup(analyst.get(URL, SLOW))
    slow = page.select_one("#slow")
    assert "Still searching 30 days of all mail." in slow.text
    assert "stops at 01:35:30" in slow.text
    assert slow["hx-trigger"] == "load delay:1s"
    assert not page.select("#nothing")
    clock.shift(30)
    page = soup(analyst.get(slow["hx-get"].replace("?", URL + "?", 1), headers=LIST_HTMX))
    assert page.select_one("#slow")["hx-trigger"] == "load delay:6s"
    work()
    page = soup(analyst.get(page.select_one("#slow")["hx-get"].replace("?", URL + "?", 1), headers=LIST_HTMX))
    assert len(ids(page)) == 100
    assert not page.select("#slow")


def test_a_slow_search_survives_leaving_and_is_shared(analyst, responder, emailsec, soup, clock, work, searches):
    analyst.get(URL, SLOW)
    clock.shift(6)
    work()
    before = searches()
    assert len(ids(soup(analyst.get(URL, SLOW)))) == 100
    assert len(ids(soup(responder.get(URL, SLOW)))) == 100
    assert searches() == before


def cancel(client, page, soup, headers=LIST_HTMX):
    form = page.select_one("#slow form")
    return client.post(
        form["action"], {"run": [field["value"] for field in form.select("[name=run]")]}, headers=headers
    )


def test_cancelling_stops_a_search_nobody_else_waits_for(analyst, emailsec, soup, clock, work, searches):
    page = soup(analyst.get(URL, SLOW))
    answer = soup(cancel(analyst, page, soup))
    assert "This search was cancelled by Ana" in answer.select_one("#cancelled").text
    clock.shift(10)
    work()
    assert searches() == 1
    assert soup(analyst.get(URL, {**SLOW, "fresh": "1"})).select_one("#slow")


def test_cancelling_takes_no_search_from_a_colleague(analyst, responder, emailsec, soup, clock, work):
    page = soup(analyst.get(URL, SLOW))
    slow = soup(responder.get(URL, SLOW)).select_one("#slow")
    response = cancel(analyst, page, soup)
    words = "You stopped watching this search; Ben still waits for it."
    assert words in soup(response).select_one("#cancelled").text
    assert words in soup(analyst.get(response["HX-Replace-Url"])).select_one("#cancelled").text
    clock.shift(10)
    work()
    watched = soup(responder.get(slow["hx-get"].replace("?", URL + "?", 1), headers=LIST_HTMX))
    assert len(ids(watched)) == 100
    again = soup(analyst.get(response["HX-Replace-Url"])).select_one("#cancelled a")
    assert len(ids(soup(analyst.get(URL + again["href"].replace("&fresh=1", ""))))) == 100


def test_the_last_to_cancel_ends_it_and_who_went_away_does_not_keep_it(analyst, responder, emailsec, soup, clock):
    page = soup(analyst.get(URL, SLOW))
    other = soup(responder.get(URL, SLOW))
    assert "Ben still waits" in soup(cancel(analyst, page, soup)).text
    assert "cancelled by Ben" in soup(cancel(responder, other, soup)).text
    page = soup(analyst.get(URL, SLOW))
    soup(responder.get(URL, SLOW))
    clock.shift(91)
    assert "cancelled by Ana" in soup(cancel(analyst, page, soup)).text


@pytest.mark.parametrize("headers", [LIST_HTMX, {}])
def test_loading_the_page_again_after_cancelling_starts_nothing(analyst, emailsec, soup, clock, searches, headers):
    response = cancel(analyst, soup(analyst.get(f"{URL}?last=30d&clean=1&open=m-1&tab=raw")), soup, headers)
    address = response["HX-Replace-Url"] if headers else response["Location"]
    assert response.status_code == (200 if headers else 303)
    asked = searches()
    for _ in range(2):
        assert "Search again" in soup(analyst.get(address)).select_one("#cancelled").text
    SearchRun.objects.all().delete()
    assert soup(analyst.get(address)).select_one("#cancelled")
    assert searches() == asked


def test_cancelling_nonsense_does_nothing(analyst, emailsec):
    assert analyst.post(URL + "runs/cancel", {"run": ["x", "\0"]}).status_code == 303
    assert analyst.get(URL + "runs/cancel").status_code == 405


def test_an_endless_search_is_said_to_be_unfinished(analyst, emailsec, soup, clock, work):
    emailsec.faults.endless_search = True
    slow = soup(analyst.get(URL, SLOW)).select_one("#slow")
    clock.shift(901)
    work()
    page = soup(analyst.get(slow["hx-get"].replace("?", URL + "?", 1), headers=LIST_HTMX))
    assert "did not finish" in page.select_one(".failed").text
    assert "narrow it" in page.select_one(".failed").text


# --- what goes wrong ---


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400},
        {"status": 401},
        {"status": 403},
        {"status": 404},
        {"status": 422},
        {"status": 429, "retry_after": 300},
        {"status": 500, "times": None},
        {"html": True},
        {"truncate": 30},
        {"lose_answer": True, "times": None},
        {"location": "https://evil.example/x"},
    ],
)
def test_every_failure_is_a_state_of_the_list_with_a_way_out(analyst, emailsec, soup, settings, fault):
    settings.PAGE_PATIENCE = 0.2
    emailsec.faults.next("search", **fault)
    page = soup(analyst.get(URL, MONTH))
    failed = page.select_one("#results .failed")
    assert failed.select_one("b").text
    assert "fresh=1" in failed.select_one("a")["hx-get"]
    assert not page.select("#nothing")
    assert page.select_one("#filter-line")["value"] == "last:30d"


def test_failures_differ_on_screen(analyst, emailsec, soup, settings):
    settings.PAGE_PATIENCE = 0.2
    said = set()
    for fault in ({"status": 401}, {"status": 403}, {"status": 422}, {"status": 500, "times": 9}, {"html": True}):
        emailsec.faults.clear()
        emailsec.faults.next("search", **fault)
        said.add(soup(analyst.get(URL, {**MONTH, "fresh": "1"})).select_one(".failed b").text)
    assert len(said) == 5


def test_without_budget_old_rows_stay_with_their_age(analyst, emailsec, soup, clock, searches):
    rows = ids(soup(analyst.get(URL, MONTH)))
    clock.shift(120)
    emailsec.faults.next("search", status=429, retry_after=200)
    page = soup(analyst.get(URL, MONTH))
    assert ids(page) == rows
    assert "01:20:30" in page.select_one(".stale").text
    assert page.select_one(".failed [data-until]")
    clock.shift(100)
    assert ids(soup(analyst.get(URL, {**MONTH, "fresh": "1"}))) == rows
    assert searches() == 2
    clock.shift(101)
    assert not soup(analyst.get(URL, MONTH)).select(".stale")


def test_one_branch_that_failed_is_named_above_the_rows_of_the_others(analyst, emailsec, soup):
    emailsec.faults.next("search", status=403)
    page = soup(analyst.get(URL, {"disposition": ["SPAM", "BULK"], "last": "30d"}))
    assert "BULK could not be read" in page.select_one(".partial").text or "SPAM could not be read" in page.text
    assert len({chip.text for chip in page.select("#rows .chip")}) == 1
    again = soup(analyst.get(page.select_one(".partial a")["hx-get"].replace("?", URL + "?", 1)))
    assert {chip.text for chip in again.select("#rows .chip")} == {"Spam", "Bulk"}


def test_more_rows_that_fail_leave_the_list_and_go_on_later(analyst, emailsec, soup, clock):
    page = soup(analyst.get(URL, {"clean": "1", "last": "7d"}))
    emailsec.arrive(200)
    page = soup(analyst.get(URL, {"clean": "1", "last": "7d", "fresh": "1"}))
    button = page.select_one("#load-more")
    emailsec.faults.next("search", status=403)
    failed = soup(analyst.get(URL + button["hx-get"], headers=ROW_HTMX))
    assert "What is above stays as it is." in failed.text
    retry = failed.select_one("a")["hx-get"]
    assert ids(soup(analyst.get(URL + retry, headers=ROW_HTMX)))


@pytest.mark.matrix(47)
def test_a_cursor_that_repeats_ends_the_list_and_says_so(analyst, emailsec, soup, clock):
    row = {"id": "a", "scanned_at": "2026-11-20T10:00:00Z"}
    for _ in range(2):
        body = {"success": True, "errors": [], "messages": [], "result": [row], "result_info": {"next": "same"}}
        emailsec.faults.next("search", body=json.dumps(body), status=200)
    page = soup(analyst.get(URL))
    page = soup(analyst.get(URL + page.select_one("#load-more")["hx-get"], headers=ROW_HTMX))
    assert ids(page) == []
    assert page.select_one("#changed")
    assert not page.select("#load-more")


@pytest.mark.matrix(47)
def test_an_empty_page_with_a_cursor_is_the_end_and_says_so(analyst, emailsec, soup):
    body = {"success": True, "errors": [], "messages": [], "result": [], "result_info": {"next": "more"}}
    emailsec.faults.next("search", body=json.dumps(body), status=200)
    page = soup(analyst.get(URL))
    assert "may have changed" in page.select_one("#nothing").text


# --- who may ---


def test_everybody_who_may_read_metadata_may_search(viewer, emailsec):
    assert viewer.get(URL).status_code == 200


def test_strangers_are_sent_to_sign_in(client, db):
    for address in (URL, URL + "arrivals", URL + "filters"):
        assert client.get(address).status_code == 302
    assert client.get(URL, headers=HTMX).status_code == 401
    assert client.post(URL + "runs/cancel").status_code in (302, 401)
    assert not SearchRun.objects.exists()


# --- rows ---


def message(**values) -> MessageRow:
    return MessageRow(id="m", **{"from_": "billing@shop.example", **values})


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        ({}, ""),
        ({"from_name": "Shop Billing"}, ""),
        ({"from_name": "service@paypal.com"}, "name differs"),
        ({"from_name": "PayPal (paypal.com)"}, "name differs"),
        ({"from_name": "help@mail.shop.example"}, ""),
        ({"replyto": "x@evil.example"}, "reply-to differs"),
        ({"replyto": "x@mail.shop.example"}, ""),
        ({"envelope_from": "bounce@mailer.example"}, "envelope differs"),
        ({"envelope_from": "b@bounces.shop.example"}, ""),
        ({"from_": "a@p\u0430ypal.example"}, "xn--pypal-4ve.example"),
    ],
)
def test_a_sender_that_does_not_fit_is_marked(values, mark):
    row = message(**values)
    assert mismatch(row, (row.from_ or "").rpartition("@")[2]) == mark


def test_delivery_is_said_in_words():
    assert where(message(is_quarantined=True)) == "quarantined"
    assert (
        where(message(wire_delivery_status=(D.DELIVERED, D.MOVE_FAILED, D.DELIVERED))) == "2 delivered, 1 move failed"
    )


@pytest.fixture
def request_of_ana(rf, ana):
    request = rf.get(URL)
    request.user = ana
    return request


def test_hostile_text_is_inert_in_every_cell(hostile_strings, request_of_ana):
    for text in hostile_strings:
        row = message(
            from_=text, from_name=text, subject=text, replyto=text, envelope_from=text,
            wire_to=(text, text), wire_reasons=(text, text), wire_scanned_at=text,
        )  # fmt: skip
        html = render_rows([row], request_of_ana)
        tags = set(re.findall(r"<(/?\w+)", html))
        assert tags <= {
            "tr",
            "/tr",
            "td",
            "/td",
            "span",
            "/span",
            "time",
            "/time",
            "b",
            "/b",
            "em",
            "/em",
            "a",
            "/a",
            "bdi",
            "/bdi",
        }
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\u200b]", html)
        assert html.count("href=") == 1


def test_a_hostile_id_stays_one_segment_of_one_attribute(request_of_ana):
    row = MessageRow(id='"><script>/../x?y#z')
    html = render_rows([row], request_of_ana)
    assert "<script" not in html
    assert "/investigate/%22%3E%3Cscript%3E%2F..%2Fx%3Fy%23z/" in html


def test_a_remembered_row_is_written_again_for_another_zone_and_while_it_is_open(request_of_ana):
    row = message(wire_scanned_at="2026-11-20T23:30:00Z")
    usual = render_rows([row], request_of_ana)
    with timezone.override(zoneinfo.ZoneInfo("Europe/Berlin")):
        local = render_rows([row], request_of_ana)
    opened = render_rows([row], request_of_ana, open_id=row.id)
    assert "23:30:00" in usual
    assert "20 November" in usual
    assert "00:30:00" in local
    assert "21 November" in local
    assert 'aria-current="true"' in opened
    assert render_rows([row], request_of_ana) == usual


@pytest.fixture
def hostile_strings() -> list[str]:
    return [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "'-alert(1)-'",
        "{{ 7*7 }}{% debug %}",
        "\u202egpj.exe",
        "a\x00b\x08c",
        "zero\u200bwidth",
        "javascript:alert(1)",
        "</td></tr></table><h1>x",
        "&lt;b&gt;&amp;",
        "a" * 5000,
        "@@@@",
        "x@<b>.example",
        "\u0301" * 200,
    ]
