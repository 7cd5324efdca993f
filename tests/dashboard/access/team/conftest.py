"""People with the rights that the rules of the team tell apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission

MakeRole = Callable[..., TeamRole]
SignIn = Callable[[Member], Client]


@pytest.fixture
def make_role(db: None) -> MakeRole:
    def make(label: str, *permissions: Permission) -> TeamRole:
        granted = {Permission.ACCOUNT_OWN, *permissions}
        return TeamRole.objects.create(name=label.lower(), label=label, permissions=sorted(granted))

    return make


@pytest.fixture
def hedy(make_role: MakeRole) -> Member:
    """Helps out: manages the team, but gives only what she holds herself."""
    role = make_role("Helper", Permission.TEAM_READ, Permission.TEAM_MANAGE, Permission.MESSAGE_READ)
    return Member.objects.create_user("hedy", "hedy@corp.example", "x", role=role.pk, first_name="Hedy")


@pytest.fixture
def signed_in() -> SignIn:
    def sign_in(member: Member) -> Client:
        client = Client()
        client.force_login(member)
        return client

    return sign_in
