"""Changes and their lines in words, for receipts that stand on other pages."""

from __future__ import annotations

from collections.abc import Iterable

from django import template
from django.template.context import Context

from settings_ui.changes.presenting import ChangeView, LineView, line_views
from settings_ui.models import Change, Line

register = template.Library()


@register.simple_tag(takes_context=True)
def change_view(context: Context, change: Change) -> ChangeView:
    """For the member of this request: `{% change_view change as view %}`."""
    return ChangeView(change, context["request"].user)


@register.filter
def in_words(lines: Iterable[Line]) -> list[LineView]:
    return line_views(lines)
