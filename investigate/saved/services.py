"""What people do with saved views: make, change, share, put in order, delete. Each is in the audit trail."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from investigate.models import SavedView, ViewHit, ViewLook
from investigate.saved.pace import all_views
from investigate.saved.queries import may_change, views_of

MOST_VIEWS = 50  # of one member
LONGEST_NAME = 80


class NotPossible(Exception):
    """The change cannot be made, which is known without trying; the text says why."""


class Conflict(Exception):
    """A colleague changed the view meanwhile; `view` is how it stands now."""

    def __init__(self, view: SavedView) -> None:
        super().__init__("This view was changed meanwhile.")
        self.view = view


@dataclass(frozen=True)
class Wanted:
    """A view as somebody wants it to be."""

    name: str
    query: str
    columns: tuple[str, ...] = ()
    is_shared: bool = False
    default_for: tuple[str, ...] = ()


def create(*, actor: Member, wanted: Wanted, request: HttpRequest | None) -> SavedView:
    """Save a search under a name. Raises NotPossible."""
    now = timezone.now()
    with transaction.atomic():
        _hold(actor)
        _check(actor, wanted, before=None)
        if all_views().filter(owner=actor).count() >= MOST_VIEWS:
            raise NotPossible(f"You have {MOST_VIEWS} views, and that is the most. Delete one that you do not use.")
        view = SavedView.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID,
            owner=actor,
            owner_name=storable_text(actor.display_name, limit=300),
            position=all_views().count(),
            created_at=now,
            changed_at=now,
            wanted_at=now,
            **_values(wanted),
        )
        _begin_alone(view, actor)
        _record(actor, "view:create", view, request)
        if view.is_shared:
            _record(actor, "view:share", view, request)
    return view


def change(*, actor: Member, view: SavedView, version: int, wanted: Wanted, request: HttpRequest | None) -> SavedView:
    """Change a view somebody read as `version`. Other filters are read anew: what the old ones found is forgotten.

    Raises NotPossible, or Conflict where a colleague was faster.
    """
    with transaction.atomic():
        _hold(actor)
        _check(actor, wanted, before=view)
        values: dict[str, Any] = _values(wanted)
        if is_other_search := view.query != wanted.query:
            values |= {"read_until": None, "reading": {}, "claimed_at": None, "tried_at": None, "explanation": ""}
        ours = all_views().filter(pk=view.pk, version=version)
        if not ours.update(version=F("version") + 1, changed_at=timezone.now(), **values):
            now = all_views().filter(pk=view.pk).first()
            if now is None:
                raise NotPossible("This view was deleted meanwhile. Save it as a new one if you still need it.")
            raise Conflict(now)
        changed = all_views().get(pk=view.pk)
        if is_other_search:
            ViewHit.objects.filter(view=changed).delete()
        _begin_alone(changed, actor)
        _record(actor, "view:change", changed, request, before=view.name)
        if (view.is_shared, view.default_for) != (changed.is_shared, changed.default_for):
            _record(actor, "view:share", changed, request)
    return changed


def delete(*, actor: Member, view: SavedView, request: HttpRequest | None) -> None:
    """Delete a view with its hits, its notices and everybody's order of it. Raises NotPossible."""
    if not may_change(actor, view):
        raise NotPossible(_not_theirs(view))
    with transaction.atomic():
        _record(actor, "view:delete", view, request)
        view.delete()


def move(*, actor: Member, view: SavedView, is_up: bool) -> None:
    """Put a view one place up or down in the member's own order; nobody else's order changes."""
    views = views_of(actor)
    at = next((index for index, one in enumerate(views) if one.pk == view.pk), None)
    if at is None:
        return
    to = max(0, at - 1) if is_up else min(len(views) - 1, at + 1)
    views.insert(to, views.pop(at))
    with transaction.atomic():
        for position, one in enumerate(views):
            ViewLook.objects.update_or_create(
                view=one, member=actor, defaults={"position": position}, create_defaults=_unseen(one, position)
            )


def note_look(*, member: Member, view: SavedView, at: dt.datetime) -> None:
    """The member has the view before them as it was at this moment: what is found later is new."""
    known = ViewLook.objects.filter(view=view, member=member)
    if not known.filter(looked_at__gte=at).exists() and not known.update(looked_at=at):
        ViewLook.objects.get_or_create(view=view, member=member, defaults={"looked_at": at})


def _unseen(view: SavedView, position: int) -> dict[str, Any]:
    return {"position": position, "looked_at": view.created_at}


def _hold(actor: Member) -> None:
    """Until the end of the transaction the member's other windows wait: names and numbers are counted once."""
    Member.objects.select_for_update().get(pk=actor.pk)


def _values(wanted: Wanted) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "query": wanted.query,
        "columns": list(wanted.columns),
        "is_shared": wanted.is_shared,
        "default_for": list(wanted.default_for),
    }


def _check(actor: Member, wanted: Wanted, *, before: SavedView | None) -> None:
    if before is not None and not may_change(actor, before):
        raise NotPossible(_not_theirs(before))
    was_shared = before is not None and before.is_shared
    if (wanted.is_shared or was_shared) and not actor.may(Permission.VIEW_SHARE):
        raise NotPossible("Sharing a view with the team needs the right to share views.")
    owner_id = actor.pk if before is None else before.owner_id
    if was_shared and not wanted.is_shared and owner_id != actor.pk:
        raise NotPossible("Only who made it can take it back from the team. Duplicate it, or delete it.")
    others = all_views().filter(owner_id=owner_id) if owner_id else all_views().none()
    if before is not None:
        others = others.exclude(pk=before.pk)
    if wanted.name.casefold() in {name.casefold() for name in others.values_list("name", flat=True)}:
        raise NotPossible(f"There is a view “{wanted.name}” already. Choose another name, or change that one.")


def _begin_alone(view: SavedView, actor: Member) -> None:
    """A member begins with one view of their own at most."""
    if SavedView.OWN not in view.default_for:
        return
    for other in all_views().filter(owner=actor).exclude(pk=view.pk):
        if SavedView.OWN in other.default_for:
            kept = [name for name in other.default_for if name != SavedView.OWN]
            all_views().filter(pk=other.pk).update(default_for=kept)


def _not_theirs(view: SavedView) -> str:
    return "The team's views are changed by those who may share views." if view.is_shared else "This view is not yours."


def _record(actor: Member, action: str, view: SavedView, request: HttpRequest | None, **detail: Any) -> None:
    shown = {"name": view.name, "shared": view.is_shared, "begins": _begins(view.default_for)}
    record(actor=actor, action=action, targets=[f"view {view.pk}"], detail={**shown, **detail}, request=request)


def _begins(default_for: Sequence[str]) -> list[str]:
    return [name for name in default_for if name != SavedView.OWN]
