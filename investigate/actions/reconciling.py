"""An unanswered write is settled by looking at the message, never by sending it again to see.

A look waits until the service had time to finish and to write its log. Three looks over ten minutes (by the usual quiet
time) without a trace: a move may be sent again, because moving twice ends in the same folder; a release or a submission
goes to a person. A verdict names the attempt and the look it belongs to.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.utils import timezone

from dashboard.emailsec import EmailSecurityClient, Priority, errors, every
from dashboard.emailsec.groups import time_left
from dashboard.emailsec.types import (
    ActionEntry,
    DeliveryStatus,
    Disposition,
    Message,
    Operation,
    Submission,
    SubmitterType,
)
from dashboard.upstream.connection import get_client
from investigate.actions import transitions, words
from investigate.actions.transitions import Copy, Outcome, same_copy
from investigate.models import Action, ActionItem, ActionKind, ActionState, Receipt

log = structlog.get_logger("mailwarden.actions")

LOOKS = (1, 6, 20)  # times the quiet time after the request was sent: 30 s, 3 min and 10 min
MOST_SENDINGS = 3
CALL_SECONDS = 15.0
LOOK_SECONDS = 45.0  # all pages of one list together; a look is leased for 60 s
MOST_PAGES = 50
CLOCK_SLACK = dt.timedelta(seconds=10)  # the service's clock and ours differ by less
_LATER = 60.0  # seconds until a look that failed is tried again

_OPERATIONS = {
    ActionKind.MOVE: (Operation.MOVE,),
    ActionKind.RELEASE: (Operation.RELEASE, Operation.QUARANTINE_RELEASE),
    ActionKind.RECLASSIFY: (Operation.SUBMISSION, Operation.RECLASSIFY),
}
# What a copy's own delivery status says, once something about the action stands in the log.
_ARRIVED = {
    ActionKind.MOVE: (DeliveryStatus.MOVED,),
    ActionKind.RELEASE: (DeliveryStatus.DELIVERED, DeliveryStatus.MOVED),
}
_DID_NOT = {
    ActionKind.MOVE: (DeliveryStatus.MOVE_FAILED,),
    ActionKind.RELEASE: (DeliveryStatus.QUARANTINED, DeliveryStatus.BOUNCED),
}


@dataclass(frozen=True)
class Finding:
    """What one look found out about one message."""

    outcome: Outcome
    words: str

    @property
    def is_certain(self) -> bool:
        return bool(self.outcome.copies) and all(copy.is_done is not None for copy in self.outcome.copies)


def look_up(action_id: uuid.UUID | str) -> None:
    """Look at the messages of an action whose outcome is unknown, if a look is due."""
    action = transitions.take_for_look(action_id)
    if action is None:
        return
    client = get_client()
    try:
        findings = [_look_at(client, action, item) for item in action.items.filter(state=ActionState.UNKNOWN)]
    except errors.EmailSecurityError as problem:
        log.warning("action_look_failed", action=str(action.pk), error=type(problem).__name__, status=problem.status)
        transitions.look_again(action, after=max(problem.retry_after or 0.0, _LATER))
        return
    _settle(action, findings)


def _settle(action: Action, findings: Sequence[Finding]) -> None:
    found = " ".join(finding.words for finding in findings)
    outcomes = [finding.outcome for finding in findings]
    if all(finding.is_certain for finding in findings):
        transitions.store_look(action, outcomes, found=found, then=ActionState.DONE)
        return
    wait = _until_next_look(action)
    if wait is not None:
        transitions.store_look(
            action, outcomes, found=found, then=ActionState.UNKNOWN, after=wait, explanation=action.explanation
        )
        return
    what = words.noun(action.kind, action.destination)
    looks = f"Looked {action.looks + 1} times and found no proof of the {what}."
    if action.kind == ActionKind.MOVE and action.attempt < MOST_SENDINGS:
        transitions.store_look(action, outcomes, found=found, then=ActionState.WAITING, explanation=looks)
        return
    explanation = (
        f"{looks} Nothing is sent again. Look at the message and decide: it was {words.past(action.kind)}, or not."
    )
    transitions.store_look(
        action, outcomes, found=found, then=ActionState.UNKNOWN, needs_person=True, explanation=explanation
    )


def _until_next_look(action: Action) -> float | None:
    """Seconds until the next look; None after the last. Looks asked for by a person do not shorten the ten minutes."""
    quiet = float(settings.QUIET_SECONDS)
    elapsed = (timezone.now() - action.sent_at).total_seconds() if action.sent_at else 0.0
    for times in LOOKS:
        if times * quiet > elapsed:
            return times * quiet - elapsed
    return quiet if action.looks + 1 < len(LOOKS) else None


def _look_at(client: EmailSecurityClient, action: Action, item: ActionItem) -> Finding:
    if action.kind == ActionKind.RECLASSIFY:
        return _look_for_submission(client, action, item)
    try:
        entries = _entries(client, action, item)
        message = client.message(item.investigate_id, budget=CALL_SECONDS, priority=Priority.READ)
    except errors.NotFound:
        return Finding(_outcome(item, []), "Cloudflare no longer knows the message.")
    statuses = _statuses(message)
    receipts = list(item.receipts.all()) or [Receipt(item=item, recipient="", is_done=None)]
    is_alone = not any(receipt.is_done for receipt in receipts)
    copies = []
    for receipt in receipts:
        if receipt.is_done is not None:
            copies.append(Copy(receipt.recipient, receipt.is_done, receipt.status, receipt.completed_at))
            continue
        status = statuses.get(same_copy(receipt.recipient))
        verdict = _verdict(action, message, entries, status, is_alone=is_alone)
        copies.append(_copy(receipt, verdict, entries))
    return Finding(_outcome(item, copies), _found(message, entries))


def _verdict(
    action: Action, message: Message, entries: Sequence[ActionEntry], status: DeliveryStatus | None, *, is_alone: bool
) -> bool | None:
    """Whether one copy was reached; None: there is no telling yet.

    `is_alone`: no copy of this message was answered for, so what the log says is about these copies.
    """
    kind = ActionKind(action.kind)
    ends = {_succeeded(entry) for entry in entries}
    if is_alone and len(ends) == 1 and None not in ends:
        return ends.pop()
    if ends - {None}:
        if status in _ARRIVED[kind]:
            return True
        return False if status in _DID_NOT[kind] else None
    if kind == ActionKind.RELEASE:
        if status is not None:
            return True if status in _ARRIVED[kind] else None
        return None if message.is_quarantined else True
    return None


def _succeeded(entry: ActionEntry) -> bool | None:
    if entry.success is not None:
        return entry.success
    return (
        True if (entry.status or "ok").casefold() in ("ok", "success", "succeeded", "completed", "delivered") else None
    )


def _entries(client: EmailSecurityClient, action: Action, item: ActionItem) -> list[ActionEntry]:
    """The log's lines about this action: its kind, its folder or verdict, and not from before it was sent."""
    if action.sent_at is None:
        return []
    since = action.sent_at - CLOCK_SLACK
    found = []
    for entry in client.action_log(item.investigate_id, budget=CALL_SECONDS, priority=Priority.READ):
        at = entry.completed_at or entry.started_at
        folder = entry.properties.folder
        if entry.operation not in _OPERATIONS[ActionKind(action.kind)] or at is None or at < since:
            continue
        if action.kind == ActionKind.MOVE and folder and folder.casefold() != action.destination.casefold():
            continue
        asked = entry.properties.requested_disposition
        if action.kind == ActionKind.RECLASSIFY and asked and asked != action.expected_disposition:
            continue
        found.append(entry)
    return found


