"""What leaves the desk: lists and campaigns as files, indicators, and cases on paper."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.audit.exporting import check_room, record_export
from dashboard.audit.recorder import record
from dashboard.installation.values import setting
from dashboard.web.errors import ErrorText, answer, explain, explain_name
from dashboard.web.htmx import wants_partial
from investigate.campaigns.queries import address_of
from investigate.exporting import campaigns, lists, report, sources, tables
from investigate.exporting.formats import FORMATS
from investigate.exporting.forms import IndicatorForm
from investigate.exporting.lists import Reading
from investigate.exporting.sources import Source
from investigate.forms import SearchForm
from investigate.message.visible import opened_for
from investigate.models import CampaignBy
from investigate.search import results, watching
from investigate.search.criteria import Criteria
from investigate.search.line import write_line

LOOK_AGAIN = 3  # seconds


# --- lists --------------------------------------------------------------------------------------------------------


@require_GET
@requires(Permission.MESSAGE_READ)
def export(request: MemberRequest) -> HttpResponse:
    """A file: `what=results` with the criteria of a search, or `what=campaign` with `by` and `key`."""
    what, kind = request.GET.get("what", ""), request.GET.get("format", "csv")
    if what == "indicators":
        return HttpResponseRedirect(_indicators_address(request))
    if kind not in tables.KINDS:
        raise Http404
    check_room(request.user)
    if what == "campaign":
        return _campaign_file(request, kind)
    if what != "results":
        raise Http404
    form = _search_form(request)
    if not form.is_valid():
        return answer(request, _unreadable(form))
    reading = lists.read(form.criteria(), request.user.scope)
    if not reading.is_whole:
        return _list_page(request, form.criteria(), reading)
    pinned = form.criteria().within(reading.window)
    return tables.as_file(
        lists.table_of(reading, form.criteria()),
        kind=kind,
        action="message:export",
        actor=request.user,
        request=request,
        detail={"query": pinned.query()},
    )


def _campaign_file(request: MemberRequest, kind: str) -> HttpResponse:
    by, key = _campaign_of(request)
    table = campaigns.table_of(request.user, by, key)
    if table is None:
        raise Http404
    detail = {"by": str(by), "key": key}
    member = request.user
    return tables.as_file(table, kind=kind, action="campaign:export", actor=member, request=request, detail=detail)


@require_safe
@polls("again")
@requires(Permission.MESSAGE_READ)
def export_list(request: MemberRequest) -> HttpResponse:
    """A result list before it is taken: read to its end, or as far as a file goes; asks for itself until it is."""
    form = _search_form(request)
    if not form.is_valid():
        return answer(request, _unreadable(form))
    return _list_page(request, form.criteria(), lists.read(form.criteria(), request.user.scope))


def _list_page(request: MemberRequest, criteria: Criteria, reading: Reading) -> HttpResponse:
    """How far the list was read. Its range is pinned, so that a second look goes on and the file is what was told."""
    watching.note(reading.waits_for, request.user)
    failed = reading.failed
    error = results.error_of(failed) if failed is not None else None
    explained = explain(error) if error is not None else explain_name(failed.error) if failed is not None else None
    context = {
        "line": write_line(criteria.within(reading.window)),
        "reading": reading,
        "query": criteria.within(reading.window).query(),
        "explained": explained,
        "most": tables.MOST_ROWS,
        "look_again": LOOK_AGAIN,
        "exports_an_hour": setting("EXPORTS_PER_HOUR"),
    }
    template = "investigate/exporting/_reading.html" if wants_partial(request) else "investigate/exporting/list.html"
    status = explained.status if explained else 200 if reading.is_whole else 202
    if wants_partial(request):
        status = 200  # the state of the list is shown in its place
    return render(request, template, context, status=status)


def _search_form(request: MemberRequest) -> SearchForm:
    """The criteria of the address, without the words that are ours."""
    query = request.GET.copy()
    for name in ("what", "format", "bom", "again"):
        query.pop(name, None)
    return SearchForm(query, request.user.scope)


def _unreadable(form: SearchForm) -> ErrorText:
    return ErrorText("This search cannot be asked.", form.problem, "Nothing was exported. Mend the search first.", 422)


# --- indicators ---------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def message_indicators(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """What of one message can be looked for elsewhere, to be ticked and taken."""
    _check_room(request)
    opened = opened_for(request.user, investigate_id)
    back = reverse("investigate:message", args=[opened.message.id])
    return _indicators(request, sources.of_message(request.user, opened), back=back)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def campaign_indicators(request: MemberRequest) -> HttpResponse:
    """The same of a campaign."""
    _check_room(request)
    by, key = _campaign_of(request)
    source = sources.of_campaign(request.user, by, key)
    if source is None:
        raise Http404
    return _indicators(request, source, back=address_of(by, key))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def list_indicators(request: MemberRequest) -> HttpResponse:
    """The same of a result list; where that is not read yet, the page that waits for it."""
    _check_room(request)
    form = _search_form(request)
    if not form.is_valid():
        return answer(request, _unreadable(form))
    reading = lists.read(form.criteria(), request.user.scope)
    query = form.criteria().within(reading.window).query()
    if not reading.is_whole:
        return HttpResponseRedirect(f"{reverse('investigate:export_list')}?{query}")
    source = sources.of_list(reading, query=query)
    here = f"{reverse('investigate:list_indicators')}?{query}"
    return _indicators(request, source, back=f"{reverse('investigate:search')}?{query}", here=here)


def _check_room(request: MemberRequest) -> None:
    """Raises TooManyExports before anything is read for a file that would not be handed out."""
    if request.method == "POST":
        check_room(request.user)


def _indicators(request: MemberRequest, source: Source, *, back: str, here: str = "") -> HttpResponse:
    """Show them; or hand out those that were ticked, exactly as they were read here and not as a form says."""
    member = request.user
    posted = request.POST if request.method == "POST" else None
    form = IndicatorForm(posted, found=source.shown, title=source.title)
    if posted is not None and form.is_valid():
        return _file_of(request, source, form)
    sources.looked_at(member, source, request)
    context = {
        "source": source,
        "form": form,
        "groups": _grouped(source),
        "back": back,
        "here": here or request.get_full_path(),
        "exports_an_hour": setting("EXPORTS_PER_HOUR"),
    }
    status = 422 if form.is_bound else 200
    return render(request, "investigate/exporting/indicators.html", context, status=status)


def _file_of(request: MemberRequest, source: Source, form: IndicatorForm) -> HttpResponse:
    name = form.cleaned_data["format"]
    chosen, bundle = FORMATS[name], form.bundle(is_malicious=source.is_malicious)
    body = chosen.write(bundle)
    counts: dict[str, int] = {}
    for one in bundle.indicators:
        counts[one.kind.value] = counts.get(one.kind.value, 0) + 1
    record_export(
        actor=request.user,
        action="indicator:export",
        targets=source.targets,
        detail={
            **source.detail,
            "format": name,
            "tlp": bundle.tlp.value,
            "defanged": bundle.is_defanged and name in ("csv", "txt"),
            "numbers": counts,
            "ours": sum(bool(one.why_not) for one in bundle.indicators),
        },
        request=request,
    )
    return tables.attachment(body, chosen.content_type, f"indicators-{name}", chosen.ending)


def _grouped(source: Source) -> list[tuple[str, list[object]]]:
    groups: dict[str, list[object]] = {}
    for one in source.shown:
        groups.setdefault(one.kind.label, []).append(one)
    return list(groups.items())


def _indicators_address(request: MemberRequest) -> str:
    query = request.GET.copy()
    for name in ("what", "format"):
        query.pop(name, None)
    page = "campaign_indicators" if "by" in query else "list_indicators"
    return f"{reverse(f'investigate:{page}')}?{query.urlencode()}"


# --- on paper -----------------------------------------------------------------------------------------------------


@require_GET
@requires(Permission.MESSAGE_READ)
def message_report(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """One message's case, made for paper."""
    member, has_notes = request.user, _has_notes(request)
    opened = opened_for(member, investigate_id)
    context = report.of_message(request, member, opened, has_notes=has_notes)
    _note_report(request, targets=[opened.message.id], notes=has_notes)
    context["detections_failed"] = explain(error) if (error := context["detections_error"]) else None
    context["log_failed"] = explain(error) if (error := context["log_error"]) else None
    return _printed(request, "investigate/exporting/report.html", context, has_notes=has_notes)


