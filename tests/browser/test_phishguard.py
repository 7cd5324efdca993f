"""PhishGuard's reports in a real browser: by keyboard into the queue, small screens, and what axe says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.installation import running
from dashboard.installation.models import SelfCheck
from dashboard.simulator import Simulator
from investigate.models import Case
from tests.browser import live
from tests.browser.conftest import PASSWORD
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
URL = "/investigate/phishguard/?last=30d"
SHOTS = os.environ.get("SHOTS", "")  # a folder for pictures to look at


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=400, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def test_a_report_is_read_and_taken_by_keyboard(
    ana: Member, simulator: Simulator, live_server: Any, open_page: OpenPage
) -> None:
    page = open_page(live.desk(live_server))
    page.goto(URL)
    page.keyboard.press("j")
    page.keyboard.press("j")
    title = page.locator("#results tr[data-current] .open bdi")

    expect(page.locator("#detail h2.subject")).to_have_text(title.inner_text())
    expect(page.frame_locator("#detail iframe").locator("body")).to_contain_text("Messages of the kind")

    page.keyboard.press("a")
    expect(page.locator("#detail .facts")).to_contain_text("In the queue: new")
    assert Case.objects.count() == 1
    found = Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    shoot(page, "phishguard-1440-light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_small_screen(
    scheme: str, ana: Member, simulator: Simulator, live_server: Any, open_page: OpenPage
) -> None:
    page = open_page(live.desk(live_server), width=390, height=844, color_scheme=scheme)
    page.goto(URL)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, f"phishguard-390-{scheme}")

    page.locator("#results .open").first.click()
    page.wait_for_url("**/phishguard/*/**")
    expect(page.locator("h1.subject")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, f"phishguard-report-390-{scheme}")


def test_the_installation_is_checked_and_fills_itself_in(
    simulator: Simulator, transactional_db: None, live_server: Any, open_page: OpenPage
) -> None:
    Member.objects.create_user("ada", "ada@corp.example", PASSWORD, role=Role.ADMIN, first_name="Ada")
    page = open_page(live.desk(live_server), member="ada")
    page.goto("/team/installation/")
    page.get_by_role("button", name="Check now").click()
    expect(page.locator("#check")).to_contain_text("A worker is looking")

    running.run(SelfCheck.objects.get().pk)  # what a worker would do

    expect(page.locator("#check")).to_contain_text("may read messages")
    expect(page.get_by_role("button", name="Check again")).to_be_visible()
    found = Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    shoot(page, "installation-1440-light")
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "installation-1440-whole.png"), full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(color_scheme="dark")
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "installation-390-dark.png"), full_page=True)
    page.goto("/team/installation/values/SECOND_PERSON/")
    page.set_viewport_size({"width": 1440, "height": 900})
    shoot(page, "value-1440-dark")
