"""Everything the API can do instead of answering: each failure has its own state in each place, and says what to do.

Reads fail in their place with a way to try again; writes whose answer is lost or unclear become *unknown*, never
*failed*; during a Retry-After nothing is sent; no page repeats the API's HTML or our token.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec import EmailSecurityClient, TokenCredentials
from dashboard.emailsec.transport import RetryTransport
from dashboard.emailsec.types import Message
from dashboard.simulator import Simulator
from dashboard.upstream.connection import shared_meter, use_client
from dashboard.web import errors
from dashboard.web.errors import ErrorText
from investigate.actions import words
from investigate.models import Action, ActionState, SearchRun
from investigate.search import runs
from tests.conftest import HTMX
from tests.investigate.actions.conftest import Time, decide, find, time_  # noqa: F401  fixtures
from tests.simulated import simulated_account

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 21, 1, 20, 30, tzinfo=dt.UTC)
NO_TEXT = "Something went wrong"  # of the HTML pages the simulated edge sends
SEARCH = "/investigate/?last=7d"


class Line:
    """The way to the simulator, which can be cut before anything is sent."""

    def __init__(self, simulator: Simulator) -> None:
        self.is_cut = False
        self.sent = 0
        self._inner = httpx.WSGITransport(app=simulator)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("connection refused")
        self.sent += 1
        return self._inner.handle_request(request)


class Transport(httpx.BaseTransport):
    def __init__(self, line: Line) -> None:
        self.handle_request = line.handle_request  # type: ignore[method-assign]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def emailsec(db: None, clock: time_machine.Traveller) -> Iterator[Simulator]:
    """The simulator behind a client that pauses between tries without taking the time."""
    simulator = simulated_account(
        messages=300,
        seed=7,
    )
    simulator.line = Line(simulator)  # type: ignore[attr-defined]
    transport = RetryTransport(Transport(simulator.line), meter=shared_meter(), sleep=lambda _seconds: None)  # type: ignore[attr-defined]
    client = EmailSecurityClient(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        credentials=TokenCredentials(settings.CLOUDFLARE_API_TOKEN),
        base_url=settings.CLOUDFLARE_BASE_URL,
        transport=transport,
    )
    with use_client(client):
        yield simulator


TOKEN = settings.CLOUDFLARE_API_TOKEN
WAITS = "waits"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Failure:
    """What the service does, what a read then shows, and what becomes of a write."""

    fault: dict[str, Any] = field(default_factory=dict)
    read: ErrorText = errors.UNAVAILABLE
    write: str = UNKNOWN  # WAITS, UNKNOWN, or the sentence that says why it was refused
    search: ErrorText | str | None = ""  # where it differs: another text, or None for "still searching"
    wait: int | None = None  # seconds of the Retry-After told to the person
    is_cut: bool = False

    @property
    def in_search(self) -> ErrorText | None:
        return self.read if self.search == "" else self.search  # type: ignore[return-value]


NO_SUBSCRIPTION = "This feature is not available in the current subscription."
FAILURES = {
    "401": Failure({"status": 401}, errors.CREDENTIALS, "must renew the API token"),
    "403": Failure({"status": 403}, errors.NOT_PERMITTED, "must give it the permission Cloud Email Security: Write"),
    "403 not bought": Failure(
        {"status": 403, "message": NO_SUBSCRIPTION}, errors.NOT_SUBSCRIBED, "subscription does not include this"
    ),
    "404": Failure(
        {"status": 404}, errors.NOT_FOUND, "Cloudflare no longer knows this message.",
        search=errors.NOT_ON_THIS_SERVER,
    ),
    "422": Failure(
        {"status": 422, "message": f"ids: Bearer {TOKEN} <b>too old</b>"}, errors.REJECTED, "<b>too old</b>."
    ),
    "429": Failure({"status": 429, "retry_after": 120}, errors.BUDGET, WAITS, wait=120),
    "429 without a time": Failure({"status": 429}, errors.BUDGET, WAITS, wait=300),
    "429 with nonsense": Failure({"status": 429, "retry_after": "soon"}, errors.BUDGET, WAITS, wait=300),
    "429 for ever": Failure({"status": 429, "retry_after": 10**9}, errors.BUDGET, WAITS, wait=900),
    "429 in the past": Failure({"status": 429, "retry_after": -5}, errors.BUDGET, WAITS, wait=300),
    "500": Failure({"status": 500}),
    "HTML with 200": Failure({"html": True}, errors.UNEXPECTED),
    "HTML with 502": Failure({"html": True, "status": 502}),
    "cut-off JSON": Failure({"truncate": 60}, errors.UNEXPECTED),
    "success: false": Failure({"success_false": True}, errors.UNEXPECTED),
    "endless 202": Failure({"location": "/client/v4/accounts/{account}/email-security/investigate-results/x"},
                           errors.UNEXPECTED, search=None),
    "foreign Location": Failure({"location": "https://evil.example/results"}, errors.UNEXPECTED, search=errors.FOREIGN),
    "redirect": Failure({"status": 302, "headers": {"Location": "https://evil.example/"}}, errors.UNEXPECTED),
    "silence": Failure({"hang": 30.0}, search=None),
    "connection refused": Failure(is_cut=True, write=WAITS),
    "lost answer": Failure({"lose_answer": True}),
}  # fmt: skip
SEARCH_ONLY = ("endless 202", "foreign Location")
OTHERS = {name: failure for name, failure in FAILURES.items() if name not in SEARCH_ONLY}


def provoke(emailsec: Simulator, failure: Failure, operation: str) -> None:
    emailsec.line.is_cut = failure.is_cut  # type: ignore[attr-defined]
    if not failure.is_cut:
        fault = dict(failure.fault)
        if "location" in fault:
            fault["location"] = fault["location"].format(account=settings.CLOUDFLARE_ACCOUNT_ID)
        emailsec.faults.next(operation, times=None, **fault)


def mend(emailsec: Simulator) -> None:
    emailsec.faults.clear()
    emailsec.line.is_cut = False  # type: ignore[attr-defined]


def check(page: Any, html: str, failure: Failure, expected: ErrorText) -> None:
    """The sentence of this failure and of no other; its time; nothing of the API's own page and no token."""
    shown = " ".join(page.get_text(" ").split())
    assert expected.title in shown
    assert expected.sentence in shown
    assert expected.advice in shown
    others = {text.title for text in vars(errors).values() if isinstance(text, ErrorText)} - {expected.title}
    assert [title for title in others if title in shown] == []
    until = page.select_one(".failed time[data-until], .notice time[data-until], .page time[data-until]")
    if failure.wait is None:
        assert until is None, "a time to wait for where waiting has none"
    else:
        assert until["data-until"] == (NOW + dt.timedelta(seconds=failure.wait)).strftime("%Y-%m-%dT%H:%M:%SZ")
    harmless(html)


