"""Saved views by hand and by key: saved with s, opened with a digit, counted while a list is open, changed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from investigate.models import SavedView, ViewHit
from tests.browser import live
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def emailsec(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=200, seed=11) as simulator:
        yield simulator


def saved(owner: Member, name: str, query: str, **values: Any) -> SavedView:
    now = timezone.now() - dt.timedelta(hours=1)
    return SavedView.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, name=name, query=query, owner=owner, owner_name="Ana",
        created_at=now, changed_at=now, **values,
    )  # fmt: skip


def found(view: SavedView, number: int) -> None:
    now = timezone.now()
    ViewHit.objects.bulk_create(
        ViewHit(view=view, investigate_id=f"id-{view.pk}-{one}", scanned_at=now, found_at=now) for one in range(number)
    )


def no_sideways_scroll(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_views_are_saved_and_switched_by_key_and_their_counts_renew_themselves(
    live_server: Any, emailsec: Simulator, ana: Member, open_page: OpenPage
) -> None:
    page = open_page(live.desk(live_server))
    page.goto("/investigate/?last=30d&disposition=SPAM")
    page.locator("#rows .open").first.focus()
    page.keyboard.press("s")
    page.get_by_label("Name").fill("Spam of a month")
    page.keyboard.press("Enter")

    expect(page.locator("#views [aria-current]")).to_have_text("Spam of a month")
    other = saved(ana, "Held back", "status=quarantined&last=30d")
    found(other, 14)
    page.goto("/investigate/?last=24h")
    chip = page.locator("#views").get_by_role("link", name="Held back")
    expect(chip).to_contain_text("14 new")
    found(saved(ana, "Later", "last=7d"), 1)
    ViewHit.objects.filter(view=other, investigate_id__endswith="-0").delete()
    page.clock.install()
    page.reload()
    ViewHit.objects.filter(view=other, investigate_id__endswith="-1").delete()
    expect(chip).to_contain_text("13 new")
    page.clock.run_for(16_000)
    expect(chip).to_contain_text("12 new")

    page.keyboard.press("2")
    page.wait_for_url(re.compile(f"view={other.pk}"))
    expect(page.locator("#views [aria-current]")).to_contain_text("Held back")
    page.keyboard.press("1")
    expect(page.locator("#views [aria-current]")).to_contain_text("Spam of a month")
    expect(page.locator("#views").get_by_role("link", name="Held back")).not_to_contain_text("new")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="View: Held back 2")).to_be_visible()


def test_other_filters_are_said_until_they_are_saved_or_given_up(
    live_server: Any, emailsec: Simulator, ana: Member, open_page: OpenPage
) -> None:
    view = saved(ana, "Spam", "disposition=SPAM&last=30d")
    page = open_page(live.desk(live_server))
    page.goto(f"/investigate/?view={view.pk}")
    expect(page.locator("#changed-view")).to_have_count(0)
    page.locator("#filter-line").fill("is:bulk last:30d")
    page.keyboard.press("Enter")

    expect(page.locator("#changed-view")).to_be_visible()
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page.locator("#filter-line")).to_have_value("is:spam last:30d")
    page.get_by_role("link", name="last 7 days").click()
    page.locator("#changed-view").get_by_role("button", name="Save").click()
    expect(page.locator("#changed-view")).to_have_count(0)
    view.refresh_from_db()
    assert view.query == "disposition=SPAM&last=7d"


@pytest.mark.parametrize("width", [1440, 390])
def test_a_view_shows_its_own_columns_and_a_message_opens_from_them(
    live_server: Any, emailsec: Simulator, ana: Member, open_page: OpenPage, width: int
) -> None:
    view = saved(ana, "Who", "last=30d", columns=["subject", "to", "where", "us"])
    for number in range(12):
        saved(ana, f"A view with a rather long name, number {number}", "last=7d")
    page = open_page(live.desk(live_server), width=width)
    page.goto(f"/investigate/?view={view.pk}")

    cells = page.locator("#rows tr[data-id]").first.locator("td:not(.c-tick)")
    assert [cell.split()[0] for cell in cells.evaluate_all("all => all.map((one) => one.className)")] == [
        "c-subject", "c-to", "c-where", "c-us",
    ]  # fmt: skip
    no_sideways_scroll(page)
    page.locator("#rows .open").first.click()
    expect(page.locator(".message")).to_be_visible()
    if width == 1440:
        edges = [page.locator(".own [data-id] .c-where").nth(number).bounding_box() for number in (0, 4)]
        head = page.locator(".own thead .c-where").bounding_box()
        assert len({round(edge["x"]) for edge in (*edges, head) if edge}) == 1, "the columns stand below one another"
    page.goto("/investigate/views/")
    no_sideways_scroll(page)
    page.goto(f"/investigate/views/{view.pk}/")
    no_sideways_scroll(page)
