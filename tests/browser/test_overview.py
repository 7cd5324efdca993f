"""The overview in a real browser: without colour, by keyboard, on paper, on a phone, and while it renews itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.utils import timezone
from msgspec import structs
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.access.scope import spaced
from dashboard.emailsec.requests import SearchQuery
from dashboard.overview import monthly
from dashboard.overview.models import Snapshot
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.desk import cases
from investigate.memory.remembering import remember
from investigate.models import Case, CaseSource, CaseState, OwnVerdict, SeenSubmission
from tests.browser import live
from tests.browser.live import OpenPage
from tests.browser.looks import TARGETS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
# What the page does by itself once a minute.
RENEW = """() => { window.htmx.ajax("GET", "/overview/figures?range=30d",
  { source: "#figures", target: "#figures", swap: "outerHTML" }); }"""
OUTCOMES = ["SPAM", "SPAM", "SPAM", "BULK", ""]  # of requests for Spam: accepted, rejected, open


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=500, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


@pytest.fixture
def mail(ana: Member, simulator: Simulator) -> None:
    """A month's detections, some of them on the desk, submissions with all outcomes, and the monthly report."""
    now = timezone.now()
    page: Any = get_client().search(
        SearchQuery(start=now - dt.timedelta(days=30), end=now, detections_only=True), per_page=1000
    )
    while not hasattr(page, "messages"):
        page = get_client().poll_search(page.location)
    remember(page.messages)
    remember(structs.replace(one, scanned_at=now - dt.timedelta(minutes=5)) for one in page.messages[:3])
    for number, message in enumerate(page.messages[:12]):
        cases.ensure(message, CaseSource.DETECTION)
        if number % 3:
            verdict = OwnVerdict.FALSE_POSITIVE if number % 2 else OwnVerdict.TRUE_POSITIVE
            Case.objects.filter(key=message.id).update(
                state=CaseState.DONE, done_at=now, done_by="Ana", verdict=verdict, verdict_at=now, version=2
            )
    SeenSubmission.objects.bulk_create(
        SeenSubmission(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, submission_id=f"s-{number}", type="TEAM", requested="SPAM",
            original="NONE", outcome=outcome, requested_at=now - dt.timedelta(hours=5 + number),
            first_seen_at=now - dt.timedelta(hours=5), seen_at=now, domains=spaced(["bea@corp.example"]),
            outcome_seen_at=now - dt.timedelta(hours=number) if outcome else None,
        )
        for number, outcome in enumerate(OUTCOMES)
    )  # fmt: skip
    monthly.read()


@pytest.fixture
def open_overview(mail: None, live_server: Any, open_page: OpenPage) -> OpenPage:
    def open_(**options: Any) -> Page:
        page = open_page(live.desk(live_server), reduced_motion="reduce", **options)
        page.goto("/?range=30d")
        expect(page.locator("#volume svg.columns")).to_be_visible()
        return page

    return open_


