"""What moving and releasing does to copies. Calls and bulk jobs both come here, so that both leave the same traces."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dashboard.simulator.mail.record import MailRecord
from dashboard.simulator.state import PURGED, Action, Copy
from dashboard.simulator.world import World


class Delivery(Enum):
    """How the release of one copy ended."""

    DELIVERED = "delivered"
    FAILED = "failed"  # nothing was sent; the copy stays in quarantine
    UNDELIVERED = "undelivered"  # it was sent, and the recipient's server refused it


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """How the move of one copy ended; `status` is `OK` or the reason it failed."""

    recipient: str | None  # None: no such message
    success: bool
    status: str


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The recipients' mailboxes of one account."""

    world: World

    def move_obstacle(self, record: MailRecord, copy: Copy, destination: str) -> str | None:
        """Why a copy cannot be moved there, or None."""
        store, faults = self.world.store, self.world.faults
        domain = copy.recipient.rpartition("@")[2].lower()
        if domain in store.domains_without_integration:
            return f"no active integration for {domain}"
        if record.is_phish_submission:
            return "submissions cannot be moved"
        if copy.status == "quarantined":
            return "message is in quarantine"
        if copy.folder is None:
            return f"message was not delivered ({copy.status})"
        if copy.folder == PURGED:
            return "message not found in mailbox"
        if copy.folder == destination:
            return f"message is already in {destination}"
        return faults.unmovable_recipients.get(copy.recipient)

    def move(
        self,
        record: MailRecord,
        destination: str,
        at: float,
        requested_by: str,
        *,
        recipients: frozenset[str] | None = None,
        service: str | None = None,
    ) -> list[MoveOutcome]:
        """Move the copies of a message (or only some of them), each on its own."""
        if self.world.profile.relaxed:
            return [MoveOutcome(recipient, success=True, status="OK") for recipient in record.client_recipients]
        state = self.world.store.touched(record)
        outcomes = []
        for copy in state.copies:
            if recipients is not None and copy.recipient not in recipients:
                continue
            obstacle = self.move_obstacle(record, copy, destination)
            if obstacle is None:
                origin, copy.folder, copy.status = copy.folder, destination, "moved"
                self.world.ledger.record(
                    "move", record.id, copy.recipient, at, destination=destination, origin=origin, service=service
                )
            elif copy.folder not in (None, destination, PURGED):
                copy.status = "move_failed"
            outcomes.append(MoveOutcome(copy.recipient, success=obstacle is None, status=obstacle or "OK"))
        for success, status in dict.fromkeys((outcome.success, outcome.status) for outcome in outcomes):
            state.log.append(
                Action(
                    "MOVE",
                    at,
                    at,
                    success=success,
                    status=status,
                    requested_by=requested_by,
                    folder=destination,
                    service=service,
                )
            )
        return outcomes

    def release(
        self,
        record: MailRecord,
        at: float,
        requested_by: str,
        *,
        recipients: frozenset[str] | None = None,
        service: str | None = None,
    ) -> dict[Delivery, list[str]]:
        """Let the quarantined copies of a message (or only some of them) through; other copies are left alone."""
        ends: dict[Delivery, list[str]] = {end: [] for end in Delivery}
        if self.world.profile.relaxed:
            ends[Delivery.DELIVERED] = list(record.client_recipients)
            return ends
        state = self.world.store.touched(record)
        for copy in state.copies:
            if copy.status != "quarantined" or (recipients is not None and copy.recipient not in recipients):
                continue
            end = self._deliver(copy)
            ends[end].append(copy.recipient)
            if end is not Delivery.FAILED:
                self.world.ledger.record("release", record.id, copy.recipient, at, outcome=end.value, service=service)
        texts = {
            Delivery.DELIVERED: "OK",
            Delivery.FAILED: "mail server did not answer",
            Delivery.UNDELIVERED: "mailbox is full",
        }
        for end, reached in ends.items():
            if reached:
                success = end is Delivery.DELIVERED
                state.log.append(
                    Action(
                        "QUARANTINE_RELEASE",
                        at,
                        at,
                        success=success,
                        status=texts[end],
                        requested_by=requested_by,
                        service=service,
                    )
                )
        return ends

    def _deliver(self, copy: Copy) -> Delivery:
        faults = self.world.faults
        if copy.recipient in faults.failing_recipients:
            return Delivery.FAILED
        if copy.recipient in faults.undeliverable_recipients or copy.recipient in self.world.store.full_mailboxes:
            copy.status = "bounced"
            return Delivery.UNDELIVERED
        copy.status, copy.folder = "delivered", "Inbox"
        return Delivery.DELIVERED
