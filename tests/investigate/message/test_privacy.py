"""Privacy mode: nothing a sender wrote is shown before its reader has said why, and the trail has the reason first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.rows import MessageRow
from dashboard.simulator.mail.record import MailRecord
from investigate.message import parts, privacy
from investigate.models import BodyGrant
from investigate.search.rows import row_of
from tests.conftest import HTMX

pytestmark = pytest.mark.django_db

TABS = ("preview", "links", "attachments", "headers", "raw")
FILES = ("preview.png", "raw.txt", "message.eml", "sample.zip")
REPORTED = {"occasion": "reported", "words": "", "tab": "links"}


@pytest.fixture(autouse=True)
def _is_private(settings: Any) -> None:
    settings.PRIVACY = True


def url(name: str, message: MailRecord, *more: str) -> str:
    return reverse(f"investigate:{name}", args=[message.id, *more])


def looks() -> list[str]:
    """What the trail says of bodies, in order."""
    return list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))


@pytest.mark.parametrize("tab", TABS)
def test_a_covered_part_asks_for_the_reason_and_reads_nothing(
    analyst: Client, threat: MailRecord, calls: Callable[[], list[str]], tab: str
) -> None:
    analyst.get(url("message", threat))
    calls()

    answer = analyst.get(url("part", threat, tab), headers=HTMX)

    assert answer.status_code == 200
    assert "is covered" in answer.content.decode()
    assert 'name="occasion"' in answer.content.decode()
    assert threat.links()[0].href not in answer.content.decode()
    assert calls() == []
    assert looks() == []


@pytest.mark.parametrize("name", FILES)
def test_no_file_leaves_before_the_reason(analyst: Client, threat: MailRecord, name: str) -> None:
    answer = analyst.get(f"/investigate/{threat.id}/{name}")

    assert answer.status_code == 403
    assert "covered" in answer.content.decode()
    assert looks() == []


def test_clean_mail_is_not_rendered_before_the_reason(
    analyst: Client, clean: MailRecord, calls: Callable[[], list[str]]
) -> None:
    answer = analyst.post(url("render_preview", clean))

    assert answer.status_code == 403
    assert "render_preview" not in calls()


def test_why_says_nothing_of_the_body_until_then(analyst: Client, viewer: Client, threat: MailRecord) -> None:
    covered = analyst.get(url("part", threat, "why"), headers=HTMX).content.decode()
    of_a_viewer = viewer.get(url("part", threat, "why"), headers=HTMX).content.decode()
    analyst.post(url("uncover", threat), REPORTED, headers=HTMX)
    open_ = analyst.get(url("part", threat, "why"), headers=HTMX).content.decode()

    assert "What the sender wrote is covered." in covered
    assert covered.count("<li") == of_a_viewer.count("<li")
    assert "covered" not in open_
    assert open_ != covered


def test_the_page_itself_covers_the_tab_it_is_asked_for_and_counts_nothing(
    analyst: Client, threat: MailRecord, soup: Callable
) -> None:
    page = soup(analyst.get(url("message", threat) + "?tab=headers"))

    assert page.select_one("#panel-headers form[action$='/uncover']")
    assert not page.select("[role=tab] .count")


def test_a_reason_uncovers_the_part_and_is_in_the_trail_before_the_look(analyst: Client, threat: MailRecord) -> None:
    answer = analyst.post(url("uncover", threat), REPORTED, headers=HTMX, REMOTE_ADDR="192.0.2.9")

    assert answer.status_code == 200
    assert answer["HX-Trigger-After-Swap"] == "uncovered"
    assert 'id="link-1"' in answer.content.decode()
    assert looks() == ["message:uncover", "message:links"]
    event = AuditEvent.objects.get(action="message:uncover")
    assert (event.actor_name, event.reason, event.targets) == ("Ana", "Reported by a user", [threat.id])
    assert event.address == "192.0.2.9"


def test_without_scripts_the_reason_leads_back_to_the_part(analyst: Client, threat: MailRecord) -> None:
    answer = analyst.post(url("uncover", threat), {"occasion": "incident", "words": "4711", "tab": "headers"})

    assert answer.status_code == 303
    assert answer["Location"] == url("message", threat) + "?tab=headers"
    assert AuditEvent.objects.get().reason == "Incident with ticket 4711"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "Choose why you have to read this message."),
        ({"occasion": "curiosity"}, "Select a valid choice"),
        ({"occasion": "incident", "words": "  "}, "Write the ticket"),
        ({"occasion": "other", "words": "why"}, "Say in a few words"),
        ({"occasion": "other", "words": "x" * 401}, "at most 400 characters"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_no_reason_is_no_reason(
    analyst: Client, threat: MailRecord, values: dict[str, str], told: str, headers: dict[str, str]
) -> None:
    answer = analyst.post(url("uncover", threat), {**values, "tab": "raw"}, headers=headers)

    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert not BodyGrant.objects.exists()
    assert looks() == []


def test_the_reason_holds_for_one_member_one_message_and_an_hour(
    analyst: Client, responder: Client, threat: MailRecord, enclosed: MailRecord
) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        analyst.post(url("uncover", threat), REPORTED)

        assert analyst.get(url("raw_text", threat)).status_code == 200
        assert responder.get(url("raw_text", threat)).status_code == 403
        assert analyst.get(url("raw_text", enclosed)).status_code == 403
        clock.shift(dt.timedelta(minutes=59))
        assert analyst.get(url("raw_text", threat)).status_code == 200
        clock.shift(dt.timedelta(minutes=2))
        assert analyst.get(url("raw_text", threat)).status_code == 403

        analyst.post(url("uncover", threat), {"occasion": "other", "words": "the user called back"})
        assert analyst.get(url("raw_text", threat)).status_code == 200
        assert BodyGrant.objects.count() == 1


@pytest.mark.parametrize("role", ["viewer", "auditor", "admin", "policy_manager"])
def test_who_may_not_read_bodies_is_not_asked_and_cannot_uncover(
    request: pytest.FixtureRequest, threat: MailRecord, role: str
) -> None:
    client = request.getfixturevalue(role)

    assert client.post(url("uncover", threat), REPORTED).status_code == 403
    assert "covered" not in client.get(url("part", threat, "why"), headers=HTMX).content.decode()
    assert not BodyGrant.objects.exists()


@pytest.mark.matrix(58)
def test_what_cannot_be_recorded_stays_covered(ana: Member, analyst: Client, threat: MailRecord) -> None:
    from tests.dashboard.audit.test_trail import block_trail

    block_trail()

    assert analyst.post(url("uncover", threat), REPORTED).status_code == 503
    assert privacy.is_covered(ana, threat.id)


def test_a_message_that_is_gone_says_so(analyst: Client, emailsec: object) -> None:
    plain = analyst.post("/investigate/no:such/uncover", REPORTED)
    fragment = analyst.post("/investigate/no:such/uncover", REPORTED, headers=HTMX)

    assert (plain.status_code, fragment.status_code) == (404, 404)


def test_the_list_names_no_file_and_no_link(settings: Any) -> None:
    message = MessageRow(
        id="m1", from_="a@shop.example", wire_reasons=("invoice.pdf.exe links to evil.test; from shop.example",)
    )
    assert row_of(message, dt.UTC).why == "(hidden) links to (hidden); from shop.example"

    settings.PRIVACY = False
    assert row_of(message, dt.UTC).why == "invoice.pdf.exe links to evil.test; from shop.example"


def test_without_privacy_mode_nothing_is_covered(
    analyst: Client, ana: Member, threat: MailRecord, settings: Any
) -> None:
    settings.PRIVACY = False

    assert not privacy.is_covered(ana, threat.id)
    assert analyst.post(url("uncover", threat), REPORTED, headers=HTMX).status_code == 200
    assert "message:uncover" not in looks()
    assert parts.seen_message(threat.id).id == threat.id
