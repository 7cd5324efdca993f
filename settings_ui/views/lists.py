"""A list of the account's settings, and one entry of it."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from dashboard.emailsec.errors import NotOnThisServer
from dashboard.upstream.connection import get_client
from dashboard.web.errors import explain
from dashboard.web.htmx import wants_partial
from settings_ui.entries.knowing import who
from settings_ui.lists import criteria as criteria_of
from settings_ui.lists import presenting, queries, words
from settings_ui.views.parts import is_id, not_offered, resource_or_404


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def entries(request: MemberRequest, slug: str) -> HttpResponse:
    """One list, as far as the filters in the address go; htmx asks the same address for the rows alone."""
    resource = resource_or_404(slug)
    opened = request.GET.get("open", "")
    criteria = criteria_of.read(resource, request.GET)
    try:
        found = queries.listed(resource, criteria)
    except NotOnThisServer:
        raise Http404(not_offered(resource)) from None
    page = presenting.page(
        resource,
        criteria,
        found,
        member=request.user,
        open_id=opened if is_id(opened) else "",
    )
    if wants_partial(request):
        return _in_place(render(request, "settings_ui/_entries.html", {"page": page, "oob": True}, status=page.status))
    return render(request, "settings_ui/list.html", {"page": page, "resource": resource}, status=page.status)


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def entry(request: MemberRequest, slug: str, entry_id: str) -> HttpResponse:
    """One entry with all its fields and its past, as a page of its own or in the pane beside the list."""
    resource = resource_or_404(slug)
    try:
        opened = queries.opened(resource, entry_id)
    except NotOnThisServer:
        raise Http404(not_offered(resource)) from None
    explained = explain(opened.problem) if opened.problem is not None else None
    values = opened.entry.values if opened.entry is not None else {}
    context = {
        "resource": resource,
        "entry_id": entry_id,
        "opened": opened,
        "explained": explained,
        "label": resource.label(values),
        "groups": words.groups(resource, values),
        "past": words.past(resource, opened.lines, opened.seen),
        "known": who(resource.name, [entry_id])[entry_id],
        "fixed_because": resource.fixed_because(values),
        "is_proved": get_client().offers(resource.name, "verification"),
        "rights": presenting.rights(request.user, resource),
    }
    status = 404 if opened.is_gone else explained.status if explained is not None and opened.entry is None else 200
    if wants_partial(request):
        return _in_place(render(request, "settings_ui/_entry.html", context, status=status), "#entry")
    return render(request, "settings_ui/entry.html", context, status=status)


def _in_place(response: HttpResponse, target: str = "#entries") -> HttpResponse:
    """A failed part stands where the part would stand, not among the notices."""
    if response.status_code >= 400:
        response["HX-Retarget"], response["HX-Reswap"] = target, "innerHTML"
    return response
