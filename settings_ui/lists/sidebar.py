"""The left column of the settings rooms: the lists with their counts, and what belongs to all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.upstream.connection import get_client
from settings_ui.models import Change, ChangeState
from settings_ui.resources import RESOURCES
from settings_ui.watching import counts


@dataclass(frozen=True)
class Entrance:
    """One line of the column. `count` is None where the list was never read as a whole."""

    label: str
    url: str
    is_current: bool
    count: int | None = None
    as_of: dt.datetime | None = None
    badge: int = 0
    badge_says: str = ""


@dataclass(frozen=True)
class Sidebar:
    overview: Entrance
    lists: tuple[Entrance, ...]
    rooms: tuple[Entrance, ...]

    @property
    def as_of(self) -> dt.datetime | None:
        """How old the oldest of the counts is."""
        return min((entrance.as_of for entrance in self.lists if entrance.as_of is not None), default=None)


def sidebar(member: Member, path: str) -> Sidebar:
    """The column as it stands on the page with this path."""
    overview = reverse("settings:overview")
    return Sidebar(
        overview=Entrance("Overview", overview, path == overview),
        lists=tuple(_lists(path)),
        rooms=tuple(_rooms(member, path)),
    )


def _lists(path: str) -> Iterator[Entrance]:
    known, client = counts(), get_client()
    for resource in RESOURCES:
        if not client.offers(resource.name):
            continue
        url = reverse("settings:list", args=[resource.slug])
        counted = known.get(resource.name)
        yield Entrance(
            resource.title,
            url,
            path.startswith(url),
            count=counted.number if counted else None,
            as_of=counted.as_of if counted else None,
        )


def _rooms(member: Member, path: str) -> Iterator[Entrance]:
    rooms = (("Changes", "changes"), ("What changed", "observed"), ("Backup", "backup"))
    for label, name in rooms:
        url = reverse(f"settings:{name}")
        badge = _open_changes(member) if name == "changes" else 0
        yield Entrance(label, url, path.startswith(url), badge=badge, badge_says="open")


def _open_changes(member: Member) -> int:
    """Changes of the member's own that are under way, and those that wait for their yes or no."""
    concerns = Q(actor=member, state__in=(ChangeState.WAITING, ChangeState.RUNNING))
    if member.may(Permission.APPROVAL_DECIDE) and member.may(Permission.DOMAIN_UNPROTECT):
        concerns |= Q(state=ChangeState.AWAITING_APPROVAL) & ~Q(actor=member)
    return Change.objects.filter(concerns, account_id=settings.CLOUDFLARE_ACCOUNT_ID).count()
