"""The bar of views above the list: which there are, which one is open, and whether its filters were changed since."""

from __future__ import annotations

from functools import cached_property

from dashboard.access.models import Member
from investigate.models import SavedView
from investigate.saved.asking import columns_of, criteria_of
from investigate.saved.queries import ShownView, begins_with, may_change, query_into, view_for, views_for
from investigate.search.criteria import Criteria


class ViewBar:
    """Nothing is read before a template or a view asks for it."""

    def __init__(self, member: Member, criteria: Criteria) -> None:
        self.member = member
        self.criteria = criteria

    @cached_property
    def shown(self) -> list[ShownView]:
        return views_for(self.member)

    @cached_property
    def open(self) -> SavedView | None:
        """The view this search began with, if there is one that the member may see."""
        return view_for(self.member, int(self.criteria.view)) if self.criteria.view else None

    @property
    def open_id(self) -> int:
        return self.open.pk if self.open else 0

    @cached_property
    def is_changed(self) -> bool:
        """Whether what is searched for is not what the view says any more."""
        return self.open is not None and criteria_of(self.open) != self.criteria

    @property
    def may_save(self) -> bool:
        return self.open is not None and may_change(self.member, self.open)

    @property
    def back_query(self) -> str:
        return query_into(self.open) if self.open else ""

    @property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.open) if self.open else ()

    @cached_property
    def first(self) -> SavedView | None:
        """The view the member begins with."""
        return begins_with([one.view for one in self.shown], self.member)
