"""How many requests wait for a member, and what is new about their own: for the frame, which every page shows."""

from __future__ import annotations

from django.conf import settings

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from investigate.approvals import of_settings
from investigate.approvals.needs import SPECIAL

FOR_ME, MINE, UNTOLD = "requests_for_me", "requests_mine", "requests_untold"
_COUNTS = (
    "SELECT CASE WHEN state <> 'pending' THEN 'requests_untold' WHEN requested_by_id = %s THEN 'requests_mine'"
    " ELSE 'requests_for_me' END AS name, count(*) AS number FROM investigate_approval"
    " WHERE account_id = %s{inside} AND (state = 'pending' AND (requested_by_id = %s OR {for_me})"
    " OR requested_by_id = %s AND seen_at IS NULL AND state IN ('approved', 'refused', 'expired')) GROUP BY 1"
)
_OF_SETTINGS = (
    "SELECT 'requests_for_me' AS name, count(*) AS number FROM settings_ui_change"
    " WHERE account_id = %s AND state = 'awaiting_approval' AND why_two <> '' AND actor_id <> %s GROUP BY 1"
)
_TOGETHER = "SELECT name, CAST(sum(number) AS integer) FROM ({} UNION ALL {}) AS requests GROUP BY name"


def counts(member: Member) -> tuple[str, list[object]]:
    """A statement for the frame of every page, and its parameters: rows of (name, number).

    Names: `requests_for_me`, `requests_mine` (that still wait), `requests_untold` (mine, ended, not shown to me yet).
    For `dashboard.sql.fetch`, alone or joined to others by UNION ALL.
    """
    inside, values = "", []
    if not member.scope.is_whole:
        rest = "domains"
        for domain in sorted(member.scope.domains):
            rest, values = f"replace({rest}, %s, ' ')", [*values, f" {domain} "]
        inside = f" AND domains <> '' AND trim({rest}) = ''"
    for_me = "1 = 0"
    lacking = [f'%"{right}"%' for right in SPECIAL if not member.may(right)]
    if member.may(Permission.APPROVAL_DECIDE):
        for_me = " AND ".join(["1 = 1", *["CAST(permissions AS text) NOT LIKE %s"] * len(lacking)])
    else:
        lacking = []
    statement = _COUNTS.replace("{inside}", inside).replace("{for_me}", for_me)
    asked: list[object] = [member.pk, settings.CLOUDFLARE_ACCOUNT_ID, *values, member.pk, *lacking, member.pk]
    if not of_settings.may_decide(member):
        return statement, asked
    return _TOGETHER.format(statement, _OF_SETTINGS), [*asked, settings.CLOUDFLARE_ACCOUNT_ID, member.pk]
