"""The table of permissions on its page, and the roles a team composes out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Invitation, Member, TeamRole
from dashboard.access.roles import RIGHTS, ROLES, Permission, Role
from dashboard.access.team.invitations import invite
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.sign_in import set_up_app
from tests.dashboard.access.team.conftest import MakeRole, SignIn
from tests.dashboard.access.team.test_members import carried, last, means

Soup = Callable[[HttpResponse], BeautifulSoup]
MATRIX, NEW = "/team/roles/", "/team/roles/new/"
READER = [Permission.MESSAGE_READ, Permission.TEAM_READ]


def form(label: str, *permissions: Permission, **more: str) -> dict[str, Any]:
    return {"label": label, "permissions": [one.value for one in permissions], **more}


def url_of(role: TeamRole) -> str:
    return reverse("team:role", args=[role.pk])


def save(client: Client, role: TeamRole, soup: Soup, data: dict[str, Any]) -> HttpResponse:
    answer = client.post(url_of(role), data)
    page = soup(answer)
    if answer.status_code != 200:
        return answer
    ticked = [one["value"] for one in page.select("main input[name=permissions]")]
    return client.post(url_of(role), carried(page) | {"permissions": ticked})


def test_the_page_says_yes_exactly_where_the_table_does(viewer: Client, make_role: MakeRole, soup: Soup) -> None:
    night = make_role("Night", Permission.MESSAGE_READ, Permission.MESSAGE_RELEASE)

    page = soup(viewer.get(MATRIX))

    labels = [one.get_text(strip=True) for one in page.select("thead th")][1:]
    columns = {role.value.replace("_", " ").capitalize(): ROLES[role] for role in ROLES} | {"Night": night.granted}
    assert labels == list(columns)
    for permission, row in zip(Permission, page.select("tbody tr"), strict=False):
        assert row.th.get_text().startswith(RIGHTS[permission])  # type: ignore[union-attr]
        for label, cell in zip(labels, row.select("td"), strict=True):
            assert (cell.get_text(strip=True) == "yes") == (permission in columns[label]), (permission, label)


def test_a_role_is_composed_recorded_and_given(admin: Client, ana: Member) -> None:
    answer = admin.post(NEW, form("Night shift", *READER, needs_second_factor="on"))

    assert answer.status_code == 303
    role = TeamRole.objects.get()
    assert (role.pk, role.label, role.needs_second_factor) == ("night-shift", "Night shift", True)
    assert role.granted == {*READER, Permission.ACCOUNT_OWN}
    assert last().action == "team:create_role"
    assert last().detail["after"]["permissions"] == sorted(role.granted)


@pytest.mark.parametrize("label", ["Admin", "policy manager", "POLICY_MANAGER", "Night", " night "])
def test_no_two_roles_are_called_the_same(admin: Client, make_role: MakeRole, label: str, soup: Soup) -> None:
    make_role("Night")

    answer = admin.post(NEW, form(label, *READER))

    assert answer.status_code == 409
    assert "exists already" in soup(answer).select_one(".errors").text  # type: ignore[union-attr]
    assert TeamRole.objects.count() == 1


def test_a_permission_that_is_not_in_the_table_is_refused(admin: Client) -> None:
    answer = admin.post(NEW, {"label": "Root", "permissions": ["team:everything"]})

    assert answer.status_code == 422
    assert not TeamRole.objects.exists()


def test_hidden_characters_do_not_make_a_second_role_of_the_same_look(admin: Client) -> None:
    assert admin.post(NEW, form("Ad\u200bmin", *READER)).status_code == 422


def test_a_change_says_what_members_gain_and_lose_before_it_is_saved(
    admin: Client, make_role: MakeRole, ana: Member, analyst: Client, soup: Soup
) -> None:
    role = make_role("Night", *READER)
    Member.objects.filter(pk=ana.pk).update(role=role.pk)
    data = form("Night owls", Permission.MESSAGE_READ, Permission.MESSAGE_MOVE)

    page = soup(admin.post(url_of(role), data))

    assert means(page) == [
        "Everybody with this role (Ana) gains the right to move messages.",
        "Everybody with this role (Ana) loses the right to see who is in the team.",
        "Night is called Night owls from then on.",
    ]
    assert TeamRole.objects.get().label == "Night"

    assert save(admin, role, soup, data).status_code == 303
    event = last()
    assert (event.action, event.targets) == ("team:change_role", ["night"])
    assert event.detail["before"]["label"] == "Night"
    assert event.detail["after"]["label"] == "Night owls"
    assert event.detail["members"] == ["ana"]
    assert Member.objects.get(pk=ana.pk).may(Permission.MESSAGE_MOVE)
    assert analyst.get("/account/preferences/").status_code == 302  # the rights changed: a new sign-in


def test_a_role_is_not_deleted_while_somebody_has_it_or_will_get_it(
    admin: Client, ada: Member, make_role: MakeRole, ana: Member, soup: Soup
) -> None:
    role = make_role("Night", *READER)
    address = reverse("team:delete_role", args=[role.pk])
    Member.objects.filter(pk=ana.pk).update(role=role.pk, is_active=False)

    answer = admin.post(address)

    assert answer.status_code == 409
    assert "Ana has it." in soup(answer).select_one(".errors").text  # type: ignore[union-attr]
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)
    invite(actor=ada, email="bea@corp.example", role=role.pk)
    assert "bea@corp.example" in admin.post(address).content.decode()

    Invitation.objects.all().delete()
    assert admin.post(address).status_code == 303
    assert not TeamRole.objects.exists()
    assert (last().action, last().targets) == ("team:delete_role", ["night"])


@pytest.mark.parametrize("who", ["analyst", "responder", "policy_manager", "auditor", "viewer"])
def test_who_does_not_manage_composes_nothing(who: str, request: pytest.FixtureRequest, make_role: MakeRole) -> None:
    client: Client = request.getfixturevalue(who)
    role = make_role("Night", *READER)

    assert client.post(NEW, form("Mine", *READER)).status_code == 403
    assert client.post(url_of(role), form("Mine", *READER, seen="x")).status_code == 403
    assert client.post(reverse("team:delete_role", args=[role.pk])).status_code == 403
    assert [one.label for one in TeamRole.objects.all()] == ["Night"]


def test_nobody_composes_a_role_beyond_their_own_rights(
    hedy: Member, signed_in: SignIn, make_role: MakeRole, soup: Soup
) -> None:
    helper = signed_in(hedy)
    strong = make_role("Strong", Permission.MESSAGE_PURGE)

    boxes = {one["value"]: one for one in soup(helper.get(NEW)).select("input[name=permissions]")}
    assert "disabled" in boxes["message:purge"].attrs
    assert "disabled" not in boxes["message:read"].attrs

    for data in (form("More", Permission.MESSAGE_PURGE), form("More", Permission.TEAM_GRANT)):
        assert helper.post(NEW, data).status_code == 403
    assert helper.post(url_of(strong), form("Strong", Permission.MESSAGE_READ)).status_code == 403
    assert helper.post(reverse("team:delete_role", args=[strong.pk])).status_code == 403
    assert set(TeamRole.objects.values_list("label", flat=True)) == {"Helper", "Strong"}
    assert AuditEvent.objects.filter(action="team:create_role", phase="refused").count() == 2


def test_nobody_changes_the_role_they_have(hedy: Member, signed_in: SignIn, soup: Soup) -> None:
    helper, role = signed_in(hedy), TeamRole.objects.get(pk=hedy.role)

    answer = helper.post(url_of(role), form("Helper", Permission.TEAM_MANAGE))

    assert answer.status_code == 403
    assert "nobody changes their own rights" in answer.content.decode()
    assert helper.post(url_of(role), form("Helper", Permission.TEAM_MANAGE, seen="0" * 16)).status_code == 403
    assert TeamRole.objects.get().granted == role.granted


def test_nobody_releases_themselves_from_the_second_factor(hedy: Member, signed_in: SignIn, soup: Soup) -> None:
    helper, role = signed_in(hedy), TeamRole.objects.get(pk=hedy.role)
    same = form("Helper", *sorted(role.granted - {Permission.ACCOUNT_OWN}))
    set_up_app(hedy)
    TeamRole.objects.update(needs_second_factor=True)

    answer = helper.post(url_of(role), same)

    assert answer.status_code == 403
    assert "nobody releases themselves" in answer.content.decode()
    assert TeamRole.objects.get().needs_second_factor

    TeamRole.objects.update(needs_second_factor=False)
    save(helper, role, soup, {**same, "needs_second_factor": "on"})
    assert TeamRole.objects.get().needs_second_factor, "a duty may be taken on"
