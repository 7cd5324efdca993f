"""The analyst's main loop by keyboard alone, in a real browser, against a whole installation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, Desk, start_desk

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
SETTLED = 40_000  # milliseconds for undo window, worker and poll together


@pytest.fixture(scope="module", params=["seed", "sunset"])
def other_generation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An installation on a server of the older generation, and on one without the fields past their end of life."""
    with ExitStack() as resources:
        options = ["--messages", "400", "--seed", "5", "--profile", request.param]
        yield start_desk(tmp_path_factory.mktemp(request.param), simulator=options, resources=resources)


def type_search(page: Page, line: str) -> None:
    page.keyboard.press("/")
    page.keyboard.press("Control+A")
    page.keyboard.type(line)
    page.evaluate(
        "() => { window.searched = new Promise(done => "
        "addEventListener('htmx:afterSettle', () => done(true), {once: true})); }"
    )
    page.keyboard.press("Enter")
    page.wait_for_function("window.searched")
    expect(page.locator("#results tr[data-id]").first).to_be_visible()
    page.locator("#results").evaluate("list => document.activeElement.blur()")


def current(page: Page) -> Any:
    return page.locator("#results tr[data-current]")


def to_first_row(page: Page) -> str:
    page.keyboard.press("j")
    return current(page).get_attribute("data-id") or ""


def to_row(page: Page, *, is_held: bool) -> str:
    """Move the cursor down to a message (not) in quarantine: a server of the older generation ignores that filter."""
    for _ in range(80):
        message = to_first_row(page)
        if (current(page).locator(".c-where").inner_text().strip() == "quarantined") == is_held:
            return message
    raise AssertionError("the list holds no such message")


def state_of(page: Page, message: str) -> Any:
    return page.locator(f"#results tr[data-id='{message}'] .c-us .state")


def carried_out(desk: Desk, kind: str, message: str) -> list[dict[str, Any]]:
    return [entry for entry in desk.simulator("ledger") if entry["kind"] == kind and entry["investigate_id"] == message]


def without_pointer(page: Page) -> None:
    """Any use of the mouse from now on is an error."""
    page.evaluate(
        "['mousedown', 'pointerdown'].forEach(name => "
        "document.addEventListener(name, () => console.error('a pointer was used'), true))"
    )


