"""Jobs over whole installations in a real browser: rehearsed, decided, watched, stopped and mended as people do it.

What a page claims is compared with the simulator's own ledger, copy by copy.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import serve
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Desk, start_desk
from tests.browser.looks import TARGETS, violations
from tests.browser.test_main_loop import sign_in_by_keyboard, type_search

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
JOB = re.compile(r"/investigate/bulk/[0-9a-f-]{36}/$")
SOON = 40_000  # milliseconds for collecting, or for undo window, worker and poll together
CALL_SECONDS = 6
LATER = 90_000  # for a job that waits on the way
NO_POINTER = """['mousedown', 'pointerdown'].forEach(name =>
  document.addEventListener(name, event => event.isTrusted && console.error('a pointer was used'), true))"""


@pytest.fixture(scope="module")
def large_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An installation with mail for several chunks."""
    with ExitStack() as resources:
        yield start_desk(
            tmp_path_factory.mktemp("large"),
            simulator=["--messages", "3600", "--seed", "5", "--arrival-interval", "0"],
            env={"MAILWARDEN_SWEEP_SECONDS": "1", "MAILWARDEN_CALL_SECONDS": str(CALL_SECONDS)},
            resources=resources,
        )


@pytest.fixture(autouse=True)
def mended(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves a fault behind."""
    yield
    for name in {"desk", "production_desk", "large_desk"} & set(request.fixturenames):
        request.getfixturevalue(name).simulator("clear-faults", now=True)


def row_ids(page: Page) -> list[str]:
    found: list[str] = page.locator("#rows tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)")
    return found


def rehearsed(page: Page) -> Locator:
    """The title of the rehearsal, once all messages are collected."""
    page.wait_for_url(JOB)
    expect(page.locator("#decide")).to_be_visible(timeout=SOON)
    return page.get_by_role("heading", level=1)


def decide(page: Page, why: str) -> None:
    """Give the reason and let it happen, by keys."""
    page.get_by_label("Why, or the ticket").focus()
    page.keyboard.type(why)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#progress")).to_be_visible()
    page.wait_for_load_state()  # its scripts listen to keys


def state(page: Page) -> Locator:
    return page.locator("#progress > .verdicts .state")


def legend(page: Page) -> dict[str, int]:
    """The numbers beside the bar."""
    texts = page.locator("#progress .legend li").all_inner_texts()
    found = (re.fullmatch(r"([\d,]+)\s+(.+)", text.strip()) for text in texts)
    return {match[2]: int(match[1].replace(",", "")) for match in found if match}


def table(page: Page) -> list[dict[str, str]]:
    """The job's CSV, one line a copy."""
    answer = page.request.get(page.get_by_role("link", name="CSV", exact=True).get_attribute("href") or "")
    assert answer.ok
    return list(csv.DictReader(io.StringIO(answer.text())))


def carried_out(desk: Desk, kind: str, messages: set[str], *, since: int = 0) -> Counter[tuple[str, str]]:
    """How often the service did this to each copy of these messages."""
    return Counter(
        (entry["investigate_id"], entry["recipient"])
        for entry in desk.simulator("ledger")[since:]
        if entry["kind"] == kind and entry["investigate_id"] in messages
    )


def check_against_ledger(desk: Desk, page: Page, kind: str, *, since: int = 0) -> list[dict[str, str]]:
    """Page, CSV and ledger say the same, copy by copy; nothing was done twice. Answers the lines of the CSV."""
    lines = table(page)
    done = {(line["investigate_id"], line["recipient"]) for line in lines if line["state"] == "done"}
    truth = carried_out(desk, kind, {line["investigate_id"] for line in lines}, since=since)
    assert done == set(truth)
    assert set(truth.values()) <= {1}, "a copy was acted on twice"
    ends: dict[str, set[str]] = {}
    for line in lines:
        ends.setdefault(line["investigate_id"], set()).add(line["state"])
    shown = legend(page)
    assert shown["done"] == sum(states == {"done"} for states in ends.values())
    assert shown["in part"] == sum({"done", "refused"} <= states for states in ends.values())
    assert shown["refused"] == sum(states == {"refused"} for states in ends.values())
    assert (shown["unknown"], shown["open"]) == (0, 0)
    return lines


def check_screen(page: Page, what: str) -> None:
    """Axe in both themes, the size of targets, and nothing that scrolls sideways, on a desk and on a telephone."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            assert violations(page) == [], f"{what}, {theme}, {width}"
        assert page.evaluate(TARGETS) == [], f"{what}, {width}"
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, what
    page.set_viewport_size({"width": 1440, "height": 900})


def moves(desk: Desk) -> list[dict[str, Any]]:
    """Calls that moved many, whoever made them: other tests share the desk."""
    return [call for call in desk.simulator("calls") if call["operation"] == "move"]


def everything_by_keyboard(page: Page, desk: Desk) -> None:
    """A search, all of it to Junk, and its end, without touching the pointer."""
    before = len(moves(desk))
    page.context.add_init_script(NO_POINTER)
    sign_in_by_keyboard(page, desk)
    type_search(page, "is:clean status:delivered to:tarnfell.example last:7d")
    for key in ("*", "l", "!"):
        page.keyboard.press(key)

    expect(rehearsed(page)).to_have_text(re.compile(r"^Move [\d,]+ messages, [\d,]+ copies, to Junk, as Ana"))
    told = re.match(r"Move ([\d,]+) messages", page.get_by_role("heading", level=1).inner_text())
    assert told
    messages = int(told[1].replace(",", ""))
    for _ in range(60):  # as far as a person tabs: the reason is what comes before the button
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "reason":
            break
    page.keyboard.type("ticket 4711")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=f"Move {messages:,} messages")).to_be_focused()
    page.keyboard.press("Enter")

    expect(state(page)).to_contain_text("Waiting")
    assert legend(page)["open"] == messages
    expect(state(page)).to_have_text("Done", timeout=SOON)
    shown = legend(page)
    assert shown["done"] + shown["in part"] + shown["refused"] == messages
    expect(page.locator("#progress .told")).to_contain_text(f"Moved {shown['done']:,} of {messages:,} messages.")
    expect(page.locator("#status")).to_contain_text(f"Moved {shown['done']:,} of {messages:,} messages.")
    page.reload()
    lines = check_against_ledger(desk, page, "move")
    assert len({line["investigate_id"] for line in lines}) >= messages
    assert len(moves(desk)) == before + 1, "so few messages are one call"


def test_everything_a_search_finds_is_moved_by_keyboard_alone(desk: Desk, open_page: OpenPage) -> None:
    everything_by_keyboard(open_page(desk, member=None), desk)


@pytest.mark.services
def test_everything_a_search_finds_is_moved_on_postgresql_and_redis(production_desk: Desk, open_page: OpenPage) -> None:
    everything_by_keyboard(open_page(production_desk, member=None), production_desk)


def recipients_of(desk: Desk, message: str) -> list[str]:
    """To whom the service would release it."""
    answer = httpx.get(
        f"{desk.upstream}/client/v4/accounts/{serve.DEMO_ACCOUNT}/email-security/investigate/{message}",
        headers={"Authorization": f"Bearer {serve.DEMO_TOKEN}"},
    )
    found: list[str] = answer.json()["result"]["client_recipients"]
    return found


def row(page: Page, message: str) -> Locator:
    return page.locator(f"#rows tr[data-id='{message}']")


def test_ticked_messages_are_released_and_mailboxes_that_fail_are_shown_and_retried(
    large_desk: Desk, open_page: OpenPage
) -> None:
    page = open_page(large_desk, member="ben")
    page.goto("/investigate/?line=is:suspicious+status:quarantined+last:30d")
    full = set(large_desk.simulator("state")["full_mailboxes"])
    to = {message: recipients_of(large_desk, message) for message in row_ids(page)[:60]}
    free = {message: names for message, names in to.items() if not full & set(names)}
    shared = next(message for message, names in free.items() if len(set(names)) > 1)
    single = [message for message, names in free.items() if len(names) == 1 and names[0] not in free[shared]]
    refused, whole = single[0], next(message for message in single if to[message] != to[single[0]])
    large_desk.simulator("faults", fail_delivery_to=[to[shared][0], to[refused][0]])
    for message in (shared, refused, whole):
        row(page, message).locator(".c-tick input").click()
    expect(page.locator("#selected")).to_have_text("3 selected")
    page.get_by_role("button", name="Release", exact=True).click()

    expect(rehearsed(page)).to_have_text(re.compile(r"^Release 3 messages"))
    decide(page, "ticket 4712")
    expect(state(page)).to_have_text("Done", timeout=SOON)

    assert {name: legend(page)[name] for name in ("done", "in part", "refused")} == {
        "done": 1, "in part": 1, "refused": 1,
    }  # fmt: skip
    check_against_ledger(large_desk, page, "release")
    page.get_by_role("link", name=re.compile("^Refused")).click()
    rows = page.locator("#messages tbody tr")
    expect(rows.locator("[data-state=failed]")).to_have_count(1)
    page.get_by_role("link", name=re.compile("^In part")).click()
    partly = rows.filter(has=page.locator("[data-state=partly_done]"))
    expect(partly).to_have_count(1)
    page.wait_for_load_state()  # its scripts fetch what is opened
    partly.locator("summary").click()
    expect(partly.locator(".copies li").filter(has_text=to[shared][0])).to_contain_text("not released")
    expect(partly.locator(".copies li").filter(has_text=to[shared][1])).to_have_attribute("data-state", "done")
    check_screen(page, "a job that was refused in part, and its copies")

    large_desk.simulator("clear-faults", now=True)
    page.get_by_role("button", name="Retry 1 refused").click()
    expect(page.locator("#progress .told")).to_contain_text("Released 2 of 3 messages. 1 in part.", timeout=SOON)
    expect(state(page)).to_have_text("Done", timeout=SOON)
    lines = check_against_ledger(large_desk, page, "release")
    assert {line["recipient"] for line in lines if line["state"] != "done"} == {to[shared][0]}


def test_a_ticket_s_text_becomes_submissions(large_desk: Desk, open_page: OpenPage) -> None:
    page = open_page(large_desk)
    page.goto("/investigate/?line=is:bulk+last:30d")
    known = row_ids(page)[:6]
    page.goto(f"/investigate/{known[5]}/")
    header = page.locator("[data-key='y m']").get_attribute("data-copy") or ""
    page.keyboard.press("g")
    page.keyboard.press("v")
    page.wait_for_url("**/bulk/paste")  # with its scripts: what is filled in before they listen would stay unread
    page.get_by_label("Text", exact=True).fill(
        "\n".join(
            [
                "Hi team, users report these again :(",
                f"first one: {known[0]}",
                *known[1:5],
                f"Message-ID: {header}",
                "Message-ID: <never-sent@tarnfell[.]example>",
                "(sender bob[at]shady[.]example, hxxps://shady[.]example/pay)",
                known[0],  # named again
                "\u202efdp.exe -- thanks!",
            ]
        )
    )
    read = page.locator("#recognised")
    expect(read.get_by_label("5 investigate ids")).to_be_checked()
    expect(read.get_by_label("2 Message-IDs")).to_be_checked()
    expect(read.get_by_label("1 address")).not_to_be_checked()
    expect(read).to_contain_text("1 named again")
    expect(read).to_contain_text("without anything to look up")
    page.get_by_label("To do").select_option("reclassify:SPAM")
    page.get_by_role("button", name="Find the messages").click()

    expect(rehearsed(page)).to_have_text(re.compile(r"^Submit 6 messages, .* as Spam"))
    page.locator(".missing summary").click()
    missing = page.locator(".missing li")
    expect(missing.filter(has_text="<never-sent@tarnfell.example>")).to_contain_text("No message in the range")
    expect(missing.filter(has_text="[U+202E]fdp.exe")).to_contain_text("names nothing")
    check_screen(page, "a rehearsal of a pasted list")
    decide(page, "ticket 4713")
    expect(state(page)).to_have_text("Done", timeout=SOON)
    assert legend(page)["done"] == 6
    submitted = Counter(entry["investigate_id"] for entry in large_desk.simulator("ledger")
                        if entry["kind"] == "submission")  # fmt: skip
    assert {message: submitted[message] for message in known} == dict.fromkeys(known, 1)


def test_a_job_is_undone_before_anything_is_sent(desk: Desk, open_page: OpenPage) -> None:
    page = open_page(desk)
    page.goto("/investigate/?line=is:bulk+status:delivered+last:30d")
    messages = set(row_ids(page)[:3])
    before = carried_out(desk, "move", messages)
    page.keyboard.press("j")
    for key in ("x", "Shift+J", "Shift+J", "!"):
        page.keyboard.press(key)
    rehearsed(page)
    decide(page, "ticket 4714")
    expect(state(page)).to_contain_text("Waiting")

    page.keyboard.press("z")

    expect(state(page)).to_have_text("Cancelled")
    expect(page.locator("#progress .told")).to_contain_text(". Nothing was sent.")
    expect(page.locator("#status")).to_contain_text(". Nothing was sent.")
    check_screen(page, "a job that was undone")
    assert carried_out(desk, "move", messages) == before


def hold_moves(desk: Desk, seconds: float, **what: Any) -> None:
    """The service carries the next chunk out and answers late."""
    desk.simulator("faults", faults=[{"operation": "move", "hang_after": seconds, **what}])


def begin_large(page: Page, search: str, *, key: str = "!") -> int:
    """Everything of a search to a folder, as far as the rehearsal; answers how many messages."""
    page.goto(search)
    expect(page.locator("#results tr[data-id]").first).to_be_visible(timeout=SOON)
    for each in ("*", "l", key):
        page.keyboard.press(each)
    title = rehearsed(page).inner_text()
    return int(title.split()[1].replace(",", ""))


def test_a_job_meets_everything_that_can_happen_and_everybody_sees_it(large_desk: Desk, open_page: OpenPage) -> None:
    page = open_page(large_desk, member="ben")
    viewer = open_page(large_desk, member="vera")
    messages = begin_large(page, "/investigate/?line=has:clean+status:delivered+last:30d")
    assert messages > 2000, "too few for three chunks"

    hold_moves(large_desk, 4)
    decide(page, "ticket 4715")
    expect(state(page)).to_contain_text("Running", timeout=SOON)

    viewer.goto("/investigate/bulk/")
    expect(viewer.locator("#live-jobs tr")).to_contain_text(f"Move {messages:,} messages to Junk")
    expect(viewer.locator("#live-jobs tr")).to_contain_text("Ben Okafor")
    viewer.locator("#live-jobs a").click()
    expect(viewer.locator("#progress")).to_be_visible()
    expect(viewer.locator("#progress .do button:enabled")).to_have_count(0)
    expect(viewer.locator("#progress .whynot")).to_contain_text("Pause")
    expect(viewer.locator(".again")).to_have_count(0)

    page.get_by_role("button", name="Pause").click()
    expect(state(page)).to_have_text("Paused")
    expect(page.locator("#progress .legend li").last).to_contain_text(f"{messages - 1000:,} open", timeout=SOON)
    expect(page.locator("#progress .stands")).to_contain_text("Paused by Ben Okafor.")
    assert len(carried_out(large_desk, "move", set(job_ids(page)))) > 0
    check_screen(page, "a paused job")
    check_screen(viewer, "somebody else's job")
    sent = moves_sent(large_desk)

    large_desk.simulator("faults", faults=[
        {"operation": "move", "status": 429, "retry_after": 2 * CALL_SECONDS},
        {"operation": "move", "lose_answer": True, "applied": True},
    ])  # fmt: skip
    page.get_by_role("button", name="Resume").click()
    expect(state(page)).to_contain_text("Resting, goes on", timeout=SOON)
    expect(page.locator("#progress .stands")).to_contain_text("Goes on at")
    check_screen(viewer, "a job that rests")
    expect(page.locator("#progress .stands[data-kind=unknown]")).to_contain_text(
        "1 chunk of 1,000 is being looked up. Nothing will be sent twice.", timeout=SOON
    )
    page.goto("/investigate/?last=24h")  # whoever looks at the job needs no notice
    expect(state(viewer)).to_have_text("Done", timeout=LATER)
    notice = page.locator("#notice .notice", has_text="ticket 4715")  # earlier jobs may have one of their own
    expect(notice).to_contain_text(f"of {messages:,} messages.", timeout=SOON)
    check_screen(page, "a search with a notice")
    notice.get_by_role("link", name="Show").click()
    expect(state(page)).to_have_text("Done")
    check_screen(page, "a job that is done")
    check_against_ledger(large_desk, page, "move")
    assert moves_sent(large_desk) - sent == 1 + -(-(messages - 1000) // 1000), "the refused call, then each chunk once"


def job_ids(page: Page) -> list[str]:
    return [line["investigate_id"] for line in table(page)]


def moves_sent(desk: Desk) -> int:
    return sum(call["operation"] == "move" for call in desk.simulator("calls"))


def test_a_job_is_cancelled_while_a_chunk_is_on_its_way(large_desk: Desk, open_page: OpenPage) -> None:
    page = open_page(large_desk, member="ben")
    messages = begin_large(page, "/investigate/?line=has:clean+last:30d", key="d")
    since = large_desk.simulator("state")["ledger"]
    hold_moves(large_desk, 3)
    decide(page, "ticket 4716")
    expect(state(page)).to_contain_text("Running", timeout=SOON)

    page.get_by_role("button", name="Cancel after this chunk").click()

    expect(state(page)).to_have_text("Cancelled")
    expect(page.locator("#progress .legend li").last).to_have_text(re.compile(r"^\s*0\s+open"), timeout=SOON)
    expect(page.locator("#progress .told")).to_contain_text(f"{messages - 1000:,} messages were not sent.")
    check_against_ledger(large_desk, page, "move", since=since)
    page.goto("/investigate/bulk/")
    check_screen(page, "the list of jobs")
