"""The frame and the keys in a real browser: the cursor, the palette, polls, small screens, both themes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
LIST = "/investigate/?last=30d"


def to_list(page: Page) -> Page:
    page.goto(LIST)
    expect(page.locator("#results tr[data-id]").first).to_be_visible()
    return page


def requests_of(page: Page, ending: str) -> list[str]:
    """Addresses asked for from now on that end like this."""
    seen: list[str] = []
    page.on("request", lambda request: request.url.endswith(ending) and seen.append(request.url))
    return seen


def test_a_held_key_loads_one_message_and_the_last_one_wins(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    panes = requests_of(page, "/pane")
    for _ in range(40):
        page.keyboard.press("j")
    row = page.locator("#results tr[data-current]")
    expect(page.locator("#detail > .message")).to_have_attribute("data-id", row.get_attribute("data-id") or "")
    assert page.locator("#results tr[data-id]").nth(39).get_attribute("data-id") == row.get_attribute("data-id")
    assert len(panes) <= 5
    assert row.get_attribute("data-id") in page.evaluate("new URL(location).searchParams.get('open')")
    assert page.evaluate("document.activeElement.className") == "open"


def test_keys_stay_out_of_text_fields(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    page.keyboard.press("/")
    page.keyboard.type("jd!")
    expect(page.locator("#filter-line")).to_have_value("jd!")
    expect(page.locator("#results tr[data-current]")).to_have_count(0)


def test_without_single_keys_the_palette_does_the_same(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    page.evaluate("document.body.dataset.singleKeys = 'off'")
    page.keyboard.press("j")
    expect(page.locator("#results tr[data-current]")).to_have_count(0)
    page.keyboard.press("Control+k")
    page.keyboard.type("next mess")
    page.keyboard.press("Enter")
    expect(page.locator("#results tr[data-current]")).to_have_count(1)


def test_the_palette_closes_where_it_was_opened(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    page.keyboard.press("j")
    page.keyboard.press("?")
    expect(page.get_by_role("option", name="Next message")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#results tr[data-current] .open")).to_be_focused()


@pytest.mark.matrix(64)
def test_nothing_is_asked_while_nobody_looks(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    page.evaluate(hide % "true")
    page.evaluate(
        "const poll = document.createElement('p'); poll.id = 'poll';"
        "poll.setAttribute('hx-get', '/account/preferences/'); poll.setAttribute('hx-trigger', 'every 100ms');"
        "poll.setAttribute('hx-swap', 'none'); document.getElementById('main').append(poll); htmx.process(poll);"
    )
    asked = requests_of(page, "/account/preferences/")
    page.wait_for_timeout(500)
    assert asked == []
    with page.expect_request("**/account/preferences/"):
        page.evaluate(hide % "false" + "document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.matrix(63)
def test_an_ended_session_leads_to_the_sign_in_and_back(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    page.watched.allowed_statuses.add(401)  # type: ignore[attr-defined]
    page.context.clear_cookies()
    page.keyboard.press("j")
    page.wait_for_url("**/account/login/?next=**")
    assert page.locator("main input[name=next]").first.input_value().startswith(LIST)


@pytest.mark.matrix(64)
def test_the_page_says_when_the_connection_is_gone(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_contain_text("No connection since")
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()


def test_rows_are_links_and_menus_open_without_scripts(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk, java_script_enabled=False))
    page.locator("#results .open").first.click()
    expect(page.locator("h1.subject")).to_be_visible()
    page.locator("details.person > summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 640, 1024, 1440])
def test_nothing_scrolls_sideways(desk: Desk, open_page: OpenPage, width: int) -> None:
    page = open_page(desk, width=width)
    page.watched.allowed_statuses.add(404)  # type: ignore[attr-defined]
    for path in (LIST, LIST + "&filters=open", "/account/preferences/", "/account/password/", "/nowhere"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(desk: Desk, open_page: OpenPage, scheme: str) -> None:
    page = open_page(desk, color_scheme=scheme)
    page.watched.allowed_statuses.add(404)  # type: ignore[attr-defined]
    found = []
    for path in ("/account/preferences/", "/account/password/", "/nowhere", LIST):
        page.goto(path)
        found += [f"{path}: {fault['id']}" for fault in Axe().run(page).response["violations"]]
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    found += [f"palette: {fault['id']}" for fault in Axe().run(page).response["violations"]]
    page.context.clear_cookies()
    page.goto("/account/login/")
    found += [f"sign-in: {fault['id']}" for fault in Axe().run(page).response["violations"]]
    assert not found


def test_a_pause_of_all_calls_is_counted_down_and_rests_what_would_cost_one(desk: Desk, open_page: OpenPage) -> None:
    page = to_list(open_page(desk))
    page.evaluate(
        "document.getElementById('footer').insertAdjacentHTML('beforeend', '<span data-pause data-count=2>2 s</span>')"
    )
    expect(page.get_by_role("button", name="Search").first).to_be_disabled()
    expect(page.locator("#footer [data-pause]")).to_have_text("1 s")
    expect(page.get_by_role("button", name="Search").first).to_be_enabled()


def test_an_answer_to_what_was_replaced_meanwhile_is_taken_in(desk: Desk, open_page: OpenPage) -> None:
    """Two polls tell the same: the one takes away the element from which the other has asked."""
    pieces = '<p>new</p><p hx-swap-oob="innerHTML:#status">It was moved.</p><p hx-swap-oob="innerHTML:#nowhere">x</p>'
    page = open_page(desk)
    page.goto("/account/preferences/")
    page.route("**/late", lambda route: route.fulfill(body=pieces, content_type="text/html"))

    page.evaluate("""() => {
      const asker = document.createElement("p");
      document.getElementById("main").append(asker);
      window.htmx.ajax("GET", "/late", { source: asker, target: asker });
      asker.remove();
    }""")

    expect(page.locator("#status")).to_have_text("It was moved.")
