"""A case on paper: everything a reader needs who was not there, cut to what its printer may know."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from bs4 import BeautifulSoup
from django.conf import settings as configured
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.access.scope import spaced
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from dashboard.web.text import defang
from investigate.desk import cases, notes
from investigate.memory.remembering import remember
from investigate.models import Action, ActionItem, ActionKind, ActionState, Evidence, Receipt, SeenSubmission
from tests.investigate.message.corpus import hostile_strings, needs_strings

Soup = Callable[..., BeautifulSoup]


def told(page: BeautifulSoup, heading: str) -> str:
    """What stands below a heading, on one line."""
    (section,) = (one for one in page.select(".report section") if one.h2.text.startswith(heading))
    return " ".join(section.get_text(" ").split())


@pytest.fixture
def story(threat: Any, ben: Member) -> Any:
    """A message the team has judged, moved, noted and kept."""
    now, domains = timezone.now(), spaced(threat.client_recipients)
    case = cases.ensure(get_client().message(threat.id))
    case = cases.set_verdict(actor=ben, case=case, verdict="true_positive", request=None)
    notes.add_note(actor=ben, case=case, text="Bea clicked <b>it</b>.", operation_key=uuid.uuid4().hex, request=None)
    action = Action.objects.create(
        operation_key=uuid.uuid4().hex,
        fingerprint="f",
        actor=ben,
        actor_name=ben.display_name,
        kind=ActionKind.MOVE,
        destination="JunkEmail",
        state=ActionState.DONE,
        reason="ticket 4711",
        created_at=now,
        due_at=now,
        finished_at=now,
    )
    item = ActionItem.objects.create(
        action=action, investigate_id=threat.id, edf_hash=threat.edf_hash or "", state="done", domains=domains
    )
    Receipt.objects.create(item=item, recipient=threat.client_recipients[0], is_done=True, completed_at=now)
    SeenSubmission.objects.create(
        account_id=configured.CLOUDFLARE_ACCOUNT_ID,
        submission_id="s-1",
        type="TEAM",
        original="MALICIOUS",
        requested="SPAM",
        outcome="BULK",
        postfix_id=threat.postfix_id,
        requested_at=now,
        first_seen_at=now,
        seen_at=now,
        domains=domains,
    )
    Evidence.objects.create(
        account_id=configured.CLOUDFLARE_ACCOUNT_ID,
        investigate_id=threat.id,
        sha256="ab" * 32,
        size=4711,
        sealed=b"",
        domains=domains,
        member_name="Ben",
        kept_at=now,
    )
    return threat


def test_the_report_tells_the_whole_case(analyst: Client, story: Any, soup: Soup) -> None:
    page = soup(analyst.get(reverse("investigate:report", args=[story.id])))

    assert page.h1.text == story.subject
    verdicts = told(page, "Verdicts")
    assert "Cloudflare Malicious" in verdicts
    assert "True positive , by Ben" in verdicts
    assert "was MALICIOUS, asked for SPAM; answered BULK" in verdicts
    copies = told(page, "Recipients")
    for address in story.client_recipients:
        assert address in copies
    assert "quarantined moved to Junk, " in copies
    done = told(page, "What was done")
    assert "Ben : Moved" in done
    assert "Reason: ticket 4711" in done
    assert f"{story.client_recipients[0]} : moved" in done
    assert "Ben , " in told(page, "Notes")
    assert "Bea clicked <b>it</b>." in told(page, "Notes")
    assert "ab" * 32 in told(page, "Evidence")
    assert told(page, "Why")
    assert "Printed by Ana" in page.select_one(".report footer").text
    assert all(time["datetime"].endswith("Z") and "UTC" in time.text for time in page.select(".report time"))


def test_indicators_are_printed_defanged(analyst: Client, story: Any, soup: Soup) -> None:
    page = soup(analyst.get(reverse("investigate:report", args=[story.id])))
    section = next(one for one in page.select(".report section") if one.h2.text.startswith("Indicators"))

    values = [code.text for code in section.select("code")]
    assert defang(story.from_) in values
    assert any(value.startswith("hxxp") for value in values)
    assert not any(value.startswith("http") for value in values)


def test_notes_can_be_left_out(analyst: Client, story: Any, soup: Soup) -> None:
    page = soup(analyst.get(reverse("investigate:report", args=[story.id])))
    without = soup(analyst.get(reverse("investigate:report", args=[story.id]) + page.select(".crumbs a")[1]["href"]))

    assert "Bea clicked" not in without.text
    assert not [one for one in without.select(".report section") if one.h2.text == "Notes"]
    assert "Bea clicked" in soup(analyst.get(f"{reverse('investigate:report', args=[story.id])}?notes=1")).text


def test_a_report_is_written_down(analyst: Client, story: Any) -> None:
    analyst.get(reverse("investigate:report", args=[story.id]) + "?notes=0")

    assert AuditEvent.objects.get(action="message:links").detail["for"] == "indicators", "links are on the page"
    event = AuditEvent.objects.get(action="message:report")
    assert event.targets == [story.id]
    assert event.detail == {"notes": False}
    assert event.actor_name == "Ana"


def test_what_the_body_says_stays_out_where_it_is_covered(
    analyst: Client, story: Any, soup: Soup, settings: Any
) -> None:
    settings.PRIVACY = True
    page = soup(analyst.get(reverse("investigate:report", args=[story.id])))

    assert "left out: it was covered" in told(page, "Why")
    assert "hxxp" not in page.select_one(".report").text


def limited(*domains: str) -> Client:
    member = Member.objects.create(username="sam", first_name="Sam", role=Role.ANALYST, domains=list(domains))
    client = Client()
    client.force_login(member)
    return client


def test_somebody_limited_to_a_domain_prints_their_copies_alone(story: Any, soup: Soup, emailsec: Simulator) -> None:
    domain = story.client_recipients[0].rpartition("@")[2]
    story.client_recipients = (story.client_recipients[0], "eve@elsewhere.example")
    story.envelope_to = story.to = story.client_recipients
    story.delivery_status = ("quarantined", "delivered")
    one = msgspec.structs.replace(get_client().message(story.id))
    remember([one])
    client = limited(domain)

    for address in (
        reverse("investigate:report", args=[story.id]),
        f"{reverse('investigate:campaign_report')}?by=edf&key={one.edf_hash}",
    ):
        page = soup(client.get(address))
        assert story.client_recipients[0] in page.text
        assert "elsewhere.example" not in page.text
    Member.objects.filter(username="sam").update(domains=["other.example"])
    assert client.get(reverse("investigate:report", args=[story.id])).status_code == 404
    assert client.get(f"{reverse('investigate:campaign_report')}?by=edf&key={one.edf_hash}").status_code == 404


def test_a_campaign_is_told_with_all_its_copies(analyst: Client, story: Any, soup: Soup) -> None:
    one = get_client().message(story.id)
    replaced = {"id": "other-1", "client_recipients": ("zoe@corp.example",), "is_quarantined": False}
    remember([one, msgspec.structs.replace(one, **replaced)])
    page = soup(analyst.get(f"{reverse('investigate:campaign_report')}?by=edf&key={one.edf_hash}"))

    assert page.h1.text == story.subject
    assert "2 with " in told(page, "Campaign")
    assert "Malicious 2" in told(page, "Verdicts")
    assert "True positive 1 ( Ben )" in told(page, "Verdicts")
    copies = told(page, "Messages, and where")
    assert "zoe@corp.example" in copies
    assert f"{story.client_recipients[0]} quarantined moved to Junk" in copies
    assert "Reason: ticket 4711" in told(page, "What was done")
    assert "Bea clicked" in told(page, "Notes")
    assert "ab" * 32 in told(page, "Evidence")
    event = AuditEvent.objects.get(action="message:report")
    assert event.detail["messages"] == 2


@pytest.mark.parametrize("query", ["", "by=edf", "by=edf&key=unknown", "by=other&key=x", f"by=edf&key={'x' * 300}"])
def test_what_names_no_campaign_is_not_found(analyst: Client, emailsec: Simulator, query: str) -> None:
    assert analyst.get(f"{reverse('investigate:campaign_report')}?{query}").status_code == 404
    assert analyst.get(f"{reverse('investigate:campaign_indicators')}?{query}").status_code == 404


def test_a_message_that_cannot_be_read_gives_no_half_report(analyst: Client, threat: Any, emailsec: Simulator) -> None:
    emailsec.faults.next("message", times=None, status=500)

    assert analyst.get(reverse("investigate:report", args=[threat.id])).status_code == 503
    emailsec.faults.clear()


LIVE = "script, img, svg, math, object, embed, style, link, meta, base, marquee, video, audio, iframe, template"


@needs_strings
def test_hostile_texts_stay_texts_on_paper_and_among_indicators(
    analyst: Client, threat: Any, emailsec: Simulator, soup: Soup
) -> None:
    """One message that holds every hostile string in its fields, as links, as names of files and in its findings."""
    strings = [value.encode("utf-8", "replace").decode() for value in hostile_strings()]
    spoken = "\n".join(strings)[:20_000]
    message = {
        **dict.fromkeys(("subject", "from", "from_name", "replyto", "envelope_from", "message_id"), spoken),
        **dict.fromkeys(("to", "client_recipients", "delivery_status"), strings[:50]),
        **dict.fromkeys(("detection_reasons", "threat_categories"), strings),
        "id": threat.id,
        "final_disposition": "MALICIOUS",
        "scanned_at": "2026-11-20T08:00:00Z",
        "edf_hash": "hostile",
    }
    detections = {
        "links": [{"href": f"https://pay.example/{value}", "text": value} for value in strings],
        "attachments": [
            {"filename": value, "sha256": f"{number:064x}", "md5": value} for number, value in enumerate(strings)
        ],
        "findings": [{"name": value, "reason": value, "value": value, "detail": value} for value in strings],
        "sender_info": {"ip": strings[0], "as_name": strings[1], "geo": strings[2], "as_number": 1},
    }
    for operation, result in (("message", message), ("detections", detections)):
        body = json.dumps({"success": True, "errors": [], "messages": [], "result": result})
        emailsec.faults.next(operation, times=None, body=body, content_type="application/json")
    remember([get_client().message(threat.id)])

    for address in (
        reverse("investigate:report", args=[threat.id]),
        reverse("investigate:indicators", args=[threat.id]),
        f"{reverse('investigate:campaign_report')}?by=edf&key=hostile",
        f"{reverse('investigate:campaign_indicators')}?by=edf&key=hostile",
    ):
        response = analyst.get(address)
        assert response.status_code == 200, address
        page = soup(response).select_one("main")
        assert page.select(LIVE) == []
        for element in page.find_all():
            assert not [name for name in element.attrs if name.startswith("on") or name == "style"], element.name
            assert element.get("href", "/").startswith(("/", "?", "#")), element
        assert "\u202e" not in response.text
        assert "\x00" not in response.text
