"""Passkeys open the desk alone, but not for whoever has to come through the provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.http import HttpResponse
from django.test import Client
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from dashboard.access.models import Member
from dashboard.access.roles import Role
from tests.dashboard.access.oidc.providers import LyingProvider

Go = Callable[..., HttpResponse]
ORIGIN, HOST = "http://localhost", "localhost"
FLAG = AuthenticatorData.FLAG


class Passkey:
    """A device with one key, as far as signing in needs one."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = ES256.from_cryptography_key(self.key.public_key())
        held = AttestedCredentialData.create(bytes(16), b"the-credential", public)
        made = AttestationObject.create("none", self._data(FLAG.UP | FLAG.UV | FLAG.AT, held), {})
        client = CollectedClientData.create("webauthn.create", b"x" * 32, ORIGIN)
        registered = self._answer(clientDataJSON=client, attestationObject=made)
        data = {"name": "Laptop", "credential": {**registered, "clientExtensionResults": {"credProps": {"rk": True}}}}
        Authenticator.objects.create(user=member, type=Authenticator.Type.WEBAUTHN, data=data)

    def sign_in(self, browser: Client) -> HttpResponse:
        asked = browser.get("/account/login/passkey/", headers={"host": HOST}).json()
        challenge = asked["publicKey"]["challenge"]
        client = CollectedClientData.create("webauthn.get", challenge, ORIGIN)
        data = self._data(FLAG.UP | FLAG.UV)
        answer = self._answer(
            clientDataJSON=client,
            authenticatorData=data,
            signature=self.key.sign(data + client.hash, ec.ECDSA(SHA256())),
            userHandle=user_pk_to_url_str(self.member).encode(),
        )
        return browser.post("/account/login/passkey/", {"credential": json.dumps(answer)}, headers={"host": HOST})

    def _data(self, flags: Any, held: bytes = b"") -> AuthenticatorData:
        return AuthenticatorData.create(hashlib.sha256(HOST.encode()).digest(), flags, 0, held)

    def _answer(self, **parts: bytes) -> dict[str, Any]:
        return {
            "id": websafe_encode(b"the-credential"), "rawId": websafe_encode(b"the-credential"), "type": "public-key",
            "response": {name: websafe_encode(part) for name, part in parts.items()}, "clientExtensionResults": {},
        }  # fmt: skip


def is_in(browser: Client) -> bool:
    return browser.get("/account/preferences/", headers={"host": HOST}).status_code == 200


@pytest.mark.parametrize(("is_break_glass", "sso_only"), [(False, False), (False, True), (True, True)])
def test_a_passkey_opens_where_a_password_would(
    is_break_glass: bool, sso_only: bool, ana: Member, client: Client, sso: Any, settings: Any
) -> None:
    ana.role, ana.is_break_glass = Role.ADMIN, is_break_glass
    ana.save(update_fields=["role", "is_break_glass"])
    settings.SSO_ONLY = sso_only

    answer = Passkey(ana).sign_in(client)

    assert is_in(client) == (is_break_glass or not sso_only)
    assert answer.status_code == (302 if is_in(client) else 422)


def test_a_passkey_is_no_way_around_the_provider(provider: LyingProvider, sign_in: Go) -> None:
    sign_in()
    browser = Client()

    assert Passkey(Member.objects.get()).sign_in(browser).status_code == 422
    assert not is_in(browser)


def test_who_comes_through_the_provider_is_not_offered_a_passkey_alone(
    provider: LyingProvider, sign_in: Go, client: Client
) -> None:
    provider.claim = lambda honest: {**honest, "auth_time": honest["iat"]}
    sign_in()

    assert "Sign in with it alone" not in client.get("/account/factors/passkeys/add/").content.decode()
