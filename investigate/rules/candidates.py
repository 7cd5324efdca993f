"""Whom a rule could be about: the addresses a message names as its own, and their domains.

The message decides which there are. A form names one of them and never says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dashboard.emailsec.types import Message
from dashboard.web.text import split_address
from settings_ui.patterns.checks import ascii_domain

ADDRESS, DOMAIN = "EMAIL", "DOMAIN"
_PLACES = (("from", "From"), ("envelope", "Envelope"), ("reply-to", "Reply-To"))


@dataclass(frozen=True)
class Candidate:
    """One address or domain of a message. The pattern is hostile text until it was checked."""

    name: str  # "from", "envelope-domain": what a form sends
    pattern: str
    pattern_type: str
    places: tuple[str, ...]  # "From", "Reply-To"

    @property
    def is_domain(self) -> bool:
        return self.pattern_type == DOMAIN

    @property
    def domain(self) -> str:
        return self.pattern.rpartition("@")[2]


def candidates_of(message: Message) -> list[Candidate]:
    """Each address before its domain, those of From first; what is named twice stands once."""
    found: dict[str, Candidate] = {}
    for candidate in _named(message):
        known = found.get(candidate.pattern)
        found[candidate.pattern] = replace(known, places=known.places + candidate.places) if known else candidate
    return list(found.values())


def candidate_named(message: Message, name: str) -> Candidate | None:
    return next((candidate for candidate in candidates_of(message) if candidate.name == name), None)


def _named(message: Message) -> Iterator[Candidate]:
    addresses = (message.from_, message.envelope_from, message.replyto)
    for (name, place), address in zip(_PLACES, addresses, strict=True):
        local, domain = split_address((address or "").casefold())
        domain = ascii_domain(domain) or domain
        if not domain:
            continue
        if local:
            yield Candidate(name, f"{local}@{domain}", ADDRESS, (place,))
        yield Candidate(f"{name}-domain", domain, DOMAIN, (place,))
