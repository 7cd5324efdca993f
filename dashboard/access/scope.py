"""Which mail a member is limited to: some recipient domains, or none of them, which means all.

A message is a scoped member's when a copy of it went to one of their domains. Recipients elsewhere are not shown to
them, and only messages whose every copy is theirs can be acted on, because an action takes all copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from django.db.models import Q

from dashboard.web.text import punycode, split_address

State = TypeVar("State")


@dataclass(frozen=True)
class Scope:
    """The recipient domains somebody is limited to, in ASCII and lower case; empty: no limit."""

    domains: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        return not self.domains

    def covers(self, address: str) -> bool:
        """Whether mail to this address is inside; a domain covers itself alone, not those below it."""
        return self.is_whole or domain_of(address) in self.domains

    def sees(self, recipients: Iterable[str]) -> bool:
        """Whether a message to these recipients exists for this person."""
        return self.is_whole or any(self.covers(address) for address in recipients)

    def covers_all(self, recipients: Sequence[str]) -> bool:
        """Whether every copy is inside, so that the message may be acted on."""
        return self.is_whole or (bool(recipients) and all(self.covers(address) for address in recipients))

    def inside(self, recipients: Iterable[str]) -> tuple[str, ...]:
        """Those of the recipients that this person may know of."""
        return tuple(address for address in recipients if self.covers(address))

    def states_inside(self, copies: Sequence[str], states: Sequence[State]) -> tuple[State, ...]:
        """The states of the copies inside; where it is not told which copy a state is of, only one that all share."""
        if self.covers_all(copies):
            return tuple(states)
        if len(copies) == len(states):
            return tuple(state for copy, state in zip(copies, states, strict=True) if self.covers(copy))
        return tuple(states[:1]) if len(set(states)) == 1 else ()

    def copies_inside(self, copies: Sequence[str], states: Sequence[str]) -> list[tuple[str, str]]:
        """(recipient, state) of each copy inside; "" where it is not told which copy a state is of."""
        if len(copies) != len(states):
            states = [states[0] if len(set(states)) == 1 else ""] * len(copies)
        return [(copy, state) for copy, state in zip(copies, states, strict=True) if self.covers(copy)]

    def covers_domains(self, column: str) -> bool:
        """The same for a column that `spaced` filled; one that names no domain is nobody's who is limited."""
        return self.is_whole or (bool(column.strip()) and self.domains.issuperset(column.split()))

    def sees_domains(self, column: str) -> bool:
        """Whether a message with such a column exists for this person."""
        return self.is_whole or any(f" {domain} " in column for domain in self.domains)

    def holds(self, other: Scope) -> bool:
        """Whether everything inside `other` is inside this one."""
        return self.is_whole or (not other.is_whole and other.domains <= self.domains)

    def q(self, column: str) -> Q:
        """A condition on a column that `spaced` filled: rows of which this person may know."""
        wanted = Q()
        for domain in sorted(self.domains):
            wanted |= Q(**{f"{column}__contains": f" {domain} "})
        return wanted

    def q_of_copies(self, column: str) -> Q:
        """A condition on a column that holds the domain of one copy."""
        return Q() if self.is_whole else Q(**{f"{column}__in": self.domains})

    def __str__(self) -> str:
        return ", ".join(sorted(self.domains)) if self.domains else "all domains"


WHOLE = Scope()
NOWHERE = "?"


def spaced(recipients: Iterable[str]) -> str:
    """The recipients' domains as one text for a column, each between spaces: " a.example b.example ".

    What has no domain is not forgotten: no scope covers it.
    """
    found = sorted({domain_of(address) or NOWHERE for address in recipients if address})
    return f" {' '.join(found)} " if found else ""


@lru_cache(maxsize=4096)
def domain_of(address: str) -> str:
    """The domain of an address as it is compared: lower case, internationalised names in their ASCII form."""
    domain = split_address(address)[1].strip().rstrip(".").casefold()
    if not domain.isascii():
        domain = punycode(domain) or ""
    return "" if any(character.isspace() for character in domain) else domain
