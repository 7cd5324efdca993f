"""Asking Cloudflare again about a campaign: one bounded search, whose answer goes into the memory.

The API cannot be asked for a fingerprint, so it is asked for the sender the campaign comes from most.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.types import SearchPage, SlowSearch
from investigate.campaigns import queries
from investigate.campaigns.queries import Group
from investigate.memory.remembering import remember
from investigate.message.campaign import asked
from investigate.search.criteria import MOST_BRANCHES

LONGEST = dt.timedelta(days=7)
BEFORE = dt.timedelta(hours=6)  # the first that is remembered need not be the first that came


@dataclass(frozen=True)
class Asked:
    """What came of it."""

    found: int = 0  # messages the search answered with
    new: int = 0  # of the campaign, not remembered before
    is_slow: bool = False  # Cloudflare would have taken long and was not waited for
    is_complete: bool = True


def why_not(group: Group) -> str:
    """Why there is nothing to ask for, or ""."""
    return "" if group.sender_domains else "No sender of it is known, and Cloudflare can be asked for nothing else."


def ask_again(member: Member, group: Group) -> Asked:
    """Search once for the newest week of the campaign. Raises PermissionDenied, and the errors of a search."""
    if not member.may(Permission.MESSAGE_READ):
        raise PermissionDenied(Permission.MESSAGE_READ.value)
    now = timezone.now()
    begin = max(group.first_at - BEFORE, now - LONGEST)
    query = SearchQuery(
        start=begin.replace(microsecond=0),
        end=now,
        detections_only=Disposition.NONE not in group.dispositions and "" not in group.dispositions,
        sender=group.sender_domains[0],
    )
    pages = asked(query, member.scope)
    if any(isinstance(page, SlowSearch) for page in pages):
        return Asked(is_slow=True)
    read = [page for page in pages if isinstance(page, SearchPage)]
    messages = {message.id: message for page in read for message in page.messages}
    before = queries.members_of(member, group.by, group.key).count()
    remember(messages.values(), seen_at=now)
    return Asked(
        found=len(messages),
        new=queries.members_of(member, group.by, group.key).count() - before,
        is_complete=all(page.next_cursor is None for page in read) and len(member.scope.domains) <= MOST_BRANCHES,
    )
