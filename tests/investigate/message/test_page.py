"""The message as a page and as the pane beside the list."""

from __future__ import annotations

import datetime as dt
import json
import zlib

import pytest
from django.conf import settings
from django.utils import timezone

from dashboard.upstream.models import Copy
from dashboard.web.text import dom_id
from investigate.models import SearchRun, SearchState
from tests.conftest import HTMX
from tests.investigate.message.corpus import hostile_strings

LIVE = "script, img, svg, math, object, embed, style, link, meta, base, marquee, video, audio, iframe, template"


def pane(client, investigate_id: str, query: str = ""):
    return client.get(f"/investigate/{investigate_id}/pane{query}", headers={**HTMX, "HX-Target": "detail"})


def test_the_pane_holds_head_reasons_and_a_place_for_every_part(analyst, threat, soup):
    page = soup(pane(analyst, threat.id))

    assert page.select_one("h2.subject").text == threat.subject
    assert page.select_one(".verdicts .chip")["data-verdict"] == "MALICIOUS"
    assert page.select_one(".verdicts .where").text == "Quarantined"
    assert page.select_one(f"#head-us-{dom_id(threat.id)}") is not None
    names = [tab["data-tab"] for tab in page.select("[role=tab]")]
    assert names == ["why", "preview", "links", "attachments", "headers", "raw", "trace", "history", "campaign"]
    assert page.select_one("#panel-why .reasons li")
    assert not page.select_one("#panel-why").has_attr("hidden")
    for name in names[1:]:
        panel = page.select_one(f"#panel-{name}")
        assert panel["hx-get"] == f"/investigate/{threat.id}/parts/{name}"
        assert panel["hx-trigger"] == f"click from:#tab-{name} once"
        assert panel.has_attr("hidden")


def test_the_page_has_one_first_heading_and_the_same_article(analyst, threat, soup):
    page = soup(analyst.get(f"/investigate/{threat.id}/"))

    assert [heading.text for heading in page.select("h1")] == [threat.subject]
    assert page.select_one("#detail article.message")["data-id"] == threat.id


@pytest.mark.parametrize(
    ("query", "referrer", "words", "href"),
    [
        ("", "http://testserver/investigate/?q=invoice&last=24h", "Back to the search", "?q=invoice&last=24h"),
        ("", "http://testserver/investigate/queue/?list=all&source=user", "Back to the queue", "?list=all&source=user"),
        ("?queue=mine", "", "Back to the queue", "/investigate/queue/?list=mine"),
        ("", "https://elsewhere.example/investigate/?q=lure", "To the search", "/investigate/"),
        ("", "", "To the search", "/investigate/"),
    ],
)
def test_the_page_leads_back_to_the_list_it_came_from(analyst, threat, soup, query, referrer, words, href):
    back = soup(analyst.get(f"/investigate/{threat.id}/{query}", headers={"Referer": referrer})).select_one(".back a")

    assert back.text == words
    assert back["href"].endswith(href)


def test_facts_name_what_differs_in_words(analyst, emailsec, soup):
    record = next(r for r in emailsec.store.records if r.is_detection and r.from_ and r.from_name)
    record.replyto = "answers@elsewhere.example"

    facts = {row.dt.text: row.dd.text for row in soup(pane(analyst, record.id)).select(".facts > div")}

    assert "differs from From" in facts["Reply-To"]
    assert record.from_ in facts["From"]
    assert "UTC" in facts["Sent"]
    assert "UTC" in facts["Scanned"]
    assert (
        facts["Auth"]
        == f"SPF {record.validation.spf} · DKIM {record.validation.dkim} · DMARC {record.validation.dmarc}"
    )
    assert record.message_id in facts["Message-ID"]


def test_the_network_is_named(analyst, threat, soup):
    facts = {row.dt.text: row.dd.text for row in soup(pane(analyst, threat.id)).select(".facts > div")}

    assert f"AS{threat.sender_info.as_number}" in facts["Network"]
    assert threat.sender_info.as_name in facts["Network"]


