"""The investigate page: the list of messages a search finds."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.emailsec.times import parse_time
from dashboard.web.htmx import wants_partial
from investigate.bulk.selecting import bar_for
from investigate.desk import changes
from investigate.forms import SearchForm
from investigate.models import SavedView
from investigate.saved.bar import ViewBar
from investigate.saved.queries import query_into
from investigate.saved.reading import note_shown
from investigate.saved.services import note_look
from investigate.search import arrivals as new_mail
from investigate.search import presenting, results, runs, watching
from investigate.search.criteria import Criteria
from investigate.search.merging import BadToken
from investigate.search.rendering import columns

MOST_OPEN_ID = 255


@require_safe
@requires(Permission.MESSAGE_READ)
def search(request: MemberRequest) -> HttpResponse:
    """The investigate page; htmx asks the same URL for the results alone, and with `more` for the rows below them."""
    form = SearchForm(request.GET, request.user.scope)
    criteria, scope = form.criteria(), request.user.scope
    if form.is_first_visit and (first := _first_view(request, criteria)):
        return HttpResponseRedirect(f"{reverse('investigate:search')}?{query_into(first)}")
    if not form.is_valid():
        return _page(request, form, None)
    if "line" in request.GET and not wants_partial(request) and not criteria.ignored:
        return HttpResponseRedirect(_address(criteria))
    if "cancelled" in request.GET:
        return _left(request, form, _run_ids(request.GET.getlist("cancelled")))
    if "more" in request.GET:
        return _more(request, form)
    found = None
    if "run" in request.GET:
        found = results.resume(criteria, _run_ids(request.GET.getlist("run")), scope=scope)
    if found is None:
        found = results.search(criteria, scope=scope, is_forced="fresh" in request.GET)
    watching.note(found.open_runs, request.user)
    return _list(request, form, found)


def _first_view(request: MemberRequest, criteria: Criteria) -> SavedView | None:
    """The view that an address without a search names, or with which the member begins."""
    bar = ViewBar(request.user, criteria)
    return bar.open or (None if request.GET else bar.first)


def _list(request: MemberRequest, form: SearchForm, found: results.Results) -> HttpResponse:
    """The first page of a search. Where it is that of a view, the member has now looked at it."""
    criteria, bar = form.criteria(), ViewBar(request.user, form.criteria())
    shown = presenting.shown(request, criteria, found, open_id=_open_id(request), own=bar.columns)
    if bar.open and not bar.is_changed and found.state in (results.State.ROWS, results.State.EMPTY):
        note_shown(bar.open, found)
        note_look(member=bar.member, view=bar.open, at=found.answered_at or timezone.now())
    return _page(request, form, shown, bar)


@require_safe
@polls()
@requires(Permission.MESSAGE_READ)
def arrivals(request: MemberRequest) -> HttpResponse:
    """How many messages came since the list was read; asked every 15 s, never a call of its own."""
    form = SearchForm(request.GET, request.user.scope)
    since = request.GET.get("since", "")
    if not form.is_valid() or parse_time(since) is None or not new_mail.can_grow(form.criteria()):
        return HttpResponse(status=204)
    scope = request.user.scope
    number, is_full = new_mail.count(form.criteria(), since, scope=scope)
    new_mail.keep_current(form.criteria(), scope=scope)
    views = ViewBar(request.user, form.criteria())
    if not number and not views.shown:
        return HttpResponse(status=204)
    context = {"number": number, "is_full": is_full, "query": form.criteria().query(), "views": views}
    return render(request, "investigate/_arrivals.html", context)


@require_safe
@requires(Permission.MESSAGE_READ)
def filters(request: MemberRequest) -> HttpResponse:
    """The panel of fields, filled from what stands in the filter line at this moment."""
    return render(request, "investigate/_filters.html", {"form": SearchForm(request.GET, request.user.scope)})


@require_POST
@requires(Permission.MESSAGE_READ)
def cancel_search(request: MemberRequest) -> HttpResponse:
    """Stop waiting for a slow search; it ends once nobody else waits for it."""
    form = SearchForm(request.GET, request.user.scope)
    member = request.user
    ids = _run_ids(request.POST.getlist("run"))
    if not member.scope.is_whole:
        ids = [run.pk for run in results.of_search(form.criteria(), ids, member.scope)] if form.is_valid() else []
    if unwatched := watching.leave(ids, member):
        runs.cancel(unwatched, by=member.display_name)
    marks = [f"&cancelled={run_id}" for run_id in ids] or ["&cancelled=-"]
    address = _address(form.criteria()) + "".join(marks)
    if not wants_partial(request):
        return HttpResponseRedirect(address, status=303)
    response = _left(request, form, ids)
    response["HX-Replace-Url"] = f"{address}{_place(request)}"  # so that loading the page again does not ask again
    return response


def _left(request: MemberRequest, form: SearchForm, ids: list[UUID]) -> HttpResponse:
    """The page of somebody who stopped waiting; it asks nothing."""
    if not form.is_valid():
        return _page(request, form, None)
    found = results.left(form.criteria(), ids, scope=request.user.scope)
    waiting = watching.others([run.pk for run in found.open_runs], request.user)
    return _page(request, form, presenting.shown(request, form.criteria(), found, waiting=waiting))


def _place(request: MemberRequest) -> str:
    """The open message and tab of the page an htmx request came from, as the end of a query string."""
    url = request.htmx.current_url or ""  # type: ignore[attr-defined]
    kept = [(name, value) for name, value in parse_qsl(urlsplit(url).query) if name in ("open", "tab")]
    return f"&{urlencode(kept)}" if kept else ""


def _page(
    request: MemberRequest, form: SearchForm, shown: presenting.Shown | None, views: ViewBar | None = None
) -> HttpResponse:
    is_partial = wants_partial(request)
    context = {
        "views": views or ViewBar(request.user, form.criteria()),
        "form": form,
        "shown": shown,
        "oob": is_partial,
        "open_id": _open_id(request),
        "open_tab": request.GET.get("tab", ""),
        "latest": changes.latest,  # asked for by whole pages only
        "bar": bar_for(request.user),
        "examples": presenting.examples() if form.is_first_visit else (),
        "shows_filters": request.GET.get("filters") == "open",
    }
    # An invalid search is a sentence where the rows would be; htmx swaps a 422 like any other answer.
    status = 200 if form.is_valid() else 422
    if not is_partial:
        return render(request, "investigate/search.html", context, status=status)
    response = render(request, "investigate/_results.html", context, status=status)
    if form.is_valid() and ("line" in request.GET or "panel" in request.GET):
        response["HX-Push-Url"] = _address(form.criteria())  # the short form instead of the form's empty fields
    return response


def _more(request: MemberRequest, form: SearchForm) -> HttpResponse:
    """The rows below; a whole page of their own where no script is there to put them into the list."""
    criteria, own = form.criteria(), ViewBar(request.user, form.criteria()).columns
    is_row = wants_partial(request) and request.htmx.target != "results"  # type: ignore[attr-defined]
    try:
        found = results.more(criteria, request.GET["more"], scope=request.user.scope, is_forced="fresh" in request.GET)
    except BadToken:
        if not is_row:
            return HttpResponseRedirect(_address(criteria))
        number = columns(has_ticks=request.user.may(Permission.JOB_RUN), own=own)
        context = {"query": criteria.query(), "columns": number}
        return render(request, "investigate/_no_more.html", context, status=422)
    watching.note(found.open_runs, request.user)
    shown = presenting.shown(request, criteria, found, open_id=_open_id(request), own=own)
    if not is_row:
        return _page(request, form, shown)
    return render(request, "investigate/_more_rows.html", {"shown": shown})


def _address(criteria: Criteria) -> str:
    return f"{reverse('investigate:search')}?{criteria.query()}"


def _open_id(request: MemberRequest) -> str:
    """The message whose pane the URL asks for; "" where the value cannot be an id."""
    open_id = request.GET.get("open", "")
    return open_id if len(open_id) <= MOST_OPEN_ID and "/" not in open_id and open_id not in (".", "..") else ""


def _run_ids(values: list[str]) -> list[UUID]:
    found = []
    for value in values[:50]:
        try:
            found.append(UUID(value))
        except ValueError:
            continue
    return found
