"""Several at the same instant: one decision, one call, one entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.changes import looking, sending, services
from settings_ui.models import Change, ChangeKind, ChangeState, LineState
from tests.investigate.actions.test_races import together

from .conftest import BLOCK, DOMAINS, EVIL, additions, calls, key, named, pass_by, stand

pytestmark = pytest.mark.django_db(transaction=True)
Add = Callable[..., Change]


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(one).__name__ for one in results)


def test_a_double_click_makes_one_entry(emailsec: Simulator, pia: Member, add: Add) -> None:
    once = key()
    results = together(*[lambda: add(pia, operation_key=once)] * 3)
    assert kinds(results) == {"Change": 3}, results
    assert len({one.pk for one in results}) == 1
    assert calls(emailsec, "block_senders.create") == 1
    assert AuditEvent.objects.filter(action="policy:create", phase="attempt").count() == 1


def test_two_people_who_add_the_same_make_one_entry(emailsec: Simulator, pia: Member, add: Add) -> None:
    paul = Member.objects.create_user("paul", "paul@corp.example", "correct horse battery", role=Role.POLICY_MANAGER)
    for number in range(4):
        values = {**EVIL, "pattern": f"race{number}.example"}
        results = together(lambda: add(pia, values), lambda: add(paul, values))  # noqa: B023
        assert len(named(emailsec, values["pattern"])) == 1
        done = [one for one in results if isinstance(one, Change) and one.state == ChangeState.DONE]
        assert len(done) == 1, results


def test_workers_that_find_the_same_change_send_each_line_once(
    emailsec: Simulator, pia: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settings_ui.changes.planning.MOST_IN_BATCH", 10)
    change = services.draft(
        actor=pia, resource=BLOCK, kind=ChangeKind.IMPORT, lines=additions(60), operation_key=key(), request=None
    )
    services.confirm(actor=pia, change=change, fingerprint=change.fingerprint, request=None)
    pass_by(change, 60)
    results = together(*[lambda: sending.step(change.pk)] * 3)
    assert kinds(results) == {"NoneType": 3}, results
    sending.step(change.pk)
    change.refresh_from_db()
    assert change.state == ChangeState.DONE
    assert calls(emailsec, "block_senders.batch") == 6
    assert len(stand(emailsec)) >= 60
    assert change.lines.filter(state=LineState.DONE).count() == 60


def test_confirming_twice_and_discarding_at_once_has_one_end(emailsec: Simulator, pia: Member) -> None:
    for _ in range(4):
        change = services.draft(
            actor=pia, resource=BLOCK, kind=ChangeKind.IMPORT, lines=additions(3), operation_key=key(), request=None
        )

        def confirm(change: Change = change) -> Change:
            return services.confirm(actor=pia, change=change, fingerprint=change.fingerprint, request=None)

        def discard(change: Change = change) -> Change:
            return services.cancel(actor=pia, change=change, request=None)

        results = together(confirm, confirm, discard)
        assert set(kinds(results)) <= {"Change", "Conflict"}, results
        pass_by(change, 60)
        sending.step(change.pk)
        change.refresh_from_db()
        assert change.state in (ChangeState.DONE, ChangeState.CANCELLED)
        there = named(emailsec, *(f"spam{place}.example" for place in range(3)))
        assert len(there) == (3 if change.state == ChangeState.DONE else 0)
        for entry in there:
            del stand(emailsec)[entry["id"]]


def test_undo_against_the_worker_has_one_end(emailsec: Simulator, pia: Member, standing: Any, take_away: Add) -> None:
    for number in range(4):
        (entry,) = standing(pattern=f"undo{number}.example")
        change = take_away(pia, [entry])
        pass_by(change, 60)
        sent, undone = together(
            lambda: sending.step(change.pk),  # noqa: B023
            lambda: services.undo(actor=pia, change=change, request=None),  # noqa: B023
        )
        assert sent is None, sent
        assert isinstance(undone, Change | services.Conflict), undone
        change.refresh_from_db()
        assert change.state in (ChangeState.DONE, ChangeState.CANCELLED)
        assert (entry.id in stand(emailsec)) == (change.state == ChangeState.CANCELLED)


def test_two_looks_settle_it_once(emailsec: Simulator, pia: Member, add: Add) -> None:
    emailsec.faults.next("block_senders.create", applied=True, lose_answer=True)
    change = add(pia)
    pass_by(change, 40)
    step = change.steps.get()
    assert together(*[lambda: looking.look_up(step.pk)] * 3) == [None] * 3
    change.refresh_from_db()
    assert change.state == ChangeState.DONE
    assert AuditEvent.objects.filter(action="policy:create", phase="done").count() == 1


def test_two_who_approve_and_one_who_refuses_make_one_decision(
    emailsec: Simulator, pia: Member, take_away: Add, settings: Any
) -> None:
    settings.SECOND_PERSON = frozenset({"unprotect"})
    others = [
        Member.objects.create_user(name, f"{name}@corp.example", "correct horse battery", role=Role.POLICY_MANAGER)
        for name in ("paul", "petra", "peer")
    ]
    (domain, *_) = get_client().entries("domains").items
    change = take_away(pia, [domain], resource=DOMAINS, typed=[domain.values()["domain"]])

    def approve(who: Member) -> Callable[[], Change]:
        return lambda: services.approve(actor=who, change=change, fingerprint=change.fingerprint, request=None)

    def refuse() -> Change:
        return services.refuse(actor=others[2], change=change, comment="no", request=None)

    results = together(approve(others[0]), approve(others[1]), refuse)
    assert kinds(results) == {"Change": 1, "Conflict": 2}, results
    pass_by(change, 60)
    assert together(*[lambda: sending.step(change.pk)] * 2) == [None] * 2
    change.refresh_from_db()
    assert change.state in (ChangeState.DONE, ChangeState.CANCELLED)
    assert calls(emailsec, "domains.delete") == (change.state == ChangeState.DONE)
    decided = AuditEvent.objects.filter(action__in=["policy:approve", "policy:refuse"])
    assert decided.count() == 1
