"""One message: recipients elsewhere are left out of it everywhere, and acting on it needs every copy inside."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.simulator import Simulator
from investigate.message import parts
from investigate.message.tabs import TABS
from investigate.message.visible import OUTSIDE, line_inside, trimmed
from investigate.models import Action, ActionKind, ActionState
from tests.conftest import HTMX
from tests.scope.conftest import INSIDE, MARK, Mail, delivered, held, is_inside, message

SCOPE = Scope(frozenset({INSIDE}))
AS_DELIVERED = {"headers", "raw"}  # what the mailbox inside got is shown as it got it, with its To and Cc


@pytest.mark.parametrize("tab", sorted(set(TABS) - AS_DELIVERED))
def test_no_part_of_a_message_names_recipients_elsewhere(tab: str, scoped: Client, mail: Mail) -> None:
    for record in (delivered(mail.mixed), held(mail.mixed)):
        part = scoped.get(reverse("investigate:part", args=[record.id, tab]), headers=HTMX)
        page = scoped.get(reverse("investigate:message", args=[record.id]), {"tab": tab})

        assert part.status_code == page.status_code == 200
        assert MARK not in part.content.decode()
        assert MARK not in page.content.decode()


def test_the_head_names_and_counts_the_copies_inside_alone(scoped: Client, mail: Mail, soup: Any) -> None:
    record = max(mail.mixed, key=lambda one: len(one.client_recipients))
    inside = [address for address in record.client_recipients if is_inside(address)]

    facts = soup(scoped.get(reverse("investigate:pane", args=[record.id]))).select_one(".facts").text

    assert f"{len(inside)} cop{'y' if len(inside) == 1 else 'ies'}" in facts
    assert all(address.partition("@")[0] in facts for address in record.to if is_inside(address))
    assert MARK not in facts


def test_states_are_those_of_the_copies_inside(mail: Mail, emailsec: Simulator) -> None:
    record = next(one for one in mail.mixed if len(one.client_recipients) > 1)
    copies = emailsec.store.touched(record).copies
    for copy in copies:
        copy.status = "delivered" if is_inside(copy.recipient) else "bounced"

    cut = trimmed(message(record.id), SCOPE)

    assert set(cut.delivery_status) == {"delivered"}
    assert len(cut.delivery_status) == len(cut.client_recipients) < len(record.client_recipients)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("q1: from=<eve@x.example>, size=1, nrcpt=5 (q)", "q1: from=<eve@x.example>, size=1, nrcpt=… (q)"),
        ("q1: held in quarantine for 5 recipients", "q1: held in quarantine for … recipients"),
        (f"q1: to=<ann@{INSIDE}>, status=sent", f"q1: to=<ann@{INSIDE}>, status=sent"),
        ("q1: to=<bob@other.example>, status=sent", ""),
        ("connect to inbound.other.example[192.0.2.1]:25", ""),
        ("q1: to=<list@elsewhere.example>, orig_to=<x@third.example>", ""),
        ("q1: removed", "q1: removed"),
    ],
)  # fmt: skip
def test_a_line_of_the_log_is_told_without_recipients_elsewhere(line: str, told: str, mail: Mail) -> None:
    original = message(mail.inside[0].id)
    mixed = trimmed(
        type(original)(id="x", from_="eve@x.example", client_recipients=(f"ann@{INSIDE}", "bob@other.example")),
        SCOPE,
    )

    assert line_inside(line, mixed, SCOPE) == told


def test_acting_takes_that_every_copy_is_inside_and_the_foot_says_so(
    scoped: Client, mail: Mail, emailsec: Simulator, soup: Any
) -> None:
    record = delivered(mail.mixed)
    done = len(emailsec.ledger)

    foot = soup(scoped.get(reverse("investigate:foot", args=[record.id]), headers=HTMX)).text
    answers = [
        scoped.post(
            reverse("investigate:act", args=[record.id]),
            {**what, "operation_key": uuid.uuid4().hex, "confirmed": "1", "reason": "ticket 4711"},
        )
        for what in (
            {"kind": "move", "destination": "JunkEmail"},
            {"kind": "move", "destination": "RecoverableItemsPurges"},
            {"kind": "release"},
            {"kind": "reclassify", "expected_disposition": "NONE"},
        )
    ]

    assert OUTSIDE in foot
    assert {answer.status_code for answer in answers} == {409}
    assert all(OUTSIDE in answer.content.decode() for answer in answers)
    assert not Action.objects.exists()
    assert len(emailsec.ledger) == done


def test_a_message_with_all_copies_inside_is_acted_on_as_ever(
    sam: Member, mail: Mail, act: Callable[..., Action], emailsec: Simulator
) -> None:
    record = delivered(mail.inside)

    action = act(sam, record, ActionKind.MOVE, destination="JunkEmail")

    assert action.state == ActionState.DONE
    assert action.items.get().domains == f" {INSIDE} "
    assert {entry.recipient for entry in emailsec.ledger.of("move", record.id)} == set(record.client_recipients)


def test_what_colleagues_did_is_told_of_the_copies_inside(
    scoped: Client, ben: Member, mail: Mail, act: Callable[..., Action], emailsec: Simulator, soup: Any
) -> None:
    record = delivered(mail.mixed)
    emailsec.store.full_mailboxes.clear()
    action = act(ben, record, ActionKind.MOVE, destination="JunkEmail")
    outside = [receipt for receipt in action.items.get().receipts.all() if not is_inside(receipt.recipient)]
    for receipt in outside:
        receipt.is_done, receipt.status = False, f"mailbox of {receipt.recipient} is gone"
        receipt.save()
    action.items.update(state=ActionState.PARTLY_DONE)
    Action.objects.filter(pk=action.pk).update(
        state=ActionState.PARTLY_DONE,
        explanation=f"{MARK} said no",
        evidence=[{"at": "2026-11-21T00:00:00+00:00", "found": MARK}],
    )
    inside = sum(map(is_inside, record.client_recipients))

    receipt = scoped.get(reverse("investigate:action", args=[action.pk]))
    listed = scoped.get(reverse("investigate:actions"))
    history = scoped.get(reverse("investigate:part", args=[record.id, "history"]), headers=HTMX)
    found = scoped.get(reverse("investigate:search"), {"last": "30d"})

    for answer in (receipt, listed, history, found):
        assert answer.status_code == 200
        assert MARK not in answer.content.decode()
    copies = "copy" if inside == 1 else "copies"
    assert f"Moved {inside} of {inside} {copies}." in soup(receipt).select_one("#receipt").text
    assert soup(receipt).select_one("#receipt .state")["data-state"] == "done"
    assert f"Moved {inside} of {inside} {copies}." in soup(history).text


def test_an_action_that_touched_copies_elsewhere_is_not_mended_by_who_is_limited(
    scoped: Client, ben: Member, mail: Mail, act: Callable[..., Action]
) -> None:
    action = act(ben, delivered(mail.mixed), ActionKind.MOVE, destination="JunkEmail")
    Action.objects.filter(pk=action.pk).update(state=ActionState.UNKNOWN, needs_person=True)
    action.items.update(state=ActionState.UNKNOWN)

    look = scoped.post(reverse("investigate:look", args=[action.pk]))
    settle = scoped.post(reverse("investigate:settle", args=[action.pk]), {"outcome": "done"})

    assert look.status_code == settle.status_code == 409
    assert OUTSIDE in look.content.decode()
    action.refresh_from_db()
    assert action.state == ActionState.UNKNOWN


def test_rows_from_before_domains_were_kept_are_nobodys_who_is_limited(
    scoped: Client, sam: Member, mail: Mail, act: Callable[..., Action]
) -> None:
    action = act(sam, delivered(mail.inside), ActionKind.MOVE, destination="JunkEmail")
    action.items.update(domains="")

    assert scoped.get(reverse("investigate:action", args=[action.pk])).status_code == 404
    assert str(action.pk) not in scoped.get(reverse("investigate:actions")).content.decode()


def test_detections_are_asked_for_once_the_message_is_known_to_be_inside(
    scoped: Client, mail: Mail, calls: Callable[[], list[str]]
) -> None:
    foreign, inside = delivered(mail.foreign), delivered(mail.inside)
    calls()

    assert scoped.get(reverse("investigate:pane", args=[foreign.id])).status_code == 404
    assert calls() == ["message", "message"]
    assert scoped.get(reverse("investigate:pane", args=[inside.id])).status_code == 200
    assert sorted(calls()) == ["detections", "message"]


def test_others_pay_nothing(
    responder: Client, mail: Mail, calls: Callable[[], list[str]], django_assert_num_queries: Any
) -> None:
    """The gate costs a member without a limit what reading the message costs."""
    record = delivered(mail.foreign)
    parts.read_message(record.id)
    calls()

    with django_assert_num_queries(1):
        parts.read_message(record.id)
    assert calls() == []
    assert responder.get(reverse("investigate:pane", args=[record.id])).status_code == 200
