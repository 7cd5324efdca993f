"""The left column of the settings rooms, which no view has to think of."""

from __future__ import annotations

from django import template
from django.template.context import Context

from settings_ui.lists.sidebar import Sidebar
from settings_ui.lists.sidebar import sidebar as made

register = template.Library()


@register.simple_tag(takes_context=True)
def sidebar(context: Context) -> Sidebar:
    """For the page of this request: `{% sidebar as rooms %}`."""
    request = context["request"]
    return made(request.user, request.path)
