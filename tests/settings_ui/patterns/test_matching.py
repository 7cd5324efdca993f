"""What a pattern would have matched, through the real client against the simulator."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import time_machine

from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.transport import Priority
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, shared_meter, use_client
from dashboard.upstream.models import Copy
from dashboard.upstream.tasks import purge
from settings_ui.patterns import reading
from settings_ui.patterns.matching import MOST_SHOWN, Against, Tried, try_pattern
from tests.dashboard.simulator.conftest import CLEAN, make_record
from tests.investigate.message.corpus import hostile_strings, needs_strings
from tests.simulated import simulated_account

HOUR = 3600.0
Account = Callable[..., Simulator]


@pytest.fixture
def account(db: None) -> Iterator[Account]:
    """Put an account with this mail behind the real client; its searches are quick unless a test asks for slow ones."""
    entered: list[Any] = []

    def open_account(*mail: dict[str, Any], profile: str = "current", **options: Any) -> Simulator:
        now = time.time()
        records = [make_record(n, **{"scanned_at": now - n * HOUR / 10, **one}) for n, one in enumerate(mail, start=1)]
        simulator = simulated_account(
            records=records,
            profile=profile,
            **{"wide_search_days": 1000.0, **options},
        )
        client = use_client(build_client(httpx.WSGITransport(app=simulator)))
        client.__enter__()
        entered.append(client)
        return simulator

    yield open_account
    for client in reversed(entered):
        client.__exit__(None, None, None)


def tried(pattern: str, against: Against = Against.SENDER, kind: str | None = "EMAIL", **more: Any) -> Tried:
    return try_pattern(against=against, pattern=pattern, pattern_type=kind, **{"is_regex": False, **more})


def sent_by(address: str, **more: Any) -> dict[str, Any]:
    return {"from_": address, "envelope_from": address, **more}


def calls(simulator: Simulator) -> list[str]:
    return [call.operation for call in simulator.calls]


@contextmanager
def later(seconds: float) -> Iterator[None]:
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)):
        yield


# --- what is compared -------------------------------------------------------------------------------------------------


def test_an_address_is_compared_exactly_with_both_senders(account):
    account(
        sent_by("anna@x.example"),
        sent_by("ANNA@X.example", final_disposition="SPAM"),
        {"from_": "someone@y.example", "envelope_from": "anna@x.example", **CLEAN},
        sent_by("joanna@x.example"),
        sent_by("anna@x.example.net"),
        {"from_": "b@y.example", "client_recipients": ("anna@x.example",)},
    )

    found = tried("Anna@x.example")

    assert (found.state, found.total, found.basis, found.is_complete) == ("done", 3, "in 30 days", True)
    assert found.by_disposition == [(Disposition.MALICIOUS, 1), (Disposition.SPAM, 1), (Disposition.NONE, 1)]
    assert found.told == "Would have matched 3 in 30 days, 1 of them Malicious, 1 Spam."


def test_a_domain_does_not_count_its_subdomains_and_says_so(account):
    account(sent_by("a@x.example"), sent_by("b@mail.x.example"), sent_by("c@notx.example"))

    found = tried("x.example", kind="DOMAIN")

    assert [message.from_ for message in found.messages] == ["a@x.example"]
    assert found.told.startswith("Would have matched 1 in 30 days, Malicious.")
    assert "Subdomains are not counted" in found.told


def test_a_domain_in_other_letters_finds_mail_that_carries_its_ascii_form(account):
    account(sent_by("a@xn--bcher-kva.example"))

    assert tried("bücher.example", kind="DOMAIN").total == 1


def test_a_recipient_is_any_of_those_it_went_to(account):
    account(
        {"client_recipients": ("bea@corp.example", "carl@corp.example")},
        {"client_recipients": ("carl@corp.example",)},
        sent_by("bea@corp.example", client_recipients=("dora@corp.example",)),
    )

    found = tried("bea@corp.example", Against.RECIPIENT)

    assert found.total == 1
    assert (found.messages[0].to, found.messages[0].to_count) == ("bea@corp.example", 2)
    assert tried("corp.example", Against.RECIPIENT, "DOMAIN").total == 3


def test_an_ip_is_compared_with_every_address_the_mail_came_through(account):
    none = dict.fromkeys(("smtp_helo_server_ip", "smtp_previous_hop_ip", "x_originating_ip"))
    account(
        {**none, "smtp_helo_server_ip": "198.51.100.7"},
        {**none, "smtp_previous_hop_ip": "::ffff:198.51.100.8"},
        {**none, "x_originating_ip": "198.51.101.9"},
        {**none, "x_originating_ip": "not an IP"},
        none,
    )

    assert tried("198.51.100.7", kind="IP").total == 1
    assert tried("198.51.100.0/24", kind="IP").total == 2
    assert tried("198.51.100.0/23", kind="IP").total == 3
    assert tried(r"^198\.51\.101\.", kind="IP", is_regex=True).total == 1


@pytest.mark.parametrize(
    ("pattern", "against", "kind", "total"),
    [
        (r"@x\.example$", Against.SENDER, "EMAIL", 1),
        (r"^x\.example$", Against.SENDER, "DOMAIN", 1),
        (r"x\.example", Against.SENDER_DOMAIN, None, 2),
        (r"(?i)INVOICE \d+", Against.SUBJECT, None, 3),
        (r"^bea@", Against.RECIPIENT, "EMAIL", 3),
    ],
)
def test_an_expression_is_run_on_what_its_list_is_about(account, pattern, against, kind, total):
    account(sent_by("a@x.example"), sent_by("a@mail.x.example"), sent_by("c@y.example"))

    assert tried(pattern, against, kind, is_regex=True).total == total


def test_a_sending_domain_is_a_domain_whatever_else_is_said(account):
    account(sent_by("a@x.example"))

    assert tried("x.example", Against.SENDER_DOMAIN, None).total == 1


def test_a_name_counts_in_front_of_another_address_only(account):
    account(
        {"from_name": "Ada  CHIEF", "from_": "ada@corp.example"},
        {"from_name": "ada chief", "from_": "ada.chief@free.example"},
        {"from_name": "Ada Chief", "from_": "ADA@private.example"},
        {"from_name": "Ada Chiefly", "from_": "x@free.example"},
    )

    exactly = tried("Ada Chief", Against.NAME, None, also={"email": "Ada@corp.example"})
    loosely = tried("Ada Chief", Against.NAME, None, is_regex=True, also={"email": r"^ada@(corp|private)\.example$"})
    said = {"email": r"^ada@(corp|private)\.example$", "is_email_regex": "true"}

    assert exactly.total == 2
    assert [message.from_ for message in loosely.messages] == ["ada.chief@free.example"]
    assert tried("Ada Chief", Against.NAME, None, also=said).total == 1


# --- what cannot be tried ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "against", "kind", "more", "state", "told"),
    [
        ("https://x", Against.NOTHING, None, {}, "untestable", "it cannot be tested here"),
        (r"(?=a)", Against.SUBJECT, None, {"is_regex": True}, "untestable", "look-ahead"),
        (r"(a", Against.SENDER, "EMAIL", {"is_regex": True}, "broken", "never closed"),
        ("anna@", Against.SENDER, "EMAIL", {}, "broken", "This is no address"),
        ("10.0.0.1", Against.SENDER, "IP", {}, "broken", "a private address"),
        ("", Against.SUBJECT, None, {}, "broken", "Write a pattern"),
        (" ", Against.NAME, None, {"also": {"email": "a@x.example"}}, "broken", "Write the name"),
        ("Ada", Against.NAME, None, {}, "broken", "Write the address as well"),
        ("Ada", Against.NAME, None, {"is_regex": True, "also": {"email": "(a"}}, "broken", "never closed"),
    ],
)
def test_what_cannot_be_tried_says_why_and_costs_no_call(account, pattern, against, kind, more, state, told):
    simulator = account(sent_by("a@x.example"))

    found = tried(pattern, against, kind, **more)

    assert (found.state, found.total, found.messages) == (state, 0, [])
    assert told in found.told
    assert calls(simulator) == []


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_only_the_newest_are_shown_and_all_are_counted(account):
    account(*[sent_by("a@x.example", **CLEAN)] * (MOST_SHOWN + 5))

    found = tried("a@x.example")

    assert (found.total, len(found.messages)) == (MOST_SHOWN + 5, MOST_SHOWN)
    times = [message.scanned_at for message in found.messages]
    assert times == sorted(times, reverse=True)
    assert found.told == "Would have matched 55 in 30 days, all of them Clean."


def test_nothing_found_is_said_as_such(account):
    account(sent_by("a@x.example"))

    assert tried("b@x.example").told == "Would have matched nothing in 30 days."


def test_a_message_keeps_what_its_sender_wrote(account):
    text = "<script>alert(1)</script>\u202e\x00"
    account(sent_by("a@x.example", subject=text, from_name=text))

    message = tried("a@x.example").messages[0]

    assert (message.subject, message.from_name) == (text, text)


@pytest.mark.parametrize("profile", ["current", "sunset", "seed"])
def test_each_generation_of_the_api_can_be_tried_on(account, profile):
    account(sent_by("a@x.example"), sent_by("b@x.example"), profile=profile)

    found = tried(r"^a@", is_regex=True)

    assert (found.total, found.messages[0].disposition) == (1, Disposition.MALICIOUS)
    assert found.messages[0].scanned_at is not None


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_a_sender_is_one_search_that_asks_for_clean_mail_too(account):
    simulator = account(sent_by("a@x.example", **CLEAN))

    assert tried("a@x.example").total == 1

    (call,) = simulator.calls
    assert call.operation == "search"
    assert parse_qs(call.query)["sender"] == ["a@x.example"]
    assert parse_qs(call.query)["detections_only"] == ["false"]
    assert {"start", "end"} <= set(parse_qs(call.query))


def test_the_sample_is_read_once_for_everybody_for_ten_minutes(account):
    simulator = account(sent_by("a@x.example"))

    for pattern in ("a", "b", "c"):
        tried(pattern, is_regex=True)
    assert calls(simulator) == ["search"]

    with later(590):
        tried("d", is_regex=True)
    assert calls(simulator) == ["search"]

    with later(605):
        tried("a", is_regex=True)
    assert calls(simulator) == ["search", "search"]


def test_a_sample_that_lacks_nothing_answers_for_senders_as_well(account):
    simulator = account(sent_by("a@x.example"), sent_by("b@x.example"))
    tried("a", is_regex=True)

    assert tried("b@x.example").total == 1
    assert calls(simulator) == ["search"]


def test_the_same_sender_costs_no_second_search(account):
    simulator = account(sent_by("a@x.example"))

    assert tried("a@x.example").total == tried("A@x.example").total == 1
    assert calls(simulator) == ["search"]


def test_another_account_s_mail_is_never_tried_on(account, settings):
    account(sent_by("a@x.example"))
    assert tried("a", is_regex=True).total == 1

    settings.CLOUDFLARE_ACCOUNT_ID = "f" * 32
    account(sent_by("b@x.example"))
    assert tried("^a@", is_regex=True).total == 0


def test_a_large_sample_ends_after_five_pages_and_says_how_far_it_goes_back(account):
    now = time.time()
    mail = [sent_by("a@x.example", scanned_at=now - n * 60) for n in range(5_200)]
    simulator = account(*mail)

    found = tried(".", is_regex=True)

    oldest = dt.datetime.fromtimestamp(mail[4_999]["scanned_at"], dt.UTC)
    assert found.basis == f"of the newest 5,000 messages, back to {oldest.day} {oldest:%b}"
    assert (found.state, found.total, found.is_complete) == ("done", 5_000, False)
    assert calls(simulator) == ["search"] * 5
    assert found.told.startswith("Would have matched 5,000 of the newest 5,000 messages, back to")

    narrowed = tried("a@x.example")  # the sample lacks something, so that the sender is searched for
    assert (narrowed.total, narrowed.is_complete) == (3_000, False)
    assert "of the newest 3,000 from or to it, back to" in narrowed.told


def test_further_pages_leave_the_budget_to_people(account, settings):
    settings.CALL_LIMIT = 10
    simulator = account(*[sent_by("a@x.example")] * 1_200)
    for _ in range(4):
        shared_meter().reserve(Priority.READ)

    found = tried(".", is_regex=True)

    assert (found.state, found.total, found.is_complete) == ("done", 1_000, False)
    assert "of the newest 1,000 messages" in found.told
    assert calls(simulator) == ["search"]


def test_a_sample_that_was_cut_short_goes_on_when_there_is_room_again(account, settings):
    settings.CALL_LIMIT = 10
    simulator = account(*[sent_by("a@x.example")] * 1_200)
    for _ in range(4):
        shared_meter().reserve(Priority.READ)
    assert tried(".", is_regex=True).total == 1_000

    with later(320):
        found = tried(".", is_regex=True)

    assert (found.state, found.total, found.is_complete) == ("done", 1_200, True)
    assert calls(simulator) == ["search", "search"]


def test_who_has_waited_long_enough_is_told_how_far_it_is(account, monkeypatch):
    """The first page leaves no time for the second; the next look reads it."""
    account(*[sent_by("a@x.example")] * 1_200)
    clock = iter([0.0, 0.0])
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: next(clock, reading.PATIENCE)))

    first = tried(".", is_regex=True)

    assert (first.state, first.total, first.is_complete) == ("searching", 1_000, False)
    assert first.told.startswith("Still reading. Would have matched 1,000 of the newest 1,000 messages")
    monkeypatch.undo()
    assert tried(".", is_regex=True).total == 1_200


def test_one_process_reads_and_the_others_wait(account):
    simulator = account(sent_by("a@x.example"))
    with reading._alone(reading._key(reading.EVERYTHING)) as is_ours:
        assert is_ours
        assert tried(".", is_regex=True).state == "searching"
        assert calls(simulator) == []

    assert tried(".", is_regex=True).state == "done"


def test_a_reader_that_died_holds_nobody_up(account):
    account(sent_by("a@x.example"))
    dead = reading._alone(reading._key(reading.EVERYTHING))
    assert dead.__enter__()

    with later(25):
        assert tried(".", is_regex=True).state == "done"


@pytest.mark.parametrize("damage", ["gone", "unreadable"])
def test_a_sample_of_which_a_part_is_missing_is_read_again(account, damage):
    simulator = account(sent_by("a@x.example"))
    tried(".", is_regex=True)
    pages = Copy.objects.filter(part__startswith="page")
    pages.delete() if damage == "gone" else pages.update(body=b"\x00nonsense")

    assert tried(".", is_regex=True).total == 1
    assert calls(simulator) == ["search", "search"]


def test_nothing_of_it_stays(account):
    account(sent_by("a@x.example"))
    tried(".", is_regex=True)
    tried("a@x.example")

    with later(reading.PAGES_KEPT.total_seconds() + 1):
        purge()

    assert not Copy.objects.exists()


def test_what_is_kept_does_not_hold_what_was_typed_in_its_name(account):
    account(sent_by("secret@x.example"))
    tried("secret@x.example")

    assert not any("secret" in f"{copy.investigate_id}{copy.part}" for copy in Copy.objects.all())


# --- slow and failing searches ----------------------------------------------------------------------------------------


def test_a_slow_search_is_never_taken_for_an_empty_one(account):
    simulator = account(sent_by("a@x.example"), wide_search_days=7.0, search_delay=4.0)

    first, second = tried("a@x.example"), tried("a@x.example")

    assert (first.state, second.state) == ("searching", "searching")
    assert "Nothing is known yet" in first.told
    assert calls(simulator) == ["search"]  # nobody asks again before the service wants to be asked
    with later(2):
        assert tried("a@x.example").state == "searching"
    with later(6):
        found = tried("a@x.example")
    assert (found.state, found.total) == ("done", 1)
    assert calls(simulator) == ["search", "poll", "poll"]


def test_results_that_expired_are_searched_for_once_more(account):
    simulator = account(sent_by("a@x.example"), wide_search_days=7.0, search_delay=1.0)
    tried("a@x.example")
    simulator.faults.next("poll", status=404)

    with later(2):
        assert tried("a@x.example").state == "searching"
    with later(5):
        assert tried("a@x.example").total == 1
    assert calls(simulator) == ["search", "poll", "search", "poll"]


def test_a_search_that_never_ends_is_given_up(account):
    simulator = account(sent_by("a@x.example"))
    simulator.faults.endless_search = True
    tried("a@x.example")

    with later(200):
        found = tried("a@x.example")
        asked = len(simulator.calls)
        again = tried("a@x.example")

    assert (found.state, found.retry_after) == ("unavailable", 60)
    assert "has not finished searching" in found.told
    assert again.state == "unavailable"
    assert len(simulator.calls) == asked
    simulator.faults.endless_search = False
    with later(300):
        assert tried("a@x.example").total == 1


def test_no_budget_says_when_to_try_again_and_asks_nothing_until_then(account):
    simulator = account(sent_by("a@x.example"))
    simulator.faults.next("search", status=429, retry_after=120)

    found = tried("a@x.example")
    again = tried("a@x.example")

    assert (found.state, again.state) == ("unavailable", "unavailable")
    assert found.told == "The account's call budget is used up. Try again in 2:00; saving needs no try."
    assert 118 <= found.retry_after <= 120
    assert calls(simulator) == ["search"]
    with later(125):
        assert tried("a@x.example").total == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 503, "times": None}, "Cloudflare could not be reached. Try again in 5 s"),
        ({"html": True}, "answer could not be used"),
        ({"status": 401}, "must renew it"),
        ({"status": 403}, "must renew it"),
        ({"status": 400}, "answer could not be used"),
        ({"status": 202, "location": "https://elsewhere.example/x"}, "answer could not be used"),
        ({"success_false": True}, "answer could not be used"),
    ],
)
def test_a_failing_search_is_told_and_may_be_tried_again(account, fault, told):
    simulator = account(sent_by("a@x.example"))
    simulator.faults.next("search", **fault)

    found = tried("a@x.example")

    assert (found.state, found.total) == ("unavailable", 0)
    assert told in found.told
    simulator.faults.clear()
    with later(10):
        assert tried("a@x.example").state == "done"


def test_a_sample_with_a_failing_second_page_is_used_as_far_as_it_goes(account, monkeypatch):
    simulator = account(*[sent_by("a@x.example")] * 1_200)
    page = simulator._messages._results

    def then_fail(*arguments: Any) -> Any:
        simulator.faults.next("search", status=403, times=None)
        return page(*arguments)

    monkeypatch.setattr(simulator._messages, "_results", then_fail)
    found = tried(".", is_regex=True)

    assert (found.state, found.total, found.is_complete) == ("done", 1_000, False)
    monkeypatch.undo()
    simulator.faults.clear()
    with later(65):
        assert tried(".", is_regex=True).total == 1_200


def test_a_server_that_turns_in_circles_is_left(account):
    simulator = account(sent_by("a@x.example"))
    row = {"id": "1", "postfix_id": "1", "from": "a@x.example", "client_recipients": []}
    envelope = {"success": True, "errors": [], "messages": [], "result": [row], "result_info": {"next": "again"}}
    simulator.faults.next("search", times=None, body=json.dumps(envelope), content_type="application/json")

    found = tried("@", is_regex=True)

    assert (found.state, found.total) == ("done", 1)
    assert calls(simulator) == ["search", "search"]


@needs_strings
def test_hostile_mail_is_compared_like_any_other(account):
    strings = [text for text in hostile_strings() if "\ud800" not in text][:900]
    mail = [
        sent_by(text, subject=text, from_name=text, client_recipients=(text,), smtp_helo_server_ip=text)
        for text in strings
    ]
    account(*mail)

    assert tried("(?s).*", Against.SUBJECT, None, is_regex=True).total == len(strings)
    for against in (Against.SENDER, Against.RECIPIENT, Against.SENDER_DOMAIN):
        assert tried("(?s).*", against, is_regex=True).state == "done"
    assert tried("198.51.100.0/24", kind="IP").state == "done"
    named = tried(strings[0], Against.NAME, None, also={"email": "a@x.example"})
    assert named.state in ("done", "broken")
