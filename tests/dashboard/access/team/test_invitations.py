"""Invitations: made by who may, used once, and all dead links look the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from django.core import mail
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Invitation, Member
from dashboard.access.roles import Role
from dashboard.access.team.invitations import invite
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.team.conftest import SignIn
from tests.dashboard.access.team.test_members import last

Soup = Callable[[HttpResponse], BeautifulSoup]
NEW, LIST = "/team/invitations/new/", "/team/invitations/"
PASSWORD = "nine lamps over water"
BEA = {"username": "bea", "name": "Bea Ortiz", "password": PASSWORD, "again": PASSWORD}


def invited(client: Client, soup: Soup, **values: Any) -> str:
    """Invite Bea, and take the path of the link from the page."""
    answer = client.post(NEW, {"email": "bea@corp.example", "role": "analyst", "domains": "", **values})
    assert answer.status_code == 200, answer.content
    return urlsplit(str(soup(answer).select_one("#link")["value"])).path  # type: ignore[index]


def test_an_invitation_makes_one_member_who_is_signed_in(admin: Client, client: Client, soup: Soup) -> None:
    path = invited(admin, soup, domains="corp.example")

    page = client.get(path).content.decode()
    assert "Ada" in page
    assert "Analyst" in page
    assert "corp.example" in page
    answer = client.post(path, BEA)

    bea = Member.objects.get(username="bea")
    assert (answer.status_code, answer["Location"]) == (302, "/investigate/")
    assert client.session["_auth_user_id"] == str(bea.pk)
    assert (bea.display_name, bea.email, bea.role, bea.domains) == (
        "Bea Ortiz", "bea@corp.example", "analyst", ["corp.example"],
    )  # fmt: skip
    assert [one.action for one in AuditEvent.objects.filter(action__startswith="team:").order_by("sequence")] == [
        "team:invite",
        "team:accept_invitation",
    ]


def test_only_the_hash_of_the_secret_is_kept(admin: Client, soup: Soup) -> None:
    secret = invited(admin, soup).split("/")[-2]

    invitation = Invitation.objects.get()
    assert len(secret) >= 43  # 256 bits
    assert invitation.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str([*Invitation.objects.values(), *AuditEvent.objects.values()])
    assert secret not in admin.get(LIST).content.decode()


def test_dead_links_are_all_answered_alike(admin: Client, ada: Member, ana: Member, soup: Soup) -> None:
    used, revoked, expired, lost = (
        invited(admin, soup, email=f"{name}@corp.example") for name in ("used", "revoked", "expired", "lost")
    )
    assert Client().post(used, BEA).status_code == 302
    admin.post(reverse("team:revoke", args=[Invitation.objects.get(email="revoked@corp.example").pk]))
    Invitation.objects.filter(email="expired@corp.example").update(expires_at=timezone.now())
    Invitation.objects.filter(email="lost@corp.example").update(invited_by=ana)

    answers = []
    for path in (used, revoked, expired, lost, reverse("team:accept", args=["x" * 43])):
        page = Client().get(path)
        sent = Client().post(path, {**BEA, "username": "again"})
        answers += [(page.status_code, page.content), (sent.status_code, sent.content)]

    assert {status for status, _ in answers} == {404}
    assert len({_without_reference(page) for _, page in answers}) == 1
    assert not Member.objects.filter(username="again").exists()


def _without_reference(page: bytes) -> str:
    soup = BeautifulSoup(page, "html.parser")
    return soup.select_one("main").decode()  # type: ignore[union-attr]


def test_a_link_works_for_two_days(admin: Client, soup: Soup) -> None:
    invited(admin, soup)

    left = Invitation.objects.get().expires_at - timezone.now()

    assert timedelta(hours=47, minutes=59) < left <= timedelta(hours=48)


@pytest.mark.parametrize(
    "change",
    [{"is_active": False}, {"role": Role.ANALYST}, {"domains": ["corp.example"]}],
    ids=["ended", "role", "domains"],
)
def test_an_inviter_who_may_no_longer_invite_does_not(
    admin: Client, ada: Member, client: Client, soup: Soup, change: dict[str, Any]
) -> None:
    path = invited(admin, soup)
    Member.objects.filter(pk=ada.pk).update(**change)

    assert client.post(path, BEA).status_code == 404
    assert not Member.objects.filter(username="bea").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "ADA"}, "username"),
        ({"username": "ada"}, "username"),
        ({"username": "b"}, "username"),
        ({"username": "b\u0435a"}, "username"),  # a Cyrillic letter
        ({"name": "Ada"}, "name"),
        ({"name": "Bea\u202e"}, "name"),
        ({"password": "short", "again": "short"}, "password"),
        ({"password": "bea@corp.example", "again": "bea@corp.example"}, "password"),
        ({"again": "another thing entirely"}, "again"),
    ],
)
def test_what_cannot_be_taken_is_told_at_its_field(
    admin: Client, client: Client, soup: Soup, changes: dict[str, str], field: str
) -> None:
    path = invited(admin, soup)

    answer = client.post(path, BEA | changes)

    assert answer.status_code == 422
    assert soup(answer).select_one(f'[data-invalid] [name="{field}"]')
    assert Invitation.objects.get().accepted_at is None
    assert client.post(path, BEA).status_code == 302


def test_fields_of_a_member_are_not_taken_from_the_newcomers_form(admin: Client, client: Client, soup: Soup) -> None:
    path = invited(admin, soup)

    client.post(path, BEA | {"role": "admin", "email": "x@evil.example", "is_superuser": "1", "domains": "", "id": "1"})

    bea = Member.objects.get(username="bea")
    assert (bea.role, bea.email, bea.is_superuser) == ("analyst", "bea@corp.example", False)


def test_the_signed_in_accept_nothing(admin: Client, analyst: Client, soup: Soup) -> None:
    path = invited(admin, soup)

    assert "Sign out first" in analyst.get(path).content.decode()
    assert analyst.post(path, BEA).status_code == 409
    assert not Member.objects.filter(username="bea").exists()


def test_open_invitations_are_listed_and_revoked_once(admin: Client, soup: Soup) -> None:
    path = invited(admin, soup)
    assert "bea@corp.example" in admin.get(LIST).content.decode()
    address = reverse("team:revoke", args=[Invitation.objects.get().pk])

    assert admin.post(address).status_code == 303
    assert Client().get(path).status_code == 404
    assert admin.post(address).status_code == 409
    assert last("refused").action == "team:revoke_invitation"


def test_one_address_has_one_open_invitation_and_one_member(admin: Client, ana: Member, soup: Soup) -> None:
    invited(admin, soup)

    again = admin.post(NEW, {"email": "BEA@corp.example", "role": "viewer"})
    member = admin.post(NEW, {"email": "ana@corp.example", "role": "viewer"})

    assert (again.status_code, member.status_code) == (409, 409)
    assert "Ana has this address" in member.content.decode()


@pytest.mark.parametrize("who", ["analyst", "responder", "policy_manager", "auditor", "viewer"])
def test_who_does_not_manage_invites_nobody(who: str, request: pytest.FixtureRequest, ada: Member) -> None:
    client: Client = request.getfixturevalue(who)
    invitation, _ = invite(actor=ada, email="bea@corp.example", role="viewer")

    assert client.post(NEW, {"email": "eve@corp.example", "role": "viewer"}).status_code == 403
    assert client.get(LIST).status_code == 403
    assert client.post(reverse("team:revoke", args=[invitation.pk])).status_code == 403
    assert Invitation.objects.get().revoked_at is None


def test_nobody_invites_to_more_than_they_hold(hedy: Member, signed_in: SignIn, soup: Soup) -> None:
    helper = signed_in(hedy)

    offered = [one["value"] for one in soup(helper.get(NEW)).select("select[name=role] option")]
    answer = helper.post(NEW, {"email": "eve@corp.example", "role": "admin"})

    assert offered == ["viewer", "helper"]
    assert answer.status_code == 403
    assert not Invitation.objects.exists()
    assert (last("refused").action, last("refused").targets) == ("team:invite", ["eve@corp.example"])


def test_links_start_with_the_address_of_the_settings(admin: Client, soup: Soup, settings: Any) -> None:
    settings.ADDRESS = "https://desk.corp.example"
    settings.ALLOWED_HOSTS = ["desk.corp.example", "other.example"]

    answer = admin.post(NEW, {"email": "bea@corp.example", "role": "viewer"}, headers={"host": "other.example"})
    forged = admin.post(NEW, {"email": "eve@corp.example", "role": "viewer"}, headers={"host": "evil.example"})

    link = soup(answer).select_one("#link")["value"]  # type: ignore[index]
    assert str(link).startswith("https://desk.corp.example/account/invitation/")
    assert forged.status_code == 400


def test_an_invitation_is_mailed_where_mail_is_set_up(admin: Client, soup: Soup, settings: Any) -> None:
    path = invited(admin, soup)
    assert mail.outbox == []
    Invitation.objects.all().delete()
    settings.SENDS_MAIL = True

    path = invited(admin, soup)

    (sent,) = mail.outbox
    assert sent.to == ["bea@corp.example"]
    assert path in sent.body
    assert "Ada" in sent.body


def test_where_only_the_provider_lets_people_in_nobody_is_invited(
    admin: Client, client: Client, soup: Soup, settings: Any
) -> None:
    path = invited(admin, soup)
    settings.SSO_ONLY = True

    assert not soup(admin.get("/team/")).select(f'a[href="{NEW}"]')
    assert admin.post(NEW, {"email": "eve@corp.example", "role": "viewer"}).status_code == 409
    assert client.post(path, BEA).status_code == 404


def test_a_role_that_needs_a_second_factor_asks_for_it_at_once(
    admin: Client, client: Client, soup: Soup, settings: Any
) -> None:
    settings.MFA_ROLES = frozenset({"analyst"})
    client.post(invited(admin, soup), BEA)

    assert client.get("/investigate/")["Location"] == reverse("mfa_index")
