"""Every way we could think of to approve one's own request, or what was not shown: refused, and nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member, TeamRole
from dashboard.access.persons import is_same_person
from dashboard.access.roles import Role
from dashboard.access.sessions import PROVED
from dashboard.emailsec.types import Message
from investigate.approvals import services
from investigate.models import Action, ActionItem, ActionState, Approval, ApprovalState
from tests.investigate.approvals.conftest import all_is_due, asked, decision, signed_in

pytestmark = pytest.mark.django_db


@dataclass
class Desk:
    """Ben asks; Ana, Ben and Carla sit here. Ben could approve it, if it were not his own."""

    approval: Approval
    ana: Member
    ben: Member
    carla: Member
    other: Approval  # Ana's request, about another message

    @property
    def asker(self) -> Client:
        return signed_in(Member.objects.get(pk=self.ben.pk))

    @property
    def second(self) -> Client:
        return signed_in(Member.objects.get(pk=self.carla.pk))


@pytest.fixture
def desk(ana: Member, ben: Member, carla: Member, clean: Message, find: Callable[..., Message], emailsec: Any) -> Desk:
    other = find(disposition="SPAM", held=False, but=lambda record: record.id != clean.id)
    return Desk(asked(signed_in(ben), clean), ana, ben, carla, asked(signed_in(ana), other))


def own_form(desk: Desk) -> Any:
    return decision(desk.asker, desk.approval)


def another_tab(desk: Desk) -> Any:
    client = desk.asker
    client.get(reverse("investigate:approval", args=[desk.approval.pk]))
    return decision(client, desk.approval, comment="from my other tab")


def edited_form(desk: Desk) -> Any:
    """The fingerprint of somebody else's request, posted to one's own."""
    return decision(desk.asker, desk.approval, fingerprint=desk.other.fingerprint)


def anothers_fingerprint(desk: Desk) -> Any:
    """A second person sends the form of another request."""
    return decision(desk.second, desk.approval, fingerprint=desk.other.fingerprint)


def no_fingerprint(desk: Desk) -> Any:
    return decision(desk.second, desk.approval, fingerprint="")


def extra_fields(desk: Desk) -> Any:
    """Fields that name somebody else as who asked."""
    named = {"requested_by": str(desk.ana.pk), "approval_id": str(desk.other.pk), "actor": str(desk.carla.pk)}
    return decision(desk.asker, desk.approval, **named)


def own_refusal(desk: Desk) -> Any:
    return decision(desk.asker, desk.approval, "refuse", comment="I have changed my mind")


def after_a_role_change(desk: Desk) -> Any:
    Member.objects.filter(pk=desk.ben.pk).update(role=Role.ANALYST)
    return decision(desk.asker, desk.approval)


def with_an_account_of_the_same_mailbox(desk: Desk) -> Any:
    twin = Member.objects.create(
        username="ben.again", email=f"BEN+sso@{desk.ben.email.rpartition('@')[2]}", role=Role.RESPONDER
    )
    return decision(signed_in(twin), desk.approval)


def renamed(desk: Desk) -> Any:
    Member.objects.filter(pk=desk.ben.pk).update(username="carla2", first_name="Carla", email="x@corp.example")
    return decision(desk.asker, desk.approval)


def by_who_owns_it_now(desk: Desk) -> Any:
    Action.objects.filter(pk=desk.approval.action_id).update(actor=desk.carla, actor_name="Carla")
    return decision(desk.second, desk.approval)


def of_what_was_taken_over(desk: Desk) -> Any:
    """Ana has it now, so Ben is no longer who it belongs to; Carla was shown it as Ben's."""
    Action.objects.filter(pk=desk.approval.action_id).update(actor=desk.ana, actor_name="Ana")
    return decision(desk.second, desk.approval)


def expired(desk: Desk) -> Any:
    Approval.objects.filter(pk=desk.approval.pk).update(expires_at=timezone.now())
    return decision(desk.second, desk.approval)


def other_destination(desk: Desk) -> Any:
    Action.objects.filter(pk=desk.approval.action_id).update(destination="RecoverableItemsDeletions")
    return decision(desk.second, desk.approval)


def other_message(desk: Desk) -> Any:
    ActionItem.objects.filter(action=desk.approval.action_id).update(investigate_id="something-else")
    return decision(desk.second, desk.approval)


def more_recipients(desk: Desk) -> Any:
    ActionItem.objects.filter(action=desk.approval.action_id).update(recipients=["a@corp.example", "ceo@corp.example"])
    return decision(desk.second, desk.approval)


def other_reason(desk: Desk) -> Any:
    Action.objects.filter(pk=desk.approval.action_id).update(reason="another ticket")
    return decision(desk.second, desk.approval)


def after_a_withdrawal(desk: Desk) -> Any:
    decision(desk.asker, desk.approval, "withdraw")
    return decision(desk.second, desk.approval)


def after_a_refusal(desk: Desk) -> Any:
    decision(desk.second, desk.approval, "refuse", comment="no")
    return decision(desk.second, desk.approval)


def by_somebody_who_may_not_decide(desk: Desk) -> Any:
    return decision(signed_in(desk.ana), desk.approval)


def by_somebody_without_the_special_right(desk: Desk) -> Any:
    TeamRole.objects.create(name="desk-lead", label="Desk lead", permissions=["approval:decide", "message:read"])
    lead = Member.objects.create(username="lead", role="desk-lead")
    return decision(signed_in(lead), desk.approval)


def by_somebody_who_left(desk: Desk) -> Any:
    client = desk.second
    Member.objects.filter(pk=desk.carla.pk).update(is_active=False)
    return decision(client, desk.approval)


