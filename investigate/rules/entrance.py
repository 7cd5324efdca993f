"""The way in: what the foot of a message shows of making rules. Costs no query and no call."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Message
from investigate.rules import words


@dataclass(frozen=True)
class RuleEntrance:
    label: str
    key: str
    says: str  # the palette's name for it
    url: str
    why_not: str


_WAYS = (
    ("Block…", "b", "Block the sender", "block_sender", Permission.POLICY_BLOCK),
    ("Allow the sender…", "Shift+B", "Allow the sender for a time", "allow_sender", Permission.POLICY_ACCEPT),
    ("Guard the name…", "p", "Add the name to the impersonation registry", "guard_name", Permission.POLICY_WRITE),
)


def entrances(message: Message, member: Member) -> list[RuleEntrance]:
    """Block first, which is what one does a hundred times a day."""
    return [
        RuleEntrance(label, key, says, _url(name, message), words.why_not(member, permission))
        for label, key, says, name, permission in _WAYS
    ]


def _url(name: str, message: Message) -> str:
    return reverse(f"investigate:{name}", args=[message.id])
