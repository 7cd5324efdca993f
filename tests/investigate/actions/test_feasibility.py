"""What is offered, and the words for what is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from django.conf import settings

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import (
    ActionEntry,
    ActionProperties,
    DeliveryStatus,
    Disposition,
    MailboxDestination,
    Message,
    MessageDeliveryMode,
    Operation,
)
from dashboard.upstream.features import SharedMissingFeatures
from investigate.actions.feasibility import ActionOffer, affected_recipients, possible_actions

pytestmark = pytest.mark.django_db

HELD = Message(
    id="a:1",
    postfix_id="a",
    alert_id="a-1",
    message_id="<1@x.example>",
    client_recipients=("j@corp.example",),
    delivery_status=(DeliveryStatus.QUARANTINED,),
    final_disposition=Disposition.SPAM,
    is_quarantined=True,
)
DELIVERED = msgspec.structs.replace(HELD, is_quarantined=False, delivery_status=(DeliveryStatus.DELIVERED,))
CLEAN = msgspec.structs.replace(DELIVERED, alert_id=None, final_disposition=Disposition.NONE)


def changed(message: Message, **fields: Any) -> Message:
    return msgspec.structs.replace(message, **fields)


def offers(message: Message, member: Member) -> dict[str, ActionOffer]:
    return {
        offer.destination or offer.expected_disposition or offer.kind.value: offer
        for offer in possible_actions(message, member)
    }


def test_twelve_things_are_offered_in_fixed_order_with_a_key_each(ben: Member) -> None:
    found = possible_actions(HELD, ben)

    assert [offer.key for offer in found] == ["i", "!", "d", "v 4", "v 5", "Shift+R", *(f"c {n}" for n in range(1, 7))]
    assert [offer.label for offer in found[5:]] == [
        "Release", "Malicious", "Suspicious", "Spoof", "Spam", "Bulk", "Clean",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "name", "why"),
    [
        (HELD, "release", ""),
        (HELD, "Inbox", "The message is in quarantine; release it first."),
        (HELD, "SPAM", "Cloudflare says Spam already."),
        (HELD, "NONE", ""),
        (DELIVERED, "release", "The message is not in quarantine."),
        (DELIVERED, "JunkEmail", ""),
        (
            changed(DELIVERED, delivery_mode=MessageDeliveryMode.JOURNAL),
            "release",
            "Journal and BCC copies hold no quarantine.",
        ),
        (
            changed(DELIVERED, delivery_mode=MessageDeliveryMode.BCC),
            "release",
            "Journal and BCC copies hold no quarantine.",
        ),
        (
            changed(DELIVERED, post_delivery_operations=(Operation.QUARANTINE_RELEASE,)),
            "release",
            "The message was released already.",
        ),
        (
            changed(DELIVERED, delivery_status=(DeliveryStatus.REJECTED, DeliveryStatus.BOUNCED)),
            "Inbox",
            "No copy is in a mailbox (bounced, rejected).",
        ),
        (changed(DELIVERED, delivery_status=()), "Inbox", ""),
        (changed(DELIVERED, delivery_status=(DeliveryStatus("teleported"),)), "Inbox", ""),
        (
            changed(
                DELIVERED,
                action_log=(
                    ActionEntry(
                        operation=Operation.MOVE,
                        success=True,
                        properties=ActionProperties(folder=MailboxDestination.RECOVERABLE_ITEMS_PURGES),
                    ),
                ),
            ),
            "Inbox",
            "The message was purged.",
        ),
        (
            changed(DELIVERED, is_phish_submission=True),
            "NONE",
            "This is the copy a user reported; act on the original message.",
        ),
        (CLEAN, "MALICIOUS", ""),
        (CLEAN, "NONE", "Cloudflare says Clean already."),
        (
            changed(CLEAN, message_id=None),
            "MALICIOUS",
            "The message has no alert, and lacks the ids a missed detection is reported by.",
        ),
    ],
)
def test_why_something_cannot_work(ben: Member, message: Message, name: str, why: str) -> None:
    offer = offers(message, ben)[name]

    assert offer.why_not == why
    assert offer.is_enabled is not bool(why)


@pytest.mark.parametrize("verdict", [None, "UNKNOWN", "MALICIOUS-QR", "SOMETHING-NEW", "malicious"])
def test_mail_without_a_clear_verdict_is_released_as_malicious_mail_is(
    ana: Member, ben: Member, verdict: str | None
) -> None:
    unclear = changed(HELD, final_disposition=Disposition(verdict) if verdict else None)

    assert offers(unclear, ana)["release"].why_not == "Your role may not release malicious mail: ask a responder."
    found = offers(unclear, ben)["release"]
    assert (found.permission, found.is_dangerous, found.why_not) == (Permission.MESSAGE_RELEASE_MALICIOUS, True, "")


def test_danger_is_marked(ben: Member) -> None:
    for disposition, is_dangerous in (("MALICIOUS", True), ("MALICIOUS-BEC", True), ("SPAM", False)):
        found = offers(changed(HELD, final_disposition=Disposition(disposition)), ben)
        assert found["release"].is_dangerous is is_dangerous
    found = offers(DELIVERED, ben)
    assert [name for name, offer in found.items() if offer.is_dangerous] == [
        "RecoverableItemsDeletions",
        "RecoverableItemsPurges",
    ]


@pytest.mark.parametrize(
    ("outcomes", "is_locked"),
    [
        ([(None, "OK")], True),  # the embedded log has no `success`
        ([(True, "a failure that was repaired")], True),
        ([(None, "move failed: mailbox is full")], False),
        ([(None, "something the API never said before")], False),
        ([(None, None)], False),
        ([(False, "OK")], False),
        ([(None, "OK"), (None, "mailbox not found")], False),  # two copies, or two tries: nobody can tell
    ],
)
def test_only_a_purge_that_surely_happened_locks_a_message(
    ben: Member, outcomes: list[tuple[bool | None, str | None]], is_locked: bool
) -> None:
    purge = ActionProperties(folder=MailboxDestination.RECOVERABLE_ITEMS_PURGES)
    log = tuple(
        ActionEntry(operation=Operation.MOVE, success=success, status=status, properties=purge)
        for success, status in outcomes
    )

    offer = offers(changed(DELIVERED, action_log=log), ben)["Inbox"]

    assert offer.why_not == ("The message was purged." if is_locked else "")


def test_a_missing_right_names_who_has_it(ana: Member, vera: Member) -> None:
    malicious = changed(HELD, final_disposition=Disposition.MALICIOUS)

    assert offers(malicious, ana)["release"].why_not == ("Your role may not release malicious mail: ask a responder.")
    assert offers(DELIVERED, ana)["RecoverableItemsPurges"].why_not == (
        "Your role may not delete mail for good: ask a responder."
    )
    assert not any(offer.is_enabled for offer in possible_actions(HELD, vera))


def test_an_old_server_wants_the_file_of_clean_mail(ben: Member) -> None:
    SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).remember("create_submissions")

    assert offers(CLEAN, ben)["SPAM"].needs_eml
    assert not offers(HELD, ben)["NONE"].needs_eml


def test_an_action_under_way_stands_in_the_way_of_all_others(
    ana: Member, ben: Member, decide: Any, clean: Message
) -> None:
    decide(ana, clean, "move", destination="JunkEmail")

    assert {offer.why_not for offer in possible_actions(clean, ana) if offer.permission.value == "message:move"} == {
        "Your move is under way."
    }
    assert offers(clean, ben)["Inbox"].why_not == "Ana's move is under way."


def test_a_release_is_about_the_copies_in_quarantine() -> None:
    mixed = changed(
        HELD,
        client_recipients=("a@x.example", "b@x.example", "a@x.example"),
        delivery_status=(DeliveryStatus.DELIVERED, DeliveryStatus.QUARANTINED, DeliveryStatus.DELIVERED),
    )

    assert affected_recipients(mixed, "release") == ["b@x.example"]
    assert affected_recipients(mixed, "move") == ["a@x.example", "b@x.example"]
    assert affected_recipients(changed(mixed, delivery_status=()), "release") == ["a@x.example", "b@x.example"]
