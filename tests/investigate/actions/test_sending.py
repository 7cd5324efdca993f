"""From the click to the receipt, with the simulator's ledger as the truth our rows are compared with."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from structlog.testing import capture_logs

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.audit.recorder import AuditNotWritten
from dashboard.celery import app
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import build_client, get_client, shared_meter, use_client
from investigate import tasks
from investigate.actions import queries, sending, services, sweep, transitions
from investigate.actions.decision import LARGEST_EML
from investigate.actions.services import ConfirmationNeeded, Conflict, NotPossible
from investigate.models import Action, ActionItem, ActionState
from investigate.undoing import undo_last
from tests.dashboard.audit.test_trail import block_trail
from tests.investigate.actions.conftest import Time, copies_of

pytestmark = pytest.mark.django_db
Find = Callable[..., Message]
Decide = Callable[..., Action]


def calls(emailsec: Any, operation: str) -> int:
    return sum(call.operation == operation for call in emailsec.calls)


def sentence(action: Action) -> str:
    return queries.listed(action).sentence


# --- the click ----------------------------------------------------------------------------------------------------


def test_a_click_writes_everything_down_and_sends_nothing(
    ana: Member, decide: Decide, clean: Message, emailsec: Any
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    item = action.items.get()
    assert (action.state, action.attempt, action.request) == (ActionState.WAITING, 0, None)
    assert action.due_at - action.created_at == dt.timedelta(seconds=ana.undo_seconds)
    assert (item.investigate_id, item.recipients) == (clean.id, list(clean.client_recipients))
    event = AuditEvent.objects.get(pk=action.audit_sequence)
    assert (event.phase, event.action, event.actor_name, event.targets) == (
        "attempt",
        "message:move",
        "Ana",
        [clean.id],
    )
    assert calls(emailsec, "move_one") == 0
    assert sentence(action).startswith("Moves 1 message to Junk in 8 s.")


def test_nothing_is_sent_before_the_undo_window_ends(
    ana: Member, decide: Decide, clean: Message, emailsec: Any
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    sending.send(action.pk)

    action.refresh_from_db()
    assert action.state == ActionState.WAITING
    assert len(emailsec.ledger) == 0


@pytest.mark.parametrize("destination", ["Inbox", "JunkEmail", "DeletedItems"])
def test_a_move_ends_in_a_receipt_for_each_copy(
    ana: Member, decide: Decide, find: Find, emailsec: Any, time_: Time, destination: str
) -> None:
    message = find(disposition="NONE", held=False, copies=3)
    if destination == "Inbox":
        decide_junk = decide(ana, message, "move", destination="JunkEmail")
        time_.undo_window_ends(decide_junk)

    action = time_.undo_window_ends(decide(ana, message, "move", destination=destination))

    assert action.state == ActionState.DONE
    assert copies_of(action) == dict.fromkeys(message.client_recipients, True)
    moved = [entry for entry in emailsec.ledger.of("move", message.id) if entry.detail["destination"] == destination]
    assert sorted(entry.recipient for entry in moved) == sorted(message.client_recipients)
    assert sentence(action) == "Moved 3 of 3 copies."
    assert action.request == {"operation": "move", "id": message.id, "destination": destination}
    end = AuditEvent.objects.get(refers_to=action.audit_sequence)
    assert (end.phase, end.detail["request"]) == ("done", action.request)
    assert {answer["copy"]: answer["done"] for answer in end.detail["answers"]} == copies_of(action)


def test_a_release_delivers(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))

    assert action.state == ActionState.DONE
    assert [entry.recipient for entry in emailsec.ledger.of("release")] == list(spam_in_quarantine.client_recipients)
    assert queries.states_for([spam_in_quarantine.id])[spam_in_quarantine.id].text == "released"


def hold(emailsec: Any, message: Message) -> Message:
    """Put every copy of a message into quarantine."""
    record = emailsec.world.store.find_any(message.id)
    for copy in emailsec.world.store.touched(record).copies:
        copy.status, copy.folder = "quarantined", None
    return get_client().message(message.id)


@pytest.mark.matrix(34)
def test_a_release_that_reached_two_of_three_says_which(
    ana: Member, decide: Decide, find: Find, emailsec: Any, time_: Time
) -> None:
    message = hold(emailsec, find(disposition="NONE", held=False, copies=3))
    first, second, third = message.client_recipients
    emailsec.faults.fail_delivery_to(second)
    emailsec.faults.fail_delivery_to(third, undelivered=True)

    action = time_.undo_window_ends(decide(ana, message, "release"))

    assert action.state == ActionState.PARTLY_DONE
    assert copies_of(action) == {first: True, second: False, third: False}
    assert sentence(action) == f"Released 1 of 3. {second}: not released. {third}: released, not delivered."
    assert [entry.detail["outcome"] for entry in emailsec.ledger.of("release")] == ["delivered", "undelivered"]


def test_a_move_that_fails_for_one_copy_says_why(
    ana: Member, decide: Decide, find: Find, emailsec: Any, time_: Time
) -> None:
    message = find(disposition="NONE", held=False, copies=2)
    emailsec.faults.fail_move_for(message.client_recipients[0], "mailbox is locked")

    action = time_.undo_window_ends(decide(ana, message, "move", destination="DeletedItems"))

    assert action.state == ActionState.PARTLY_DONE
    assert sentence(action) == f"Moved 1 of 2. {message.client_recipients[0]}: mailbox is locked."


def test_a_move_that_fails_for_every_copy_failed(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.fail_move_for(clean.client_recipients[0], "no active integration")

    action = time_.undo_window_ends(decide(ana, clean, "move", destination="DeletedItems"))

    assert action.state == ActionState.FAILED
    assert sentence(action) == f"Not moved. {clean.client_recipients[0]}: no active integration."


# --- submissions --------------------------------------------------------------------------------------------------


def test_a_detection_is_submitted_by_its_alert(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE"))

    assert action.state == ActionState.DONE
    assert action.request["type"] == "reclassification"
    assert action.request["alert_id"] == spam_in_quarantine.alert_id
    assert [entry.detail["requested_disposition"] for entry in emailsec.ledger.of("submission")] == ["NONE"]
    assert sentence(action) == "Submitted as Clean. Cloudflare's answer comes later."


def test_clean_mail_is_a_missed_detection_and_carries_the_file_the_analyst_added(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    eml = b"From: x@example.net\r\n\r\nhello"
    action = time_.undo_window_ends(decide(ana, clean, "reclassify", expected_disposition="MALICIOUS", eml=eml))

    assert action.state == ActionState.DONE
    assert action.request["type"] == "missed_detection"
    assert len(action.request["eml_sha256"]) == 64
    assert action.items.get().attachment is None, "the file is not kept once it is settled"
    assert len(emailsec.ledger.of("submission", clean.id)) == 1


@pytest.mark.parametrize("why", ["too large", "broken", "away"])
def test_a_submission_goes_without_a_file_that_cannot_be_had(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time, why: str
) -> None:
    action = decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE")
    action.items.update(alert_id="")  # so it is a missed detection, and the message itself goes with it
    if why == "away":
        emailsec.faults.next("raw", status=404)
    elif why == "too large":
        body = {"success": True, "errors": [], "messages": [], "result": {"raw": "x" * (LARGEST_EML + 1)}}
        emailsec.faults.next("raw", body=json.dumps(body), content_type="application/json")

    def service(environ: dict[str, Any], start_response: Any) -> Any:
        if why == "broken" and environ["PATH_INFO"].endswith("/raw"):
            raise RuntimeError("nobody thought of this")
        return emailsec(environ, start_response)

    with use_client(build_client(httpx.WSGITransport(app=service))):
        time_.undo_window_ends(action)

    assert action.state == ActionState.DONE
    assert "eml_sha256" not in action.request
    assert calls(emailsec, "submit") == 1


def test_a_submission_that_was_not_accepted_failed_with_the_services_words(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    refused = b'{"results":[{"id":"x","accepted":false,"error":"too old"}]}'
    body = b'{"success":true,"errors":[],"messages":[],"result":' + refused + b"}"
    emailsec.faults.next("submit", status=202, body=body, content_type="application/json")

    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE"))

    assert action.state == ActionState.FAILED
    assert "too old" in sentence(action)


# --- danger -------------------------------------------------------------------------------------------------------


def test_releasing_malicious_mail_needs_its_own_right_a_panel_and_a_reason(
    ana: Member, ben: Member, decide: Decide, find: Find
) -> None:
    message = find(disposition="MALICIOUS", held=True)

    with pytest.raises(PermissionDenied):
        decide(ana, message, "release")
    with pytest.raises(ConfirmationNeeded):
        decide(ben, message, "release")
    with pytest.raises(ConfirmationNeeded):
        decide(ben, message, "release", is_confirmed=True)
    with pytest.raises(ConfirmationNeeded):
        decide(ben, message, "release", reason="known supplier")
    assert not Action.objects.exists()
    assert decide(ben, message, "release", is_confirmed=True, reason="known supplier").state == ActionState.WAITING


@pytest.mark.parametrize("destination", ["RecoverableItemsDeletions", "RecoverableItemsPurges"])
def test_purging_needs_its_own_right_a_panel_and_a_reason(
    ana: Member, ben: Member, decide: Decide, clean: Message, destination: str
) -> None:
    with pytest.raises(PermissionDenied):
        decide(ana, clean, "move", destination=destination)
    with pytest.raises(ConfirmationNeeded):
        decide(ben, clean, "move", destination=destination)
    assert decide(ben, clean, "move", destination=destination, is_confirmed=True, reason="ticket 4711")


def test_what_cannot_work_is_refused_before_anything_is_written(
    ana: Member, vera: Member, decide: Decide, clean: Message, spam_in_quarantine: Message
) -> None:
    with pytest.raises(NotPossible, match="not in quarantine"):
        decide(ana, clean, "release")
    with pytest.raises(NotPossible, match="in quarantine; release it first"):
        decide(ana, spam_in_quarantine, "move", destination="Inbox")
    with pytest.raises(NotPossible, match="Cloudflare says Spam already"):
        decide(ana, spam_in_quarantine, "reclassify", expected_disposition="SPAM")
    with pytest.raises(PermissionDenied):
        decide(vera, clean, "move", destination="Inbox")
    assert not Action.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.matrix(58)
def test_without_an_audit_row_there_is_no_action(ana: Member, decide: Decide, clean: Message) -> None:
    block_trail()

    with pytest.raises(AuditNotWritten):
        decide(ana, clean, "move", destination="JunkEmail")

    assert not Action.objects.exists()


# --- twice --------------------------------------------------------------------------------------------------------


@pytest.mark.matrix(8)
def test_the_same_form_sent_twice_is_one_action(ana: Member, decide: Decide, clean: Message, emailsec: Any) -> None:
    first = decide(ana, clean, "move", key="key-0001", destination="JunkEmail")
    second = decide(ana, clean, "move", key="key-0001", destination="JunkEmail")

    assert first == second
    assert Action.objects.count() == 1


@pytest.mark.matrix(8)
def test_the_same_form_sent_again_after_it_was_done_shows_the_first_receipt(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    first = time_.undo_window_ends(decide(ana, clean, "move", key="key-0001", destination="JunkEmail"))
    second = decide(ana, clean, "move", key="key-0001", destination="JunkEmail")

    assert (second.pk, second.state) == (first.pk, ActionState.DONE)
    assert len(emailsec.ledger.of("move")) == len(clean.client_recipients)


@pytest.mark.matrix(9)
@pytest.mark.parametrize("other", ["destination", "message", "person"])
def test_the_same_key_with_other_content_is_refused(
    ana: Member, ben: Member, decide: Decide, clean: Message, find: Find, other: str
) -> None:
    decide(ana, clean, "move", key="key-0001", destination="JunkEmail")
    elsewhere = find(disposition="NONE", held=False, but=lambda record: record.id != clean.id)

    with pytest.raises(Conflict, match="used already"):
        decide(
            ben if other == "person" else ana,
            elsewhere if other == "message" else clean,
            "move",
            key="key-0001",
            destination="Inbox" if other == "destination" else "JunkEmail",
        )
    assert Action.objects.count() == 1


def test_a_second_action_on_a_message_under_way_is_refused_with_the_first_ones_receipt(
    ana: Member, ben: Member, decide: Decide, clean: Message
) -> None:
    first = decide(ana, clean, "move", destination="JunkEmail")

    with pytest.raises(Conflict, match="Ana has a move") as conflict:
        decide(ben, clean, "move", destination="DeletedItems")

    assert conflict.value.other == first
    assert Action.objects.count() == 1


def test_the_database_itself_refuses_a_second_open_action(ana: Member, decide: Decide, clean: Message) -> None:
    first = decide(ana, clean, "move", destination="JunkEmail")
    second = Action.objects.create(
        operation_key="other", fingerprint="", kind="move", created_at=timezone.now(), due_at=timezone.now()
    )

    with pytest.raises(DatabaseError), transaction.atomic():
        ActionItem.objects.create(action=second, investigate_id=first.items.get().investigate_id)


def test_a_message_is_free_again_once_the_action_has_ended(
    ana: Member, ben: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    assert decide(ben, clean, "move", destination="DeletedItems").state == ActionState.WAITING


# --- undo, reason -------------------------------------------------------------------------------------------------


@pytest.mark.matrix(10)
def test_undo_before_the_end_of_the_window_sends_nothing(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    services.undo(actor=ana, action=action, request=None)
    time_.undo_window_ends(action)

    assert action.state == ActionState.CANCELLED
    assert len(emailsec.ledger) == 0
    assert queries.states_for([clean.id]) == {}
    assert [event.phase for event in AuditEvent.objects.all()] == ["attempt", "cancelled"]


@pytest.mark.matrix(10)
def test_undo_after_it_was_sent_tells_what_is_true(ana: Member, decide: Decide, clean: Message, time_: Time) -> None:
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    with pytest.raises(Conflict, match="Too late") as conflict:
        services.undo(actor=ana, action=action, request=None)

    assert conflict.value.other is not None
    assert conflict.value.other.state == ActionState.DONE


def test_undo_last_takes_the_newest_of_ones_own(ana: Member, ben: Member, decide: Decide, find: Find) -> None:
    taken: set[str] = set()

    def another() -> Message:
        message = find(disposition="NONE", held=False, but=lambda record: record.id not in taken)
        taken.add(message.id)
        return message

    older, newer, bens = (decide(who, another(), "move", destination="JunkEmail") for who in (ana, ana, ben))
    Action.objects.filter(pk=older.pk).update(created_at=timezone.now() - dt.timedelta(seconds=5))

    assert undo_last(actor=ana, request=None) == newer
    assert undo_last(actor=ana, request=None) == older
    assert undo_last(actor=ana, request=None) is None
    with pytest.raises(PermissionDenied):
        services.undo(actor=ana, action=bens, request=None)


def test_a_reason_can_be_added_later_and_the_trail_keeps_it(
    ana: Member, ben: Member, decide: Decide, clean: Message
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    services.add_reason(actor=ana, action=action, reason="newsletter", request=None)

    action.refresh_from_db()
    assert action.reason == "newsletter"
    assert AuditEvent.objects.get(action="message:reason").refers_to == action.audit_sequence
    with pytest.raises(PermissionDenied):
        services.add_reason(actor=ben, action=action, reason="mine", request=None)


# --- rights, budget, refusals at the time of sending ---------------------------------------------------------------


@pytest.mark.parametrize("loss", ["role", "disabled", "deleted"])
def test_rights_lost_while_waiting_stop_the_action(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time, loss: str
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    if loss == "role":
        Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)
    elif loss == "disabled":
        Member.objects.filter(pk=ana.pk).update(is_active=False)
    else:
        ana.delete()

    time_.undo_window_ends(action)

    assert action.state == ActionState.FAILED
    assert sentence(action) == "Not moved. Nothing was sent: Ana no longer has the right to do this."
    assert len(emailsec.ledger) == 0


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "does not accept our credentials"),
        (403, "must give it the permission"),
        (404, "no longer knows this message"),
        (400, "Cloudflare: Refused"),
        (422, "Cloudflare: Refused"),
    ],
)
def test_a_refusal_provably_did_nothing_and_says_who_can_mend_it(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time, status: int, told: str
) -> None:
    emailsec.faults.next("move_one", status=status)

    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    assert action.state == ActionState.FAILED
    assert told in sentence(action)
    assert sentence(action).startswith("Not moved.")
    assert len(emailsec.ledger) == 0
    assert calls(emailsec, "move_one") == 1, "a refused write is not repeated"


@pytest.mark.matrix(40)
def test_a_429_puts_the_action_back_and_no_call_is_made_before_it_is_over(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("move_one", status=429, retry_after=300)

    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    assert action.state == ActionState.WAITING
    assert 290 < (action.due_at - timezone.now()).total_seconds() <= 301
    assert sentence(action).startswith("The account's call budget is used up; nothing was sent. Moves 1 message")
    assert shared_meter().view().frozen_for > 290
    time_.undo_window_ends(action)
    assert calls(emailsec, "move_one") == 1, "our own meter held the second try back"
    assert action.state == ActionState.WAITING
    assert len(emailsec.ledger) == 0


def test_an_action_that_could_not_be_sent_for_an_hour_is_given_up(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    Action.objects.filter(pk=action.pk).update(created_at=timezone.now() - dt.timedelta(minutes=61))
    shared_meter().freeze(900)

    time_.undo_window_ends(action)

    assert action.state == ActionState.FAILED
    assert "given up after an hour" in sentence(action)


# --- claims -------------------------------------------------------------------------------------------------------


@pytest.mark.matrix(17, 20)
def test_two_workers_on_one_row_send_once(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    for _ in range(9):
        sending.send(action.pk)

    assert calls(emailsec, "move_one") == 1


@pytest.mark.matrix(18)
def test_a_worker_held_up_between_claim_and_call_gives_the_row_back(
    ana: Member, decide: Decide, clean: Message, emailsec: Any
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    Action.objects.filter(pk=action.pk).update(due_at=Now())
    times = iter([0.0, 1.5])

    sending.send(action.pk, clock=lambda: next(times))

    action.refresh_from_db()
    assert (action.state, action.sent_at) == (ActionState.WAITING, None)
    assert len(emailsec.ledger) == 0


def claimed(action: Action) -> Action:
    Action.objects.filter(pk=action.pk).update(due_at=Now())
    taken = transitions.claim(action.pk)
    assert taken is not None
    return taken


@pytest.mark.matrix(18)
def test_a_zombie_changes_nothing_once_another_worker_has_the_row(
    ana: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    """Asleep beyond its claim, it wakes while another worker is sending."""
    zombie = claimed(decide(ana, clean, "move", destination="JunkEmail"))
    time_.claim_expires(zombie)
    assert transitions.expire_claim(Action.objects.get(pk=zombie.pk), look_after=30)
    current = claimed(zombie)
    zombie.attempt = 1
    assert current.attempt == 2
    outcomes = [transitions.Outcome(item, state=ActionState.FAILED) for item in zombie.items.all()]

    assert not transitions.note_request(zombie, {"operation": "move"}), "so it may not send"
    assert not transitions.store_answer(zombie, outcomes, look_after=30)
    assert not transitions.give_back(zombie, after=0)

    current.refresh_from_db()
    assert (current.state, current.attempt, current.request) == (ActionState.SENDING, 2, None)
    assert [item.state for item in current.items.all()] == [ActionState.SENDING]


@pytest.mark.matrix(18)
def test_a_late_answer_does_not_undo_what_is_being_looked_up(
    ana: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    zombie = claimed(decide(ana, clean, "move", destination="JunkEmail"))
    assert transitions.note_request(zombie, {"operation": "move"})
    time_.claim_expires(zombie)
    assert transitions.expire_claim(zombie, look_after=30)

    outcomes = [transitions.Outcome(item, state=ActionState.FAILED) for item in zombie.items.all()]
    assert not transitions.store_answer(zombie, outcomes, look_after=30)

    zombie.refresh_from_db()
    assert zombie.state == ActionState.UNKNOWN


def test_a_look_of_an_older_attempt_settles_nothing(ana: Member, decide: Decide, clean: Message, time_: Time) -> None:
    action = claimed(decide(ana, clean, "move", destination="JunkEmail"))
    transitions.note_request(action, {"operation": "move"})
    time_.claim_expires(action)
    transitions.expire_claim(action, look_after=0)
    looking = transitions.take_for_look(action.pk)
    assert looking is not None
    Action.objects.filter(pk=action.pk).update(attempt=2)

    outcomes = [transitions.Outcome(item, state=ActionState.FAILED) for item in action.items.all()]
    assert not transitions.store_look(looking, outcomes, found="nothing", then=ActionState.FAILED)

    action.refresh_from_db()
    assert action.state == ActionState.UNKNOWN


@pytest.mark.matrix(18)
def test_a_sweep_that_read_an_older_attempt_does_not_end_the_present_one(
    ana: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    older = claimed(decide(ana, clean, "move", destination="JunkEmail"))
    transitions.give_back(older, after=0)
    current = claimed(older)
    time_.claim_expires(current)

    assert not transitions.expire_claim(older, look_after=30)
    assert transitions.expire_claim(current, look_after=30)


def test_a_person_settles_the_attempt_they_saw(ana: Member, decide: Decide, clean: Message, time_: Time) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    Action.objects.filter(pk=action.pk).update(state=ActionState.UNKNOWN, needs_person=True, attempt=1)
    seen = Action.objects.get(pk=action.pk)
    Action.objects.filter(pk=action.pk).update(attempt=2)

    with pytest.raises(Conflict):
        services.settle(actor=ana, action=seen, as_done=True, request=None)


# --- the sweep ----------------------------------------------------------------------------------------------------


@pytest.fixture
def queue_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The embedded broker's folder, of this test alone."""
    monkeypatch.setitem(app.conf.broker_transport_options, "queue_folder", str(tmp_path / "queue"))
    return tmp_path / "queue"


