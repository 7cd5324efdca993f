"""Saved views: the list of them, and the form of one."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.team.catalogue import all_roles, label_for
from investigate.forms import SearchForm
from investigate.models import NoticeRule, SavedView
from investigate.saved import queries, services
from investigate.saved.asking import columns_of, criteria_of, has_ended, query_of, why_not
from investigate.saved.forms import ViewForm, initial_of
from investigate.saved.services import Conflict, NotPossible, Wanted
from investigate.search.criteria import Criteria
from investigate.search.line import write_line
from investigate.search.presenting import COLUMNS, chips
from investigate.search.window import words_for

MOST_PARAMETERS = 200
DONE = {
    "saved": "Saved.",
    "deleted": "The view is deleted.",
    "moved": "Moved.",
}


@require_safe
@requires(Permission.MESSAGE_READ)
def views(request: MemberRequest) -> HttpResponse:
    """The member's own views and the team's, in their order."""
    member, roles = request.user, all_roles()
    shown = [
        {
            "one": one,
            "view": one.view,
            "chips": chips(criteria_of(one.view)),
            "range": words_for(criteria_of(one.view).last) or "exact range",
            "may_change": queries.may_change(member, one.view),
            "begins": [label_for(name, roles) for name in one.view.default_for if name != SavedView.OWN],
            "is_mine_first": one.is_own and SavedView.OWN in one.view.default_for,
            "has_ended": has_ended(criteria_of(one.view)),
        }
        for one in queries.views_for(member)
    ]
    context = {"views": shown, "done": DONE.get(request.GET.get("done", ""))}
    return render(request, "investigate/saved/views.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def new_view(request: MemberRequest) -> HttpResponse:
    """Save the search whose filters stand in the query; with `from`, a copy of a view."""
    member = request.user
    if request.method == "POST":
        form = ViewForm(request.POST, member=member, roles=all_roles())
        if not form.is_valid():
            return _form_page(request, form, None, 422)
        try:
            view = services.create(actor=member, wanted=form.wanted(), request=request)
        except NotPossible as problem:
            form.add_error(None, str(problem))
            return _form_page(request, form, None, 422)
        return _see(f"{reverse('investigate:search')}?{queries.query_into(view)}")
    original = _copied(request)
    if original is not None:
        name = f"{original.name[: services.LONGEST_NAME - 7]} (copy)"
        initial = initial_of(criteria_of(original), name=name, columns=columns_of(original))
    else:
        search = SearchForm(request.GET, member.scope)
        opened = queries.view_for(member, int(search.criteria().view)) if search.criteria().view else None
        initial = initial_of(search.criteria(), columns=columns_of(opened) if opened else ())
    return _form_page(request, ViewForm(member=member, roles=all_roles(), initial=initial), None)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def view(request: MemberRequest, view_id: int) -> HttpResponse:
    """Change one view. Who may not sees what it says, and can duplicate it."""
    member, found = request.user, _view_or_404(request, view_id)
    if request.method != "POST":
        return _form_page(request, ViewForm(member=member, roles=all_roles(), view=found), found)
    form = ViewForm(request.POST, member=member, roles=all_roles(), view=found)
    if not form.is_valid():
        return _form_page(request, form, found, 422)
    try:
        services.change(
            actor=member,
            view=found,
            version=form.cleaned_data["version"] or 0,
            wanted=form.wanted(),
            request=request,
        )
    except NotPossible as problem:
        form.add_error(None, str(problem))
        return _form_page(request, form, found, 422)
    except Conflict as problem:
        return _form_page(request, form, found, 409, stands=problem.view)
    return _see(f"{reverse('investigate:views')}?done=saved")


@require_POST
@requires(Permission.MESSAGE_READ)
def save_filters(request: MemberRequest, view_id: int) -> HttpResponse:
    """Give a view the filters that its open list has now; everything else of it stays."""
    member, found = request.user, _view_or_404(request, view_id)
    criteria, version = _given(request.POST.get("query", "")), request.POST.get("version", "")
    problem = why_not(criteria, member.scope)
    if not problem:
        wanted = Wanted(found.name, query_of(criteria), columns_of(found), found.is_shared, tuple(found.default_for))
        try:
            number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
            changed = services.change(actor=member, view=found, version=number, wanted=wanted, request=request)
            return _see(f"{reverse('investigate:search')}?{queries.query_into(changed)}")
        except NotPossible as refused:
            problem = str(refused)
        except Conflict as conflict:
            return _form_page(request, _refused(member, found, write_line(criteria)), found, 409, stands=conflict.view)
    return _form_page(request, _refused(member, found, write_line(criteria), problem), found, 422)


@require_POST
@requires(Permission.MESSAGE_READ)
def move_view(request: MemberRequest, view_id: int) -> HttpResponse:
    """One place up or down in one's own order."""
    services.move(actor=request.user, view=_view_or_404(request, view_id), is_up=request.POST.get("to") == "up")
    return _see(f"{reverse('investigate:views')}?done=moved#view-{view_id}")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def delete_view(request: MemberRequest, view_id: int) -> HttpResponse:
    """Ask first, and say what ends with it."""
    found = _view_or_404(request, view_id)
    problem = ""
    if request.method == "POST":
        try:
            services.delete(actor=request.user, view=found, request=request)
            return _see(f"{reverse('investigate:views')}?done=deleted")
        except NotPossible as refused:
            problem = str(refused)
    context = {
        "view": found,
        "problem": problem,
        "may_change": queries.may_change(request.user, found),
        "notices": NoticeRule.objects.filter(view=found).count(),
    }
    return render(request, "investigate/saved/delete.html", context, status=422 if problem else 200)


