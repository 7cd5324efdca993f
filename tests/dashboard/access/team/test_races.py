"""Two changes of rights at the same instant."""

from __future__ import annotations

from functools import partial

import pytest
from django.core.exceptions import PermissionDenied

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.access.team import invitations, services
from dashboard.access.team.invitations import Newcomer, NoInvitation
from dashboard.audit.models import AuditEvent
from tests.investigate.actions.test_races import together

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 10
ENDED = services.Standing(Role.ADMIN, (), is_active=False)


def test_two_who_end_each_other_leave_one() -> None:
    for number in range(ROUNDS):
        ada, eva = (Member.objects.create(username=f"{name}{number}", role=Role.ADMIN) for name in ("ada", "eva"))
        works = []
        for actor, other in ((ada, eva), (eva, ada)):
            seen = services.plan_member(actor=actor, member=other, wanted=ENDED).seen
            works.append(partial(services.change_member, actor=actor, member_id=other.pk, wanted=ENDED, seen=seen))

        results = together(*works)

        assert {type(one) for one in results} == {Member, PermissionDenied}, results
        assert Member.objects.filter(is_active=True).count() == 1
        Member.objects.all().update(is_active=False)


@pytest.mark.matrix(8)
def test_a_link_that_is_used_twice_at_once_makes_one_member(ada: Member) -> None:
    for number in range(ROUNDS):
        _, secret = invitations.invite(actor=ada, email=f"n{number}@corp.example", role=Role.VIEWER)
        newcomers = [Newcomer(f"n{number}{letter}", f"N {number}{letter}", "x") for letter in "ab"]

        results = together(*(partial(invitations.accept, secret=secret, newcomer=one) for one in newcomers))

        assert {type(one) for one in results} == {Member, NoInvitation}, results
        assert Member.objects.filter(username__startswith=f"n{number}").count() == 1
    assert AuditEvent.objects.filter(action="team:accept_invitation").count() == ROUNDS
