"""What a job keeps of a message: enough to judge, to count and to show it without asking again, in some 300 bytes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.access.models import Member
from dashboard.access.scope import Scope, spaced
from dashboard.audit.chain import storable_text
from dashboard.emailsec.enums import DeliveryStatus, Disposition, MessageDeliveryMode, Operation
from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.types import ActionEntry, Message
from investigate.actions.feasibility import Known, affected_recipients, known_about, needs_eml, why_not
from investigate.actions.transitions import storable_words
from investigate.bulk.outlook import Moved, moves_of
from investigate.message.visible import OUTSIDE
from investigate.models import ActionItem, ActionKind, ActionState, BulkJob

LONGEST_ID = 255
_NEEDS_EML = "The account's API takes clean mail only with the message as a file: submit it by itself."
_DONE_BY = {ActionKind.MOVE: Operation.MOVE, ActionKind.RELEASE: Operation.QUARANTINE_RELEASE}


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownMessage:
    """A message as a job knows it, whichever answer it came from."""

    id: str
    postfix_id: str = ""
    alert_id: str = ""
    message_id: str = ""
    subject: str = ""
    edf_hash: str = ""
    from_: str = ""
    from_name: str = ""
    scanned_at: str = ""
    client_recipients: tuple[str, ...] = ()
    final_disposition: Disposition | None = None
    delivery_mode: MessageDeliveryMode | None = None
    delivery_status: tuple[DeliveryStatus, ...] = ()
    is_quarantined: bool = False
    is_phish_submission: bool = False
    post_delivery_operations: tuple[Operation, ...] = ()
    action_log: tuple[ActionEntry, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        return self.client_recipients

    @property
    def mailboxes(self) -> tuple[str, ...]:
        return self.client_recipients


def known(message: Message | MessageRow) -> KnownMessage:
    log: tuple[ActionEntry, ...] = ()
    if isinstance(message, MessageRow):
        scanned_at = message.scanned_at
    else:
        scanned_at, log = _written(message.scanned_at), message.action_log
    return KnownMessage(
        id=message.id,
        postfix_id=message.postfix_id or "",
        alert_id=message.alert_id or "",
        message_id=message.message_id or "",
        subject=message.subject or "",
        edf_hash=message.edf_hash or "",
        from_=message.from_ or "",
        from_name=message.from_name or "",
        scanned_at=scanned_at,
        client_recipients=message.mailboxes,
        final_disposition=message.final_disposition,
        delivery_mode=message.delivery_mode,
        delivery_status=message.delivery_status,
        is_quarantined=message.is_quarantined,
        is_phish_submission=message.is_phish_submission,
        post_delivery_operations=message.post_delivery_operations,
        action_log=log,
    )


def _written(moment: dt.datetime | None) -> str:
    """As `MessageRow.scanned_at` writes it."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z" if moment else ""


def facts_of(message: Message | MessageRow | KnownMessage) -> dict[str, Any]:
    """What is kept beside an item's own columns, by the API's names; what is empty is left out."""
    of = message if isinstance(message, KnownMessage) else known(message)
    facts: dict[str, Any] = {
        "from": storable_text(of.from_),
        "from_name": storable_text(of.from_name),
        "scanned_at": of.scanned_at,
        "delivery_status": _storable(of.delivery_status),
        "delivery_mode": storable_text(of.delivery_mode or ""),
        "is_quarantined": of.is_quarantined,
        "is_phish_submission": of.is_phish_submission,
        "post_delivery_operations": _storable(of.post_delivery_operations),
        "client_recipients": _storable(of.client_recipients),
    }
    return {name: value for name, value in facts.items() if value}


