"""Two at the same instant: one mail, one removal, one reading, one life of an entry."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.db.models import F
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from settings_ui.entries import announcing, sending, sweep, transitions
from settings_ui.entries.life import Life, set_life
from settings_ui.models import Entry, EntryState, Observed, Reading
from settings_ui.resources import BY_NAME
from settings_ui.watching import rounds
from tests.investigate.actions.test_races import together
from tests.settings_ui.conftest import Time, calls
from tests.settings_ui.entries.conftest import Keep, Stand, trail

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_many_workers_one_tells_the_owner(keep: Keep, time_: Time, settings: Any, emailsec: Simulator) -> None:
    settings.SENDS_MAIL, settings.ADDRESS = True, "https://desk.corp.example"
    entry = keep(days=30)
    time_.passes(entry, 28 * 86_400)
    Entry.objects.update(changed_at=F("changed_at") - dt.timedelta(days=28))

    assert together(*[lambda: announcing.announce(entry.pk)] * 4) == [None] * 4

    assert len(mail.outbox) == 1


def test_of_many_sweeps_and_workers_one_removes_it(keep: Keep, time_: Time, emailsec: Simulator) -> None:
    entry = keep()
    time_.passes(entry, 31 * 86_400)

    assert together(*[sweep.sweep_entries] * 3) == [None] * 3
    assert together(*[lambda: sending.remove(entry.pk)] * 4) == [None] * 4

    entry.refresh_from_db()
    assert entry.state == EntryState.REMOVED
    assert calls(emailsec, "block_senders.delete") == 1
    assert [phase for _, phase, _ in trail(entry)] == ["done", "attempt", "done"]


def test_of_many_workers_one_reads_a_list(stand: Stand, emailsec: Simulator) -> None:
    rounds.read_lists()
    rounds.read_list("block_senders")
    stand()
    Reading.objects.update(due_at=F("due_at") - dt.timedelta(days=1))
    before = calls(emailsec, "block_senders.list")

    assert together(*[lambda: rounds.read_list("block_senders")] * 4) == [None] * 4

    assert calls(emailsec, "block_senders.list") - before == 1
    assert Observed.objects.count() == 1


def test_a_reading_that_finds_entries_gone_and_the_sweep_that_ends_them_do_not_wait_for_each_other(
    keep: Keep, emailsec: Simulator
) -> None:
    for number in range(8):
        kept = [keep(pattern=f"over{number}-{place}.example") for place in range(12)]
        rounds.read_lists()
        Reading.objects.update(due_at=F("due_at") - dt.timedelta(days=1))
        rounds.read_list("block_senders")
        for entry in kept:
            del emailsec.settings.entries["block_senders"][entry.upstream_id]
        Reading.objects.update(due_at=F("due_at") - dt.timedelta(days=1))
        last_first = sorted(kept, key=lambda one: one.pk, reverse=True)

        def end(entries: list[Entry] = last_first) -> None:
            for entry in entries:
                transitions.begin_removal(entry)

        assert together(lambda: rounds.read_list("block_senders"), end, end) == [None] * 3

        for entry in kept:
            entry.refresh_from_db()
            assert entry.state in (EntryState.REMOVING, EntryState.REMOVED)
            assert len([one for one in trail(entry) if one[0] == "policy:end"]) == 1, "one of them ended it"


def test_of_two_people_who_say_whose_it_is_one_is_told_of_the_other(
    pia: Member, stand: Stand, emailsec: Simulator
) -> None:
    entry = stand()

    def say(reason: str) -> Entry:
        life = Life(pia.pk, reason=reason, expires_at=timezone.now() + dt.timedelta(days=3))
        return set_life(
            actor=pia, resource=BY_NAME["block_senders"], entry=entry, life=life, request=None, opened="none"
        )

    results = together(lambda: say("one"), lambda: say("other"))

    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Entry"]
    assert Entry.objects.count() == 1
