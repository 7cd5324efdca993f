"""Campaigns: groups of remembered messages, and one of them with all that can be done about it."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.access.decorators import requires
from dashboard.access.roles import Permission


@require_safe
@requires(Permission.MESSAGE_READ)
def campaigns(request: HttpRequest) -> HttpResponse:
    """Groups of a range."""
    return render(request, "investigate/campaigns/list.html", {})


@require_safe
@requires(Permission.MESSAGE_READ)
def campaign(request: HttpRequest) -> HttpResponse:
    """One campaign."""
    raise Http404
