"""A job from its beginning to its decision, with a real worker that collects."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk
from tests.browser.looks import TARGETS, violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db]

BEGIN = """values => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: "/investigate/bulk/new" });
  values.csrfmiddlewaretoken = document.querySelector("meta[name=csrf]").content;
  for (const [name, value] of Object.entries(values)) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}"""


def begin(page: Page, query: str, what: str = "move:JunkEmail") -> None:
    page.goto("/investigate/actions/")
    page.evaluate(BEGIN, {"operation_key": uuid.uuid4().hex, "what": what, "source": "search", "query": query})
    page.wait_for_url(re.compile(r"/investigate/bulk/[0-9a-f-]{36}/$"))


def test_a_page_left_open_shows_the_end_of_its_job(desk: Desk, open_page: Any) -> None:
    page = open_page(desk)
    begin(page, "last=30d&disposition=SPAM")
    page.get_by_label("Why, or the ticket").fill("ticket 4711", timeout=25_000)
    page.locator("#decide button").click()
    expect(page.locator("#messages tbody .state", has_text="queued").first).to_be_visible()
    expect(page.locator("#about form.again")).to_have_count(0)

    expect(page.locator("#about form.again")).to_be_visible(timeout=40_000)
    expect(page.locator("#about .facts")).to_contain_text("Ended")
    expect(page.locator("#messages tbody .state", has_text="queued")).to_have_count(0)
    expect(page.locator("#list-news")).to_be_empty()


def test_a_slow_search_becomes_a_rehearsal_under_the_eyes_and_is_decided(desk: Desk, open_page: Any) -> None:
    page = open_page(desk)
    page.watched.allowed_statuses.add(422)
    begin(page, "last=30d&clean=1")

    expect(page.get_by_text("found so far")).to_be_visible()
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text(re.compile(r"^Move [\d,]+ messages, [\d,]+ copies, to Junk, as Ana"), timeout=15_000)
    expect(page.locator("#status")).to_contain_text("Nothing is sent yet.")

    shown = page.locator(".sample a").all_text_contents()
    page.get_by_role("link", name="Ten others").click()
    expect(page.locator(".sample a").first).not_to_have_text(shown[0])

    page.get_by_label("Why, or the ticket").fill("x    ")
    page.locator("#decide button").click()
    expect(page.locator("#decide .errors")).to_be_focused()
    page.get_by_label("Why, or the ticket").fill("ticket 4711")
    page.locator("#decide button").click()
    expect(page.locator("#progress")).to_be_visible()
    expect(page.get_by_text("ticket 4711")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("Done", timeout=60_000)  # it holds mail of other tests till then


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "light"), (320, "light")])
def test_a_rehearsal_fits_and_axe_finds_nothing(desk: Desk, open_page: Any, width: int, theme: str) -> None:
    page = open_page(desk, width=width, color_scheme=theme)
    begin(page, "last=30d&clean=1")
    expect(page.get_by_text("found so far")).to_be_visible()
    found = violations(page)
    expect(page.locator("#decide")).to_be_visible(timeout=15_000)
    page.locator("details.other summary").click()
    found += violations(page)

    assert not found, "\n".join(found)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TARGETS) == []
