"""What can be done with a message, and why the rest cannot, known before anybody tries."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from django.conf import settings

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import (
    SHORT_DISPOSITIONS,
    ActionEntry,
    DeliveryStatus,
    Disposition,
    MailboxDestination,
    Message,
    MessageDeliveryMode,
    Operation,
)
from dashboard.upstream.features import SharedMissingFeatures
from investigate.actions import words
from investigate.actions.decision import PURGES, may_do_harm, permission_for
from investigate.approvals.needs import Needed, needed_for, right_to_ask
from investigate.message.visible import OUTSIDE, hides_copies
from investigate.models import OPEN_STATES, ActionItem, ActionKind, ActionState

# Keys of the five folders and six dispositions: menus "v" and "c"; the first three folders also have keys of their own.
MOVE_KEYS = {"DeletedItems": "d", "JunkEmail": "!", "Inbox": "i"}
FOLDER_ORDER = ("Inbox", "JunkEmail", "DeletedItems", "RecoverableItemsDeletions", "RecoverableItemsPurges")
_HELD = (MessageDeliveryMode.BCC, MessageDeliveryMode.JOURNAL)
_IN_A_MAILBOX = (DeliveryStatus.DELIVERED, DeliveryStatus.MOVED, DeliveryStatus.MOVE_FAILED)
_RELEASED = (Operation.RELEASE, Operation.QUARANTINE_RELEASE)
# Statuses of the embedded action log, which is free text and says nothing else about how an operation ended.
_READS_AS_SUCCESS = frozenset({"ok", "success", "succeeded", "successful", "complete", "completed", "done", "moved"})
_REPORTED = "This is the copy a user reported; act on the original message."


class ActedOn(Protocol):
    """What of a message decides whether an action on it can work."""

    @property
    def id(self) -> str: ...
    @property
    def postfix_id(self) -> str | None: ...
    @property
    def alert_id(self) -> str | None: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def recipients(self) -> Sequence[str]: ...
    @property
    def client_recipients(self) -> Sequence[str]: ...
    @property
    def final_disposition(self) -> Disposition | None: ...
    @property
    def delivery_mode(self) -> MessageDeliveryMode | None: ...
    @property
    def delivery_status(self) -> Sequence[DeliveryStatus]: ...
    @property
    def is_quarantined(self) -> bool: ...
    @property
    def is_phish_submission(self) -> bool: ...
    @property
    def post_delivery_operations(self) -> Sequence[Operation]: ...
    @property
    def action_log(self) -> Sequence[ActionEntry]: ...


@dataclass(frozen=True, kw_only=True)
class Known:
    """What only we know, read once for however many messages."""

    in_flight: Mapping[str, str] = field(default_factory=dict)  # by id: who acts on it right now, as a sentence
    purged: frozenset[str] = frozenset()  # ids of messages we purged
    lacks_submissions: bool = False  # the account's API has only the older way to submit
    escalates: bool = False  # it is about what a user reported: submitting the reported copy again is the point


@dataclass(frozen=True, kw_only=True)
class ActionOffer:
    """One thing that can be done with a message, or why it cannot."""

    kind: ActionKind
    label: str
    key: str  # as `data-key` spells it
    permission: Permission
    destination: str = ""
    expected_disposition: str = ""
    is_dangerous: bool = False  # asks for a reason in a panel first
    needs_eml: bool = False  # asks for the message as a file first
    why_not: str = ""
    takes_two: Needed | None = None  # who decides it asks a second person, and needs a lower right

    @property
    def is_enabled(self) -> bool:
        return not self.why_not

    @property
    def values(self) -> dict[str, str]:
        """The form fields that name this action."""
        named = {
            "kind": self.kind.value,
            "destination": self.destination,
            "expected_disposition": self.expected_disposition,
        }
        return {name: value for name, value in named.items() if value}

    @property
    def act(self) -> str:
        return json.dumps(self.values)


def possible_actions(message: Message, member: Member, *, escalates: bool = False) -> list[ActionOffer]:
    """Everything one could think of doing with the message, each enabled or with the reason why not, in fixed order.

    `escalates`: the submissions are about a user's report, whose message may be the reported copy itself.
    """
    known = replace(known_about([message.id]), in_flight=_in_flight(message.id, member), escalates=escalates)
    offers = [_move(message, member, destination, known) for destination in FOLDER_ORDER]
    offers.append(_release(message, member, known))
    for number, value in enumerate(SHORT_DISPOSITIONS, start=1):
        offers.append(_submission(message, member, value.value, number, known))
    return offers


def known_about(investigate_ids: Collection[str]) -> Known:
    """Two queries for all these messages. Who acts on them now is left out: that changes while one looks."""
    purged = ActionItem.objects.filter(
        investigate_id__in=investigate_ids,
        state=ActionState.DONE,
        action__kind=ActionKind.MOVE,
        action__destination=MailboxDestination.RECOVERABLE_ITEMS_PURGES,
    )
    return Known(
        purged=frozenset(purged.values_list("investigate_id", flat=True)),
        lacks_submissions=SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).is_missing("create_submissions"),
    )


def why_not(
    message: ActedOn, member: Member, kind: str, *, destination: str = "", expected: str = "", known: Known
) -> str:
    """Why this member cannot do this with the message, or "". Asks nobody and reads nothing."""
    permission = permission_for(kind, destination=destination, disposition=message.final_disposition)
    asked = right_to_ask(permission)
    if not member.may(asked):
        return words.lacks(asked)
    if hides_copies(message):
        return OUTSIDE
    if message.id in known.in_flight:
        return known.in_flight[message.id]
    return obstacle(message, kind, expected=expected, known=known)


def obstacle(message: ActedOn, kind: str, *, expected: str = "", known: Known) -> str:
    """Why this cannot be done with the message, whoever wants it, or ""."""
    if message.is_phish_submission and not (known.escalates and kind == ActionKind.RECLASSIFY):
        return _REPORTED
    if kind == ActionKind.MOVE:
        return _immovable(message, known)
    if kind == ActionKind.RELEASE:
        return _unreleasable(message)
    return _unsubmittable(message, expected, known)


def affected_recipients(message: ActedOn, kind: str) -> list[str]:
    """The recipients whose copies the action is about, each once.

    A release is about the copies in quarantine, where the message says which those are.
    """
    mailboxes = message.client_recipients or message.recipients
    if kind == ActionKind.RELEASE and len(message.delivery_status) == len(mailboxes):
        held = [
            recipient
            for recipient, status in zip(mailboxes, message.delivery_status, strict=True)
            if status == DeliveryStatus.QUARANTINED
        ]
        mailboxes = held or mailboxes
    return list(dict.fromkeys(mailboxes))


def _in_flight(investigate_id: str, member: Member) -> dict[str, str]:
    item = (
        ActionItem.objects.filter(investigate_id=investigate_id, state__in=OPEN_STATES).select_related("action").first()
    )
    if item is None:
        return {}
    whose = "Your" if item.action.actor_id == member.pk else f"{item.action.actor_name}'s"
    what = words.noun(item.action.kind, item.action.destination)
    if item.state == ActionState.AWAITING_APPROVAL:
        return {investigate_id: f"{whose} {what} waits for a second person."}
    if item.state == ActionState.UNKNOWN:
        return {investigate_id: f"{whose} {what} has no certain outcome yet."}
    return {investigate_id: f"{whose} {what} is under way."}


def _move(message: Message, member: Member, destination: str, known: Known) -> ActionOffer:
    permission = permission_for(ActionKind.MOVE, destination=destination)
    return ActionOffer(
        kind=ActionKind.MOVE,
        destination=destination,
        label=words.folder(destination),
        key=MOVE_KEYS.get(destination, f"v {FOLDER_ORDER.index(destination) + 1}"),
        permission=right_to_ask(permission),
        takes_two=needed_for([permission]),
        is_dangerous=destination in PURGES,
        why_not=why_not(message, member, ActionKind.MOVE, destination=destination, known=known),
    )


def _immovable(message: ActedOn, known: Known) -> str:
    if message.is_quarantined:
        return "The message is in quarantine; release it first."
    statuses = [status for status in message.delivery_status if status.is_known]
    if statuses and not any(status in _IN_A_MAILBOX for status in statuses):
        return f"No copy is in a mailbox ({', '.join(sorted(set(statuses)))})."
    if message.id in known.purged or _was_purged(message):
        return "The message was purged."
    return ""


def _was_purged(message: ActedOn) -> bool:
    """Whether every copy is gone for certain. On doubt it is not: the API's own answer is better than a false lock."""
    purge = MailboxDestination.RECOVERABLE_ITEMS_PURGES
    tries = [
        entry for entry in message.action_log if entry.operation == Operation.MOVE and entry.properties.folder == purge
    ]
    # Entries do not name the copy: one that failed beside one that succeeded may be about another recipient.
    return bool(tries) and all(_succeeded(entry) for entry in tries)


