"""The admin for emergencies: gets in with a password where nobody else does, and everybody can see it afterwards."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.oidc.providers import LyingProvider

PASSWORD = "a long one for emergencies"
WRONG = "User name or password is not right."


def break_glass(*arguments: str) -> str:
    """The path of the link that the command prints."""
    out = StringIO()
    call_command("break_glass", "--address", "https://desk.corp.example/", *arguments, stdout=out)
    found = re.search(r"https://desk\.corp\.example(/account/\S+)", out.getvalue())
    assert found, out.getvalue()
    return found[1]


def choose(client: Client, link: str, password: str = PASSWORD) -> HttpResponse:
    form = client.get(link)["Location"]
    return client.post(form, {"new_password1": password, "new_password2": password})


def sign_in(client: Client, name: str, password: str = PASSWORD) -> HttpResponse:
    return client.post("/account/login/?local", {"username": name, "password": password})


@pytest.fixture
def admin_for_emergencies(db: None) -> Member:
    return Member.objects.create_user("glass", "", PASSWORD, role=Role.ADMIN, is_break_glass=True)


def test_the_link_makes_an_admin_who_may_use_a_password(client: Client, sso: Any, db: None, settings: Any) -> None:
    settings.SSO_ONLY = True

    assert choose(client, break_glass()).status_code == 302

    member = Member.objects.get()
    assert (member.username, member.role, member.is_break_glass) == ("break-glass", Role.ADMIN, True)
    assert client.get("/account/preferences/").status_code == 200
    browser = Client()
    assert sign_in(browser, "break-glass").status_code == 302
    assert browser.get("/account/preferences/").status_code == 200


def test_the_link_works_once(client: Client, db: None) -> None:
    link = break_glass()
    choose(client, link)

    assert "This link does not work any more" in Client().get(link, follow=True).content.decode()


def test_renewing_ends_what_was_known(client: Client, admin_for_emergencies: Member) -> None:
    sign_in(client, "glass")
    Authenticator.objects.create(user=admin_for_emergencies, type="totp", data={"secret": "x"})
    Member.objects.update(is_active=False, domains=["corp.example"], role=Role.VIEWER)

    link = break_glass("--name", "Glass")

    member = Member.objects.get()
    assert (member.username, member.role, member.domains, member.is_active) == ("glass", Role.ADMIN, [], True)
    assert not Authenticator.objects.exists()
    assert client.get("/account/preferences/").status_code == 302
    assert sign_in(Client(), "glass").status_code == 422
    choose(Client(), link, "another long one for emergencies")
    assert sign_in(Client(), "glass", "another long one for emergencies").status_code == 302


def test_a_colleague_is_not_made_one(ana: Member) -> None:
    with pytest.raises(CommandError, match="ana is a colleague already"):
        break_glass("--name", "ANA")

    ana.refresh_from_db()
    assert not ana.is_break_glass
    assert ana.has_usable_password()


def test_a_name_that_is_none_makes_nobody(db: None) -> None:
    with pytest.raises(CommandError, match="--name cannot be used"):
        break_glass("--name", "two words")

    assert not Member.objects.exists()


def test_the_trail_and_the_log_tell(client: Client, admin_for_emergencies: Member, sso: Any, caplog: Any) -> None:
    sign_in(client, "glass")

    event = AuditEvent.objects.get(action="account:sign_in")
    assert (event.phase, event.detail) == ("done", {"by": ["password"], "break_glass": True})
    told = [line for line in caplog.records if "break_glass_sign_in" in line.getMessage()]
    assert [line.levelname for line in told] == ["WARNING"]
    break_glass("--name", "glass")
    assert AuditEvent.objects.get(action="account:break_glass").targets == ["glass"]


def test_where_only_single_sign_on_is_wanted_nobody_else_gets_in_and_nobody_learns_why(
    client: Client, admin_for_emergencies: Member, ana: Member, sso: Any, settings: Any
) -> None:
    """Right and wrong passwords, names that exist or not, disabled ones: the same status and the same words."""
    ana.set_password(PASSWORD)
    ana.save(update_fields=["password"])
    Member.objects.create_user("gone", "", PASSWORD, is_break_glass=True, is_active=False)
    settings.SSO_ONLY = True

    answers = {
        tried: sign_in(Client(), *tried)
        for tried in (("ana", PASSWORD), ("ana", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD), ("glass", "wrong"))
    }

    for tried, answer in answers.items():
        assert answer.status_code == 422, tried
        assert WRONG in answer.content.decode(), tried
    texts = {re.sub(r'value="[^"]*"|name="csrf.*?>|<code>.*?</code>', "", a.content.decode()) for a in answers.values()}
    assert len(texts) == 1
    assert sign_in(client, "glass").status_code == 302


def test_who_comes_in_by_single_sign_on_has_no_other_way_in(
    provider: LyingProvider, sign_in: Any, client: Client
) -> None:
    """Else whoever lost their group at the provider would still get in."""
    sign_in()
    member = Member.objects.get()
    member.set_password(PASSWORD)
    member.save(update_fields=["password"])

    answer = Client().post("/account/login/", {"username": member.username, "password": PASSWORD})

    assert answer.status_code == 422
    assert WRONG in answer.content.decode()


@pytest.mark.parametrize("sso_only", [True, False])
def test_the_sign_in_page_offers_what_works(sso_only: bool, client: Client, db: None, sso: Any, settings: Any) -> None:
    settings.SSO_ONLY = sso_only
    page, local = (client.get(f"/account/login/{query}").content.decode() for query in ("", "?local"))

    assert "Sign in with <bdi>Corp Login</bdi>" in page
    assert ('name="password"' in page) != sso_only
    assert 'name="password"' in local
    if not sso_only:
        assert page.index("Corp Login") < page.index('name="password"')


def test_a_provider_without_a_name_of_its_own_reads_well(provider: LyingProvider, client: Client, sso: Any) -> None:
    sso(name="single sign-on")
    provider.statuses["/.well-known/openid-configuration"] = 502

    assert "<h1>Single sign-on does not answer.</h1>" in client.post("/account/sso/").content.decode()
    assert "Sign in with <bdi>single sign-on</bdi>" in client.get("/account/login/").content.decode()


def test_without_single_sign_on_there_is_no_button(client: Client, db: None, settings: Any) -> None:
    settings.SINGLE_SIGN_ON = None

    assert "Sign in with" not in client.get("/account/login/").content.decode()


def test_the_button_takes_people_where_they_wanted(provider: LyingProvider, client: Client) -> None:
    page = client.get("/account/login/?next=/account/preferences/").content.decode()
    form = page.partition('id="sso"')[2].partition("</form>")[0]

    assert 'name="next" value="/account/preferences/"' in form
    assert "csrfmiddlewaretoken" in form


def test_with_the_provider_down_the_page_tells_of_the_emergency_way_and_it_works(
    provider: LyingProvider, client: Client, admin_for_emergencies: Member, settings: Any
) -> None:
    settings.SSO_ONLY = True
    provider.statuses["/.well-known/openid-configuration"] = 502

    answer = client.post("/account/sso/")

    assert answer.status_code == 503
    assert "/account/login/?local" in answer.content.decode()
    assert sign_in(client, "glass").status_code == 302