def _look_for_submission(client: EmailSecurityClient, action: Action, item: ActionItem) -> Finding:
    """The submissions name a message by its Postfix id; where none was known, the message's own log has to tell."""
    since = (action.sent_at or action.created_at) - CLOCK_SLACK
    names = {item.postfix_id, (action.request or {}).get("postfix_id", "")} - {""}
    try:
        is_there = (
            any(_is_ours(action, submission, names, since) for submission in _submissions(client, action, since))
            if names
            else bool(_entries(client, action, item))
        )
    except errors.NotOnThisServer:
        is_there = bool(_entries(client, action, item))
    told = "It stands among the submissions." if is_there else "It is not among the submissions."
    return Finding(_outcome(item, [Copy("", True if is_there else None, "")]), told)


def _submissions(client: EmailSecurityClient, action: Action, since: dt.datetime) -> Iterator[Submission]:
    """What the team submitted since then with the verdict we asked for, on however many pages it stands."""
    started = time.monotonic()
    return every(
        lambda page: client.submissions(
            start=since,
            type=SubmitterType.TEAM,
            requested_disposition=Disposition(action.expected_disposition),
            page=page,
            budget=min(CALL_SECONDS, time_left(LOOK_SECONDS, started)),
            priority=Priority.READ,
        ),
        most_pages=MOST_PAGES,
    )


def _is_ours(action: Action, submission: Submission, names: Collection[str], since: dt.datetime) -> bool:
    """Whether this is what was sent: the same message and verdict, and not from before. Some servers ignore filters."""
    return (
        submission.original_postfix_id in names
        and submission.requested_disposition in (None, action.expected_disposition)
        and (submission.requested_at is None or submission.requested_at >= since)
    )


def _statuses(message: Message) -> dict[str, DeliveryStatus]:
    """Delivery status by recipient, where the message has one for each."""
    mailboxes = message.client_recipients
    if len(mailboxes) != len(message.delivery_status):
        return {}
    return {same_copy(name): status for name, status in zip(mailboxes, message.delivery_status, strict=True)}


def _copy(receipt: Receipt, verdict: bool | None, entries: Sequence[ActionEntry]) -> Copy:  # noqa: FBT001
    failed = [entry.status or "" for entry in entries if entry.success is False]
    status = {True: "", False: failed[0] if failed else "not done", None: receipt.status}[verdict]
    return Copy(receipt.recipient, verdict, status)


def _outcome(item: ActionItem, copies: Sequence[Copy]) -> Outcome:
    return Outcome(item, tuple(copies))


def _found(message: Message, entries: Sequence[ActionEntry]) -> str:
    lines = [f"{entry.operation} {entry.status or ('done' if entry.success else 'failed')}" for entry in entries]
    logged = f"The action log says: {'; '.join(lines)}." if lines else "The action log has no line about it."
    where = ", ".join(sorted(set(message.delivery_status))) or ("quarantined" if message.is_quarantined else "not held")
    return f"{logged} State of the message: {where}."