def harmless(html: str) -> None:
    assert TOKEN not in html
    assert NO_TEXT not in html
    assert "<b>too old" not in html
    assert "evil.example" not in html
    assert "Traceback" not in html


def threat(emailsec: Simulator) -> str:
    return next(r.id for r in emailsec.store.records if r.final_disposition == "MALICIOUS" and r.is_quarantined)


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("is_partial", [True, False], ids=["list", "page"])
def test_a_search(name: str, is_partial: bool, analyst: Client, emailsec: Simulator, soup: Callable[..., Any]) -> None:
    failure = FAILURES[name]
    provoke(emailsec, failure, "search")
    if name == "endless 202":
        emailsec.faults.endless_search = True
        emailsec.faults.pending.clear()

    response = analyst.get(SEARCH, headers={**HTMX, "HX-Target": "results"} if is_partial else {})

    html = response.content.decode()
    page = soup(response)
    assert response.status_code == 200
    expected = failure.in_search
    if expected is None:
        assert page.select_one("#slow[hx-get][hx-trigger]"), "the page looks again by itself"
        assert page.select_one("#slow form button").text == "Cancel"
        assert SearchRun.objects.get().state == "slow"
        harmless(html)
        return
    check(page, html, failure, expected)
    assert page.select_one(".failed a[data-costs]")["hx-get"].endswith("fresh=1")

    mend(emailsec)
    if failure.wait is None:
        recovered = analyst.get(SEARCH + "&fresh=1", headers={**HTMX, "HX-Target": "results"})
        assert soup(recovered).select("table.rows tr[data-id]")


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("part", ["trace", "headers", "raw", "preview", "history"])
def test_a_part_of_a_message(
    name: str, part: str, analyst: Client, emailsec: Simulator, soup: Callable[..., Any], clock: Any
) -> None:
    failure, message = OTHERS[name], threat(emailsec)
    url = f"/investigate/{message}/parts/{part}"
    assert analyst.get(f"/investigate/{message}/pane", headers=HTMX).status_code == 200
    clock.shift(11 * 60)  # copies of what can change are too old now
    operation = {"headers": "detections", "history": "action_log"}.get(part, part)
    provoke(emailsec, failure, operation)

    response = analyst.get(url, headers={**HTMX, "HX-Target": f"panel-{part}"})

    page = soup(response)
    if part == "history" and name == "404":
        assert "Nothing has been done" in page.text  # a server without this log: the message's own one is shown
        return
    if part == "history":
        assert response.status_code == 200, "our own actions stand without Cloudflare's log"
        assert "Only our own actions are shown." in page.text
    else:
        assert response.status_code == failure.read.status
        assert response["HX-Retarget"] == f"#panel-{part}"
    shown = " ".join(page.get_text(" ").split())
    assert failure.read.title in shown
    assert page.select_one(".failed a[data-costs]")["hx-get"] == url
    harmless(response.content.decode())
    mend(emailsec)
    if failure.wait is not None:
        clock.shift(failure.wait + 1)
    again = analyst.get(url, headers=HTMX)
    assert again.status_code == 200
    assert not soup(again).select(".failed")


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("where", ["pane", "page"])
def test_opening_a_message(
    name: str, where: str, analyst: Client, emailsec: Simulator, soup: Callable[..., Any], clock: Any
) -> None:
    failure, message = OTHERS[name], threat(emailsec)
    url = f"/investigate/{message}/" + ("pane" if where == "pane" else "")
    provoke(emailsec, failure, "message")

    response = analyst.get(url, headers=HTMX if where == "pane" else {})

    page = soup(response)
    assert response.status_code == failure.read.status
    check(page, response.content.decode(), failure, failure.read)
    retry = page.select_one("#detail .failed a[data-costs]" if where == "page" else ".failed a[data-costs]")
    if failure.read is errors.NOT_FOUND:
        assert message in page.text
    elif where == "pane":
        assert retry["hx-get"] == url
    else:
        assert page.select_one(f"a[href='{url}']"), "a way to try again"
    mend(emailsec)
    if failure.wait is not None:
        clock.shift(failure.wait + 1)
    assert analyst.get(url, headers=HTMX if where == "pane" else {}).status_code == 200


