"""Whole lists are read and compared: every change is seen once, and nothing is seen that did not happen."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from dashboard.upstream.models import CallBudget, MissingFeature
from settings_ui import watching
from settings_ui.changes import services as changes
from settings_ui.entries.life import Life
from settings_ui.models import Difference, Entry, EntryState, Line, LineState, Mirrored, Observed, Reading
from settings_ui.resources import BY_NAME, RESOURCES
from settings_ui.watching import reading, rounds
from tests.settings_ui.changes.conftest import ENTRIES, EVIL, key, worked
from tests.settings_ui.entries.conftest import Keep
from tests.settings_ui.watching.conftest import Between, asked_for, read, seed, seen, take_away

pytestmark = pytest.mark.django_db

BLOCK = BY_NAME["block_senders"]


@pytest.mark.parametrize("resource", [resource.name for resource in RESOURCES])
def test_what_happens_elsewhere_is_seen_once(generation: Simulator, resource: str) -> None:
    if read(resource).count is None:
        assert not get_client().offers(resource)
        return
    assert seen() == [], "the first reading compares with nothing"
    values, change = ENTRIES[resource]
    if generation.world.profile.seed_generation and resource == "domains":
        made = generation.settings.seed_entry(resource, generation.clock(), **values)["id"]
    else:
        made = get_client().create_entry(resource, values).id
    label = BY_NAME[resource].label(values)

    read(resource)
    assert seen() == [("added", label)]
    generation.settings.entries[resource][made] |= change
    read(resource)
    assert seen()[1:] == [("changed", BY_NAME[resource].label(values | change))]
    turned = Observed.objects.get(what=Difference.CHANGED)
    assert turned.after == {name: turned.after[name] for name in change}
    take_away(generation, made, resource=resource)
    read(resource)
    assert [what for what, _ in seen()[2:]] == ["removed"]
    read(resource)
    assert len(seen()) == 3
    assert all(one.line is None for one in Observed.objects.all())
    assert Mirrored.objects.filter(resource=resource).count() == len(generation.settings.entries[resource])


def test_figures_that_count_mail_are_nobodys_change(emailsec: Simulator) -> None:
    read("domains")
    for entry in emailsec.settings.entries["domains"].values():
        entry["emails_processed"] = {"timestamp": "2026-11-21T00:00:00Z", "total_emails_processed": 12345}
    read("domains")
    assert seen() == []


def test_every_list_is_counted_with_the_time_of_its_reading(emailsec: Simulator) -> None:
    assert watching.counts() == {}
    before = timezone.now()
    for resource in RESOURCES:
        read(resource.name)
    told = watching.counts()
    assert {name: count.number for name, count in told.items()} == {
        resource.name: len(emailsec.settings.entries[resource.name]) for resource in RESOURCES
    }
    assert all(count.as_of >= before for count in told.values())


def test_a_list_is_read_in_the_background_and_only_when_it_is_due(
    emailsec: Simulator, rung: Callable[[], list[tuple[str, str]]]
) -> None:
    rounds.read_lists()
    assert rung() == sorted(("settings_ui.tasks.read_list", resource.name) for resource in RESOURCES)
    rounds.read_list("block_senders")
    rounds.read_list("block_senders")
    assert asked_for(emailsec, "block_senders.list") == 1
    due = Reading.objects.get(resource="block_senders").due_at - timezone.now()
    assert dt.timedelta(minutes=59) < due < dt.timedelta(minutes=61)


def test_a_list_the_server_lacks_is_not_asked_for_until_tomorrow(generation: Simulator) -> None:
    if not generation.world.profile.seed_generation:
        assert read("content_policies").explanation == ""
        return
    for _ in range(3):
        told = read("content_policies")
    assert (
        asked_for(generation, "content_policies.list")
        + sum(call.path.endswith("/content_policies") for call in generation.calls)
        == 1
    )
    assert (told.count, told.finished_at, "does not offer" in told.explanation) == (None, None, True)
    MissingFeature.objects.update(until=timezone.now())
    read("content_policies")
    assert sum(call.path.endswith("/content_policies") for call in generation.calls) == 2


# Entries that come and go while a list is being read move others from page to page.


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PER_PAGE", 5)


@pytest.mark.usefixtures("small_pages")
def test_an_entry_that_slipped_to_a_page_that_was_read_is_not_gone(emailsec: Simulator, between: Between) -> None:
    ids = seed(emailsec, 20)
    read()

    def first_goes(page: int) -> None:
        if page == 1:  # one goes, one comes: the server's count says nothing
            take_away(emailsec, ids[0])
            emailsec.settings.seed_entry("block_senders", emailsec.clock(), **EVIL)

    between.pages, between.happens = 0, first_goes
    read()

    assert seen() == [("added", "evil.example")], "what went after its page was read is seen at the next reading"
    read()
    assert seen()[1:] == [("removed", "bad0.example")]


@pytest.mark.usefixtures("small_pages")
def test_nor_is_one_that_slipped_at_each_reading(emailsec: Simulator, between: Between) -> None:
    ids = seed(emailsec, 40)
    read()
    victims = iter(ids)

    between.happens = lambda _page: take_away(emailsec, next(victims))
    read()
    between.happens = lambda _page: None

    stands = set(emailsec.settings.entries["block_senders"])
    gone = {one.upstream_id for one in Observed.objects.filter(what=Difference.REMOVED)}
    assert not gone & stands
    assert set(Mirrored.objects.values_list("upstream_id", flat=True)) >= stands
    read()
    assert {one.upstream_id for one in Observed.objects.all()} == set(ids) - stands


@pytest.mark.usefixtures("small_pages")
def test_what_is_added_meanwhile_is_seen_once(emailsec: Simulator, between: Between) -> None:
    seed(emailsec, 20)
    read()

    def one_more(page: int) -> None:
        new = EVIL | {"pattern": f"new{page}.example"}
        if page < 4:
            emailsec.settings.seed_entry("block_senders", emailsec.clock(), **new)

    between.pages, between.happens = 0, one_more
    read()
    read()

    assert sorted(seen()) == [("added", f"new{page}.example") for page in (1, 2, 3)]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("resource", ["url_ignore_patterns"])
def test_a_list_without_an_order_holds_as_well(emailsec: Simulator, between: Between, resource: str) -> None:
    ids = [
        emailsec.settings.seed_entry(resource, emailsec.clock() - 100 + place, pattern=f"https://{place}\\.example/")[
            "id"
        ]
        for place in range(20)
    ]
    read(resource)

    def shift(page: int) -> None:
        if page == 1:
            take_away(emailsec, ids[-1], resource=resource)  # newest first
        if page == 2:
            emailsec.settings.seed_entry(resource, emailsec.clock(), pattern="https://new\\.example/")

    between.pages, between.happens = 0, shift
    read(resource)
    between.happens = lambda _page: None
    read(resource)

    assert sorted(seen()) == [("added", "https://new\\.example/"), ("removed", "https://19\\.example/")]


@pytest.mark.usefixtures("small_pages")
def test_a_reading_that_breaks_off_changes_nothing(emailsec: Simulator, between: Between) -> None:
    ids = seed(emailsec, 20)
    before = read()
    take_away(emailsec, *ids[:3])

    def breaks(page: int) -> None:
        if page == 2:
            emailsec.faults.next("block_senders.list", status=503, times=None)

    between.pages, between.happens = 0, breaks
    after = read()

    assert seen() == []
    assert (after.finished_at, after.count) == (before.finished_at, before.count)
    assert after.explanation == "Cloudflare did not give the whole list."
    assert Mirrored.objects.count() == before.count
    emailsec.faults.clear()
    between.happens = lambda _page: None
    CallBudget.objects.all().delete()
    assert read().explanation == ""
    assert sorted(seen()) == [("removed", f"bad{place}.example") for place in range(3)]


def test_a_list_that_comes_back_empty_by_mistake_removes_nothing(emailsec: Simulator) -> None:
    seed(emailsec, 50)
    before = read()
    emailsec.faults.next(
        "block_senders.list",
        body=json.dumps({"success": True, "errors": [], "messages": [], "result": [], "result_info": {"page": 1}}),
        content_type="application/json",
        status=200,
        times=None,
    )

    after = read()

    assert seen() == []
    assert after.count == before.count
    assert "without entries that stand" in after.explanation


def test_a_list_that_was_cleared_is_seen_with_a_bounded_number_of_calls(emailsec: Simulator) -> None:
    ids = seed(emailsec, 300)
    read()
    calls = len(emailsec.calls)
    take_away(emailsec, *ids)

    read()

    assert len(seen()) == 300
    assert len(emailsec.calls) - calls <= 2 + reading.ASKED_ONE_BY_ONE


def test_a_404_of_something_in_between_proves_nothing(emailsec: Simulator) -> None:
    ids = seed(emailsec, 3)
    read()
    take_away(emailsec, ids[0])
    emailsec.faults.next("block_senders.get", status=404, html=True)

    read()

    assert seen() == []
    read()
    assert seen() == [("removed", "bad0.example")]


def test_a_worker_that_was_overtaken_stores_nothing(emailsec: Simulator, between: Between) -> None:
    seed(emailsec, 3)
    read()
    seed(emailsec, 1)
    between.happens = lambda _page: Reading.objects.update(claimed_at=timezone.now())

    read()

    assert seen() == []
    assert Reading.objects.get(resource="block_senders").claimed_at is not None


def test_the_claim_of_a_dead_worker_ends(emailsec: Simulator) -> None:
    read()
    Reading.objects.update(claimed_at=timezone.now(), due_at=F("due_at") - dt.timedelta(days=1))
    rounds.read_list("block_senders")
    assert asked_for(emailsec, "block_senders.list") == 1
    Reading.objects.update(claimed_at=timezone.now() - dt.timedelta(seconds=rounds.LEASE_SECONDS + 1))
    rounds.read_list("block_senders")
    assert asked_for(emailsec, "block_senders.list") == 2


def test_a_used_up_budget_is_waited_for(emailsec: Simulator) -> None:
    read()
    emailsec.faults.next("block_senders.list", status=429, retry_after=400, times=None)

    told = read()

    assert "budget" in told.explanation
    assert told.due_at - timezone.now() > dt.timedelta(seconds=290)


def made(pia: Member, **what: Any) -> str:
    change = changes.create(actor=pia, resource=BLOCK, values=EVIL, operation_key=key(), request=None, **what)
    return change.lines.get().upstream_id


def test_what_we_did_is_ours_and_the_rest_is_not(pia: Member, emailsec: Simulator) -> None:
    read()
    entry_id = made(pia)
    get_client().create_entry("block_senders", EVIL | {"pattern": "theirs.example"})
    read()
    after = EVIL | {"comments": "changed by us"}
    changes.edit(
        actor=pia, resource=BLOCK, entry_id=entry_id, before=EVIL, after=after, operation_key=key(), request=None
    )
    read()
    entries = [get_client().entry("block_senders", entry_id)]
    worked(changes.remove(actor=pia, resource=BLOCK, entries=entries, operation_key=key(), request=None), after=60)
    read()

    assert [(one.what, one.label, one.line and one.line.verb) for one in Observed.objects.order_by("pk")] == [
        ("added", "evil.example", "add"),
        ("added", "theirs.example", None),
        ("changed", "evil.example", "change"),
        ("removed", "evil.example", "remove"),
    ]


def test_what_somebody_changed_after_us_is_not_ours(pia: Member, emailsec: Simulator) -> None:
    entry_id = made(pia)
    read()
    after = EVIL | {"comments": "ours"}
    changes.edit(
        actor=pia, resource=BLOCK, entry_id=entry_id, before=EVIL, after=after, operation_key=key(), request=None
    )
    get_client().edit_entry("block_senders", entry_id, {"comments": "theirs"})

    read()

    turned = Observed.objects.get()
    assert (turned.line, turned.before, turned.after) == (None, {"comments": "ticket 7"}, {"comments": "theirs"})


def test_an_answer_that_was_lost_and_found_later_makes_it_ours_after_all(pia: Member, emailsec: Simulator) -> None:
    read()
    made(pia)
    Line.objects.update(state=LineState.UNKNOWN)
    read()
    assert Observed.objects.get().line is None
    Line.objects.update(state=LineState.DONE)
    read()
    assert Observed.objects.get().line == Line.objects.get()


def test_an_entry_that_is_gone_has_no_life_and_no_end_left(keep: Keep, emailsec: Simulator) -> None:
    kept = keep(days=3)
    read()
    take_away(emailsec, kept.upstream_id)

    read()

    kept.refresh_from_db()
    assert (kept.state, kept.explanation) == (
        EntryState.REMOVED, "It was gone already: somebody removed it elsewhere.",
    )  # fmt: skip


def test_many_that_are_gone_are_ended_in_one_order_and_recorded_last(keep: Keep, emailsec: Simulator) -> None:
    kept = [keep(pattern=f"gone{number}.example") for number in range(6)]
    read()
    take_away(emailsec, *[one.upstream_id for one in kept])

    with CaptureQueriesContext(connection) as asked:
        read()

    writes = [one["sql"] for one in asked if one["sql"].startswith(("UPDATE", "INSERT"))]
    ends = [sql for sql in writes if "settings_ui_entry" in sql]
    keys = [next(one.pk for one in kept if one.pk.hex in sql.replace("-", "")) for sql in ends]
    assert keys == sorted(one.pk for one in kept), "two who end the same must not wait for each other"
    first = next(place for place, sql in enumerate(writes) if "audit" in sql)
    assert not [sql for sql in writes[first:] if "settings_ui_entry" in sql], "the ledger's lock is the last one"
    assert AuditEvent.objects.filter(action="policy:end").count() == 6


def test_what_is_removed_by_us_is_settled_by_who_removes_it(pia: Member, keep: Keep, emailsec: Simulator) -> None:
    kept = keep(days=3)
    read()
    Entry.objects.update(state=EntryState.REMOVING)
    take_away(emailsec, kept.upstream_id)
    read()
    kept.refresh_from_db()
    assert kept.state == EntryState.REMOVING
    assert Life.of_entry(kept).owner_id == pia.pk


def test_differences_are_forgotten_after_ninety_days(emailsec: Simulator) -> None:
    read()
    seed(emailsec, 1)
    read()
    assert watching.recent().count() == 1
    Observed.objects.update(at=F("at") - dt.timedelta(days=2))
    assert watching.recent().count() == 0
    assert watching.recent("block_senders", timezone.now() - dt.timedelta(days=30)).count() == 1
    Observed.objects.update(at=F("at") - dt.timedelta(days=89))
    read()
    assert seen() == []


def test_a_person_asks_for_a_reading_once_a_minute(
    emailsec: Simulator, rung: Callable[[], list[tuple[str, str]]]
) -> None:
    assert rounds.ask_now([BLOCK]) == 0, "it is due anyway"
    read()
    bell = ("settings_ui.tasks.read_list", "block_senders")
    before = rung().count(bell)
    assert rounds.ask_now([BLOCK]) == 0
    Reading.objects.update(finished_at=F("finished_at") - dt.timedelta(seconds=61))
    assert rounds.ask_now([BLOCK]) == 1
    assert rung().count(bell) == before + 1


@pytest.mark.usefixtures("small_pages")
def test_a_fresh_reading_is_whole(emailsec: Simulator, between: Between) -> None:
    ids = seed(emailsec, 20)

    def shift(page: int) -> None:
        if page == 1:
            take_away(emailsec, ids[0])

    between.happens = shift

    found = [entry.id for entry in watching.read_whole(BLOCK)]

    assert len(found) == len(set(found))
    assert set(found) == set(emailsec.settings.entries["block_senders"])
