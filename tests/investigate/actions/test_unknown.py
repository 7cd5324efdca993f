"""Writes without an answer: never sent again to see, always settled by looking, and true in the end."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import build_client, use_client
from investigate.actions import queries, services, sweep
from investigate.models import Action, ActionState
from tests.investigate.actions.conftest import Time, copies_of
from tests.investigate.actions.test_sending import calls, hold, sentence

pytestmark = pytest.mark.django_db
Find = Callable[..., Message]
Decide = Callable[..., Action]

AMBIGUOUS: dict[str, dict[str, Any]] = {
    "answer lost": {"lose_answer": True},
    "500": {"status": 500},
    "502": {"status": 502},
    "503": {"status": 503},
    "520": {"status": 520},
    "524": {"status": 524},
    "an edge page with 200": {"html": True},
    "an edge page with 502": {"html": True, "status": 502},
    "success false with 200": {"success_false": True},
    "cut off": {"truncate": 20},
    "empty": {"empty": True},
    "another type": {
        "body": b'{"success":true,"errors":[],"messages":[],"result":7}',
        "content_type": "application/json",
    },
    "not json": {"body": b"\xff\xfe{NaN", "content_type": "application/json"},
    "a redirect": {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
}


@pytest.mark.matrix(28, 29, 31, 32)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not applied"])
@pytest.mark.parametrize("what", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_any_answer_that_proves_nothing_is_unknown_and_settled_by_looking(
    ana: Member,
    decide: Decide,
    clean: Message,
    emailsec: Any,
    time_: Time,
    what: dict[str, Any],
    applied: bool,
) -> None:
    emailsec.faults.next("move_one", applied=applied, **what)

    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    assert action.state == ActionState.UNKNOWN
    assert calls(emailsec, "move_one") == 1, "a write without an answer is never repeated"
    assert sentence(action).startswith("No answer came. The move may have happened. Checking;")
    assert set(copies_of(action).values()) == {None}

    time_.look(action, after=31)

    was_applied = bool(emailsec.ledger.of("move", clean.id))
    assert was_applied or not applied  # a cut-off answer is one of a call that was carried out
    if was_applied:
        assert action.state == ActionState.DONE
        assert sentence(action).startswith("Checked at ")
        assert ": it was moved." in sentence(action)
        assert set(copies_of(action).values()) == {True}
        assert [event.phase for event in AuditEvent.objects.all()] == ["attempt", "unknown", "done"]
    else:
        assert action.state == ActionState.UNKNOWN, "one look without a trace proves nothing"
    assert calls(emailsec, "move_one") == 1


def test_nobody_looks_before_the_quiet_time_is_over(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("move_one", lose_answer=True, applied=True)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    time_.look(action, after=10)

    assert (action.state, action.looks) == (ActionState.UNKNOWN, 0)
    assert calls(emailsec, "action_log") == 0


def test_a_move_without_a_trace_after_three_looks_is_sent_again(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("move_one", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))

    for wait, looks in ((31, 1), (150, 2), (430, 3)):
        assert action.state == ActionState.UNKNOWN
        time_.look(action, after=wait)
        assert action.looks == looks

    assert action.state == ActionState.WAITING
    assert len(action.evidence) == 3
    assert "Looked 3 times and found no proof of the move. Moves 1 message to Junk. Sends now." in sentence(action)
    time_.undo_window_ends(action)
    assert action.state == ActionState.DONE
    assert sentence(action) == "Moved 1 of 1 copy."
    assert action.attempt == 2
    assert len(emailsec.ledger.of("move", clean.id)) == len(clean.client_recipients)


def looked_for_in_vain(action: Action, time_: Time) -> None:
    for wait in (31, 150, 430):
        time_.look(action, after=wait)
    assert action.state == ActionState.WAITING


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_second_attempt_that_is_refused_proves_nothing_about_the_first(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time, status: int
) -> None:
    emailsec.faults.next("move_one", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    looked_for_in_vain(action, time_)
    emailsec.faults.next("move_one", status=status)

    time_.undo_window_ends(action)

    assert (action.state, action.needs_person, action.next_look_at) == (ActionState.UNKNOWN, True, None)
    assert sentence(action).startswith("An earlier try had no answer and may have happened. Cloudflare")
    assert sentence(action).endswith("Look and decide.")
    assert set(copies_of(action).values()) == {None}
    assert AuditEvent.objects.last().phase == "unknown"
    services.settle(actor=ana, action=action, as_done=True, request=None)
    action.refresh_from_db()
    assert set(copies_of(action).values()) == {True}


def test_an_action_whose_second_attempt_loses_its_right_waits_for_a_person(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("move_one", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    looked_for_in_vain(action, time_)
    ana.is_active = False
    ana.save(update_fields=["is_active"])

    time_.undo_window_ends(action)

    assert (action.state, action.needs_person) == (ActionState.UNKNOWN, True)
    assert "may have happened" in sentence(action)
    assert calls(emailsec, "move_one") == 1


@pytest.mark.matrix(29)
def test_a_release_without_a_trace_goes_to_a_person_and_is_never_sent_again(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("release", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))

    for wait in (31, 150, 430, 3600, 3600):
        time_.look(action, after=wait)

    assert (action.state, action.needs_person, action.looks) == (ActionState.UNKNOWN, True, 3)
    assert "Looked 3 times and found no proof of the release. Nothing is sent again." in sentence(action)
    assert "quarantined" in action.evidence[-1]["found"]
    assert calls(emailsec, "release") == 1
    services.settle(actor=ana, action=action, as_done=False, request=None)
    action.refresh_from_db()
    assert action.state == ActionState.FAILED
    assert sentence(action) == "Not released. Settled by Ana as not done."
    assert AuditEvent.objects.last().actor_name == "Ana"


def test_a_person_can_settle_it_as_done(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("release", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))
    with pytest.raises(services.Conflict):
        services.settle(actor=ana, action=action, as_done=True, request=None)
    for wait in (31, 150, 430):
        time_.look(action, after=wait)

    services.settle(actor=ana, action=action, as_done=True, request=None)

    action.refresh_from_db()
    assert action.state == ActionState.DONE
    assert sentence(action).startswith("Settled by Ana as done.")


def test_impatient_looks_do_not_shorten_the_ten_minutes(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("release", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))

    for _ in range(5):
        services.look_now(actor=ana, action=action, request=None)
        time_.look(action, after=1)

    assert action.looks == 5
    assert not action.needs_person


@pytest.mark.matrix(29)
def test_a_log_that_lags_is_waited_for(ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time) -> None:
    """The move was carried out, but the log does not show it at the first look."""
    emailsec.faults.log_lag = 3600
    emailsec.faults.next("move_one", lose_answer=True, applied=True)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    time_.look(action, after=31)
    assert (action.state, action.looks) == (ActionState.UNKNOWN, 1)
    assert "The action log has no line about it." in action.evidence[0]["found"]

    emailsec.faults.log_lag = 0
    time_.look(action, after=150)

    assert (action.state, action.looks) == (ActionState.DONE, 2)
    assert calls(emailsec, "move_one") == 1
    assert len(emailsec.ledger.of("move", clean.id)) == len(clean.client_recipients)


def test_a_copy_that_left_the_quarantine_proves_a_release_before_the_log_does(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.log_lag = 3600
    emailsec.faults.next("release", lose_answer=True, applied=True)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))

    time_.look(action, after=31)

    assert (action.state, action.looks) == (ActionState.DONE, 1)
    assert "The action log has no line about it." in action.evidence[0]["found"]
    assert calls(emailsec, "release") == 1


@pytest.mark.matrix(30)
def test_what_is_applied_after_we_gave_up_is_found_by_a_later_look(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("release", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))
    time_.look(action, after=31)
    assert action.state == ActionState.UNKNOWN
    world = emailsec.world
    emailsec.faults.clear()
    from dashboard.simulator.mailbox import Mailboxes

    Mailboxes(world).release(world.store.find_any(spam_in_quarantine.id), emailsec.clock(), "late")

    time_.look(action, after=150)

    assert action.state == ActionState.DONE
    assert ": it was released." in sentence(action)


def test_a_partial_release_whose_answer_was_lost_is_told_copy_by_copy(
    ana: Member, decide: Decide, find: Find, emailsec: Any, time_: Time
) -> None:
    message = hold(emailsec, find(disposition="NONE", held=False, copies=3))
    first, second, third = message.client_recipients
    emailsec.faults.fail_delivery_to(second)
    emailsec.faults.next("release", lose_answer=True, applied=True)
    action = time_.undo_window_ends(decide(ana, message, "release"))

    time_.look(action, after=31)

    assert action.state == ActionState.PARTLY_DONE
    assert copies_of(action) == {first: True, second: False, third: True}
    assert ": it was partly released." in sentence(action)


@pytest.mark.matrix(33)
def test_copies_missing_in_the_answer_are_unknown_and_the_others_stand(
    ana: Member, decide: Decide, find: Find, emailsec: Any, time_: Time
) -> None:
    message = find(disposition="NONE", held=False, copies=3)
    emailsec.faults.next("move_one", drop_items=1, applied=True)

    action = time_.undo_window_ends(decide(ana, message, "move", destination="JunkEmail"))

    assert action.state == ActionState.UNKNOWN
    assert sorted(copies_of(action).values(), key=str) == [None, True, True]
    assert "The answer says nothing about 1 of 3 copies." in sentence(action)
    time_.look(action, after=31)
    assert action.state == ActionState.DONE
    assert copies_of(action) == dict.fromkeys(message.client_recipients, True)


@pytest.mark.matrix(33)
def test_strangers_in_an_answer_are_ignored(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    body = (
        b'{"success":true,"errors":[],"messages":[],"result":'
        b'[{"id":"somebody-elses","delivered":["x@corp.example"],"failed":[],"undelivered":[]}]}'
    )
    emailsec.faults.next("release", body=body, content_type="application/json", applied=True)

    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "release"))

    assert action.state == ActionState.UNKNOWN
    assert copies_of(action) == dict.fromkeys(spam_in_quarantine.client_recipients)


@pytest.mark.parametrize("applied", [True, False])
def test_an_unanswered_submission_is_looked_for_among_the_submissions(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time, applied: bool
) -> None:
    emailsec.faults.next("submit", lose_answer=True, applied=applied)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE"))
    assert action.state == ActionState.UNKNOWN
    assert copies_of(action) == {"": None}, "a message is submitted, not its copies"

    for wait in (31, 150, 430):
        time_.look(action, after=wait)

    assert len(emailsec.ledger.of("submission", spam_in_quarantine.id)) == int(applied)
    assert calls(emailsec, "submit") == 1
    if applied:
        assert action.state == ActionState.DONE
        assert ": it was submitted." in sentence(action)
        assert copies_of(action) == {"": True}
    else:
        assert (action.state, action.needs_person) == (ActionState.UNKNOWN, True)


def test_a_submission_is_found_on_the_second_page(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("submit", lose_answer=True, applied=True)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE"))
    kept = emailsec.submissions.submissions
    ours = next(entry for entry in kept.values() if entry.record.id == spam_in_quarantine.id)
    stranger = next(record for record in emailsec.world.store.records if record.id != spam_in_quarantine.id)
    names = [f"zzz-{number}" for number in range(120)]
    kept.update({name: dataclasses.replace(ours, submission_id=name, record=stranger) for name in names})

    time_.look(action, after=31)

    assert action.state == ActionState.DONE
    assert calls(emailsec, "submissions") == 2


def listed(*submissions: dict[str, Any]) -> dict[str, Any]:
    """The answer of a service that filters nothing."""
    at = timezone.now().isoformat()
    rows = [{"submission_id": "s-1", "type": "Team", "requested_at": at} | entry for entry in submissions]
    info = {"page": 1, "per_page": 100, "count": len(rows), "total_count": len(rows)}
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": rows, "result_info": info})
    return {"body": body, "content_type": "application/json"}


@pytest.mark.parametrize(
    "stranger",
    [
        {"original_postfix_id": "", "requested_disposition": "NONE"},
        {"original_postfix_id": None, "requested_disposition": "NONE"},
        {"requested_disposition": "NONE"},
    ],
)
def test_a_submission_that_names_no_message_is_not_that_of_a_message_without_a_name(
    ana: Member,
    decide: Decide,
    spam_in_quarantine: Message,
    emailsec: Any,
    time_: Time,
    stranger: dict[str, Any],
) -> None:
    action = decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE")
    action.items.update(postfix_id="")
    emailsec.faults.next("submit", lose_answer=True)
    time_.undo_window_ends(action)
    emailsec.faults.next("submissions", **listed(stranger))

    time_.look(action, after=31)

    assert (action.state, action.looks) == (ActionState.UNKNOWN, 1)


def test_a_submission_without_a_known_postfix_id_is_proved_by_the_messages_log(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    action = decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE")
    action.items.update(postfix_id="")
    emailsec.faults.next("submit", lose_answer=True, applied=True)
    time_.undo_window_ends(action)

    time_.look(action, after=31)

    assert action.state == ActionState.DONE


def test_the_same_message_with_another_verdict_is_another_submission(
    ana: Member, decide: Decide, spam_in_quarantine: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("submit", lose_answer=True)
    action = time_.undo_window_ends(decide(ana, spam_in_quarantine, "reclassify", expected_disposition="NONE"))
    other = {"original_postfix_id": spam_in_quarantine.postfix_id, "requested_disposition": "MALICIOUS"}
    emailsec.faults.next("submissions", **listed(other))

    time_.look(action, after=31)

    assert (action.state, action.looks) == (ActionState.UNKNOWN, 1)


def test_a_submission_is_known_by_the_id_it_was_sent_with(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    """Where no Postfix id was known, the message's own id stood in its place."""
    action = decide(ana, clean, "reclassify", expected_disposition="MALICIOUS")
    action.items.update(postfix_id="")
    emailsec.faults.next("submit", lose_answer=True)
    time_.undo_window_ends(action)
    assert action.request["postfix_id"] == clean.id
    emailsec.faults.next(
        "submissions", **listed({"original_postfix_id": clean.id, "requested_disposition": "MALICIOUS"})
    )

    time_.look(action, after=31)

    assert action.state == ActionState.DONE


