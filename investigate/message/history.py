"""What happened to a message: Cloudflare's action log and our own actions as one time line, newest first."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from dashboard.emailsec.types import ActionEntry, Message, Operation
from dashboard.upstream.connection import get_client
from investigate.actions import words
from investigate.models import Action, ActionItem, ActionState

MOST_EVENTS = 200
MOST_SEEN = 5
_SAYS_NOTHING = frozenset({"ok", "success", "successful", "done", "completed"})  # beside a sentence that says so


@dataclass(frozen=True, slots=True)
class CopyAnswer:
    """What became of one recipient's copy; `state` is "done", "failed" or "unknown"."""

    recipient: str
    text: str
    state: str


@dataclass(frozen=True, slots=True)
class Event:
    at: dt.datetime | None
    is_ours: bool
    who: str
    sentence: str
    reason: str = ""
    state: str = ""
    copies: tuple[CopyAnswer, ...] = ()
    action: Action | None = None


def upstream_log(message: Message) -> tuple[ActionEntry, ...]:
    """The service's log; a server that has no endpoint for it keeps it inside the message."""
    return get_client().action_log(message.id)


def timeline(message: Message, log: tuple[ActionEntry, ...]) -> list[Event]:
    events = [*(_theirs(entry) for entry in log), *ours(message)]
    latest = dt.datetime.max.replace(tzinfo=dt.UTC)  # what has no time yet is still going on
    return sorted(events, key=lambda event: event.at or latest, reverse=True)[:MOST_EVENTS]


def ours(message: Message) -> list[Event]:
    """Our own actions on this message."""
    items = (
        ActionItem.objects.filter(investigate_id=message.id, action__isnull=False)
        .exclude(job__isnull=False, state__in=[ActionState.CANCELLED, ActionState.SKIPPED])
        .select_related("action", "job")
        .defer("action__request", "action__looking", "job__progress", "job__not_found")
        .prefetch_related("receipts")
        .order_by("-action__created_at")[:MOST_EVENTS]
    )
    return [_our_event(item) for item in items]


def seen_before(message: Message) -> list[Event]:
    """Our earlier decisions on other copies of the same campaign."""
    if not message.edf_hash:
        return []
    items = (
        ActionItem.objects.filter(edf_hash=message.edf_hash, action__isnull=False)
        .exclude(investigate_id=message.id)
        .exclude(state__in=[ActionState.CANCELLED, ActionState.SKIPPED])
        .select_related("action", "job")
        .defer("action__request", "action__looking", "job__progress", "job__not_found")
        .prefetch_related("receipts")
        .order_by("-action__created_at")[:MOST_SEEN]
    )
    return [_our_event(item) for item in items]


def _our_event(item: ActionItem) -> Event:
    action = item.action
    receipts = list(item.receipts.all())
    copies = tuple(
        CopyAnswer(receipt.recipient or "message", words.receipt(action.kind, receipt), receipt.state)
        for receipt in receipts
    )
    if item.job is None:
        sentence, state = words.sentence(action, receipts), action.state
    else:  # its chunk says what became of a thousand others
        done = sum(1 for receipt in receipts if receipt.is_done)
        told = words.outcome(item.job, item.state, done=done, copies=len(receipts)).capitalize()
        sentence, state = f"{told}. {item.explanation}".strip(), item.state
    return Event(
        at=action.created_at,
        is_ours=True,
        who=action.actor_name,
        sentence=sentence,
        reason=action.reason,
        state=state,
        copies=copies,
        action=action,
    )


def _theirs(entry: ActionEntry) -> Event:
    properties = entry.properties
    failed = entry.success is False
    pending = entry.success is None and entry.completed_at is None
    said = entry.status or ""
    details = [] if said.casefold() in _SAYS_NOTHING else [said]
    if properties.service:
        details.append(f"through {properties.service}")
    if properties.submission_type:
        details.append(f"{properties.submission_type} submission")
    return Event(
        at=entry.completed_at or entry.started_at,
        is_ours=False,
        who=properties.requested_by or "",
        sentence=_sentence(entry, failed=failed, pending=pending),
        reason=", ".join(detail for detail in details if detail),
        state="failed" if failed else "sending" if pending else "done",
    )


def _sentence(entry: ActionEntry, *, failed: bool, pending: bool) -> str:
    properties = entry.properties
    match entry.operation:
        case Operation.MOVE:
            folder = words.folder(properties.folder) if properties.folder else ""
            done = f"moved to {folder}" if folder else "moved"
        case Operation.RELEASE | Operation.QUARANTINE_RELEASE:
            done = "released from quarantine"
        case Operation.SUBMISSION | Operation.RECLASSIFY:
            asked = properties.requested_disposition
            done = f"submitted as {words.disposition(asked.upper())}" if asked else "submitted for review"
        case Operation.PREVIEW:
            done = "rendered for a preview"
        case None:
            done = "changed"
        case other:
            done = str(other).replace("_", " ").lower()
    if failed:
        return f"Could not be {done}."
    return f"Being {done}." if pending else f"{done[:1].upper()}{done[1:]}."
