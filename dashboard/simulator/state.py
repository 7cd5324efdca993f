"""What happened to a message after its arrival: where its copies are, and what was done to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dashboard.simulator.mail.record import MailRecord

INBOX = "Inbox"
JUNK = "JunkEmail"
PURGED = "RecoverableItemsPurges"


@dataclass(slots=True)
class Copy:
    """One recipient's copy; `folder` is None while it is not in a mailbox."""

    recipient: str
    status: str
    folder: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """An entry of the action log; `operation` is one of the API's PostDeliveryOperation values."""

    operation: str
    started_at: float
    completed_at: float
    success: bool
    status: str
    requested_by: str | None = None
    folder: str | None = None
    requested_disposition: str | None = None
    submission_id: str | None = None
    submission_type: str | None = None
    service: str | None = None


@dataclass(slots=True)
class MessageState:
    """The changing half of a message."""

    copies: list[Copy]
    log: list[Action] = field(default_factory=list)

    @property
    def is_quarantined(self) -> bool:
        return any(copy.status == "quarantined" for copy in self.copies)

    @property
    def delivery_status(self) -> list[str]:
        return [copy.status for copy in self.copies]

    @property
    def operations(self) -> list[str]:
        """Each successful kind of action once, oldest first."""
        return list(dict.fromkeys(action.operation for action in self.log if action.success))


def initial_state(record: MailRecord) -> MessageState:
    """The state at arrival. A copy that arrives as moved was moved by the service itself, shortly after scanning."""
    copies = []
    log = []
    for recipient, status in zip(record.client_recipients, record.delivery_status, strict=False):
        folder = {"delivered": INBOX, "moved": JUNK, "move_failed": INBOX}.get(status)
        copies.append(Copy(recipient, status, folder))
    moved_at = record.scanned_at + 38
    if "moved" in record.delivery_status:
        log.append(Action("MOVE", record.scanned_at + 35, moved_at, True, "OK", "auto-move", JUNK))  # noqa: FBT003
    if "move_failed" in record.delivery_status:
        reason = "MailboxNotEnabledForRESTAPI"
        log.append(Action("MOVE", record.scanned_at + 35, moved_at, False, reason, "auto-move", JUNK))  # noqa: FBT003
    return MessageState(copies, log)
