"""Where forms may send people: paths of this site, however an attacker spells another one."""

from __future__ import annotations

import pytest
from django.test import Client

from dashboard.access.destinations import safe_path
from dashboard.access.models import Member

HOSTILE = [
    "//evil.example",
    "///evil.example",
    "////evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "\x00//evil.example",
    "/\x0b/evil.example",
    "http://evil.example",
    "https://evil.example/investigate/",
    "HTTPS://evil.example",
    "http:evil.example",
    "http:/evil.example",
    "https:///evil.example",
    "ftp://evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "blob:https://evil.example/1",
    "mailto:a@evil.example",
    "evil.example",
    "www.evil.example/path",
    "@evil.example",
    "http://testserver@evil.example/",
    "http://testserver.evil.example/",
    "//testserver@evil.example",
    "/investigate/\r\nSet-Cookie: a=b",
    "/investigate/\\..\\..",
    '/"><script>alert(1)</script>',
    "/\uff0fevil.example",
    "\uff0f\uff0fevil.example",
    "/\u2028/evil.example",
    "/\u202eelpmaxe.live//",
    "?next=//evil.example",
    "#//evil.example",
    "../evil",
    "/account/login/?next=/account/login/",
    "/account/logout/",
    "/" + "a" * 3_000,
    "",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_other_places_are_refused(value: str) -> None:
    assert safe_path(value, "/default/") == "/default/"


@pytest.mark.parametrize(
    "value",
    [
        "/",
        "/investigate/",
        "/investigate/?q=a&disposition=MALICIOUS&start=2026-11-20T00:00Z&open=a:b",
        "/investigate/4Njp3P0STMz2c02Q%3A1/",
        "/investigate/?q=%22quoted%22#row-1",
    ],
)
def test_places_here_are_kept(value: str) -> None:
    assert safe_path(value, "/default/") == value


def test_nothing_given_is_the_default() -> None:
    assert safe_path(None, "/default/") == "/default/"


@pytest.mark.parametrize("value", HOSTILE)
def test_sign_in_never_leaves_the_site(client: Client, ana: Member, value: str) -> None:
    response = client.post("/account/login/", {"username": "ana", "password": "correct horse battery", "next": value})
    assert response.status_code == 302
    assert response["Location"] == "/investigate/"
