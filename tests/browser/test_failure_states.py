"""Three failures of the API on screen, and how the page recovers by itself: 429, an endless 202, silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models import F
from playwright.sync_api import Page, expect

from dashboard.simulator import Simulator
from dashboard.upstream.models import CallBudget
from investigate.models import SearchRun, SearchState
from investigate.search import runs
from tests.browser import live
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=120, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


@pytest.fixture
def page(simulator: Simulator, live_server: Any, open_page: OpenPage) -> Page:
    live.analyst()
    return open_page(live.desk(live_server))


def work() -> None:
    """What a worker does when its bell rings: go on with every search that is open."""
    slow = SearchRun.objects.filter(state=SearchState.SLOW)
    slow.update(due_at=F("started_at"), claimed_at=None)
    for run in slow.defer("body"):
        runs.continue_run(run.pk)


def test_a_429_counts_down_and_then_the_next_try_works(simulator: Simulator, page: Page) -> None:
    simulator.faults.next("search", status=429, retry_after=90)
    page.goto("/investigate/?last=7d&fresh=1")

    failed = page.locator("#results .failed")
    expect(failed).to_contain_text("The account's call budget is used up. Nothing was sent.")
    left = failed.locator("time[data-until]")
    expect(left).to_have_text("1:28", timeout=8000)  # it counts
    expect(page.locator("#footer")).to_contain_text("all calls paused")
    asked = len(simulator.calls)
    failed.get_by_role("link", name="Retry").click(force=True)
    expect(failed).to_be_visible()
    assert len(simulator.calls) == asked, "a call left during the Retry-After"

    CallBudget.objects.update(frozen_until=None)
    SearchRun.objects.update(retry_after=None)
    page.goto("/investigate/?last=7d&fresh=1")
    expect(page.locator("#results tr[data-id]").first).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_an_endless_202_keeps_looking_and_fills_itself_in_once_it_ends(simulator: Simulator, page: Page) -> None:
    simulator.faults.endless_search = True
    page.goto("/investigate/?last=7d&fresh=1")
    expect(page.locator("#slow")).to_contain_text("Still searching")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    work()
    expect(page.locator("#slow")).to_contain_text("Still searching")

    simulator.faults.endless_search = False
    simulator.advance()
    page.wait_for_timeout(4200)  # the simulated search takes four seconds
    work()

    expect(page.locator("#results tr[data-id]").first).to_be_visible()
    expect(page.locator("#slow")).to_have_count(0)
    page.wait_for_load_state("networkidle")


def test_silence_becomes_a_slow_search_and_an_open_message_says_so_in_its_place(
    simulator: Simulator, page: Page
) -> None:
    page.watched.allowed_statuses.add(503)
    simulator.faults.next("search", times=None, hang=30.0)
    page.goto("/investigate/?last=7d&fresh=1")
    expect(page.locator("#slow")).to_contain_text("Still searching")
    simulator.faults.clear()
    work()
    expect(page.locator("#results tr[data-id]").first).to_be_visible()

    rows = page.locator("#results tr[data-id]").count()
    simulator.faults.next("message", times=None, hang=30.0)
    page.locator("#results tr[data-id] .open").nth(3).click()
    failed = page.locator("#detail .failed")
    expect(failed).to_contain_text("Cloudflare does not answer. Nothing was changed.")
    assert page.locator("#results tr[data-id]").count() == rows > 3, "the list stays"
    simulator.faults.clear()
    failed.get_by_role("link", name="Retry").click()
    expect(page.locator("#detail .message")).to_be_visible()
    page.watched.faults[:] = [fault for fault in page.watched.faults if "Response Status Error Code 503" not in fault]
