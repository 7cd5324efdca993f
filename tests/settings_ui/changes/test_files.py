"""What comes from a file: a dry run, atomic batches, refusals in the middle of one, and workers that die."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.core.exceptions import PermissionDenied

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import SettingsEntry
from dashboard.simulator import Simulator
from dashboard.simulator.wire import ApiError
from settings_ui.changes import sending, services, transitions, words
from settings_ui.changes.services import Draft
from settings_ui.changes.sweep import sweep_changes
from settings_ui.models import Change, ChangeKind, ChangeState, LineState, Operation, StepState, Verb
from settings_ui.resources import BY_NAME

from .conftest import (
    BLOCK,
    DOMAINS,
    ENTRIES,
    EVIL,
    Killed,
    Wire,
    additions,
    calls,
    key,
    looked,
    named,
    pass_by,
    stand,
    worked,
)

Import = Callable[..., Change]
Standing = Callable[..., list[SettingsEntry]]


def dry_run(actor: Member, drafts: list[Draft], **what: Any) -> Change:
    given = {"resource": BLOCK, "kind": ChangeKind.IMPORT, "operation_key": key(), "request": None} | what
    return services.draft(actor=actor, lines=drafts, **given)


def added(simulator: Simulator) -> list[str]:
    return sorted(entry["pattern"] for entry in stand(simulator).values() if entry["pattern"].startswith("spam"))


def refusing(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, *patterns: str) -> None:
    """The service refuses what holds one of these, and does not say which."""
    original = simulator.settings._add

    def nameless(kind: Any, body: Any, *rest: Any) -> Any:
        if body["pattern"] in patterns:
            raise ApiError(400, 1400, "Something is wrong.")
        return original(kind, body, *rest)

    monkeypatch.setattr(simulator.settings, "_add", nameless)


def test_a_dry_run_sends_nothing_and_tells_what_it_would(emailsec: Simulator, pia: Member) -> None:
    drafts = [
        *additions(3),
        Draft(9, Verb.SAME, "there.example"),
        Draft(10, Verb.BAD, "x", problems={"pattern": "No domain."}),
        Draft(11, Verb.ADD, "SPAM1.example", values={**EVIL, "pattern": "SPAM1.example"}),
    ]
    change = dry_run(pia, drafts, remarks=["Read as Latin-1.", "A column was left out."])
    assert (change.state, change.remarks) == (ChangeState.DRAFT, "Read as Latin-1.\nA column was left out.")
    verbs = dict(change.lines.values_list("number", "verb"))
    assert verbs == {2: "add", 3: "add", 4: "add", 9: "same", 10: "bad", 11: "bad"}
    assert change.lines.get(number=11).explanation == "Line 3 is about the same entry."
    assert worked(change, after=600).state == ChangeState.DRAFT
    assert calls(emailsec, "block_senders.*") == 0
    assert not AuditEvent.objects.filter(action="policy:import").exists(), "nothing was decided"


def test_what_is_confirmed_goes_out_in_one_atomic_call(emailsec: Simulator, pia: Member, standing: Standing) -> None:
    old, other = standing(2)
    drafts = [
        *additions(3),
        Draft(7, Verb.CHANGE, "bad0.example", old.id, old.values(), {"comments": "from a file"}),
        Draft(8, Verb.REMOVE, "bad1.example", other.id, other.values()),
    ]
    change = dry_run(pia, drafts)
    change = services.confirm(actor=pia, change=change, fingerprint=change.fingerprint, reason="weekly", request=None)
    assert (change.state, change.reason) == (ChangeState.WAITING, "weekly")
    assert worked(change, after=1).state == ChangeState.WAITING
    change = worked(change, after=60)
    assert change.state == ChangeState.DONE
    assert calls(emailsec, "block_senders.batch") == 1
    assert added(emailsec) == ["spam0.example", "spam1.example", "spam2.example"]
    assert stand(emailsec)[old.id]["comments"] == "from a file"
    assert other.id not in stand(emailsec)
    ids = {line.label: line.upstream_id for line in change.lines.filter(verb=Verb.ADD, state=LineState.DONE)}
    assert ids == {entry["pattern"]: entry["id"] for entry in named(emailsec, *ids)}


def test_a_second_click_confirms_nothing_twice_and_another_content_nothing_at_all(
    emailsec: Simulator, pia: Member
) -> None:
    change = dry_run(pia, additions(2))
    with pytest.raises(services.Conflict, match="not what you were shown"):
        services.confirm(actor=pia, change=change, fingerprint="0" * 64, request=None)
    first = services.confirm(actor=pia, change=change, fingerprint=change.fingerprint, request=None)
    again = services.confirm(actor=pia, change=change, fingerprint=change.fingerprint, request=None)
    assert first.pk == again.pk
    assert AuditEvent.objects.filter(action="policy:import", phase="attempt").count() == 1
    worked(change, after=60)
    assert len(added(emailsec)) == 2


def test_somebody_elses_dry_run_is_not_ones_own_to_confirm(emailsec: Simulator, pia: Member, ben: Member) -> None:
    change = dry_run(pia, additions(2))
    with pytest.raises(PermissionDenied):
        services.confirm(actor=ben, change=change, fingerprint=change.fingerprint, request=None)


def test_what_somebody_else_is_changing_keeps_a_file_from_starting(
    emailsec: Simulator, pia: Member, imported: Import
) -> None:
    emailsec.faults.next("block_senders.batch", lose_answer=True)
    first = worked(imported(pia, additions(3)))
    assert first.state == ChangeState.RUNNING
    second = dry_run(pia, additions(2, start=2))
    with pytest.raises(services.Conflict, match=r"Pia is changing spam2\.example already"):
        services.confirm(actor=pia, change=second, fingerprint=second.fingerprint, request=None)
    second.refresh_from_db()
    assert second.state == ChangeState.DRAFT


def test_the_protection_of_a_domain_is_never_ended_by_a_file(emailsec: Simulator, pia: Member) -> None:
    domain = next(iter(stand(emailsec, "domains").values()))
    drafts = [Draft(2, Verb.REMOVE, domain["domain"], domain["id"], {"domain": domain["domain"]})]
    for kind in (ChangeKind.IMPORT, ChangeKind.RESTORE):
        change = dry_run(pia, drafts, resource=DOMAINS, kind=kind)
        line = change.lines.get()
        assert (line.verb, line.state) == (Verb.BAD, LineState.LEFT_OUT)
        assert "protection" in line.explanation
        with pytest.raises(services.NotPossible):
            services.confirm(actor=pia, change=change, fingerprint=change.fingerprint, request=None)


@pytest.mark.parametrize("status", [400, 409])
def test_a_line_that_is_refused_fails_alone(
    emailsec: Simulator, pia: Member, imported: Import, standing: Standing, status: int
) -> None:
    drafts = additions(50)
    if status == 409:
        standing(pattern="spam17.example")
    else:
        bad = {**EVIL, "pattern": "not a domain"}
        drafts[17] = Draft(19, Verb.ADD, "not a domain", values=bad)
    change = worked(imported(pia, drafts))
    assert change.state == ChangeState.PARTLY
    failed = change.lines.get(state=LineState.FAILED)
    assert (failed.number, list(failed.problems)) == (19, ["pattern"])
    assert len(added(emailsec)) == (50 if status == 409 else 49)
    assert calls(emailsec, "block_senders.batch") == 2


def test_a_refusal_that_names_no_line_is_found_by_halving(
    emailsec: Simulator, pia: Member, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(emailsec, monkeypatch, "spam5.example")
    change = worked(imported(pia, additions(12)))
    assert change.state == ChangeState.PARTLY
    assert change.lines.get(state=LineState.FAILED).label == "spam5.example"
    assert len(added(emailsec)) == 11


def test_many_refusals_of_few_lines_do_not_keep_the_others_from_going_out(
    emailsec: Simulator, pia: Member, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_REFUSALS", 5)
    bad = [f"spam{place}.example" for place in (5, 21, 37, 53)]
    refusing(emailsec, monkeypatch, *bad)
    change = worked(imported(pia, additions(64)))
    assert sorted(change.lines.filter(state=LineState.FAILED).values_list("label", flat=True)) == sorted(bad)
    assert len(added(emailsec)) == 60
    assert change.steps.filter(state=StepState.FAILED, operation=Operation.BATCH).count() > 5


def test_where_most_is_refused_the_rest_is_not_tried_until_somebody_sends_it_again(
    emailsec: Simulator, pia: Member, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_REFUSALS", 5)
    everything = [f"spam{place}.example" for place in range(64)]
    with monkeypatch.context() as patch:
        refusing(emailsec, patch, *everything)
        change = worked(imported(pia, additions(64)))
    assert change.state == ChangeState.FAILED
    assert change.lines.filter(explanation__startswith="Cloudflare refuses most of it.").exists()
    assert calls(emailsec, "block_senders.*") < 30
    with monkeypatch.context() as patch:
        refusing(emailsec, patch, everything[7])
        change = worked(services.retry(actor=pia, change=change, request=None))
    assert change.lines.get(state=LineState.FAILED).label == everything[7]
    assert len(added(emailsec)) == 63


def test_lists_without_a_batch_go_one_at_a_time(emailsec: Simulator, pia: Member, imported: Import) -> None:
    values = ENTRIES["impersonation_registry"][0]
    drafts = [
        Draft(
            place,
            Verb.ADD,
            f"Grace {place}",
            values={**values, "name": f"Grace {place}", "email": f"g{place}@x.example"},
        )
        for place in range(1, 6)
    ]
    change = worked(imported(pia, drafts, BY_NAME["impersonation_registry"]))
    assert change.state == ChangeState.DONE
    assert calls(emailsec, "impersonation_registry.create") == 5
    assert {step.operation for step in change.steps.all()} == {Operation.CREATE}


def test_a_batch_that_takes_removals_only_gets_removals_only(
    emailsec: Simulator, pia: Member, imported: Import, standing: Standing
) -> None:
    old = standing(0)
    restrictions = BY_NAME["sending_domain_restrictions"]
    seeded = [
        emailsec.settings.seed_entry(
            restrictions.name, emailsec.clock() - 9, domain=f"d{place}.example", exclude=[], comments=None
        )
        for place in range(3)
    ]
    drafts = [
        Draft(place, Verb.REMOVE, entry["domain"], entry["id"], {"domain": entry["domain"], "exclude": []})
        for place, entry in enumerate(seeded, start=1)
    ]
    drafts += [Draft(9, Verb.ADD, "new.example", values={"domain": "new.example", "exclude": [], "comments": None})]
    change = worked(imported(pia, drafts, restrictions))
    assert (change.state, old) == (ChangeState.DONE, [])
    assert calls(emailsec, "sending_domain_restrictions.batch") == 1
    assert calls(emailsec, "sending_domain_restrictions.create") == 1


def test_an_older_server_without_batches_gets_them_one_by_one(
    generation: Simulator, pia: Member, imported: Import
) -> None:
    change = worked(imported(pia, additions(4)))
    assert change.state == ChangeState.DONE
    assert len(added(generation)) == 4
    if generation.world.profile.seed_generation:
        assert calls(generation, "block_senders.create") == 4


@pytest.mark.parametrize("applied", [True, False])
def test_a_batch_without_an_answer_is_looked_for_before_the_next_is_sent(
    emailsec: Simulator,
    pia: Member,
    imported: Import,
    standing: Standing,
    applied: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("settings_ui.changes.planning.MOST_IN_BATCH", 4)
    old, other = standing(2)
    drafts = [
        Draft(2, Verb.REMOVE, "bad0.example", old.id, old.values()),
        Draft(3, Verb.CHANGE, "bad1.example", other.id, other.values(), {"comments": "new"}),
        *additions(6, start=10),
    ]
    emailsec.faults.next("block_senders.batch", applied=applied, lose_answer=True)
    change = worked(imported(pia, drafts))
    assert (change.state, change.lines.filter(state=LineState.UNKNOWN).count()) == (ChangeState.RUNNING, 4)
    assert "4 entries may have been carried out" in words.sentence(change)
    assert worked(change, after=20).state == ChangeState.RUNNING
    assert calls(emailsec, "block_senders.batch") == 1
    for seconds in (15, 180, 600):
        change = looked(change, after=seconds)
    change = worked(change)
    assert change.state == (ChangeState.DONE if applied else ChangeState.PARTLY)
    assert calls(emailsec, "block_senders.batch") == 2
    assert len(added(emailsec)) == (6 if applied else 4)
    assert change.lines.filter(state=LineState.FAILED).count() == (0 if applied else 4)
    if not applied:
        again = worked(services.retry(actor=pia, change=change, request=None))
        assert (again.state, len(added(emailsec)), old.id in stand(emailsec)) == (ChangeState.DONE, 6, False)


def test_a_batch_of_which_a_part_was_carried_out_is_told_line_by_line(
    emailsec: Simulator, pia: Member, imported: Import
) -> None:
    emailsec.faults.next("block_senders.batch", applied=True, lose_answer=True)
    change = worked(imported(pia, additions(4)))
    gone = named(emailsec, "spam2.example")[0]
    del stand(emailsec)[gone["id"]]
    change = looked(change, after=40)
    assert change.state == ChangeState.RUNNING, "it may have been read badly: it is looked at again"
    for seconds in (180, 600):
        change = looked(change, after=seconds)
    assert change.state == ChangeState.PARTLY
    assert change.lines.get(state=LineState.FAILED).label == "spam2.example"
    assert "a part of this call only" in change.steps.get().explanation


def test_what_the_answer_leaves_out_is_looked_for(emailsec: Simulator, pia: Member, imported: Import) -> None:
    change = imported(pia, additions(3))
    emailsec.faults.next("block_senders.batch", applied=True, status=200, content_type="application/json", body=ANSWER)
    change = worked(change)
    assert change.state == ChangeState.RUNNING
    assert looked(change, after=40).state == ChangeState.DONE


ANSWER = (
    '{"success": true, "errors": [], "messages": [], "result": {"deletes": [], "patches": [], "puts": [], "posts": []}}'
)


@pytest.mark.parametrize("status", [401, 403])
def test_without_credentials_the_rest_is_not_tried(
    emailsec: Simulator, pia: Member, imported: Import, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("settings_ui.changes.planning.MOST_IN_BATCH", 4)
    emailsec.faults.next("block_senders.batch", status=status)
    change = worked(imported(pia, additions(12)))
    assert (change.state, change.lines.filter(state=LineState.FAILED).count()) == (ChangeState.FAILED, 12)
    assert calls(emailsec, "block_senders.batch") == 1
    again = worked(services.retry(actor=pia, change=change, request=None))
    assert (again.state, len(added(emailsec))) == (ChangeState.DONE, 12)


def test_entries_changed_since_the_dry_run_are_left_alone(
    emailsec: Simulator, pia: Member, imported: Import, standing: Standing
) -> None:
    entries = standing(20)
    drafts = [
        Draft(place, Verb.CHANGE, entry.values()["pattern"], entry.id, entry.values(), {"comments": "file"})
        for place, entry in enumerate(entries, start=2)
    ]
    change = imported(pia, drafts)
    stand(emailsec)[entries[4].id]["comments"] = "theirs"
    del stand(emailsec)[entries[5].id]
    change = worked(change)
    assert change.state == ChangeState.PARTLY
    told = {line.number: line.explanation for line in change.lines.filter(state=LineState.FAILED)}
    assert told == {6: words.CHANGED, 7: words.GONE}
    assert stand(emailsec)[entries[4].id]["comments"] == "theirs"
    assert sum(entry["comments"] == "file" for entry in stand(emailsec).values()) == 18


def test_stopping_ends_after_the_call_that_is_on_its_way(
    emailsec: Simulator, pia: Member, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settings_ui.changes.planning.MOST_IN_BATCH", 4)
    emailsec.faults.next("block_senders.batch", applied=True, lose_answer=True)
    change = worked(imported(pia, additions(8)))
    change = services.cancel(actor=pia, change=change, request=None)
    assert (change.state, change.finished_at) == (ChangeState.CANCELLED, None)
    change = looked(change, after=40)
    assert (change.state, change.finished_at is None) == (ChangeState.PARTLY, False)
    assert worked(change, after=60).state == ChangeState.PARTLY
    assert len(added(emailsec)) == 4


def test_what_was_carried_out_before_it_was_stopped_is_told(
    emailsec: Simulator, pia: Member, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settings_ui.changes.planning.MOST_IN_BATCH", 4)
    monkeypatch.setattr(sending, "STEP_SECONDS", 0)
    change = worked(imported(pia, additions(8)))
    change = services.cancel(actor=pia, change=change, request=None)
    assert (change.state, change.finished_at is None) == (ChangeState.PARTLY, False)
    assert words.sentence(change) == "4 done, 4 cancelled. Cancelled by Pia."
    assert worked(change, after=60).state == ChangeState.PARTLY
    assert len(added(emailsec)) == 4


def new_domains(number: int) -> list[Draft]:
    values = ENTRIES["domains"][0]
    names = [f"d{place}.corp.example" for place in range(number)]
    return [
        Draft(place, Verb.ADD, name, values={**values, "domain": name}) for place, name in enumerate(names, start=2)
    ]


@pytest.mark.parametrize("applied", [True, False])
def test_of_domains_a_refused_batch_may_have_been_carried_out(
    emailsec: Simulator, pia: Member, imported: Import, applied: bool
) -> None:
    emailsec.faults.next("domains.batch", status=409, applied=applied)
    change = worked(imported(pia, new_domains(4), DOMAINS))
    assert change.state == ChangeState.DONE
    assert len(named(emailsec, *(f"d{place}.corp.example" for place in range(4)), resource="domains")) == 4
    assert calls(emailsec, "domains.batch") == (1 if applied else 3), "in halves"


def test_a_batch_of_which_all_is_gone_already_sends_nothing(
    emailsec: Simulator, pia: Member, imported: Import, standing: Standing
) -> None:
    entries = standing(3)
    drafts = [
        Draft(place, Verb.REMOVE, entry.values()["pattern"], entry.id, entry.values())
        for place, entry in enumerate(entries, start=2)
    ]
    change = imported(pia, drafts)
    for entry in entries:
        del stand(emailsec)[entry.id]
    change = worked(change)
    assert (change.state, change.steps.get().state) == (ChangeState.DONE, StepState.DONE)
    assert calls(emailsec, "block_senders.batch") == 0


@pytest.mark.parametrize("verb", [Verb.REMOVE, Verb.CHANGE])
def test_an_entry_that_vanishes_while_its_batch_is_on_its_way(
    emailsec: Simulator,
    pia: Member,
    imported: Import,
    standing: Standing,
    wire: Wire,
    verb: Verb,
) -> None:
    entries = standing(12)
    values = {"comments": "file"} if verb == Verb.CHANGE else {}
    drafts = [
        Draft(place, verb, entry.values()["pattern"], entry.id, entry.values(), values)
        for place, entry in enumerate(entries, start=2)
    ]
    change = imported(pia, drafts)

    def vanish(_request: httpx.Request) -> None:
        stand(emailsec).pop(entries[6].id)

    wire.before["POST"] = vanish
    change = worked(change)
    line = change.lines.get(upstream_id=entries[6].id)
    if verb == Verb.REMOVE:
        assert (change.state, line.explanation) == (ChangeState.DONE, words.GONE_ALREADY)
    else:
        assert (change.state, line.explanation) == (ChangeState.PARTLY, words.GONE)
    assert change.lines.filter(state=LineState.DONE).count() == (12 if verb == Verb.REMOVE else 11)


def die(_request: httpx.Request) -> None:
    raise Killed


def test_a_worker_that_dies_before_its_call_is_followed_by_another(
    emailsec: Simulator, pia: Member, take_away: Callable[..., Change], standing: Standing, wire: Wire
) -> None:
    change = take_away(pia, standing(12))
    pass_by(change, 60)
    wire.before["GET"] = die  # while the entries are compared
    with pytest.raises(Killed):
        sending.step(change.pk)
    assert change.steps.get().state == StepState.SENDING
    pass_by(change, transitions.CLAIM_SECONDS + 1)
    sweep_changes()
    assert worked(change).state == ChangeState.DONE
    assert (calls(emailsec, "block_senders.batch"), named(emailsec, "bad3.example")) == (1, [])


def test_five_thousand_lines_survive_a_worker_that_dies_after_a_call(
    emailsec: Simulator, pia: Member, imported: Import, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = imported(pia, additions(5000))
    monkeypatch.setattr(sending, "STEP_SECONDS", 0)
    sending.step(change.pk)
    wire.after["POST"] = die
    with pytest.raises(Killed):
        sending.step(change.pk)
    assert change.steps.filter(state=StepState.SENDING).count() == 1
    sending.step(change.pk)
    assert change.steps.filter(state=StepState.SENDING).count() == 1, "nobody takes what another holds"
    pass_by(change, transitions.CLAIM_SECONDS + 1)
    sweep_changes()
    change = looked(change, after=40)
    assert not change.steps.filter(state__in=[StepState.SENDING, StepState.UNKNOWN]).exists()
    monkeypatch.setattr(sending, "STEP_SECONDS", 600)
    change = worked(change)
    assert change.state == ChangeState.DONE
    assert added(emailsec) == sorted(f"spam{place}.example" for place in range(5000))
    assert calls(emailsec, "block_senders.batch") == 5
    assert change.lines.filter(state=LineState.DONE).exclude(upstream_id="").count() == 5000


def test_no_file_leaves_a_domain_without_a_scan_of_its_new_mail(emailsec: Simulator, pia: Member) -> None:
    resource = BY_NAME["domains"]
    before = {"domain": "corp.example", "allowed_delivery_modes": ["API"]}
    hollow = Draft(1, Verb.CHANGE, "corp.example", "1", before, {"allowed_delivery_modes": ["RETRO_SCAN"]})
    other = Draft(2, Verb.CHANGE, "two.example", "2", before, {"allowed_delivery_modes": ["API", "RETRO_SCAN"]})

    change = services.draft(
        actor=pia,
        resource=resource,
        kind=ChangeKind.IMPORT,
        lines=[hollow, other],
        operation_key=key(),
        request=None,
    )

    lines = change.lines.order_by("number")
    assert [(line.verb, line.explanation[:40]) for line in lines] == [
        (Verb.BAD, "New mail would not be scanned any more, "),
        (Verb.CHANGE, ""),
    ]
