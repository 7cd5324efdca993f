"""Single sign-on in a real browser with a provider in a process of its own; passwords are for emergencies alone."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk, start_desk
from tests.dashboard.access.oidc.providers import RealProvider, real_provider

pytestmark = pytest.mark.browser

PASSWORD = "a long one for emergencies"
STYLES = "https://cdn.jsdelivr.net/"  # the provider's own page asks for some there; tests do not


@dataclass(frozen=True)
class Place:
    desk: Desk
    provider: RealProvider


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("sso")
    with ExitStack() as resources:
        provider = resources.enter_context(real_provider(folder))
        env = {
            "MAILWARDEN_OIDC_ISSUER": provider.url,
            "MAILWARDEN_OIDC_CLIENT_ID": "mailwarden",
            "MAILWARDEN_OIDC_CLIENT_SECRET": "secret of the client",
            "MAILWARDEN_OIDC_NAME": "Corp Login",
            "MAILWARDEN_OIDC_ROLES": "soc-leads=responder,soc-auditors=auditor,soc-analysts=analyst",
            "MAILWARDEN_SSO_ONLY": "true",
        }
        desk = start_desk(folder / "data", simulator=["--messages", "60", "--seed", "5"], env=env, resources=resources)
        yield Place(desk, provider)


@pytest.fixture
def page(place: Place, open_page: Any) -> Iterator[Page]:
    """A page that may go to the provider, and there alone."""
    opened = open_page(place.desk, member=None)
    opened.context.route(f"{STYLES}**", lambda route: route.fulfill(body="", content_type="text/css"))
    yield opened
    theirs = (f"request to {place.provider.url}", f"request to {STYLES}")
    opened.watched.faults = [fault for fault in opened.watched.faults if not fault.startswith(theirs)]


def press(page: Page, place: Place) -> None:
    page.get_by_role("button", name="Sign in with Corp Login").click()
    page.wait_for_url(f"{place.provider.url}/**")


def authorize(page: Page, sub: str) -> None:
    page.get_by_placeholder("sub").fill(sub)
    page.get_by_role("button", name="Authorize", exact=True).click()


def test_people_sign_in_through_the_provider_and_get_the_role_of_their_group(place: Place, page: Page) -> None:
    place.provider.knows("nora-1", preferred_username="nora", name="Nora Lund", groups=["soc-auditors"])

    page.goto("/investigate/?range=7d")
    page.wait_for_url("**/account/login/**")
    press(page, place)
    authorize(page, "nora-1")

    page.wait_for_url("**/investigate/?range=7d")
    expect(page.get_by_role("banner")).to_contain_text("Nora Lund")
    assert page.request.get("/audit/").status == 200

    place.provider.knows("nora-1", preferred_username="nora", name="Nora Lund", groups=["soc-analysts"])
    page.goto("/account/login/")
    page.context.clear_cookies()
    page.goto("/account/login/")
    press(page, place)
    authorize(page, "nora-1")
    page.wait_for_url("**/investigate/**")
    assert page.request.get("/audit/").status == 403


def test_who_is_in_no_group_and_who_says_no_read_what_to_do(place: Place, page: Page) -> None:
    page.watched.allowed_statuses = {403}
    place.provider.knows("eve-1", preferred_username="eve", groups=["everybody"])

    page.goto("/account/login/")
    press(page, place)
    authorize(page, "eve-1")

    expect(page.get_by_role("heading", level=1)).to_have_text("You have no access to this desk.")
    page.get_by_role("link", name="To the sign-in").click()
    expect(page.get_by_role("button", name="Sign in with Corp Login")).to_be_visible()


def test_only_the_button_is_there(page: Page) -> None:
    page.goto("/account/login/")

    expect(page.get_by_role("button", name="Sign in with Corp Login")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_count(0)
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)


def test_a_colleague_with_a_password_does_not_get_in(page: Page) -> None:
    page.watched.allowed_statuses = {422}
    page.goto("/account/login/?local")
    page.get_by_label("User name").fill("ana")
    page.get_by_label("Password", exact=True).fill("mailwarden-demo")
    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page.get_by_text("User name or password is not right.")).to_be_visible()


@pytest.mark.matrix(68)
def test_with_the_provider_down_an_admin_for_emergencies_gets_in(place: Place, page: Page) -> None:
    page.watched.allowed_statuses = {503}
    told = place.desk.stack.manage("break_glass", "--address", place.desk.url)
    page.goto(re.search(r"http://\S+", told)[0])
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.get_by_role("button", name="Set password and sign in").click()
    page.wait_for_url("**/investigate/**")
    page.context.clear_cookies()

    place.provider.process.send_signal(signal.SIGSTOP)  # it takes connections and never answers
    try:
        page.goto("/account/login/")
        page.get_by_role("button", name="Sign in with Corp Login").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Corp Login does not answer.")
        page.get_by_role("link", name="sign in with a password").click()
        page.get_by_label("User name").fill("break-glass")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/investigate/**")
    finally:
        place.provider.process.send_signal(signal.SIGCONT)

    page.goto("/account/preferences/")
    expect(page.get_by_role("banner")).to_contain_text("break-glass")
    log = (place.desk.stack.logs / "web.log").read_text()
    assert log.count("break_glass_sign_in") == 2
    assert "secret of the client" not in log
