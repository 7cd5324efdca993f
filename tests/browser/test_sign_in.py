"""Sign-in in a real browser: passwords, apps, recovery codes, passkeys, waits, and sessions that end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, Desk, start_desk

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One of its own: its members get second factors. By the name localhost, where browsers allow passkeys."""
    with ExitStack() as resources:
        started = start_desk(
            tmp_path_factory.mktemp("sign-in"), simulator=["--messages", "20", "--seed", "5"],
            env={"MAILWARDEN_MFA_ROLES": "policy_manager"}, resources=resources,
        )  # fmt: skip
        yield replace(started, url=started.url.replace("127.0.0.1", "localhost"))


def fill_in(page: Page, member: str, password: str = PASSWORD) -> None:
    page.goto("/account/login/")
    page.get_by_label("User name").fill(member)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.goto("/account/sessions/")
    page.get_by_role("button", name="Sign out here").click()
    page.wait_for_url("**/account/login/")


def code_of(secret: str, *, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def has_no_faults(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0


def authenticator(page: Page, *, verifies: bool = True) -> None:
    """A passkey device built into the browser, which says yes at once."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verifies,
                "automaticPresenceSimulation": True,
            }
        },
    )


def test_an_app_is_set_up_and_used_with_a_recovery_code_as_the_way_back(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member="ana", width=390)
    page.watched.allowed_statuses = {422}
    page.goto("/account/factors/")
    has_no_faults(page)
    page.get_by_role("link", name="Set up an app").click()
    secret = page.locator("#app-key").inner_text()
    picture = page.locator("img.square")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("(picture) => picture.naturalWidth") > 0
    has_no_faults(page)
    used = code_of(secret, steps=-1)
    page.get_by_label("Code the app shows").fill(used)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    has_no_faults(page)
    page.get_by_role("link", name="I have them").click()
    expect(page.get_by_text("10 left")).to_be_visible()
    sign_out(page)

    fill_in(page, "ana")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    expect(page.get_by_label("Code from your app")).to_be_focused()
    has_no_faults(page)
    page.get_by_label("Code from your app").fill(used)
    page.keyboard.press("Enter")
    expect(page.locator(".errors")).to_contain_text("This code is not right, or was used already.")
    page.get_by_label("Code from your app").fill(code_of(secret))
    page.keyboard.press("Enter")
    page.wait_for_url("**/investigate/")
    sign_out(page)

    fill_in(page, "ana")
    page.get_by_label("Code from your app").fill(codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url("**/investigate/")
    page.goto("/account/factors/")
    expect(page.get_by_text("9 left")).to_be_visible()


def test_a_passkey_is_the_second_step_and_opens_alone(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member="ben")
    authenticator(page)
    page.goto("/account/factors/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name", exact=True).fill("Laptop")
    page.get_by_label("Sign in with it alone").check()
    has_no_faults(page)
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have them").click()
    expect(page.locator("main")).to_contain_text("Laptop, added")
    sign_out(page)

    fill_in(page, "ben")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    has_no_faults(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/investigate/")
    sign_out(page)

    page.goto("/account/login/?next=/account/preferences/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{desk.url}/account/preferences/")

    page.goto("/account/factors/")
    page.get_by_role("link", name="Remove Laptop").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_a_passkey_without_a_finger_or_a_pin_opens_nothing(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member="otto")
    authenticator(page, verifies=False)
    page.goto("/account/factors/passkeys/add/")
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_text("The browser made no passkey.")).to_be_visible()
    page.goto("/account/factors/")
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_a_role_that_needs_a_factor_sets_one_up_first(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member=None)
    authenticator(page)
    fill_in(page, "pia")
    page.wait_for_url("**/account/factors/")
    expect(page.get_by_role("alert").first).to_contain_text("Your role needs a second factor.")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add the passkey").click()
    page.get_by_role("link", name="I have them").click()
    page.goto("/investigate/")
    expect(page.get_by_role("link", name="Investigate")).to_be_visible()
    page.goto("/account/factors/")
    page.get_by_role("link", name="Remove Passkey 1").click()
    expect(page.get_by_role("alert").first).to_contain_text("Add another one before you remove this.")


def test_whoever_guesses_waits_and_sees_the_time_run(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member=None, width=390)
    page.watched.allowed_statuses = {422, 429}
    page.goto("/account/login/")
    has_no_faults(page)
    for _ in range(5):
        fill_in(page, "vera", "not the password")
        expect(page.locator(".errors")).to_have_text("User name or password is not right.", use_inner_text=True)
    fill_in(page, "vera")
    told = page.locator(".errors")
    expect(told).to_contain_text("Too many attempts. Try again in ")
    has_no_faults(page)
    first = told.inner_text()
    expect(told).not_to_have_text(first)  # it counts down
    expect(page.get_by_label("User name")).to_have_value("vera")


def test_signing_out_everywhere_else(desk: Desk, open_page: OpenPage) -> None:
    here, there = open_page(desk, member="ada"), open_page(desk, member="ada")
    here.goto("/account/sessions/")
    expect(here.locator(".sessions li")).to_have_count(2)
    has_no_faults(here)
    here.get_by_role("button", name="Sign out everywhere else").click()
    expect(here.locator(".sessions li")).to_have_count(1)
    there.goto("/investigate/")
    there.wait_for_url("**/account/login/?next=/investigate/")
