"""What the API answers is text of any length with any character in it: every word of it must find a place in a row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from investigate.actions import services
from investigate.models import Action, ActionState, Receipt
from tests.investigate.actions.conftest import Time, copies_of

pytestmark = pytest.mark.django_db
Decide = Callable[..., Action]

LONG = "too \x00 long " * 300  # 3,300 characters and 300 NULs


def answer(result: Any) -> dict[str, Any]:
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": result})
    return {"body": body, "content_type": "application/json"}


def errors_(told: str) -> dict[str, Any]:
    body = {"success": False, "errors": [{"code": 1000, "message": told}], "messages": [], "result": None}
    return {"status": 400, "body": json.dumps(body), "content_type": "application/json"}


def texts(action: Action) -> list[str]:
    receipts = Receipt.objects.filter(item__action=action)
    found = [action.explanation, *(item.explanation for item in action.items.all())]
    found += [text for receipt in receipts for text in (receipt.recipient, receipt.status)]
    return found + [look["found"] for look in action.evidence]


def is_storable(action: Action) -> bool:
    return all("\x00" not in text and len(text) <= 2000 for text in texts(action))


@pytest.mark.parametrize(
    ("kind", "operation", "what"),
    [
        ("move", "move_one", {"destination": "JunkEmail"}),
        ("release", "release", {}),
        ("reclassify", "submit", {"expected_disposition": "NONE"}),
    ],
)
def test_a_refusal_in_many_words_is_still_a_refusal(
    ana: Member,
    decide: Decide,
    clean: Message,
    spam_in_quarantine: Message,
    emailsec: Any,
    time_: Time,
    kind: str,
    operation: str,
    what: dict[str, str],
) -> None:
    emailsec.faults.next(operation, **errors_(LONG))

    action = time_.undo_window_ends(decide(ana, clean if kind == "move" else spam_in_quarantine, kind, **what))

    assert action.state == ActionState.FAILED
    assert action.explanation.startswith("Cloudflare: too \ufffd long")
    assert len(action.explanation) == 500
    assert is_storable(action)
    assert AuditEvent.objects.last().phase == "failed"


def test_a_move_whose_status_is_too_long_ends_in_its_receipts(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    (recipient,) = clean.client_recipients
    emailsec.faults.next("move_one", **answer([{"success": False, "status": LONG, "recipient": recipient}]))

    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    assert action.state == ActionState.FAILED
    assert copies_of(action) == {recipient: False}
    assert is_storable(action)


@pytest.mark.parametrize("outcome", ["delivered", "failed", "undelivered"])
def test_a_release_that_names_a_recipient_of_any_length_is_stored(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time, outcome: str
) -> None:
    lists = {"delivered": [], "failed": [], "undelivered": []} | {outcome: [LONG]}
    emailsec.faults.next("release", **answer([{"id": spam_in_quarantine.id, **lists}]))

    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))

    assert action.state == ActionState.UNKNOWN, "the copies we asked for are not in the answer"
    assert is_storable(action)


def test_a_submission_refused_in_many_words_is_a_refusal(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    body = {"success": True, "result": {"results": [{"id": LONG, "accepted": False, "error": LONG}]}}
    emailsec.faults.next("submit", status=202, body=json.dumps(body), content_type="application/json")

    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE"))

    assert action.state == ActionState.FAILED
    assert is_storable(action)


@pytest.mark.parametrize("success", [True, False, None])
def test_a_look_stores_whatever_the_log_says(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time, success: bool | None
) -> None:
    emailsec.faults.next("move_one", lose_answer=True)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    at = action.sent_at.isoformat()
    line = {"operation": "MOVE", "completed_at": at, "status": LONG, "properties": {"folder": "JunkEmail"}}
    emailsec.faults.next("action_log", **answer([line | ({} if success is None else {"success": success})]))

    time_.look(action, after=31)

    assert action.looks == 1
    assert is_storable(action)
    expected = {True: ActionState.DONE, False: ActionState.FAILED, None: ActionState.UNKNOWN}[success]
    assert action.state == expected


def test_a_look_stores_whatever_the_message_says_of_itself(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("move_one", lose_answer=True)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    message = {"id": clean.id, "delivery_status": [LONG], "client_recipients": list(clean.client_recipients)}
    emailsec.faults.next("message", **answer(message))

    time_.look(action, after=31)

    assert (action.state, action.looks) == (ActionState.UNKNOWN, 1)
    assert is_storable(action)


def test_a_recipient_with_a_nul_is_one_copy_from_the_decision_to_the_look(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    """Our row holds another character in its place, and still means the copy the answer names."""
    action = decide(ana, clean, "move", destination="JunkEmail")
    item = action.items.get()
    item.recipients = ["a\ufffdb@corp.example"]
    item.save()
    emailsec.faults.next("move_one", **answer([{"success": True, "recipient": "A\x00b@corp.example"}]))

    time_.undo_window_ends(action)

    assert action.state == ActionState.DONE
    assert copies_of(action) == {"a\ufffdb@corp.example": True}


def test_the_longest_name_a_member_can_have_acts_and_settles(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    ana.first_name, ana.last_name = "A" * 150, "N" * 150  # with the space between them 301 characters
    ana.save(update_fields=["first_name", "last_name"])
    emailsec.faults.next("release", lose_answer=True)

    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))
    for wait in (31, 150, 430):
        time_.look(action, after=wait)
    services.settle(actor=ana, action=action, as_done=True, request=None)

    assert len(action.actor_name) == 300
    assert action.state == ActionState.DONE
