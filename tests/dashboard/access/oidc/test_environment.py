"""Single sign-on from the environment: what is malformed or incomplete stops the start with one sentence."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from dashboard.access.oidc_settings import SingleSignOn, read_single_sign_on, read_sso_only

GOOD = {
    "MAILWARDEN_OIDC_ISSUER": "https://login.corp.example/realms/soc",
    "MAILWARDEN_OIDC_CLIENT_ID": "mailwarden",
    "MAILWARDEN_OIDC_CLIENT_SECRET": "hunter2hunter2",
    "MAILWARDEN_OIDC_ROLES": "soc-analysts=analyst,soc-leads=responder",
}


@pytest.fixture
def read(monkeypatch: Any) -> Any:
    for name in list(os.environ):
        if name.startswith(("MAILWARDEN_OIDC", "MAILWARDEN_SSO")):
            monkeypatch.delenv(name)

    def read_with(**values: str) -> tuple[SingleSignOn | None, bool]:
        for name, value in values.items():
            monkeypatch.setenv(f"MAILWARDEN_{name}", value)
        found = read_single_sign_on()
        return found, read_sso_only(found)

    return read_with


def good(**changed: str) -> dict[str, str]:
    return {**{name.removeprefix("MAILWARDEN_"): value for name, value in GOOD.items()}, **changed}


MALFORMED = [
    ({"OIDC_ISSUER": "https://login.corp.example"}, "Single sign-on needs MAILWARDEN_OIDC_CLIENT_ID as well."),
    (good(OIDC_CLIENT_SECRET=""), "Single sign-on needs MAILWARDEN_OIDC_CLIENT_SECRET as well."),
    (good(OIDC_ISSUER=""), "Single sign-on needs MAILWARDEN_OIDC_ISSUER as well."),
    ({"OIDC_ROLES": "a=analyst"}, "MAILWARDEN_OIDC_ROLES means nothing without MAILWARDEN_OIDC_ISSUER."),
    ({"OIDC_DOMAINS": "a=b.example"}, "MAILWARDEN_OIDC_DOMAINS means nothing without MAILWARDEN_OIDC_ISSUER."),
    ({"SSO_ONLY": "true"}, "MAILWARDEN_SSO_ONLY needs single sign-on"),
    (good(SSO_ONLY="ture"), "MAILWARDEN_SSO_ONLY must be true or false"),
    (good(OIDC_ISSUER="http://login.corp.example"), "must be https unless it is on this machine"),
    (good(OIDC_ISSUER="login.corp.example"), "must be a complete https:// address"),
    (good(OIDC_ISSUER="https://login.corp.example:port"), "MAILWARDEN_OIDC_ISSUER cannot be used"),
    (good(OIDC_ISSUER="https://login.corp.example?realm=soc"), "must not hold credentials, a query"),
    (good(OIDC_ISSUER="https://a:hunter2hunter2@login.corp.example"), "must not hold credentials"),
    (good(OIDC_ISSUER=f"https://login.corp.example/{'a' * 200}"), "must not be longer than 200 characters"),
    (good(OIDC_NAME="a" * 61), "MAILWARDEN_OIDC_NAME must be one line of at most 60"),
    (good(OIDC_NAME="Corp\nLogin"), "MAILWARDEN_OIDC_NAME must be one line"),
    (good(OIDC_GROUPS_CLAIM="a\tb"), "MAILWARDEN_OIDC_GROUPS_CLAIM must be one line"),
    (good(OIDC_ROLES=""), "nobody could sign in"),
    (good(OIDC_ROLES="soc-analysts"), "MAILWARDEN_OIDC_ROLES must look like soc-analysts=analyst"),
    (good(OIDC_ROLES="soc-analysts="), "MAILWARDEN_OIDC_ROLES must look like"),
    (good(OIDC_ROLES="=analyst"), "MAILWARDEN_OIDC_ROLES must look like"),
    (good(OIDC_ROLES="soc=analyst,soc=responder"), "names the group 'soc' twice"),
    (good(OIDC_ROLES="soc=Head Analyst"), "must name roles such as analyst"),
    (good(OIDC_DEFAULT_ROLE="Viewer!"), "MAILWARDEN_OIDC_DEFAULT_ROLE must name roles"),
    (good(OIDC_DOMAINS="emea"), "MAILWARDEN_OIDC_DOMAINS must look like"),
    (good(OIDC_DOMAINS="emea=nowhere"), "'nowhere' is neither"),
    (good(OIDC_DOMAINS="emea=*.corp.example"), "is neither"),
    (good(OIDC_DOMAINS="emea=corp.example *"), "'*' is neither"),
    (good(OIDC_DOMAINS="emea=https://corp.example"), "is neither"),
]


@pytest.mark.parametrize(("values", "sentence"), MALFORMED, ids=[sentence for _, sentence in MALFORMED])
def test_a_malformed_value_stops_the_start(read: Any, values: dict[str, str], sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(**values)

    told = str(refusal.value)
    assert sentence in told
    assert "\n" not in told
    assert "hunter2hunter2" not in told


def test_nothing_set_is_no_single_sign_on(read: Any) -> None:
    assert read() == (None, False)


def test_everything_set_is_read(read: Any) -> None:
    found, sso_only = read(
        **good(
            OIDC_NAME="Corp Login", OIDC_GROUPS_CLAIM="roles", SSO_ONLY="yes", OIDC_DEFAULT_ROLE="viewer",
            OIDC_ROLES="/soc/leads=responder, CN=soc=analyst ,",
            OIDC_DOMAINS="emea = Emea.Example bücher.example, leads=*",
        )
    )  # fmt: skip

    assert sso_only
    assert (found.name, found.groups_claim, found.default_role) == ("Corp Login", "roles", "viewer")
    assert found.roles == (("/soc/leads", "responder"), ("CN=soc", "analyst"))
    assert found.domains == {"emea": ("emea.example", "xn--bcher-kva.example"), "leads": ()}
    assert "hunter2" not in repr(found)


def test_a_default_role_is_enough(read: Any) -> None:
    found, _ = read(**good(OIDC_ROLES="", OIDC_DEFAULT_ROLE="viewer"))

    assert found.grant({"anything"}).role == "viewer"


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        ("https://login.corp.example", "https://login.corp.example/.well-known/openid-configuration"),
        ("https://corp.auth.example/", "https://corp.auth.example/.well-known/openid-configuration"),
        ("https://login.corp.example/realms/soc", "https://login.corp.example/realms/soc/.well-known/openid-conf"),
    ],
)
def test_the_issuer_stays_as_it_is_written(read: Any, issuer: str, expected: str) -> None:
    """Some end in a slash, and what they sign must be the same to the last letter."""
    found, _ = read(**good(OIDC_ISSUER=issuer))

    assert found.issuer == issuer
    assert found.discovery_url.startswith(expected)


@pytest.mark.parametrize(
    ("issuer", "is_on_this_machine"),
    [
        ("http://127.0.0.1:9400", True), ("http://localhost:9400", True), ("https://[::1]", True),
        ("https://login.corp.example", False), ("https://10.0.0.7", False), ("https://localhost.corp.example", False),
    ],
)  # fmt: skip
def test_only_a_provider_of_this_machine_may_send_us_to_this_machine(
    read: Any, issuer: str, is_on_this_machine: bool
) -> None:
    found, _ = read(**good(OIDC_ISSUER=issuer))

    assert found.is_on_this_machine == is_on_this_machine