def test_opening_costs_two_calls_once(analyst, threat, calls):
    pane(analyst, threat.id)
    assert sorted(calls()) == ["detections", "message"]

    pane(analyst, threat.id)
    assert calls() == []


def remembered(*rows: dict[str, object]) -> None:
    """A finished search whose answer held these rows."""
    now = timezone.now()
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": rows}).encode()
    SearchRun.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, key="known",
        parameters={}, start=now, end=now, started_at=now, answered_at=now, deadline_at=now,
        state=SearchState.DONE, body=zlib.compress(body), count=len(rows),
    )  # fmt: skip


def test_clean_mail_known_from_a_search_costs_one_call(analyst, clean, calls):
    remembered({"id": "another"}, {"id": clean.id, "final_disposition": "NONE"})

    pane(analyst, clean.id)

    assert calls() == ["message"]


def test_clean_mail_opens_without_detections(analyst, clean, soup):
    page = soup(pane(analyst, clean.id))

    assert page.select_one(".verdicts .chip").text == "Clean"
    assert page.select_one(".failed") is None


def test_a_failure_of_the_detections_leaves_the_head(analyst, threat, emailsec, soup):
    emailsec.faults.next("detections", times=None, status=500)

    response = pane(analyst, threat.id)

    page = soup(response)
    assert response.status_code == 200
    assert page.select_one("h2.subject").text == threat.subject
    assert page.select_one("#panel-why .failed [hx-get$='/parts/why']")
    assert page.select_one("footer.actions")


def test_a_message_that_is_gone_says_so_in_the_pane(analyst, emailsec):
    response = pane(analyst, "never-was-here:1")

    assert response.status_code == 404
    assert response["HX-Retarget"] == "#detail"
    assert "Not here (any more)" in response.text
    assert "never-was-here:1" in response.text


def test_a_message_that_is_gone_says_so_on_its_page(analyst, emailsec, soup):
    response = analyst.get("/investigate/never-was-here/")

    assert response.status_code == 404
    assert soup(response).select_one("h1").text == "Not here (any more)"


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"status": 401}, 502), ({"status": 403}, 502), ({"status": 429, "retry_after": 30}, 503), ({"html": True}, 502)],
)
def test_a_message_that_cannot_be_read_can_be_tried_again(fault, status, analyst, threat, emailsec, soup):
    emailsec.faults.next("message", times=None, **fault)

    beside = pane(analyst, threat.id)
    alone = analyst.get(f"/investigate/{threat.id}/")

    assert beside.status_code == status
    assert beside["HX-Retarget"] == "#detail"
    assert soup(beside).select_one("[hx-get]")["hx-get"] == f"/investigate/{threat.id}/pane"
    assert alone.status_code == status
    assert soup(alone).select_one(".failed a")["href"] == f"/investigate/{threat.id}/"


@pytest.mark.parametrize("name", ["preview", "links", "attachments", "headers", "raw", "trace", "history", "campaign"])
def test_a_part_named_in_the_address_is_on_the_page_without_script(name, analyst, threat, soup):
    page = soup(analyst.get(f"/investigate/{threat.id}/?tab={name}"))

    panel = page.select_one(f"#panel-{name}")
    assert not panel.has_attr("hidden")
    assert not panel.has_attr("hx-get")
    assert panel.select_one(".loading") is None
    assert page.select_one("#panel-why").has_attr("hidden")
    assert page.select_one(f"#tab-{name}")["aria-selected"] == "true"


def test_an_unknown_tab_shows_the_reasons(analyst, threat, soup):
    page = soup(analyst.get(f"/investigate/{threat.id}/?tab=nothing"))

    assert page.select_one("#tab-why")["aria-selected"] == "true"


