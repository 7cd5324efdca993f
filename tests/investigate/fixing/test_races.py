"""Two at the same instant: one fix, one action a step, one rule, whoever comes first."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from investigate.fixing import advancing, services
from investigate.fixing.services import Conflict, Wish
from investigate.models import Action, ActionKind, Fix
from settings_ui.entries import services as rules
from settings_ui.models import Entry
from tests.investigate.actions.test_races import together
from tests.investigate.fixing.conftest import Worker, effects, states

pytestmark = pytest.mark.django_db(transaction=True)
PutRight = Callable[..., Fix]


@pytest.mark.matrix(59)
def test_of_two_people_one_puts_it_right(ana: Member, ben: Member, held: Message, put_right: PutRight) -> None:
    results = together(lambda: put_right(ana, held), lambda: put_right(ben, held))

    assert Fix.objects.count() == Action.objects.count() == 1
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Fix"]


@pytest.mark.matrix(8)
def test_a_double_click_is_one_fix(ana: Member, held: Message) -> None:
    def click() -> Fix:
        wish = Wish(reason="known supplier")
        return services.put_right(
            actor=Member.objects.get(pk=ana.pk),
            investigate_id=held.id,
            wish=wish,
            operation_key="one-double-click",
            request=None,
        )

    first, second = together(click, click)

    assert isinstance(first, Fix), first
    assert first == second
    assert Action.objects.count() == 1


@pytest.mark.matrix(17)
def test_many_workers_at_once_take_each_step_once(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held, rule=True)

    for _ in range(8):
        worker.passes(fix, 60)
        worker.sends(fix)
        results = together(*[lambda: advancing.advance(fix.pk)] * 4)
        assert results == [None] * 4, results

    fix.refresh_from_db()
    assert fix.finished_at
    assert states(fix) == {"release": "done", "submit_clean": "done", "accept_sender": "done"}
    assert Action.objects.filter(kind=ActionKind.RECLASSIFY).count() == Entry.objects.count() == 1
    assert effects(emailsec, held) == {"release": len(held.client_recipients), "submission": 1, "rule": 1}


@pytest.mark.matrix(10)
def test_undo_against_a_worker_is_all_or_nothing(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    worker.passes(fix, 60)

    undone, _ = together(
        lambda: services.undo(actor=Member.objects.get(pk=ana.pk), fix=Fix.objects.get(pk=fix.pk), request=None),
        lambda: worker.sends(fix),
    )
    worker.runs(fix)

    if isinstance(undone, Conflict):
        assert states(fix) == {"release": "done", "submit_clean": "done"}
    else:
        assert set(states(fix).values()) == {"cancelled"}, undone
        assert effects(emailsec, held) == {"release": 0, "submission": 0, "rule": 0}


@pytest.mark.matrix(59)
def test_repeating_while_workers_end_it_never_waits_in_a_circle(
    ana: Member, held: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    for _ in range(6):
        emailsec.faults.next("submit", status=422)
        worker.runs(fix)
        Fix.objects.filter(pk=fix.pk).update(finished_at=None)  # as if no worker had come to the end of it

        repeated, *ends = together(
            lambda: services.repeat(
                actor=Member.objects.get(pk=ana.pk), fix=Fix.objects.get(pk=fix.pk), number=2, request=None
            ),
            *[lambda: advancing.advance(fix.pk)] * 2,
        )

        # A worker may have been faster, and then there is nothing to repeat; nobody is killed by the other's locks.
        assert isinstance(repeated, Fix | services.Conflict), repeated
        assert ends == [None, None], ends


def test_of_two_rules_for_one_address_one_is_made(ana: Member, ben: Member, emailsec: Any) -> None:
    def accept(actor: Member) -> Entry:
        return rules.accept_sender(
            actor=actor,
            pattern="billing@supplier.example",
            expires_at=timezone.now() + dt.timedelta(days=3),
            reason="known supplier",
            operation_key=uuid.uuid4().hex,
            request=None,
        )

    results = together(lambda: accept(ana), lambda: accept(ben))

    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Entry"]
    assert Entry.objects.count() == 1
