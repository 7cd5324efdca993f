"""Where a remembered message is now: the latest of what the API said and what our own finished actions did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from investigate.models import ActionItem, ActionKind, ActionState, SeenMessage

Place = Literal["inbox", "quarantined", "junk", "trash", "deleted", "delivered", "released", "unknown"]

WORDS: dict[Place, str] = {
    "inbox": "Inbox",
    "quarantined": "Quarantine",
    "junk": "Junk",
    "trash": "Trash",
    "deleted": "Deleted",
    "delivered": "Delivered",
    "released": "Released",
    "unknown": "Not known",
}
REACHABLE: frozenset[Place] = frozenset({"inbox", "delivered", "released"})  # people can open it there
_FOLDERS: dict[str, Place] = {
    "Inbox": "inbox",
    "JunkEmail": "junk",
    "DeletedItems": "trash",
    "RecoverableItemsDeletions": "deleted",
    "RecoverableItemsPurges": "deleted",
}
_ELSEWHERE = frozenset({"rejected", "deferred", "bounced", "queued"})


@dataclass(frozen=True)
class Where:
    """`since` is when it was last seen there, or when our action put it there. `detail` says more about "unknown"."""

    word: Place
    since: dt.datetime
    is_ours: bool = False
    detail: str = ""

    @property
    def says(self) -> str:
        return self.detail or WORDS[self.word]

    @property
    def is_reachable(self) -> bool:
        return self.word in REACHABLE


def where_now(rows: Sequence[SeenMessage]) -> dict[str, Where]:
    """By investigate id. One query, however many rows."""
    done = _last_actions([row.investigate_id for row in rows])
    return {row.investigate_id: _latest(row, done.get(row.investigate_id)) for row in rows}


def _last_actions(names: Sequence[str]) -> dict[str, Where]:
    items = (
        ActionItem.objects.filter(
            investigate_id__in=names,
            action__kind__in=[ActionKind.MOVE, ActionKind.RELEASE],
            action__finished_at__isnull=False,
            state__in=[ActionState.DONE, ActionState.PARTLY_DONE],
        )
        .order_by("action__finished_at")
        .values_list("investigate_id", "state", "action__kind", "action__destination", "action__finished_at")
    )
    return {name: _put(state, kind, destination, at) for name, state, kind, destination, at in items if at is not None}


def _put(state: str, kind: str, destination: str, at: dt.datetime) -> Where:
    if kind == ActionKind.RELEASE:
        return Where("released", at, is_ours=True)
    if state == ActionState.PARTLY_DONE:  # a copy that was not moved can still be opened
        return Where("delivered", at, is_ours=True, detail="Partly moved")
    return Where(_FOLDERS.get(destination, "unknown"), at, is_ours=True)


def _latest(row: SeenMessage, ours: Where | None) -> Where:
    told = _told(row)
    if ours is None:
        return told
    if ours.since >= told.since:
        return ours
    # Seen after our action: the API says that it was moved or delivered, and only the action says where to, and how.
    if told.word == "unknown" and ours.word != "released":
        return ours
    return ours if (told.word, ours.word) in {("delivered", "released"), ("delivered", "inbox")} else told


def _told(row: SeenMessage) -> Where:
    """What the row itself says. Of several copies the one counts that somebody can open."""
    statuses = {str(status).casefold() for status in row.delivery_status}
    if "delivered" in statuses or "move_failed" in statuses:
        return Where("delivered", row.seen_at)
    if "moved" in statuses:
        return Where("unknown", row.seen_at, detail="Moved")
    if row.is_quarantined or "quarantined" in statuses:
        return Where("quarantined", row.seen_at)
    if statuses and statuses <= _ELSEWHERE:
        return Where("unknown", row.seen_at, detail="Not delivered")
    return Where("unknown", row.seen_at)
