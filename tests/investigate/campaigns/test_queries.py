"""Groups of remembered messages, counted in the database and cut to the member's domains."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.enums import DeliveryStatus, Disposition
from investigate.campaigns import queries, showing
from investigate.campaigns.queries import Narrowing
from investigate.models import Action, ActionItem, ActionKind, ActionState, CampaignBy

FINGERPRINT = CampaignBy.FINGERPRINT


def _window(hours: int = 24) -> dict[str, dt.datetime]:
    now = timezone.now()
    return {"start": now - dt.timedelta(hours=hours), "end": now}


def _limited(member: Member, *domains: str) -> Member:
    member.domains = list(domains)
    member.save(update_fields=["domains"])
    return Member.objects.get(pk=member.pk)


def _acted(ids: list[str], kind: ActionKind, destination: str = "", *, at: dt.datetime | None = None) -> None:
    action = Action.objects.create(
        operation_key=f"{kind}{destination}{ids[0]}", fingerprint="x", actor_name="Ana", kind=kind,
        destination=destination, state=ActionState.DONE, created_at=at or timezone.now(), due_at=timezone.now(),
        finished_at=at or timezone.now(),
    )  # fmt: skip
    for one in ids:
        ActionItem.objects.create(action=action, investigate_id=one, state=ActionState.DONE)


def test_messages_alike_are_one_group_and_single_ones_are_none(ana: Member, came: Any) -> None:
    came(3, edf="edf-1")
    came(5, edf="edf-2", sender="news@shop.example", disposition=Disposition.SPAM)
    came(1, edf="edf-3")
    came(2, edf="")

    groups = queries.biggest(ana, **_window())

    assert [(group.key, group.count, group.copies, group.people) for group in groups] == [
        ("edf-2", 5, 5, 5),
        ("edf-1", 3, 3, 3),
    ]
    assert groups[0].sender_domains == ("shop.example",)
    assert groups[0].dispositions == {"SPAM": 5}
    assert groups[1].title.startswith("Invoice ")
    assert groups[1].last_at - groups[1].first_at == dt.timedelta(minutes=2)
    assert groups[1].url == "/investigate/campaigns/one/?by=edf&key=edf-1"


def test_sender_and_subject_without_its_numbers_make_a_group(ana: Member, came: Any) -> None:
    came(3, edf="", subject="RE: Invoice {n} overdue")

    (group,) = queries.biggest(ana, **_window(), by=CampaignBy.SHAPE)

    assert (group.key, group.count) == ("pay-pal.example invoice overdue", 3)


def test_what_lies_outside_the_range_counts_nowhere(ana: Member, came: Any) -> None:
    came(4, edf="old", ago=dt.timedelta(days=3))
    came(2, edf="new")

    assert [group.key for group in queries.biggest(ana, **_window())] == ["new"]
    assert [group.key for group in queries.biggest(ana, **_window(24 * 7))] == ["old", "new"]


def test_the_newest_message_names_a_campaign_whatever_was_remembered_last(ana: Member, came: Any) -> None:
    [newest] = came(1, subject="The newest {n}")
    came(2, subject="An older {n}", ago=dt.timedelta(hours=5))
    came(1, subject="A very old {n}", ago=dt.timedelta(days=5))

    (group,) = queries.biggest(ana, **_window())

    assert (group.title, group.newest_id) == (newest.subject, newest.id)


def test_newest_first(ana: Member, came: Any) -> None:
    came(4, edf="big", ago=dt.timedelta(hours=5))
    came(2, edf="new", ago=dt.timedelta(hours=1))

    page = queries.page(ana, **_window(), by=FINGERPRINT, narrowing=Narrowing(newest_first=True))

    assert [group.key for group in page.groups] == ["new", "big"]


def test_a_limited_member_counts_their_own_copies_alone(ana: Member, came: Any) -> None:
    boxes = ["a@corp.example b@other.example", "c@other.example", "d@corp.example"]
    came(3, to=boxes)
    came(2, edf="elsewhere", to=["e@other.example", "f@other.example"])

    (group,) = queries.biggest(_limited(ana, "corp.example"), **_window())

    assert (group.count, group.copies, group.people, group.still_delivered) == (2, 2, 2, 2)
    assert queries.group_of(_limited(ana, "corp.example"), FINGERPRINT, "elsewhere") is None


def test_copies_still_delivered_follow_what_we_did(ana: Member, came: Any) -> None:
    now = timezone.now()
    seen_at = now - dt.timedelta(minutes=10)
    held = came(2, status=DeliveryStatus.QUARANTINED, seen_at=seen_at)
    delivered = came(3, seen_at=seen_at)
    _acted([delivered[0].id, delivered[1].id], ActionKind.MOVE, "JunkEmail", at=now - dt.timedelta(minutes=5))
    _acted([delivered[1].id], ActionKind.MOVE, "Inbox", at=now)
    _acted([held[0].id], ActionKind.RELEASE)

    (group,) = queries.biggest(ana, **_window())

    assert (group.count, group.still_delivered) == (5, 3)  # two that were delivered and one we released


def test_list_and_page_say_the_same_of_each_copy(ana: Member, came: Any) -> None:
    boxes = "a@corp.example b@corp.example c@other.example"
    mixed = (DeliveryStatus.DELIVERED, DeliveryStatus.QUARANTINED, DeliveryStatus.QUARANTINED)
    came(2, to=[boxes, boxes], delivery_status=mixed)
    [moved] = came(1, seen_at=timezone.now())  # seen as delivered after we had moved it
    _acted([moved.id], ActionKind.MOVE, "JunkEmail", at=timezone.now() - dt.timedelta(minutes=50))

    (group,) = queries.biggest(ana, **_window())
    page = showing.campaign_for(ana, FINGERPRINT, "edf-1")

    assert page is not None
    assert (group.copies, group.still_delivered) == (7, 3)
    assert (page.placed.reachable, page.placed.copies) == (3, [("Quarantine", 4), ("Delivered", 3)])
    assert queries.page(ana, **_window(), by=FINGERPRINT, narrowing=Narrowing(only_delivered=True)).groups == [group]
    other = queries.page(
        _limited(ana, "other.example"), **_window(), by=FINGERPRINT, narrowing=Narrowing(only_delivered=True)
    )
    assert not other.groups, "copies elsewhere count as delivered"


@pytest.mark.parametrize(
    ("narrowing", "keys"),
    [
        (Narrowing(disposition="SPAM"), ["mixed", "spam"]),
        (Narrowing(sender_domain="shop.example"), ["spam"]),
        (Narrowing(only_delivered=True), ["mixed"]),
    ],
    ids=["verdict", "sender", "delivered"],
)
def test_groups_can_be_narrowed(ana: Member, came: Any, narrowing: Narrowing, keys: list[str]) -> None:
    came(3, edf="spam", sender="x@shop.example", disposition=Disposition.SPAM, status=DeliveryStatus.QUARANTINED)
    came(2, edf="mixed", disposition=Disposition.SPAM)
    came(2, edf="mixed")
    came(2, edf="held", status=DeliveryStatus.QUARANTINED)

    page = queries.page(ana, **_window(), by=FINGERPRINT, narrowing=narrowing)

    assert [group.key for group in page.groups] == keys


def test_a_page_of_groups_costs_the_same_however_many_there_are(
    ana: Member, came: Any, django_assert_num_queries: Any
) -> None:
    for number in range(12):
        came(2, edf=f"edf-{number}")

    with django_assert_num_queries(5):
        page = queries.page(ana, **_window(), by=FINGERPRINT, limit=10)

    assert (len(page.groups), page.has_more) == (10, True)
    rest = queries.page(ana, **_window(), by=FINGERPRINT, limit=10, offset=10)
    assert (len(rest.groups), rest.has_more) == (2, False)
