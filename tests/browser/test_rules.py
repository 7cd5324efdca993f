"""Rules from a message in a real browser: the key and Enter block a sender, and the official SDK reads it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import serve
from cloudflare import Cloudflare
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
SETTLED = 30_000  # milliseconds for an undo window, a worker and the polls after it


def blocked(desk: Desk, pattern: str) -> list[Any]:
    """The blocked senders of this pattern, as the official SDK reads them from the service."""
    official = Cloudflare(api_token=serve.DEMO_TOKEN, base_url=f"{desk.upstream}/client/v4")
    found = official.email_security.settings.block_senders.list(account_id=serve.DEMO_ACCOUNT, per_page=100)
    return [entry for entry in found if (entry.pattern or "").casefold() == pattern.casefold()]


def search(page: Page, query: str) -> None:
    page.goto(f"/investigate/?last=30d&{query}")
    expect(page.locator("#results tr[data-id]").first).to_be_visible()


def open_panel(page: Page, key: str, heading: str, works: str) -> Locator:
    """Go down the list until the key opens a panel that can be used: which mail there is depends on the hour."""
    panel = page.locator("#action-panel form")
    for row in page.locator("#results tr[data-id]").all()[:30]:
        page.keyboard.press("j")
        expect(page.locator(f'#detail .message[data-id="{row.get_attribute("data-id")}"]')).to_be_visible()
        page.keyboard.press(key)
        expect(panel.get_by_role("heading", name=heading)).to_be_visible()
        if panel.locator(works).is_enabled():
            return panel
        page.keyboard.press("Escape")  # out of a field
        page.keyboard.press("Escape")
        expect(panel).to_have_count(0)
    raise AssertionError("the simulator holds no such message")


def test_one_key_and_enter_block_the_sender(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    search(page, "disposition=MALICIOUS")
    panel = open_panel(page, "b", "Block the sender", "[value=from]")
    expect(panel.locator("[name=candidate]:checked")).to_be_focused()
    pattern = panel.locator(".choice", has=page.locator(":checked")).locator("code").inner_text()
    expect(panel.locator("#rule-tried")).to_contain_text("Would have matched", timeout=SETTLED)
    assert not blocked(desk, pattern), "the panel alone sends nothing"
    page.keyboard.press("Enter")

    expect(page.locator("#rule")).to_contain_text(f"{pattern} is blocked.")
    expect(page.locator("#rule .state")).to_have_attribute("data-state", "done")
    (entry,) = blocked(desk, pattern)
    assert (entry.pattern_type, entry.is_regex) == ("EMAIL", False)
    assert entry.comments.startswith("Mailwarden, Ana")
    page.keyboard.press("Enter")  # the focus is on Close: work goes on in the list
    expect(page.locator("#rule")).to_have_count(0)
    expect(page.locator("#results [data-current] .open")).to_be_focused()

    page.watched.allowed_statuses |= {409}  # type: ignore[attr-defined]
    page.keyboard.press("b")
    expect(page.locator("#action-panel")).to_contain_text(f"{pattern}: blocked since")
    page.locator("#action-panel [value=from]").check()
    page.locator("#action-panel [name=reason]").fill("once more")
    page.locator("#action-panel").get_by_role("button", name="Block").click()
    expect(page.locator("#notice")).to_contain_text(f"{pattern} is on the list already. Nothing was changed.")
    expect(page.locator("#action-panel [name=reason]")).to_have_value("once more")
    assert len(blocked(desk, pattern)) == 1


def test_an_analyst_allows_narrowly_and_reaches_no_full_form(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    search(page, "disposition=SPAM")
    panel = open_panel(page, "Shift+B", "Allow the sender for a time", ".do .primary")
    expect(panel.get_by_role("link", name="Use the full form")).to_have_count(0)
    panel.get_by_label("Reason").fill("known supplier")
    panel.get_by_role("button", name="Allow").click()
    expect(page.locator("#rule .state")).to_have_attribute("data-state", "done", timeout=SETTLED)
    expect(page.locator("#rule")).to_contain_text("is accepted until")

    expect(page.locator("[data-key=p]")).to_be_disabled()
    page.keyboard.press("p")
    expect(page.locator("#status")).to_contain_text("ask a policy manager")
    page.watched.allowed_statuses |= {403}  # type: ignore[attr-defined]
    answer = page.goto("/settings/block-senders/new?pattern=gmail.com&pattern_type=DOMAIN")
    assert answer is not None
    assert answer.status == 403


def test_a_policy_manager_guards_a_name_and_goes_on_to_the_full_form(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member="pia")
    search(page, "disposition=MALICIOUS")
    panel = open_panel(page, "p", "Add the name to the impersonation registry", "[name=email]")
    page.watched.allowed_statuses |= {422}  # type: ignore[attr-defined]
    name = panel.get_by_label("Name").input_value()
    panel.get_by_label("True address").fill("no address")
    panel.get_by_role("button", name="Add").click()
    expect(panel.locator(".field[data-invalid]")).to_contain_text("This is no address")
    panel.get_by_label("True address").fill("true.person@tarnfell.example")
    panel.get_by_role("button", name="Add").click()
    expect(page.locator("#rule")).to_contain_text(f"{name} is on the impersonation registry.")

    page.keyboard.press("Escape")
    page.keyboard.press("Shift+B")
    page.locator("#action-panel").get_by_role("link", name="Use the full form").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "/settings/allow-policies/new?pattern=" in page.url
