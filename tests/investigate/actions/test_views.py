"""Acting from the page: pieces for htmx, a receipt for plain forms, and each refusal in its own words."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.sessions import PROVED
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from dashboard.upstream.models import Heartbeat
from dashboard.web.text import dom_id
from investigate.models import Action, ActionState
from investigate.undoing import undo_last
from tests.conftest import HTMX
from tests.dashboard.audit.test_trail import block_trail
from tests.investigate.actions.conftest import Time

pytestmark = pytest.mark.django_db
Find = Callable[..., Message]
Decide = Callable[..., Action]
Soup = Callable[[Any], BeautifulSoup]


@pytest.fixture(autouse=True)
def worker_is_alive(db: None) -> None:
    Heartbeat.objects.create(name="people", beat_at=timezone.now())


def on_search(message: Message | None = None) -> dict[str, str]:
    """Headers of htmx on the search page, with a message open in the pane."""
    page = f"http://testserver/investigate/?open={message.id}" if message else "http://testserver/investigate/"
    return {**HTMX, "HX-Current-URL": page}


def form(kind: str, **values: str) -> dict[str, str]:
    return {"operation_key": uuid.uuid4().hex, "kind": kind, **values}


def url(message: Message) -> str:
    return reverse("investigate:act", args=[message.id])


# --- htmx ---------------------------------------------------------------------------------------------------------


def test_a_click_answers_with_the_row_the_head_the_sentence_and_the_status_line(
    analyst: Client, clean: Message, soup: Soup
) -> None:
    response = analyst.post(url(clean), form("move", destination="JunkEmail"), headers=on_search(clean))

    page, dom = soup(response), dom_id(clean.id)
    assert response.status_code == 200
    row = page.select_one(f'[hx-swap-oob="innerHTML:#us-{dom}"]')
    head = page.select_one(f'[hx-swap-oob="innerHTML:#head-us-{dom}"]')
    assert row is not None
    assert head is not None
    state = row.select_one(".state")
    assert state is not None
    assert state["data-state"] == "waiting"
    assert row.select_one("[data-undo]") is not None
    polling = row.select_one(f"#row-state-{dom}")
    assert polling is not None
    assert polling["hx-trigger"] == "load delay:9s", "the first poll comes when the time for undo is over"
    status = page.select_one('[hx-swap-oob="innerHTML:#status"]')
    assert status is not None
    assert status.text == "Moves 1 message to Junk in 8 s. Undo (z)"
    assert page.select_one("#footer[hx-swap-oob=true]") is not None


def test_only_places_the_page_has_are_answered_for(analyst: Client, clean: Message, find: Find, soup: Soup) -> None:
    other = find(disposition="SPAM", held=True)
    row_only = soup(analyst.post(url(clean), form("move", destination="JunkEmail"), headers=on_search()))
    message_page = {**HTMX, "HX-Current-URL": f"http://testserver/investigate/{other.id}/"}
    head_only = soup(analyst.post(url(other), form("release"), headers=message_page))

    assert [piece["hx-swap-oob"].split("-")[0] for piece in row_only.select("div[hx-swap-oob*=us-]")] == [
        "innerHTML:#us"
    ]
    assert [piece["hx-swap-oob"] for piece in head_only.select("div[hx-swap-oob*=us-]")] == [
        f"innerHTML:#head-us-{dom_id(other.id)}"
    ]


def test_the_row_rests_until_it_is_sent_then_polls_1_2_3_5_5_seconds_and_stops_at_the_end(
    analyst: Client, ana: Member, decide: Decide, clean: Message, soup: Soup, time_: Time
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    address = reverse("investigate:action", args=[action.pk]) + "?part=row"

    resting = soup(analyst.get(address, headers=on_search())).select_one(".acted")
    assert resting is not None
    assert resting["hx-trigger"] == "load delay:9s"
    address = str(resting["hx-get"])
    time_.passes(action, 9)
    delays, seen = [], 0
    while address and seen < 5:
        piece = soup(analyst.get(address, headers=on_search())).select_one(".acted")
        assert piece is not None
        delays.append(piece["hx-trigger"])
        address, seen = str(piece["hx-get"]), seen + 1
    time_.undo_window_ends(action)
    last = soup(analyst.get(address, headers=on_search()))

    assert delays == [f"load delay:{n}s" for n in (1, 2, 3, 5, 5)]
    ended = last.select_one(".acted")
    assert ended is not None
    assert not ended.has_attr("hx-get")
    assert ended.text.split() == ["moved", "to", "Junk"]
    status = last.select_one('[hx-swap-oob="innerHTML:#status"]')
    assert status is not None
    assert status.text == "Moved 1 of 1 copy."


def test_undo_empties_the_row(analyst: Client, ana: Member, decide: Decide, clean: Message, soup: Soup) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    page = soup(analyst.post(reverse("investigate:undo", args=[action.pk]), headers=on_search()))

    row = page.select_one(f'[hx-swap-oob="innerHTML:#us-{dom_id(clean.id)}"]')
    assert row is not None
    assert row.text.strip() == ""
    action.refresh_from_db()
    assert action.state == ActionState.CANCELLED


def test_z_undoes_the_last_and_says_so_when_nothing_waits(
    analyst: Client, ana: Member, decide: Decide, clean: Message, soup: Soup
) -> None:
    decide(ana, clean, "move", destination="JunkEmail")

    first = analyst.post(reverse("investigate:undo_last"), headers=on_search())
    second = analyst.post(reverse("investigate:undo_last"), headers=on_search())

    assert "Undone before it was sent." in first.content.decode()
    assert (second.status_code, second["HX-Retarget"]) == (409, "#notice")
    assert "Nothing to undo." in second.content.decode()


def test_an_undo_that_comes_too_late_shows_what_happened(
    analyst: Client, ana: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    response = analyst.post(reverse("investigate:undo", args=[action.pk]), headers=on_search())

    assert response.status_code == 409
    assert "Too late to undo." in response.content.decode()
    assert "Moved 1 of 1 copy." in response.content.decode()


def test_a_second_person_gets_the_first_ones_receipt_and_the_present_row(
    analyst: Client, responder: Client, clean: Message, soup: Soup
) -> None:
    analyst.post(url(clean), form("move", destination="JunkEmail"), headers=on_search())

    response = responder.post(url(clean), form("move", destination="DeletedItems"), headers=on_search())

    page = soup(response)
    assert (response.status_code, response["HX-Retarget"]) == (409, "#notice")
    notice = page.select_one(".notice")
    assert notice is not None
    assert "Ana has a move of this message under way." in notice.text
    assert "Ana moves this message to Junk" in notice.text
    assert "Undo" not in notice.text
    assert notice.select_one("time[data-until]") is not None, "a time that does not run goes stale"
    assert page.select_one(f'[hx-swap-oob="innerHTML:#us-{dom_id(clean.id)}"] .state') is not None
    assert page.select_one("[data-undo]") is None, "it is not Ben's to undo"
    assert Action.objects.count() == 1


def test_the_notice_tells_the_end_and_goes_when_somebody_acts_anew(
    analyst: Client,
    responder: Client,
    ana: Member,
    decide: Decide,
    clean: Message,
    soup: Soup,
    time_: Time,
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    notice = soup(responder.post(url(clean), form("move", destination="Inbox"), headers=on_search())).select_one(
        ".notice"
    )
    assert notice is not None
    address = str(notice["hx-get"])

    time_.undo_window_ends(action)
    ended = soup(responder.get(address, headers=on_search())).select_one(".notice")
    assert ended is not None
    assert "Ana moved it" in ended.text
    assert "1 of 1 moved." in ended.text
    again = responder.post(url(clean), form("move", destination="Inbox"), headers=on_search())

    assert again["HX-Trigger-After-Settle"] == f"mw:acted-{dom_id(clean.id)}"
    assert f"mw:acted-{dom_id(clean.id)} from:body" in str(ended["hx-trigger"])
    assert responder.get(address, headers=on_search()).content.strip() == b""


def test_an_action_whose_time_has_come_offers_no_undo_and_says_why_it_waits(
    analyst: Client, ana: Member, decide: Decide, clean: Message, soup: Soup, time_: Time
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    address = reverse("investigate:action", args=[action.pk]) + "?part=row"

    def row() -> str:
        page = soup(analyst.get(address, headers=on_search()))
        state = page.select_one(".acted")
        assert state is not None
        assert page.select_one("#footer[hx-swap-oob=true]") is not None, "the status line would go stale"
        return " ".join(state.text.split())

    assert row().endswith("Undo")
    time_.passes(action, 9)
    assert row() == "waiting to be sent"
    time_.passes(action, 20)
    assert row() == "waiting to be sent, the worker is slow"
    Heartbeat.objects.update(beat_at=timezone.now() - dt.timedelta(seconds=50))
    assert row() == "waiting to be sent, the worker has not answered for 50 s"


def test_without_an_undo_window_nothing_offers_undo(analyst: Client, ana: Member, clean: Message, soup: Soup) -> None:
    Member.objects.filter(pk=ana.pk).update(undo_seconds=0)

    page = soup(analyst.post(url(clean), form("move", destination="JunkEmail"), headers=on_search(clean)))

    assert page.select_one("[data-undo]") is None
    status = page.select_one('[hx-swap-oob="innerHTML:#status"]')
    assert status is not None
    assert status.text == "Moves 1 message to Junk. Sends now."


def test_the_address_of_a_form_leads_to_the_message(analyst: Client, clean: Message) -> None:
    response = analyst.get(url(clean))

    assert (response.status_code, response["Location"]) == (303, reverse("investigate:message", args=[clean.id]))


@pytest.mark.matrix(8)
def test_a_double_click_shows_the_same_action(analyst: Client, clean: Message) -> None:
    values = form("move", destination="JunkEmail")

    answers = [analyst.post(url(clean), values, headers=on_search()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert Action.objects.count() == 1


@pytest.mark.matrix(9)
def test_the_same_form_edited_is_refused(analyst: Client, clean: Message) -> None:
    values = form("move", destination="JunkEmail")
    analyst.post(url(clean), values, headers=on_search())

    response = analyst.post(url(clean), {**values, "destination": "Inbox"}, headers=on_search())

    assert response.status_code == 409
    assert "used already, for something else" in response.content.decode()


# --- panels -------------------------------------------------------------------------------------------------------


def test_danger_asks_first_in_a_panel_that_names_the_copies(responder: Client, find: Find, soup: Soup) -> None:
    message = find(disposition="MALICIOUS", held=True)

    asked = responder.post(url(message), form("release"), headers=on_search(message))

    page = soup(asked)
    assert (asked.status_code, asked["HX-Retarget"], asked["HX-Reswap"]) == (200, "#action-panel", "innerHTML")
    panel = page.select_one("form.panel[data-kind=danger]")
    assert panel is not None
    assert message.client_recipients[0] in panel.text
    button = panel.select_one("button.danger")
    assert button is not None
    number = len(message.client_recipients)
    assert button.text == f"Release {number} {'copy' if number == 1 else 'copies'}"
    assert not Action.objects.exists()

    hidden = {
        str(field["name"]): str(field["value"])
        for field in panel.select("input[type=hidden]")
        if field["name"] != "csrfmiddlewaretoken"
    }
    short = responder.post(url(message), {**hidden, "reason": "ok"}, headers=on_search(message))
    assert short.status_code == 422
    assert "Say in a few words why." in short.content.decode()
    assert 'aria-invalid="true"' in short.content.decode()

    done = responder.post(url(message), {**hidden, "reason": "known supplier"}, headers=on_search(message))
    assert done.status_code == 200
    assert Action.objects.get().reason == "known supplier"


def test_who_purges_alone_proves_first_who_they_are(responder: Client, clean: Message, emailsec: Any) -> None:
    session = responder.session
    session[PROVED] = int(time.time()) - 11 * 60
    session.save()

    purge = form("move", destination="RecoverableItemsPurges", confirmed="on", reason="It is a virus.")
    asked = responder.post(url(clean), purge, headers=on_search(clean))
    assert (asked.status_code, len(emailsec.ledger)) == (401, 0)
    assert asked["HX-Redirect"].startswith("/account/prove/?next=%2Finvestigate%2F")
    assert not Action.objects.exists()

    trash = responder.post(url(clean), form("move", destination="DeletedItems"), headers=on_search(clean))
    assert trash.status_code == 200, "what can be undone takes one click"


def test_the_panel_of_a_purge_names_it(responder: Client, clean: Message, soup: Soup) -> None:
    page = soup(
        responder.post(url(clean), form("move", destination="RecoverableItemsPurges"), headers=on_search(clean))
    )

    button = page.select_one("button.danger")
    assert button is not None
    assert button.text == f"Purge {len(clean.client_recipients)} copy"
    assert "only an administrator can restore it" in page.text


def test_a_form_that_makes_no_sense_is_422(analyst: Client, clean: Message) -> None:
    for values in ({"kind": "explode"}, {"kind": "move"}, {"kind": "move", "destination": "Elsewhere"}, {}):
        response = analyst.post(url(clean), {"operation_key": "0" * 32, **values}, headers=on_search(clean))
        assert (response.status_code, response["HX-Retarget"]) == (422, "#action-panel")
        assert "Select a valid choice" not in response.content.decode()
    assert analyst.post(url(clean), {"kind": "move", "destination": "Inbox"}, headers=on_search()).status_code == 422


def test_fields_that_are_not_of_the_form_change_nothing(
    analyst: Client, ana: Member, ben: Member, clean: Message
) -> None:
    values = form("move", destination="JunkEmail", actor=str(ben.pk), state="done", attempt="9", investigate_id="other")
    analyst.post(url(clean), values, headers=on_search())

    action = Action.objects.get()
    assert (action.actor, action.state, action.attempt) == (ana, ActionState.WAITING, 0)
    assert action.items.get().investigate_id == clean.id


def test_clean_mail_can_be_submitted_with_its_file(analyst: Client, clean: Message, soup: Soup) -> None:
    panel = soup(analyst.get(url(clean) + "?kind=reclassify&expected_disposition=SPAM", headers=on_search(clean)))
    assert panel.select_one("input[type=file][name=eml]") is not None

    values = form("reclassify", expected_disposition="SPAM", confirmed="1")
    response = analyst.post(
        url(clean), {**values, "eml": SimpleUploadedFile("m.eml", b"From: a\r\n\r\nb")}, headers=on_search()
    )

    assert response.status_code == 200
    assert bytes(Action.objects.get().items.get().attachment) == b"From: a\r\n\r\nb"


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "move", "destination": "JunkEmail"},
        {"kind": "release"},
        {"kind": "reclassify", "expected_disposition": "SPAM"},
    ],
)
@pytest.mark.parametrize("who", ["viewer", "auditor", "policy_manager"])
@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
def test_roles_without_the_right_are_refused(
    request: pytest.FixtureRequest, clean: Message, who: str, values: dict[str, str], headers: dict[str, str]
) -> None:
    client = request.getfixturevalue(who)

    response = client.post(url(clean), form(**values), headers=headers)

    assert response.status_code == 403
    assert not Action.objects.exists()


def test_the_signed_out_are_sent_to_the_sign_in(client: Client, clean: Message) -> None:
    assert client.post(url(clean), form("release"), headers=HTMX).status_code == 401
    assert client.post(url(clean), form("release")).status_code == 302
    assert not Action.objects.exists()


def test_what_cannot_work_says_why(analyst: Client, clean: Message) -> None:
    response = analyst.post(url(clean), form("release"), headers=on_search())

    assert (response.status_code, response["HX-Retarget"]) == (409, "#notice")
    assert "The message is not in quarantine." in response.content.decode()


@pytest.mark.parametrize(("status", "answered"), [(404, 404), (401, 502), (500, 503), (429, 503)])
def test_an_upstream_that_fails_while_the_message_is_read_writes_nothing(
    analyst: Client, clean: Message, emailsec: Any, status: int, answered: int
) -> None:
    emailsec.faults.next("message", status=status, times=None, retry_after=300)

    response = analyst.post(url(clean), form("move", destination="JunkEmail"), headers=on_search())

    assert (response.status_code, response["HX-Retarget"]) == (answered, "#notice")
    assert not Action.objects.exists()


def test_without_the_audit_trail_nothing_is_done(analyst: Client, clean: Message) -> None:
    block_trail()

    response = analyst.post(url(clean), form("move", destination="JunkEmail"), headers=on_search())

    assert response.status_code == 503
    assert "nothing was sent" in response.content.decode()
    assert not Action.objects.exists()


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
@pytest.mark.parametrize("what", ["undo", "undo_last", "reason", "look", "settle"])
def test_without_the_audit_trail_nothing_about_an_action_changes(
    analyst: Client,
    ana: Member,
    decide: Decide,
    spam_in_quarantine: Message,
    emailsec: Any,
    time_: Time,
    what: str,
    headers: dict[str, str],
) -> None:
    action = decide(ana, spam_in_quarantine, "release")
    if what in ("look", "settle"):
        emailsec.faults.next("release", lose_answer=True)
        time_.undo_window_ends(action)
        for wait in (31, 150, 430):
            time_.look(action, after=wait)
    before = Action.objects.filter(pk=action.pk).values().get()
    block_trail()

    address = reverse(f"investigate:{what}", args=[] if what == "undo_last" else [action.pk])
    response = analyst.post(address, {"reason": "asked by the user", "outcome": "done"}, headers=headers)

    assert response.status_code == 503
    assert "The audit trail cannot be written." in response.content.decode()
    assert Action.objects.filter(pk=action.pk).values().get() == before


def test_without_the_audit_trail_what_must_be_recorded_is_not_handed_out(
    responder: Client, spam_in_quarantine: Message, emailsec: Any
) -> None:
    block_trail()

    response = responder.get(f"/investigate/{spam_in_quarantine.id}/message.eml")

    assert response.status_code == 503
    assert "The audit trail cannot be written." in response.content.decode()


def test_get_changes_nothing(analyst: Client, ana: Member, decide: Decide, clean: Message) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    for name in ("undo", "reason", "look", "settle"):
        assert analyst.get(reverse(f"investigate:{name}", args=[action.pk])).status_code == 405
    assert analyst.get(reverse("investigate:undo_last")).status_code == 405
    analyst.get(url(clean) + "?kind=move&destination=Inbox")
    action.refresh_from_db()
    assert action.state == ActionState.WAITING
    assert Action.objects.count() == 1


# --- plain forms and pages ----------------------------------------------------------------------------------------


def test_a_plain_form_leads_to_the_receipt(analyst: Client, clean: Message, soup: Soup) -> None:
    response = analyst.post(url(clean), form("move", destination="JunkEmail"))

    assert response.status_code == 303
    page = soup(analyst.get(response["Location"]))
    heading = page.select_one("h1")
    assert heading is not None
    assert heading.text == "Moves 1 message to Junk"
    assert page.select_one(f'form[action="{response["Location"]}undo"]') is not None


def test_a_plain_dangerous_form_becomes_a_page_that_asks(responder: Client, find: Find, soup: Soup) -> None:
    message = find(disposition="MALICIOUS", held=True)

    page = soup(responder.post(url(message), form("release")))

    assert page.select_one("h1") is not None
    assert page.select_one("form.panel textarea[name=reason]") is not None


def test_plain_undo_leads_to_the_receipt(analyst: Client, ana: Member, decide: Decide, clean: Message) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    response = analyst.post(reverse("investigate:undo", args=[action.pk]))

    assert (response.status_code, response["Location"]) == (303, reverse("investigate:action", args=[action.pk]))


def test_a_reason_can_be_added_from_the_receipt(
    analyst: Client, responder: Client, ana: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    address = reverse("investigate:reason", args=[action.pk])

    assert analyst.post(address, {"reason": ""}, headers=HTMX).status_code == 422
    assert "newsletter" in analyst.post(address, {"reason": "newsletter"}, headers=HTMX).content.decode()
    assert responder.post(address, {"reason": "mine"}, headers=HTMX).status_code == 403
    action.refresh_from_db()
    assert action.reason == "newsletter"


def test_an_outcome_nobody_could_settle_has_two_buttons_and_the_evidence(
    analyst: Client, viewer: Client, ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any,
    time_: Time, soup: Soup,
) -> None:  # fmt: skip
    emailsec.faults.next("release", lose_answer=True)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))
    for wait in (31, 150, 430):
        time_.look(action, after=wait)
    address = reverse("investigate:settle", args=[action.pk])

    page = soup(analyst.get(reverse("investigate:action", args=[action.pk])))
    assert [button.text for button in page.select(f'form[action="{address}"] button')] == [
        "It was done",
        "It was not done",
    ]
    assert len(page.select(".timeline li")) == 3
    assert page.select_one("#receipt[hx-get]") is None, "only a person changes this: no polling"
    assert viewer.post(address, {"outcome": "done"}).status_code == 403
    assert analyst.post(address, {"outcome": "perhaps"}).status_code == 400
    assert analyst.post(address, {"outcome": "not_done"}).status_code == 303
    assert analyst.post(address, {"outcome": "done"}).status_code == 409
    action.refresh_from_db()
    assert action.state == ActionState.FAILED


def test_look_now_rings_and_shows_the_receipt(
    analyst: Client, ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("release", lose_answer=True, applied=True)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))

    response = analyst.post(reverse("investigate:look", args=[action.pk]), headers=HTMX)

    assert response.status_code == 200
    assert 'id="receipt"' in response.content.decode()
    event = AuditEvent.objects.last()
    assert (event.action, event.phase, event.actor_name) == ("message:look", "done", "Ana")
    assert (event.targets, event.refers_to) == ([spam_in_quarantine.id], action.audit_sequence)
    time_.look(action, after=0)
    assert action.state == ActionState.DONE
    assert analyst.post(reverse("investigate:look", args=[action.pk]), headers=HTMX).status_code == 409
    assert AuditEvent.objects.filter(action="message:look").count() == 1


@pytest.mark.parametrize("show", ["", "mine", "open", "unknown", "person", "nonsense"])
def test_the_list_of_actions_in_every_filter(
    analyst: Client, viewer: Client, ana: Member, decide: Decide, clean: Message, show: str, soup: Soup, time_: Time
) -> None:
    empty = soup(analyst.get(reverse("investigate:actions") + f"?show={show}"))
    assert empty.select_one(".empty") is not None
    time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail", reason="ticket 4711"))

    page = soup(viewer.get(reverse("investigate:actions") + f"?show={show}"))

    assert len(page.select("h1")) == 1
    rows = page.select("tbody tr")
    assert len(rows) == (1 if show in ("", "nonsense") else 0)
    if rows:
        for text in ("Ana", "Moves 1 message to Junk", "Moved 1 of 1 copy.", "ticket 4711", clean.client_recipients[0]):
            assert text in rows[0].text


def test_hostile_text_of_a_message_is_text_on_every_page(
    analyst: Client, ana: Member, decide: Decide, clean: Message
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    item = action.items.get()
    hostile = '"><img src=x onerror=alert(1)>\u202e{{7*7}}'
    item.subject, item.recipients = hostile, [hostile]
    item.save()
    item.receipts.create(recipient=hostile, is_done=False, status=hostile)
    Action.objects.filter(pk=action.pk).update(
        reason=hostile.replace("\u202e", ""),  # stands in a text field as it was typed
        actor_name=hostile,
        state="failed",
        explanation=hostile,
        evidence=[{"at": timezone.now().isoformat(), "found": hostile}],
    )

    for address in (reverse("investigate:actions"), reverse("investigate:action", args=[action.pk])):
        page = analyst.get(address).content.decode()
        assert "<img src=x" not in page
        assert "\u202e" not in page
        assert "{{7*7}}" in page


def test_the_panes_foot_has_every_action_in_its_place_and_says_why_not(
    analyst: Client, clean: Message, soup: Soup
) -> None:
    page = soup(analyst.get(reverse("investigate:pane", args=[clean.id]), headers=HTMX))

    keys = [button["data-key"] for button in page.select("footer.actions [data-key]")]
    for key in ("d", "!", "i", "v", "v 1", "v 5", "Shift+R", "c", "c 1", "c 6", "Shift+C"):
        assert keys.count(key) == 1, key
    release = page.select_one("[data-key='Shift+R']")
    assert release is not None
    assert release.has_attr("disabled")
    assert release["data-why"] == "The message is not in quarantine."
    why = page.select_one("#whynot")
    assert why is not None
    assert "Release: The message is not in quarantine." in why.text
    operation_keys = [str(field["value"]) for field in page.select("input[name=operation_key]")]
    assert len(set(operation_keys)) == len(operation_keys)


def test_everything_in_the_foot_can_be_pressed(analyst: Client, ana: Member, clean: Message, soup: Soup) -> None:
    page = soup(analyst.get(reverse("investigate:pane", args=[clean.id]), headers=HTMX))

    for entry in page.select("footer.actions form"):
        values = {
            str(field["name"]): str(field["value"])
            for field in entry.select("input")
            if field["name"] != "csrfmiddlewaretoken"
        }
        response = analyst.post(str(entry["action"]), values, headers=on_search(clean))
        assert response.status_code == 200, values
        undo_last(actor=ana, request=None)


def test_the_foot_is_renewed_once_the_action_has_ended(
    analyst: Client, ana: Member, decide: Decide, spam_in_quarantine: Message, soup: Soup, time_: Time, emailsec: Any
) -> None:
    message = spam_in_quarantine
    action = decide(ana, message, "release")
    foot = reverse("investigate:foot", args=[message.id])
    address = reverse("investigate:action", args=[action.pk]) + "?part=head"
    during = soup(analyst.get(foot, headers=on_search(message)))
    assert during.select_one("#action-buttons[hx-swap-oob=true] [data-key='Shift+R'][disabled]") is not None
    assert "Your release is under way." in during.text
    assert soup(analyst.get(address, headers=on_search(message))).select_one(f'[hx-get="{foot}"]') is None

    time_.undo_window_ends(action)

    assert soup(analyst.get(address, headers=on_search(message))).select_one(f'[hx-get="{foot}"]') is not None
    after = soup(analyst.get(foot, headers=on_search(message)))
    assert after.select_one("[data-key='!']:not([disabled])") is not None
    release = after.select_one("[data-key='Shift+R']")
    assert release is not None
    assert release["data-why"] == "The message was released already."
    emailsec.faults.next("message", status=500, times=None)
    from investigate.message import store

    store.forget([message.id])
    assert analyst.get(foot, headers=on_search(message)).status_code == 204