@pytest.fixture
def bell(queue_folder: Path) -> Callable[[], list[str]]:
    """The queues of the messages that lie in the broker's folders."""
    return lambda: sorted(path.parent.name for path in queue_folder.rglob("*.msg"))


@pytest.mark.matrix(1, 5)
def test_the_click_rings_and_the_sweep_rings_again_for_what_nobody_heard(
    ana: Member, decide: Decide, clean: Message, bell: Callable[[], list[str]]
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    assert action.bell_rang
    assert bell() == ["people"]

    sweep.sweep_actions()
    assert len(bell()) == 1, "not due yet"
    Action.objects.filter(pk=action.pk).update(due_at=Now())
    sweep.sweep_actions()
    assert len(bell()) == 2


@pytest.mark.matrix(20)
def test_the_tasks_do_what_their_names_say_and_do_no_harm_when_delivered_ten_times(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, bell: Callable[[], list[str]]
) -> None:
    emailsec.faults.next("move_one", lose_answer=True, applied=True)
    action = decide(ana, clean, "move", destination="JunkEmail")
    Action.objects.filter(pk=action.pk).update(due_at=Now())

    for _ in range(10):
        tasks.send_action(str(action.pk))
    Action.objects.filter(pk=action.pk).update(next_look_at=Now())
    before = bell()
    sweep.sweep_actions()
    rung = len(bell()) - len(before)
    tasks.sweep()
    for _ in range(10):
        tasks.look_up_action(str(action.pk))
    tasks.send_action(str(uuid.uuid4()))  # a row that is gone

    action.refresh_from_db()
    assert rung == 1
    assert action.state == ActionState.DONE
    assert calls(emailsec, "move_one") == 1
    assert calls(emailsec, "action_log") == 1


@pytest.fixture
def dead_broker(queue_folder: Path) -> None:
    """A file stands where the embedded broker keeps its folders."""
    queue_folder.write_text("")


@pytest.mark.matrix(3)
def test_a_dead_broker_does_not_fail_the_click(ana: Member, decide: Decide, clean: Message, dead_broker: None) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")

    assert action.state == ActionState.WAITING
    assert not action.bell_rang
    assert queries.announcement(action).startswith("Queued; the worker is offline, and nothing is lost.")
    sweep.sweep_actions()  # does not fail either: it rings again in 15 s


@pytest.mark.matrix(16)
def test_a_worker_that_died_before_it_sent_leaves_a_waiting_action(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    action = claimed(decide(ana, clean, "move", destination="JunkEmail"))
    sweep.sweep_actions()
    action.refresh_from_db()
    assert action.state == ActionState.SENDING, "the claim has not expired"
    time_.claim_expires(action)

    sweep.sweep_actions()

    action.refresh_from_db()
    assert (action.state, action.dead_attempts) == (ActionState.WAITING, 1)
    assert time_.undo_window_ends(action).state == ActionState.DONE
    assert len(emailsec.ledger.of("move", clean.id)) == len(clean.client_recipients)


@pytest.mark.matrix(16)
def test_a_worker_that_died_after_it_wrote_the_request_leaves_an_unknown(
    ana: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    action = claimed(decide(ana, clean, "move", destination="JunkEmail"))
    transitions.note_request(action, {"operation": "move"})
    time_.claim_expires(action)

    sweep.sweep_actions()

    action.refresh_from_db()
    assert action.state == ActionState.UNKNOWN
    assert action.next_look_at is not None
    assert AuditEvent.objects.last().phase == "unknown"


@pytest.mark.matrix(16)
def test_one_bad_row_stops_neither_the_bells_nor_the_rescue_of_the_others(
    ana: Member,
    decide: Decide,
    find: Find,
    time_: Time,
    bell: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[str] = []
    while len(found) < 3:
        found.append(find(held=False, but=lambda record: record.id not in found).id)
    bad, good, due = (decide(ana, each, "move", destination="JunkEmail") for each in found)
    for action in (bad, good):
        time_.claim_expires(claimed(action))
    Action.objects.filter(pk=due.pk).update(due_at=Now())
    before, expire = len(bell()), transitions.expire_claim

    def stumble(action: Action, *, look_after: float) -> bool:
        assert len(bell()) == before + 1, "what is due is rung for first"
        if action.pk == bad.pk:
            raise ZeroDivisionError
        return expire(action, look_after=look_after)

    monkeypatch.setattr(transitions, "expire_claim", stumble)
    with capture_logs() as lines:
        sweep.sweep_actions()

    good.refresh_from_db()
    assert good.state == ActionState.WAITING
    (line,) = [line for line in lines if line["event"] == "claim_not_ended"]
    assert (line["action"], line["error"]) == (str(bad.pk), "ZeroDivisionError")


@pytest.mark.matrix(13)
def test_three_dead_workers_park_the_action_for_a_person(
    ana: Member, decide: Decide, clean: Message, time_: Time
) -> None:
    action = decide(ana, clean, "move", destination="JunkEmail")
    for _ in range(3):
        action = claimed(action)
        time_.claim_expires(action)
        sweep.sweep_actions()

    action.refresh_from_db()
    assert (action.state, action.needs_person, action.attempt) == (ActionState.UNKNOWN, True, 3)
    assert "3 tries ended with a worker that stopped" in sentence(action)
    services.settle(actor=ana, action=action, as_done=False, request=None)
    assert action.items.get().state == ActionState.FAILED
