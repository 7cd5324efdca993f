"""Files and reports in a real browser: a STIX file by keyboard alone, and paper without the chrome around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stix2
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.simulator import Simulator
from tests.browser import live
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=500, seed=4, arrival_interval=0.0) as simulator:
        live.analyst()
        yield simulator


@pytest.fixture
def threat(simulator: Simulator) -> Any:
    return next(
        record
        for record in simulator.store.records
        if record.final_disposition == "MALICIOUS" and record.links() and record.is_quarantined
    )


def press_until_focused(page: Page, selector: str, *, most: int = 120) -> None:
    """Tab on until the element has the focus, as somebody without a pointer does."""
    for _ in range(most):
        if page.locator(f"{selector}:focus").count():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is never reached")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_stix_file_is_taken_by_keyboard(live_server: Any, open_page: OpenPage, threat: Any) -> None:
    page = open_page(live.desk(live_server))
    page.goto(f"/investigate/{threat.id}/")
    press_until_focused(page, ".message-head a[href$='/indicators/']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Indicators")).to_be_visible()
    assert Axe().run(page).response["violations"] == []

    first = page.locator("[name=take]:checked").first
    value = first.evaluate("box => box.value")
    press_until_focused(page, f"[name=take][value='{value}']")
    page.keyboard.press("Space")
    press_until_focused(page, "[name=format]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[name=format]:checked")).to_have_value("stix")
    ticked = page.locator("[name=take]:checked").count()
    press_until_focused(page, "main button[type=submit]")
    with page.expect_download() as download:
        page.keyboard.press("Enter")

    path = download.value.path()
    assert download.value.suggested_filename.endswith(".json")
    bundle = stix2.parse(path.read_text())
    assert sum(one.type == "indicator" for one in bundle.objects) == ticked
    expect(page.get_by_role("heading", name="Indicators")).to_be_visible()


def test_a_report_on_paper_has_no_chrome(live_server: Any, open_page: OpenPage, threat: Any) -> None:
    page = open_page(live.desk(live_server))
    page.goto(f"/investigate/{threat.id}/report/")
    assert Axe().run(page).response["violations"] == []
    page.emulate_media(media="print", color_scheme="dark")

    for chrome in (".topbar", ".statusline", ".skip", ".report .crumbs", "#notice"):
        assert not page.locator(chrome).first.is_visible(), chrome
    expect(page.get_by_role("heading", name="Recipients, and where each copy is")).to_be_visible()
    for address in threat.client_recipients:
        expect(page.locator(".report").get_by_text(address).first).to_be_visible()
    colours = page.locator(".report, .report p, .report td, .report code").evaluate_all(
        "found => [...new Set(found.map(one => getComputedStyle(one).color + getComputedStyle(one).backgroundColor))]"
    )
    assert colours == ["rgb(0, 0, 0)rgba(0, 0, 0, 0)"]
    assert len(page.pdf(format="A4", prefer_css_page_size=True)) > 1000


def test_the_pages_fit_a_phone_and_a_list_leads_to_its_file(
    live_server: Any, open_page: OpenPage, simulator: Simulator, threat: Any
) -> None:
    page = open_page(live.desk(live_server), width=390, height=800)
    for address in (f"/investigate/{threat.id}/indicators/", f"/investigate/{threat.id}/report/"):
        page.goto(address)
        assert fits(page), address
    page.goto("/investigate/?last=30d&disposition=MALICIOUS")
    page.get_by_role("link", name="Export", exact=True).click()
    expect(page.get_by_role("heading", name="Export a result list")).to_be_visible()
    assert fits(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()

    lines = download.value.path().read_text().splitlines()
    assert len(lines) - 1 == sum(record.final_disposition == "MALICIOUS" for record in simulator.store.records)
