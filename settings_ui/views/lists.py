"""A list of the account's settings, and one entry of it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.access.decorators import requires
from dashboard.access.roles import Permission
from settings_ui.views.parts import resource_or_404


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def entries(request: HttpRequest, slug: str) -> HttpResponse:
    """One list, as far as the filters in the address go."""
    resource = resource_or_404(slug)
    return render(request, "settings_ui/list.html", {"resource": resource})


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def entry(request: HttpRequest, slug: str, entry_id: str) -> HttpResponse:
    """One entry, as a page of its own or in the pane beside the list."""
    resource = resource_or_404(slug)
    return render(request, "settings_ui/entry.html", {"resource": resource, "entry_id": entry_id})
