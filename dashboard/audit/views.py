"""The audit trail: the list, one row, and files of it. Never polled, never cut to domains."""

from __future__ import annotations

import datetime as dt
from urllib.parse import urlencode

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from dashboard.audit import exporting, queries, streams
from dashboard.audit.forms import FilterForm
from dashboard.installation.values import setting
from dashboard.web.errors import ErrorText, answer
from dashboard.web.htmx import wants_partial

_LARGEST_SEQUENCE = 2**63 - 1


@require_safe
@requires(Permission.AUDIT_READ, whole=True)
def events(request: MemberRequest) -> HttpResponse:
    """What was done, newest first, as far as the filter in the address goes."""
    form = FilterForm(request.GET)
    is_valid = form.is_valid()
    filters = form.filters() if is_valid else queries.Filters()
    context = {
        "form": form,
        "said": filters.said(),
        "query": urlencode(filters.said()),
        "page": queries.page(filters, before=_before(request)) if is_valid else None,
        "is_newest": _before(request) is None,
        "chain": queries.chain(),
        "streams": streams.behind(),
        "exports_an_hour": setting("EXPORTS_PER_HOUR"),
    }
    return render(request, "audit/events.html", context, status=200 if is_valid else 422)


@require_safe
@requires(Permission.AUDIT_READ, whole=True)
def event(request: MemberRequest, sequence: int) -> HttpResponse:
    """One row with what was recorded of request and answer; htmx opens and closes it inside the list."""
    found = queries.opened(sequence) if sequence <= _LARGEST_SEQUENCE else None
    if found is None:
        raise Http404
    if not wants_partial(request):
        return render(request, "audit/event.html", {"opened": found, "row": found.row})
    shown = None if "closed" in request.GET else found
    return render(request, "audit/_row.html", {"opened": shown, "row": found.row})


@require_GET
@requires(Permission.AUDIT_READ, whole=True)
def export(request: MemberRequest, kind: str) -> HttpResponseBase:
    """The rows of the filter as a file; what leaves is written down itself."""
    if kind not in exporting.KINDS:
        raise Http404
    form = FilterForm(request.GET)
    if not form.is_valid():
        return answer(request, _UNREADABLE)
    file = exporting.export(
        actor=request.user,
        filters=form.filters(),
        kind=kind,
        with_mark=request.GET.get("bom") == "1",
        request=request,
    )
    response = StreamingHttpResponse(file, content_type=exporting.KINDS[kind])
    day = timezone.now().astimezone(dt.UTC).strftime("%Y-%m-%d-%H%M%S")
    response["Content-Disposition"] = f'attachment; filename="mailwarden-audit-{day}.{kind}"'
    return response


_UNREADABLE = ErrorText(
    "This filter cannot be read.", "Nothing was exported.", "Go back to the trail and mend the marked field.", 422
)


def _before(request: MemberRequest) -> int | None:
    value = request.GET.get("before", "")
    return int(value) if value.isascii() and value.isdecimal() and 0 < len(value) < 19 else None
