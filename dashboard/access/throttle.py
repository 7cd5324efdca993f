"""How often somebody may try, counted in the database: it survives a restart and holds for every process.

A stranger who guesses at a colleague's name must not keep the colleague out. So wrong attempts count for the name at
one address, for the address, and for the name at all addresses its owner never signed in from; an address that is
familiar is not touched by what happens elsewhere. A browser its owner signed in with (`dashboard.access.browsers`) is
counted for itself alone, so that nobody at the same address keeps it out either.

An attempt is counted before anybody knows whether it is right, so that many at once gain nothing, and given back when
it was right.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
import unicodedata
from dataclasses import dataclass, field

from django.db.models import F
from django.db.models.functions import Greatest

from dashboard.access.models import Attempts, FamiliarAddress
from dashboard.sql import fetch


@dataclass(frozen=True)
class Limit:
    """So many in so many seconds, from the first of them on."""

    number: int
    seconds: int


AT_ONCE = Limit(5, 60)  # for one name at one address
LONGER = Limit(20, 3600)
PER_ADDRESS = Limit(30, 60)
PER_NAME = Limit(20, 900)  # over all addresses that are not familiar
EVERYWHERE = Limit(300, 60)  # over all names and all addresses that are not familiar

_COUNT = (
    "INSERT INTO access_attempts (key, number, ends_at) VALUES (%s, 1, %s)"
    " ON CONFLICT (key) DO UPDATE SET"
    " number = CASE WHEN access_attempts.ends_at <= %s THEN 1 ELSE access_attempts.number + 1 END,"
    " ends_at = CASE WHEN access_attempts.ends_at <= %s THEN excluded.ends_at ELSE access_attempts.ends_at END"
    " RETURNING number, ends_at"
)


@dataclass
class Attempt:
    """One attempt; `wait` says how many seconds it comes too early, and 0 lets it happen."""

    wait: int = 0
    is_first_refused: bool = False  # of its kind in this stretch of time: one line in the trail is enough
    own: list[str] = field(default_factory=list)  # keys of this name at this address
    shared: list[str] = field(default_factory=list)

    def was_right(self) -> None:
        """Forget what this name got wrong here before, and take back what was counted for others."""
        Attempts.objects.filter(key__in=self.own).delete()
        Attempts.objects.filter(key__in=self.shared, number__gt=0).update(number=Greatest(F("number") - 1, 0))


def attempt(what: str, name: str, address: str, *, browser: str = "") -> Attempt:
    """Count one attempt at `what` ("password", "factor", "reset") for a name, which need not exist.

    Without a name nothing can be guessed, as with a passkey alone, and only the address counts. `browser` names one
    that is familiar for this name.
    """
    name, address = plain(name), network(address)
    at_once, longer = f"{what}|{name}|{address}|now", f"{what}|{name}|{address}"
    counted = [(f"address|{address}", PER_ADDRESS)]
    if name and browser:
        at_once, longer = f"{what}|{name}|browser|{browser}|now", f"{what}|{name}|browser|{browser}"
        counted = [(at_once, AT_ONCE), (longer, LONGER)]
    elif name:
        counted = [(at_once, AT_ONCE), (longer, LONGER), *counted]
        if not is_familiar(name, address):
            counted += [(f"{what}|{name}", PER_NAME), ("everywhere", EVERYWHERE)]
    tried = Attempt()
    for text, limit in counted:
        key = hashlib.sha256(text.encode()).hexdigest()
        (tried.own if text in (at_once, longer) else tried.shared).append(key)
        number, ends_at = _count(key, limit)
        if number > limit.number:
            tried.wait = max(1, math.ceil(ends_at - time.time()))
            tried.is_first_refused = number == limit.number + 1
            break
    return tried


def _count(key: str, limit: Limit) -> tuple[int, float]:
    now = time.time()
    return fetch(_COUNT, key, now + limit.seconds, now, now)[0]


def is_familiar(name: str, address: str) -> bool:
    """Whether the owner of the name has signed in from there; the same query for names nobody has."""
    return FamiliarAddress.objects.filter(member__username__iexact=name, address=network(address)).exists()


def plain(name: str) -> str:
    """A name as it is counted: other capitals or forms of a letter are no new name."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def network(address: str) -> str:
    """Whoever has one IPv6 address has the 2^64 beside it, so the network counts."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((found, 64), strict=False).network_address)
    return str(found)


def words(wait: int) -> str:
    return f"Too many attempts. Try again in {spelled(wait)}."


def spelled(wait: int) -> str:
    return f"{wait} s" if wait < 100 else f"{math.ceil(wait / 60)} min"