@pytest.mark.parametrize("name", OTHERS)
def test_reasons_that_cannot_be_read_leave_the_message_standing(
    name: str, analyst: Client, emailsec: Simulator, soup: Callable[..., Any]
) -> None:
    failure, message = OTHERS[name], threat(emailsec)
    provoke(emailsec, failure if not failure.is_cut else Failure({"lose_answer": True}), "detections")

    response = analyst.get(f"/investigate/{message}/pane", headers=HTMX)

    assert response.status_code == 200
    page = soup(response)
    check(page, response.content.decode(), failure, failure.read)
    assert page.select_one(".message-head")
    assert page.select_one("#panel-why .failed a[data-costs]")["hx-get"] == f"/investigate/{message}/parts/why"


@pytest.mark.parametrize("name", OTHERS)
def test_a_decision_on_a_message_that_cannot_be_read(
    name: str, analyst: Client, emailsec: Simulator, soup: Callable[..., Any]
) -> None:
    failure, message = OTHERS[name], threat(emailsec)
    provoke(emailsec, failure, "message")
    what = {"kind": "move", "destination": "JunkEmail", "operation_key": "k" * 32}

    response = analyst.post(f"/investigate/{message}/actions/", what, headers=HTMX)

    assert response.status_code == failure.read.status
    assert response["HX-Retarget"] == "#notice"
    check(soup(response), response.content.decode(), failure, failure.read)
    assert not Action.objects.exists()


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", ["move", "release"])
def test_an_action(
    name: str,
    kind: str,
    ana: Member,
    analyst: Client,
    emailsec: Simulator,
    decide: Callable[..., Action],  # noqa: F811
    find: Callable[..., Message],  # noqa: F811
    time_: Time,  # noqa: F811
    soup: Callable[..., Any],
) -> None:
    failure = OTHERS[name]
    if kind == "move":
        action = decide(ana, find(disposition="NONE", held=False), "move", destination="JunkEmail")
    else:
        action = decide(ana, find(disposition="SPAM", held=True), "release")
    provoke(emailsec, failure, "move_one" if kind == "move" else "release")

    time_.undo_window_ends(action)

    expected = failure.write
    sentence = words.sentence(action, [receipt for item in action.items.all() for receipt in item.receipts.all()])
    calls = sum(call.operation in ("move_one", "release") for call in emailsec.calls)
    assert calls == (0 if failure.is_cut else 1), "a write is sent once, whatever happens to it"
    if expected == UNKNOWN:
        assert action.state == ActionState.UNKNOWN
        assert sentence == (
            f"No answer came. The {kind} may have happened. Checking; nothing is sent again"
            + (" before it is known." if kind == "move" else ".")
        )
    elif expected == WAITS:
        assert action.state == ActionState.WAITING
        cause = "could not be reached" if failure.is_cut else "call budget is used up"
        assert f"{cause}; nothing was sent." in sentence
        if failure.wait:
            assert action.due_at >= timezone.now() + dt.timedelta(seconds=failure.wait - 1)
    else:
        assert action.state == ActionState.FAILED
        assert sentence.startswith("Not moved. " if kind == "move" else "Not released. ")
        assert expected in sentence
    receipt = analyst.get(f"/investigate/actions/{action.pk}/")
    page = soup(receipt)
    assert page.select_one("#receipt .state")["data-state"] == action.state
    assert sentence.rstrip(".") in " ".join(page.select_one("#receipt [role=status]").text.split())
    assert bool(page.select_one("#receipt[hx-get]")) == (action.state in ("waiting", "unknown")), "keeps itself current"
    harmless(receipt.content.decode())


