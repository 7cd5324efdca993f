"""Two people in two browsers: one asks to purge, the other sees exactly what and approves, and the receipt appears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Page, expect

from dashboard.simulator.mail.company import MAIN
from tests.browser.conftest import Desk, start_desk
from tests.browser.looks import check

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
MOVABLE = f"/investigate/?disposition=SPAM&status=delivered&last=30d&recipient={MAIN}"


@pytest.fixture(scope="module")
def cautious_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk where three things take two, as it is out of the box."""
    with ExitStack() as resources:
        env = {"MAILWARDEN_SECOND_PERSON": "purge,release_malicious,large", "MAILWARDEN_UNDO_SECONDS": "5"}
        folder = tmp_path_factory.mktemp("cautious")
        yield start_desk(folder, simulator=["--messages", "400", "--seed", "5"], env=env, resources=resources)


def purges(desk: Desk) -> list[str]:
    entries = desk.simulator("ledger")
    return [entry["investigate_id"] for entry in entries if "Purges" in str(entry["detail"].get("destination"))]


def test_an_analyst_asks_to_purge_and_a_responder_approves(cautious_desk: Desk, open_page: OpenPage) -> None:
    ana = open_page(cautious_desk, member="ana")
    ben = open_page(cautious_desk, member="ben")

    ana.goto(MOVABLE)
    ana.locator("#results a[href*='/investigate/']").first.click()
    expect(ana.locator("#actions")).to_be_visible()
    ana.keyboard.press("v")
    ana.get_by_role("button", name="Purge v 5").click()
    panel = ana.locator("#action-panel")
    expect(panel).to_contain_text("A second person decides it.")
    panel.get_by_label("Reason").fill("ticket 4711")
    panel.get_by_role("button", name="Ask for approval: Purge").click()
    state = ana.locator("[id^=head-us-] .state")
    expect(state).to_have_text("awaiting approval")
    assert purges(cautious_desk) == []

    ben.goto("/investigate/approvals/")
    expect(ben.locator("nav.wide [data-badge=approvals]")).to_contain_text("1")
    check(ben, "list of requests")
    ben.get_by_role("link", name="Purge 1 message").click()
    expect(ben.get_by_role("heading", level=1)).to_contain_text("asks: purge 1 message (ticket 4711)")
    check(ben, "request")
    ben.set_viewport_size({"width": 390, "height": 844})
    check(ben, "request, small")
    ben.get_by_label("Comment").fill("seen it too")
    ben.get_by_role("button", name="Approve: purge 1 message").click()
    expect(ben.locator("#request-state")).to_contain_text("approved the purge.")
    expect(ben.get_by_role("button", name="Undo")).to_be_visible()
    check(ben, "approved request, small")
    assert purges(cautious_desk) == []

    expect(ben.locator("#request-state")).to_contain_text("Purged", timeout=30_000)
    ben.get_by_role("link", name="Receipt").click()
    expect(ben.locator("#receipt")).to_contain_text("Purged")
    expect(ben.locator("#receipt")).to_contain_text("by Ben")
    assert len(set(purges(cautious_desk))) == 1

    ana.goto("/investigate/actions/")
    notice = ana.get_by_role("group", name="A request of yours has ended")
    expect(notice).to_contain_text("approved the purge.", timeout=30_000)
    notice.get_by_role("link", name="Show").click()
    expect(ana.locator("#request-state")).to_contain_text("approved the purge.")
    ana.goto("/investigate/approvals/?show=mine")
    check(ana, "my requests")
