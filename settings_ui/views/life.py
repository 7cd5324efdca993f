"""The life of one entry: whose it is, why it is there and until when."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from dashboard.emailsec.errors import EmailSecurityError, NotFound
from dashboard.upstream.connection import get_client
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from settings_ui.entries import words
from settings_ui.entries.knowing import who
from settings_ui.entries.life import Life, LifeForm, of_upstream, set_life, version
from settings_ui.entries.rules import Conflict, NotPossible
from settings_ui.models import Entry, Origin
from settings_ui.resources import Resource
from settings_ui.views.parts import resource_or_404
from settings_ui.watching import mirror

KEPT = "kept"


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_READ, whole=True)
def life(request: MemberRequest, slug: str, entry_id: str) -> HttpResponse:
    """A page of its own, or a part of the entry's page; who may change the entry may change this."""
    resource = resource_or_404(slug)
    stands = _stands(resource, entry_id)
    if request.method != "POST":
        told = "Kept." if request.GET.get("done") == KEPT else ""
        return _shown(request, resource, entry_id, _form(resource, stands), told=told)
    form = _form(resource, stands, request.POST)
    if not form.is_valid():
        return _shown(request, resource, entry_id, form, status=422)
    try:
        entry = get_client().entry(resource.name, entry_id)
    except EmailSecurityError as problem:
        return _refused(request, resource, entry_id, form, problem)
    try:
        set_life(
            actor=request.user,
            resource=resource,
            entry=entry,
            life=form.life(),
            request=request,
            opened=request.POST.get("opened", "")[:60],
        )
    except NotPossible as problem:
        form.add_error("ends_on" if "ends_on" in form.fields else None, str(problem))
        return _shown(request, resource, entry_id, form, status=422)
    except Conflict as problem:
        form.add_error(None, str(problem))
        return _shown(request, resource, entry_id, form, status=409)
    if wants_partial(request):
        return _shown(request, resource, entry_id, _form(resource, _stands(resource, entry_id)), told="Kept.")
    return HttpResponse(status=303, headers={"Location": f"{_address(resource, entry_id)}?done={KEPT}"})


def _refused(
    request: MemberRequest, resource: Resource, entry_id: str, form: LifeForm, problem: EmailSecurityError
) -> HttpResponse:
    """The account has no such entry, or does not say: nothing was kept, and what was typed is still there."""
    text = errors.explain(problem)
    wait = f" Try again in {text.back_in}." if text.back_in else ""
    told = "This entry is gone." if isinstance(problem, NotFound) else text.title
    form.add_error(None, f"{told} Nothing was kept, and what you wrote is still here.{wait}")
    return _shown(request, resource, entry_id, form, status=text.status)


def _form(resource: Resource, stands: Entry | None, data: Any = None) -> LifeForm:
    return LifeForm(
        data,
        resource=resource,
        life=Life.of_entry(stands) if stands else None,
        origin=stands.origin if stands else Origin.NOTED,
        auto_id="life-%s",
    )


def _stands(resource: Resource, entry_id: str) -> Entry | None:
    return of_upstream(resource.name, entry_id).select_related("owner").first()


def _shown(
    request: MemberRequest, resource: Resource, entry_id: str, form: LifeForm, *, told: str = "", status: int = 200
) -> HttpResponse:
    known = who(resource.name, [entry_id])[entry_id]
    stands = _stands(resource, entry_id)
    member = request.user
    context = {
        "resource": resource,
        "entry_id": entry_id,
        "url": _address(resource, entry_id),
        "form": form,
        "opened": version(stands),
        "known": known,
        "ends_on": words.day(known.expires_at) if known.expires_at else "",
        "ends": words.left(known.expires_at) if known.expires_at and not known.is_going else "",
        "may_write": member.may(resource.write),
        "told": told,
    }
    if wants_partial(request):
        response = render(request, "settings_ui/life/_life.html", context, status=status)
        if status >= 400:
            response["HX-Retarget"], response["HX-Reswap"] = "#life", "innerHTML"
        return response
    try:
        context["label"] = _label(resource, entry_id, stands)
    except EmailSecurityError:
        if not form.is_bound:
            raise
        context["label"] = "An entry without a name here"  # what was typed must not go for want of it
    return render(request, "settings_ui/life/page.html", context, status=status)


def _label(resource: Resource, entry_id: str, stands: Entry | None) -> str:
    """What people call it, from our own memory; Cloudflare is asked only about what was never seen."""
    if stands is not None:
        return stands.pattern
    seen = mirror(resource.name).filter(upstream_id=entry_id).first()
    return seen.label if seen else resource.label(get_client().entry(resource.name, entry_id).values())


def _address(resource: Resource, entry_id: str) -> str:
    return reverse("settings:life", args=[resource.slug, entry_id])
