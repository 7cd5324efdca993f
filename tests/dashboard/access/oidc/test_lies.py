"""A provider, or somebody who plays one, that lies in one field: nobody is signed in, and the trail says why."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.oidc.providers import (
    CALLBACK,
    CURVE_KEY,
    FOREIGN_KEY,
    ISSUER,
    JWK,
    OUR_KEY,
    PUBLIC,
    LyingProvider,
    come_back,
    leave,
)

EVIL = "https://evil.example"


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(algorithm: str) -> Callable[[dict[str, Any]], str]:
    return lambda claims: f"{encoded({'alg': algorithm, 'kid': 'one'})}.{encoded(claims)}."


def with_public_key_as_secret(claims: dict[str, Any]) -> str:
    """The old trick: the public key, which everybody has, as the secret of a symmetric signature."""
    secret = json.dumps(JWK).encode()
    signed = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{encoded(claims)}"
    digest = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def changed(**claims: Any) -> dict[str, Any]:
    return {"claim": lambda honest: {**honest, **claims}}


def without(name: str) -> dict[str, Any]:
    return {"claim": lambda honest: {key: value for key, value in honest.items() if key != name}}


def tampered(claims: dict[str, Any]) -> str:
    header, _, signature = jwt.encode(claims, OUR_KEY, "RS256", {"kid": "one"}).split(".")
    return f"{header}.{encoded({**claims, 'sub': 'somebody else'})}.{signature}"


NOW = int(time.time())
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "issuer of another": (changed(iss=EVIL), "InvalidIssuerError"),
    "issuer with a slash more": (changed(iss=f"{ISSUER}/"), "InvalidIssuerError"),
    "no issuer": (without("iss"), "MissingRequiredClaimError"),
    "for another party": (changed(aud="another-app"), "InvalidAudienceError"),
    "for nobody": (without("aud"), "MissingRequiredClaimError"),
    "for several, us among them": (changed(aud=["mailwarden", "another-app"]), "issued to another party"),
    "for us, issued to another": (changed(azp="another-app"), "issued to another party"),
    "over": (changed(exp=NOW - 3600), "ExpiredSignatureError"),
    "without end": (without("exp"), "MissingRequiredClaimError"),
    "from tomorrow": (changed(iat=NOW + 86_400), "ImmatureSignatureError"),
    "not yet": (changed(nbf=NOW + 86_400), "ImmatureSignatureError"),
    "nonce of another sign-in": (changed(nonce="of another"), "nonce of another sign-in"),
    "no nonce": (without("nonce"), "nonce of another sign-in"),
    "no subject": (without("sub"), "MissingRequiredClaimError"),
    "empty subject": (changed(sub=""), "no usable subject"),
    "subject that is a number": (changed(sub=7), "InvalidSubjectError"),
    "endless subject": (changed(sub="a" * 256), "no usable subject"),
    "signed by a stranger": (
        {"sign": lambda claims: jwt.encode(claims, FOREIGN_KEY, "RS256", {"kid": "one"})},
        "InvalidSignatureError",
    ),
    "signed with a key nobody publishes": (
        {"sign": lambda claims: jwt.encode(claims, FOREIGN_KEY, "RS256", {"kid": "two"})},
        "does not publish",
    ),
    "another kind of key": (
        {"sign": lambda claims: jwt.encode(claims, CURVE_KEY, "ES256", {"kid": "one"})},
        "InvalidKeyError",
    ),
    "claims changed after signing": ({"sign": tampered}, "InvalidSignatureError"),
    "not signed": ({"sign": unsigned("none")}, "by an algorithm we take"),
    "not signed, in capitals": ({"sign": unsigned("None")}, "by an algorithm we take"),
    "algorithm without signature": ({"sign": unsigned("RS256")}, "InvalidSignatureError"),
    "public key as secret": ({"sign": with_public_key_as_secret}, "by an algorithm we take"),
    "key that is for encryption": ({"keys": {"keys": [{**JWK, "use": "enc"}]}}, "does not publish"),
    "key for another algorithm": ({"keys": {"keys": [{**JWK, "alg": "RS512"}]}}, "does not publish"),
    "key that is a shared secret": ({"keys": {"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}]}}, "not publish"),
    "no keys": ({"keys": {"keys": []}}, "does not publish"),
    "keys of another shape": ({"keys": {"keys": "one"}}, "does not publish"),
    "key that cannot be read": ({"keys": {"keys": [{**JWK, "n": "!"}]}}, "ID token"),
    "no ID token": ({"token": lambda _: {"access_token": "of-the-provider"}}, "no ID token"),
    "ID token of another shape": ({"token": lambda answer: {**answer, "id_token": ["x"]}}, "no ID token"),
    "ID token that is no token": ({"token": lambda answer: {**answer, "id_token": "x.y.z"}}, "DecodeError"),
    "token answer that is a list": ({"token": lambda answer: [answer]}, "no JSON object"),
    "token answer that is no JSON": ({"token": lambda _: b"<html>"}, "no JSON object"),
    "token answer without end": ({"token": lambda _: b" " * 600_000}, "answers with too much"),
    "user info of somebody else": ({"tell": lambda told: {**told, "sub": "2482"}}, "user info of somebody else"),
    "user info of nobody": ({"tell": lambda _: {"groups": ["soc-leads"]}}, "user info of somebody else"),
    "user info that is no JSON": ({"tell": lambda _: b"hello"}, "no JSON object"),
    "user info elsewhere": ({"redirects": {"/userinfo": f"{EVIL}/userinfo"}}, "status 302"),
    "tokens elsewhere": ({"redirects": {"/token": f"{EVIL}/token"}}, "status 302"),
    "keys elsewhere": ({"redirects": {"/keys": f"{EVIL}/keys"}}, "status 302"),
}  # fmt: skip


def refused(answer: HttpResponse, status: int, cause: str) -> AuditEvent:
    """What each refusal has: our page, nobody signed in, and one row in the trail."""
    assert answer.status_code == status
    assert "/account/login/" in answer.content.decode()
    assert answer.wsgi_request.user == AnonymousUser()
    assert not Member.objects.exists()
    event = AuditEvent.objects.get()
    assert (event.action, event.phase, event.detail["by"]) == ("account:sign_in", "refused", "sso")
    assert cause in event.detail["cause"]
    assert not any(secret in f"{event.detail}{answer.content}" for secret in ("of-the-provider", "eyJ", "code-1"))
    return event


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.matrix(68)
def test_a_lie_signs_nobody_in(
    lie: str, provider: LyingProvider, sign_in: Callable[..., HttpResponse], client: Client
) -> None:
    told, cause = LIES[lie]
    for name, value in told.items():
        setattr(provider, name, value)

    event = refused(sign_in(), 403, cause)

    assert "subject" not in event.detail
    assert client.get("/investigate/").status_code == 302


DESCRIPTIONS: dict[str, tuple[Any, int, str]] = {
    "of another issuer": (lambda honest: {**honest, "issuer": EVIL}, 403, "another issuer"),
    "without an issuer": (lambda honest: {**honest, "issuer": None}, 403, "another issuer"),
    "tokens over plain http": (lambda honest: {**honest, "token_endpoint": "http://login.corp.example/"}, 403, "https"),
    "tokens on this machine": (lambda honest: {**honest, "token_endpoint": "http://127.0.0.1:9/"}, 403, "https"),
    "people sent to a script": (lambda honest: {**honest, "authorization_endpoint": "javascript:x"}, 403, "https"),
    "people sent with a line feed": (
        lambda honest: {**honest, "authorization_endpoint": f"{ISSUER}/authorize?\r\nX: y"}, 403, "https",
    ),
    "keys in a file": (lambda honest: {**honest, "jwks_uri": "file:///etc/passwd"}, 403, "https"),
    "no tokens": (lambda honest: {**honest, "token_endpoint": None}, 403, "https"),
    "a list": (lambda honest: [honest], 403, "no JSON object"),
    "no JSON": (lambda _: b"<html>Welcome</html>", 403, "no JSON object"),
    "deep nesting": (lambda _: b"[" * 200_000, 403, "no JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("description", DESCRIPTIONS)
@pytest.mark.matrix(68)
def test_a_provider_that_describes_itself_wrongly_gets_nobody(
    description: str, provider: LyingProvider, client: Client
) -> None:
    provider.describe, status, cause = DESCRIPTIONS[description]

    refused(client.post("/account/sso/"), status, cause)


def test_the_provider_may_not_change_its_description_while_somebody_signs_in(
    provider: LyingProvider, client: Client
) -> None:
    back = provider.authorize(leave(client))
    provider.describe = lambda honest: {**honest, "issuer": EVIL}

    refused(come_back(client, back), 403, "another issuer")


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"])
@pytest.mark.matrix(68)
def test_a_provider_that_is_down_is_a_page_that_says_so(path: str, provider: LyingProvider, client: Client) -> None:
    back = provider.authorize(leave(client))
    provider.statuses[path] = 503

    answer = come_back(client, back)

    refused(answer, 503, "provider does not answer: status 503")
    assert "Corp Login does not answer." in answer.content.decode()
    assert "/account/login/?local" in answer.content.decode()


def test_a_browser_cannot_use_what_another_began(provider: LyingProvider, client: Client) -> None:
    back = provider.authorize(leave(Client()))

    refused(come_back(client, back), 400, "state of no sign-in of this browser")
    assert "/token" not in provider.calls


@pytest.mark.matrix(68)
def test_an_answer_works_once(provider: LyingProvider, client: Client, sign_in: Callable[..., HttpResponse]) -> None:
    address = leave(client)
    back = provider.authorize(address)
    assert come_back(client, back).status_code == 302
    client.post("/account/logout/")
    calls = len(provider.calls)

    answer = come_back(client, back)

    assert answer.status_code == 400
    assert provider.calls[calls:] == []
    assert AuditEvent.objects.last().detail["cause"] == "state of no sign-in of this browser"


def test_a_code_works_once_even_with_a_new_state(provider: LyingProvider, client: Client) -> None:
    first = provider.authorize(leave(client))
    code = first.partition("code=")[2].partition("&")[0]
    del provider.codes[code]  # somebody was faster

    answer = come_back(client, provider.authorize(leave(client), code=code))

    refused(answer, 502, "provider answers 400 invalid_grant")


def test_a_code_of_another_sign_in_does_not_fit_the_verifier(provider: LyingProvider, client: Client) -> None:
    other = provider.authorize(leave(Client()))
    stolen = other.partition("code=")[2].partition("&")[0]

    refused(come_back(client, provider.authorize(leave(client), code=stolen)), 502, "invalid_grant")


@pytest.mark.parametrize(
    ("query", "status", "cause", "sentence"),
    [
        ({"error": "access_denied"}, 403, "cancelled at the provider", "cancelled at Corp Login"),
        ({"error": "temporarily_unavailable"}, 502, "temporarily_unavailable", "answered with an error"),
        ({"error": "<script>alert(1)</script>"}, 502, "without a known error", "answered with an error"),
        ({}, 502, "without a known error", "answered with an error"),
    ],
)
def test_an_error_of_the_provider_is_a_page(
    query: dict[str, str], status: int, cause: str, sentence: str, provider: LyingProvider, client: Client
) -> None:
    state = leave(client).partition("state=")[2].partition("&")[0]

    answer = client.get(CALLBACK, {"state": state, **query})

    refused(answer, status, cause)
    assert sentence in answer.content.decode()
    assert "<script>alert" not in answer.content.decode()


@pytest.mark.parametrize(
    "query", [{}, {"state": ""}, {"state": "x"}, {"code": "x"}, {"state": ["a", "b"], "code": "x"}]
)
def test_an_answer_nobody_asked_for_is_a_page(query: dict[str, Any], provider: LyingProvider, client: Client) -> None:
    refused(client.get(CALLBACK, query), 400, "state of no sign-in of this browser")


def test_the_provider_may_name_itself_in_its_answer_but_not_another(
    provider: LyingProvider, client: Client, sign_in: Callable[..., HttpResponse]
) -> None:
    refused(sign_in(iss=EVIL), 403, "answer of another issuer")
    assert "/token" not in provider.calls

    assert sign_in(iss=ISSUER).status_code == 302


def test_the_same_refusal_again_and_again_is_one_row(client: Client, provider: LyingProvider) -> None:
    for _ in range(5):
        assert client.get(CALLBACK, {"state": "x"}).status_code == 400

    assert AuditEvent.objects.count() == 1


def test_the_way_in_takes_a_button_and_the_way_back_does_not(provider: LyingProvider, client: Client) -> None:
    assert client.get("/account/sso/").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/account/sso/").status_code == 403
    assert client.post(CALLBACK, {"code": "x", "state": "x"}).status_code == 405
    assert client.head(CALLBACK).status_code == 405


def test_without_a_provider_there_is_nothing(client: Client, db: None, settings: Any) -> None:
    settings.SINGLE_SIGN_ON = None

    assert client.post("/account/sso/").status_code == 404
    assert client.get(CALLBACK).status_code == 404


def test_the_public_key_of_the_trick_is_the_published_one() -> None:
    """Else the test of it would show nothing."""
    assert OUR_KEY.public_key().public_numbers() == PUBLIC
