"""One message and two people: asked for, shown exactly, approved or not, sent once, told to who asked."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from dashboard.sql import fetch
from dashboard.upstream.models import Copy
from investigate import tasks
from investigate.actions import queries as actions
from investigate.approvals import counting, queries
from investigate.models import Action, ActionState, Approval, ApprovalState, DeskChange
from tests.conftest import HTMX
from tests.investigate.approvals.conftest import PURGE, all_is_due, asked, decision, signed_in

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]


def act(client: Client, message: Message, **values: str) -> Any:
    url = reverse("investigate:act", args=[message.id])
    return client.post(url, {**PURGE, **values, "operation_key": uuid.uuid4().hex})


def text(found: Any) -> str:
    return " ".join(found.get_text(" ").split())


# --- asking -----------------------------------------------------------------------------------------------------------


def test_an_analyst_asks_for_a_purge_and_nothing_is_sent(
    ana: Member, purge: Approval, clean: Message, emailsec: Any
) -> None:
    action = purge.action
    assert action is not None
    all_is_due(action)
    tasks.sweep()

    assert (action.state, purge.state) == (ActionState.AWAITING_APPROVAL, ApprovalState.PENDING)
    assert action.items.get().state == ActionState.AWAITING_APPROVAL
    assert (purge.requested_by, purge.permissions) == (ana, ["message:purge"])
    assert purge.domains == f" {clean.client_recipients[0].rpartition('@')[2]} "
    assert dt.timedelta(hours=23) < purge.expires_at - timezone.now() < dt.timedelta(hours=25)
    assert len(emailsec.ledger) == 0
    row = AuditEvent.objects.get(action="approval:request")
    assert (row.actor_name, row.reason, row.sequence) == ("Ana", "ticket 4711", purge.audit_sequence)
    assert not AuditEvent.objects.filter(action="message:move").exists()
    assert {tuple(change.investigate_ids) for change in DeskChange.objects.all()} == {(clean.id,)}


def test_the_panel_says_that_it_takes_two(analyst: Client, clean: Message, soup: Soup) -> None:
    url = reverse("investigate:act", args=[clean.id])
    page = soup(analyst.get(url, {"kind": "move", "destination": "RecoverableItemsPurges"}, headers=HTMX))

    assert text(page.select_one("button.danger")) == "Ask for approval: Purge 1 copy"
    assert "A second person decides it." in text(page)


@pytest.mark.parametrize(("role", "may_ask"), [(Role.ANALYST, True), (Role.RESPONDER, True), (Role.VIEWER, False)])
def test_who_may_move_may_ask_for_a_purge(role: Role, may_ask: bool, clean: Message) -> None:
    client = signed_in(Member.objects.create(username="x", role=role))

    answer = act(client, clean)

    assert Approval.objects.exists() == may_ask, answer.status_code
    assert Action.objects.exists() == may_ask


def test_where_it_takes_one_nothing_has_changed(
    settings: Any, analyst: Client, responder: Client, clean: Message, emailsec: Any
) -> None:
    settings.SECOND_PERSON = frozenset()

    assert act(analyst, clean).status_code == 403
    assert not Action.objects.exists()
    assert act(responder, clean).status_code == 303

    action = all_is_due(Action.objects.get())
    assert action.state == ActionState.DONE
    assert not Approval.objects.exists()


def test_only_what_is_named_takes_two(settings: Any, responder: Client, clean: Message, malicious: Message) -> None:
    settings.SECOND_PERSON = frozenset({"release_malicious"})

    act(responder, clean)
    asked(responder, malicious, kind="release")

    assert set(Action.objects.values_list("kind", "state")) == {
        ("move", ActionState.WAITING),
        ("release", ActionState.AWAITING_APPROVAL),
    }


def test_a_message_that_waits_for_approval_is_held_like_any_other(
    purge: Approval, responder: Client, clean: Message, soup: Soup
) -> None:
    answer = act(responder, clean, destination="JunkEmail")

    assert answer.status_code == 409
    assert "Ana has a purge of this message under way." in answer.content.decode()
    foot = soup(responder.get(reverse("investigate:foot", args=[clean.id]), headers=HTMX))
    assert "Ana's purge waits for a second person." in text(foot)


@pytest.mark.matrix(8)
def test_a_double_click_asks_once(analyst: Client, clean: Message) -> None:
    url, form = reverse("investigate:act", args=[clean.id]), {**PURGE, "operation_key": uuid.uuid4().hex}

    first, second = analyst.post(url, form), analyst.post(url, form)

    assert first["Location"] == second["Location"]
    assert Approval.objects.count() == 1


# --- looking ----------------------------------------------------------------------------------------------------------


def test_the_page_shows_exactly_what_will_happen(
    purge: Approval, responder: Client, clean: Message, soup: Soup
) -> None:
    page = soup(responder.get(reverse("investigate:approval", args=[purge.pk])))

    assert text(page.h1) == "Ana asks: purge 1 message (ticket 4711)"
    for recipient in clean.client_recipients:
        assert recipient in text(page.main)
    assert (clean.subject or "") in text(page.main)
    assert "It takes mail out of mailboxes for good." in text(page.main)
    assert text(page.select_one("#request-decide button.danger")) == "Approve: purge 1 message"
    assert page.select_one("input[name=fingerprint]")["value"] == purge.fingerprint  # type: ignore[index]


def test_the_page_says_that_it_cannot_work_any_more(
    analyst: Client, responder: Client, malicious: Message, emailsec: Any, soup: Soup
) -> None:
    approval = asked(analyst, malicious, kind="release")
    record = next(one for one in emailsec.world.store.records if one.id == malicious.id)
    for copy in emailsec.world.store.touched(record).copies:
        copy.status, copy.folder = "delivered", "Inbox"
    Copy.objects.all().delete()

    page = soup(responder.get(reverse("investigate:approval", args=[approval.pk])))

    assert "As it is now, this will not work" in text(page.main)


def test_lists_show_what_waits_for_me_what_is_mine_and_all(
    purge: Approval, analyst: Client, responder: Client, viewer: Client, soup: Soup
) -> None:
    url = reverse("investigate:approvals")

    def rows(client: Client, show: str) -> int:
        return len(soup(client.get(url, {"show": show})).select("table tbody tr"))

    assert [rows(responder, show) for show in ("", "mine", "all")] == [1, 0, 1]
    assert [rows(analyst, show) for show in ("", "mine", "all")] == [0, 1, 1]
    assert [rows(viewer, show) for show in ("", "mine", "all")] == [0, 0, 1]


def test_who_works_on_cases_always_finds_the_room_and_their_own_requests_in_it(
    analyst: Client, responder: Client, viewer: Client, clean: Message, soup: Soup
) -> None:
    def room(client: Client) -> Any:
        page = soup(client.get(reverse("investigate:search")))
        return page.select_one('nav.wide a[href="/investigate/approvals/"]')

    assert room(analyst)
    assert room(responder)
    assert not room(viewer)
    asked(analyst, clean)

    page = soup(analyst.get(reverse("investigate:approvals")))
    assert text(page.select_one(".filterchips [aria-current]")) == "Mine"
    assert len(page.select("table tbody tr")) == 1
    assert not soup(analyst.get(reverse("investigate:approvals"), {"show": ""})).select("table tbody tr")


def test_rows_about_one_message_each_are_told_apart(
    purge: Approval, clean: Message, malicious: Message, analyst: Client, responder: Client, soup: Soup
) -> None:
    asked(analyst, malicious, kind="release")

    page = soup(responder.get(reverse("investigate:approvals")))

    for message, row in zip((clean, malicious), page.select("table tbody tr"), strict=True):
        told = text(row.select_one(".one"))
        assert message.subject
        assert message.subject in told
        assert (message.from_ or "").rpartition("@")[2] in told
        assert f"{len(message.client_recipients)} recipient" in told
    assert [chip["data-verdict"] for chip in page.select(".one .chip")] == ["NONE", "MALICIOUS"]


@pytest.mark.parametrize(
    ("state", "colour", "words"),
    [
        (ActionState.WAITING, "waiting", "Approved"),
        (ActionState.DONE, "done", "Approved, purged"),
        (ActionState.FAILED, "failed", "Approved, not purged"),
        (ActionState.UNKNOWN, "unknown", "Approved, outcome unknown"),
    ],
)
def test_the_state_names_the_outcome_of_what_was_approved(
    state: ActionState, colour: str, words: str, purge: Approval, responder: Client, soup: Soup
) -> None:
    decision(responder, purge)
    Action.objects.update(state=state)

    page = soup(responder.get(reverse("investigate:approvals"), {"show": "all"}))

    shown = page.select_one("tbody .state")
    assert shown is not None
    assert (text(shown), shown["data-state"]) == (words, colour)


def test_an_open_page_loses_its_form_and_its_end_when_somebody_decides(
    purge: Approval, responder: Client, other_responder: Client, soup: Soup
) -> None:
    url = reverse("investigate:approval", args=[purge.pk])
    page = soup(other_responder.get(url))
    assert "Expires" in text(page.select_one("#request-term"))
    poll = page.select_one("#request-state")
    assert poll is not None
    decision(responder, purge, comment="seen it too")

    answer = soup(other_responder.get(str(poll["hx-get"]), headers=HTMX))

    assert answer.select_one("#request-decide")["hx-swap-oob"] == "delete"  # type: ignore[index]
    term = answer.select_one("#request-term")
    assert term is not None
    assert term["hx-swap-oob"] == "true"
    assert text(term).startswith("Decided by Ben")


def counted(member: Member) -> dict[str, int]:
    statement, values = counting.counts(member)
    return dict(fetch(statement, *values))


def test_the_frame_counts_in_one_statement(
    ana: Member, ben: Member, vera: Member, purge: Approval, responder: Client
) -> None:
    assert counted(ana) == {"requests_mine": 1}
    assert counted(ben) == {"requests_for_me": 1}
    assert counted(vera) == {}

    decision(responder, purge, "refuse", comment="not yet")

    assert counted(ana) == {"requests_untold": 1}
    assert counted(ben) == {}


# --- deciding ---------------------------------------------------------------------------------------------------------


def test_an_approved_purge_goes_once_and_names_both(
    purge: Approval, responder: Client, clean: Message, emailsec: Any, soup: Soup, analyst: Client, ben: Member
) -> None:
    answer = decision(responder, purge, comment="seen it too")

    action = purge.action
    assert action is not None
    action.refresh_from_db()
    assert (answer.status_code, purge.state, action.state) == (303, ApprovalState.APPROVED, ActionState.WAITING)
    assert timezone.now() < action.due_at < timezone.now() + dt.timedelta(seconds=31), "there is time to undo"
    assert len(emailsec.ledger) == 0

    all_is_due(action)
    all_is_due(action)

    assert action.state == ActionState.DONE
    assert [effect.detail["destination"] for effect in emailsec.ledger] == ["RecoverableItemsPurges"]
    receipt = text(soup(analyst.get(reverse("investigate:action", args=[action.pk]))).main)
    assert "Ana" in receipt
    assert "by Ben" in receipt
    assert "seen it too" in receipt
    assert actions.states_for([clean.id])[clean.id].text == "purged, approved by Ben"
    history = text(soup(analyst.get(reverse("investigate:part", args=[clean.id, "history"]), headers=HTMX)))
    assert "approved by Ben" in history
    trail = list(AuditEvent.objects.order_by("sequence").values_list("action", "phase", "actor_name"))
    wanted = [
        ("approval:request", "done", "Ana"),
        ("approval:approve", "done", "Ben"),
        ("message:move", "attempt", "Ben"),
        ("message:move", "done", "Mailwarden"),
    ]
    assert [row for row in trail if row in wanted] == wanted
    attempt, end = AuditEvent.objects.filter(action="message:move").order_by("sequence")
    assert (attempt.refers_to, end.refers_to) == (purge.audit_sequence, attempt.sequence)
    out = io.StringIO()
    call_command("verify_audit", stdout=out)


@pytest.mark.parametrize("who", ["analyst", "responder"])
def test_both_people_can_undo_what_was_approved(
    who: str, purge: Approval, responder: Client, emailsec: Any, request: pytest.FixtureRequest, soup: Soup
) -> None:
    decision(responder, purge)
    client = request.getfixturevalue(who)
    page = soup(client.get(reverse("investigate:approval", args=[purge.pk])))
    form = page.select_one("#request-state form")
    assert form is not None

    client.post(str(form["action"]))

    action = purge.action
    assert action is not None
    assert all_is_due(action).state == ActionState.CANCELLED
    assert len(emailsec.ledger) == 0
    assert decision(client, purge, "undo").status_code == 303, "a second click changes nothing"


def test_others_undo_nothing(purge: Approval, responder: Client, other_responder: Client, emailsec: Any) -> None:
    decision(responder, purge)

    assert decision(other_responder, purge, "undo").status_code == 403
    action = purge.action
    assert action is not None
    assert all_is_due(action).state == ActionState.DONE


def test_a_refusal_needs_a_comment_frees_the_message_and_is_told(
    ana: Member, purge: Approval, responder: Client, analyst: Client, clean: Message, emailsec: Any, soup: Soup
) -> None:
    assert decision(responder, purge, "refuse").status_code == 422
    assert purge.state == ApprovalState.PENDING

    decision(responder, purge, "refuse", comment="it is the payroll")

    action = purge.action
    assert action is not None
    assert (purge.state, all_is_due(action).state) == (ApprovalState.REFUSED, ActionState.CANCELLED)
    assert len(emailsec.ledger) == 0
    assert list(queries.untold(ana)) == [purge]
    page = soup(analyst.get(reverse("investigate:approval", args=[purge.pk])))
    assert "Ben refused the purge: it is the payroll. Nothing was sent." in text(page.main)
    assert not queries.untold(ana)
    assert actions.states_for([clean.id])[clean.id].text == "refused by Ben"
    assert AuditEvent.objects.filter(action="approval:refuse", actor_name="Ben").exists()
    asked(analyst, clean)  # the message is free again


def test_who_asked_can_withdraw_and_nobody_else(
    purge: Approval, responder: Client, analyst: Client, clean: Message, emailsec: Any
) -> None:
    assert decision(responder, purge, "withdraw").status_code == 403

    assert decision(analyst, purge, "withdraw").status_code == 303
    assert decision(analyst, purge, "withdraw").status_code == 303, "a second click changes nothing"

    assert purge.state == ApprovalState.WITHDRAWN
    assert decision(responder, purge).status_code == 409
    assert clean.id not in actions.states_for([clean.id])
    assert len(emailsec.ledger) == 0


@pytest.mark.matrix(70)
def test_the_sweep_ends_what_nobody_decided(purge: Approval, responder: Client, ana: Member, emailsec: Any) -> None:
    tasks.sweep()
    purge.refresh_from_db()
    assert purge.state == ApprovalState.PENDING
    Approval.objects.filter(pk=purge.pk).update(expires_at=timezone.now())

    tasks.sweep()
    tasks.sweep()

    purge.refresh_from_db()
    action = purge.action
    assert action is not None
    action.refresh_from_db()
    assert (purge.state, action.state) == (ApprovalState.EXPIRED, ActionState.CANCELLED)
    assert action.explanation == "Nobody approved it in time."
    assert AuditEvent.objects.filter(action="approval:expire").count() == 1
    assert list(queries.untold(ana)) == [purge]
    assert decision(responder, purge).status_code == 409
    assert len(emailsec.ledger) == 0


@pytest.mark.matrix(5)
def test_a_restart_between_approval_and_sending_loses_nothing(
    purge: Approval, responder: Client, emailsec: Any, bell: Callable[[], list[str]]
) -> None:
    """The bell is lost with the worker; the row is found by the sweep."""
    decision(responder, purge)
    action = purge.action
    assert action is not None
    before = len(bell())
    Action.objects.filter(pk=action.pk).update(due_at=timezone.now())

    tasks.sweep()

    assert len(bell()) > before
    tasks.send_action(str(action.pk))
    tasks.send_action(str(action.pk))
    action.refresh_from_db()
    assert (action.state, len(emailsec.ledger)) == (ActionState.DONE, 1)


# --- rights at the moment of sending ----------------------------------------------------------------------------------


def lost(member: Member) -> None:
    Member.objects.filter(pk=member.pk).update(role=Role.VIEWER)


@pytest.mark.parametrize(
    ("who", "told"),
    [("ana", "Ana no longer has the right to do this."), ("ben", "Ben approved this and no longer has the right to.")],
)
@pytest.mark.matrix(62, 70)
def test_what_was_approved_does_not_go_out_without_the_rights_of_both(
    who: str, told: str, purge: Approval, responder: Client, emailsec: Any, request: pytest.FixtureRequest
) -> None:
    decision(responder, purge)
    lost(request.getfixturevalue(who))

    action = purge.action
    assert action is not None
    all_is_due(action)

    assert (action.state, action.explanation) == (ActionState.FAILED, f"Nothing was sent: {told}")
    assert len(emailsec.ledger) == 0


@pytest.mark.matrix(70)
def test_what_was_approved_is_what_goes_out(purge: Approval, responder: Client, emailsec: Any) -> None:
    decision(responder, purge)
    action = purge.action
    assert action is not None
    Action.objects.filter(pk=action.pk).update(destination="RecoverableItemsDeletions")

    all_is_due(action)

    assert action.state == ActionState.FAILED
    assert "not what Ben approved" in action.explanation
    assert len(emailsec.ledger) == 0


@pytest.mark.matrix(70)
def test_nothing_that_takes_two_goes_out_without_a_request(
    settings: Any, ben: Member, decide: Callable[..., Action], clean: Message, emailsec: Any
) -> None:
    """It was decided by one person, and then somebody began to ask for two."""
    settings.SECOND_PERSON = frozenset()
    action = decide(ben, clean, "move", destination="RecoverableItemsPurges", is_confirmed=True, reason="ticket 4711")
    settings.SECOND_PERSON = frozenset({"purge"})

    all_is_due(action)

    assert action.state == ActionState.FAILED
    assert "takes a second person" in action.explanation
    assert len(emailsec.ledger) == 0


def test_the_reason_that_was_shown_stays(purge: Approval, analyst: Client) -> None:
    action = purge.action
    assert action is not None

    answer = analyst.post(reverse("investigate:reason", args=[action.pk]), {"reason": "something else"})

    action.refresh_from_db()
    assert (answer.status_code, action.reason) == (409, "ticket 4711")
