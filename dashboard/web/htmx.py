"""What htmx asked for, in one place."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request as views see it, with `django_htmx`'s details."""

    htmx: HtmxDetails


def wants_partial(request: HttpRequest) -> bool:
    """Whether only a fragment is wanted: boosted links and history restores want the whole page.

    A request refused before any middleware saw it (a foreign Host) carries no details: it gets the page.
    """
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return htmx is not None and bool(htmx) and not htmx.boosted and not htmx.history_restore_request
