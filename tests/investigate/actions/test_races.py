"""Two at the same instant: exactly one wins, the other is told what is true, and the ledger agrees with our rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from investigate.actions import sending, services, transitions
from investigate.actions.services import Conflict
from investigate.models import Action, ActionItem, ActionState

pytestmark = pytest.mark.django_db(transaction=True)
Find = Callable[..., Message]
Decide = Callable[..., Action]
ROUNDS = 40


def together(*works: Callable[[], Any]) -> list[Any]:
    """Run all at the same instant; each result is what it returned, or the exception it ended with."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(number: int, work: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            results[number] = work()
        except Exception as problem:  # noqa: BLE001  handed to the test
            results[number] = problem
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not [thread for thread in threads if thread.is_alive()], "they wait for each other for ever"
    return results


def due(action: Action) -> Action:
    Action.objects.filter(pk=action.pk).update(due_at=Now())
    return action


@pytest.mark.matrix(10)
def test_undo_at_the_last_moment_either_wins_or_is_told_that_it_was_sent(
    ana: Member, decide: Decide, clean: Message, emailsec: Any
) -> None:
    ends: list[str] = []
    for number in range(ROUNDS):
        before = len(emailsec.ledger)
        folder = ["JunkEmail", "DeletedItems"][number % 2]
        action = due(decide(ana, clean, "move", destination=folder))

        undone, _ = together(
            lambda action=action: services.undo(actor=ana, action=Action.objects.get(pk=action.pk), request=None),
            lambda action=action: sending.send(action.pk),
        )

        action.refresh_from_db()
        ends.append(action.state)
        if action.state == ActionState.CANCELLED:
            assert isinstance(undone, Action)
            assert len(emailsec.ledger) == before
        else:
            assert isinstance(undone, Conflict), undone
            assert action.state in (ActionState.DONE, ActionState.FAILED)  # failed: it was in that folder already
    assert AuditEvent.objects.filter(phase="attempt").count() == ROUNDS
    assert AuditEvent.objects.exclude(phase="attempt").count() == ROUNDS


@pytest.mark.matrix(17)
def test_two_workers_claim_a_row_once(ana: Member, decide: Decide, clean: Message, emailsec: Any) -> None:
    for _ in range(ROUNDS):
        action = due(decide(ana, clean, "move", destination="JunkEmail"))

        claims = together(*[lambda action=action: transitions.claim(action.pk)] * 3)

        won = [claim for claim in claims if isinstance(claim, Action)]
        assert len(won) == 1, claims
        assert claims.count(None) == 2, claims
        assert won[0].attempt == 1
        transitions.fail_unsent(won[0], "the round is over")


@pytest.mark.matrix(59, 60)
def test_two_analysts_on_one_message_make_one_action(
    ana: Member, ben: Member, decide: Decide, clean: Message, emailsec: Any
) -> None:
    for number in range(ROUNDS):
        other = ["JunkEmail", "DeletedItems"][number % 2]

        results = together(
            lambda: decide(ana, clean, "move", destination="JunkEmail"),
            lambda other=other: decide(ben, clean, "move", destination=other),
        )

        won = [result for result in results if isinstance(result, Action)]
        lost = [result for result in results if isinstance(result, Conflict)]
        assert (len(won), len(lost)) == (1, 1), results
        assert lost[0].other == won[0]
        assert ActionItem.objects.filter(state=ActionState.WAITING).count() == 1
        transitions.cancel(won[0])


@pytest.mark.matrix(8)
def test_a_double_click_in_the_same_instant_is_one_action(
    ana: Member, decide: Decide, clean: Message, emailsec: Any
) -> None:
    for number in range(ROUNDS):
        key = f"key-{number:08}"

        results = together(*[lambda key=key: decide(ana, clean, "move", key=key, destination="JunkEmail")] * 2)

        assert all(isinstance(result, Action) for result in results), results
        assert results[0] == results[1]
        assert Action.objects.filter(operation_key=key).count() == 1
        transitions.cancel(results[0])
