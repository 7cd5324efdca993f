"""A rule for one sender: made once, found again when no answer came, and gone when its time is over."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.access.decorators import OutsideScope
from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.models import CallBudget
from settings_ui.changes import services as changes
from settings_ui.changes.problems import Conflict as ChangeConflict
from settings_ui.entries import sending, services, sweep, transitions, words
from settings_ui.entries.services import Conflict, NotPossible
from settings_ui.models import Change, ChangeState, Entry, EntryState
from settings_ui.resources import BY_NAME
from tests.settings_ui.changes.conftest import ENTRIES, key
from tests.settings_ui.conftest import ADDRESS, Time, calls, rules

pytestmark = pytest.mark.django_db
Accept = Callable[..., Entry]
ALLOW = BY_NAME["allow_policies"]
EMPTY = '{"success":true,"errors":[],"messages":[],"result":[],"result_info":{"page":1,"per_page":1000,"count":0}}'


def made(simulator: Simulator) -> int:
    return sum(entry.detail["resource"] == "allow_policies" for entry in simulator.ledger.of("create"))


def trail(entry: Entry) -> list[tuple[str, str, str]]:
    return [
        (event.action, event.phase, event.actor_name)
        for event in AuditEvent.objects.order_by("sequence")
        if event.detail.get("entry") == str(entry.pk)
    ]


def test_a_rule_is_narrow_named_and_recorded(ana: Member, accept: Accept, generation: Simulator, time_: Time) -> None:
    entry = time_.sent(accept(ana, " Billing@Supplier.example "))

    (rule,) = rules(generation)
    assert (entry.state, entry.upstream_id) == (EntryState.ACTIVE, str(rule["id"]))
    assert (rule["pattern"], rule["pattern_type"], rule["is_regex"]) == (ADDRESS, "EMAIL", False)
    assert (rule["is_acceptable_sender"], rule["verify_sender"]) == (True, True)
    assert (rule["is_trusted_sender"], rule["is_exempt_recipient"]) == (False, False)
    assert f"Mailwarden {entry.pk}, ends " in rule["comments"]
    assert trail(entry) == [("policy:accept", "attempt", "Ana"), ("policy:accept", "done", "Mailwarden")]
    assert words.sentence(entry).startswith("Mail that proves to come from it is accepted until ")


@pytest.mark.parametrize(
    "pattern",
    ["supplier.example", "*@supplier.example", "@supplier.example", "a@b", "a b@c.example", "a@b.example,c@d.example",
     "x" * 250 + "@b.example", "", "a@[192.0.2.1]", "a@b.example>"],
)  # fmt: skip
def test_only_one_exact_address_is_accepted(ana: Member, accept: Accept, pattern: str) -> None:
    with pytest.raises(NotPossible, match="one exact address"):
        accept(ana, pattern)
    assert not Entry.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_rule_ends_within_the_longest_time(ana: Member, accept: Accept, settings: Any) -> None:
    settings.ACCEPT_DAYS = 10
    with pytest.raises(NotPossible, match="10 days at most"):
        accept(ana, days=12)
    with pytest.raises(NotPossible, match="over already"):
        accept(ana, days=-1)
    assert accept(ana, days=10).expires_at


def test_who_may_not_accept_does_not(accept: Accept, vera: Member, ana: Member) -> None:
    with pytest.raises(PermissionDenied):
        accept(vera)
    ana.domains = ["corp.example"]
    with pytest.raises(NotPossible, match=r"limited to corp\.example"):
        accept(ana)
    assert not Entry.objects.exists()


@pytest.mark.matrix(62)
def test_the_right_is_asked_again_before_it_is_sent(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    entry = accept(ana)
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)

    time_.sent(entry)

    assert entry.state == EntryState.FAILED
    assert entry.explanation == "Ana no longer has the right to do this."
    assert not emailsec.calls


@pytest.mark.matrix(8, 9)
def test_the_same_form_twice_is_one_rule_and_another_content_is_refused(
    ana: Member, ben: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    form = {"key": "form-one-1", "expires_at": timezone.now() + dt.timedelta(days=3), "reason": "known supplier"}
    entry = accept(ana, **form)

    assert accept(ana, **{**form, "reason": " known supplier "}) == entry
    later = form["expires_at"] + dt.timedelta(days=1)
    for actor, pattern, changed in (
        (ana, "other@supplier.example", {}),
        (ben, ADDRESS, {}),
        (ana, ADDRESS, {"expires_at": later}),
        (ana, ADDRESS, {"reason": "another supplier"}),
    ):
        with pytest.raises(Conflict, match="used already"):
            accept(actor, pattern, **{**form, **changed})

    time_.sent(entry)
    time_.sent(entry)
    assert made(emailsec) == 1


def test_a_second_rule_for_the_same_address_is_said(ana: Member, ben: Member, accept: Accept) -> None:
    first = accept(ana)

    with pytest.raises(Conflict, match="Ana made a rule for this address already, until ") as conflict:
        accept(ben, ADDRESS.upper())

    assert conflict.value.other == first
    assert AuditEvent.objects.count() == 1, "what was refused left no attempt behind"


def test_the_database_takes_one_open_rule_for_an_address(ana: Member, accept: Accept) -> None:
    entry = accept(ana)

    entry.pk, entry.operation_key = uuid.uuid4(), "another-form"
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save(force_insert=True)
    entry.state = EntryState.REMOVED
    entry.save(force_insert=True)


def test_the_trail_is_locked_last(ana: Member, accept: Accept) -> None:
    """Whoever holds its head waits for nothing else, so that nobody waits in a circle."""
    with CaptureQueriesContext(connection) as asked:
        accept(ana)

    order = [query["sql"] for query in asked if "INSERT" in query["sql"] or "audit_chainhead" in query["sql"]]
    assert "settings_ui_entry" in order[0]
    assert "audit_chainhead" in order[1]


def test_a_rule_made_elsewhere_is_said_and_not_doubled(
    ana: Member, accept: Accept, generation: Simulator, time_: Time
) -> None:
    generation.settings.seed_entry(
        "allow_policies", 0.0, pattern=ADDRESS, pattern_type="EMAIL", is_regex=False,
        is_acceptable_sender=False, is_trusted_sender=True, is_exempt_recipient=False, verify_sender=False,
    )  # fmt: skip

    entry = time_.sent(accept(ana))

    assert entry.state == EntryState.FAILED
    assert words.sentence(entry) == (
        f"No rule was made. There is a rule for {ADDRESS} already, made elsewhere. Nothing was sent."
    )
    assert calls(generation, "allow_policies.create") == 0


def with_the_form(pia: Member) -> Change:
    """The same rule, as somebody makes it in the settings."""
    return changes.create(
        actor=pia, resource=ALLOW, values=ENTRIES["allow_policies"][0], operation_key=key(), request=None
    )


def test_a_rule_that_a_colleague_makes_with_the_form_meanwhile_is_said_to_be_theirs(
    ana: Member, pia: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    entry = accept(ana)
    with pytest.raises(ChangeConflict, match=r"Ana is making a rule for billing@supplier\.example just now"):
        with_the_form(pia)
    services.withdraw(actor=ana, entry=entry, request=None)

    assert with_the_form(pia).state == ChangeState.DONE
    again = time_.sent(accept(ana))

    assert (again.state, len(rules(emailsec))) == (EntryState.FAILED, 1)
    assert again.explanation.startswith(f"Pia made a rule for {ADDRESS} already, on ")


def test_what_a_change_is_about_to_add_is_not_made_beside_it(
    ana: Member, pia: Member, accept: Accept, emailsec: Simulator
) -> None:
    emailsec.faults.next("allow_policies.create", lose_answer=True, applied=False)
    assert with_the_form(pia).state == ChangeState.RUNNING

    with pytest.raises(Conflict, match="Pia is adding a rule for this address just now"):
        accept(ana)
    assert not Entry.objects.exists()


def test_a_rule_that_came_between_the_look_and_the_call_is_told_as_what_it_is(
    ana: Member, pia: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    entry = accept(ana)
    Entry.objects.update(state=EntryState.FAILED)  # so that the form does not see it
    with_the_form(pia)
    Entry.objects.update(state=EntryState.WAITING)
    emailsec.faults.next("allow_policies.list", body=EMPTY, content_type="application/json", status=200)

    time_.sent(entry)

    assert calls(emailsec, "allow_policies.create") == 2
    assert entry.explanation.startswith(f"Pia made a rule for {ADDRESS} already, on ")


AMBIGUOUS: dict[str, dict[str, Any]] = {
    "answer lost": {"lose_answer": True},
    "502": {"status": 502},
    "an edge page with 200": {"html": True},
    "cut off": {"truncate": 20},
}


@pytest.mark.parametrize("applied", [True, False], ids=["carried out", "not carried out"])
@pytest.mark.parametrize("what", AMBIGUOUS.values(), ids=AMBIGUOUS)
@pytest.mark.matrix(28)
def test_a_create_without_an_answer_is_looked_for_and_never_sent_again(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time, what: dict[str, Any], applied: bool
) -> None:
    emailsec.faults.next("allow_policies.create", applied=applied, **what)

    entry = time_.sent(accept(ana))

    assert entry.state == EntryState.UNKNOWN
    assert words.sentence(entry) == ("No answer came. The rule may have been made. Checking; nothing is sent again.")
    time_.looked(entry, after=5)
    assert calls(emailsec, "allow_policies.list") == 1, "nobody looks before the quiet time is over"
    was_made = bool(rules(emailsec))  # a cut-off answer is one of a call that was carried out
    assert was_made or not applied
    for after in (31, 150, 430):
        if entry.state == EntryState.UNKNOWN:
            time_.looked(entry, after=after)

    if was_made:
        assert (entry.state, entry.upstream_id) == (EntryState.ACTIVE, rules(emailsec)[0]["id"])
        assert words.sentence(entry).startswith("Checked: the rule was made.")
    else:
        assert entry.state == EntryState.FAILED
        assert words.sentence(entry) == "No rule was made. Looked 3 times after no answer came; it is not there."
    assert calls(emailsec, "allow_policies.create") == 1
    assert [phase for _, phase, _ in trail(entry)] == ["attempt", "unknown", "done" if was_made else "failed"]


def test_a_rule_that_came_to_stand_late_is_taken_over_by_the_next_try(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    emailsec.faults.next("allow_policies.create", lose_answer=True, applied=True)
    entry = time_.sent(accept(ana))
    Entry.objects.filter(pk=entry.pk).update(state=EntryState.FAILED)  # as if three looks had come too early

    again = time_.sent(accept(ana))

    assert (again.state, again.upstream_id) == (EntryState.ACTIVE, rules(emailsec)[0]["id"])
    assert made(emailsec) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 422, "message": "pattern: too wide"}, "Cloudflare: pattern: too wide."),
        ({"status": 400, "message": "no"}, "Cloudflare: no."),
        ({"status": 403}, "Cloudflare: the API token may not do this;"),
        ({"status": 409}, f"There is a rule for {ADDRESS} already, made elsewhere."),
    ],
)
def test_a_refusal_is_final_and_says_why(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time, fault: dict[str, Any], told: str
) -> None:
    emailsec.faults.next("allow_policies.create", **fault)

    entry = time_.sent(accept(ana))

    assert entry.state == EntryState.FAILED
    assert entry.explanation.startswith(told)
    assert not rules(emailsec)


@pytest.mark.parametrize("operation", ["allow_policies.list", "allow_policies.create"])
@pytest.mark.matrix(40)
def test_a_pause_leaves_it_waiting_and_it_goes_on_afterwards(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time, operation: str, settings: Any
) -> None:
    emailsec.faults.next(operation, status=429, retry_after=300)
    entry = time_.sent(accept(ana))

    assert entry.state == EntryState.WAITING
    assert entry.explanation == "The account's call budget is used up; nothing was sent."
    time_.sent(entry)
    assert not rules(emailsec), "it waits for its time"
    CallBudget.objects.all().delete()
    time_.passes(entry, 301)
    assert time_.sent(entry).state == EntryState.ACTIVE
    assert made(emailsec) == 1


@pytest.mark.matrix(17)
def test_two_workers_make_one_rule(ana: Member, accept: Accept, emailsec: Simulator, time_: Time) -> None:
    entry = accept(ana)
    assert transitions.claim(entry.pk) is not None

    time_.sent(entry)

    assert entry.state == EntryState.SENDING
    assert not emailsec.calls


@pytest.mark.matrix(16)
def test_a_killed_worker_loses_nothing(ana: Member, accept: Accept, emailsec: Simulator, time_: Time) -> None:
    entry = accept(ana)
    transitions.claim(entry.pk)
    time_.claim_expires(entry)

    sweep.sweep_entries()

    entry.refresh_from_db()
    assert (entry.state, entry.explanation) == (EntryState.WAITING, "A worker stopped before it sent anything.")
    assert time_.sent(entry).state == EntryState.ACTIVE
    assert made(emailsec) == 1


@pytest.mark.matrix(16)
def test_a_worker_killed_while_sending_leaves_it_unknown(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    entry = accept(ana)
    claimed = transitions.claim(entry.pk)
    assert claimed is not None
    assert transitions.note_sent(claimed)
    time_.claim_expires(entry)

    sweep.sweep_entries()

    entry.refresh_from_db()
    assert entry.state == EntryState.UNKNOWN
    assert not transitions.store_active(claimed, "late"), "a late word must not change what came after it"
    assert calls(emailsec, "allow_policies.create") == 0


@pytest.mark.matrix(18)
def test_a_worker_that_was_held_up_does_not_send(ana: Member, accept: Accept, emailsec: Simulator) -> None:
    entry = accept(ana)
    ticks = iter([0.0, 1000.0])

    sending.send(entry.pk, clock=lambda: next(ticks))

    entry.refresh_from_db()
    assert entry.state == EntryState.WAITING
    assert calls(emailsec, "allow_policies.create") == 0


@pytest.mark.matrix(10)
def test_it_can_be_undone_until_a_worker_has_it(ana: Member, ben: Member, accept: Accept, emailsec: Simulator) -> None:
    entry = accept(ana, undo_seconds=8)

    with pytest.raises(PermissionDenied):
        services.withdraw(actor=ben, entry=entry, request=None)
    assert services.withdraw(actor=ana, entry=entry, request=None)
    assert not services.withdraw(actor=ana, entry=entry, request=None)

    entry.refresh_from_db()
    assert (entry.state, words.short(entry)) == (EntryState.REMOVED, "undone")
    assert trail(entry)[-1] == ("policy:accept", "cancelled", "Ana")
    assert not emailsec.calls


def test_the_sweep_removes_what_is_over_and_nothing_else(
    ana: Member, accept: Accept, generation: Simulator, time_: Time
) -> None:
    over = time_.sent(accept(ana, days=1))
    lasting = time_.sent(accept(ana, "other@supplier.example"))
    time_.passes(over, 86_400)

    sweep.sweep_entries()
    time_.removed(over)

    lasting.refresh_from_db()
    assert (over.state, lasting.state) == (EntryState.REMOVED, EntryState.ACTIVE)
    assert [rule["pattern"] for rule in rules(generation)] == ["other@supplier.example"]
    assert trail(over)[2:] == [("policy:end", "attempt", "Mailwarden"), ("policy:end", "done", "Mailwarden")]


@pytest.mark.parametrize(
    ("fault", "calls_made"),
    [
        ({"lose_answer": True, "applied": True}, 1),
        ({"lose_answer": True, "applied": False}, 2),
        ({"status": 503, "applied": False}, 2),
        ({"status": 429, "retry_after": 300}, 2),
        ({"status": 403}, 2),
        ({"status": 404, "html": True, "applied": False}, 2),
    ],
)
def test_a_removal_is_repeated_until_it_is_provably_gone(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time, fault: dict[str, Any], calls_made: int
) -> None:
    entry = time_.sent(accept(ana))
    services.end(actor=ana, entry=entry, request=None)
    emailsec.faults.next("allow_policies.delete", **fault)

    time_.removed(entry)

    assert entry.state == EntryState.REMOVING
    assert words.sentence(entry).startswith("The rule is being removed. ")
    CallBudget.objects.all().delete()
    time_.removed(entry, after=3600)
    assert entry.state == EntryState.REMOVED
    assert not rules(emailsec)
    assert calls(emailsec, "allow_policies.delete") == calls_made


def test_a_rule_that_is_gone_already_counts_as_removed(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    entry = time_.sent(accept(ana))
    emailsec.settings.entries["allow_policies"].clear()
    services.end(actor=ana, entry=entry, request=None)

    assert time_.removed(entry).state == EntryState.REMOVED


def test_it_is_ended_by_its_owner_or_whoever_may_accept(
    ana: Member, ben: Member, vera: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    entry = time_.sent(accept(ana))

    with pytest.raises(PermissionDenied):
        services.end(actor=vera, entry=entry, request=None)
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)
    ana.refresh_from_db()
    assert services.end(actor=ana, entry=entry, request=None).state == EntryState.REMOVING
    assert services.end(actor=ben, entry=entry, request=None).state == EntryState.REMOVING
    assert trail(entry)[-1] == ("policy:end", "attempt", "Ana"), "ending twice is ending once"


def test_who_is_limited_to_domains_changes_no_rule_of_the_account_but_their_own(
    ana: Member, ben: Member, accept: Accept, emailsec: Simulator, time_: Time
) -> None:
    entry = time_.sent(accept(ana))
    ben.domains = ["corp.example"]

    with pytest.raises(OutsideScope, match=r"corp\.example"):
        services.end(actor=ben, entry=entry, request=None)
    emailsec.faults.next("allow_policies.create", lose_answer=True, applied=True)
    unknown = time_.sent(accept(ana, "other@supplier.example"))
    with pytest.raises(OutsideScope, match=r"corp\.example"):
        services.look_now(actor=ben, entry=unknown, request=None)

    ana.domains = ["corp.example"]
    services.look_now(actor=ana, entry=unknown, request=None)
    assert services.end(actor=ana, entry=entry, request=None).state == EntryState.REMOVING


def test_what_is_not_known_yet_is_not_ended(ana: Member, accept: Accept, emailsec: Simulator, time_: Time) -> None:
    emailsec.faults.next("allow_policies.create", lose_answer=True, applied=True)
    entry = time_.sent(accept(ana))

    with pytest.raises(Conflict, match="cannot be ended now"):
        services.end(actor=ana, entry=entry, request=None)
    services.look_now(actor=ana, entry=entry, request=None)
    assert time_.looked(entry, after=0).state == EntryState.ACTIVE


def test_entries_of_another_account_are_left_alone(
    ana: Member, accept: Accept, emailsec: Simulator, time_: Time, settings: Any
) -> None:
    entry = time_.sent(accept(ana))
    Entry.objects.filter(pk=entry.pk).update(account_id="f" * 32, expires_at=timezone.now() - dt.timedelta(days=1))

    sweep.sweep_entries()

    assert time_.sent(entry).state == EntryState.ACTIVE
    assert rules(emailsec)
