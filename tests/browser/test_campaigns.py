"""Campaigns by keyboard, in a real browser: from the list to one of them, and to one decision for all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.campaigns import advancing, following
from investigate.memory.remembering import remember
from investigate.models import BulkJob, CampaignBy, CampaignMember, FollowMode, JobInput, MemberState
from tests.browser import live
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LIST = "/investigate/campaigns/?last=30d"


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=300, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


def _remember(simulator: Simulator, edf: str, number: int, **more: Any) -> list[str]:
    """So many delivered messages become alike, and known; `more` is what is different about them."""
    records = [
        record
        for record in simulator.store.records
        if record.final_disposition in ("SUSPICIOUS", "SPAM", "SPOOF")
        and not record.is_quarantined
        and not record.is_phish_submission
        and not (record.edf_hash or "").startswith("edf-t")
    ][:number]
    for record in records:
        record.edf_hash = edf
    remember([msgspec.structs.replace(get_client().message(record.id), **more) for record in records])
    return [record.id for record in records]


@pytest.fixture
def page(simulator: Simulator, ana: Member, live_server: Any, open_page: OpenPage) -> Page:
    _remember(simulator, "edf-t1", 4)
    _remember(simulator, "edf-t2", 2)
    return open_page(live.desk(live_server))


def _is_sound(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    found = Axe().run(page).response["violations"]
    assert not found, [(one["id"], [node["target"] for node in one["nodes"][:3]]) for one in found]


def test_from_the_list_to_a_rehearsal_by_keyboard(page: Page) -> None:
    page.goto(LIST)
    rows = page.locator("#rows tr[data-id]")
    expect(rows).to_have_count(2)
    _is_sound(page)

    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.locator(".sentence")).to_contain_text(re.compile(r"^4 messages (\(\d+ copies\) )?to"))
    expect(page.locator("#selected")).to_have_text("4 selected")
    page.locator("#results").scroll_into_view_if_needed()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("#selected")).to_have_text("3 selected")
    page.keyboard.press("!")
    page.wait_for_url(re.compile("/investigate/bulk/"))
    job = BulkJob.objects.get()
    assert (job.kind, job.destination) == ("move", "JunkEmail")
    assert len(JobInput.objects.get().terms) == 3


def test_those_who_come_later_are_left_out_by_one_key(page: Page, ana: Member, simulator: Simulator) -> None:
    rule = following.follow(
        actor=ana, by=CampaignBy.FINGERPRINT, key="edf-t1", title="", mode=FollowMode.OFFER, kind="move",
        destination="JunkEmail", reason="ticket 4711", hours=2, most=5, operation_key="k" * 32, request=None,
    )  # fmt: skip
    _remember(simulator, "edf-t1", 2, scanned_at=timezone.now())
    advancing.step(rule.pk)
    page.goto(LIST)
    expect(page.locator("#rows")).to_contain_text("2 later copies wait")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#waiting")).to_contain_text("2 later copies wait.")
    expect(page.locator("#selected")).to_have_text("6 selected")  # the scripts listen

    page.keyboard.press("n")

    expect(page.locator("#waiting")).to_have_count(0)
    assert set(CampaignMember.objects.values_list("state", flat=True)) == {MemberState.LEFT}


def test_on_a_phone_nothing_scrolls_sideways(
    simulator: Simulator, ana: Member, live_server: Any, open_page: OpenPage
) -> None:
    _remember(simulator, "edf-t1", 4)
    page = open_page(live.desk(live_server), width=390)
    page.goto(LIST)
    _is_sound(page)
    page.locator("#rows .open").click()
    expect(page.locator(".sentence")).to_be_visible()
    page.locator(".follow > summary").click()
    page.locator(".people > summary").click()
    _is_sound(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")  # no colour is looked at on its way to another
    _is_sound(page)
