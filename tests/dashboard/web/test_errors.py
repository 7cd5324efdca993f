"""Every way in which something can go wrong has its own sentence, status and advice, as a page and as a notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django_htmx.middleware import HtmxDetails

from dashboard.access.roles import Permission
from dashboard.emailsec import errors
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.web.errors import (
    RIGHTS,
    bad_request,
    csrf_failed,
    explain,
    explain_name,
    not_found,
    permission_denied,
    server_error,
    upstream_failed,
)

HOSTILE = "<img src=x onerror=alert(1)>\u202eecila"


def every_kind(kind: type[EmailSecurityError] = EmailSecurityError) -> list[type[EmailSecurityError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in every_kind(child))]


def asked(*, target: str = "", method: str = "GET", htmx: bool = True) -> HttpRequest:
    """A request as the middleware would hand it on, by htmx for the element `target`."""
    headers = {"HX-Request": "true", "HX-Target": target} if htmx else {}
    request = RequestFactory().generic(method, "/investigate/x/parts/raw", headers=headers)
    request.user = AnonymousUser()
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    request.reference = "0123456789ab"  # type: ignore[attr-defined]
    return request


def words(response: HttpResponse) -> str:
    return " ".join(BeautifulSoup(response.content, "html.parser").get_text(" ").split())


@pytest.mark.parametrize("kind", every_kind(), ids=lambda kind: kind.__name__)
class TestEveryKind:
    def test_says_what_happened_and_what_to_do(self, kind: type[EmailSecurityError]) -> None:
        text = explain(kind())
        assert text.title.endswith(".")
        assert text.sentence.endswith(".")
        assert text.advice.endswith(".")
        assert 400 <= text.status < 600

    def test_is_a_page(self, kind: type[EmailSecurityError]) -> None:
        response = upstream_failed(asked(htmx=False), kind(api_message=HOSTILE, ray_id="8f2a"))
        page = BeautifulSoup(response.content, "html.parser")
        assert response.status_code == explain(kind()).status
        assert [heading.text for heading in page.find_all("h1")] == [explain(kind()).title]
        assert "0123456789ab" in page.text
        assert not page.select("main img")
        assert "\u202e" not in page.text

    def test_is_a_notice_for_htmx(self, kind: type[EmailSecurityError]) -> None:
        response = upstream_failed(asked(target="results"), kind(api_message=HOSTILE))
        assert response["HX-Retarget"] == "#notice"
        assert response["HX-Reswap"] == "innerHTML"
        assert "<html" not in response.content.decode()
        assert "<img" not in response.content.decode()

    def test_is_told_from_its_name_too(self, kind: type[EmailSecurityError]) -> None:
        assert explain_name(kind.__name__).title == explain(kind()).title

    def test_a_new_kind_below_it_has_words(self, kind: type[EmailSecurityError]) -> None:
        assert explain(type("New", (kind,), {})()).title == explain(kind()).title


STATUSES = {
    errors.Unavailable: 503,
    errors.RateLimited: 503,
    errors.BudgetExhausted: 503,
    errors.OutcomeUnknown: 504,
    errors.NotFound: 404,
    errors.Rejected: 422,
    errors.CredentialsRefused: 502,
    errors.NotPermitted: 502,
    errors.NotOnThisServer: 502,
    errors.UnexpectedReply: 502,
    errors.SearchExpired: 410,
    errors.ForeignLocation: 502,
}


@pytest.mark.parametrize(("kind", "status"), STATUSES.items(), ids=lambda value: getattr(value, "__name__", value))
def test_statuses(kind: type[EmailSecurityError], status: int) -> None:
    assert explain(kind()).status == status


def test_a_failed_part_says_so_in_its_own_place_and_offers_another_try() -> None:
    response = upstream_failed(asked(target="panel-raw"), errors.BudgetExhausted(retry_after=191.2))
    retry = BeautifulSoup(response.content, "html.parser").select_one("a[hx-get]")
    assert response["HX-Retarget"] == "#panel-raw"
    assert response["Retry-After"] == "192"
    assert retry is not None
    assert retry["hx-get"] == "/investigate/x/parts/raw"
    assert retry["hx-target"] == "#panel-raw"
    assert "back in 3:12" in words(response)


def test_a_failed_action_never_offers_to_repeat_itself() -> None:
    response = upstream_failed(asked(target="panel-raw", method="POST"), errors.OutcomeUnknown())
    assert response["HX-Retarget"] == "#notice"
    assert "nothing is sent again" in words(response)
    assert not BeautifulSoup(response.content, "html.parser").select("[hx-get], [hx-post]")


@pytest.mark.parametrize("seconds", [None, float("nan"), float("inf"), -5.0])
def test_a_senseless_wait_breaks_nothing(seconds: float | None) -> None:
    text = explain(errors.RateLimited(retry_after=seconds))
    assert text.retry_after in (None, 1)


def test_a_missing_subscription_is_told_from_a_missing_right() -> None:
    unsubscribed = errors.NotPermitted(api_message="Not available in the current subscription.")
    assert "part of the product" in explain(unsubscribed).title
    assert "token lacks" in explain(errors.NotPermitted()).title


def test_an_unknown_name_still_has_words() -> None:
    assert explain_name("SomethingElse").status == 502


@pytest.mark.parametrize("missing", list(Permission))
def test_a_missing_right_is_named_with_who_has_it(missing: Permission) -> None:
    response = permission_denied(asked(), PermissionDenied(missing.value))
    assert response.status_code == 403
    assert RIGHTS[missing] in words(response)
    assert "admin" in words(response)


def test_forbidden_objects_look_like_absent_ones() -> None:
    assert words(permission_denied(asked(), PermissionDenied("not yours"))) == words(not_found(asked()))


def test_a_failure_of_ours_says_only_what_is_known() -> None:
    assert "Nothing was changed." in words(server_error(asked(htmx=False)))
    assert "It is not known whether" in words(server_error(asked(htmx=False, method="POST")))
    assert "0123456789ab" in words(server_error(asked(htmx=False)))


def test_other_answers() -> None:
    assert bad_request(asked()).status_code == 400
    assert csrf_failed(asked(), "CSRF token missing").status_code == 403
    assert "Reload the page" in words(csrf_failed(asked()))


def test_a_form_without_a_token_is_refused_with_a_page(ana: object) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/account/login/", {"username": "ana", "password": "correct horse battery"})
    assert response.status_code == 403
    assert "Reload the page" in words(response)


def test_an_address_nobody_has(analyst: Client, soup: Callable[[HttpResponse], BeautifulSoup]) -> None:
    response = analyst.get("/nowhere/<script>alert(1)</script>")
    assert response.status_code == 404
    assert soup(response).find("h1").text == "Nothing is here for you."  # type: ignore[union-attr]
    assert b"alert(1)" not in response.content.replace(b"%3Cscript%3Ealert(1)%3C/script%3E", b"")


@pytest.mark.parametrize("handler", [bad_request, not_found, permission_denied, csrf_failed, server_error])
def test_a_request_that_no_middleware_has_seen_gets_a_page(handler: Callable[[HttpRequest], HttpResponse]) -> None:
    response = handler(RequestFactory().get("/anywhere", headers={"HX-Request": "true"}))

    assert response.status_code >= 400
    assert BeautifulSoup(response.content, "html.parser").h1 is not None


def test_a_foreign_host_is_a_bad_request_and_not_a_failure(client: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["mail.example"]

    response = client.get("/investigate/", headers={"Host": "127.0.0.1:8000"})

    assert response.status_code == 400
    assert "This request cannot be read." in words(response)
