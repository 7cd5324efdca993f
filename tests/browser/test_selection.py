"""Ticking rows in a real browser: by pointer, by keys, on a small screen, without scripts; and the way to a rehearsal.

Nothing of this sends anything: every way to act leads to the page of a job that is being collected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Locator, Page, expect

from dashboard.simulator import Simulator
from investigate.models import BulkJob
from tests.browser import live
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
MONTH = "/investigate/?last=30d&disposition=SPAM&disposition=BULK"
JOB = re.compile(r"/investigate/bulk/[0-9a-f-]{36}/$")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=600, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


@pytest.fixture
def page(simulator: Simulator, live_server: Any, open_page: OpenPage) -> Page:
    live.analyst()
    page = open_page(live.desk(live_server))
    page.goto(MONTH)
    return page


def boxes(page: Page) -> Locator:
    return page.locator("#rows .c-tick input")


def ticked(page: Page) -> list[int]:
    found: list[int] = boxes(page).evaluate_all("all => all.flatMap((box, index) => box.checked ? [index] : [])")
    return found


def places(page: Page, what: str = "#rows tr, #selection button, #selection label") -> list[list[float]]:
    """Where every row and every button of the bar is."""
    found: list[list[float]] = page.locator(what).evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => [box.x, box.y, box.width, box.height])"
    )
    return found


def row_ids(page: Page) -> list[str]:
    found: list[str] = page.locator("#rows tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)")
    return found


def begun(page: Page) -> BulkJob:
    """The one job there is, once the page has come to it."""
    page.wait_for_url(JOB)
    connection.close()  # this thread's connection; the server wrote on its own
    return BulkJob.objects.select_related("input").get()


def test_a_click_ticks_one_and_shift_click_all_between(page: Page) -> None:
    boxes(page).nth(1).click()
    expect(page.locator("#selected")).to_have_text("1 selected")
    boxes(page).nth(4).click(modifiers=["Shift"])
    assert ticked(page) == [1, 2, 3, 4]

    boxes(page).nth(3).click(modifiers=["Shift"])  # away from the last one, what was clicked decides
    assert ticked(page) == [1, 2]

    assert page.evaluate("String(getSelection())") == ""
    expect(page.locator("#status")).to_have_text("2 selected.")


def test_no_row_moves_when_something_is_ticked(page: Page) -> None:
    before = places(page)

    boxes(page).nth(2).click()
    expect(page.get_by_role("button", name="Release", exact=True)).to_be_enabled()

    assert places(page) == before


def test_the_head_of_the_list_covers_what_scrolls_beneath_it(page: Page) -> None:
    box = boxes(page).nth(5)
    head = page.locator(".rows thead").bounding_box()
    assert head

    box.evaluate("(box, y) => { box.closest('.list').scrollTop += box.getBoundingClientRect().top - y; }", head["y"])

    place = box.bounding_box()
    assert place
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    assert head["y"] < y < head["y"] + head["height"]
    on_top = page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('thead') !== null", [x, y])
    assert on_top, "a tick shows through the head"


def test_the_tick_of_a_row_is_large_enough_to_hit_in_every_density(page: Page) -> None:
    for density in ("compact", "standard", "relaxed"):
        page.evaluate("density => { document.documentElement.dataset.density = density; }", density)
        heights = page.locator("#rows tr[data-id]").evaluate_all("rows => [...new Set(rows.map(r => r.offsetHeight))]")
        box = boxes(page).first.bounding_box()
        assert box
        assert box["width"] >= 28
        assert box["height"] >= 28
        assert heights == [{"compact": 28, "standard": 32, "relaxed": 40}[density]]


def test_a_selection_is_made_and_rehearsed_by_keys_alone(page: Page) -> None:
    page.keyboard.press("x")
    expect(page.locator("#status")).to_have_text("Put the cursor on a message first: j.")
    for key in ("j", "j", "x"):
        page.keyboard.press(key)
    assert ticked(page) == [1]
    for _ in range(3):
        page.keyboard.press("Shift+J")
    assert ticked(page) == [1, 2, 3, 4]
    page.keyboard.press("Shift+K")
    assert ticked(page) == [1, 2, 3]  # coming back takes away what going too far had ticked
    wanted = row_ids(page)[1:4]

    page.keyboard.press("!")

    job = begun(page)
    assert (job.kind, job.destination, job.source) == ("move", "JunkEmail", "selection")
    assert [text for _, text in job.input.terms] == wanted


def test_keys_of_actions_begin_a_rehearsal_and_never_act_on_the_cursor_row(page: Page, simulator: Simulator) -> None:
    page.keyboard.press("j")
    boxes(page).nth(5).click()
    wanted = row_ids(page)[5]

    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Clean c 6")).to_be_visible()
    page.keyboard.press("4")

    job = begun(page)
    assert (job.kind, job.expected_disposition) == ("reclassify", "SPAM")
    assert [text for _, text in job.input.terms] == [wanted]
    assert len(simulator.ledger) == 0


def test_what_a_role_may_not_do_says_so_and_stays_in_its_place(page: Page) -> None:
    boxes(page).first.click()

    page.get_by_text("Move to ▾").click()
    expect(page.get_by_role("button", name="Purge v 5")).to_be_disabled()
    expect(page.locator("#whynot-many")).to_contain_text("Soft delete, Purge: Your role may not delete mail for good")
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    page.keyboard.press("5")

    expect(page.locator("#status")).to_contain_text("Your role may not delete mail for good")
    expect(page.locator("#selected")).to_have_text("1 selected")  # Esc closed the menu, nothing else


def test_all_loaded_none_and_everything(page: Page) -> None:
    page.keyboard.press("*")
    page.keyboard.press("a")
    loaded = boxes(page).count()
    expect(page.locator("#selected")).to_have_text(f"{loaded} selected")
    expect(page.locator("#tick-all")).to_be_checked()
    page.keyboard.press("*")
    page.keyboard.press("n")
    expect(page.locator("#selected")).to_have_text("Nothing ticked")
    assert ticked(page) == []

    page.keyboard.press("*")
    page.keyboard.press("l")
    expect(page.locator("#taken")).to_contain_text("what this search finds from")
    expect(page.locator("#status")).to_contain_text("loaded or not")
    assert len(ticked(page)) == loaded
    boxes(page).nth(3).click()  # everything but this one cannot be said: it is the loaded ones again
    expect(page.locator("#selected")).to_have_text(f"{loaded - 1} selected")
    page.locator("#everything").click()
    page.get_by_role("button", name="Release", exact=True).click()

    job = begun(page)
    assert (job.source, job.kind, job.input.terms) == ("search", "release", [])
    assert re.fullmatch(r"disposition=SPAM&disposition=BULK&start=\d{4}-[^&]*Z&end=\d{4}-[^&]*Z", job.query)


def test_a_changed_mind_about_everything_gives_the_ticks_back(page: Page) -> None:
    boxes(page).nth(2).click()

    page.locator("#everything").click()
    page.locator("#everything").click()

    assert ticked(page) == [2]


def test_the_selection_survives_more_rows_and_a_row_that_changes(page: Page) -> None:
    page.goto("/investigate/?last=30d")
    first = boxes(page).count()
    boxes(page).nth(1).click()
    boxes(page).nth(2).click()
    page.get_by_role("link", name="Load 100 more").click()
    expect(boxes(page)).not_to_have_count(first)
    expect(page.locator("#loaded")).to_have_text(str(boxes(page).count()))
    expect(page.locator("#selected")).to_have_text("2 selected")
    assert ticked(page) == [1, 2]

    page.locator("#everything").click()
    page.locator("#everything").click()
    row = page.locator("#rows tr[data-id]").nth(1)
    message = row.get_attribute("data-id")
    boxes(page).nth(2).click()
    boxes(page).nth(1).click()  # nothing is ticked: the key acts on the row again
    row.locator(".open").click()
    page.keyboard.press("c")
    page.keyboard.press("1")
    expect(row.locator(".state")).to_be_visible()
    boxes(page).nth(1).click()
    row.get_by_role("button", name="Undo").click()
    expect(row.locator(".state")).to_have_count(0)
    assert page.locator("#rows tr:has(:checked)").get_attribute("data-id") == message


def test_a_new_search_begins_with_nothing_ticked(page: Page) -> None:
    boxes(page).nth(1).click()

    page.get_by_role("link", name="last 7 days").click()

    expect(page.locator("#search-meta")).to_contain_text("last 7 days")
    expect(page.locator("#selected")).to_have_text("Nothing ticked")
    assert ticked(page) == []
    expect(page.get_by_role("button", name="Release", exact=True)).to_be_disabled()


def test_more_than_a_form_may_hold_is_sent_whole(page: Page, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 20
    page.locator("#tick-all").click()
    wanted = row_ids(page)

    page.get_by_role("button", name="Release", exact=True).click()

    assert [text for _, text in begun(page).input.terms] == wanted


def test_the_keys_are_listed_where_keys_are_learnt(page: Page) -> None:
    page.keyboard.press("?")
    for label in ("Tick this message", "Tick all loaded", "Take everything this search finds"):
        expect(page.get_by_role("option", name=label)).to_be_visible()
    expect(page.get_by_role("option", name="Selected: Move to Trash")).to_have_count(0)
    page.keyboard.press("Escape")

    boxes(page).first.click()
    page.keyboard.press("Control+k")
    page.keyboard.type("selected trash")
    page.keyboard.press("Enter")

    assert begun(page).destination == "DeletedItems"


def test_on_a_small_screen_cards_are_ticked_and_acts_come_up_at_the_bottom(
    simulator: Simulator, live_server: Any, open_page: OpenPage
) -> None:
    live.analyst()
    page = open_page(live.desk(live_server), width=390, height=844)
    page.goto(MONTH)
    before = places(page, "#rows tr, #selection label")
    expect(page.get_by_role("button", name="Release", exact=True)).to_be_hidden()

    boxes(page).nth(2).click()

    assert places(page, "#rows tr, #selection label") == before
    assert page.url.endswith(MONTH)  # a tick does not open the card
    release = page.get_by_role("button", name="Release", exact=True)
    box = release.bounding_box()
    assert box
    assert box["y"] > 780
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_text("Move to ▾").click()
    expect(page.get_by_role("button", name="Junk !")).to_be_in_viewport()
    page.get_by_role("button", name="Junk !").click()
    assert begun(page).destination == "JunkEmail"


def test_without_scripts_ticks_and_buttons_are_a_plain_form(
    simulator: Simulator, live_server: Any, open_page: OpenPage
) -> None:
    live.analyst()
    page = open_page(live.desk(live_server), java_script_enabled=False)
    page.goto(MONTH)
    expect(page.locator("#tick-all")).to_be_hidden()  # it would do nothing
    wanted = [page.locator("#rows tr[data-id]").nth(index).get_attribute("data-id") for index in (0, 3)]
    boxes(page).nth(0).check()
    boxes(page).nth(3).check()
    page.get_by_text("Submit as ▾").click()

    page.get_by_role("button", name="Spoof c 3").click()

    job = begun(page)
    assert job.expected_disposition == "SPOOF"
    assert [text for _, text in job.input.terms] == wanted
