"""Who gets a message: the person it is written to, and who else it was sent to.

Colleagues copy each other in; senders of unwanted mail go through lists on which several people of one company stand.
Such lists are old: they name people of every part of the company and some whose mailboxes nobody empties any more.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from random import Random

from dashboard.simulator.mail import company
from dashboard.simulator.mail.campaign import Campaign
from dashboard.simulator.mail.company import Person
from dashboard.simulator.mail.family import Family, SenderStyle

# How often a detection is sent to several people at once; many copies of one message make a gateway hold it sooner.
SHARED = {"SPAM": 0.12, "BULK": 0.18, "SPOOF": 0.12, "SUSPICIOUS": 0.14, "MALICIOUS": 0.14, "MALICIOUS-BEC": 0.24}
SHARED_HELD = {"SPAM": 0.6, "SPOOF": 0.58, "SUSPICIOUS": 0.58}
LISTED = frozenset({"SPAM", "BULK", "SPOOF", "SUSPICIOUS"})  # what is sent to whole lists of addresses
SIZES = ((1, 40), (2, 33), (3, 16), (4, 11))  # further recipients, and how often there are so many
STALE = 0.85  # how often a list that was used names one of the mailboxes nobody empties
ACQUIRED = 0.6  # how often a message that was let through also went to somebody of the acquired company
PERSONAL_GAPS = ("{email}", "{user}")  # a text with the reader's own address in it is written to one


@lru_cache(maxsize=128)
def _draws(pool: tuple[Person, ...], *, attacked: bool) -> list[int]:
    return list(accumulate(person.draw if attacked else 1 + (person.draw > 4) for person in pool))


def recipients(campaign: Campaign, rng: Random) -> list[Person]:
    """The person a message is written to, first, and for mail between people whoever was copied in."""
    pool = campaign.recipient_pool()
    weights = _draws(pool, attacked=campaign.family.disposition not in {"NONE", "BULK"})
    low, high = campaign.family.copies
    count = 1 if high == 1 or rng.random() < 0.72 else rng.randint(low, high)
    chosen: dict[Person, None] = {}
    for _ in range(count):
        chosen[pool[bisect_right(weights, rng.random() * weights[-1])]] = None
    if campaign.family.style is SenderStyle.COLLEAGUE:
        others = [person for person in chosen if person.address != campaign.sender.address]
        return others or [next(person for person in company.people() if person.address != campaign.sender.address)]
    if campaign.family.style is SenderStyle.IMPERSONATED_LEADER and campaign.sender.leader in chosen:
        return [person for person in pool if person != campaign.sender.leader][:1]
    return list(chosen)


def further_recipients(campaign: Campaign, first: Person, seed: int, *, is_held: bool) -> list[Person]:
    """Who else a detection was sent to, often nobody; `seed` is the message's own.

    A held message names only people whose mail passes the gateway: a copy that is seen in a journal cannot be held.
    """
    family = campaign.family
    share = SHARED.get(family.disposition, 0.0)
    if is_held:
        share = SHARED_HELD.get(family.disposition, share)
    if seed % 1000 >= share * 1000 or not _sent_to_many(family, campaign.text.body):
        return []
    rng = Random(seed)
    pool = [person for person in _acquainted(campaign) if not (is_held and person.domain == company.ACQUIRED)]
    chosen: dict[Person, None] = {}
    if not is_held and rng.random() < ACQUIRED:
        chosen[rng.choice(_staff_of(company.ACQUIRED))] = None
    elif family.disposition in LISTED and rng.random() < STALE:
        chosen[rng.choice(stale())] = None
    sizes, weights = zip(*SIZES, strict=True)
    size = rng.choices(sizes, weights)[0]
    for person in rng.choices(pool, [person.draw for person in pool], k=size + 1):
        chosen[person] = None
    unwanted = {first.address, campaign.sender.address}
    further = [person for person in chosen if person.address not in unwanted][:size]
    rng.shuffle(further)
    return further


def _sent_to_many(family: Family, body: str) -> bool:
    if family.from_recipient or family.style is SenderStyle.IMPERSONATED_LEADER:
        return False
    return not any(gap in body for gap in PERSONAL_GAPS)


def _acquainted(campaign: Campaign) -> tuple[Person, ...]:
    """Who can be addressed together: the campaign's target, else everybody, in any language they read."""
    target = campaign.family.target.value
    return _readers(campaign.text.language, None if target == "anyone" else target)


@lru_cache(maxsize=64)
def _readers(language: str, department: str | None) -> tuple[Person, ...]:
    readers = tuple(person for person in company.people() if language in person.languages)
    some = tuple(person for person in readers if department in {None, person.department})
    passing = [person for person in some if person.domain != company.ACQUIRED]
    return some if len(passing) > 2 else company.people()


@lru_cache(maxsize=8)
def _staff_of(domain: str) -> tuple[Person, ...]:
    return tuple(person for person in company.people() if person.domain == domain)


@lru_cache(maxsize=1)
def stale() -> tuple[Person, ...]:
    """Three people of the main domain whom few write to, and whose addresses stand on every list."""
    return tuple(person for person in _staff_of(company.MAIN) if person.draw == 2)[-3:]