def for_somebody_who_may_no_longer_ask(desk: Desk) -> Any:
    Member.objects.filter(pk=desk.ben.pk).update(role=Role.VIEWER)
    return decision(desk.second, desk.approval)


def for_somebody_who_left(desk: Desk) -> Any:
    Member.objects.filter(pk=desk.ben.pk).update(is_active=False)
    return decision(desk.second, desk.approval)


def without_a_recent_proof(desk: Desk) -> Any:
    client = desk.second
    session = client.session
    session[PROVED] = int(time.time()) - 11 * 60
    session.save()
    return decision(client, desk.approval)


def by_get(desk: Desk) -> Any:
    return desk.second.get(reverse("investigate:approve_request", args=[desk.approval.pk]))


ATTEMPTS = [
    own_form, another_tab, edited_form, anothers_fingerprint, no_fingerprint, extra_fields, own_refusal,
    after_a_role_change, with_an_account_of_the_same_mailbox, renamed, by_who_owns_it_now, of_what_was_taken_over,
    expired, other_destination, other_message, more_recipients, other_reason, after_a_withdrawal, after_a_refusal,
    by_somebody_who_may_not_decide, by_somebody_without_the_special_right, by_somebody_who_left,
    for_somebody_who_may_no_longer_ask, for_somebody_who_left, without_a_recent_proof, by_get,
]  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.__name__)
@pytest.mark.matrix(70)
def test_no_way_around_the_second_person(attempt: Callable[[Desk], Any], desk: Desk, emailsec: Any) -> None:
    answer = attempt(desk)

    desk.approval.refresh_from_db()
    desk.other.refresh_from_db()
    action = desk.approval.action
    assert action is not None
    assert answer.status_code in (302, 403, 405, 409), answer.content.decode()
    assert desk.approval.state != ApprovalState.APPROVED
    assert desk.other.state == ApprovalState.PENDING
    assert all_is_due(action).state in (ActionState.AWAITING_APPROVAL, ActionState.CANCELLED)
    assert len(emailsec.ledger) == 0


@pytest.mark.parametrize("right", ["message:purge", "message:release_malicious", "job:run_large"])
def test_who_lends_a_special_right_proves_who_they_are(right: str, desk: Desk) -> None:
    Approval.objects.filter(pk=desk.approval.pk).update(permissions=[right])
    client = desk.second
    session = client.session
    session[PROVED] = int(time.time()) - 11 * 60
    session.save()

    page = client.get(reverse("investigate:approval", args=[desk.approval.pk])).content.decode()
    answer = decision(client, desk.approval)

    assert "proves first who they are" in page
    assert answer["Location"].startswith("/account/prove/")


def test_the_desk_of_these_attempts_works(desk: Desk, emailsec: Any) -> None:
    """They are refused for what they do, not because nothing ever goes out there."""
    assert decision(desk.second, desk.approval).status_code == 303
    action = desk.approval.action
    assert action is not None
    assert all_is_due(action).state == ActionState.DONE
    assert len(emailsec.ledger) == 1


@pytest.mark.matrix(8)
def test_a_decision_is_made_once_however_often_it_is_sent(desk: Desk, emailsec: Any) -> None:
    action = desk.approval.action
    assert action is not None
    for _ in range(3):
        assert decision(desk.second, desk.approval).status_code == 303
    all_is_due(action)
    assert decision(desk.second, desk.approval).status_code == 303

    all_is_due(action)

    assert (action.state, len(emailsec.ledger)) == (ActionState.DONE, 1)


def test_a_replayed_approval_does_not_bring_back_what_was_undone(desk: Desk, emailsec: Any) -> None:
    action = desk.approval.action
    assert action is not None
    decision(desk.second, desk.approval)
    decision(desk.asker, desk.approval, "undo")

    decision(desk.second, desk.approval)

    assert all_is_due(action).state == ActionState.CANCELLED
    assert len(emailsec.ledger) == 0


@pytest.mark.matrix(70)
def test_the_database_refuses_that_somebody_decides_their_own(desk: Desk) -> None:
    own = Approval.objects.filter(pk=desk.approval.pk)

    with pytest.raises(IntegrityError), transaction.atomic():
        own.update(decided_by=desk.ben, state=ApprovalState.APPROVED)

    with pytest.raises(services.NotYours):
        services.approve(actor=desk.ben, approval=own.get(), fingerprint=desk.approval.fingerprint, request=None)


@pytest.mark.parametrize(
    "spelled",
    [
        "ben@corp.example.",
        "ｂｅｎ@corp.example",  # letters of full width, as some keyboards write them  # noqa: RUF001
        "Ben+sso@CORP.EXAMPLE",
        "ben@corp．example",  # noqa: RUF001
        '"ben"@corp.example',
        '"b\\en+sso"@corp.example',
        "ben(the second)@corp.example",
        "ben(a (nested) one)@corp.example(here)",
        "b\u200ben@corp.example",
        "ben\u00ad@corp\u2060.example",
        "ben @ corp.example",
    ],
)
def test_one_mailbox_is_one_person_however_it_is_spelled(spelled: str) -> None:
    assert is_same_person(Member(pk=1, email="ben@corp.example"), Member(pk=2, email=spelled))
    assert not is_same_person(Member(pk=1, email="ana@corp.example"), Member(pk=2, email=spelled))


@pytest.mark.parametrize("email", ["", "ben", "@corp.example", "(ben)@corp.example"])
def test_who_has_no_address_is_one_person_for_each_account(email: str) -> None:
    assert not is_same_person(Member(pk=1, email=email), Member(pk=2, email=email))
    assert is_same_person(Member(pk=1, email=email), Member(pk=1, email=email))
