"""Two people at one desk: each sees what the other does, and what both do at once happens once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
WITHIN = 5_000 + 1_500  # milliseconds: the promise of five seconds, and the browser's own time to paint
SETTLED = 40_000
HELD = "/investigate/?last=30d&disposition=SUSPICIOUS&status=quarantined"


def message_number(page: Page, number: int) -> str:
    """The id of one message in quarantine that one click releases; each test takes another."""
    page.goto(HELD)
    return page.locator("#rows tr[data-id]").nth(number).get_attribute("data-id") or ""


def open_beside_list(page: Page, message: str) -> Any:
    """The row of the message, whose pane is open and whose list has the cursor on it."""
    page.goto(f"{HELD}&open={message}")
    expect(page.locator(f"#detail .message[data-id='{message}']")).to_be_visible()
    row = page.locator(f"#rows tr[data-id='{message}']")
    row.locator(".open").focus()
    return row


def test_a_colleagues_claim_appears_within_five_seconds_and_goes_again(desk: Desk, open_page: OpenPage) -> None:
    ana, ben = open_page(desk, member="ana"), open_page(desk, member="ben")
    message = message_number(ana, 0)
    row_of_ana, row_of_ben = open_beside_list(ana, message), open_beside_list(ben, message)

    expect(ana.locator("#detail [id^=here-]")).to_have_text("Ben Okafor is looking, too.", timeout=WITHIN)
    row_of_ben.press("a")
    expect(row_of_ana.locator(".holder")).to_contain_text("BO", timeout=WITHIN)
    expect(row_of_ana.locator(".holder")).to_contain_text("Ben Okafor has this.")

    ben.get_by_role("button", name="Let go").click()
    expect(row_of_ana.locator(".holder")).to_have_count(0, timeout=WITHIN)


@pytest.mark.matrix(59)
def test_what_both_release_in_the_same_moment_is_released_once(desk: Desk, open_page: OpenPage) -> None:
    ana, ben = open_page(desk, member="ana"), open_page(desk, member="ben")
    ana.watched.allowed_statuses.add(409)
    ben.watched.allowed_statuses.add(409)
    message = message_number(ana, 1)
    rows = [open_beside_list(page, message) for page in (ana, ben)]

    for row in rows:
        row.press("Shift+R")

    for row in rows:
        expect(row.locator(".state")).to_contain_text("released", timeout=SETTLED)
    copies = [
        entry["recipient"]
        for entry in desk.simulator("ledger")
        if entry["kind"] == "release" and entry["investigate_id"] == message
    ]
    assert copies
    assert len(copies) == len(set(copies)), "each copy is released once"
    told = [page.locator("#notice").inner_text() for page in (ana, ben)]
    is_told = ["Ben Okafor" in told[0], "Ana" in told[1]]  # of a colleague; of one's own there may be news as well
    assert sum(is_told) == 1, f"the second person is told who was first: {told}"


def test_an_open_list_shows_what_became_of_a_colleagues_action(desk: Desk, open_page: OpenPage) -> None:
    ana, ben = open_page(desk, member="ana"), open_page(desk, member="ben")
    message = message_number(ana, 2)
    row_of_ben = open_beside_list(ben, message)
    ana.goto(HELD)
    row_of_ana = ana.locator(f"#rows tr[data-id='{message}']")

    row_of_ben.press("Shift+R")

    expect(row_of_ana.locator(".state")).to_contain_text("released", timeout=SETTLED)
