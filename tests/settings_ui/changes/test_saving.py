"""Forms: written down, sent at once, and told as what is known of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.core.exceptions import PermissionDenied
from django.db.models import F

from dashboard.access.models import Member
from dashboard.access.roles import Permission, Role
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import SettingsEntry
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.changes import sending, services, words
from settings_ui.models import Change, ChangeState, Entry, LineState, StepState
from settings_ui.resources import BY_NAME

from .conftest import BLOCK, DOMAINS, ENTRIES, EVIL, Wire, calls, key, looked, named, pass_by, stand, the_line, worked

Add = Callable[..., Change]
Standing = Callable[..., list[SettingsEntry]]
OLD = ("allow_policies", "block_senders", "trusted_domains", "impersonation_registry")


def edited(
    actor: Member, entry: SettingsEntry, resource: Any = BLOCK, accepted: tuple[str, ...] = (), **changes: Any
) -> Change:
    before = entry.values()
    return services.edit(
        actor=actor,
        resource=resource,
        entry_id=entry.id,
        before=before,
        after={**before, **changes},
        accepted=accepted,
        operation_key=key(),
        request=None,
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_of_each_list_is_added_changed_and_removed(
    emailsec: Simulator, pia: Member, add: Add, take_away: Add, settings: Any, name: str
) -> None:
    settings.SECOND_PERSON = ()
    values, changes = ENTRIES[name]
    resource = BY_NAME[name]
    made = add(pia, values, resource=resource)
    line = the_line(made)
    assert (made.state, line.state) == (ChangeState.DONE, LineState.DONE), line.problems
    entry = get_client().entry(name, line.upstream_id)
    assert {field: entry.values()[field] for field in values} == values
    changed = edited(pia, entry, resource, **changes)
    assert changed.state == ChangeState.DONE
    assert the_line(changed).values == changes, "only what changed is sent"
    entry = get_client().entry(name, entry.id)
    assert {field: entry.values()[field] for field in changes} == changes
    typed = [resource.label(entry.values())] if resource.takes_typing else []
    gone = worked(take_away(pia, [entry], resource=resource, typed=typed), after=10)
    assert (gone.state, entry.id in stand(emailsec, name)) == (ChangeState.DONE, False)


@pytest.mark.parametrize("name", OLD)
def test_each_list_of_every_generation_takes_the_same(
    generation: Simulator, pia: Member, add: Add, take_away: Add, name: str
) -> None:
    values, changes = ENTRIES[name]
    resource = BY_NAME[name]
    made = add(pia, values, resource=resource)
    assert made.state == ChangeState.DONE, the_line(made).problems
    entry = get_client().entry(name, the_line(made).upstream_id)
    assert edited(pia, entry, resource, **changes).state == ChangeState.DONE
    entry = get_client().entry(name, entry.id)
    assert worked(take_away(pia, [entry], resource=resource), after=10).state == ChangeState.DONE
    assert entry.id not in stand(generation, name)


@pytest.mark.parametrize("is_known", [True, False])
def test_an_older_server_gets_the_networks_with_every_change_of_a_domain(
    generation: Simulator, pia: Member, is_known: bool
) -> None:
    if is_known and generation.world.profile.seed_generation:
        with pytest.raises(Exception, match="content_policies"):
            get_client().entries("content_policies")
    domain = next(iter(get_client().entries("domains").items))
    change = edited(pia, domain, DOMAINS, lookback_hops=7)
    assert change.state == ChangeState.DONE, the_line(change).problems
    now = get_client().entry("domains", domain.id).values()
    assert (now["lookback_hops"], now["ip_restrictions"]) == (7, domain.values()["ip_restrictions"])
    is_old = generation.world.profile.seed_generation
    assert ("ip_restrictions" in the_line(change).values) == is_old
    assert calls(generation, "domains.patch") == (2 if is_old and not is_known else 1)


def test_of_two_of_us_who_edit_the_same_the_later_is_told(
    emailsec: Simulator, wire: Wire, pia: Member, standing: Standing
) -> None:
    paul = Member.objects.create_user("paul", "paul@corp.example", "correct horse battery", role=Role.POLICY_MANAGER)
    (entry,) = standing()

    def meanwhile(_request: httpx.Request) -> None:  # his whole edit, after her reading was answered
        assert edited(paul, entry, comments="Paul's").state == ChangeState.DONE

    wire.after["GET"] = meanwhile
    change = edited(pia, entry, comments="Pia's")
    assert (change.state, the_line(change).explanation) == (ChangeState.FAILED, words.CHANGED)
    assert stand(emailsec)[entry.id]["comments"] == "Paul's"


def test_an_edit_that_nobody_disturbs_reads_once(emailsec: Simulator, pia: Member, standing: Standing) -> None:
    (entry,) = standing()
    before = calls(emailsec, "block_senders.get")
    for text in ("first", "second"):
        entry = get_client().entry("block_senders", entry.id)
        assert edited(pia, entry, comments=text).state == ChangeState.DONE
    assert calls(emailsec, "block_senders.get") - before == 4, "to open the form, and to compare"


def test_what_cloudflare_refuses_is_told_at_its_field(emailsec: Simulator, pia: Member, add: Add) -> None:
    emailsec.faults.next(
        "block_senders.create",
        status=422,
        content_type="application/json",
        body=(
            '{"success": false, "errors": [{"code": 1422, "message": "Validation failed", '
            '"source": {"pointer": "/pattern"}}], "messages": [], "result": null}'
        ),
    )
    change = add(pia)
    line = the_line(change)
    assert (change.state, list(line.problems)) == (ChangeState.FAILED, ["pattern"])
    assert "Validation failed" in line.problems["pattern"]
    assert not named(emailsec, "evil.example")


def test_what_stands_already_is_told_at_its_name(emailsec: Simulator, pia: Member, add: Add) -> None:
    assert add(pia).state == ChangeState.DONE
    again = add(pia, {**EVIL, "pattern": "EVIL.example"})
    assert (again.state, the_line(again).problems) == (ChangeState.FAILED, {"pattern": words.ALREADY})
    assert len(named(emailsec, "evil.example")) == 1


def test_the_same_form_sent_twice_is_one_change(emailsec: Simulator, pia: Member, add: Add) -> None:
    once = key()
    first, second = add(pia, operation_key=once), add(pia, operation_key=once)
    assert first.pk == second.pk
    assert calls(emailsec, "block_senders.create") == 1
    with pytest.raises(services.Conflict, match="used already"):
        add(pia, {**EVIL, "comments": "something else"}, operation_key=once)
    assert calls(emailsec, "block_senders.create") == 1


@pytest.mark.parametrize(
    ("what", "applied"),
    [
        ({"lose_answer": True}, True),
        ({"lose_answer": True}, False),
        ({"status": 500}, True),
        ({"status": 500}, False),
        ({"html": True}, False),
        ({"truncate": 20}, True),
    ],
)
def test_a_create_without_an_answer_is_unknown_and_never_sent_again(
    emailsec: Simulator, pia: Member, add: Add, applied: bool, what: dict[str, Any]
) -> None:
    emailsec.faults.next("block_senders.create", applied=applied, **what)
    change = add(pia)
    assert (change.state, the_line(change).state) == (ChangeState.RUNNING, LineState.UNKNOWN)
    assert "may have been made" in words.sentence(change)
    assert the_line(worked(change, after=20)).state == LineState.UNKNOWN
    assert looked(change, after=0).state == ChangeState.RUNNING, "a look before the quiet time is over proves nothing"
    change = looked(change, after=15)
    if not applied:
        assert change.state == ChangeState.RUNNING
        looked(change, after=180)
        change = looked(change, after=600)
    assert change.state == (ChangeState.DONE if applied else ChangeState.FAILED)
    assert calls(emailsec, "block_senders.create") == 1
    assert len(named(emailsec, "evil.example")) == applied
    if applied:
        assert the_line(change).upstream_id == named(emailsec, "evil.example")[0]["id"]
    else:
        assert "is not there" in words.line_sentence(the_line(change))


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("verb", ["patch", "delete"])
def test_an_edit_or_removal_without_an_answer_is_read_back(
    emailsec: Simulator, pia: Member, standing: Standing, take_away: Add, applied: bool, verb: str
) -> None:
    (entry,) = standing()
    emailsec.faults.next(f"block_senders.{verb}", applied=applied, lose_answer=True)
    change = edited(pia, entry, comments="new") if verb == "patch" else worked(take_away(pia, [entry]), after=10)
    assert the_line(change).state == LineState.UNKNOWN
    for seconds in (35, 180, 600):
        change = looked(change, after=seconds)
    assert change.state == (ChangeState.DONE if applied else ChangeState.FAILED)
    assert calls(emailsec, f"block_senders.{verb}") == 1


def test_an_entry_like_it_from_before_does_not_prove_that_the_call_went_through(
    emailsec: Simulator, pia: Member, add: Add, standing: Standing
) -> None:
    standing(pattern="evil.example")
    emailsec.faults.next("block_senders.create", lose_answer=True)
    change = add(pia)
    for seconds in (35, 180, 600):
        change = looked(change, after=seconds)
    assert change.state == ChangeState.FAILED


def test_a_used_up_budget_waits_and_goes_out_by_itself(emailsec: Simulator, pia: Member, add: Add) -> None:
    emailsec.faults.next("block_senders.create", status=429, retry_after=40)
    change = add(pia)
    assert (change.state, change.steps.get().state) == (ChangeState.RUNNING, StepState.WAITING)
    assert "budget" in words.sentence(change)
    assert the_line(worked(change, after=20)).state == LineState.WAITING
    assert worked(change, after=25).state == ChangeState.DONE
    assert len(named(emailsec, "evil.example")) == 1


def test_a_form_that_could_not_be_sent_for_an_hour_is_given_up(emailsec: Simulator, pia: Member, add: Add) -> None:
    emailsec.faults.next("block_senders.create", status=429, retry_after=40, times=None)
    change = add(pia)
    Change.objects.filter(pk=change.pk).update(changed_at=change.changed_at - dt.timedelta(hours=2))
    change = worked(change, after=60)
    assert (change.state, "given up" in words.sentence(change)) == (ChangeState.FAILED, True)
    change = services.retry(actor=pia, change=change, request=None)
    assert worked(change, after=60).state == ChangeState.RUNNING, "it has its hour anew"


def test_what_there_was_no_time_for_while_somebody_waited_goes_out_by_itself(
    emailsec: Simulator, pia: Member, standing: Standing, monkeypatch: pytest.MonkeyPatch, rung: Callable[[], Any]
) -> None:
    (entry,) = standing()
    monkeypatch.setattr(services, "SAVE_SECONDS", 0.5)
    change = edited(pia, entry, comments="new")
    assert (change.state, change.steps.get().state) == (ChangeState.RUNNING, StepState.WAITING)
    assert calls(emailsec, "block_senders.patch") == 0
    assert rung() == [("settings_ui.tasks.step_change", str(change.pk))]
    assert worked(change).state == ChangeState.DONE


@pytest.mark.parametrize("verb", ["PATCH", "GET"])
def test_one_time_is_for_everything_a_form_asks(
    emailsec: Simulator, wire: Wire, pia: Member, standing: Standing, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    (entry,) = standing()
    monkeypatch.setattr(services, "SAVE_SECONDS", 2.0)
    asked: list[float] = []

    def ask(request: httpx.Request) -> None:
        asked.append(request.extensions["timeout"]["read"])
        wire.before[verb] = ask

    wire.before[verb] = ask
    emailsec.faults.next("block_senders.patch", status=404)
    edited(pia, entry, comments="new")
    assert len(asked) == (1 if verb == "PATCH" else 2), "to compare, and whether it is gone"
    assert max(asked) <= 2.0


def test_the_hour_of_a_call_begins_when_it_is_its_turn(
    emailsec: Simulator, pia: Member, standing: Standing, take_away: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STEP_SECONDS", 0)
    names = BY_NAME["impersonation_registry"]  # has no batch: each entry is a call
    values = ENTRIES[names.name][0]
    entries = [
        standing(1, names.name, **{**values, "name": name, "email": f"{name}@corp.example"})[0] for name in ("a", "b")
    ]
    change = worked(take_away(pia, entries, resource=names), after=10)
    Change.objects.update(changed_at=F("changed_at") - dt.timedelta(hours=2))  # the first took its time
    emailsec.faults.next("impersonation_registry.delete", status=429, retry_after=40)
    change = worked(change)
    assert (change.state, change.lines.filter(state=LineState.WAITING).count()) == (ChangeState.RUNNING, 1)
    change.steps.update(changed_at=F("changed_at") - dt.timedelta(hours=2))
    emailsec.faults.next("impersonation_registry.delete", status=429, retry_after=40)
    assert worked(change, after=60).state == ChangeState.PARTLY


@pytest.mark.parametrize("operation_key", ["", "x" * 65, "a\x00b", "ключ"])
def test_a_form_without_its_key_makes_nothing(emailsec: Simulator, pia: Member, add: Add, operation_key: str) -> None:
    with pytest.raises(services.NotPossible, match="not whole"):
        add(pia, operation_key=operation_key)
    assert not Change.objects.exists()


@pytest.mark.parametrize("status", [401, 403])
def test_who_can_mend_our_credentials_is_said(emailsec: Simulator, pia: Member, add: Add, status: int) -> None:
    emailsec.faults.next("block_senders.create", status=status)
    change = add(pia)
    assert change.state == ChangeState.FAILED
    assert "whoever runs Mailwarden" in words.sentence(change)


def test_what_somebody_changed_meanwhile_is_shown_and_not_overwritten(
    emailsec: Simulator, pia: Member, standing: Standing
) -> None:
    (entry,) = standing()
    stand(emailsec)[entry.id]["comments"] = "theirs"
    with pytest.raises(services.ChangedMeanwhile) as told:
        edited(pia, entry, comments="mine")
    assert told.value.theirs is not None
    assert told.value.theirs.values()["comments"] == "theirs"
    del stand(emailsec)[entry.id]
    with pytest.raises(services.ChangedMeanwhile) as told:
        edited(pia, entry, comments="mine")
    assert told.value.theirs is None
    assert not Change.objects.exists()


def test_what_changed_before_it_could_be_sent_is_not_overwritten(
    emailsec: Simulator, pia: Member, standing: Standing
) -> None:
    (entry,) = standing()
    emailsec.faults.next("block_senders.patch", status=429, retry_after=40)
    change = edited(pia, entry, comments="mine")
    stand(emailsec)[entry.id]["comments"] = "theirs"
    change = worked(change, after=60)
    assert (change.state, stand(emailsec)[entry.id]["comments"]) == (ChangeState.FAILED, "theirs")
    assert the_line(change).explanation == words.CHANGED


def test_two_at_one_entry_are_told_of_each_other(
    emailsec: Simulator, pia: Member, ben: Member, standing: Standing, take_away: Add
) -> None:
    (entry,) = standing()
    take_away(pia, [entry])
    Member.objects.filter(pk=ben.pk).update(role="policy_manager")
    ben.refresh_from_db()
    with pytest.raises(services.Conflict, match=r"Pia is changing bad0\.example already, since") as told:
        edited(ben, entry, comments="mine")
    assert told.value.other is not None
    assert told.value.other.actor_id == pia.pk


def test_a_place_that_is_being_taken_is_taken(emailsec: Simulator, pia: Member, add: Add, standing: Standing) -> None:
    emailsec.faults.next("block_senders.create", lose_answer=True)
    add(pia)
    with pytest.raises(services.Conflict):
        add(pia, {**EVIL, "pattern": "Evil.Example"})
    (entry,) = standing()
    with pytest.raises(services.Conflict):
        edited(pia, entry, pattern="evil.example")


@pytest.mark.parametrize("name", sorted({*ENTRIES} - {"block_senders"}))
def test_the_right_to_block_a_sender_adds_to_no_other_list(
    emailsec: Simulator, ana: Member, pia: Member, add: Add, name: str
) -> None:
    for actor in (ana, pia):
        with pytest.raises(PermissionDenied):
            add(actor, ENTRIES[name][0], resource=BY_NAME[name], permission=Permission.POLICY_BLOCK)
    assert calls(emailsec, f"{name}.create") == 0


def test_dangers_that_were_accepted_stand_in_the_trail(
    emailsec: Simulator, pia: Member, add: Add, standing: Standing
) -> None:
    add(pia, accepted=["wide", "own_domain"])
    (entry,) = standing()
    edited(pia, entry, accepted=("wide",), comments="new")
    told = AuditEvent.objects.filter(phase="attempt").order_by("sequence")
    assert [event.detail.get("accepted") for event in told] == [["own_domain", "wide"], ["wide"]]
    add(pia, {**EVIL, "pattern": "harmless.example"})
    assert "accepted" not in AuditEvent.objects.filter(phase="attempt").latest("sequence").detail


def test_rights_are_asked_for_when_it_is_decided_and_before_it_is_sent(
    emailsec: Simulator, pia: Member, ana: Member, add: Add
) -> None:
    with pytest.raises(PermissionDenied):
        add(ana)
    assert add(ana, permission=Permission.POLICY_BLOCK).state == ChangeState.DONE
    emailsec.faults.next("block_senders.create", status=429, retry_after=40)
    change = add(pia, {**EVIL, "pattern": "later.example"})
    Member.objects.filter(pk=pia.pk).update(role="viewer")
    change = worked(change, after=60)
    assert change.state == ChangeState.FAILED
    assert "Pia no longer has the right" in words.sentence(change)
    assert not named(emailsec, "later.example")


def test_who_is_limited_to_some_domains_changes_nothing(emailsec: Simulator, pia: Member, add: Add) -> None:
    Member.objects.filter(pk=pia.pk).update(domains=["corp.example"])
    pia.refresh_from_db()
    with pytest.raises(PermissionDenied):
        add(pia)
    assert not Change.objects.exists()


def test_nothing_is_sent_where_nothing_is_to_be_changed(emailsec: Simulator, pia: Member, standing: Standing) -> None:
    (entry,) = standing()
    with pytest.raises(services.NotPossible, match="Nothing was changed"):
        edited(pia, entry, comments=entry.values()["comments"])
    with pytest.raises(services.NotPossible):
        edited(pia, entry, pattern="")


def test_a_removal_waits_out_the_undo_window(
    emailsec: Simulator, pia: Member, standing: Standing, take_away: Add
) -> None:
    (entry,) = standing()
    change = take_away(pia, [entry])
    assert worked(change, after=2).state == ChangeState.WAITING
    change = services.undo(actor=pia, change=change, request=None)
    assert (change.state, the_line(change).state) == (ChangeState.CANCELLED, LineState.CANCELLED)
    assert worked(change, after=60).state == ChangeState.CANCELLED
    assert entry.id in stand(emailsec)
    assert worked(take_away(pia, [entry]), after=60).state == ChangeState.DONE


def test_what_is_gone_already_counts_as_removed(
    emailsec: Simulator, pia: Member, standing: Standing, take_away: Add
) -> None:
    entries = standing(12)
    change = take_away(pia, entries)
    del stand(emailsec)[entries[3].id]
    change = worked(change, after=60)
    assert (change.state, {entry.id for entry in entries} & set(stand(emailsec))) == (ChangeState.DONE, set())
    assert change.lines.get(upstream_id=entries[3].id).explanation == words.GONE_ALREADY


def test_one_row_of_the_trail_for_the_decision_and_one_for_its_end(emailsec: Simulator, pia: Member, add: Add) -> None:
    change = add(pia, reason="phish", ticket="T-1")
    decided, ended = AuditEvent.objects.filter(action="policy:create").order_by("sequence")
    assert (decided.phase, decided.actor_id, decided.reason) == ("attempt", pia.pk, "phish")
    assert decided.detail["values"] == EVIL
    assert (ended.phase, ended.refers_to) == ("done", decided.sequence)
    assert change.audit_sequence == decided.sequence


def test_the_life_of_an_entry_begins_with_it(emailsec: Simulator, pia: Member, add: Add) -> None:
    from settings_ui.entries.life import Life

    change = add(pia, life=Life(owner_id=pia.pk, ticket="T-1", reason="phish"))
    kept = Entry.objects.get(upstream_id=the_line(change).upstream_id)
    assert (kept.owner_id, kept.ticket, kept.reason) == (pia.pk, "T-1", "phish")


def test_a_change_of_another_account_stays_as_it_is(emailsec: Simulator, pia: Member, add: Add) -> None:
    emailsec.faults.next("block_senders.create", status=429, retry_after=40)
    change = add(pia)
    Change.objects.filter(pk=change.pk).update(account_id="9" * 32)
    pass_by(change, 60)
    assert worked(change).state == ChangeState.RUNNING
    assert not named(emailsec, "evil.example")
