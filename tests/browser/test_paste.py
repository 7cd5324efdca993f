"""A list from the clipboard to its rehearsal, as a person does it; the page as axe checks it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk
from tests.browser.test_upstream_jobs import check

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]


def test_a_pasted_ticket_becomes_a_rehearsal(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    ids = page.locator("#results tr[data-id]")
    page.goto("/investigate/?last=30d&clean=1")
    expect(ids.first).to_be_visible(timeout=30_000)
    known = [ids.nth(number).get_attribute("data-id") for number in range(4)]

    page.keyboard.press("g")
    page.keyboard.press("v")
    page.wait_for_url("**/bulk/paste")  # with its scripts: what is filled in before they listen would stay unread
    box = page.get_by_label("Text", exact=True)
    expect(box).to_be_focused()
    check(page, "empty box")
    box.fill("\n".join(["Hello,", *map(str, known), "<no@such.example>", "Bob (bob[@]corp[.]example)", "Bea"]))
    read = page.locator("#recognised")
    expect(read.get_by_label("4 investigate ids")).to_be_checked()
    expect(read.get_by_label("1 address")).not_to_be_checked()
    expect(read).to_contain_text("2 lines without anything to look up")
    check(page, "what is recognised")
    page.set_viewport_size({"width": 390, "height": 844})
    check(page, "what is recognised, small")
    page.set_viewport_size({"width": 1440, "height": 900})

    page.get_by_role("button", name="Find the messages").click()
    page.wait_for_url("**/investigate/bulk/*-*/")
    expect(page.get_by_role("main")).to_contain_text("no@such.example", timeout=60_000)


def test_a_file_is_read_as_soon_as_it_is_chosen_and_stays_chosen(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/bulk/paste")
    page.watched.allowed_statuses.add(422)
    rows = "".join(f"<a{number}@mx.example>;Subject {number}\n" for number in range(1200))
    page.get_by_label("Or a file").set_input_files(
        {"name": "list.csv", "mimeType": "text/csv", "buffer": f"Message-ID;Subject\n{rows}".encode()}
    )

    read = page.locator("#recognised")
    expect(read.get_by_label("1,200 Message-IDs")).to_be_checked()
    expect(read).to_contain_text("taken from Message-ID")
    read.get_by_label("1,200 Message-IDs").uncheck()
    page.get_by_role("button", name="Find the messages").click()

    expect(read.get_by_role("alert")).to_contain_text("Tick at least one kind")
    expect(read.get_by_role("alert")).to_be_focused()
    assert page.get_by_label("Or a file").input_value().endswith("list.csv")
    page.mouse.move(0, 0)
    check(page, "nothing ticked")
    page.watched.faults[:] = [fault for fault in page.watched.faults if "Response Status Error Code 422" not in fault]
