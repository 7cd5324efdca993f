"""What makes a notice, what only is counted, and what makes none."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from investigate.models import Channel, Notice, NoticeCampaign, NoticeRule, NoticeState, Rhythm, SavedView, ViewHit
from investigate.notices import making, words
from investigate.notices.queries import forget_old, troubles
from investigate.saved import reading

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(rule_for: Any, ben: Member, clock: Any) -> NoticeRule:
    return rule_for(ben, Channel.MAIL, "soc@corp.example")


def arrived(notice: Notice | None) -> Notice:
    assert notice is not None
    Notice.objects.filter(pk=notice.pk).update(state=NoticeState.ARRIVED)
    return notice


def test_nothing_new_makes_nothing(rule: NoticeRule, found: Any, view: Any) -> None:
    assert making.make(rule.pk) is None

    found("edf:a")
    NoticeRule.objects.filter(pk=rule.pk).update(told_hit=making.newest_hit(view.pk))

    assert making.make(rule.pk) is None
    assert not Notice.objects.exists()


def test_messages_of_a_campaign_are_one_group_and_others_stand_alone(rule: NoticeRule, found: Any) -> None:
    for campaign in ("edf:a", "edf:a", "shape:b", "", ""):
        found(campaign)

    content = arrived(making.make(rule.pk)).content

    first = content["groups"][0]
    assert (first["campaign"], first["count"]) == ("edf:a", 2)
    assert sorted(group["count"] for group in content["groups"]) == [1, 1, 1, 2]
    assert (content["messages"], content["campaigns"], content["alone"]) == (5, 2, 2)


def test_more_of_a_told_campaign_is_counted_and_makes_no_notice_by_itself(
    rule: NoticeRule, found: Any, clock: Any
) -> None:
    found("edf:a")
    arrived(making.make(rule.pk))
    clock.shift(120)
    for _ in range(3):
        found("edf:a")

    assert making.make(rule.pk) is None
    assert NoticeCampaign.objects.get().untold == 3

    found("edf:a")
    found("edf:b")
    content = arrived(making.make(rule.pk)).content

    assert [group["campaign"] for group in content["groups"]] == ["edf:b"]
    assert words.known(content) == "And 4 more of 1 campaign you know."
    assert not NoticeCampaign.objects.filter(untold__gt=0).exists()


def test_a_campaign_is_told_again_a_day_later(rule: NoticeRule, found: Any, clock: Any) -> None:
    found("edf:a")
    arrived(making.make(rule.pk))
    clock.shift(making.KNOWN_FOR.total_seconds() + 1)
    found("edf:a")

    assert [group["campaign"] for group in arrived(making.make(rule.pk)).content["groups"]] == ["edf:a"]


def test_at_once_is_at_most_once_a_minute_and_collects_in_between(rule: NoticeRule, found: Any, clock: Any) -> None:
    found("edf:a")
    arrived(making.make(rule.pk))
    found("edf:b")
    clock.shift(30)
    found("edf:c")

    assert making.make(rule.pk) is None

    clock.shift(31)
    assert arrived(making.make(rule.pk)).campaigns == 2


@pytest.mark.parametrize(
    ("rhythm", "due_at"),
    [
        (Rhythm.HOURLY, dt.datetime(2026, 11, 21, 13, tzinfo=dt.UTC)),
        (Rhythm.DAILY, dt.datetime(2026, 11, 22, 7, tzinfo=dt.UTC)),
    ],
    ids=["hourly", "daily"],
)
def test_a_rhythm_collects_until_its_time(
    rule: NoticeRule, found: Any, clock: Any, rhythm: str, due_at: dt.datetime
) -> None:
    NoticeRule.objects.filter(pk=rule.pk).update(rhythm=rhythm)
    assert making.make(rule.pk) is None  # it was due, nothing was there
    assert NoticeRule.objects.get().due_at == due_at

    found("edf:a")
    found("edf:b")
    assert making.make(rule.pk) is None
    clock.move_to(due_at + dt.timedelta(seconds=1))

    assert arrived(making.make(rule.pk)).campaigns == 2


@pytest.mark.parametrize("rhythm", [Rhythm.HOURLY, Rhythm.DAILY])
def test_more_than_one_notice_takes_is_told_on_the_same_day(
    rule: NoticeRule, found: Any, monkeypatch: pytest.MonkeyPatch, rhythm: str
) -> None:
    """With one part a day a busy view would fall behind until its hits are forgotten."""
    NoticeRule.objects.filter(pk=rule.pk).update(rhythm=rhythm)
    monkeypatch.setattr(making, "MOST_HITS", 2)
    for number in range(5):
        found(f"edf:{number}")

    parts = [arrived(making.make(rule.pk)).messages for _ in range(3)]

    assert parts == [2, 2, 1]
    assert making.make(rule.pk) is None
    assert NoticeRule.objects.get().due_at > timezone.now()


def test_while_one_is_on_its_way_no_other_is_made(rule: NoticeRule, found: Any, clock: Any) -> None:
    found("edf:a")
    first = making.make(rule.pk)
    clock.shift(3600)
    found("edf:b")

    assert making.make(rule.pk) is None
    arrived(first)
    assert making.make(rule.pk) is not None


def test_it_is_made_whole_or_not_at_all(rule: NoticeRule, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found("edf:a")
    before = NoticeRule.objects.get()

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making, "_group", killed)
        with pytest.raises(KeyboardInterrupt):
            making.make(rule.pk)
    assert not Notice.objects.exists()
    assert not NoticeCampaign.objects.exists()
    assert NoticeRule.objects.get().told_hit == before.told_hit

    making.make(rule.pk)
    assert making.make(rule.pk) is None
    assert Notice.objects.count() == 1


def test_who_was_slower_makes_no_second_one(rule: NoticeRule, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found("edf:a")
    real = making._without_known

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr(making, "_without_known", real)
        making.make(rule.pk)
        return real(*args)

    monkeypatch.setattr(making, "_without_known", overtaken)

    assert making.make(rule.pk) is None
    assert Notice.objects.count() == 1


def test_a_limited_owner_is_told_of_their_domains_alone(rule: NoticeRule, found: Any, ben: Member) -> None:
    Member.objects.filter(pk=ben.pk).update(domains=["corp.example"])
    found("edf:a", to=("bea@corp.example", "zoe@other.example"))
    found("edf:b", to=("zoe@other.example",))

    content = arrived(making.make(rule.pk)).content

    assert content["messages"] == 1
    assert content["groups"][0]["recipients"] == ["bea@corp.example"]
    assert "other.example" not in str(content)
    assert NoticeRule.objects.get().told_hit == ViewHit.objects.latest("pk").pk


def no_member(ben: Member, view: Any) -> None:
    Member.objects.filter(pk=ben.pk).update(is_active=False)


def no_right(ben: Member, view: Any) -> None:
    Member.objects.filter(pk=ben.pk).update(role=Role.VIEWER)


def no_role(ben: Member, view: Any) -> None:
    Member.objects.filter(pk=ben.pk).update(role="gone")


def no_view(ben: Member, view: Any) -> None:
    view.owner, view.is_shared = None, False
    view.save()


@pytest.mark.parametrize(
    ("loses", "why"),
    [
        (no_member, words.OWNER_LEFT),
        (no_right, words.NOT_OWN),
        (no_role, words.OWNER_SEES_NOTHING),
        (no_view, words.VIEW_GONE),
    ],
    ids=["left", "no right to tell others", "sees no messages", "view is not shared any more"],
)
def test_a_rule_whose_owner_lost_the_right_is_switched_off_and_says_why(
    rule: NoticeRule, found: Any, ben: Member, view: Any, loses: Any, why: str
) -> None:
    found("edf:a")
    loses(ben, view)

    assert making.make(rule.pk) is None

    rule.refresh_from_db()
    assert (rule.is_on, rule.stopped_why) == (False, why)
    assert not Notice.objects.exists()
    assert AuditEvent.objects.get(action="notice:change").reason == why
    assert troubles(ben) == 1


def test_mail_to_the_own_address_needs_no_right_and_ends_with_the_address(
    rule_for: Any, found: Any, ana: Member, clock: Any
) -> None:
    rule = rule_for(ana, Channel.MAIL, ana.email)
    found("edf:a")
    arrived(making.make(rule.pk))

    Member.objects.filter(pk=ana.pk).update(email="new@corp.example")
    clock.shift(120)
    found("edf:b")

    assert making.make(rule.pk) is None
    assert NoticeRule.objects.get().stopped_why == words.NOT_OWN


def test_old_ones_are_forgotten_and_those_on_their_way_are_not(rule: NoticeRule, found: Any, clock: Any) -> None:
    found("edf:a")
    old = arrived(making.make(rule.pk))
    clock.shift(120)
    found("edf:b")
    waiting = making.make(rule.pk)
    assert waiting is not None
    clock.shift(dt.timedelta(days=91))

    forget_old()

    assert list(Notice.objects.values_list("pk", flat=True)) == [waiting.pk]
    assert old.pk != waiting.pk
    assert not NoticeCampaign.objects.filter(told_at__lt=timezone.now() - dt.timedelta(days=90)).exists()


def test_a_flood_lists_the_largest_and_counts_the_rest(rule: NoticeRule, found: Any) -> None:
    for number in range(30):
        found(f"edf:{number}")
    found("edf:29")

    content = arrived(making.make(rule.pk)).content

    assert len(content["groups"]) == making.MOST_GROUPS
    assert content["groups"][0]["campaign"] == "edf:29"
    assert words.left_out(content, len(content["groups"])) == "10 more campaigns or messages in the view."


def test_mail_from_before_the_rule_that_is_found_later_is_not_told(rule: NoticeRule, found: Any) -> None:
    """A view that nobody looked at is read on from days ago once somebody wants to be told of it."""
    now = timezone.now()
    NoticeRule.objects.filter(pk=rule.pk).update(since=now)
    found("edf:a", scanned_at=now - dt.timedelta(days=2))
    assert making.make(rule.pk) is None

    found("edf:b", scanned_at=now - dt.timedelta(minutes=1))  # lists grow late
    assert [group["campaign"] for group in arrived(making.make(rule.pk)).content["groups"]] == ["edf:b"]


def test_what_a_reading_of_the_view_finds_is_told_once(
    emailsec: Any, rule_for: Any, ben: Member, view: Any, clock: Any
) -> None:
    view.query = "last=7d&clean=1"
    view.save()
    rule = rule_for(ben, Channel.MAIL, "soc@corp.example", since=timezone.now())

    def read() -> None:
        clock.shift(120)
        for _ in range(12):
            reading.read(view.pk)
            SavedView.objects.filter(pk=view.pk).update(tried_at=None)
            view.refresh_from_db()
            if not view.reading:
                return

    read()
    assert making.make(rule.pk) is None  # what was there before
    new = {record.id for record in emailsec.arrive(8) if not record.is_phish_submission}
    read()
    told = _ids(arrived(making.make(rule.pk)))
    read()
    more = making.make(rule.pk)  # mail comes by itself, too

    assert new <= set(told)
    assert len(told) == len(set(told))
    assert not set(told) & set(_ids(more))


def _ids(notice: Notice | None) -> list[str]:
    return [one for group in notice.content["groups"] for one in group["messages"]] if notice else []
