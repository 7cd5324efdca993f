"""Who has which message open. A page says so while somebody looks at it; a few silent seconds later they are gone."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from dashboard.access.models import Member
from investigate.desk import cases
from investigate.models import Presence

GONE_AFTER = dt.timedelta(seconds=20)
SAID_EVERY = dt.timedelta(seconds=8)  # pages ask more often; a row is written this often at most


def looks_at(member: Member, investigate_id: str) -> None:
    """Note that the member has this message open ("" for none); whoever has claimed it keeps it with that."""
    now = timezone.now()
    known = Presence.objects.filter(member=member).first()
    if known is not None and known.investigate_id == investigate_id and now - known.seen_at < SAID_EVERY:
        return
    if known is None and not investigate_id:
        return
    Presence.objects.update_or_create(member=member, defaults={"investigate_id": investigate_id, "seen_at": now})
    if investigate_id:
        cases.seen(member, investigate_id)


def others_at(investigate_id: str, member: Member) -> list[str]:
    """Names of the colleagues who have the message open now."""
    if not investigate_id:
        return []
    found = (
        Presence.objects.filter(
            investigate_id=investigate_id, seen_at__gt=timezone.now() - GONE_AFTER, member__is_active=True
        )
        .exclude(member=member)
        .select_related("member")
        .order_by("member__username")
    )
    return [presence.member.display_name for presence in found]


def said(investigate_id: str, member: Member) -> str:
    """ "Ben Okafor is looking, too."; "" where nobody else is."""
    names = others_at(investigate_id, member)
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} is looking, too."
    return f"{', '.join(names[:-1])} and {names[-1]} are looking, too."
