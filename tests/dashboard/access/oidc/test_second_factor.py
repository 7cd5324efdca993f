"""The provider is trusted with the second factor, unless a role needs ours or a member has set one up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.oidc.providers import LyingProvider
from tests.dashboard.access.sign_in import code_of, set_up_app

Go = Callable[..., HttpResponse]


def test_nothing_more_is_asked_where_nothing_is_set_up(provider: LyingProvider, sign_in: Go, client: Client) -> None:
    sign_in()

    assert client.get("/account/preferences/").status_code == 200


def test_a_role_that_needs_a_factor_leads_to_setting_one_up(
    provider: LyingProvider, sign_in: Go, client: Client, settings: Any
) -> None:
    settings.MFA_ROLES = frozenset({"analyst"})
    sign_in()

    answer = client.get("/investigate/")

    assert (answer.status_code, answer["Location"]) == (302, "/account/factors/")


def test_a_factor_that_is_set_up_is_asked_for_after_the_provider(
    provider: LyingProvider, sign_in: Go, client: Client
) -> None:
    sign_in(Client())
    secret = set_up_app(Member.objects.get())

    answer = sign_in(next="/account/preferences/")
    assert answer["Location"] == "/account/login/second-step/"
    assert client.get("/account/preferences/").status_code == 302
    answer = client.post(answer["Location"], {"code": code_of(secret)})

    assert (answer.status_code, answer["Location"]) == (302, "/account/preferences/")
    assert client.get("/account/preferences/").status_code == 200
    assert AuditEvent.objects.filter(action="account:sign_in").last().detail == {
        "by": ["sso", "totp"], "group": "soc-analysts", "role": "analyst", "domains": [],
    }  # fmt: skip
    assert "of-the-provider" not in str(list(client.session.items()))
