"""The desk by keyboard, in a real browser: take, note, verdict, done, and the next one opens by itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.desk import cases, notes
from investigate.models import Case, CaseSource, CaseState, Mention, Note, OwnVerdict
from tests.browser import live
from tests.browser.conftest import PASSWORD
from tests.browser.live import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
QUEUE = "/investigate/queue/?list=unclaimed"


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=300, seed=4, arrival_interval=0.0) as simulator:
        yield simulator


@pytest.fixture
def ben(transactional_db: None) -> Member:
    return Member.objects.create_user("ben", "ben@corp.example", PASSWORD, role=Role.RESPONDER, first_name="Ben")


@pytest.fixture
def waiting(simulator: Simulator) -> list[Case]:
    """Five cases in the order of the list."""
    records = [record for record in simulator.store.records if record.final_disposition == "SUSPICIOUS"][:5]
    for record in records:
        cases.ensure(get_client().message(record.id), CaseSource.DETECTION)
    return list(Case.objects.order_by("due_at", "pk"))


@pytest.fixture
def page(ana: Member, ben: Member, waiting: list[Case], live_server: Any, open_page: OpenPage) -> Page:
    page = open_page(live.desk(live_server))
    page.goto(QUEUE)
    return page


def row(page: Page, case: Case) -> Locator:
    return page.locator(f'#rows tr[data-id="{case.key}"]')


def opened(page: Page, case: Case) -> Locator:
    """The message beside the list, once it is this one and there."""
    expect(page.locator("#detail:not([aria-busy]) > .message")).to_have_attribute("data-id", case.key)
    return page.locator("#detail #case-bar")


def stored(case: Case) -> Case:
    connection.close()  # this thread's connection; the server wrote on its own
    return Case.objects.get(pk=case.pk)


def without_pointer(page: Page) -> None:
    """Any use of the mouse from now on is an error."""
    page.evaluate(
        "() => addEventListener('pointerdown', (event) => event.isTrusted && console.error('a pointer was used'))"
    )


def test_a_case_is_worked_off_by_keyboard_alone_and_the_next_one_opens(
    page: Page, waiting: list[Case], ben: Member
) -> None:
    first, second, third, *_ = waiting
    cases.take(actor=ben, case=second, request=None)
    without_pointer(page)

    page.keyboard.press("g")
    page.keyboard.press("q")
    page.wait_for_url("**/investigate/queue/")
    page.goto(QUEUE.replace("unclaimed", "all"))
    without_pointer(page)
    page.keyboard.press("j")
    bar = opened(page, first)

    page.keyboard.press("a")
    expect(bar).to_contain_text("You have this")
    expect(row(page, first).locator(".holder")).to_contain_text("A")

    page.keyboard.press("m")
    page.keyboard.type("looks like our printer, @b")
    expect(page.get_by_role("option", name="@ben")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.type("can you ask?")
    page.keyboard.press("Control+Enter")
    expect(bar).to_contain_text("looks like our printer, @ben can you ask?")
    expect(page.locator("#case-notes")).to_be_hidden()

    page.keyboard.press("t")
    page.keyboard.press("2")
    expect(bar).to_contain_text("false positive")

    page.keyboard.press("e")
    opened(page, third)  # the second one is Ben's
    expect(page.locator("#rows tr[data-current]")).to_have_attribute("data-id", third.key)
    expect(page.locator("#status")).to_have_text("Done. The next one opens.")
    expect(row(page, first)).to_have_attribute("data-acted", "")

    done = stored(first)
    assert (done.state, done.verdict, done.done_by) == (CaseState.DONE, OwnVerdict.FALSE_POSITIVE, "Ana")
    assert Note.objects.get().text == "looks like our printer, @ben can you ask?"
    assert Mention.objects.get().member == ben


def test_who_is_named_is_told_in_the_frame_until_they_open_the_notes(
    page: Page, waiting: list[Case], ben: Member
) -> None:
    notes.add_note(actor=ben, case=waiting[0], text="@ana can you?", operation_key="k", request=None)
    badge = page.locator("nav.wide [data-badge=queue]")
    expect(badge).to_contain_text("1 mention of you", timeout=10_000)  # with the next live update

    page.keyboard.press("j")
    bar = opened(page, waiting[0])
    expect(bar).to_contain_text("names you")
    assert not Mention.objects.exclude(seen_at=None).exists()

    page.keyboard.press("m")
    expect(badge).to_be_empty()
    expect(bar).not_to_contain_text("names you")
    assert Mention.objects.exclude(seen_at=None).exists()


@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_how_late_a_case_is_and_what_we_say_of_it_is_never_cut(
    width: int, page: Page, waiting: list[Case], ben: Member
) -> None:
    case = waiting[0]
    cases.take(actor=ben, case=case, request=None)
    cases.set_verdict(actor=ben, case=case, verdict=OwnVerdict.TRUE_POSITIVE, request=None)
    notes.add_note(actor=ben, case=case, text="sure", operation_key="k", request=None)
    long_ago = timezone.now() - dt.timedelta(days=29)
    Case.objects.filter(pk=case.pk).update(scanned_at=long_ago, due_at=long_ago)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(QUEUE.replace("unclaimed", "all"))

    expect(row(page, case).locator(".c-time")).to_have_text("29 days overdue")
    for place in (".c-time", ".c-us .ours"):
        told = row(page, case).locator(place)
        assert told.evaluate("(cell) => cell.scrollWidth <= cell.clientWidth"), f"{place} is cut"
    fits = "(cell) => cell.querySelector('.ours').getBoundingClientRect().right <= cell.getBoundingClientRect().right"
    assert row(page, case).locator(".c-us").evaluate(fits)


def test_keys_pressed_before_the_message_is_there_mean_that_message_and_no_other(
    page: Page, waiting: list[Case]
) -> None:
    first, second, *_ = waiting
    page.keyboard.press("j")
    opened(page, first)

    page.keyboard.press("j")  # the pane still shows the first one
    page.keyboard.press("a")

    bar = opened(page, second)
    expect(bar).to_contain_text("You have this")
    assert stored(first).holder_id is None
    assert stored(second).holder_id is not None


def test_what_is_typed_right_after_the_note_key_goes_into_the_note(page: Page, waiting: list[Case]) -> None:
    page.keyboard.press("j")
    opened(page, waiting[0])

    page.keyboard.press("m")
    page.keyboard.type("ead")  # each of them a key of its own

    expect(page.get_by_label("Note", exact=True)).to_have_value("ead")
    assert stored(waiting[0]).version == 1


def test_a_note_somebody_has_begun_waits_with_its_message_until_it_is_saved(page: Page, waiting: list[Case]) -> None:
    page.keyboard.press("j")
    opened(page, waiting[0])
    page.wait_for_load_state("networkidle")  # the line's script comes with the first line
    page.keyboard.press("m")
    page.keyboard.type("called the payee")

    page.keyboard.press("Escape")
    expect(row(page, waiting[0]).locator(".open")).to_be_focused()
    page.keyboard.press("j")
    opened(page, waiting[1])
    note = page.get_by_label("Note", exact=True)
    expect(note).to_have_value("")
    page.keyboard.press("k")
    opened(page, waiting[0])
    expect(note).to_be_visible()
    expect(note).to_have_value("called the payee")

    note.press("Control+Enter")
    expect(page.locator("#case-bar .newest")).to_contain_text("called the payee")
    assert Note.objects.get().text == "called the payee"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    opened(page, waiting[1])
    page.keyboard.press("k")
    opened(page, waiting[0])
    expect(note).to_have_value("")


def test_a_notice_moves_no_row(page: Page, waiting: list[Case], ben: Member) -> None:
    page.keyboard.press("j")
    opened(page, waiting[0])
    cases.take(actor=ben, case=waiting[0], request=None)
    before = row(page, waiting[0]).bounding_box()
    page.watched.allowed_statuses.add(409)  # type: ignore[attr-defined]

    page.keyboard.press("a")
    expect(page.locator("#notice")).to_contain_text("Ben has this since")
    assert row(page, waiting[0]).bounding_box() == before

    page.locator("#notice").get_by_role("button", name="Close this notice").click()
    expect(page.locator("#notice")).to_be_empty()


def test_a_colleague_who_has_it_is_named_and_can_be_relieved(page: Page, waiting: list[Case], ben: Member) -> None:
    page.keyboard.press("j")
    bar = opened(page, waiting[0])
    cases.take(actor=ben, case=waiting[0], request=None)
    page.watched.allowed_statuses.add(409)  # type: ignore[attr-defined]

    page.keyboard.press("a")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("Ben has this since")
    notice.get_by_role("button", name="Take over").click()

    expect(bar).to_contain_text("You have this")
    assert stored(waiting[0]).holder_name == "Ana"


def test_a_case_is_handed_over_and_leaves_ones_own_list(page: Page, waiting: list[Case], ben: Member) -> None:
    page.keyboard.press("j")
    bar = opened(page, waiting[0])

    page.keyboard.press("Shift+A")
    choice = page.get_by_label("Hand over to")
    expect(choice).to_be_focused()
    page.keyboard.press("B")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(bar).to_contain_text("Ben has this")
    assert stored(waiting[0]).holder == ben


def test_on_a_small_screen_done_leads_from_page_to_page(
    ana: Member, waiting: list[Case], live_server: Any, open_page: OpenPage
) -> None:
    page = open_page(live.desk(live_server), width=390, height=844)
    page.goto(QUEUE)
    row(page, waiting[0]).locator(".open").click()
    page.wait_for_url(f"**/{waiting[0].key}/?queue=unclaimed")

    page.get_by_role("button", name="Done").click()

    page.wait_for_url(f"**/{waiting[1].key}/?queue=unclaimed")
    width: int = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    page.goto(QUEUE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_desk_works_without_scripts(
    ana: Member, waiting: list[Case], live_server: Any, open_page: OpenPage
) -> None:
    page = open_page(live.desk(live_server), java_script_enabled=False)
    page.goto(QUEUE)
    row(page, waiting[0]).locator(".open").click()
    page.get_by_role("button", name="Take").click()
    expect(page.locator("#case-bar")).to_contain_text("You have this")

    page.get_by_role("link", name="Note").click()
    page.get_by_label("Note", exact=True).fill("by hand")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator("#case-bar")).to_contain_text("by hand")

    page.get_by_role("button", name="Done").click()
    page.wait_for_url(f"**/{waiting[1].key}/?queue=unclaimed")
    assert stored(waiting[0]).state == CaseState.DONE
