"""Who wanted an entry and why, as far as anybody here knows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace
from uuid import UUID

from django.conf import settings

from settings_ui.models import Entry, EntryState, Line, LineState, Mirrored, Origin, Verb
from settings_ui.resources.allow_policies import ALLOW_POLICIES

_CHUNK = 500  # ids in one question: a database takes so many parameters and no more
_STANDING = (EntryState.ACTIVE, EntryState.REMOVING)


@dataclass(frozen=True)
class Known:
    """What is known about one entry."""

    how: str = "unknown"  # "made here", "noted", "made elsewhere, first seen 12 Nov"
    owner_id: int | None = None
    owner_name: str = ""
    has_left: bool = False  # the owner, the team: nobody looks after it
    ticket: str = ""
    reason: str = ""
    expires_at: dt.datetime | None = None
    created_at: dt.datetime | None = None
    made_by: str = ""
    change_id: UUID | None = None  # the change that made it, where one of ours did
    explanation: str = ""  # what somebody should look at
    is_going: bool = False  # its end is over; it is being removed

    @property
    def owner(self) -> str:
        """The owner in words, for a column."""
        return f"{self.owner_name} (left the team)" if self.has_left else self.owner_name


def who(resource_name: str, upstream_ids: Collection[str]) -> dict[str, Known]:
    """What is known about each of these entries. Three questions to the database for every five hundred of them."""
    ids = list(upstream_ids)
    known: dict[str, Known] = {}
    for start in range(0, len(ids), _CHUNK):
        known |= _who(resource_name, ids[start : start + _CHUNK])
    return known


def _who(resource_name: str, ids: list[str]) -> dict[str, Known]:
    account = {"account_id": settings.CLOUDFLARE_ACCOUNT_ID, "resource": resource_name}
    known = {
        one.upstream_id: _from_reading(one)
        for one in Mirrored.objects.filter(**account, upstream_id__in=ids).defer("values")
    }
    made = (
        Line.objects.filter(
            upstream_id__in=ids,
            verb=Verb.ADD,
            state=LineState.DONE,
            change__account_id=settings.CLOUDFLARE_ACCOUNT_ID,
            change__resource=resource_name,
        )
        .select_related("change")
        .only("upstream_id", "change", "change__actor_name", "change__reason", "change__ticket", "change__created_at")
        .order_by("pk")
    )
    for line in made:
        known[line.upstream_id] = _from_change(line)
    lives = Entry.objects.filter(**account, upstream_id__in=ids, state__in=_STANDING).select_related("owner")
    for entry in lives.defer("values"):
        known[entry.upstream_id] = _from_life(entry, known.get(entry.upstream_id, Known()))
    return {upstream_id: known.get(upstream_id, Known()) for upstream_id in ids}


def on_its_way(pattern: str) -> Entry | None:
    """The rule for this one sender that was decided and may not stand yet."""
    return Entry.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        resource=ALLOW_POLICIES.name,
        origin=Origin.ACCEPT,
        pattern=pattern.strip().casefold(),
        state__in=(EntryState.WAITING, EntryState.SENDING, EntryState.UNKNOWN),
    ).first()


def _from_reading(one: Mirrored) -> Known:
    seen = one.first_seen_at.astimezone(dt.UTC)
    return Known(how=f"made elsewhere, first seen {seen.day} {seen:%b %Y}", created_at=one.created_at)


def _from_change(line: Line) -> Known:
    change = line.change
    return Known(
        how="made here",
        reason=change.reason,
        ticket=change.ticket,
        created_at=change.created_at,
        made_by=change.actor_name,
        change_id=change.pk,
    )


def _from_life(entry: Entry, otherwise: Known) -> Known:
    is_rule = entry.origin == Origin.ACCEPT
    how = "made here" if is_rule else "noted" if otherwise.change_id is None else otherwise.how
    return replace(
        otherwise,
        how=how,
        owner_id=entry.owner_id,
        owner_name=entry.owner_name,
        has_left=bool(entry.owner_name) and not (entry.owner and entry.owner.is_active),
        ticket=entry.ticket or otherwise.ticket,
        reason=entry.reason or otherwise.reason,
        expires_at=entry.expires_at,
        created_at=entry.created_at if is_rule else otherwise.created_at or entry.created_at,
        made_by=entry.owner_name if is_rule else otherwise.made_by,
        explanation=entry.explanation if entry.is_held_back else "",
        is_going=entry.state == EntryState.REMOVING,
    )
