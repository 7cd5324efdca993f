"""One decision, three steps, each once: in order, through refusals, lost answers and killed workers."""

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
from msgspec import structs

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.errors import NotFound
from dashboard.emailsec.types import Disposition, Message, Validation, ValidationStatus
from dashboard.upstream.connection import get_client
from investigate.actions import services as actions
from investigate.actions import transitions
from investigate.actions.decision import Decision
from investigate.desk import cases
from investigate.fixing import advancing, services, sweep
from investigate.fixing.plan import plan
from investigate.fixing.services import Conflict, NotPossible
from investigate.message import store
from investigate.message.parts import Kept
from investigate.models import Action, ActionKind, ActionState, Case, DeskChange, Fix, FixStep, FixStepState
from settings_ui.entries import services as rules
from settings_ui.models import Entry, EntryState
from tests.investigate.fixing.conftest import Worker, effects, rules_at, states, step

pytestmark = pytest.mark.django_db
Find = Callable[..., Message]
PutRight = Callable[..., Fix]

ALL_DONE = {"release": "done", "submit_clean": "done", "accept_sender": "done"}


def test_a_false_positive_is_released_submitted_and_its_sender_accepted(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held, rule=True)

    assert states(fix) == {"release": "running", "submit_clean": "planned", "accept_sender": "planned"}
    assert not emailsec.ledger.of("release"), "nothing is sent while it can be undone"
    worker.runs(fix)

    assert fix.finished_at
    assert states(fix) == ALL_DONE
    assert effects(emailsec, held) == {"release": len(held.client_recipients), "submission": 1, "rule": 1}
    (rule,) = rules_at(emailsec, held.from_ or "")
    assert (rule["is_acceptable_sender"], rule["verify_sender"], rule["is_trusted_sender"]) == (True, True, False)
    assert cases.case_for(held.id).verdict == "false_positive"
    assert DeskChange.objects.filter(investigate_ids__icontains=held.id).exists()


def test_it_is_recorded_before_anything_and_at_its_end(
    ana: Member, held: Message, put_right: PutRight, worker: Worker
) -> None:
    fix = worker.runs(put_right(ana, held, rule=True))

    trail = [
        (event.action, event.phase, event.actor_name)
        for event in AuditEvent.objects.order_by("sequence")
        if not event.action.startswith("case:")
    ]
    assert trail == [
        ("message:fix", "attempt", "Ana"),
        ("message:release", "attempt", "Ana"),
        ("message:release", "done", "Mailwarden"),
        ("message:reclassify", "attempt", "Ana"),
        ("message:reclassify", "done", "Mailwarden"),
        ("policy:accept", "attempt", "Ana"),
        ("policy:accept", "done", "Mailwarden"),
        ("message:fix", "done", "Mailwarden"),
    ]
    assert AuditEvent.objects.get(action="message:fix", phase="done").refers_to == fix.audit_sequence


def test_only_the_first_step_waits_to_be_undone(
    ana: Member, held: Message, put_right: PutRight, worker: Worker
) -> None:
    fix = worker.runs(put_right(ana, held, rule=True))

    release, submit = (step(fix, kind).action for kind in ("release", "submit_clean"))
    assert release is not None
    assert submit is not None
    # Both were moved into the past by the same steps; only the window of the first one lies between its two moments.
    assert release.created_at < submit.created_at
    assert not FixStep.objects.filter(fix=fix, tries__gt=1).exists()


def test_the_second_step_is_due_at_once(ana: Member, held: Message, put_right: PutRight, worker: Worker) -> None:
    fix = put_right(ana, held)
    first = step(fix, "release").action
    worker.passes(fix, 60)
    worker.sends(fix)
    advancing.advance(fix.pk)

    second = step(fix, "submit_clean").action

    assert first is not None
    assert second is not None
    assert second.due_at - second.created_at < dt.timedelta(seconds=1)
    assert ana.undo_seconds > 1


