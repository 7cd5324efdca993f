"""What a person decided to do, before it becomes a row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Disposition, MailboxDestination
from investigate.models import ActionKind

PURGES = (MailboxDestination.RECOVERABLE_ITEMS_DELETIONS, MailboxDestination.RECOVERABLE_ITEMS_PURGES)
SHORTEST_REASON, LONGEST_REASON = 5, 1000  # characters
LARGEST_EML = 2_000_000  # bytes of a message that goes with a submission, whoever adds it
MALICIOUS = (Disposition.MALICIOUS, Disposition.MALICIOUS_BEC)
_MILD = frozenset(Disposition) - {*MALICIOUS, Disposition.UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision on one or more messages."""

    kind: ActionKind
    investigate_ids: tuple[str, ...]
    destination: str = ""  # of a move
    expected_disposition: str = ""  # of a submission
    reason: str = ""
    is_confirmed: bool = False  # the person has seen the panel that says what will happen
    eml: bytes | None = None  # the message itself, added by the person to a submission
    escalates: str = ""  # the user's submission that this one is about
    as_missed: bool = False  # a submission as a missed detection, although there is an alert

    @property
    def facts(self) -> dict[str, object]:
        """What is kept with the message of a submission beside the message's own facts."""
        named = {"escalates": self.escalates, "as_missed": self.as_missed}
        return {name: value for name, value in named.items() if value}

    def fingerprint(self, actor: Member) -> str:
        """The same form sent twice has the same one; another person, target or parameter another."""
        content = [
            actor.pk,
            self.kind.value,
            sorted(self.investigate_ids),
            self.destination,
            self.expected_disposition,
            hashlib.sha256(self.eml).hexdigest() if self.eml else "",
            *([self.escalates, self.as_missed] if self.escalates or self.as_missed else []),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def may_do_harm(disposition: str | None) -> bool:
    """Whether mail of this verdict is released as Malicious mail is: so is what has no verdict, or one nobody knows."""
    return not disposition or Disposition(disposition) not in _MILD


def permission_for(kind: str, *, destination: str = "", disposition: str | None = None) -> Permission:
    """The right an action needs; releasing malicious mail and purging need one of their own."""
    if kind == ActionKind.RELEASE and may_do_harm(disposition):
        return Permission.MESSAGE_RELEASE_MALICIOUS
    return least_permission_for(kind, destination=destination)


def least_permission_for(kind: str, *, destination: str = "") -> Permission:
    """The right without which nobody does it with any message, whatever its verdict."""
    if kind == ActionKind.RELEASE:
        return Permission.MESSAGE_RELEASE
    if kind == ActionKind.MOVE:
        return Permission.MESSAGE_PURGE if destination in PURGES else Permission.MESSAGE_MOVE
    return Permission.MESSAGE_RECLASSIFY
