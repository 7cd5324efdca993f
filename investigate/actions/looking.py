"""Look at one message to find out what an unanswered write did to it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings

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
from investigate.actions.transitions import Copy, Outcome, same_copy
from investigate.models import Action, ActionItem, ActionKind, Receipt

CALL_SECONDS = settings.CALL_SECONDS / 3  # of one call; a message takes two
LOOK_SECONDS = float(settings.CALL_SECONDS)  # no call of a look begins later; see LOOK_LEASE
MOST_PAGES = 50
CLOCK_SLACK = dt.timedelta(seconds=10)  # the service's clock and ours differ by less

_OPERATIONS = {
    ActionKind.MOVE: (Operation.MOVE,),
    ActionKind.RELEASE: (Operation.RELEASE, Operation.QUARANTINE_RELEASE),
    ActionKind.RECLASSIFY: (Operation.SUBMISSION, Operation.RECLASSIFY),
}
# What a copy's own delivery status says, once something about the action stands in the log.
ARRIVED = {
    ActionKind.MOVE: (DeliveryStatus.MOVED,),
    ActionKind.RELEASE: (DeliveryStatus.DELIVERED, DeliveryStatus.MOVED),
}
DID_NOT = {
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


def look_at(client: EmailSecurityClient, action: Action, item: ActionItem) -> Finding:
    if action.kind == ActionKind.RECLASSIFY:
        return look_for_submission(client, action, item)
    try:
        log = client.action_log(item.investigate_id, budget=CALL_SECONDS, priority=_priority(action))
        message = client.message(item.investigate_id, budget=CALL_SECONDS, priority=_priority(action))
    except errors.NotFound:
        return Finding(_outcome(item, []), "Cloudflare no longer knows the message.")
    entries = _about(action, log)
    statuses = _statuses(message.client_recipients, message.delivery_status)
    before = _statuses(item.facts.get("client_recipients", ()), item.facts.get("delivery_status", ()))
    was_there = _was_there(action, log)
    receipts = list(item.receipts.all()) or [Receipt(item=item, recipient="", is_done=None)]
    is_alone = not any(receipt.is_done for receipt in receipts)
    copies = []
    for receipt in receipts:
        if receipt.is_done is not None:
            copies.append(Copy(receipt.recipient, receipt.is_done, receipt.status, receipt.completed_at))
            continue
        name = same_copy(receipt.recipient)
        status = statuses.get(name)
        if action.kind == ActionKind.MOVE and status in ARRIVED[ActionKind.MOVE] and before.get(name) == status:
            verdict = _moved_again(entries, was_there=was_there, is_alone=is_alone)
        else:
            verdict = _verdict(action, message, entries, status, is_alone=is_alone)
        copies.append(_copy(receipt, verdict, entries))
    return Finding(_outcome(item, copies), _found(message, entries))


def _priority(action: Action) -> Priority:
    return Priority.READ if action.job_id is None else Priority.BULK


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
        if status in ARRIVED[kind]:
            return True
        if kind == ActionKind.MOVE and status is not None and status.is_known:
            return False  # the log says that the move has ended, and this copy is not among those it reached
        return False if status in DID_NOT[kind] else None
    if kind == ActionKind.RELEASE:
        if status is not None:
            return True if status in ARRIVED[kind] else None
        return None if message.is_quarantined else True
    return None


def _moved_again(entries: Sequence[ActionEntry], *, was_there: bool | None, is_alone: bool) -> bool | None:
    """Whether a copy that had been moved before was moved by us: its status looks the same either way.

    Lines of the log name no copy. Where all of ours ended alike they tell; else it depends on whether the copy lay in
    our folder already, because the service refuses to move it there again.
    """
    ends = {_succeeded(entry) for entry in entries}
    if is_alone and len(ends) == 1:
        return ends.pop()
    return None if was_there is None or not ends - {None} else not was_there


def _was_there(action: Action, log: Sequence[ActionEntry]) -> bool | None:
    """Whether earlier moves of the message led into our folder; None: some did, or nobody can tell."""
    if action.sent_at is None:
        return None
    since = action.sent_at - CLOCK_SLACK
    folders = {
        (entry.properties.folder or "").casefold()
        for entry in log
        if entry.operation == Operation.MOVE and _succeeded(entry) and (at := _moment(entry)) is not None and at < since
    }
    if not folders or "" in folders:
        return None
    return folders == {action.destination.casefold()} or (None if action.destination.casefold() in folders else False)


def _moment(entry: ActionEntry) -> dt.datetime | None:
    return entry.completed_at or entry.started_at


def _succeeded(entry: ActionEntry) -> bool | None:
    if entry.success is not None:
        return entry.success
    return (
        True if (entry.status or "ok").casefold() in ("ok", "success", "succeeded", "completed", "delivered") else None
    )


def _logged(client: EmailSecurityClient, action: Action, item: ActionItem) -> list[ActionEntry]:
    return _about(action, client.action_log(item.investigate_id, budget=CALL_SECONDS, priority=_priority(action)))


def _about(action: Action, log: Sequence[ActionEntry]) -> list[ActionEntry]:
    """The lines about this action: its kind, its folder or verdict, and not from before it was sent."""
    if action.sent_at is None:
        return []
    since = action.sent_at - CLOCK_SLACK
    found = []
    for entry in log:
        at = _moment(entry)
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


def look_for_submission(client: EmailSecurityClient, action: Action, item: ActionItem) -> Finding:
    """The submissions name a message by its Postfix id; where none was known, the message's own log has to tell."""
    since = (action.sent_at or action.created_at) - CLOCK_SLACK
    names = {item.postfix_id, (action.request or {}).get("postfix_id", "")} - {""}
    try:
        is_there = (
            any(is_ours(action, submission, names, since) for submission in submissions_since(client, action, since))
            if names
            else bool(_logged(client, action, item))
        )
    except errors.NotOnThisServer:
        is_there = bool(_logged(client, action, item))
    told = "It stands among the submissions." if is_there else "It is not among the submissions."
    return Finding(_outcome(item, [Copy("", True if is_there else None, "")]), told)


def submissions_since(client: EmailSecurityClient, action: Action, since: dt.datetime) -> Iterator[Submission]:
    """What the team submitted since then with the verdict we asked for, on however many pages it stands."""
    started = time.monotonic()
    return every(
        lambda page: client.submissions(
            start=since,
            type=SubmitterType.TEAM,
            requested_disposition=Disposition(action.expected_disposition),
            page=page,
            budget=min(CALL_SECONDS, time_left(LOOK_SECONDS, started)),
            priority=_priority(action),
        ),
        most_pages=MOST_PAGES,
    )


def is_ours(action: Action, submission: Submission, names: Collection[str], since: dt.datetime) -> bool:
    """Whether this is what was sent: the same message and verdict, and not from before. Some servers ignore filters."""
    return submission.original_postfix_id in names and is_asked_for(action, submission, since)


def is_asked_for(action: Action, submission: Submission, since: dt.datetime) -> bool:
    """Whether a submission asks for our verdict, and is not from before."""
    return submission.requested_disposition in (None, action.expected_disposition) and (
        submission.requested_at is None or submission.requested_at >= since
    )


def _statuses(mailboxes: Sequence[str], statuses: Sequence[str]) -> dict[str, DeliveryStatus]:
    """Delivery status by recipient, where there is one for each."""
    if len(mailboxes) != len(statuses):
        return {}
    return {same_copy(name): DeliveryStatus(status) for name, status in zip(mailboxes, statuses, strict=True)}


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