def _succeeded(entry: ActionEntry) -> bool:
    if entry.success is not None:
        return entry.success
    return (entry.status or "").strip().rstrip(".!").casefold() in _READS_AS_SUCCESS


def _release(message: Message, member: Member, known: Known) -> ActionOffer:
    permission = permission_for(ActionKind.RELEASE, disposition=message.final_disposition)
    return ActionOffer(
        kind=ActionKind.RELEASE,
        label="Release",
        key="Shift+R",
        permission=right_to_ask(permission),
        takes_two=needed_for([permission]),
        is_dangerous=may_do_harm(message.final_disposition),
        why_not=why_not(message, member, ActionKind.RELEASE, known=known),
    )


def _unreleasable(message: ActedOn) -> str:
    if message.is_quarantined:
        return ""
    if message.delivery_mode in _HELD:
        return "Journal and BCC copies hold no quarantine."
    if any(operation in _RELEASED for operation in message.post_delivery_operations):
        return "The message was released already."
    return "The message is not in quarantine."


def _submission(message: Message, member: Member, expected: str, number: int, known: Known) -> ActionOffer:
    return ActionOffer(
        kind=ActionKind.RECLASSIFY,
        expected_disposition=expected,
        label=words.disposition(expected),
        key=f"c {number}",
        permission=Permission.MESSAGE_RECLASSIFY,
        needs_eml=needs_eml(message, known),
        why_not=why_not(message, member, ActionKind.RECLASSIFY, expected=expected, known=known),
    )


def needs_eml(message: ActedOn, known: Known) -> bool:
    """The older way to submit takes mail without an alert only together with the message itself."""
    return not message.alert_id and known.lacks_submissions


def _unsubmittable(message: ActedOn, expected: str, known: Known) -> str:
    if (message.final_disposition or "NONE") == expected:
        return f"Cloudflare says {words.disposition(expected)} already."
    if not message.alert_id and not needs_eml(message, known) and not can_be_missed(message):
        return "The message has no alert, and lacks the ids a missed detection is reported by."
    return ""


def can_be_missed(message: ActedOn) -> bool:
    """By the ids that report mail as a missed detection: the only way for clean mail, which has no alert."""
    return bool(message.postfix_id and message.message_id and affected_recipients(message, ActionKind.RECLASSIFY))
