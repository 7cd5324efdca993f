"""The own memory and the evidence by hand: found, opened, kept, handed out, ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from investigate.desk import collecting
from investigate.models import CaseSource, Evidence
from tests.browser import live
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def emailsec(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=200, seed=11) as simulator:
        yield simulator


def no_sideways_scroll(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_mail_is_found_in_the_memory_and_its_file_kept_as_evidence(
    live_server: Any, emailsec: Simulator, ana: Member, open_page: OpenPage
) -> None:
    collecting.collect(CaseSource.DETECTION)
    record = next(one for one in emailsec.store.records[::-1] if one.final_disposition == "MALICIOUS")
    page = open_page(live.desk(live_server))
    page.goto("/investigate/memory/")
    expect(page.locator(".seen tbody tr").first).to_be_visible()
    no_sideways_scroll(page)

    page.get_by_label("Sender", exact=True).fill(record.from_)
    page.get_by_role("button", name="Search").click()
    row = page.locator(".seen tbody tr").filter(has_text=record.subject).first
    expect(row).to_be_visible()
    row.get_by_role("link").click()
    page.get_by_role("tab", name="Raw").click()
    page.get_by_role("link", name="Keep as evidence").click()
    page.get_by_label("Why?").fill("ticket 4711")
    page.get_by_role("button", name="Keep it").click()

    expect(page.get_by_role("link", name="Download as .zip")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download as .zip").click()
    kept = Evidence.objects.get()
    assert saved.value.suggested_filename == f"evidence-{kept.sha256[:16]}.zip"
    expect(page.get_by_role("button", name="Delete the file")).to_have_count(0)

    page.set_viewport_size({"width": 390, "height": 800})
    for address in (f"/investigate/evidence/{kept.pk}/", "/investigate/evidence/", "/investigate/memory/"):
        page.goto(address)
        no_sideways_scroll(page)
