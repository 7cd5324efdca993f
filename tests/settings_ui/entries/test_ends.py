"""The end of an entry: it goes when its time is over, provably, and never takes another entry with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.errors import NotOnThisServer
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from dashboard.upstream.models import CallBudget
from settings_ui.changes import services as changes
from settings_ui.entries import announcing, services, sweep, transitions, words
from settings_ui.entries.knowing import who
from settings_ui.entries.life import Life, note_added, set_life
from settings_ui.entries.rules import NotPossible
from settings_ui.models import Change, Entry, EntryState, Line, Origin
from settings_ui.resources import BY_NAME, RESOURCES
from tests.settings_ui.changes.conftest import ENTRIES, key, worked
from tests.settings_ui.conftest import Time, calls
from tests.settings_ui.entries.conftest import EXPIRING, Keep, Stand, trail

pytestmark = pytest.mark.django_db

ENDED = [("policy:end", "attempt", "Mailwarden"), ("policy:end", "done", "Mailwarden")]


def entries_of(simulator: Simulator, resource: str = "block_senders") -> dict[str, Any]:
    return simulator.settings.entries[resource]


def over(entry: Entry, time_: Time, days: float = 31) -> Entry:
    """Its end is over, and the sweep has seen that."""
    time_.passes(entry, days * 86_400)
    sweep.sweep_entries()
    entry.refresh_from_db()
    return entry


@pytest.mark.parametrize("resource", EXPIRING)
def test_an_entry_of_every_list_goes_at_its_end(keep: Keep, generation: Simulator, time_: Time, resource: str) -> None:
    if resource not in _served(generation):
        with pytest.raises(NotOnThisServer):
            keep(resource)
        return
    others = set(entries_of(generation, resource))
    entry = keep(resource)
    sweep.sweep_entries()
    entry.refresh_from_db()
    assert entry.state == EntryState.ACTIVE, "its end has not come"

    assert over(entry, time_).state == EntryState.REMOVING
    assert who(resource, [entry.upstream_id])[entry.upstream_id].is_going
    time_.removed(entry)

    assert (entry.state, entry.explanation) == (EntryState.REMOVED, "")
    assert set(entries_of(generation, resource)) == others
    assert trail(entry)[1:] == ENDED


@pytest.mark.parametrize("resource", [one.name for one in RESOURCES if one.takes_typing or not one.may_expire])
def test_what_takes_a_decision_each_time_never_goes_by_itself(
    pia: Member, stand: Stand, emailsec: Simulator, time_: Time, resource: str
) -> None:
    made = stand(resource)
    line = Line(
        change=Change(resource=resource),
        life=Life(pia.pk, expires_at=timezone.now() + dt.timedelta(days=1)).kept(),
        upstream_id=made.id,
    )
    note_added(line, made)
    entry = Entry.objects.get()
    assert entry.expires_at is None, "not even where who made it was not asked"

    Entry.objects.update(expires_at=timezone.now() + dt.timedelta(days=1))
    assert over(entry, time_).state == EntryState.ACTIVE
    with pytest.raises(NotPossible):
        services.end(actor=pia, entry=entry, request=None)
    assert not transitions.begin_removal(entry, actor=pia)
    Entry.objects.update(state=EntryState.REMOVING, due_at=timezone.now())
    time_.removed(entry, after=60)

    assert made.id in entries_of(emailsec, resource)
    assert calls(emailsec, f"{resource}.delete") == 0


def _served(simulator: Simulator) -> set[str]:
    newer = {"content_policies", "sending_domain_restrictions", "url_ignore_patterns"}
    return set(EXPIRING) - (newer if simulator.world.profile.seed_generation else set())


@pytest.mark.parametrize(
    ("fault", "deletes"),
    [
        ({"lose_answer": True, "applied": True}, 1),
        ({"lose_answer": True, "applied": False}, 2),
        ({"status": 503, "applied": True}, 1),
        ({"status": 503, "applied": False}, 2),
        ({"status": 404, "html": True, "applied": False}, 2),
        ({"status": 429, "retry_after": 300}, 2),
        ({"truncate": 5, "applied": True}, 1),
        ({"success_false": True, "applied": False}, 2),
    ],
)
def test_without_an_answer_it_is_asked_for_and_removed_until_it_is_provably_gone(
    keep: Keep, emailsec: Simulator, time_: Time, fault: dict[str, Any], deletes: int
) -> None:
    entry = over(keep(), time_)
    emailsec.faults.next("block_senders.delete", **fault)

    time_.removed(entry)
    assert entry.state in (EntryState.REMOVING, EntryState.REMOVED)
    CallBudget.objects.all().delete()
    time_.removed(entry, after=3600)

    assert (entry.state, entry.explanation) == (EntryState.REMOVED, "")
    assert entry.upstream_id not in entries_of(emailsec)
    assert calls(emailsec, "block_senders.delete") == deletes
    assert trail(entry)[1:] == ENDED


@pytest.mark.parametrize("fault", [{"status": 404, "html": True}, {"status": 503, "times": None}, {"truncate": 9}])
def test_what_something_in_between_says_proves_nothing(
    keep: Keep, emailsec: Simulator, time_: Time, fault: dict[str, Any]
) -> None:
    entry = over(keep(), time_)
    emailsec.faults.next("block_senders.get", **fault)

    time_.removed(entry)

    assert entry.state == EntryState.REMOVING
    assert "not confirmed" in entry.explanation
    assert entry.upstream_id in entries_of(emailsec)


def test_what_somebody_removed_elsewhere_is_settled_and_told(keep: Keep, emailsec: Simulator, time_: Time) -> None:
    entry = over(keep(), time_)
    entries_of(emailsec).pop(entry.upstream_id)

    time_.removed(entry)

    assert entry.state == EntryState.REMOVED
    assert "elsewhere" in entry.explanation
    assert calls(emailsec, "block_senders.delete") == 0


def test_what_became_another_entry_elsewhere_is_not_removed(
    keep: Keep, pia: Member, emailsec: Simulator, time_: Time
) -> None:
    entry = over(keep(), time_)
    get_client().edit_entry("block_senders", entry.upstream_id, {"pattern": "all-our-partners.example"})

    time_.removed(entry)

    assert (entry.state, entry.expires_at, entry.pattern) == (EntryState.ACTIVE, None, "all-our-partners.example")
    assert "evil.example" in entry.explanation
    assert entry.upstream_id in entries_of(emailsec)
    assert calls(emailsec, "block_senders.delete") == 0
    assert trail(entry)[-1] == ("policy:end", "refused", "Mailwarden")
    held = announcing.ending_soon(pia)
    assert [(one.is_held_back, one.owner) for one in held] == [(True, "Pia")]
    assert who("block_senders", [entry.upstream_id])[entry.upstream_id].explanation == entry.explanation

    sweep.sweep_entries()
    entry.refresh_from_db()
    assert entry.state == EntryState.ACTIVE
    again = keep(entry=get_client().entry("block_senders", entry.upstream_id), days=2)
    assert again.explanation == ""
    assert over(again, time_, 3).state == EntryState.REMOVING


def test_a_changed_remark_does_not_keep_an_entry(keep: Keep, emailsec: Simulator, time_: Time) -> None:
    entry = over(keep(), time_)
    get_client().edit_entry("block_senders", entry.upstream_id, {"comments": "somebody else's words"})

    assert time_.removed(entry).state == EntryState.REMOVED
    assert entry.upstream_id not in entries_of(emailsec)


def test_a_rule_for_one_sender_that_became_another_frees_its_sender(
    ana: Member, accept: Callable[..., Entry], emailsec: Simulator, time_: Time
) -> None:
    rule = time_.sent(accept(ana, days=1))
    get_client().edit_entry("allow_policies", rule.upstream_id, {"pattern": "other@supplier.example"})

    time_.removed(over(rule, time_, 2))

    assert (rule.state, rule.origin) == (EntryState.ACTIVE, Origin.NOTED)
    assert words.short(rule) == "another entry now"
    assert "other@supplier.example now. It was not removed" in words.sentence(rule)
    assert accept(ana).state == EntryState.WAITING


def test_an_end_that_is_moved_before_it_comes_keeps_the_entry(
    keep: Keep, pia: Member, emailsec: Simulator, time_: Time
) -> None:
    entry = keep(days=3)
    upstream = get_client().entry("block_senders", entry.upstream_id)
    time_.passes(entry, 2 * 86_400)
    set_life(actor=pia, resource=BY_NAME["block_senders"], entry=upstream, life=Life(pia.pk, reason="on"), request=None)

    assert over(entry, time_, 2).state == EntryState.ACTIVE
    assert entry.expires_at is None


def test_two_workers_end_it_once(keep: Keep, emailsec: Simulator, time_: Time) -> None:
    entry = over(keep(), time_)
    sweep.sweep_entries()
    time_.removed(entry)
    time_.removed(entry)
    assert calls(emailsec, "block_senders.delete") == 1
    assert trail(entry)[1:] == ENDED


def test_an_entry_that_is_removed_by_hand_has_no_life_left(
    pia: Member, keep: Keep, stand: Stand, emailsec: Simulator, time_: Time
) -> None:
    entry = stand()
    kept = keep(entry=entry)
    change = changes.remove(
        actor=pia, resource=BY_NAME["block_senders"], entries=[entry], operation_key=key(), request=None
    )
    worked(change, after=60)

    kept.refresh_from_db()
    assert (kept.state, kept.explanation) == (EntryState.REMOVED, "Removed by Pia.")
    assert over(kept, time_).state == EntryState.REMOVED
    assert calls(emailsec, "block_senders.delete") == 1


def test_an_entry_made_here_goes_at_its_end(pia: Member, emailsec: Simulator, time_: Time) -> None:
    changes.create(
        actor=pia, resource=BY_NAME["url_ignore_patterns"], values=ENTRIES["url_ignore_patterns"][0],
        life=Life(pia.pk, expires_at=timezone.now() + dt.timedelta(days=3)), operation_key=key(), request=None,
    )  # fmt: skip
    entry = Entry.objects.get()

    time_.removed(over(entry, time_, 4))

    assert entry.state == EntryState.REMOVED
    assert entry.upstream_id not in entries_of(emailsec, "url_ignore_patterns")