def _form_page(
    request: MemberRequest,
    form: ViewForm,
    view: SavedView | None,
    status: int = 200,
    *,
    stands: SavedView | None = None,
) -> HttpResponse:
    member = request.user
    context: dict[str, Any] = {
        "form": form,
        "view": view,
        "stands": None if stands is None else _said(stands),
        "stands_version": stands.version if stands else None,
        "may_change": view is None or queries.may_change(member, view),
        "may_share": member.may(Permission.VIEW_SHARE),
        "said": _said(view) if view else None,
    }
    return render(request, "investigate/saved/view.html", context, status=status)


def _said(view: SavedView) -> dict[str, Any]:
    """What a view says, for people who may not change it or were slower than a colleague."""
    roles = all_roles()
    return {
        "name": view.name,
        "line": write_line(criteria_of(view)) or "no filter, last 24 h of detections",
        "columns": ", ".join(COLUMNS[name] for name in columns_of(view)) or "the usual ones",
        "shared": "with the team" if view.is_shared else "with nobody",
        "begins": ", ".join(label_for(name, roles) for name in view.default_for if name != SavedView.OWN) or "nobody",
    }


def _refused(member: Member, view: SavedView, line: str, problem: str = "") -> ViewForm:
    """The form of the view with these filters in it, and why they were not saved."""
    stands = ViewForm(member=member, roles=all_roles(), view=view)
    form = ViewForm({**stands.initial, "line": line}, member=member, roles=all_roles(), view=view)
    form.is_valid()
    if problem and "line" not in form.errors:
        form.add_error(None, problem)
    return form


def _given(query: str) -> Criteria:
    try:
        return Criteria.from_query(parse_qs(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS))
    except ValueError:
        return Criteria(ignored=("too many parameters",))


def _copied(request: MemberRequest) -> SavedView | None:
    given = request.GET.get("from", "")
    return _view_or_404(request, int(given)) if given.isascii() and given.isdigit() and len(given) <= 18 else None


def _view_or_404(request: MemberRequest, view_id: int) -> SavedView:
    found = queries.view_for(request.user, view_id) if view_id < 2**63 else None
    if found is None:
        raise Http404("no such view")
    return found


def _see(url: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": url})