@require_GET
@requires(Permission.MESSAGE_READ)
def campaign_report(request: MemberRequest) -> HttpResponse:
    """A campaign's case, out of the memory."""
    member, has_notes = request.user, _has_notes(request)
    by, key = _campaign_of(request)
    context = report.of_campaign(request, member, by, key, has_notes=has_notes)
    if context is None:
        raise Http404
    _note_report(request, by=str(by), key=key, messages=context["group"].count, notes=has_notes)
    context["back"] = address_of(by, key)
    context["switch"] = urlencode({"by": str(by), "key": key, "notes": "0" if has_notes else "1"})
    return _printed(request, "investigate/exporting/campaign_report.html", context, has_notes=has_notes)


def _printed(request: MemberRequest, template: str, context: dict[str, object], *, has_notes: bool) -> HttpResponse:
    who = {"has_notes": has_notes, "printed_by": request.user.display_name, "printed_at": timezone.now()}
    return render(request, template, context | who)


def _note_report(request: MemberRequest, *, targets: Sequence[str] = (), **detail: object) -> None:
    """Written down with the page: what is on the screen can be printed."""
    record(actor=request.user, action="message:report", targets=targets, detail=detail, request=request)


def _has_notes(request: MemberRequest) -> bool:
    return request.GET.get("notes") != "0"


# --- of all -------------------------------------------------------------------------------------------------------


def _campaign_of(request: MemberRequest) -> tuple[CampaignBy, str]:
    """The campaign the address names; 404 for what cannot be one."""
    try:
        by = CampaignBy(request.GET.get("by", ""))
    except ValueError:
        raise Http404 from None
    key = request.GET.get("key", "")
    if not key or len(key) > 255 or "\x00" in key:
        raise Http404
    return by, key
