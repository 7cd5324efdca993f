"""What a family of messages is: its texts, its senders, its targets and what the detection engine says about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

PER_MESSAGE = frozenset(
    {"ref", "num", "long", "inv", "ticket", "small", "sum", "fee", "ransom", "length", "time", "token", "tracking"}
)


class SenderStyle(StrEnum):
    """Whom a message comes from, and how honest its address is."""

    LOOKALIKE_BRAND = "look-alike of a brand"
    LOOKALIKE_COMPANY = "look-alike of the company"
    LOOKALIKE_SUPPLIER = "look-alike of a supplier"
    IMPERSONATED_LEADER = "a leader's name at a free mail provider"
    COMPROMISED = "a stranger's hacked mailbox"
    HIJACKED_SUPPLIER = "a supplier's hacked mailbox"
    SPOOFED_SUPPLIER = "a supplier's address, sent from elsewhere"
    SPOOFED_COMPANY = "the company's own address, sent from elsewhere"
    THROWAWAY = "a domain made for it"
    PUBLISHER = "a newsletter or shop"
    SUPPLIER = "a supplier"
    CUSTOMER = "a customer"
    SERVICE = "a service the company uses"
    COLLEAGUE = "a colleague"
    STRANGER = "an unknown but honest person"
    MASS_MAILER = "a supplier through a mass mailer"


class Target(StrEnum):
    ANYONE = "anyone"
    FINANCE = "Finance"
    HR = "HR"
    IT = "IT"
    EXECUTIVE = "Executive"
    SALES = "Sales"
    PURCHASING = "Purchasing"
    ENGINEERING = "Engineering"
    MARKETING = "Marketing"


class Text(NamedTuple):
    """One language's wording; the body is in the small notation of `notation.py`."""

    language: str
    subjects: tuple[str, ...]
    body: str
    names: tuple[str, ...] = ()  # display names of the sender, where the style does not give one


class Enclosure(NamedTuple):
    """An attachment to be invented; the bytes are harmless filler of the right outer shape."""

    filename: str
    content_type: str
    size: int = 20_000  # about; varies by campaign
    encrypted: bool = False
    detection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """`weight` is relative to the other families with the same disposition; `reasons` are keys of `reasons.REASONS`."""

    kind: str
    disposition: str
    weight: float
    style: SenderStyle
    texts: tuple[Text, ...]
    target: Target = Target.ANYONE
    brand: str | None = None
    service: str | None = None
    reasons: tuple[str, ...] = ()
    threats: tuple[str, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()  # one of them goes along with each campaign
    enclosed: float = 1.0  # how often, if there are any
    size: tuple[int, int] = (4, 40)  # messages per campaign
    copies: tuple[int, int] = (1, 1)  # recipients per message
    spread_hours: float = 6.0
    replies: bool = False  # later messages of the campaign are answers to the first
    office_hours: bool = False
    from_recipient: bool = False  # claims to come from the recipient's own address
    allowed: str | None = None  # type of the allow entry that matched
    colour: str = "#2b5fab"
    varying: frozenset[str] = field(default=PER_MESSAGE)
    quarantine: float | None = None  # share held, where it differs from the disposition's usual one
