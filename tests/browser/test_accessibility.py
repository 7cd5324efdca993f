"""Every screen as axe checks it, in both themes; small screens, targets, and focus that is never hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PASSWORD, Desk
from tests.browser.looks import TARGETS, violations

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
TABS = ["why", "preview", "links", "attachments", "headers", "raw", "trace", "history", "campaign"]
LIST = "/investigate/?line=is:malicious+last:30d"
QUEUE = "/investigate/queue/?list=all"
# What holds the focus, and whether something else lies over its middle or it stands outside the window.
HIDDEN_FOCUS = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body || one.matches("iframe")) return "";
  const seen = one.matches(".open") ? one.closest("tr") : one;
  const box = seen.getBoundingClientRect();
  if (!box.width || box.height > innerHeight / 3) return "";
  const top = document.elementFromPoint(box.x + Math.min(box.width, 40) / 2, box.y + box.height / 2);
  const isFree = top && (seen.contains(top) || top.contains(seen) || top.closest("label")?.contains(one));
  return isFree ? "" : `${one.outerHTML.slice(0, 120)} at ${box.x}, ${box.y}`;
}
"""


@pytest.fixture(scope="module")
def member(desk: Desk, browser: Browser) -> Iterator[dict[str, Any]]:
    """The cookies of somebody who signed in once and acted once, so that there is a receipt."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=desk.url)
    page = context.new_page()
    page.goto("/account/login/")
    page.get_by_label("User name").fill("ana")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/investigate/**")
    page.goto("/investigate/?line=is:bulk+status:delivered+last:30d")
    page.keyboard.press("j")
    page.keyboard.press("!")
    expect(page.locator("#results .c-us .state").first).to_be_visible()
    yield context.storage_state()
    context.close()


@pytest.fixture
def open_as(member: dict[str, Any], desk: Desk, open_page: OpenPage) -> OpenPage:
    def open_(width: int = 1440, height: int = 900, **options: Any) -> Page:
        return open_page(desk, member=None, width=width, height=height, storage_state=member, **options)

    return open_


def open_first(page: Page) -> None:
    page.goto(LIST)
    page.keyboard.press("j")
    expect(page.locator("#detail:not([aria-busy]) .message")).to_be_visible()


def choose_tab(page: Page, name: str) -> None:
    page.locator(f"#tab-{name}").click()
    expect(page.locator(f"#panel-{name}")).to_be_visible()
    expect(page.locator(f"#panel-{name} > .loading")).to_have_count(0)


def receipt_of(page: Page) -> str:
    page.goto("/investigate/actions/")
    return page.locator(".log td:nth-child(2) > a").first.get_attribute("href") or ""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_search_with_any_part_of_a_message_open(open_as: OpenPage, theme: str) -> None:
    page = open_as(color_scheme=theme)
    page.goto("/investigate/")
    expect(page.locator("#results")).to_be_visible()
    found = violations(page)
    open_first(page)
    for name in TABS:
        choose_tab(page, name)
        found += violations(page)
    page.locator("#filters-toggle").click()
    expect(page.locator("#filters .fields")).to_be_visible()
    found += violations(page)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_other_pages(open_as: OpenPage, theme: str) -> None:
    page = open_as(color_scheme=theme)
    open_first(page)
    message = page.locator("#results tr[data-current] .open").get_attribute("href") or ""
    found = []
    for address in (message, QUEUE, "/investigate/actions/", receipt_of(page), "/account/preferences/"):
        page.goto(address)
        found += violations(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found += violations(page)
    assert not found, "\n".join(found)


def test_nothing_scrolls_sideways_at_320_pixels(open_as: OpenPage) -> None:
    page = open_as(width=320, height=640)
    page.goto(LIST)
    expect(page.locator("#results tr[data-id]").first).to_be_visible()
    message = page.locator("#results .open").first.get_attribute("href") or ""
    parts = [f"{message}?tab={name}" for name in TABS]
    wide = []
    for address in (
        "/investigate/", LIST, QUEUE, *parts, "/investigate/actions/", receipt_of(page), "/account/preferences/",
    ):  # fmt: skip
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(address)
    assert not wide, wide


@pytest.mark.parametrize("width", [1440, 390])
def test_targets_are_large_enough(open_as: OpenPage, width: int) -> None:
    page = open_as(width=width)
    page.goto(LIST)
    message = page.locator("#results .open").first.get_attribute("href") or ""
    small = []
    for address in ("/investigate/", QUEUE, message, f"{message}?tab=links", f"{message}?tab=attachments",
                    "/investigate/actions/", receipt_of(page), "/account/preferences/"):  # fmt: skip
        page.goto(address)
        small += [f"{address}: {target}" for target in page.evaluate(TARGETS)]
    assert not small, "\n".join(small)


@pytest.mark.parametrize("width", [1440, 390])
def test_the_focus_is_never_behind_a_bar_that_sticks(open_as: OpenPage, width: int) -> None:
    page = open_as(width=width, height=700)
    page.goto(LIST)
    message = page.locator("#results .open").first.get_attribute("href") or ""
    hidden = []
    for address in (LIST, message):
        page.goto(address)
        for _ in range(45):
            page.keyboard.press("Tab")
            if where := page.evaluate(HIDDEN_FOCUS):
                hidden.append(f"{address}: {where}")
    assert not hidden, "\n".join(hidden)


def test_the_first_row_of_a_phone_is_near_the_top(open_as: OpenPage) -> None:
    page = open_as(width=390, height=844)
    page.goto(LIST)
    box = page.locator("#results tr[data-id]").first.bounding_box()
    assert box
    assert box["y"] <= 200


@pytest.mark.parametrize("words", ["unknown, looking", "released 2 of 3", "submitted as BEC"])
def test_what_we_did_is_never_cut_beside_an_open_message(open_as: OpenPage, words: str) -> None:
    page = open_as()
    page.goto(LIST)
    cell = page.locator("#results .c-us").first
    cell.evaluate(
        "(cell, words) => { cell.innerHTML = '<span class=acted><a class=state data-state=unknown href=#></a></span>';"
        "cell.querySelector('a').textContent = words; }",
        words,
    )
    assert cell.locator(".state").evaluate("state => state.scrollWidth <= state.clientWidth"), f"{words!r} is cut"
    sender = page.locator("#results td.c-from").first.bounding_box()
    assert sender
    assert sender["width"] >= 200
