"""Each part loads alone, fails alone, is retried alone, and costs nothing the second time."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json

import pytest
from django.urls import reverse
from django.utils import timezone

from dashboard.upstream.connection import get_client
from dashboard.upstream.models import Copy
from investigate.message import store
from tests.conftest import HTMX

PARTS = ["why", "preview", "links", "attachments", "headers", "raw", "trace", "history", "campaign"]
BODY_PARTS = ["preview", "links", "attachments", "headers", "raw"]
OPERATION = {
    "preview": "preview", "links": "detections", "attachments": "detections", "headers": "detections", "raw": "raw",
    "trace": "trace", "campaign": "search",
}  # fmt: skip


def part(client, investigate_id: str, name: str, query: str = ""):
    url = reverse("investigate:part", args=[investigate_id, name]) + query
    return client.get(url, headers={**HTMX, "HX-Target": f"panel-{name}"})


@pytest.mark.parametrize("name", PARTS)
def test_every_part_of_a_threat_loads(name, analyst, threat):
    response = part(analyst, threat.id, name)

    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert "<html" not in response.text


def test_an_unknown_part_does_not_exist(analyst, threat):
    assert part(analyst, threat.id, "secrets").status_code == 404


def test_a_part_asked_for_without_script_leads_to_its_page(analyst, threat):
    response = analyst.get(reverse("investigate:part", args=[threat.id, "links"]))

    assert response.status_code == 302
    assert response["Location"].endswith(f"/investigate/{threat.id}/?tab=links")


@pytest.mark.parametrize("name", ["preview", "raw", "links", "headers", "attachments", "why", "trace"])
def test_a_second_look_costs_no_call(name, analyst, threat, calls):
    assert part(analyst, threat.id, name).status_code == 200
    assert calls()

    assert part(analyst, threat.id, name).status_code == 200

    assert calls() == []


@pytest.mark.parametrize("name", ["preview", "raw"])
def test_a_look_an_hour_later_costs_no_call_either(name, analyst, threat, calls):
    part(analyst, threat.id, name)
    Copy.objects.update(fetched_at=timezone.now() - dt.timedelta(hours=1))
    calls()

    assert part(analyst, threat.id, name).status_code == 200
    assert calls() == []


def test_colleagues_share_what_was_read(analyst, responder, threat, calls):
    part(analyst, threat.id, "raw")
    calls()

    part(responder, threat.id, "raw")

    assert calls() == []


def test_bodies_are_kept_compressed_and_not_for_ever(analyst, threat, settings):
    settings.BODY_RETENTION_HOURS = 1
    part(analyst, threat.id, "raw")

    copy = Copy.objects.get(investigate_id=threat.id, part="raw")

    assert threat.eml().encode() == store.kept(threat.id, "raw")
    assert len(copy.body) < len(threat.eml())
    assert (copy.expires_at - copy.fetched_at).total_seconds() == 3600


def test_a_copy_nobody_can_read_is_fetched_again(analyst, threat, calls):
    part(analyst, threat.id, "links")
    Copy.objects.filter(part="detections").update(body=b"not compressed at all")
    calls()

    assert part(analyst, threat.id, "links").status_code == 200
    assert calls() == ["detections"]


@pytest.mark.parametrize("name", OPERATION)
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"status": 401}, 502),
        ({"status": 403}, 502),
        ({"status": 404}, 404),
        ({"status": 422}, 422),
        ({"status": 429, "retry_after": 30}, 503),
        ({"html": True}, 502),
        ({"truncate": 40}, 502),
        ({"success_false": True}, 502),
    ],
    ids=["401", "403", "404", "422", "429", "html", "truncated", "no success"],
)
def test_a_part_that_fails_says_so_in_its_place_and_can_be_retried(
    name, fault, status, analyst, threat, emailsec, soup
):
    if name == "campaign" and status == 404:
        pytest.skip("a search has no message that could be gone")
    part(analyst, threat.id, "history")  # the message itself is known
    emailsec.faults.next(OPERATION[name], times=None, **fault)

    response = part(analyst, threat.id, name)

    assert response.status_code == status
    assert response["HX-Retarget"] == f"#panel-{name}"
    retry = soup(response).select_one("[hx-get]")
    assert retry["hx-get"] == f"/investigate/{threat.id}/parts/{name}"
    emailsec.faults.clear()
    if "retry_after" not in fault:
        assert part(analyst, threat.id, name).status_code == 200


def test_reasons_stay_when_detections_fail(analyst, threat, emailsec, soup):
    emailsec.faults.next("detections", times=None, status=500)

    response = part(analyst, threat.id, "why")

    page = soup(response)
    assert response.status_code == 200
    assert page.select_one(".failed [hx-get$='/parts/why']")
    assert len(page.select(".reasons li")) >= len(set(threat.detection_reasons))


def test_our_own_history_stays_when_the_log_fails(analyst, threat, emailsec, soup):
    emailsec.faults.next("action_log", times=None, status=500)

    response = part(analyst, threat.id, "history")

    assert response.status_code == 200
    assert "Only our own actions are shown." in response.text


@pytest.mark.parametrize("name", ["links", "attachments", "headers", "raw", "preview"])
def test_clean_mail_says_why_without_a_call(name, analyst, clean, calls):
    part(analyst, clean.id, "why")
    calls()

    response = part(analyst, clean.id, name)

    assert response.status_code == 200
    assert "lean mail" in response.text or "only for mail with a detection" in response.text
    assert calls() == []


def test_clean_mail_is_rendered_only_by_a_click(analyst, clean, calls, soup):
    form = soup(part(analyst, clean.id, "preview")).select_one("form")
    assert form["method"] == "post"
    calls()

    response = analyst.post(form["action"], headers=HTMX)

    assert response.status_code == 200
    assert calls() == ["preview_clean"]
    assert soup(response).select_one("img")["src"] == f"/investigate/{clean.id}/preview.png"
    assert analyst.get(f"/investigate/{clean.id}/preview.png")["Content-Type"] == "image/png"
    assert calls() == []


def test_clean_mail_can_be_rendered_without_script(analyst, clean):
    response = analyst.post(f"/investigate/{clean.id}/preview")

    assert response.status_code == 303
    assert response["Location"] == f"/investigate/{clean.id}/?tab=preview"


def test_rendering_that_is_refused_says_so_in_the_panel(analyst, clean, emailsec):
    emailsec.faults.next("preview_clean", status=422, message="The message is no longer in the inbox.")

    response = analyst.post(f"/investigate/{clean.id}/preview", headers=HTMX)

    assert response.status_code == 422
    assert response["HX-Retarget"] == "#panel-preview"
    assert "no longer in the inbox" in response.text


def test_a_picture_that_is_none_is_refused(analyst, threat, emailsec):
    body = '{"success":true,"errors":[],"messages":[],"result":{"screenshot":"%s"}}'
    fake = base64.b64encode(b"\x89PNG\r\n\x1a\n<script>alert(1)</script>").decode()
    emailsec.faults.next("preview", body=body % fake, content_type="application/json")

    response = part(analyst, threat.id, "preview")

    assert "did not pass our checks" in response.text
    assert "<img" not in response.text
    assert store.kept(threat.id, "preview") is None


def test_links_are_text_and_never_lead_anywhere(analyst, threat, soup):
    page = soup(part(analyst, threat.id, "links"))

    assert len(page.select("tbody tr")) == len(threat.links())
    assert page.select("[href], [src]") == []
    assert "hxxp" in page.select_one(".target").text
    assert page.select_one("tr#link-1 button[data-copy]")


def test_a_link_that_a_finding_names_carries_its_verdict(analyst, emailsec, soup):
    record = next(
        r
        for r in emailsec.store.records
        if r.links()
        and any(f.detection == "MALICIOUS" and f.value and f.value in r.links()[0].href for f in r.findings())
    )

    rows = soup(part(analyst, record.id, "links")).select("tbody tr")

    assert "MALICIOUS" in {chip["data-verdict"] for row in rows for chip in row.select(".chip")}


def test_attachments_have_hashes_to_copy(analyst, enclosed, soup):
    page = soup(part(analyst, enclosed.id, "attachments"))
    attachment = enclosed.attachments()[0]

    copies = {button["data-copy"] for button in page.select("tr#attachment-1 button")}
    assert copies == {attachment.sha256, attachment.sha1, attachment.md5}


def test_headers_are_listed_and_can_be_found(analyst, threat, soup):
    everything = soup(part(analyst, threat.id, "headers"))
    found = soup(part(analyst, threat.id, "headers", "?find=subject"))

    assert len(everything.select("dt")) == len(threat.headers())
    assert "Subject" in {dt.text for dt in found.select("dt")}
    assert len(found.select("dt")) < len(everything.select("dt"))


def test_headers_come_from_the_raw_mail_where_none_are_listed(analyst, threat, emailsec):
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": {"headers": [], "links": []}})
    emailsec.faults.next("detections", body=body, content_type="application/json")

    response = part(analyst, threat.id, "headers")

    assert "read from the raw mail" in response.text
    assert "Message-ID" in response.text


def test_raw_is_shown_in_a_sandboxed_frame_only(analyst, threat, soup):
    frame = soup(part(analyst, threat.id, "raw")).select_one("iframe")

    assert frame.get_attribute_list("sandbox") in ([], [""])  # nothing is allowed
    assert frame["src"] == f"/investigate/{threat.id}/raw.txt"
    assert not frame.has_attr("srcdoc")


def test_a_growing_trace_is_looked_at_three_times(analyst, threat, emailsec, soup):
    side = {"pending": True, "lines": [{"lineno": 1, "logged_at": "2026-11-20T10:00:00Z", "message": "a"}]}
    late = {"lineno": 2, "logged_at": "2026-11-20T10:12:00Z", "message": "b"}
    trace = {"inbound": {**side, "lines": [*side["lines"], late]}, "outbound": {"pending": False, "lines": []}}
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": trace})
    emailsec.faults.next("trace", times=None, body=body, content_type="application/json")

    waits = []
    query = ""
    while True:
        page = soup(part(analyst, threat.id, "trace", query))
        root = page.select_one(".trace")
        if not root.has_attr("hx-trigger"):
            break
        waits.append(root["hx-trigger"])
        query = "?" + root["hx-get"].partition("?")[2]

    assert waits == ["load delay:5s", "load delay:10s", "load delay:20s"]
    assert "No longer looked at by itself." in page.text
    assert page.select_one("li.gap").text == "12 min nothing"
    assert store.kept(threat.id, "trace") is None


def test_copies_of_the_campaign_are_found(analyst, emailsec, soup):
    found = sorted((r for r in emailsec.store.records if r.is_detection and r.edf_hash), key=lambda r: r.scanned_at)
    # The page looks at the days around a message and at mail of the same sender's domain: two of a campaign lie there.
    newest, common = next(
        (later, later.edf_hash)
        for earlier, later in itertools.combinations(found, 2)
        if later.edf_hash == earlier.edf_hash
        and later.from_.split("@")[1] == earlier.from_.split("@")[1]
        and later.scanned_at - earlier.scanned_at < 2 * 86_400
    )

    page = soup(part(analyst, newest.id, "campaign"))

    assert page.select("tbody tr")
    shown = {link["href"].split("/")[2] for link in page.select("tbody a")}
    assert shown <= {
        r.id
        for r in emailsec.store.records
        if r.edf_hash == common or r.htmltext_structure_hash == newest.htmltext_structure_hash
    }
    assert newest.id not in shown
    assert "Cloudflare cannot be asked for a fingerprint" in page.text


def test_a_campaign_search_that_would_be_slow_is_not_waited_for(analyst, threat, emailsec):
    emailsec.faults.endless_search = True

    response = part(analyst, threat.id, "campaign")

    assert "would take long and was not waited for" in response.text


def test_what_cloudflare_logged_is_in_the_time_line(analyst, emailsec, threat):
    get_client().release([threat.id])

    assert "Released from quarantine." in part(analyst, threat.id, "history").text


def test_a_reported_copy_is_found_in_its_own_store(analyst, emailsec, calls):
    reported = emailsec.store.reported[0]

    response = part(analyst, reported.id, "why")

    assert response.status_code == 200
    assert calls()[:2] == ["message", "message"]


@pytest.mark.parametrize("name", BODY_PARTS)
@pytest.mark.parametrize("member", ["viewer", "auditor", "policy_manager"])
def test_who_may_not_read_bodies_is_told_so(name, member, threat, calls, request):
    client = request.getfixturevalue(member)

    response = part(client, threat.id, name)

    assert response.status_code == 403
    assert "You may not read what the sender wrote." in response.text
    assert "These roles can: analyst, responder. " in response.text
    assert response["HX-Retarget"] == f"#panel-{name}"
    assert set(calls()) <= {"message"}


def test_reasons_for_a_viewer_hold_nothing_of_the_body(viewer, emailsec):
    record = next(r for r in emailsec.store.records if r.is_detection and any(f.value for f in r.findings()))

    text = part(viewer, record.id, "why").text

    for link in record.links():
        assert link.href not in text
    for attachment in record.attachments():
        assert attachment.filename not in text


def test_an_odd_id_is_a_message_that_does_not_exist(analyst, emailsec, calls):
    for odd in ("..", "a\x00b", "a\nb", "x" * 600):
        assert part(analyst, odd, "why").status_code == 404
    assert calls() == []