@pytest.mark.parametrize("member", ["viewer", "auditor", "policy_manager", "responder", "admin"])
def test_everybody_sees_the_metadata(member, threat, request, soup):
    page = soup(pane(request.getfixturevalue(member), threat.id))

    assert page.select_one("h2.subject").text == threat.subject


def test_the_signed_out_are_asked_to_sign_in(client, threat):
    assert client.get(f"/investigate/{threat.id}/").status_code == 302
    assert client.get(f"/investigate/{threat.id}/pane", headers=HTMX).status_code == 401


def test_a_link_in_a_reason_leads_to_its_tab(analyst, emailsec, soup):
    for record in emailsec.store.records:
        if record.is_detection and record.links():
            jumps = soup(pane(analyst, record.id)).select("a[data-jump]")
            if jumps:
                break
    jump = jumps[0]

    assert jump["href"] == f"/investigate/{record.id}/?tab={jump['data-jump']}#{jump['data-anchor']}"
    target = soup(analyst.get(jump["href"].partition("#")[0]))
    assert target.select_one(f"#{jump['data-anchor']}")


def test_the_state_of_a_message_is_read_again_after_half_a_minute(analyst, threat, calls):
    pane(analyst, threat.id)
    Copy.objects.filter(part="message").update(fetched_at=timezone.now() - dt.timedelta(seconds=31))
    calls()

    pane(analyst, threat.id)

    assert calls() == ["message"]


def test_hostile_texts_stay_texts_on_every_part(analyst, threat, emailsec, soup):
    """One message that holds every hostile string in one of its fields, and all of them as headers and links."""
    few = ['"><img src=x onerror=alert(1)>', "<script>alert(1)</script>", "javascript:alert(1)"]
    strings = [value.encode("utf-8", "replace").decode() for value in hostile_strings()] or few
    spoken = "\n".join(strings)[:20_000]
    hostile = {
        **dict.fromkeys(("subject", "from", "from_name", "replyto", "envelope_from", "message_id"), spoken),
        **dict.fromkeys(("to", "client_recipients", "delivery_status"), strings[:50]),
        **dict.fromkeys(("detection_reasons", "threat_categories"), strings),
        "id": threat.id,
        "final_disposition": "MALICIOUS",
        "properties": {"allowlisted_pattern": spoken, "allowlisted_pattern_type": strings[0]},
    }
    detections = {
        "headers": [{"name": value, "value": value} for value in strings],
        "links": [{"href": value, "text": value} for value in strings],
        "attachments": [
            {"size": 1, "filename": value, "content_type": value, "sha256": value, "detection": value}
            for value in strings
        ],
        "findings": [
            {"name": value, "reason": value, "value": value, "detail": value, "detection": value} for value in strings
        ],
        "sender_info": {"ip": strings[0], "as_name": strings[1], "geo": strings[2], "as_number": 1},
        "threat_categories": [{"id": 1, "name": value, "description": value} for value in strings],
    }
    trace = {"inbound": {"lines": [{"lineno": n, "message": value} for n, value in enumerate(strings)]}, "outbound": {}}
    for operation, result in (("message", hostile), ("detections", detections), ("trace", trace)):
        body = json.dumps({"success": True, "errors": [], "messages": [], "result": result})
        emailsec.faults.next(operation, times=None, body=body, content_type="application/json")

    allowed = {"src": f"/investigate/{threat.id}/", "href": ("/", "#", "?"), "action": "/"}
    for query in ["why", "links", "attachments", "headers", "trace", "history"]:
        response = analyst.get(f"/investigate/{threat.id}/?tab={query}")
        assert response.status_code == 200, query
        page = soup(response).select_one("article")
        assert page.select(LIVE) == []
        for element in page.find_all():
            assert not [name for name in element.attrs if name.startswith("on") or name == "style"], element.name
            for name, start in allowed.items():
                if element.has_attr(name):
                    assert element[name].startswith(start), element
        assert "\u202e" not in response.text
        assert "\x00" not in response.text
