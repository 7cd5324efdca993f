"""What a reason is: a sentence, its evidence, and where to look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.emailsec.types import Disposition
from investigate.message.wording import verdict_word

MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Jump:
    """A place inside the message: the tab that holds it and the element there."""

    tab: str
    anchor: str
    label: str

    @classmethod
    def link(cls, number: int, total: int) -> Jump:
        return cls("links", f"link-{number}", f"link {number} of {total}")

    @classmethod
    def attachment(cls, number: int, total: int) -> Jump:
        return cls("attachments", f"attachment-{number}", f"attachment {number} of {total}")


@dataclass(frozen=True, slots=True)
class Reason:
    """`evidence` and `aside` may hold anything a sender wrote; `weight` orders, larger is more decisive."""

    sentence: str
    evidence: str = ""
    aside: tuple[str, ...] = ()
    verdict: Disposition | None = None
    jump: Jump | None = None
    weight: float = 0

    @property
    def has_evidence(self) -> bool:
        """Whether the evidence says more than the sentence already does."""
        return bool(self.evidence) and self.evidence not in self.sentence

    @property
    def verdict_word(self) -> str:
        return verdict_word(self.verdict) if self.verdict else ""


def ranked(reasons: Iterable[Reason]) -> list[Reason]:
    """Most decisive first, each said once, bounded."""
    unique = {(reason.sentence, reason.evidence): reason for reason in reasons}
    return sorted(unique.values(), key=lambda reason: -reason.weight)[:MOST_SHOWN]
