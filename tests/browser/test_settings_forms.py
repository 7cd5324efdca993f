"""The forms of the settings as people use them: typing, trying, dangers, two at one entry, removing and undoing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PASSWORD, Desk

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
LIST = "/settings/allow-policies/"
# A policy manager with time to undo: the others of this installation have one second.
MARA = f"""
from dashboard.access.models import Member
from dashboard.access.roles import Role
if not Member.objects.filter(username="mara").exists():
    mara = Member(username="mara", first_name="Mara", email="mara@mailwarden.example", undo_seconds=30)
    mara.role = Role.POLICY_MANAGER
    mara.set_password("{PASSWORD}")
    mara.save()
"""


@pytest.fixture(scope="module")
def mara(desk: Desk) -> str:
    desk.stack.manage("shell", "--verbosity", "0", "--command", MARA)
    return "mara"


def form_of(page: Page) -> Locator:
    return page.locator("#entry-form form")


def entries(desk: Desk) -> dict[str, str]:
    """What the simulated service was asked to carry out on allow policies: id -> last verb."""
    done = [one for one in desk.simulator("ledger") if one["detail"].get("resource") == "allow_policies"]
    return {one["detail"]["id"]: one["kind"] for one in done}


def make(page: Page, pattern: str) -> None:
    """A harmless entry, on the form's own page."""
    page.goto(f"{LIST}new?pattern={pattern}&is_acceptable_sender=true")
    form_of(page).locator("[data-save]").click()
    expect(page.locator(".receipt")).to_contain_text("Done")


def row(page: Page, pattern: str) -> Locator:
    return page.locator("#entries tr[data-id]", has_text=pattern)


def test_an_entry_is_made_by_keyboard_beside_the_list(desk: Desk, open_page: OpenPage, mara: str) -> None:
    page = open_page(desk, member=mara)
    page.goto(LIST)
    page.keyboard.press("c")
    pattern = form_of(page).get_by_label("Pattern", exact=True)
    expect(pattern).to_be_focused()

    page.keyboard.type("keyboard@supplier.example")
    expect(page.locator("#try")).to_contain_text("Would have matched", timeout=60_000)
    expect(pattern).to_be_focused()
    form_of(page).get_by_label("Acceptable sender").press("Space")
    page.keyboard.press("Control+Enter")

    expect(page.locator("#entry .receipt")).to_contain_text("Done")
    expect(page.locator("#status")).to_contain_text("keyboard@supplier.example")
    expect(row(page, "keyboard@supplier.example")).to_have_count(1)


def test_nothing_stands_below_a_pattern_that_is_not_typed_yet(desk: Desk, open_page: OpenPage, mara: str) -> None:
    page = open_page(desk, member=mara)
    with page.expect_response(lambda answer: answer.url.endswith("/try")):
        page.goto(f"{LIST}new")
    expect(form_of(page).get_by_label("Pattern", exact=True)).to_be_visible()
    expect(page.locator("#try.htmx-request")).to_have_count(0)
    expect(page.locator("#try")).to_be_hidden()

    form_of(page).get_by_label("Pattern", exact=True).fill("evil@lures.example")
    expect(page.locator("#try")).to_contain_text("Would have matched", timeout=60_000)


def test_what_is_wrong_takes_the_focus_and_leads_to_its_field(desk: Desk, open_page: OpenPage, mara: str) -> None:
    page = open_page(desk, member=mara)
    page.watched.allowed_statuses.add(422)
    page.goto(f"{LIST}new")
    form_of(page).get_by_label("Pattern", exact=True).fill("no address")
    form_of(page).get_by_label("Comments").fill("x" * 2000)
    form_of(page).locator("[data-save]").click()

    summary = page.locator("#entry-form .errors")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Comments").click()
    expect(form_of(page).get_by_label("Comments")).to_be_focused()
    expect(form_of(page).get_by_label("Comments")).to_have_value("x" * 2000)
    expect(form_of(page).get_by_label("Pattern", exact=True)).to_have_value("no address")


def test_a_danger_takes_a_click_on_its_own_button(desk: Desk, open_page: OpenPage, mara: str) -> None:
    page = open_page(desk, member=mara)
    page.watched.allowed_statuses.add(422)
    before = entries(desk)
    page.goto(f"{LIST}new?pattern=gmail.com&pattern_type=DOMAIN&is_acceptable_sender=true")
    form_of(page).locator("[data-save]").click()
    expect(page.locator(".dangers")).to_contain_text("Nothing is saved yet.", timeout=20_000)

    for press in ("Enter", "Control+Enter"):
        with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith("/new")):
            form_of(page).get_by_label("Pattern", exact=True).press(press)
        expect(page.locator(".dangers")).to_be_visible()
    assert entries(desk) == before

    page.get_by_role("button", name=re.compile("gmail.com")).click()
    expect(page.locator(".receipt")).to_contain_text("Done")
    assert len(entries(desk)) == len(before) + 1


