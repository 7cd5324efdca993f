"""What only protected domains have: the proof that they are ours."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from dashboard.emailsec.errors import EmailSecurityError, NotFound, NotOnThisServer
from dashboard.upstream.connection import get_client
from dashboard.web.errors import explain
from dashboard.web.htmx import wants_partial
from settings_ui.views.parts import resource_or_404


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def verification(request: MemberRequest, entry_id: str) -> HttpResponse:
    """The DNS record that proves a domain, and how far the proof has come: a part of the domain's page."""
    resource = resource_or_404("domains")
    if not wants_partial(request):
        return redirect("settings:entry", resource.slug, entry_id)
    context = {"entry_id": entry_id, "asked_at": timezone.now()}
    try:
        context["proof"] = get_client().domain_verification(entry_id)
    except NotOnThisServer:
        context["is_missing"] = True
    except NotFound:
        context["is_gone"] = True
    except EmailSecurityError as problem:
        told = explain(problem)
        url = reverse("settings:verification", args=[entry_id])
        context = {"explained": told, "retry_url": url, "target": "#verification"}
        response = render(request, "errors/_upstream.html", context, status=told.status)
        response["HX-Retarget"], response["HX-Reswap"] = "#verification", "innerHTML"
        return response
    return render(request, "settings_ui/domains/_verification.html", context)
