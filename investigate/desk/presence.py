"""Who has which message open. A page says so while somebody looks at it; a few silent seconds later they are gone."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from dashboard.access.models import Member
from investigate.desk import cases
from investigate.models import Presence

GONE_AFTER = dt.timedelta(seconds=20)
SAID_EVERY = dt.timedelta(seconds=8)  # pages ask more often; a row is written this often at most


def looks_at(member: Member, key: str) -> None:
    """Note that the member has opened this message; whoever has claimed it keeps it with that."""
    Presence.objects.update_or_create(member=member, defaults={"investigate_id": key, "seen_at": timezone.now()})
    cases.seen(member, key)


def still_looks_at(member: Member, key: str) -> None:
    """A page says that the message is open as before. Of several windows of one member the last one opened counts."""
    known = Presence.objects.filter(member=member).first()
    if known is None or timezone.now() - known.seen_at >= SAID_EVERY:
        looks_at(member, key)
    elif known.investigate_id != key:
        cases.seen(member, key)  # which keeps its claim all the same


def others_at(key: str, member: Member) -> list[str]:
    """Names of the colleagues who have the message open now."""
    found = (
        Presence.objects.filter(investigate_id=key, seen_at__gt=timezone.now() - GONE_AFTER, member__is_active=True)
        .exclude(member=member)
        .select_related("member")
        .order_by("member__username")
    )
    return [presence.member.display_name for presence in found]


def said(key: str, member: Member) -> str:
    """ "Ben Okafor is looking, too."; "" where nobody else is."""
    names = others_at(key, member)
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} is looking, too."
    return f"{', '.join(names[:-1])} and {names[-1]} are looking, too."
