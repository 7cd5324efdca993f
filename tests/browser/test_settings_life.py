"""The life of an entry in a real browser: an owner and an end, another end, and what changed elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import start_desk
from tests.browser.settings_rooms import Account, account_behind

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
EVIL = {"pattern": "kiosk.example", "pattern_type": "DOMAIN", "is_regex": False}
WORKER = 30_000  # milliseconds for the sweep, the worker and the page's own asking together
MINUTES_PASS = """
import datetime as dt
from django.db.models import F
from settings_ui.models import Reading
Reading.objects.update(finished_at=F("finished_at") - dt.timedelta(minutes=5))
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with ExitStack() as resources:
        desk = start_desk(
            tmp_path_factory.mktemp("life"),
            simulator=["--messages", "50", "--seed", "5"],
            env={"MAILWARDEN_SWEEP_SECONDS": "1"},
            resources=resources,
        )
        yield resources.enter_context(account_behind(desk, "current"))


def axe_finds_nothing(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def day(days: int) -> dt.date:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).date()


def shown(one: dt.date) -> str:
    return f"{one.day} {one:%b %Y}"


def keep(page: Page, **what: str) -> None:
    life = page.locator("#life")
    life.get_by_text("Change owner, reason or end").click()
    for label, value in what.items():
        control = life.get_by_label(label.replace("_", " "), exact=True)
        if label == "Owner":
            control.select_option(label=value)
        else:
            control.fill(value)
    axe_finds_nothing(page)
    life.get_by_role("button", name="Keep").click()


def test_an_entry_made_elsewhere_gets_an_owner_and_an_end_that_can_be_moved(
    account: Account, open_page: OpenPage
) -> None:
    entry_id = account.add("block_senders", EVIL)
    page = open_page(account.desk, member="pia")
    page.goto(f"/settings/block-senders/{entry_id}/")
    life = page.locator("#life")
    expect(life.locator("dd").first).to_have_text("nobody")

    keep(page, Owner="Pia Lindqvist", Ticket="SOC-7", Reason="phishing wave", Ends_on=f"{day(3)}")
    expect(life).to_contain_text("ends in 3 days")
    expect(life).to_contain_text("phishing wave")
    expect(page.locator("#status")).to_contain_text("Kept. It ends in 3 days.")

    page.watched.allowed_statuses |= {422}
    page.locator("#life-ends_on").evaluate("one => one.removeAttribute('min')")  # what the browser would not send
    keep(page, Ends_on="2020-01-01")
    expect(life.get_by_role("alert")).to_contain_text("over already")
    expect(life.get_by_label("Reason")).to_have_value("phishing wave")
    life.get_by_label("Ends on").fill(f"{day(40)}")
    life.get_by_role("button", name="Keep").click()
    expect(life).to_contain_text(shown(day(40)))
    expect(life).to_contain_text("ends in 40 days")
    assert account.state("block_senders")[entry_id]["pattern"] == "kiosk.example"
    assert [one["id"] for one in account.done("block_senders", "patch")] == [], "nothing was sent"

    page.goto("/settings/block-senders/?open=" + entry_id)
    expect(page.locator("#entry #life")).to_contain_text(shown(day(40)))
    axe_finds_nothing(page)


def test_what_changed_elsewhere_is_seen_at_the_next_reading(account: Account, open_page: OpenPage) -> None:
    page = open_page(account.desk, member="pia")
    page.emulate_media(reduced_motion="reduce")  # a colour that fades has no contrast yet
    page.goto("/settings/observed/")
    blocked = page.locator("#block-senders + *")
    expect(blocked).to_contain_text("As of", timeout=WORKER)
    expect(page.locator("#observed[hx-trigger]")).to_have_count(0, timeout=WORKER)
    elsewhere = account.add("block_senders", EVIL | {"pattern": "elsewhere.example"})
    account.edit("block_senders", elsewhere, {"comments": "by hand"})

    page.get_by_role("button", name="Read again now").click()
    expect(page.locator("#observed")).to_contain_text("within the last minute")
    account.desk.stack.manage("shell", "-c", MINUTES_PASS)
    page.get_by_role("button", name="Read again now").click()

    row = page.locator("tr", has_text="elsewhere.example")
    expect(row).to_contain_text("added", timeout=WORKER)
    expect(row).to_contain_text("elsewhere")
    expect(page.get_by_role("button", name="Read again now")).to_be_enabled(timeout=WORKER)
    axe_finds_nothing(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    axe_finds_nothing(page)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    row.get_by_role("link", name="elsewhere.example").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("elsewhere.example")
