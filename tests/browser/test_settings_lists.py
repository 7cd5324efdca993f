"""The lists of the settings in a real browser: by keyboard, with the pane, on small screens, in both themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.simulator import Simulator
from settings_ui.resources import RESOURCES
from tests.browser import live
from tests.browser.conftest import PASSWORD
from tests.browser.live import OpenPage
from tests.browser.looks import TARGETS, violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BLOCKED = "/settings/block-senders/"
Opened = Callable[..., Page]


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=20, seed=4, arrival_interval=0.0, entries=140) as simulator:
        yield simulator


@pytest.fixture
def opened(simulator: Simulator, live_server: Any, open_page: OpenPage) -> Opened:
    """A page of the policy manager's."""
    Member.objects.create_user("pia", "pia@corp.example", PASSWORD, role=Role.POLICY_MANAGER, first_name="Pia")

    def open_(path: str, **options: Any) -> Page:
        page = open_page(live.desk(live_server), member="pia", **options)
        page.goto(path)
        return page

    return open_


def named(page: Page, number: int) -> str:
    return page.locator("#entries tr[data-id] th").nth(number).inner_text()


def shown(page: Page) -> Any:
    return page.locator("#entry:not([aria-busy]) .record h2")


def show_filters(page: Page) -> None:
    if page.locator(".filters-menu").count():  # not every list has filters
        page.locator(".filters-menu > summary").click()


def gets(page: Page, part: str) -> list[str]:
    seen: list[str] = []
    page.on("request", lambda request: part in request.url and seen.append(request.url))
    return seen


def test_a_list_is_read_from_the_first_key_to_the_last_page_by_keyboard_alone(opened: Opened) -> None:
    page = opened("/investigate/")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/settings/")
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Blocked senders").press("Enter")
    page.wait_for_url(f"**{BLOCKED}")

    page.keyboard.press("j")
    expect(shown(page)).to_have_text(named(page, 0))
    page.keyboard.press("j")
    expect(shown(page)).to_have_text(named(page, 1))
    page.keyboard.press("k")
    expect(shown(page)).to_have_text(named(page, 0))
    page.keyboard.press("Enter")
    expect(page.locator("#entry")).to_be_focused()
    page.keyboard.press("u")
    expect(page.locator("#entries tr[data-current] .open")).to_be_focused()

    first = named(page, 0)
    page.keyboard.press("]")
    expect(page.locator(".pager")).to_contain_text("Page 2")
    assert "page=2" in page.url
    assert named(page, 0) != first
    page.keyboard.press("[")
    expect(page.locator(".pager")).to_contain_text("Page 1")

    page.keyboard.press("/")
    page.keyboard.type("lucky-draw")
    page.keyboard.press("Enter")
    expect(page.locator("#entries .count")).to_have_text("1 entry")
    assert page.url.endswith("?search=lucky-draw")  # what was left empty is not in the address
    page.keyboard.press("Escape")
    with page.expect_response("**/block-senders/try"):
        page.keyboard.press("c")
    expect(page.locator("#entry-form").get_by_label("Pattern")).to_be_visible()  # the try answers in its own place


def test_the_address_brings_back_list_and_entry_and_going_back_the_list_before(opened: Opened) -> None:
    page = opened(f"{BLOCKED}?order=pattern&direction=asc")
    row = page.locator("#entries tr[data-id]").nth(2)
    name = row.locator("th").inner_text()
    row.locator("td").last.click()
    expect(shown(page)).to_have_text(name)
    address = page.url

    page.goto(address)

    expect(shown(page)).to_have_text(name)
    expect(page.locator("#entries tr[data-current] th")).to_have_text(name)
    page.locator("#asked-size").select_option("50")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#entries .count")).to_contain_text("first 50 shown")
    page.go_back()
    expect(page.locator("#entries .count")).to_contain_text("first 100 shown")


def test_a_held_key_asks_for_the_entry_where_it_rests_and_for_no_other(opened: Opened) -> None:
    page = opened(BLOCKED)
    ids = page.locator("#entries tr[data-id]").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    asked = gets(page, f"{BLOCKED}{ids[0][:4]}"), gets(page, f"{BLOCKED}{ids[9]}")

    page.evaluate(
        """() => { for (let n = 0; n < 10; n++)
          document.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true, repeat: n > 0 })); }"""
    )

    expect(shown(page)).to_have_text(named(page, 9))
    assert (len(asked[0]), len([url for url in asked[1] if url.endswith(f"{ids[9]}/")])) == (0, 1)


