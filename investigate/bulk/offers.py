"""What can be done with many messages at once, in one wording for every form, and how forms name it in one value."""

from __future__ import annotations

from typing import Any

from dashboard.access.models import Member
from dashboard.emailsec.types import SHORT_DISPOSITIONS, MailboxDestination
from investigate.actions.decision import PURGES, least_permission_for
from investigate.actions.words import disposition, folder
from investigate.approvals.needs import right_to_ask
from investigate.models import ActionKind

FOLDERS = (
    MailboxDestination.DELETED_ITEMS,
    MailboxDestination.JUNK_EMAIL,
    MailboxDestination.INBOX,
    *PURGES,
)
MOVES = [f"{ActionKind.MOVE}:{value.value}" for value in FOLDERS]
RELEASE = f"{ActionKind.RELEASE}:"
SUBMISSIONS = [f"{ActionKind.RECLASSIFY}:{value.value}" for value in SHORT_DISPOSITIONS]
NOT_YOURS = "Your role may not do this."


def decided(value: str) -> dict[str, Any]:
    """The arguments of `jobs.begin` that a value stands for: "move:JunkEmail", "release:", "reclassify:SPAM"."""
    kind, _, what = value.partition(":")
    return {
        "kind": ActionKind(kind),
        "destination": what if kind == ActionKind.MOVE else "",
        "expected_disposition": what if kind == ActionKind.RECLASSIFY else "",
    }


def is_possible(kind: str, destination: str, expected_disposition: str) -> bool:
    """Whether there is such an action at all, whoever asks."""
    match kind:
        case ActionKind.MOVE:
            return destination in FOLDERS and not expected_disposition
        case ActionKind.RELEASE:
            return not destination and not expected_disposition
        case ActionKind.RECLASSIFY:
            return expected_disposition in SHORT_DISPOSITIONS and not destination
    return False


def choices_for(member: Member) -> list[tuple[str, list[tuple[str, str]]]]:
    """What this member may do, in groups."""
    groups = [("Move", MOVES), ("Quarantine", [RELEASE]), ("Submit to Cloudflare", SUBMISSIONS)]
    allowed = [(name, [(value, _label(value)) for value in values if _may(member, value)]) for name, values in groups]
    return [(name, choices) for name, choices in allowed if choices]


def _may(member: Member, value: str) -> bool:
    action = decided(value)
    return member.may(right_to_ask(least_permission_for(action["kind"], destination=action["destination"])))


def _label(value: str) -> str:
    kind, _, what = value.partition(":")
    match kind:
        case ActionKind.MOVE:
            return folder(what) if what in PURGES else f"Move to {folder(what)}"
        case ActionKind.RELEASE:
            return "Release"
    return f"Submit as {disposition(what)}"
