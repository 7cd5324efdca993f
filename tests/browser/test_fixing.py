"""A false positive put right in a real browser: one click, three receipts, and the rule at the service."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import serve
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
SETTLED = 60_000  # milliseconds for undo window, three steps one after the other, and their polls


def open_panel(page: Page, desk: Desk) -> tuple[str, Locator]:
    """The panel of a suspicious message in quarantine whose sender can be accepted, and the message's id.

    The mail depends on the hour of the day. One of its copies at least can be delivered.
    """
    full = set(desk.simulator("state")["full_mailboxes"])
    page.goto("/investigate/?disposition=SUSPICIOUS&last=30d")
    rows = page.locator("#results tr[data-id]")
    expect(rows.first).to_be_visible()
    held = [row for row in rows.all() if row.locator(".c-where").inner_text().strip() == "quarantined"]
    for name in [row.get_attribute("data-id") or "" for row in held]:
        page.goto(f"/investigate/{urllib.parse.quote(name)}/")
        page.keyboard.press("w")
        panel = page.locator("#action-panel form")
        expect(panel.get_by_role("heading", name="False positive: put it right")).to_be_visible()
        recipients = set(panel.locator(".receipts bdi").all_inner_texts())
        if recipients - full and panel.locator("[name=accepts]").count():
            return name, panel
    raise AssertionError("the simulator holds no such message")


def rules_for(desk: Desk, pattern: str) -> list[dict[str, Any]]:
    """The allow policies for an address, as the service itself lists them."""
    address = f"{desk.upstream}/client/v4/accounts/{serve.DEMO_ACCOUNT}/email-security/settings/allow_policies"
    request = urllib.request.Request(
        f"{address}?{urllib.parse.urlencode({'pattern': pattern})}",
        headers={"Authorization": f"Bearer {serve.DEMO_TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["result"]
    return found


def test_a_false_positive_is_put_right_by_one_click(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    name, panel = open_panel(page, desk)
    sender = panel.locator("code bdi").inner_text()
    expect(panel.get_by_text("Suspicious still applies")).to_be_visible()

    panel.get_by_label("Accept this sender for a time").check()
    panel.get_by_label("Why it is harmless").fill("Known supplier, confirmed by phone")
    panel.get_by_role("button", name="Put right").click()

    steps = page.locator("#fix .timeline > li")
    expect(steps).to_have_count(3)
    expect(page.locator("#fix").get_by_role("button", name="Undo")).to_be_visible()
    expect(steps.nth(2).locator(".state")).to_have_attribute("data-state", "done", timeout=SETTLED)
    expect(steps.nth(1).locator(".state")).to_have_attribute("data-state", "done")
    expect(steps.nth(0).locator(".state")).to_have_attribute("data-state", re.compile("done$"))
    expect(steps.nth(0).locator(".receipts li[data-state=done]").first).to_be_visible()
    expect(steps.nth(2)).to_contain_text(sender)

    done = [entry for entry in desk.simulator("ledger") if entry["investigate_id"] == name]
    copies = [entry["recipient"] for entry in done if entry["kind"] == "release"]
    assert len(copies) == len(set(copies)) > 0
    assert sum(entry["kind"] == "submission" for entry in done) == 1
    (rule,) = rules_for(desk, sender)
    assert (rule["is_acceptable_sender"], rule["verify_sender"], rule["is_trusted_sender"]) == (True, True, False)
    assert rule["comments"].startswith("Mailwarden ")

    page.get_by_role("link", name="All about it").click()
    expect(page.get_by_role("heading", name="Put right a false positive")).to_be_visible()
    page.get_by_role("button", name="End the rule now").click()
    expect(page.locator("#fix")).to_contain_text("removed", timeout=SETTLED)
