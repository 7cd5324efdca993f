"""Two people at the same instant: one decision, one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.functions import Now

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from investigate.actions import sending
from investigate.approvals import services
from investigate.models import Action, ActionState, Approval, ApprovalState
from tests.investigate.actions.test_races import together

pytestmark = pytest.mark.django_db(transaction=True)
Decide = Callable[..., Action]
ROUNDS = 8


def request_of(ana: Member, decide: Decide, message: Message, number: int) -> Approval:
    folder = ["RecoverableItemsPurges", "RecoverableItemsDeletions"][number % 2]
    action = decide(ana, message, "move", destination=folder, is_confirmed=True, reason="ticket 4711")
    return Approval.objects.get(action=action)


def sent(approval: Approval) -> Action:
    """Two workers find it due in the same instant."""
    Action.objects.filter(pk=approval.action_id).update(due_at=Now())
    together(*[lambda: sending.send(str(approval.action_id))] * 2)
    return Action.objects.get(pk=approval.action_id)


@pytest.mark.matrix(59)
def test_two_approvers_make_one_decision_and_one_call(
    ana: Member, ben: Member, carla: Member, decide: Decide, find: Callable[..., Message], emailsec: Any
) -> None:
    approval = request_of(ana, decide, find(disposition="NONE", held=False, copies=1), 0)

    def approve(member: Member) -> Callable[[], Any]:
        return lambda: services.approve(actor=member, approval=approval, fingerprint=approval.fingerprint, request=None)

    results = together(approve(ben), approve(carla))

    won = [one for one in results if isinstance(one, Approval)]
    lost = [one for one in results if isinstance(one, services.Conflict)]
    assert (len(won), len(lost)) == (1, 1), results
    assert str(lost[0]) == f"{won[0].decided_by_name} approved this already."
    assert sent(approval).state == ActionState.DONE
    assert len(emailsec.ledger) == 1
    assert AuditEvent.objects.filter(action="approval:approve").count() == 1
    assert AuditEvent.objects.filter(action="message:move", phase="attempt").count() == 1


@pytest.mark.matrix(8)
def test_a_double_click_in_the_same_instant_decides_once(
    ana: Member, ben: Member, decide: Decide, find: Callable[..., Message], emailsec: Any
) -> None:
    approval = request_of(ana, decide, find(disposition="NONE", held=False, copies=1), 0)

    results = together(
        *[
            lambda: services.approve(actor=ben, approval=approval, fingerprint=approval.fingerprint, request=None),
        ]
        * 3
    )

    assert all(isinstance(one, Approval) for one in results), results
    assert AuditEvent.objects.filter(action="approval:approve").count() == 1
    assert sent(approval).state == ActionState.DONE
    assert len(emailsec.ledger) == 1


@pytest.mark.matrix(60)
def test_approving_against_withdrawing_and_expiring_has_one_end(
    ana: Member, ben: Member, decide: Decide, find: Callable[..., Message], emailsec: Any
) -> None:
    message = find(disposition="NONE", held=False, copies=1)
    for number in range(ROUNDS):
        approval = request_of(ana, decide, message, number)
        before = len(emailsec.ledger)

        def approve(approval: Approval = approval) -> Any:
            return services.approve(actor=ben, approval=approval, fingerprint=approval.fingerprint, request=None)

        def other(approval: Approval = approval, number: int = number) -> Any:
            if number % 2:
                return services.withdraw(actor=ana, approval=approval, request=None)
            Approval.objects.filter(pk=approval.pk).update(expires_at=Now())
            return services.expire_due()

        together(approve, other)
        services.expire_due()

        approval.refresh_from_db()
        action = sent(approval)
        if approval.state == ApprovalState.APPROVED:
            assert action.state in (ActionState.DONE, ActionState.FAILED)  # failed: it was there already
        else:
            assert action.state == ActionState.CANCELLED
            assert len(emailsec.ledger) == before
        if action.state == ActionState.DONE and "Purges" in action.destination:
            return  # what is purged cannot be moved again
