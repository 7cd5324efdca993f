"""Two providers to sign in with: a real one in a process of its own, and one without a socket that lies on request."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.http import HttpResponse
from django.test import Client

from tests import servers

ISSUER = "https://login.corp.example"
CLIENT_ID, CLIENT_SECRET = "mailwarden", "secret of the client"
CALLBACK = "/account/sso/callback/"


def leave(client: Client, **form: str) -> str:
    """Press the button; gives the address at the provider that the browser goes to."""
    answer = client.post("/account/sso/", form)
    assert answer.status_code == 200, answer.content.decode()
    delay, _, address = answer["Refresh"].partition(";url=")
    assert delay == "0"
    return address


def come_back(client: Client, address: str) -> HttpResponse:
    parts = urlsplit(address)
    assert parts.path == CALLBACK
    return client.get(f"{parts.path}?{parts.query}")


# --- the one that lies --------------------------------------------------------------------------------------------


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


OUR_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FOREIGN_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = OUR_KEY.public_key().public_numbers()
JWK = {"kty": "RSA", "kid": "one", "use": "sig", "n": _number(PUBLIC.n), "e": _number(PUBLIC.e)}


@dataclass
class LyingProvider:
    """A provider as WSGI application. It is honest until a test replaces one of its answers."""

    groups: object = field(default_factory=lambda: ["soc-analysts"])
    sub: str = "248289761001"
    person: dict[str, Any] = field(
        default_factory=lambda: {
            "preferred_username": "nora", "name": "Nora Lund", "email": "nora@corp.example", "email_verified": True,
        }
    )  # fmt: skip
    describe: Callable[[dict[str, Any]], object] = lambda description: description
    claim: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(claims, OUR_KEY, "RS256", {"kid": "one"})
    token: Callable[[dict[str, Any]], object] = lambda answer: answer
    tell: Callable[[dict[str, Any]], object] = lambda told: told
    keys: object = field(default_factory=lambda: {"keys": [JWK]})
    statuses: dict[str, int] = field(default_factory=dict)  # of a path, where it is not 200
    redirects: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    given: int = 0
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, address: str, **changed: str) -> str:
        """What a browser that goes there is sent back with, after its owner has signed in."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{ISSUER}/authorize"
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        self.given += 1
        code = f"code-{self.given}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], **changed})}"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.calls.append(path)
        if path in self.redirects:
            start_response("302 Found", [("Location", self.redirects[path])])
            return [b""]
        answers = {
            "/.well-known/openid-configuration": self._description,
            "/token": self._token,
            "/keys": lambda _: self.keys,
            "/userinfo": self._person,
        }
        answer = answers[path](environ)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        failed = isinstance(answer, dict) and "error" in answer
        start_response(f"{self.statuses.get(path, 400 if failed else 200)} -", [("Content-Type", "application/json")])
        return [body]

    def _description(self, _: dict[str, Any]) -> object:
        return self.describe(
            {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
                "userinfo_endpoint": f"{ISSUER}/userinfo",
            }
        )

    def _token(self, environ: dict[str, Any]) -> object:
        form = dict(parse_qsl(environ["wsgi.input"].read().decode()))
        self.forms.append(form)
        scheme, _, pair = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme:
            client = tuple(map(unquote_plus, base64.b64decode(pair).decode().split(":")))
        else:
            client = (form["client_id"], form["client_secret"])
        asked = self.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if (
            client != (CLIENT_ID, CLIENT_SECRET)
            or asked is None
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != challenge.decode()
        ):
            return {"error": "invalid_grant"}
        now = int(time.time())
        claims = self.claim(
            {
                "iss": ISSUER, "aud": CLIENT_ID, "sub": self.sub, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            }
        )  # fmt: skip
        return self.token({"access_token": "of-the-provider", "token_type": "Bearer", "id_token": self.sign(claims)})

    def _person(self, environ: dict[str, Any]) -> object:
        assert environ["HTTP_AUTHORIZATION"] == "Bearer of-the-provider"
        told = {"sub": self.sub, **self.person}
        if self.groups is not None:
            told["groups"] = self.groups
        return self.tell(told)


# --- the real one -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RealProvider:
    """`oidc-provider-mock` in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]

    def knows(self, sub: str, **claims: object) -> None:
        """What the provider says about a person from now on."""
        request = urllib.request.Request(
            f"{self.url}/users/{sub}", json.dumps(claims).encode(), {"Content-Type": "application/json"}, method="PUT"
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def authorize(self, address: str, sub: str) -> str:
        """What a browser that goes there is sent back to, when this person signs in; "" as name denies."""
        form = {"sub": sub} if sub else {"action": "deny"}
        opener = urllib.request.build_opener(_NoRedirects)
        with opener.open(address, urlencode(form).encode(), timeout=10) as answer:
            assert answer.status == 302
            return str(answer.headers["Location"])


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, _request: Any, answer: Any, *_: Any) -> Any:
        return answer


@contextmanager
def real_provider(folder: Path) -> Iterator[RealProvider]:
    port, log = servers.free_port(), folder / "provider.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"],
            env={**os.environ, "PYTHONWARNINGS": "ignore"}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.fail(f"the provider did not start: {log.read_text()[-500:]}")
        yield RealProvider(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(10)
