"""What a row says about us: who has the message, what the team says of it, how many notes there are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.installation.values import setting
from dashboard.sql import fetch
from investigate.models import CaseState, OwnVerdict

# Cases nobody has touched say nothing, and they are most of them.
_MARKS = (
    "SELECT c.key, CASE WHEN c.holder_seen_at > %s AND m.is_active THEN c.holder_id END, c.holder_name, c.verdict,"
    " c.state,"
    " (SELECT count(*) FROM investigate_note n WHERE n.case_id = c.id)"
    " FROM investigate_case c LEFT JOIN access_member m ON m.id = c.holder_id"
    " WHERE c.account_id = %s AND c.version > 1 AND c.key IN %s"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """The desk's part of a row. Empty words where there is nothing to say."""

    holder: str = ""  # the name of who has it now
    is_mine: bool = False
    verdict: str = ""
    state: str = ""  # waiting or done; that it is in work is told by who has it
    notes: int = 0

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.holder.split()[:2]).upper()

    @property
    def says_something(self) -> bool:
        return bool(self.holder or self.verdict or self.state or self.notes)


def marks_for(keys: Iterable[str], member: Member) -> dict[str, Mark]:
    """The marks of these messages and lone reports by key, in one query; those without any are left out."""
    ids = list(keys)
    if not ids:
        return {}
    away = timezone.now() - dt.timedelta(minutes=setting("CLAIM_MINUTES"))
    limit = connection.ops.adapt_datetimefield_value(away)
    found: dict[str, Mark] = {}
    for name, holder_id, holder, verdict, state, notes in fetch(_MARKS, limit, settings.CLOUDFLARE_ACCOUNT_ID, ids):
        mark = Mark(
            holder=holder if holder_id else "",
            is_mine=holder_id == member.pk,
            verdict=OwnVerdict(verdict).label if verdict in OwnVerdict else "",
            state=CaseState(state).label if state in (CaseState.WAITING, CaseState.DONE) else "",
            notes=notes,
        )
        if mark.says_something:
            found[name] = mark
    return found