def test_ticks_are_counted_on_the_button_that_leads_to_their_removal(opened: Opened) -> None:
    page = opened(BLOCKED)
    button = page.locator("#remove-ticked")
    expect(button).to_be_disabled()
    page.keyboard.press("#")
    expect(page.locator("#status")).to_have_text("Tick entries first: x, or the boxes.")

    page.keyboard.press("j")
    page.keyboard.press("x")
    page.locator(".c-tick input").nth(4).click(modifiers=["Shift"])
    expect(button).to_have_text("Remove 5 …")
    chosen = [named(page, number) for number in range(5)]
    page.keyboard.press("#")

    page.wait_for_url(f"**{BLOCKED}remove")
    for name in chosen:
        expect(page.locator("#entry-form")).to_contain_text(name)
    assert page.locator(".going > li").count() == 5


def test_edit_opens_in_the_pane_and_on_a_small_screen_as_a_page(opened: Opened) -> None:
    page = opened(BLOCKED)
    page.keyboard.press("j")
    expect(shown(page)).to_have_count(1)
    page.keyboard.press("e")
    expect(page.locator("#entry #entry-form")).to_be_visible()
    assert "/edit" not in page.url

    small = opened(BLOCKED, width=390, height=844)
    small.locator("#entries .open").first.click()
    small.wait_for_url("**/block-senders/*/")
    small.get_by_role("link", name="Edit").click()
    small.wait_for_url("**/edit")
    expect(small.locator("#entry-form")).to_be_visible()


def test_an_entry_that_cannot_be_read_fails_in_the_pane_and_another_try_brings_it(
    opened: Opened, simulator: Simulator
) -> None:
    page = opened(BLOCKED)
    page.watched.allowed_statuses |= {503}
    simulator.faults.next("block_senders.get", status=503, times=None)
    page.keyboard.press("j")
    expect(page.locator("#entry .failed")).to_contain_text("Cloudflare does not answer.")
    expect(page.locator("#entries tr[data-id]")).to_have_count(100)

    simulator.faults.clear()
    page.locator("#entry .failed a").click()

    expect(shown(page)).to_have_text(named(page, 0))


def test_a_list_that_cannot_be_read_comes_back_in_its_place(opened: Opened, simulator: Simulator) -> None:
    simulator.faults.next("block_senders.list", status=503, times=None)
    page = opened("/settings/")
    page.watched.allowed_statuses |= {503}
    page.goto(BLOCKED)
    expect(page.locator("#entries .failed")).to_be_visible()
    simulator.faults.clear()

    page.locator("#entries .failed a").click()

    expect(page.locator("#entries tr[data-id]")).to_have_count(100)
    expect(page.locator("h1")).to_have_text("Blocked senders")


def test_with_single_keys_off_only_pointer_and_tab_move(opened: Opened) -> None:
    page = opened(BLOCKED)
    Member.objects.filter(username="pia").update(has_single_keys=False)
    page.reload()
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator("#entries [data-current], .c-tick :checked").count() == 0
    page.keyboard.press("Control+k")
    page.get_by_label("Command", exact=True).fill("next entry")
    page.keyboard.press("Enter")
    expect(shown(page)).to_have_text(named(page, 0))
    page.keyboard.press("Control+k")
    page.get_by_label("Command", exact=True).fill("new blocked")
    page.keyboard.press("Enter")
    expect(page.locator("#entry-form")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_no_page_scrolls_to_the_side_and_every_target_can_be_hit(opened: Opened, width: int) -> None:
    page = opened("/settings/", width=width, height=844)
    wrong = []
    first = {resource.slug: f"/settings/{resource.slug}/" for resource in RESOURCES}
    for path in ["/settings/", *first.values()]:
        page.goto(path)
        show_filters(page)
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        small = page.evaluate(TARGETS)
        if overflow > 0 or small:
            wrong.append(f"{path}: {overflow} px, {small[:3]}")
    link = page.locator("#entries .open").first.get_attribute("href") or ""
    page.goto(link)
    if page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0:
        wrong.append(link)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_overview_lists_and_entries(opened: Opened, simulator: Simulator, theme: str) -> None:
    page = opened("/settings/", color_scheme=theme)
    found = violations(page)
    for slug in ("allow-policies", "domains", "url-ignore-patterns"):
        page.goto(f"/settings/{slug}/?foo=bar")
        found += violations(page)
        page.keyboard.press("j")
        expect(shown(page)).to_have_count(1)
        expect(page.locator("#entry .loading")).to_have_count(0)
        show_filters(page)
        found += violations(page)
    page.goto(page.locator("#entries .open").first.get_attribute("href") or "")
    expect(page.locator("#life dl")).to_be_visible()
    found += violations(page)
    page.goto(f"{BLOCKED}?pattern=nobody")
    found += violations(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(BLOCKED)
    page.locator(".aside-menu > summary").click()
    found += violations(page)
    assert not found, "\n".join(found)