def test_a_look_that_fails_does_not_count(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    emailsec.faults.next("move_one", lose_answer=True, applied=True)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    emailsec.faults.next("action_log", status=403)

    time_.look(action, after=31)
    assert (action.state, action.looks) == (ActionState.UNKNOWN, 0)
    assert (action.next_look_at - timezone.now()).total_seconds() > 50
    time_.look(action, after=61)

    assert action.state == ActionState.DONE


def test_an_older_line_of_the_log_is_no_proof(
    ana: Member, decide: Decide, clean: Message, emailsec: Any, time_: Time
) -> None:
    """The message had been moved to the same folder an hour ago, and back."""
    record = emailsec.world.store.find_any(clean.id)
    from dashboard.simulator.mailbox import Mailboxes

    mailboxes = Mailboxes(emailsec.world)
    mailboxes.move(record, "JunkEmail", emailsec.clock() - 3600, "somebody")
    mailboxes.move(record, "Inbox", emailsec.clock() - 3500, "somebody")
    emailsec.faults.next("move_one", lose_answer=True, applied=False)
    action = time_.undo_window_ends(decide(ana, clean, "move", destination="JunkEmail"))
    Action.objects.filter(pk=action.pk).update(next_look_at=Now())

    from investigate.actions import reconciling

    reconciling.look_up(action.pk)

    action.refresh_from_db()
    assert action.state == ActionState.UNKNOWN
    assert action.looks == 1


def test_the_list_shows_what_needs_a_person(
    ana: Member, ben: Member, decide: Decide, find: Find, emailsec: Any, time_: Time
) -> None:
    spam, other = find(disposition="SPAM", held=True), find(disposition="NONE", held=False)
    emailsec.faults.next("release", lose_answer=True)
    stuck = time_.undo_window_ends(decide(ana, spam, "release"))
    for wait in (31, 150, 430):
        time_.look(stuck, after=wait)
    waiting = decide(ben, other, "move", destination="JunkEmail")
    Action.objects.filter(pk=stuck.pk).update(created_at=timezone.now() - dt.timedelta(minutes=12))

    assert [entry.action for entry in queries.latest(ana)] == [waiting, stuck]
    assert [entry.action for entry in queries.latest(ana, "mine")] == [stuck]
    assert [entry.action for entry in queries.latest(ana, "open")] == [waiting, stuck]
    assert [entry.action for entry in queries.latest(ana, "unknown")] == [stuck]
    assert [entry.action for entry in queries.latest(ana, "person")] == [stuck]


class Death(BaseException):
    """The worker process is killed."""


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("kind", ["move", "release"])
def test_a_worker_killed_in_mid_call_leaves_an_unknown_that_is_looked_up_and_never_applied_twice(
    ana: Member, decide: Decide, find: Find, emailsec: Any, time_: Time, kind: str, applied: bool
) -> None:
    message = find(disposition="NONE", held=False) if kind == "move" else find(disposition="SPAM", held=True)
    action = decide(ana, message, kind, **({"destination": "JunkEmail"} if kind == "move" else {}))

    def killed(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST":
            if applied:
                b"".join(emailsec(environ, start_response))
            raise Death
        return emailsec(environ, start_response)

    with use_client(build_client(httpx.WSGITransport(app=killed))), pytest.raises(Death):
        time_.undo_window_ends(action)

    action.refresh_from_db()
    assert action.state == ActionState.SENDING
    assert action.request is not None, "what was being sent is written down"
    time_.claim_expires(action)
    sweep.sweep_actions()
    action.refresh_from_db()
    assert action.state == ActionState.UNKNOWN
    for wait in (31, 150, 430):
        time_.look(action, after=wait)

    if applied:
        assert action.state == ActionState.DONE
    elif kind == "move":
        assert time_.undo_window_ends(action).state == ActionState.DONE
    else:
        assert action.needs_person
    once = len(message.client_recipients)
    assert len(emailsec.ledger.of(kind, message.id)) == (once if applied or kind == "move" else 0)
