"""What can be done with a message, and why the rest cannot, known before anybody tries."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.conf import settings

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import (
    SHORT_DISPOSITIONS,
    ActionEntry,
    DeliveryStatus,
    MailboxDestination,
    Message,
    MessageDeliveryMode,
    Operation,
)
from dashboard.upstream.features import SharedMissingFeatures
from investigate.actions import words
from investigate.actions.decision import MALICIOUS, PURGES, permission_for
from investigate.models import OPEN_STATES, Action, ActionItem, ActionKind, ActionState

# Keys of the five folders and six dispositions: menus "v" and "c"; the first three folders also have keys of their own.
MOVE_KEYS = {"DeletedItems": "d", "JunkEmail": "!", "Inbox": "i"}
FOLDER_ORDER = ("Inbox", "JunkEmail", "DeletedItems", "RecoverableItemsDeletions", "RecoverableItemsPurges")
_HELD = (MessageDeliveryMode.BCC, MessageDeliveryMode.JOURNAL)
_IN_A_MAILBOX = (DeliveryStatus.DELIVERED, DeliveryStatus.MOVED, DeliveryStatus.MOVE_FAILED)
_RELEASED = (Operation.RELEASE, Operation.QUARANTINE_RELEASE)
# Statuses of the embedded action log, which is free text and says nothing else about how an operation ended.
_READS_AS_SUCCESS = frozenset({"ok", "success", "succeeded", "successful", "complete", "completed", "done", "moved"})


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


def possible_actions(message: Message, member: Member) -> list[ActionOffer]:
    """Everything one could think of doing with the message, each enabled or with the reason why not, in fixed order."""
    why_nothing = _in_flight(message.id, member) or _reported(message)
    why_no_move = why_nothing or _immovable(message)
    needs_eml = not message.alert_id and _lacks_submissions()
    offers = [_move(member, destination, why_no_move) for destination in FOLDER_ORDER]
    offers.append(_release(message, member, why_nothing))
    for number, value in enumerate(SHORT_DISPOSITIONS, start=1):
        offers.append(_submission(message, member, value.value, number, why_nothing, needs_eml=needs_eml))
    return offers


def affected_recipients(message: Message, kind: str) -> list[str]:
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
        mailboxes = tuple(held) or mailboxes
    return list(dict.fromkeys(mailboxes))


def _in_flight(investigate_id: str, member: Member) -> str:
    item = (
        ActionItem.objects.filter(investigate_id=investigate_id, state__in=OPEN_STATES).select_related("action").first()
    )
    if item is None:
        return ""
    whose = "Your" if item.action.actor_id == member.pk else f"{item.action.actor_name}'s"
    what = words.noun(item.action.kind, item.action.destination)
    if item.state == ActionState.UNKNOWN:
        return f"{whose} {what} has no certain outcome yet."
    return f"{whose} {what} is under way."


def _reported(message: Message) -> str:
    return "This is the copy a user reported; act on the original message." if message.is_phish_submission else ""


def _missing_right(member: Member, permission: Permission) -> str:
    return "" if member.may(permission) else words.lacks(permission)


def _move(member: Member, destination: str, why_not: str) -> ActionOffer:
    permission = permission_for(ActionKind.MOVE, destination=destination)
    return ActionOffer(
        kind=ActionKind.MOVE,
        destination=destination,
        label=words.folder(destination),
        key=MOVE_KEYS.get(destination, f"v {FOLDER_ORDER.index(destination) + 1}"),
        permission=permission,
        is_dangerous=destination in PURGES,
        why_not=_missing_right(member, permission) or why_not,
    )


def _immovable(message: Message) -> str:
    if message.is_quarantined:
        return "The message is in quarantine; release it first."
    known = [status for status in message.delivery_status if status.is_known]
    if known and not any(status in _IN_A_MAILBOX for status in known):
        return f"No copy is in a mailbox ({', '.join(sorted(set(known)))})."
    if _was_purged(message):
        return "The message was purged."
    return ""


def _was_purged(message: Message) -> bool:
    """Whether every copy is gone for certain. On doubt it is not: the API's own answer is better than a false lock."""
    purge = MailboxDestination.RECOVERABLE_ITEMS_PURGES
    tries = [
        entry for entry in message.action_log if entry.operation == Operation.MOVE and entry.properties.folder == purge
    ]
    # Entries do not name the copy: one that failed beside one that succeeded may be about another recipient.
    if tries and all(_succeeded(entry) for entry in tries):
        return True
    return Action.objects.filter(
        items__investigate_id=message.id, kind=ActionKind.MOVE, destination=purge, state=ActionState.DONE
    ).exists()


def _succeeded(entry: ActionEntry) -> bool:
    if entry.success is not None:
        return entry.success
    return (entry.status or "").strip().rstrip(".!").casefold() in _READS_AS_SUCCESS


def _release(message: Message, member: Member, why_nothing: str) -> ActionOffer:
    disposition = message.final_disposition or ""
    permission = permission_for(ActionKind.RELEASE, disposition=disposition)
    return ActionOffer(
        kind=ActionKind.RELEASE,
        label="Release",
        key="Shift+R",
        permission=permission,
        is_dangerous=disposition in MALICIOUS,
        why_not=_missing_right(member, permission) or why_nothing or _unreleasable(message),
    )


def _unreleasable(message: Message) -> str:
    if message.is_quarantined:
        return ""
    if message.delivery_mode in _HELD:
        return "Journal and BCC copies hold no quarantine."
    if any(operation in _RELEASED for operation in message.post_delivery_operations):
        return "The message was released already."
    return "The message is not in quarantine."


def _lacks_submissions() -> bool:
    return SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).is_missing("create_submissions")


def _submission(
    message: Message, member: Member, expected: str, number: int, why_nothing: str, *, needs_eml: bool
) -> ActionOffer:
    why_not = _missing_right(member, Permission.MESSAGE_RECLASSIFY) or why_nothing
    if not why_not and (message.final_disposition or "NONE") == expected:
        why_not = f"Cloudflare says {words.disposition(expected)} already."
    if not why_not and not message.alert_id and not needs_eml and not _can_be_missed(message):
        why_not = "The message has no alert, and lacks the ids a missed detection is reported by."
    return ActionOffer(
        kind=ActionKind.RECLASSIFY,
        expected_disposition=expected,
        label=words.disposition(expected),
        key=f"c {number}",
        permission=Permission.MESSAGE_RECLASSIFY,
        needs_eml=needs_eml,
        why_not=why_not,
    )


def _can_be_missed(message: Message) -> bool:
    """Clean mail has no alert; it is reported as a missed detection, by other ids."""
    return bool(message.postfix_id and message.message_id and affected_recipients(message, ActionKind.RECLASSIFY))
