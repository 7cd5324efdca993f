"""A job at Cloudflare from the search to its end, as a person does it; each of its screens as axe checks it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk
from tests.browser.looks import check

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
NEW = "/investigate/bulk/cloudflare/new?disposition=BULK&last=30d"


def test_a_job_at_cloudflare_is_counted_started_watched_and_deleted(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member="ben")
    page.goto(NEW)
    expect(page.locator("#sample h2")).to_contain_text("message")
    check(page, "new job")

    page.get_by_label("Move to Junk").check()
    page.get_by_label("Why, or the ticket").fill("ticket 4711")
    page.get_by_role("button", name="Start the job").click()
    state = page.locator("#upstream-job > .job-head .state")
    expect(state).to_have_text("Waiting")
    check(page, "waiting job")
    expect(state).to_have_text("Completed", timeout=60_000)
    page.reload()
    expect(page.locator("#panel-copies tbody tr").first).to_be_visible()
    check(page, "ended job")

    page.goto("/investigate/bulk/cloudflare/")
    expect(page.locator("tbody tr").first).to_contain_text("ticket 4711")
    check(page, "list of jobs")
    page.set_viewport_size({"width": 390, "height": 844})
    check(page, "list of jobs, small")
    page.locator("tbody a").first.click()
    expect(page.locator("#panel-copies tbody tr").first).to_be_visible()
    check(page, "ended job, small")
    page.goto(NEW)
    check(page, "new job, small")

    page.go_back()
    page.get_by_text("Delete the record at Cloudflare").click()
    page.get_by_role("button", name="Delete the record").click()
    expect(page.get_by_role("heading", name="Jobs at Cloudflare")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("ticket 4711")
