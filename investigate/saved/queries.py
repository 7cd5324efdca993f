"""Saved views as a member meets them: in their own order, with what is new to them. No call is made here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import Coalesce, RowNumber
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.scope import Scope
from investigate.models import SavedView, ViewHit, ViewLook
from investigate.saved.asking import criteria_of, exists_within
from investigate.saved.pace import all_views
from investigate.search.criteria import Criteria

KEYS = "123456789"
WANTED_AGAIN = dt.timedelta(minutes=10)  # how often it is written down that somebody still looks
UNORDERED = 1_000_000  # views nobody moved come after those they did
MOST_WEIGHED = 500  # hits of a view looked at one by one for somebody limited to some domains


class New(NamedTuple):
    """How many hits are new to somebody."""

    number: int = 0
    is_more: bool = False  # there are so many that not all of them were looked at


@dataclass(frozen=True)
class ShownView:
    """A view as one member sees it."""

    view: SavedView
    new: int  # found since they last had it open
    is_own: bool
    key: str = ""  # "1" to "9" for the first of them
    has_more: bool = False  # and more than that

    @property
    def news(self) -> str:
        """As 14 new, or 500+ new; empty where nothing is."""
        return f"{self.new}{'+' if self.has_more else ''} new" if self.new or self.has_more else ""

    @property
    def query(self) -> str:
        return query_into(self.view)

    @property
    def url(self) -> str:
        return f"{reverse('investigate:search')}?{self.query}"


def query_into(view: SavedView) -> str:
    """The query of the page that has this view open."""
    return criteria_of(view).query(view=str(view.pk))


def visible_to(member: Member) -> QuerySet[SavedView]:
    """Their own views and the team's; with `looked_at`, and in their order."""
    looks = ViewLook.objects.filter(view=OuterRef("pk"), member=member)
    found = all_views().filter(Q(owner=member) | Q(is_shared=True))
    return found.annotate(
        looked_at=Subquery(looks.values("looked_at")[:1]),
        place=Coalesce(Subquery(looks.values("position")[:1]), F("position") + UNORDERED, output_field=IntegerField()),
    ).order_by("place", "pk")


def views_of(member: Member) -> list[SavedView]:
    """The views this member may know of, in their order."""
    return [view for view in visible_to(member) if exists_within(criteria_of(view), member.scope)]


def view_for(member: Member, view_id: int) -> SavedView | None:
    """One of them; None for what is not theirs to see."""
    view = visible_to(member).filter(pk=view_id).first()
    return view if view is not None and exists_within(criteria_of(view), member.scope) else None


def views_for(member: Member) -> list[ShownView]:
    """The member's views with counts of what is new to them: a constant number of queries, and no call.

    Whoever sees a count wants it kept current, which is written down.
    """
    views = views_of(member)
    new = _new_hits(views, member.scope)
    _want(views)
    return [
        ShownView(view, number, view.owner_id == member.pk, KEYS[index : index + 1], has_more)
        for index, view in enumerate(views)
        for number, has_more in [new.get(view.pk, New())]
    ]


def may_change(member: Member, view: SavedView) -> bool:
    """One's own; the team's may be changed by whoever may share, also when its maker is gone."""
    return member.may(Permission.VIEW_SHARE) if view.is_shared else view.owner_id == member.pk


def begins_with(views: Sequence[SavedView], member: Member) -> SavedView | None:
    """The view with which the member begins: their own choice, else the first one made for their role."""
    own = next((view for view in views if view.owner_id == member.pk and SavedView.OWN in view.default_for), None)
    return own or next((view for view in views if view.is_shared and member.role in view.default_for), None)


def hits_within(hits: Iterable[ViewHit], criteria: Criteria, scope: Scope) -> list[ViewHit]:
    """The hits of which somebody limited to the scope may know.

    What was found only by a recipient outside, or by words that stand only there, is left out: it would tell of them.
    """
    if scope.is_whole:
        return list(hits)
    return [hit for hit in hits if scope.sees(hit.recipients) and not _is_found_by_others(hit, criteria, scope)]


def _looks_at_recipients(criteria: Criteria) -> bool:
    """Whether a hit of this search may be there only because of a recipient."""
    return bool(criteria.recipient or criteria.q.split() or criteria.domain)


def _is_found_by_others(hit: ViewHit, criteria: Criteria, scope: Scope) -> bool:
    everybody = (*hit.recipients, *hit.named)
    inside = " ".join(scope.inside(everybody)).casefold()
    if criteria.recipient and not any(one.casefold() in inside for one in criteria.recipient):
        return True
    told = f"{hit.subject} {hit.sender} {inside}".casefold()
    outside = " ".join(one for one in everybody if not scope.covers(one)).casefold()
    terms = [term.casefold() for term in (*criteria.q.split(), *criteria.domain)]
    return any(term in outside and term not in told for term in terms)


def _new_hits(views: Sequence[SavedView], scope: Scope) -> dict[int, New]:
    """How many hits of each view came since its member last looked at it."""
    weighed = [] if scope.is_whole else [view for view in views if _looks_at_recipients(criteria_of(view))]
    counted = [view for view in views if view not in weighed]
    numbers = _newer(counted, scope).values_list("view_id").annotate(number=Count("pk")) if counted else ()
    found = {view_id: New(number) for view_id, number in numbers}
    return found | _weighed(weighed, scope) if weighed else found


def _weighed(views: Sequence[SavedView], scope: Scope) -> dict[int, New]:
    """The newest hits of each view, one by one: a busy view takes nothing from a quiet one."""
    place = Window(RowNumber(), partition_by=F("view_id"), order_by=F("pk").desc())
    hits = _newer(views, scope).annotate(place=place).filter(place__lte=MOST_WEIGHED + 1)
    by_view: dict[int, list[ViewHit]] = {view.pk: [] for view in views}
    for hit in hits.only("view_id", "subject", "sender", "recipients", "named"):
        by_view[hit.view_id].append(hit)
    return {
        view.pk: New(
            len(hits_within(by_view[view.pk][:MOST_WEIGHED], criteria_of(view), scope)),
            len(by_view[view.pk]) > MOST_WEIGHED,
        )
        for view in views
    }


def _newer(views: Sequence[SavedView], scope: Scope) -> QuerySet[ViewHit]:
    newer = Q()
    for view in views:
        newer |= Q(view_id=view.pk, found_at__gt=view.looked_at or view.created_at)  # type: ignore[attr-defined]
    return ViewHit.objects.filter(newer, scope.q("domains")).order_by()


def _want(views: Iterable[SavedView]) -> None:
    now = timezone.now()
    stale = [view.pk for view in views if view.wanted_at is None or view.wanted_at < now - WANTED_AGAIN]
    if stale:
        SavedView.objects.filter(pk__in=stale).update(wanted_at=now)
