"""Whether two accounts are one person, for everything that takes two people."""

from __future__ import annotations

import re
import unicodedata

from dashboard.access.models import Member
from dashboard.access.scope import domain_of

_COMMENT = re.compile(r"\([^()]*\)")
_QUOTING = re.compile(r'"|\\(.)')


def is_same_person(one: Member, other: Member) -> bool:
    """Two accounts are one person when they are one account, or have one mailbox.

    Where an account has no address, only the account itself can be compared: many members come through a provider
    that tells none, and they ask and approve like everybody else.
    """
    return one.pk == other.pk or bool(_mailbox(one) and _mailbox(one) == _mailbox(other))


def _mailbox(member: Member) -> str:
    """Where the member's mail arrives, in one spelling: of letters, of case, of the domain, without a `+tag`, quotes,
    comments in parentheses and what cannot be seen.
    """
    address = unicodedata.normalize("NFKC", "".join(filter(_is_seen, member.email)))
    while (shorter := _COMMENT.sub("", address)) != address:  # one may hold others
        address = shorter
    local, _, domain = address.rpartition("@")
    local = _QUOTING.sub(r"\1", "".join(local.split())).partition("+")[0]
    local, domain = unicodedata.normalize("NFKC", local.casefold()), domain_of(f"x@{''.join(domain.split())}")
    return f"{local}@{domain}" if local and domain else ""


def _is_seen(character: str) -> bool:
    """Joiners, marks of direction and control characters are not."""
    return unicodedata.category(character) not in ("Cc", "Cf")