def message_of(item: ActionItem) -> KnownMessage:
    """The message as it was known when it was collected."""
    facts = item.facts
    return KnownMessage(
        id=item.investigate_id,
        postfix_id=item.postfix_id,
        alert_id=item.alert_id,
        message_id=item.message_id,
        subject=item.subject,
        edf_hash=item.edf_hash,
        from_=facts.get("from", ""),
        from_name=facts.get("from_name", ""),
        scanned_at=facts.get("scanned_at", ""),
        client_recipients=tuple(facts.get("client_recipients", item.recipients)),
        final_disposition=Disposition(item.disposition) if item.disposition else None,
        delivery_mode=MessageDeliveryMode(facts["delivery_mode"]) if facts.get("delivery_mode") else None,
        delivery_status=tuple(DeliveryStatus(status) for status in facts.get("delivery_status", ())),
        is_quarantined=facts.get("is_quarantined", False),
        is_phish_submission=facts.get("is_phish_submission", False),
        post_delivery_operations=tuple(Operation(name) for name in facts.get("post_delivery_operations", ())),
    )


def facts_after(item: ActionItem, job: BulkJob) -> dict[str, Any]:
    """The facts of a message after that job: what it surely did is known without asking."""
    facts: dict[str, Any] = item.facts
    operation = _DONE_BY.get(ActionKind(job.kind))
    if item.state != ActionState.DONE or operation is None:
        return facts
    status = DeliveryStatus.MOVED if job.kind == ActionKind.MOVE else DeliveryStatus.DELIVERED
    return {
        **{name: value for name, value in facts.items() if name != "is_quarantined"},
        "delivery_status": [status.value] * len(facts.get("delivery_status", ())),
        "post_delivery_operations": [*dict.fromkeys([*facts.get("post_delivery_operations", ()), operation.value])],
    }


def is_id(text: str) -> bool:
    """Whether a row and an address can hold this as an investigate id."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and "/" not in text and text not in (".", "..")


def items_of(job: BulkJob, messages: Iterable[Message | MessageRow | KnownMessage], actor: Member) -> list[ActionItem]:
    """Items of these messages, each id once, with at most three queries for all; ids no row can hold are left out.

    So is what lies outside the domains the job is limited to.
    """
    scope = Scope(frozenset(job.scope))
    found = {message.id: message for message in messages if is_id(message.id) and scope.sees(message.mailboxes)}
    about = known_about(list(found))
    moves = moves_of(list(found)) if job.kind == ActionKind.MOVE else {}
    return [item_of(job, message, actor, about=about, moved=moves.get(name)) for name, message in found.items()]


def item_of(
    job: BulkJob,
    message: Message | MessageRow | KnownMessage,
    actor: Member,
    *,
    about: Known | None = None,
    moved: Moved | None = None,
) -> ActionItem:
    """The message as an item that waits for its turn, or with the reason why it cannot have one; not saved.

    `about` is what `known_about` says of this message among others: give it wherever there are many. `moved` is where
    `moves_of` says that we took it.
    """
    of = message if isinstance(message, KnownMessage) else known(message)
    reason = _why_not(job, of, actor, about or known_about([of.id]))
    if not reason and moved is not None and moved.destination == job.destination:
        reason = moved.told
    return ActionItem(
        job=job,
        investigate_id=of.id,
        postfix_id=storable_text(of.postfix_id, limit=LONGEST_ID),
        alert_id=storable_text(of.alert_id, limit=LONGEST_ID),
        message_id=storable_text(of.message_id),
        subject=storable_text(of.subject),
        edf_hash=storable_text(of.edf_hash, limit=LONGEST_ID),
        recipients=_storable(affected_recipients(of, job.kind)),
        domains=storable_text(spaced(of.mailboxes)),
        disposition=storable_text(of.final_disposition or "", limit=40),
        state=ActionState.SKIPPED if reason else ActionState.QUEUED,
        explanation=storable_words(reason),
        facts=facts_of(of) | ({"moved_to": moved.destination} if moved is not None else {}),
    )


def _storable(names: Sequence[str]) -> list[str]:
    return [storable_text(name) for name in names]


def _why_not(job: BulkJob, message: KnownMessage, actor: Member, about: Known) -> str:
    if not Scope(frozenset(job.scope)).covers_all(message.mailboxes):
        return OUTSIDE
    reason = why_not(
        message, actor, job.kind, destination=job.destination, expected=job.expected_disposition, known=about
    )
    if not reason and job.kind == ActionKind.RECLASSIFY and needs_eml(message, about):
        return _NEEDS_EML
    return reason
