"""Asking the memory. Everything is of the configured account, and cut to the member's domains."""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet

from dashboard.access.models import Member
from investigate.models import SeenCopy, SeenMessage


def all_seen() -> QuerySet[SeenMessage]:
    """Every remembered message of the account."""
    return SeenMessage.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def seen_by(member: Member) -> QuerySet[SeenMessage]:
    """Those of them this member may know of."""
    return all_seen().filter(member.scope.q("domains"))


def copies_for(member: Member) -> QuerySet[SeenCopy]:
    """Single copies, of those mailboxes alone that the member may know of."""
    copies = SeenCopy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    return copies if member.scope.is_whole else copies.filter(domain__in=member.scope.domains)