def test_no_two_kinds_of_failure_look_alike() -> None:
    """Only what is the same for the person shares its words."""
    alike: dict[str, set[str]] = {}
    for name, failure in FAILURES.items():
        alike.setdefault(failure.read.title, set()).add(name)
    shared = {frozenset(names) for names in alike.values() if len(names) > 1}
    assert shared == {
        frozenset(name for name in FAILURES if name.startswith("429")),
        frozenset({"500", "HTML with 502", "silence", "connection refused", "lost answer"}),
        frozenset({"HTML with 200", "cut-off JSON", "success: false", "redirect", *SEARCH_ONLY}),
    }


@pytest.mark.parametrize("name", [name for name in FAILURES if name.startswith("429")])
def test_nothing_is_sent_during_a_retry_after(
    name: str,
    ana: Member,
    analyst: Client,
    emailsec: Simulator,
    clock: Any,
    decide: Callable[..., Action],  # noqa: F811
    find: Callable[..., Message],  # noqa: F811
    time_: Time,  # noqa: F811
    soup: Callable[..., Any],
) -> None:
    wait = FAILURES[name].wait or 0
    action = decide(ana, find(disposition="NONE", held=False), "move", destination="JunkEmail")
    provoke(emailsec, FAILURES[name], "search")
    analyst.get(SEARCH)
    mend(emailsec)
    sent = emailsec.line.sent  # type: ignore[attr-defined]

    def everything() -> None:
        analyst.get(SEARCH + "&fresh=1")
        analyst.get("/investigate/?last=24h")
        for record in emailsec.store.records[:2]:
            analyst.get(f"/investigate/{record.id}/pane", headers=HTMX)
            analyst.get(f"/investigate/{record.id}/parts/trace", headers=HTMX)
        time_.undo_window_ends(action)

    everything()
    clock.shift(wait - 2)
    everything()
    assert emailsec.line.sent == sent  # type: ignore[attr-defined]
    footer = soup(analyst.get("/investigate/actions/")).select_one("#footer")
    assert re.search(r"all calls paused, .*\d", footer.text), "the status line says until when"

    clock.shift(3)
    assert soup(analyst.get(SEARCH)).select("table.rows tr[data-id]")
    time_.undo_window_ends(action)
    assert action.state == ActionState.DONE


