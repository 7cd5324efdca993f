"""Every sentence about putting a false positive right."""

from __future__ import annotations

from dashboard.emailsec.types import Disposition
from investigate.actions import words as action_words
from investigate.models import FixStepKind, FixStepState

NOT_HELD = "The message is not in quarantine."
NO_RULE_FOR_MALICIOUS = "Mail that Cloudflare calls Malicious or BEC gets no rule: that verdict would stand anyway."
OWN_DOMAIN = "The sender claims to be one of your own domains: such a rule would help who forges it."
NOT_PROVEN = "{why} for this mail, so a rule that asks the sender for proof would never match."
LOST_RIGHT = "{who} no longer has the right to do this."
IS_GONE = "Who decided this is no member any more."
NO_MESSAGE = "Cloudflare no longer knows this message."

REASONS = (
    "Known supplier, confirmed by phone",
    "The recipient expects this message",
    "Sent by a service of our own",
    "A newsletter the recipient subscribed to",
)

_TITLES = {
    FixStepKind.RELEASE: "Release",
    FixStepKind.SUBMIT_CLEAN: "Submit as clean",
    FixStepKind.ACCEPT_SENDER: "Accept the sender",
}
_STATES = {
    FixStepState.PLANNED: "comes next",
    FixStepState.RUNNING: "waiting",
    FixStepState.DONE: "done",
    FixStepState.PARTLY_DONE: "partly done",
    FixStepState.FAILED: "not done",
    FixStepState.UNKNOWN: "unknown, looking",
    FixStepState.CANCELLED: "not begun",
    FixStepState.SKIPPED: "left out",
}
_DONE = {
    FixStepKind.RELEASE: "released",
    FixStepKind.SUBMIT_CLEAN: "submitted as clean",
    FixStepKind.ACCEPT_SENDER: "sender accepted",
}


def title(kind: str) -> str:
    return _TITLES[FixStepKind(kind)]


def state(value: str) -> str:
    return _STATES[FixStepState(value)]


def done(kinds: list[str]) -> str:
    """ "released, submitted as clean" """
    return ", ".join(_DONE[FixStepKind(kind)] for kind in kinds)


def rule_is_limited(verdict: Disposition | None) -> str:
    """What a rule does not help against."""
    if not verdict:
        return "It spares the sender Spam, Spoof and Bulk, and no other verdict."
    said = action_words.disposition(verdict)
    return f"It spares the sender Spam, Spoof and Bulk. {said} still applies, until Cloudflare learns otherwise."


def taken(who: str) -> str:
    return f"{who} puts this message right already."


def taken_by_you() -> str:
    return "You put this message right already."


def waits_for(told: str) -> str:
    return f"Waits until the message is free. {told}"


def away(told: str) -> str:
    return f"Waits. {told}"
