"""Covered bodies and the trail in a real browser: one reason uncovers every part, and rows open and close."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from tests.browser import live
from tests.browser.conftest import PASSWORD
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Simulator]:
    settings.PRIVACY = True
    with live.simulated(monkeypatch, messages=120, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


@pytest.fixture
def threat(simulator: Simulator) -> Any:
    return next(record for record in simulator.store.records if record.is_detection and record.links())


def uncover(page: Page, tab: str) -> None:
    panel = page.locator(f"#panel-{tab}")
    panel.get_by_label("Incident with ticket").check()
    panel.get_by_label("Ticket, or the reason in words").fill("4711")
    panel.get_by_role("button", name="Uncover").click()


def test_one_reason_uncovers_every_part_of_the_page(
    simulator: Simulator, threat: Any, live_server: Any, open_page: OpenPage
) -> None:
    live.analyst()
    page = open_page(live.desk(live_server))
    page.goto(f"/investigate/{threat.id}/?tab=headers")
    expect(page.locator("#panel-headers form")).to_be_visible()
    page.locator("#tab-links").click()
    expect(page.locator("#panel-links form")).to_be_visible()

    uncover(page, "links")

    expect(page.locator("#panel-links #link-1")).to_be_visible()
    page.locator("#tab-headers").click()
    expect(page.locator("#panel-headers .pairs")).to_be_visible()  # it asked for itself
    page.locator("#tab-why").click()
    expect(page.locator("#panel-why")).not_to_contain_text("covered")
    actions = list(AuditEvent.objects.filter(action__startswith="message:").values_list("action", flat=True))
    assert actions[0] == "message:uncover"
    assert set(actions[1:]) == {"message:links", "message:headers", "message:findings"}


def test_without_scripts_a_reason_leads_back_to_the_part(
    simulator: Simulator, threat: Any, live_server: Any, open_page: OpenPage
) -> None:
    live.analyst()
    page = open_page(live.desk(live_server), java_script_enabled=False)
    page.goto(f"/investigate/{threat.id}/?tab=links")

    uncover(page, "links")

    expect(page.locator("#link-1")).to_be_visible()
    assert page.url.endswith("?tab=links")


def test_a_row_of_the_trail_opens_and_closes_by_keyboard_and_leads_to_its_neighbours(
    simulator: Simulator, threat: Any, live_server: Any, open_page: OpenPage
) -> None:
    Member.objects.create_user("otto", "otto@corp.example", PASSWORD, role=Role.AUDITOR, first_name="Otto")
    page = open_page(live.desk(live_server), member="otto")
    page.goto("/investigate/")
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/audit/")
    row = page.locator("tbody[id^=row]").first
    link = row.locator(".c-at a")

    link.press("Enter")
    expect(row.locator(".opened")).to_contain_text("Hash")
    expect(link).to_be_focused()
    link.press("Enter")
    expect(row.locator(".opened")).to_have_count(0)

    page.get_by_label("Result").select_option("refused")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".empty")).to_have_text("No row fits this filter.")
    assert "phase=refused" in page.url
