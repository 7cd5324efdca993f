"""What can be asked for: one of six verdicts, for a report that is escalated or for mail reported as missed."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from dashboard.access.models import Member
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.emailsec.types import Message
from investigate.actions.decision import LARGEST_EML
from investigate.actions.feasibility import can_be_missed, possible_actions
from investigate.memory import evidence
from investigate.message import parts
from investigate.message.parts import NotOffered
from investigate.models import ActionKind

log = structlog.get_logger("mailwarden.submissions")

MEANS = {
    "MALICIOUS": "phishing, malware or fraud",
    "SUSPICIOUS": "looks wrong, and nobody can prove it",
    "SPOOF": "pretends to come from somebody else",
    "SPAM": "unwanted mail, sent to many",
    "BULK": "newsletters and advertising that somebody may have asked for",
    "NONE": "nothing is wrong with it",
}
_NOT_NAMED = "The message lacks the ids a missed detection is reported by."
_FILE_FIRST = "This account's API takes clean mail only with its file: open the message and add it there."


@dataclass(frozen=True)
class Choice:
    """One verdict as a radio button; its key is its place in the list."""

    value: str
    label: str
    means: str
    key: str
    why_not: str = ""
    is_chosen: bool = False


@dataclass(frozen=True)
class Verdicts:
    """The six of them, and why none can be asked for where that is so."""

    choices: list[Choice]

    @property
    def why_not(self) -> str:
        """The reason where all share it, or none works."""
        reasons = {choice.why_not for choice in self.choices}
        return "" if "" in reasons else next(iter(reasons), "")


@dataclass(frozen=True)
class File:
    """The message's raw file as it goes along, or why it does not."""

    raw: bytes | None
    why_not: str = ""


def verdicts(message: Message, member: Member, *, as_missed: bool = False, chosen: str = "") -> Verdicts:
    """Each with the reason why it cannot be asked for. `chosen` is ticked where it can."""
    found = []
    offers = possible_actions(message, member, escalates=not as_missed)
    submissions = [offer for offer in offers if offer.kind == ActionKind.RECLASSIFY]
    for number, offer in enumerate(submissions, start=1):
        why_not = offer.why_not
        if not why_not and offer.needs_eml:
            why_not = _FILE_FIRST
        if not why_not and as_missed and not can_be_missed(message):
            why_not = _NOT_NAMED
        value = offer.expected_disposition
        found.append(
            Choice(value, offer.label, MEANS.get(value, ""), str(number), why_not, value == chosen and not why_not)
        )
    return Verdicts(found)


def file_of(message: Message, member: Member) -> File:
    """The raw file: as it was kept as evidence, or fetched now and kept for as long as bodies are.

    A submission is worth sending without it.
    """
    try:
        raw = _kept(message, member) or parts.raw(message)
    except NotOffered as reason:
        return File(None, str(reason))
    except EmailSecurityError as problem:
        log.info("eml_not_available", error=type(problem).__name__)
        return File(None, "Cloudflare does not give its raw file any more.")
    if len(raw) > LARGEST_EML:
        return File(None, f"Its raw file is larger than {LARGEST_EML // 1_000_000} MB.")
    return File(raw)


def _kept(message: Message, member: Member) -> bytes | None:
    for kept in evidence.of_message(member, message.id):
        try:
            return evidence.open_evidence(kept)
        except evidence.Damaged:
            continue
    return None