def test_an_endless_search_is_given_up_at_its_deadline(
    analyst: Client, emailsec: Simulator, clock: Any, soup: Callable[..., Any]
) -> None:
    emailsec.faults.endless_search = True
    analyst.get(SEARCH)
    for _ in range(60):
        clock.shift(20)
        run = SearchRun.objects.get()
        runs.continue_run(run.pk)
    run.refresh_from_db()
    assert run.state == "failed"

    response = analyst.get(f"{SEARCH}&run={run.pk}", headers={**HTMX, "HX-Target": "results"})

    page = soup(response)
    assert "The search did not finish." in page.text
    assert page.select_one(".failed a[data-costs]")["hx-get"].endswith("fresh=1")


def test_a_silent_search_is_answered_by_the_worker(
    analyst: Client, emailsec: Simulator, clock: Any, soup: Callable[..., Any]
) -> None:
    emailsec.faults.next("search", times=4, hang=30.0)
    first = soup(analyst.get(SEARCH, headers={**HTMX, "HX-Target": "results"}))
    mend(emailsec)
    clock.shift(1)
    runs.continue_run(SearchRun.objects.get().pk)

    page = soup(analyst.get("/investigate/" + first.select_one("#slow")["hx-get"], headers=HTMX))

    assert page.select("table.rows tr[data-id]")


def test_an_answer_that_fits_no_column_is_kept_in_bounds(
    ana: Member,
    emailsec: Simulator,
    decide: Callable[..., Action],  # noqa: F811
    find: Callable[..., Message],  # noqa: F811
    time_: Time,  # noqa: F811
) -> None:
    """A database that counts characters and knows no NUL must not lose the receipt of what was done."""
    message = find(disposition="NONE", held=False, copies=1)
    (recipient,) = message.client_recipients
    action = decide(ana, message, "move", destination="JunkEmail")
    copies = [
        {"success": True, "status": "OK", "recipient": recipient},
        {"success": False, "status": "a\x00b" * 400, "recipient": "\x00long" * 300},
    ]
    emailsec.faults.next("move_one", body=json.dumps({"success": True, "errors": [], "result": copies}), applied=True)

    time_.undo_window_ends(action)

    assert action.state == ActionState.PARTLY_DONE
    receipts = [receipt for item in action.items.all() for receipt in item.receipts.all()]
    assert len(receipts) == 2
    assert all(len(text) <= 500 and "\x00" not in text for one in receipts for text in (one.recipient, one.status))
