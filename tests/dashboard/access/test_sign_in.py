"""Sign-in, sign-out, the link for a first sign-in, and a new password."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.tokens import default_token_generator
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent

Soup = Callable[[HttpResponse], BeautifulSoup]
URL = "/account/login/"
PASSWORD = "correct horse battery"
NEW = "a rather different battery"


def test_the_right_name_and_password_open_the_desk(client: Client, ana: Member) -> None:
    response = client.post(URL, {"username": "ana", "password": PASSWORD})
    assert response.status_code == 302
    assert response["Location"] == "/investigate/"
    assert client.session["_auth_user_id"] == str(ana.pk)
    event = AuditEvent.objects.get()
    assert (event.action, event.phase, event.actor_name) == ("account:sign_in", "done", "Ana")


def test_sign_in_goes_back_to_where_one_was(client: Client, ana: Member) -> None:
    back = "/investigate/?q=a&open=1%3A2"
    page = BeautifulSoup(client.get(URL, {"next": back}).content, "html.parser")
    assert page.select_one("main input[name=next]")["value"] == back  # type: ignore[index]
    assert client.post(URL, {"username": "ana", "password": PASSWORD, "next": back})["Location"] == back


def test_the_session_gets_a_new_id(client: Client, ana: Member) -> None:
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    client.post(URL, {"username": "ana", "password": PASSWORD})
    assert client.session.session_key != before


@pytest.mark.parametrize(
    ("name", "password"), [("ana", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD), ("ana", PASSWORD.upper())]
)
def test_every_wrong_cause_has_the_same_sentence(
    client: Client, ana: Member, soup: Soup, name: str, password: str
) -> None:
    Member.objects.create_user("gone", password=PASSWORD, is_active=False)
    response = client.post(URL, {"username": name, "password": password})
    page = soup(response)
    assert response.status_code == 422
    assert page.select_one(".errors").get_text(strip=True) == "User name or password is not right."  # type: ignore[union-attr]
    assert page.select_one("#id_username")["value"] == name  # type: ignore[index]
    assert not page.select_one("#id_password").get("value")  # type: ignore[union-attr]
    assert "_auth_user_id" not in client.session


def test_a_refused_sign_in_is_recorded_without_unknown_names(client: Client, ana: Member) -> None:
    client.post(URL, {"username": "ana", "password": "wrong"})
    client.post(URL, {"username": "my-password-by-mistake", "password": "wrong"})
    first, second = AuditEvent.objects.order_by("sequence")
    assert (first.phase, first.targets) == ("refused", ["ana"])
    assert (second.phase, second.targets) == ("refused", [])


@pytest.mark.matrix(58)
def test_nobody_gets_in_unrecorded(client: Client, ana: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(AuditEvent, "save", away)
        assert client.post(URL, {"username": "ana", "password": PASSWORD}).status_code == 503
    assert client.get("/account/preferences/").status_code == 302


def test_the_signed_in_are_sent_on(analyst: Client) -> None:
    assert analyst.get(URL).status_code == 302


def test_sign_out_ends_the_session_and_clears_the_browser(analyst: Client) -> None:
    response = analyst.post("/account/logout/")
    assert response.status_code == 303
    assert response["Location"] == URL
    assert response["Clear-Site-Data"] == '"cache", "storage"'
    assert "_auth_user_id" not in analyst.session
    assert AuditEvent.objects.get().action == "account:sign_out"


def test_a_link_does_not_sign_out(analyst: Client) -> None:
    assert analyst.get("/account/logout/").status_code == 405
    assert "_auth_user_id" in analyst.session


@pytest.fixture
def link(db: None) -> str:
    member = Member(username="newcomer", role="analyst")
    member.set_unusable_password()
    member.save()
    uid = urlsafe_base64_encode(force_bytes(member.pk))
    return f"/account/first-sign-in/{uid}/{default_token_generator.make_token(member)}/"


def test_a_first_sign_in_sets_the_password_and_works_once(client: Client, link: str) -> None:
    page = client.get(link, follow=True)
    assert page.redirect_chain[-1][0].endswith("/set-password/")  # the token is not left in the address
    path = page.redirect_chain[-1][0]
    response = client.post(path, {"new_password1": NEW, "new_password2": NEW})
    assert response["Location"] == "/investigate/"
    assert Member.objects.get(username="newcomer").check_password(NEW)
    assert [event.action for event in AuditEvent.objects.order_by("sequence")] == [
        "account:first_sign_in",
        "account:sign_in",
    ]
    assert "does not work any more" in Client().get(link, follow=True).content.decode()


def test_a_weak_first_password_is_explained(client: Client, link: str, soup: Soup) -> None:
    path = client.get(link, follow=True).redirect_chain[-1][0]
    page = soup(client.post(path, {"new_password1": "short", "new_password2": "short"}))
    assert "at least 12 characters" in page.select_one(".errors").text  # type: ignore[union-attr]
    assert not Member.objects.get(username="newcomer").has_usable_password()


@pytest.mark.parametrize("path", ["/account/first-sign-in/x/y/", "/account/first-sign-in/MQ/set-password/"])
def test_an_invented_link_does_nothing(client: Client, db: None, path: str) -> None:
    assert "does not work any more" in client.get(path).content.decode()


def test_a_new_password_ends_other_sessions(analyst: Client, ana: Member) -> None:
    elsewhere = Client()
    elsewhere.login(username="ana", password=PASSWORD)
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert analyst.post("/account/password/", form).status_code == 302
    assert analyst.get("/account/preferences/").status_code == 200
    assert elsewhere.get("/account/preferences/").status_code == 302
    assert AuditEvent.objects.get().action == "account:password_change"


def test_the_old_password_is_needed(analyst: Client, ana: Member) -> None:
    form = {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
    assert analyst.post("/account/password/", form).status_code == 422
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)