def sign_in_by_keyboard(page: Page, desk: Desk, member: str = "ana") -> None:
    page.goto("/account/login/")
    page.keyboard.press("Tab") if page.evaluate("document.activeElement === document.body") else None
    page.get_by_label("User name").focus()
    page.keyboard.type(member)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/investigate/**")


def main_loop(page: Page, desk: Desk) -> None:
    """Find, understand and act three ways; each receipt agrees with what the service really did."""
    sign_in_by_keyboard(page, desk)
    without_pointer(page)

    type_search(page, "status:delivered is:spam to:tarnfell.example last:30d")
    for _ in range(5):  # the older generation does not tell of mail that it was rejected: that cannot be moved
        moved = to_row(page, is_held=False)
        expect(page.locator("#detail .message")).to_have_attribute("data-id", moved)
        expect(page.locator("#panel-why")).to_be_visible()
        page.keyboard.press("d")
        expect(state_of(page, moved)).to_have_attribute("data-state", "waiting")
        expect(current(page)).not_to_have_attribute("data-id", moved)  # the cursor went on
        ended = re.compile("^((partly_)?done|failed)$")
        expect(state_of(page, moved)).to_have_attribute("data-state", ended, timeout=SETTLED)
        if state_of(page, moved).get_attribute("data-state") != "failed":
            break
        assert not carried_out(desk, "move", moved), "the receipt says not moved, the service moved it"
    copies = carried_out(desk, "move", moved)
    assert copies, "the receipt says moved, the service knows nothing of it"
    assert all(copy["detail"].get("destination", copy["detail"].get("folder")) == "DeletedItems" for copy in copies)

    type_search(page, "status:quarantined is:suspicious to:tarnfell.example last:30d")
    released = to_row(page, is_held=True)
    page.keyboard.press("Shift+R")
    expect(state_of(page, released)).to_have_attribute("data-state", "waiting")
    ended = ".state:is([data-state=done],[data-state=partly_done],[data-state=failed])"
    end = page.locator(f"#results tr[data-id='{released}'] .c-us {ended}")
    expect(end).to_be_visible(timeout=SETTLED)
    copies = carried_out(desk, "release", released)
    assert copies
    told = re.fullmatch(r"(not )?released(?: (\d+) of \d+)?", end.inner_text().strip())
    assert told, end.inner_text()
    delivered = [copy for copy in copies if copy["detail"].get("outcome") == "delivered"]
    assert bool(told[1]) == (not delivered)  # a mailbox may be full
    assert told[2] is None or int(told[2]) == len(delivered)

    type_search(page, "is:bulk last:30d")
    submitted = to_first_row(page)
    page.keyboard.press("c")
    page.keyboard.press("4")
    expect(state_of(page, submitted)).to_have_attribute("data-state", "waiting")
    expect(state_of(page, submitted)).to_have_attribute("data-state", "done", timeout=SETTLED)
    assert len(carried_out(desk, "submission", submitted)) == 1


def test_the_main_loop_on_one_machine(desk: Desk, open_page: OpenPage) -> None:
    main_loop(open_page(desk, member=None), desk)


@pytest.mark.services
def test_the_main_loop_on_postgresql_and_redis(production_desk: Desk, open_page: OpenPage) -> None:
    main_loop(open_page(production_desk, member=None), production_desk)


def test_the_main_loop_on_other_generations_of_the_api(other_generation: Desk, open_page: OpenPage) -> None:
    main_loop(open_page(other_generation, member=None), other_generation)


def test_undo_takes_the_action_back_before_anything_is_sent(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk, member="ben")
    page.goto("/account/preferences/")
    page.get_by_label("Undo").select_option("30")
    page.get_by_role("button", name="Save").click()
    page.goto("/investigate/?last=30d&disposition=SPAM&status=delivered")
    page.keyboard.press("j")
    page.keyboard.press("j")
    message = current(page).get_attribute("data-id") or ""
    page.keyboard.press("d")
    expect(state_of(page, message)).to_have_attribute("data-state", "waiting")

    page.keyboard.press("z")

    expect(state_of(page, message)).to_have_count(0)  # the row is back to normal
    expect(current(page)).to_have_attribute("data-id", message)  # the cursor returned to it
    assert carried_out(desk, "move", message) == []


def test_a_slow_search_fills_itself_in_and_survives_leaving(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&clean=1&recipient=tarnfell.example")
    expect(page.locator("#results")).to_contain_text("Still searching")

    page.goto("/investigate/actions/")
    page.goto("/investigate/?last=30d&clean=1&recipient=tarnfell.example")

    # A search asked anew would reach to a later moment; polls and other tries of the same one do not. Other tests on
    # this desk look at the same recipients, but only for some dispositions.
    queries = [call["query"] for call in desk.simulator("calls") if "recipient=tarnfell.example" in call["query"]]
    ends = [re.search(r"end=([^&]+)", query) for query in queries if "disposition=" not in query]
    assert len({end[1] for end in ends if end}) == 1
    expect(page.locator("#results tr[data-id]").first).to_be_visible(timeout=SETTLED)


def test_a_slow_search_can_be_cancelled(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&clean=1&sender=nobody.example")
    page.get_by_role("button", name="Cancel").click()

    expect(page.locator("#results")).to_contain_text("This search was cancelled by Ana")


def test_a_copied_address_shows_a_colleague_the_same_rows_message_and_tab(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&disposition=SPOOF&disposition=SUSPICIOUS")
    page.keyboard.press("j")
    page.keyboard.press("j")
    message = current(page).get_attribute("data-id")
    expect(page.locator("#detail .message")).to_have_attribute("data-id", message or "")
    page.locator("#tab-headers").click()
    expect(page.locator("#panel-headers")).to_be_visible()
    ids = page.locator("#results tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)")

    other = open_page(desk, member="ben")
    other.goto(page.url)

    expect(other.locator("#detail .message")).to_have_attribute("data-id", message or "")
    expect(other.locator("#panel-headers")).to_be_visible()
    assert other.locator("#results tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)") == ids


def test_new_arrivals_are_announced_and_move_nothing(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=24h&clean=1")
    expect(page.locator("#results tr[data-id]").first).to_be_visible(timeout=SETTLED)
    before = page.locator("#results tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)")

    desk.simulator("arrive", count=3)

    expect(page.locator("#arrivals")).to_contain_text("new", timeout=60_000)
    assert page.locator("#results tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)") == before
    page.keyboard.press("n")
    expect(page.locator("#results tr[data-id]")).not_to_have_count(len(before))


def test_held_down_j_loads_few_panes_and_the_last_one_wins(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d")
    panes: list[str] = []
    page.on("request", lambda request: request.url.endswith("/pane") and panes.append(request.url))
    for _ in range(60):
        page.keyboard.press("j")
    message = current(page).get_attribute("data-id") or ""

    expect(page.locator("#detail .message")).to_have_attribute("data-id", message)
    assert len(panes) <= 5


def test_a_key_pressed_before_the_pane_is_there_acts_once_and_on_that_message(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&disposition=SPAM")
    rows = [row.get_attribute("data-id") for row in page.locator("#rows tr[data-id]").all()[:4]]
    shown = page.locator("#detail:not([aria-busy]) .message")
    page.keyboard.press("j")
    expect(shown).to_have_attribute("data-id", rows[0] or "")
    sent: list[str] = []
    page.on("request", lambda request: request.method == "POST" and sent.append(unquote(request.url)))

    page.keyboard.press("j")
    page.keyboard.press("Shift+C")
    expect(shown).to_have_attribute("data-id", rows[2] or "")  # the cursor moved on by itself, once
    page.keyboard.press("j")
    expect(shown).to_have_attribute("data-id", rows[3] or "")

    assert len(sent) == 1, sent
    assert rows[1] in sent[0]


def test_signed_out_in_another_tab_leads_to_sign_in_and_back(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.watched.allowed_statuses.add(401)
    page.goto("/investigate/?last=7d")
    page.context.clear_cookies()

    page.keyboard.press("j")

    page.wait_for_url("**/account/login/**")
    page.get_by_label("User name").fill("ana")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/investigate/?last=7d**")


def test_a_worker_killed_with_work_in_hand_loses_and_doubles_nothing(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&disposition=SPOOF&status=delivered")
    message = to_first_row(page)
    page.keyboard.press("d")
    expect(state_of(page, message)).to_have_attribute("data-state", "waiting")

    next(process for name, process in desk.stack.running if name == "worker").kill()
    page.wait_for_timeout(1500)  # the undo window ends while nobody is there to send
    desk.stack.keep_running()

    ends = re.compile("done|partly_done|failed")
    expect(state_of(page, message)).to_have_attribute("data-state", ends, timeout=SETTLED)
    copies = [entry["recipient"] for entry in carried_out(desk, "move", message)]
    assert len(copies) == len(set(copies))


def test_a_held_or_doubled_action_key_acts_once(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&disposition=BULK&status=delivered")
    page.keyboard.press("j")
    posted: list[str] = []
    page.on("request", lambda request: request.method == "POST" and posted.append(request.url))

    for _ in range(6):
        page.keyboard.down("d")  # without a release in between the browser repeats the key
    page.keyboard.up("d")
    page.keyboard.press("d")

    expect(page.locator("#results .c-us .state")).to_have_count(1)
    assert len(posted) == 1


def test_an_unknown_second_key_does_nothing_by_itself(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&disposition=SPAM&status=delivered")
    page.keyboard.press("j")
    posted: list[str] = []
    page.on("request", lambda request: request.method == "POST" and posted.append(request.url))

    page.keyboard.press("g")
    page.keyboard.press("d")

    expect(page.locator("#status")).to_contain_text("There is no g d here")
    assert posted == []


@pytest.mark.matrix(64)
def test_an_action_without_a_connection_says_that_it_was_not_sent(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?last=30d&disposition=SPAM&status=delivered")
    page.keyboard.press("j")
    message = current(page).get_attribute("data-id") or ""
    expect(page.locator("#detail .message")).to_have_attribute("data-id", message)

    page.context.set_offline(True)
    page.keyboard.press("d")

    expect(page.locator("#notice")).to_contain_text("Not sent: there is no connection")
    expect(current(page)).to_have_attribute("data-id", message)
    page.context.set_offline(False)