def test_what_is_not_held_back_is_not_released(
    ana: Member, find: Find, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    message = find("SPAM", held=False)

    fix = worker.runs(put_right(ana, message))

    assert states(fix) == {"release": "skipped", "submit_clean": "done"}
    assert effects(emailsec, message) == {"release": 0, "submission": 1, "rule": 0}
    assert "quarantine" in step(fix, "release").explanation


def test_the_steps_one_may_not_take_are_left_out_and_say_why(
    pia: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    with pytest.raises(NotPossible, match="Your role may not submit mail"):
        put_right(pia, held)

    fix = worker.runs(put_right(pia, held, rule=True))

    assert states(fix) == {"release": "skipped", "submit_clean": "skipped", "accept_sender": "done"}
    assert step(fix, "release").explanation.startswith("Your role may not release mail")
    assert effects(emailsec, held) == {"release": 0, "submission": 0, "rule": 1}


def test_who_may_do_none_of_it_does_not(vera: Member, held: Message, put_right: PutRight) -> None:
    with pytest.raises(NotPossible, match="Your role may not submit mail"):
        put_right(vera, held)
    assert not Fix.objects.exists()


def test_a_member_limited_to_some_domains_puts_right_what_is_all_theirs_and_makes_no_rule(
    ana: Member, find: Find, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    message = find(several=False)
    ana.domains = [message.client_recipients[0].rpartition("@")[2]]
    ana.save(update_fields=["domains"])

    with pytest.raises(NotPossible, match="A rule holds for the whole account"):
        put_right(ana, message, rule=True)
    assert states(worker.runs(put_right(ana, message))) == {"release": "done", "submit_clean": "done"}

    ana.domains = ["elsewhere.example"]
    ana.save(update_fields=["domains"])
    with pytest.raises(NotFound):
        put_right(ana, find())


@pytest.mark.parametrize("disposition", ["MALICIOUS", "MALICIOUS-BEC"])
def test_no_rule_is_made_for_malicious_mail(ben: Member, find: Find, put_right: PutRight, disposition: str) -> None:
    try:
        message = find(disposition)
    except LookupError:
        message = find(disposition, proven=False)

    with pytest.raises(NotPossible, match="gets no rule"):
        put_right(ben, message, rule=True)


@pytest.mark.parametrize(
    ("results", "why_not"),
    [
        ({"spf": "pass", "dkim": "pass", "dmarc": "fail"}, "DMARC fails for this mail"),
        ({"spf": "fail", "dkim": "none"}, "SPF fails for this mail"),
        ({"spf": "neutral", "dkim": "error", "dmarc": "none"}, "neither SPF nor DKIM nor DMARC passes for this mail"),
        ({}, "neither SPF nor DKIM nor DMARC passes for this mail"),
        ({"spf": "fail", "dkim": "pass"}, ""),
        ({"dmarc": "pass"}, ""),
    ],
)
def test_no_rule_is_made_for_who_cannot_prove_who_they_are(
    ana: Member, held: Message, results: dict[str, str], why_not: str
) -> None:
    found = Validation(**{name: ValidationStatus(value) for name, value in results.items()})

    offered = plan(structs.replace(held, validation=found), ana).rule

    assert offered.why_not == (why_not and f"{why_not}, so a rule that asks the sender for proof would never match.")


@pytest.mark.parametrize("domain", ["corp.example", "mail.CORP.example."])
def test_no_rule_is_made_for_who_claims_to_be_one_of_us(ana: Member, held: Message, domain: str) -> None:
    forged = structs.replace(held, from_=f"boss@{domain.rstrip('.')}", client_recipients=("bea@corp.example",))

    assert plan(forged, ana).rule.why_not.startswith("The sender claims to be one of your own domains")


@pytest.mark.parametrize("sender", [None, "", "supplier.example", "a@b@supplier.example", "Bea <bea@supplier.example>"])
def test_no_rule_is_made_for_what_is_no_address(ana: Member, held: Message, sender: str | None) -> None:
    assert plan(structs.replace(held, from_=sender), ana).rule.why_not.startswith("Only one exact address")


def test_a_rule_that_would_not_help_says_so(ana: Member, held: Message) -> None:
    suspicious, spam = (
        plan(structs.replace(held, final_disposition=Disposition(value)), ana).rule for value in ("SUSPICIOUS", "SPAM")
    )

    assert "Suspicious still applies" in suspicious.note
    assert spam.note == ""


def test_clean_mail_is_no_false_positive(ana: Member, emailsec: Any, put_right: PutRight) -> None:
    record = next(record for record in emailsec.world.store.records if record.final_disposition == "NONE")

    with pytest.raises(NotPossible, match="clean already"):
        put_right(ana, record.id)


# --- undo ---------------------------------------------------------------------------------------------------------


def test_undo_takes_back_all_of_it(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = services.undo(actor=ana, fix=put_right(ana, held, rule=True), request=None)

    assert states(fix) == {"release": "cancelled", "submit_clean": "cancelled", "accept_sender": "cancelled"}
    assert fix.finished_at
    worker.runs(fix)
    assert effects(emailsec, held) == {"release": 0, "submission": 0, "rule": 0}
    assert AuditEvent.objects.get(action="message:fix", refers_to=fix.audit_sequence).phase == "cancelled"
    assert not Case.objects.exclude(verdict="").exists(), "the team has not said anything"


def test_undoing_its_first_action_takes_back_all_of_it(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    actions.undo(actor=ana, action=step(fix, "release").action, request=None)

    worker.runs(fix)

    assert set(states(fix).values()) == {"cancelled"}
    assert not emailsec.ledger.of("submission", held.id)


def test_a_rule_alone_can_be_undone_as_well(pia: Member, held: Message, put_right: PutRight, worker: Worker) -> None:
    fix = services.undo(actor=pia, fix=put_right(pia, held, rule=True), request=None)

    assert states(fix)["accept_sender"] == "cancelled"
    assert Entry.objects.get().state == EntryState.REMOVED


def test_undo_is_for_who_decided_and_in_time(
    ana: Member, ben: Member, held: Message, put_right: PutRight, worker: Worker
) -> None:
    fix = put_right(ana, held)
    with pytest.raises(PermissionDenied):
        services.undo(actor=ben, fix=fix, request=None)
    worker.passes(fix, 60)
    worker.sends(fix)

    with pytest.raises(Conflict, match="Too late"):
        services.undo(actor=ana, fix=fix, request=None)
    assert states(worker.runs(fix)) == {"release": "done", "submit_clean": "done"}


# --- once -----------------------------------------------------------------------------------------------------------


@pytest.mark.matrix(8)
def test_the_same_form_twice_is_one_decision(ana: Member, ben: Member, held: Message, put_right: PutRight) -> None:
    fix = put_right(ana, held, key="the-same-form")

    assert put_right(ana, held, key="the-same-form") == fix
    with pytest.raises(Conflict, match="used already"):
        put_right(ana, held, rule=True, key="the-same-form")
    with pytest.raises(Conflict, match="used already"):
        put_right(ana, held, key="the-same-form", reason="a newsletter")
    with pytest.raises(Conflict, match="Ana puts this message right already"):
        put_right(ben, held)
    assert Action.objects.count() == 1


def test_the_database_takes_one_open_fix_of_a_message(ana: Member, held: Message, put_right: PutRight) -> None:
    fix = put_right(ana, held)

    fix.pk, fix.operation_key = uuid.uuid4(), "another-form"
    with pytest.raises(IntegrityError), transaction.atomic():
        fix.save(force_insert=True)
    fix.finished_at = timezone.now()
    fix.save(force_insert=True)


@pytest.mark.parametrize("kills", range(5))
@pytest.mark.matrix(16)
def test_a_worker_killed_between_any_two_steps_loses_and_repeats_nothing(
    ana: Member,
    held: Message,
    put_right: PutRight,
    worker: Worker,
    emailsec: Any,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
) -> None:
    """Each try gets one write of a step further than the one before, and then the worker is gone."""
    fix = put_right(ana, held, rule=True)
    left, attach_for_real = [0], advancing._attach

    class Killed(BaseException):
        pass

    for allowed in range(kills, 12):
        left[0] = allowed

        def attach(*arguments: Any, **values: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return attach_for_real(*arguments, **values)

        with monkeypatch.context() as patch:
            patch.setattr(advancing, "_attach", attach)
            worker.passes(fix, 60)
            worker.sends(fix)
            try:
                advancing.advance(fix.pk)
            except Killed:
                continue
    worker.runs(fix)

    assert states(fix) == ALL_DONE
    assert effects(emailsec, held) == {"release": len(held.client_recipients), "submission": 1, "rule": 1}


def test_a_step_begun_and_not_made_is_made_by_the_next_worker(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    worker.passes(fix, 60)
    worker.sends(fix)
    FixStep.objects.filter(fix=fix, kind="submit_clean").update(state=FixStepState.RUNNING, tries=1)

    worker.runs(fix)

    assert states(fix) == {"release": "done", "submit_clean": "done"}
    assert effects(emailsec, held)["submission"] == 1


@pytest.mark.matrix(17)
def test_two_workers_make_one_action(ana: Member, held: Message, put_right: PutRight, worker: Worker) -> None:
    fix = put_right(ana, held)
    worker.passes(fix, 60)
    worker.sends(fix)
    stale = Fix.objects.get(pk=fix.pk)
    waiting = step(fix, "submit_clean")
    release = step(fix, "release")
    advancing._catch_up(stale, release)

    first = advancing._begin(stale, waiting, None)
    again = advancing._begin(stale, waiting, None)

    assert (first.goes_on, again.goes_on) == (False, False)
    assert Action.objects.filter(kind=ActionKind.RECLASSIFY).count() == 1
    assert step(fix, "submit_clean").tries == 1


@pytest.mark.matrix(5)
def test_the_sweep_rings_for_what_nobody_rang_for(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    fix = put_right(ana, held)
    monkeypatch.setattr(sweep, "ring", lambda task, pk: rung.append(f"{task} {pk}") or True)

    sweep.sweep_fixes()
    assert not rung, "its time has not come"
    Fix.objects.filter(pk=fix.pk).update(due_at=fix.created_at)
    sweep.sweep_fixes()

    assert rung == [f"investigate.tasks.advance_fix {fix.pk}"]


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_release_that_reaches_some_is_partly_done_and_the_rest_goes_on(
    ana: Member, find: Find, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    message = find(several=True, proven=None)
    emailsec.world.store.full_mailboxes = set()
    emailsec.faults.fail_delivery_to(message.client_recipients[0])

    fix = worker.runs(put_right(ana, message))

    assert 0 < len(emailsec.ledger.of("release", message.id)) < len(message.client_recipients)

    assert states(fix) == {"release": "partly_done", "submit_clean": "done"}
    assert AuditEvent.objects.get(action="message:fix", phase="partly_done")


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refused_step_does_not_keep_the_others(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any, status: int
) -> None:
    emailsec.faults.next("release", status=status)

    fix = worker.runs(put_right(ana, held, rule=True))

    assert states(fix) == {**ALL_DONE, "release": "failed"}
    assert effects(emailsec, held) == {"release": 0, "submission": 1, "rule": 1}


@pytest.mark.matrix(28)
def test_an_unanswered_release_holds_up_what_needs_the_message_and_nothing_else(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    emailsec.faults.next("release", lose_answer=True, applied=True)
    fix = worker.runs(put_right(ana, held, rule=True), rounds=3)

    assert states(fix) == {"release": "unknown", "submit_clean": "planned", "accept_sender": "done"}
    assert not fix.finished_at

    worker.passes(fix, 60)
    worker.looks(fix)
    worker.runs(fix)

    assert states(fix) == ALL_DONE
    assert effects(emailsec, held) == {"release": len(held.client_recipients), "submission": 1, "rule": 1}


@pytest.mark.parametrize("applied", [True, False], ids=["carried out", "not carried out"])
@pytest.mark.matrix(28)
def test_an_unanswered_rule_is_looked_for(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any, applied: bool
) -> None:
    emailsec.faults.next("allow_policies.create", lose_answer=True, applied=applied)
    fix = worker.runs(put_right(ana, held, rule=True))
    assert states(fix) == {**ALL_DONE, "accept_sender": "unknown"}

    for _ in range(4):
        worker.passes(fix, 600)
        worker.looks(fix)
    worker.runs(fix)

    assert states(fix) == {**ALL_DONE, "accept_sender": "done" if applied else "failed"}
    assert sum(call.operation == "allow_policies.create" for call in emailsec.calls) == 1


def test_a_message_somebody_else_acts_on_is_waited_for(
    ana: Member, ben: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    worker.passes(fix, 60)
    worker.sends(fix)
    move = Decision(kind=ActionKind.MOVE, investigate_ids=(held.id,), destination="JunkEmail")
    theirs = actions.act(actor=ben, decision=move, operation_key="ben-was-here", request=None)

    advancing.advance(fix.pk)

    waiting = step(fix, "submit_clean")
    assert (waiting.state, waiting.tries) == (FixStepState.PLANNED, 0)
    assert waiting.explanation == "Waits until the message is free. Ben has a move of this message under way."
    transitions.cancel(theirs)
    assert states(worker.runs(fix)) == {"release": "done", "submit_clean": "done"}


@pytest.mark.matrix(40)
def test_a_pause_of_all_calls_is_waited_for(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    worker.passes(fix, 60)
    worker.sends(fix)
    emailsec.faults.next("message", status=429, retry_after=300)

    advancing.advance(fix.pk)

    fix.refresh_from_db()
    waiting = step(fix, "submit_clean")
    assert waiting.state == FixStepState.PLANNED
    assert waiting.explanation == "Waits. The account's call budget is used up; nothing was sent."
    assert fix.due_at is not None
    assert fix.due_at - fix.created_at > dt.timedelta(seconds=250)


@pytest.mark.matrix(62)
def test_who_lost_the_right_meanwhile_does_no_more(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    worker.passes(fix, 60)
    worker.sends(fix)
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)

    worker.runs(fix)

    assert states(fix) == {"release": "done", "submit_clean": "failed"}
    assert step(fix, "submit_clean").explanation == "Ana no longer has the right to do this."


def test_a_colleague_may_release_it_first(
    ana: Member, ben: Member, find: Find, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    message = find("SPAM")
    fix = put_right(ana, message)
    Action.objects.filter(pk=step(fix, "release").action_id).update(state=ActionState.CANCELLED)
    FixStep.objects.filter(fix=fix, kind="release").update(state=FixStepState.PLANNED, action=None, tries=0)
    Action.objects.get().items.update(state=ActionState.CANCELLED)
    Action.objects.all().delete()
    get_client().release([message.id])
    store.forget([message.id], Kept.MESSAGE)

    worker.runs(fix)

    assert states(fix) == {"release": "skipped", "submit_clean": "done"}


# --- once more ------------------------------------------------------------------------------------------------------


def test_a_failed_step_is_repeated_alone_with_a_key_of_its_own(
    ana: Member, ben: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    emailsec.faults.next("submit", status=422, message="try later")
    fix = worker.runs(put_right(ana, held))
    assert states(fix) == {"release": "done", "submit_clean": "failed"}
    failed = step(fix, "submit_clean").action
    assert failed is not None

    services.repeat(actor=ben, fix=fix, number=2, request=None)
    fix.refresh_from_db()
    assert fix.finished_at is None
    worker.runs(fix)

    again = step(fix, "submit_clean")
    assert states(fix) == {"release": "done", "submit_clean": "done"}
    assert (again.tries, again.earlier) == (2, [str(failed.pk)])
    assert again.action is not None
    assert again.action.actor_name == "Ben"
    assert effects(emailsec, held)["release"] == len(held.client_recipients), "the release was not repeated"
    with pytest.raises(Conflict, match="nothing to repeat"):
        services.repeat(actor=ben, fix=fix, number=2, request=None)


def test_an_old_fix_is_not_repeated_while_the_message_is_put_right_anew(
    ana: Member, ben: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    emailsec.faults.next("submit", status=422)
    old = worker.runs(put_right(ana, held))
    emailsec.faults.next("submit", status=422)
    new = worker.runs(put_right(ben, held))
    Fix.objects.filter(pk=new.pk).update(finished_at=None)  # its other steps are still under way
    before = AuditEvent.objects.count()

    with pytest.raises(Conflict, match="being put right anew"):
        services.repeat(actor=ana, fix=old, number=2, request=None)

    assert states(old)["submit_clean"] == "failed"
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("is_repeated", [False, True])
def test_the_trail_is_locked_last(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any, is_repeated: bool
) -> None:
    """Whoever holds its head waits for nothing else, so that nobody waits in a circle."""
    emailsec.faults.next("submit", status=422)
    fix = worker.runs(put_right(ana, held)) if is_repeated else None

    with CaptureQueriesContext(connection) as asked:
        services.repeat(actor=ana, fix=fix, number=2, request=None) if fix else put_right(ana, held)

    asked_of_trail = next(n for n, query in enumerate(asked) if "audit_chainhead" in query["sql"])
    before = [query["sql"] for query in asked.captured_queries[:asked_of_trail]]
    written = [sql for sql in before if sql.startswith(("INSERT", "UPDATE"))]
    assert any("investigate_fixstep" in sql for sql in written)
    assert any('"investigate_fix"' in sql for sql in written)


def test_undoing_a_repetition_takes_back_that_alone(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    emailsec.faults.next("allow_policies.create", status=422)
    fix = worker.runs(put_right(ana, held, rule=True))
    services.repeat(actor=ana, fix=fix, number=3, request=None)

    assert rules.withdraw(actor=ana, entry=step(fix, "accept_sender").entry, request=None)
    worker.runs(fix)

    assert states(fix) == {**ALL_DONE, "accept_sender": "cancelled"}
    services.repeat(actor=ana, fix=fix, number=3, request=None)
    assert states(worker.runs(fix)) == ALL_DONE


def test_who_may_not_take_a_step_does_not_repeat_it(
    ana: Member, pia: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    emailsec.faults.next("submit", status=422)
    fix = worker.runs(put_right(ana, held))

    with pytest.raises(NotPossible, match="Your role may not submit"):
        services.repeat(actor=pia, fix=fix, number=2, request=None)
    assert states(fix)["submit_clean"] == "failed"
