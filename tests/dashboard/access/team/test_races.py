"""Two changes of rights at the same instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.access.team import invitations, links, services
from dashboard.access.team.invitations import Newcomer, NoInvitation
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.sign_in import NEW, PASSWORD
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


@contextmanager
def once_read(change: Callable[[], object]) -> Iterator[None]:
    """Have the change happen right after the first request inside has read its member."""
    changed = False

    def between(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal changed
        result = execute(sql, *rest)
        if not changed and sql.startswith("SELECT") and 'FROM "access_member"' in sql:
            changed = True
            change()
        return result

    with connection.execute_wrapper(between):
        yield
    assert changed


def _first_link(member: Member) -> str:
    member.set_unusable_password()
    member.save(update_fields=["password"])
    return links.first_sign_in(member)


def _send_preferences(client: Client, _: Member) -> tuple[str, dict[str, str]]:
    return "/account/preferences/", {
        "theme": "dark", "density": "compact", "text_size": "16", "time_zone": "UTC", "undo_seconds": "15",
    }  # fmt: skip


def _send_password(client: Client, _: Member) -> tuple[str, dict[str, str]]:
    return "/account/password/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}


def _send_first_password(client: Client, ana: Member) -> tuple[str, dict[str, str]]:
    client.logout()
    form = client.get(_first_link(ana))["Location"]
    return form, {"new_password1": NEW, "new_password2": NEW}


@pytest.mark.parametrize("send", [_send_preferences, _send_password, _send_first_password])
@pytest.mark.parametrize("is_active", [True, False])
def test_a_request_that_is_under_way_gives_no_rights_back(
    is_active: bool, send: Callable[..., tuple[str, dict[str, str]]], analyst: Client, ana: Member, ada: Member
) -> None:
    url, fields = send(analyst, ana)
    wanted = services.Standing(Role.VIEWER, ("a.example",), is_active)
    seen = services.plan_member(actor=ada, member=Member.objects.get(pk=ana.pk), wanted=wanted).seen

    with once_read(partial(services.change_member, actor=ada, member_id=ana.pk, wanted=wanted, seen=seen)):
        response = analyst.post(url, fields)

    assert response.status_code in (302, 303)
    assert services.Standing.of(Member.objects.get(pk=ana.pk)) == wanted


def test_a_member_is_never_saved_whole(ana: Member) -> None:
    with pytest.raises(TypeError, match="update_fields"):
        ana.save()


def test_a_new_password_locks_in_the_order_of_every_change_of_rights(analyst: Client, ana: Member) -> None:
    """The member first and the head of the trail last: else two of them wait for each other."""
    url, fields = _send_password(analyst, ana)
    with CaptureQueriesContext(connection) as queries:
        analyst.post(url, fields)
    touched = [
        part for one in queries for part in ('UPDATE "access_member"', '"audit_chainhead"') if part in one["sql"]
    ]
    assert touched[0] == 'UPDATE "access_member"'
    assert touched[-1] == '"audit_chainhead"'
