"""Single sign-on set up with one provider or the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.http import HttpResponse
from django.test import Client

from dashboard.access import oidc_calls
from dashboard.access.oidc_settings import SingleSignOn
from tests.dashboard.access.oidc.providers import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    LyingProvider,
    RealProvider,
    come_back,
    leave,
    real_provider,
)

SSO = SingleSignOn(
    ISSUER, CLIENT_ID, CLIENT_SECRET, name="Corp Login", roles=(("soc-leads", "responder"), ("soc-analysts", "analyst"))
)


@pytest.fixture
def sso(settings: Any) -> Callable[..., None]:
    """`sso(default_role="viewer")` changes how single sign-on is set up."""

    def set_up(**changed: Any) -> None:
        settings.SINGLE_SIGN_ON = replace(SSO, **changed)

    set_up()
    return set_up


@pytest.fixture
def provider(db: None, sso: Callable[..., None]) -> Iterator[LyingProvider]:
    """The provider without a socket, which lies where a test tells it to."""
    lying = LyingProvider()
    with oidc_calls.use_transport(httpx.WSGITransport(lying)):
        yield lying


@pytest.fixture
def sign_in(provider: LyingProvider, client: Client) -> Callable[..., HttpResponse]:
    """All of a sign-in in one go; further arguments change what the browser is sent back with."""

    def go(browser: Client = client, *, next: str = "", **changed: str) -> HttpResponse:  # noqa: A002
        return come_back(browser, provider.authorize(leave(browser, next=next), **changed))

    return go


@pytest.fixture(scope="package")
def provider_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProvider]:
    with real_provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture
def real(db: None, sso: Callable[..., None], provider_process: RealProvider) -> RealProvider:
    sso(issuer=provider_process.url)
    return provider_process
