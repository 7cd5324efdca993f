"""Submissions in a real browser: the list by keyboard, escalate, answer, report as missed; small screens and axe."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from investigate.actions.sending import send
from investigate.models import Action, ActionState, SubmissionAnswer
from tests.browser import live
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
URL = "/investigate/submissions/"


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=400, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


@pytest.fixture
def refused(simulator: Simulator) -> Any:
    """A request of the team that Cloudflare answered with another verdict."""
    entry = next(
        entry for entry in simulator.submissions.submissions.values() if entry.by_team and entry.record.message_id
    )
    entry.decided_at = entry.requested_at + 60
    entry.outcome_disposition = "SPAM" if entry.requested_disposition == "NONE" else "NONE"
    return entry


@pytest.fixture
def report(simulator: Simulator) -> Any:
    return next(entry for entry in simulator.submissions.submissions.values() if not entry.by_team)


@pytest.fixture
def page(ana: Member, simulator: Simulator, live_server: Any, open_page: OpenPage) -> Page:
    return open_page(live.desk(live_server), reduced_motion="reduce")


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def open_row(page: Page, submission_id: str) -> None:
    """Go down with j until it is open beside the list, with the message it is about."""
    pane = page.locator(f'#detail:not([aria-busy]) > .submission[data-id="{submission_id}"]')
    number = page.locator("#rows tr").evaluate_all(
        "(rows, id) => rows.findIndex((row) => row.dataset.id === id)", submission_id
    )
    for _ in range(number + 1):
        page.keyboard.press("j")
    expect(pane.locator("#original h2").first).to_be_visible()


def sent(action: Action) -> Action:
    """What a worker does once the time to undo is over."""
    Action.objects.filter(pk=action.pk).update(due_at=timezone.now() - dt.timedelta(seconds=1))
    send(action.pk)
    connection.close()
    return Action.objects.get(pk=action.pk)


def test_the_list_is_filtered_by_keyboard_and_says_so_in_its_address(page: Page, simulator: Simulator) -> None:
    page.goto(f"{URL}?type=USER")
    expect(page.locator("#rows tr").first).to_be_visible()
    shot(page, "users-1440")
    page.keyboard.press("/")
    page.keyboard.type("no such words at all")
    page.keyboard.press("Enter")
    page.wait_for_url("**query=no**")

    expect(page.locator("#results .empty")).to_contain_text("No submission matches.")
    page.get_by_role("link", name="without Words").click()
    expect(page.locator("#rows tr").first).to_be_visible()


def test_a_report_is_escalated_and_undone_by_keyboard(page: Page, report: Any) -> None:
    page.goto(f"{URL}?type=USER")
    open_row(page, report.submission_id)
    shot(page, "report-1440")

    page.keyboard.press("5")
    expect(page.get_by_role("radio", name="Bulk")).to_be_checked()
    page.keyboard.press("Shift+C")

    state = page.locator("#original .state")
    expect(state).to_contain_text("waiting")
    page.keyboard.press("z")
    expect(page.get_by_role("button", name="Escalate")).to_be_visible()
    assert Action.objects.get().state == ActionState.CANCELLED


def test_what_is_escalated_is_sent_with_the_reports_id(page: Page, report: Any) -> None:
    page.goto(f"{URL}{report.submission_id}/")
    page.get_by_role("radio", name="Bulk").check()
    page.get_by_role("button", name="Escalate").click()
    expect(page.locator("#original .state")).to_contain_text("waiting")

    assert sent(Action.objects.get()).state == ActionState.DONE
    assert report.escalated_as == "BULK"


def test_a_report_is_answered_on_our_side(page: Page, report: Any) -> None:
    page.goto(f"{URL}?type=USER")
    open_row(page, report.submission_id)
    page.keyboard.press("t")
    page.get_by_label("Our verdict").select_option("graymail")
    page.get_by_label("What we found").fill("their own newsletter")
    page.get_by_role("button", name="Answer").click()

    expect(page.locator("#detail .facts .ours")).to_have_text("Graymail")
    assert SubmissionAnswer.objects.get().text == "their own newsletter"


def test_what_was_refused_is_reported_as_missed_with_its_file(page: Page, refused: Any) -> None:
    page.goto(URL)
    open_row(page, refused.submission_id)
    page.get_by_role("link", name="Report as missed detection").click()
    panel = page.locator("#missed")
    expect(panel).to_contain_text("Its raw file goes along")
    shot(page, "missed-1440")
    page.get_by_role("button", name="Report as missed detection").click()
    expect(page.locator("#missed .state")).to_contain_text("waiting")

    action = sent(Action.objects.get())
    assert (action.state, action.request["type"]) == (ActionState.DONE, "missed_detection")
    assert action.request["eml_sha256"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, ana: Member, report: Any, refused: Any, theme: str) -> None:
    Member.objects.filter(pk=ana.pk).update(theme=theme)
    page.goto(f"{URL}?type=BOTH&last=90d&open={refused.submission_id}")
    expect(page.locator("#detail #original h2").first).to_be_visible()
    page.get_by_text("By analyst, sender and reason").click()
    page.get_by_text("Filters", exact=True).click()
    shot(page, f"all-{theme}-1440")
    violations = Axe().run(page).response["violations"]
    page.goto(f"{URL}{report.submission_id}/")
    expect(page.locator("#original h2").first).to_be_visible()
    shot(page, f"own-{theme}-1440")

    violations += Axe().run(page).response["violations"]
    assert not violations, violations


def test_a_narrow_screen_scrolls_in_one_direction(page: Page, ana: Member, report: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for address in (URL, f"{URL}?type=USER", f"{URL}{report.submission_id}/"):
        page.goto(address)
        if address.endswith(f"{report.submission_id}/"):
            expect(page.locator("#original h2").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        shot(page, f"narrow-{len(address)}")
    Member.objects.filter(pk=ana.pk).update(theme="dark")
    page.goto(URL)
    shot(page, "narrow-dark")
