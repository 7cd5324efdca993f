"""What a rule made from this message could be, and why a choice is not for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Message
from investigate.message.notice import own_domains as domains_of_mailboxes
from investigate.rules import words
from investigate.rules.candidates import Candidate, candidates_of
from investigate.rules.standing import ALLOWED, BLOCKED, Standing, nearby, standing
from settings_ui.patterns.comparing import NOT_ALL, Comparison
from settings_ui.patterns.linter import Danger
from settings_ui.resources import BY_NAME
from settings_ui.watching import own_domains

BLOCK_SENDERS, ALLOW_POLICIES = BY_NAME[BLOCKED], BY_NAME[ALLOWED]
REGISTRY = BY_NAME["impersonation_registry"]
_SECONDS = 1.5  # of comparing: the panel opens under somebody's hands
_TOLD_ONLY = "conflict"  # two lists that disagree hurt nobody else: whoever decides knows it and goes on


@dataclass(frozen=True)
class Choice:
    """One candidate as it is offered."""

    candidate: Candidate
    what: str  # what blocking it does, in a sentence
    why_not: str = ""
    notes: list[str] = field(default_factory=list)
    stands: list[Standing] = field(default_factory=list)
    full_form: str = ""  # where a policy manager may do it all the same

    @property
    def is_possible(self) -> bool:
        return not self.why_not

    @property
    def named(self) -> str:
        """ "From and Reply-To": where the message names it."""
        *first, last = self.candidate.places
        return f"{', '.join(first)} and {last}" if first else last


def choices(message: Message, member: Member) -> list[Choice]:
    """Whom of this message a block could be about."""
    candidates = candidates_of(message)
    if not candidates:
        return []
    patterns = [candidate.pattern for candidate in candidates]
    stands = standing(patterns)
    compared = Comparison(BLOCKED, nearby(ALLOWED, candidates), _own(message), seconds=_SECONDS)
    return [_choice(candidate, member, stands, compared) for candidate in candidates]


def first_possible(offered: Sequence[Choice]) -> Choice | None:
    """What is chosen before anybody chooses: what is possible and not on the list already."""
    possible = [choice for choice in offered if choice.is_possible]
    fresh = (choice for choice in possible if not any(one.resource == BLOCKED for one in choice.stands))
    return next(fresh, possible[0] if possible else None)


def block_values(candidate: Candidate) -> dict[str, Any]:
    return {"pattern": candidate.pattern, "pattern_type": candidate.pattern_type, "is_regex": False}


def full_form(resource_slug: str, values: dict[str, Any]) -> str:
    """The form of the settings, filled in; what is dangerous asks there for a second click."""
    asked = {name: "on" if value is True else value for name, value in values.items() if value not in (False, "")}
    return f"{reverse('settings:new', args=[resource_slug])}?{urlencode(asked)}"


def allow_conflicts(message: Message, values: dict[str, Any], candidate: Candidate | None) -> list[str]:
    """What a rule that accepts the sender would contradict, in words."""
    if candidate is None:
        return []
    compared = Comparison(ALLOWED, nearby(BLOCKED, [candidate]), _own(message), seconds=_SECONDS)
    return [one.told for one in compared.dangers_of(values) if one.code in (_TOLD_ONLY, NOT_ALL.code)]


def _choice(candidate: Candidate, member: Member, stands: list[Standing], compared: Comparison) -> Choice:
    values = block_values(candidate)
    cleaned, problems = BLOCK_SENDERS.cleaned(values)
    dangers = [] if problems else compared.dangers_of(cleaned)
    stop = next((danger for danger in dangers if _stops(danger)), None)
    may_write = member.may(Permission.POLICY_WRITE)
    return Choice(
        candidate=candidate,
        what=words.blocks(candidate.pattern, is_domain=candidate.is_domain),
        why_not=next(iter(problems.values()), "") or (stop.told if stop else ""),
        notes=[danger.told for danger in dangers if not _stops(danger)],
        stands=[one for one in stands if one.pattern.casefold() == candidate.pattern],
        full_form=full_form(BLOCK_SENDERS.slug, values) if may_write and stop else "",
    )


def _stops(danger: Danger) -> bool:
    return not danger.is_hint and danger.code != _TOLD_ONLY


def _own(message: Message) -> list[str]:
    """The protected domains, and those of the mailboxes it was for, which are ours whatever the lists say."""
    return sorted({*own_domains(), *domains_of_mailboxes(message)})