def test_two_at_one_entry_both_see_both_and_one_chooses(desk: Desk, open_page: OpenPage, mara: str) -> None:
    mine = open_page(desk, member=mara)
    mine.watched.allowed_statuses |= {409, 422}
    make(mine, "two@supplier.example")
    mine.get_by_role("link", name="Look at it").click()
    mine.get_by_role("link", name=re.compile("^Edit")).click()
    expect(form_of(mine)).to_be_visible()
    theirs = open_page(desk, member="pia")
    theirs.goto(mine.url)
    form_of(theirs).get_by_label("Comments").fill("what Pia wrote")
    form_of(theirs).get_by_label("Exempt recipient").check()
    form_of(theirs).get_by_label("Only mail that proves its sender").focus()
    theirs.watched.allowed_statuses.add(422)
    form_of(theirs).locator("[data-save]").click()
    if theirs.locator(".dangers, .receipt").first.get_attribute("class") != "receipt stack":
        theirs.locator(".dangers button").click()
    expect(theirs.locator(".receipt")).to_contain_text("Done")

    form_of(mine).get_by_label("Comments").fill("what Mara wrote")
    form_of(mine).locator("[data-save]").click()
    sides = mine.locator(".sides tbody tr")
    expect(sides).to_have_count(2)
    expect(mine.locator(".sides")).to_contain_text("what Pia wrote")
    expect(mine.locator(".sides input:checked")).to_have_count(0)
    form_of(mine).locator("[data-save]").click()
    expect(mine.locator(".errors")).to_contain_text("Choose one of the two")
    mine.get_by_label("Keep mine").check()
    mine.keyboard.press("Control+Enter")
    expect(mine.locator(".receipt")).to_contain_text("Done")

    mine.get_by_role("link", name="Look at it").click()
    expect(mine.locator(".record")).to_contain_text("what Mara wrote")
    expect(mine.locator(".record dl").nth(1)).to_contain_text("yes")


def test_a_removal_can_be_undone_and_nothing_was_sent(desk: Desk, open_page: OpenPage, mara: str) -> None:
    page = open_page(desk, member=mara)
    make(page, "undone@supplier.example")
    page.goto(LIST)
    row(page, "undone@supplier.example").locator(".open").click()
    expect(page.locator("#entry .record")).to_contain_text("undone@supplier.example")
    page.keyboard.press("d")

    expect(page.locator(".going")).to_contain_text("undone@supplier.example")
    expect(page.locator(".going")).to_contain_text("by Mara")
    page.get_by_role("button", name="Remove it").click()
    expect(page.locator(".receipt")).to_contain_text("Waiting")
    page.locator(".receipt").get_by_role("button", name="Undo").click()

    expect(page.locator("main")).to_contain_text("Undone by Mara")
    page.goto(LIST)
    expect(row(page, "undone@supplier.example")).to_have_count(1)
    assert "delete" not in entries(desk).values()


def test_forms_work_without_scripts(desk: Desk, open_page: OpenPage, mara: str) -> None:
    page = open_page(desk, member=mara, java_script_enabled=False)
    page.watched.allowed_statuses.add(422)
    page.goto(f"{LIST}new")
    form_of(page).get_by_label("Pattern", exact=True).fill("plain@supplier.example")
    form_of(page).locator("[data-save]").click()
    expect(page.locator(".errors")).to_contain_text("allows nothing")
    expect(form_of(page).get_by_label("Pattern", exact=True)).to_have_value("plain@supplier.example")

    form_of(page).get_by_label("Acceptable sender").check()
    form_of(page).locator("[data-save]").click()
    page.wait_for_url("**/settings/changes/**")
    expect(page.locator("main")).to_contain_text("plain@supplier.example")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 320])
def test_axe_finds_nothing_on_the_forms_in_any_state(
    desk: Desk, open_page: OpenPage, mara: str, scheme: str, width: int
) -> None:
    page = open_page(desk, member=mara, width=width, color_scheme=scheme, reduced_motion="reduce")
    page.watched.allowed_statuses |= {404, 409, 422}

    def check(what: str) -> None:
        found = Axe().run(page)
        assert not found.response["violations"], f"{what}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what

    for slug in ("allow-policies", "domains", "impersonation-registry", "content-policies"):
        page.goto(f"/settings/{slug}/new")
        form_of(page).locator("[data-save]").click()
        expect(page.locator("#entry-form .errors")).to_be_visible()
        check(f"{slug} with its problems")
    page.goto(f"{LIST}new?pattern=gmail.com&pattern_type=DOMAIN&is_trusted_sender=true")
    expect(page.locator("#try")).to_contain_text("matched", timeout=60_000)
    form_of(page).locator("[data-save]").click()
    expect(page.locator(".dangers")).to_be_visible()
    check("dangers")
    make(page, f"axe-{scheme}-{width}@supplier.example")
    check("the receipt")
    page.get_by_role("link", name="Look at it").click()
    edit = page.get_by_role("link", name=re.compile("^Edit")).get_attribute("href")
    page.goto(edit)
    other = page.context.new_page()
    other.goto(edit)
    form_of(other).get_by_label("Comments").fill("theirs")
    form_of(other).locator("[data-save]").click()
    expect(other.locator(".receipt")).to_contain_text("Done")
    other.close()
    form_of(page).get_by_label("Comments").fill("mine")
    form_of(page).locator("[data-save]").click()
    expect(page.locator(".sides")).to_be_visible()
    check("a conflict")
    page.goto(f"{LIST}remove?id={edit.split('/')[-2]}")
    check("a removal")
    page.goto(f"{LIST}00000000-0000-4000-8000-000000000000/edit")
    check("an entry that is gone")
