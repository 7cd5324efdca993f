"""A campaign as rows of a file: what the memory keeps of each copy the member may know of."""

from __future__ import annotations

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.installation.values import setting
from investigate.campaigns.queries import members_of
from investigate.exporting.tables import MOST_ROWS, Table
from investigate.message.explain import domains_of, without_quotes
from investigate.message.visible import reasons_inside
from investigate.models import CampaignBy, SeenMessage

COLUMNS = (
    "investigate_id", "scanned_at", "disposition", "quarantined", "sender", "sender_name", "sender_domain", "subject",
    "recipients", "delivery_status", "reasons", "categories", "message_id", "postfix_id", "alert_id", "fingerprint",
    "layout", "shape", "first_seen_at", "seen_at",
)  # fmt: skip


def table_of(member: Member, by: CampaignBy, key: str) -> Table | None:
    """All copies of a campaign, newest first; None where the member knows of none."""
    rows = list(members_of(member, by, key)[: MOST_ROWS + 1])
    if not rows:
        return None
    return Table(
        name="campaign",
        columns=COLUMNS,
        rows=[_cells(row, member.scope) for row in rows[:MOST_ROWS]],
        about={"by": CampaignBy(by).label, "key": key},
        is_cut=len(rows) > MOST_ROWS,
    )


def _cells(row: SeenMessage, scope: Scope) -> list[object]:
    copies = scope.copies_inside(row.recipients, row.delivery_status)
    return [
        row.investigate_id, row.scanned_at, row.disposition, row.is_quarantined, row.sender, row.sender_name,
        row.sender_domain, row.subject, [address for address, _ in copies],
        [status for _, status in copies if status], reasons_of(row, scope), row.categories,
        row.message_id, row.postfix_id, row.alert_id, row.edf_hash, row.structure_hash, row.shape,
        row.first_seen_at, row.seen_at,
    ]  # fmt: skip


def reasons_of(row: SeenMessage, scope: Scope) -> list[str]:
    """Why Cloudflare judged it so, naming nobody outside; in privacy mode without what that may quote of a body.

    The memory does not keep whom the header names, so limited members get no address at all but the sender's.
    """
    reasons = reasons_inside(row.reasons, row.recipients, scope)
    if scope.is_whole and not setting("PRIVACY"):
        return list(reasons)
    return [without_quotes(reason, domains_of(row.sender)) for reason in reasons]
