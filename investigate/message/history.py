"""What happened to a message: Cloudflare's action log and our own actions as one time line, newest first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec.types import ActionEntry, Message, Operation
from dashboard.upstream.connection import get_client
from investigate.actions import words
from investigate.actions.within import end_of, is_within, trim
from investigate.message.visible import line_inside
from investigate.models import Action, ActionItem, ActionState, ApprovalState

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
    second: str = ""  # who approved it, where that took a second person
    state: str = ""
    copies: tuple[CopyAnswer, ...] = ()
    action: Action | None = None
    url: str = ""  # where more is told, of what is no single action
    url_says: str = "All steps"


def upstream_log(message: Message) -> tuple[ActionEntry, ...]:
    """The service's log; a server that has no endpoint for it keeps it inside the message."""
    return get_client().action_log(message.id)


def timeline(
    message: Message, log: tuple[ActionEntry, ...], scope: Scope = WHOLE, more: Iterable[Event] = ()
) -> list[Event]:
    """The newest first; without what names recipients whom somebody limited to a scope may not know of."""
    said = [entry for entry in log if (entry.status or "") == line_inside(entry.status or "", message, scope)]
    events = [*(_theirs(entry) for entry in said), *ours(message, scope), *more]
    latest = dt.datetime.max.replace(tzinfo=dt.UTC)  # what has no time yet is still going on
    return sorted(events, key=lambda event: event.at or latest, reverse=True)[:MOST_EVENTS]


def ours(message: Message, scope: Scope = WHOLE) -> list[Event]:
    """Our own actions on this message."""
    return acts_on([message.id], scope)


def acts_on(investigate_ids: Iterable[str], scope: Scope = WHOLE) -> list[Event]:
    """Our own actions on these messages, which the reader is known to see; newest first."""
    items = (
        ActionItem.objects.filter(investigate_id__in=list(investigate_ids), action__isnull=False)
        .exclude(job__isnull=False, state__in=[ActionState.CANCELLED, ActionState.SKIPPED])
        .select_related("action__approval", "job__approval")
        .defer("action__request", "action__looking", "job__progress", "job__not_found")
        .prefetch_related("receipts")
        .order_by("-action__created_at")[:MOST_EVENTS]
    )
    return [_our_event(item, scope) for item in items]


def seen_before(message: Message, scope: Scope = WHOLE) -> list[Event]:
    """Our earlier decisions on other copies of the same campaign."""
    if not message.edf_hash:
        return []
    items = (
        ActionItem.objects.filter(scope.q("domains"), edf_hash=message.edf_hash, action__isnull=False)
        .exclude(investigate_id=message.id)
        .exclude(state__in=[ActionState.CANCELLED, ActionState.SKIPPED])
        .select_related("action__approval", "job__approval")
        .defer("action__request", "action__looking", "job__progress", "job__not_found")
        .prefetch_related("receipts")
        .order_by("-action__created_at")[:MOST_SEEN]
    )
    return [_our_event(item, scope) for item in items]


def _our_event(item: ActionItem, scope: Scope) -> Event:
    action, is_trimmed = item.action, not scope.covers_domains(item.domains)
    receipts = trim(action, item.receipts.all(), scope, item.domains)
    copies = tuple(
        CopyAnswer(receipt.recipient or "message", words.receipt(action.kind, receipt), receipt.state)
        for receipt in receipts
    )
    if item.job is None:
        sentence, state = words.sentence(action, receipts), action.state
    else:  # its chunk says what became of a thousand others
        done = sum(1 for receipt in receipts if receipt.is_done)
        is_partly = item.state == ActionState.PARTLY_DONE
        state = end_of(receipts) if is_trimmed and is_partly and receipts else item.state
        told = words.outcome(item.job, state, done=done, copies=len(receipts)).capitalize()
        sentence = f"{told}. {'' if is_trimmed else item.explanation}".strip()
    return Event(
        at=action.created_at,
        is_ours=True,
        who=action.actor_name,
        second=_second(item),
        sentence=sentence,
        reason=action.reason,
        state=state,
        copies=copies,
        action=action if item.job is None or is_within(item.job.scope, scope) else None,
    )


def _second(item: ActionItem) -> str:
    """Who approved an action, or the job it was part of."""
    approval = getattr(item.job if item.job is not None else item.action, "approval", None)
    return approval.decided_by_name if approval is not None and approval.state == ApprovalState.APPROVED else ""


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