def violations(page: Page) -> list[str]:
    found = Axe().run(page)
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:3]]}"
        for one in found.response["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_every_target_is_large_enough(open_overview: OpenPage, scheme: str) -> None:
    page = open_overview(color_scheme=scheme)
    page.locator("#volume-table summary").click()

    assert not violations(page)
    assert not page.evaluate(TARGETS)


def test_the_page_opens_before_anything_is_counted_and_the_figures_come_by_themselves(
    mail: None, live_server: Any, open_page: OpenPage
) -> None:
    page = open_page(live.desk(live_server), reduced_motion="reduce")
    seen = live.requested(page.context)
    page.goto("/")

    expect(page.locator("#volume svg.columns")).to_be_visible()
    expect(page.locator("#figures")).not_to_have_attribute("aria-busy", "true")
    asked = [url for url in seen if "/overview/figures" in url]
    assert len(asked) == 1
    page.get_by_role("link", name="24 h").click()
    page.wait_for_url("**/?range=24h")
    expect(page.locator("#figures [aria-current]")).to_have_text("24 h")


def test_figures_that_come_anew_close_no_table_and_take_no_link_from_under_the_focus(open_overview: OpenPage) -> None:
    page = open_overview()
    page.locator("#volume-table summary").click()
    page.evaluate("() => document.activeElement.blur()")
    Snapshot.objects.update(made_at=timezone.now() - dt.timedelta(minutes=9))

    with page.expect_response("**/overview/figures**"):
        page.evaluate(RENEW)
    expect(page.locator("#figures .age time")).not_to_contain_text(":")
    expect(page.locator("#volume-table")).to_have_attribute("open", "")

    link = page.locator("section[aria-labelledby=h-people] a").first
    link.focus()
    with page.expect_response("**/overview/figures**"):
        page.evaluate(RENEW)
    expect(link).to_be_focused()


def test_the_four_answers_are_reached_by_keyboard_and_lead_on(open_overview: OpenPage) -> None:
    page = open_overview()
    first = page.locator(".answers a").first
    name = first.inner_text()
    page.locator("#range-30d").focus()

    page.keyboard.press("Tab")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")

    page.wait_for_url("**/investigate/memory/?recipient=*")
    expect(page.get_by_label("Recipient")).to_have_value(name)


@pytest.mark.parametrize("span", ["24h", "7d", "30d"])
def test_the_words_of_the_axis_stand_apart_on_a_phone(
    mail: None, live_server: Any, open_page: OpenPage, span: str
) -> None:
    page = open_page(live.desk(live_server), reduced_motion="reduce", width=360, height=844)
    page.goto(f"/?range={span}")
    expect(page.locator("#volume svg.columns")).to_be_visible()

    ticks = page.evaluate(
        """() => [...document.querySelectorAll('#volume .tick')].filter(one => one.checkVisibility())
            .map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"""
    )

    assert len(ticks) >= 3
    assert all(before[1] + 4 <= after[0] for before, after in pairwise(ticks)), "words of the axis overlap"


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_nothing_is_cut_and_words_stay_readable(open_overview: OpenPage, width: int) -> None:
    page = open_overview(width=width, height=844)

    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('svg text')].map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 12
    scales = page.evaluate(
        "() => [...document.querySelectorAll('.bars')].map(one => new Set("
        "[...one.querySelectorAll('svg')].map(bar => Math.round(bar.getBoundingClientRect().width))).size)"
    )
    assert scales
    assert set(scales) == {1}, "bars of one list are drawn to different scales"
    assert not page.evaluate(TARGETS)


def test_in_grey_and_in_forced_colours_every_part_has_a_pattern_of_its_own(open_overview: OpenPage) -> None:
    page = open_overview(forced_colors="active")

    fills = page.evaluate(
        "() => [...document.querySelectorAll('#volume .legend rect')].map(one => one.getAttribute('fill'))"
    )
    assert len(fills) > 3
    assert len(set(fills)) == len(fills)
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('#volume .legend li')].map(one => {
            const pattern = document.querySelector(one.querySelector('rect').getAttribute('fill').slice(4, -1));
            return pattern.getAttribute('patternTransform') + pattern.innerHTML; })"""
    )
    assert len(set(drawn)) == len(drawn), "two verdicts look the same without colour"
    assert not violations(page)


def test_on_paper_the_pictures_stay_and_the_chrome_goes(open_overview: OpenPage) -> None:
    page = open_overview(color_scheme="dark")

    page.emulate_media(media="print")

    expect(page.locator(".topbar")).to_be_hidden()
    expect(page.locator("#figures .range")).to_be_hidden()
    expect(page.locator("#volume svg.columns")).to_be_visible()
    expect(page.locator("#volume-table tbody tr").first).to_be_visible()  # nobody can open it on paper
    ground = page.evaluate("() => getComputedStyle(document.querySelector('#p-spoof .ground')).fill")
    assert ground == "rgb(255, 255, 255)"
