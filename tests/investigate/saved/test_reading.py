"""What saved views find: each message once, nobody told of the past, whatever goes wrong on the way."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from investigate.models import Channel, NoticeRule, Rhythm, SavedView, SeenMessage, ViewHit
from investigate.saved import pace, queries, reading
from investigate.saved.asking import criteria_of
from investigate.saved.queries import hits_within
from tests.investigate.saved.conftest import MakeView

pytestmark = pytest.mark.django_db


def calls(emailsec: Any) -> list[str]:
    return [call.operation for call in emailsec.calls]


def arrived(emailsec: Any, count: int) -> set[str]:
    """New mail, as ids of what a search of all mail finds."""
    return {record.id for record in emailsec.arrive(count) if not record.is_phish_submission}


def rule_for(view: SavedView, member: Member, rhythm: Rhythm = Rhythm.HOURLY) -> NoticeRule:
    now = timezone.now()
    return NoticeRule.objects.create(
        view=view, owner=member, rhythm=rhythm, channel=Channel.MAIL, target="x", shown="x", due_at=now,
        created_at=now, changed_at=now,
    )  # fmt: skip


def test_what_is_there_at_first_is_known_and_what_comes_later_is_found_once(
    emailsec: Any, ana: Member, make_view: MakeView, read: Any
) -> None:
    before = arrived(emailsec, 4)
    view = make_view(ana, "last=7d&clean=1")
    rule = rule_for(view, ana)

    view = read(view)
    rule.refresh_from_db()
    assert before <= set(view.hits.values_list("investigate_id", flat=True))
    assert not view.hits.filter(found_at__gt=view.created_at).exists()
    assert not view.hits.filter(pk__gt=rule.told_hit).exists(), "nobody is told of the past"

    new = arrived(emailsec, 6)
    view = read(view)
    view = read(view)
    found = view.hits.filter(pk__gt=rule.told_hit)
    assert set(found.values_list("investigate_id", flat=True)) == new
    assert SeenMessage.objects.filter(investigate_id__in=new).count() == len(new), "the memory has it, too"
    assert all(hit.campaign.partition(":")[0] in ("", "edf", "layout", "shape") for hit in found)


def test_nobody_limited_is_told_of_mail_that_only_an_address_elsewhere_in_its_header_found(
    emailsec: Any, ben: Member, make_view: MakeView, read: Any
) -> None:
    view = read(make_view(ben, "last=7d&clean=1", is_shared=True))
    record = next(record for record in emailsec.arrive(8) if not record.is_phish_submission)
    record.to, record.envelope_to = ("zqboss@elsewhere.example",), ("zqboss@elsewhere.example",)
    domain = record.client_recipients[0].rpartition("@")[2]
    limited = Member.objects.create_user("lea", "lea@corp.example", "x", role="analyst", domains=[domain])
    view = read(view)
    view.hits.exclude(investigate_id=record.id).delete()
    assert [one.new for one in queries.views_for(limited)] == [1], "it is theirs"

    SavedView.objects.filter(pk=view.pk).update(query="q=zqboss&last=7d&clean=1")

    assert [one.new for one in queries.views_for(limited)] == [0]
    assert hits_within(view.hits.all(), criteria_of(SavedView.objects.get()), limited.scope) == []


def test_a_reading_is_one_call_and_takes_turns(emailsec: Any, ana: Member, make_view: MakeView) -> None:
    view = make_view(ana, "last=7d")

    reading.read(view.pk)
    reading.read(view.pk)

    assert calls(emailsec) == ["search"]


def test_each_combination_of_values_is_read(emailsec: Any, ana: Member, make_view: MakeView, read: Any) -> None:
    view = make_view(ana, "last=7d&disposition=MALICIOUS&disposition=SPAM&disposition=BULK")
    view = read(view)
    assert calls(emailsec) == ["search"] * 3

    new = {record.id for record in emailsec.arrive(60) if record.final_disposition in ("MALICIOUS", "SPAM", "BULK")}
    read(view)
    assert new <= set(view.hits.values_list("investigate_id", flat=True))


def test_many_pages_are_walked_over_several_rounds_to_a_bounded_depth(
    emailsec: Any, ana: Member, make_view: MakeView, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = read(make_view(ana, "last=7d&clean=1"))
    monkeypatch.setattr(reading, "MESSAGES_A_PAGE", 5)
    monkeypatch.setattr(reading, "PAGES_A_ROUND", 2)
    new = arrived(emailsec, 12)
    view = read(view)
    assert new <= set(view.hits.values_list("investigate_id", flat=True))
    assert view.explanation == ""

    monkeypatch.setattr(reading, "PAGES_A_BRANCH", 2)
    arrived(emailsec, 30)
    view = read(view)
    assert view.explanation == reading.TOO_MANY
    assert view.reading == {}


def test_a_slow_search_is_asked_on_later(emailsec: Any, ana: Member, make_view: MakeView, read: Any) -> None:
    view = read(make_view(ana, "last=30d&clean=1"))
    SavedView.objects.update(read_until=timezone.now() - dt.timedelta(days=13), tried_at=None)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        reading.read(view.pk)
        view.refresh_from_db()
        assert view.reading["location"]
        for _ in range(10):
            clock.shift(20)
            reading.read(view.pk)

    view.refresh_from_db()
    assert (view.reading, view.explanation) == ({}, "")
    assert "poll" in calls(emailsec)
    assert view.hits.count() > 50


def test_an_error_is_told_in_words_and_the_next_reading_goes_on(
    emailsec: Any, ana: Member, make_view: MakeView, read: Any
) -> None:
    view = read(make_view(ana, "last=7d&clean=1"))
    until = view.read_until
    new = arrived(emailsec, 3)

    emailsec.faults.next("search", status=503, times=None)
    SavedView.objects.update(tried_at=None)
    reading.read(view.pk)
    view.refresh_from_db()
    assert view.explanation.startswith("Cloudflare does not answer")
    assert view.read_until == until

    emailsec.faults.clear()
    view = read(view)
    assert view.explanation == ""
    assert new <= set(view.hits.values_list("investigate_id", flat=True))


def test_a_list_people_have_open_is_read_instead_of_a_call(
    emailsec: Any, analyst: Client, ana: Member, make_view: MakeView, read: Any
) -> None:
    view = read(make_view(ana, "last=24h"))
    new = {record.id for record in emailsec.arrive(30) if record.final_disposition != "NONE"}
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=5), tick=False):
        analyst.get("/investigate/", {"last": "24h"})
        before = calls(emailsec)

        read(view)

        assert calls(emailsec) == before
    assert new <= set(view.hits.values_list("investigate_id", flat=True))


def test_only_views_somebody_cares_for_are_read(
    emailsec: Any, ana: Member, make_view: MakeView, bells: list[Any]
) -> None:
    looked_at = make_view(ana, name="looked at")
    make_view(ana, name="forgotten", wanted_at=timezone.now() - dt.timedelta(days=2))
    told = make_view(ana, name="told", wanted_at=None)
    rule_for(told, ana, Rhythm.AT_ONCE)

    reading.ring_if_due()

    assert {argument for _, argument, _ in bells} == {str(looked_at.pk), str(told.pk)}
    every = pace.pace()
    assert every[told.pk] == dt.timedelta(minutes=1)
    assert every[looked_at.pk] == dt.timedelta(minutes=5)


def test_many_views_are_read_less_often_so_that_the_calls_stay_few(ana: Member, make_view: MakeView) -> None:
    for number in range(300):
        make_view(ana, name=f"view {number}")

    every = pace.pace()

    calls_in_five_minutes = sum(dt.timedelta(minutes=5) / wait for wait in every.values())
    assert calls_in_five_minutes <= 150.1


def test_a_sweep_rings_for_those_who_waited_longest_and_for_no_more_than_so_many(
    ana: Member, make_view: MakeView, bells: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_RUNG", 2)
    waited = [make_view(ana, tried_at=timezone.now() - dt.timedelta(hours=hours)) for hours in (1, 3, 2)]

    for _ in range(2):
        reading.ring_if_due()

    assert [argument for _, argument, _ in bells] == [str(waited[1].pk), str(waited[2].pk)] * 2


def test_a_range_that_is_over_is_not_asked_for(emailsec: Any, ana: Member, make_view: MakeView) -> None:
    view = make_view(ana, "start=2026-01-01T00:00Z&end=2026-01-02T00:00Z")

    reading.read(view.pk)

    view.refresh_from_db()
    assert (calls(emailsec), view.explanation, view.claimed_at) == ([], "", None)


def test_a_round_of_a_view_that_was_changed_meanwhile_brings_nothing(
    emailsec: Any, ana: Member, make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = make_view(ana, "last=7d")
    ask = reading._ask

    def changed_while_asked(*args: Any) -> Any:
        answer = ask(*args)
        SavedView.objects.filter(pk=view.pk).update(version=2, claimed_at=None, query="last=1h")
        return answer

    monkeypatch.setattr(reading, "_ask", changed_while_asked)
    arrived(emailsec, 30)
    reading.read(view.pk)

    view.refresh_from_db()
    assert (view.read_until, view.reading, view.hits.count()) == (None, {}, 0)


def test_old_hits_are_forgotten_with_what_the_memory_forgets(ana: Member, make_view: MakeView, settings: Any) -> None:
    view, now = make_view(ana), timezone.now()
    for days in (1, 5, 13, 15):
        at = now - dt.timedelta(days=days)
        ViewHit.objects.create(view=view, investigate_id=f"id-{days}", scanned_at=at, found_at=at)

    reading.forget_old()

    assert set(view.hits.values_list("investigate_id", flat=True)) == {"id-1", "id-5", "id-13"}
    settings.MEMORY_DAYS = 3
    reading.forget_old()
    assert set(view.hits.values_list("investigate_id", flat=True)) == {"id-1"}
