"""Whether two accounts are one person, for everything that takes two people."""

from __future__ import annotations

import unicodedata

from dashboard.access.models import Member
from dashboard.access.scope import domain_of


def is_same_person(one: Member, other: Member) -> bool:
    """Two accounts are one person when they are one account, or have one mailbox."""
    return one.pk == other.pk or bool(_mailbox(one) and _mailbox(one) == _mailbox(other))


def _mailbox(member: Member) -> str:
    """Where the member's mail arrives, in one spelling: of letters, of case, of the domain, without a `+tag`."""
    address = unicodedata.normalize("NFKC", member.email).strip()
    local, domain = address.rpartition("@")[0], domain_of(address)
    local = unicodedata.normalize("NFKC", local.partition("+")[0].casefold())
    return f"{local}@{domain}" if local and domain else ""
