"""The team in a browser: invite, join from elsewhere, and see what the new role may see; change it, and see less."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk
from tests.browser.looks import TARGETS, violations

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
SECRET = "nine lamps over water"


def rooms(page: Page) -> list[str]:
    return [one.split("\n")[0].strip() for one in page.locator("nav.wide a").all_inner_texts()]


def test_a_newcomer_joins_by_the_link_and_sees_what_the_role_may_see(desk: Desk, open_page: OpenPage) -> None:
    admin = open_page(desk, member="ada")
    admin.goto("/team/")
    admin.get_by_role("link", name="Invite", exact=True).click()
    admin.get_by_label("E-mail address").fill("nora@corp.example")
    admin.get_by_label("Role").select_option(label="Analyst")
    admin.get_by_role("button", name="Make the link").click()
    link = admin.get_by_label("The link, shown only now").input_value()

    newcomer = open_page(desk, member=None)
    newcomer.goto(link)
    expect(newcomer.get_by_text("invites nora@corp.example as Analyst")).to_be_visible()
    assert violations(newcomer) == []
    newcomer.get_by_label("User name").fill("nora")
    newcomer.get_by_label("Name", exact=True).fill("Nora Lind")
    newcomer.get_by_label("Password", exact=True).fill(SECRET)
    newcomer.get_by_label("Password again").fill(SECRET)
    newcomer.get_by_role("button", name="Join and sign in").click()
    newcomer.wait_for_url("**/investigate/**")
    assert "Audit" not in rooms(newcomer)
    newcomer.goto("/team/")
    expect(newcomer.get_by_role("row", name="Nora Lind")).to_contain_text("Analyst")
    expect(newcomer.get_by_role("link", name="Invite", exact=True)).to_have_count(0)

    admin.goto("/team/")
    admin.get_by_role("link", name="Nora Lind").click()
    admin.get_by_label("Role").select_option(label="Auditor")
    admin.get_by_role("button", name="See what changes").click()
    expect(admin.get_by_text("Nora Lind gains the right to read the audit trail.")).to_be_visible()
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Saved.")).to_be_visible()

    newcomer.goto("/team/")  # the change ended this session
    newcomer.get_by_label("User name").fill("nora")
    newcomer.get_by_label("Password", exact=True).fill(SECRET)
    newcomer.get_by_role("button", name="Sign in", exact=True).click()
    newcomer.wait_for_url("**/team/")
    expect(newcomer.get_by_role("row", name="Nora Lind")).to_contain_text("Auditor")


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_rooms_pages_are_in_order(desk: Desk, open_page: OpenPage, width: int, scheme: str) -> None:
    page = open_page(desk, member="ada", width=width, color_scheme=scheme)
    page.goto("/team/")
    member = page.get_by_role("link", name="Ben Okafor").get_attribute("href") or ""

    for path in ("/team/", "/team/roles/", "/team/roles/new/", "/team/invitations/", "/team/invitations/new/", member):
        page.goto(path)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert page.evaluate(TARGETS) == [], path
