"""PhishGuard's reports: the list, one report beside it, its text, and the ways from it to its message and the queue."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission, roles_with
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import recording
from dashboard.emailsec.errors import EmailSecurityError, NotFound, NotOnThisServer, Rejected
from dashboard.emailsec.types import PhishGuardReport
from dashboard.web.errors import ErrorText, answer, explain
from dashboard.web.htmx import wants_partial
from dashboard.web.times import member_zone
from investigate.bulk.facts import is_id
from investigate.desk import reported
from investigate.message import parts, privacy
from investigate.message.privacy import UncoverForm
from investigate.phishguard import presenting, reading
from investigate.phishguard.criteria import Criteria
from investigate.search.window import say_range

COVERED = ErrorText(
    "What outsiders wrote is covered.",
    "Nothing of this report's text is shown before you say why you have to read it.",
    "Open the report, choose a reason, then come back.",
    403,
)
NO_REPORT = ErrorText(
    "This report is not here.",
    "It is not among the reports of the range in its address, or not for your domains.",
    "Open the list, choose a longer range, and look for it there.",
    404,
)
NO_MESSAGE = ErrorText(
    "The message of this report is gone.",
    "Cloudflare no longer knows it, or the report names none.",
    "The report itself stays; what it tells is all there is.",
    404,
)
LOOKS_STILL = ErrorText(
    "Not taken yet.",
    "Cloudflare is still looking for the message this report is about.",
    "The queue takes new reports by itself within some minutes; look there then.",
    503,
)


@require_safe
@requires(Permission.MESSAGE_READ)
def reports(request: MemberRequest) -> HttpResponse:
    """The list; htmx asks the same address for the rows below."""
    member, criteria = request.user, Criteria.from_query(request.GET.dict())
    if criteria.problem:
        return render(request, "investigate/phishguard/reports.html", {"criteria": criteria}, status=422)
    found = reading.read(criteria, member.scope, is_forced="fresh" in request.GET)
    rows = presenting.shown(found.reports, member, found.here)
    open_id = request.GET.get("open", "")
    context = {
        "criteria": criteria,
        "rows": rows,
        "more": found.more.query() if found.more else "",
        "read_at": found.at,
        "is_absent": isinstance(found.problem, NotOnThisServer),
        "explained": explain(found.problem) if found.problem else None,
        "retry": f"?{criteria.query(fresh='1')}",
    }
    if wants_partial(request) and criteria.page > 1:
        return render(request, "investigate/phishguard/_rows.html", context)
    context |= {
        "open": next((row for row in rows if row.key == open_id), None),
        "range": say_range(found.here.window(), member_zone.get()),
    }
    status = context["explained"].status if found.problem and not rows and not context["is_absent"] else 200
    return render(request, "investigate/phishguard/reports.html", context, status=status)


@require_safe
@requires(Permission.MESSAGE_READ)
def report(request: MemberRequest, report_id: str) -> HttpResponse:
    """One report as its own page."""
    return _opened(request, report_id, "investigate/phishguard/report.html")


@require_safe
@requires(Permission.MESSAGE_READ)
def report_pane(request: MemberRequest, report_id: str) -> HttpResponse:
    """The same beside the list."""
    return _opened(request, report_id, "investigate/phishguard/_report.html")


@require_GET
@requires(Permission.MESSAGE_READ_BODY)
def report_text(request: MemberRequest, report_id: str) -> HttpResponse:
    """What outsiders wrote, as text for the sandboxed frame."""
    member, found = request.user, _found(request, report_id)
    if found is None:
        return answer(request, NO_REPORT)
    if privacy.is_covered(member, _name(found)):
        return answer(request, COVERED)
    with recording(member, "report:read", targets=[presenting.key_of(found)], request=request) as event:
        text = presenting.inert(found, member.scope).encode("utf-8", "replace")
        event.detail = {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Security-Policy"] = "sandbox; default-src 'none'; frame-ancestors 'self'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = 'inline; filename="report.txt"'
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


@require_POST
@requires(Permission.MESSAGE_READ_BODY)
def uncover_report(request: MemberRequest, report_id: str) -> HttpResponse:
    """Take the reason for reading it; then show it where it was asked for."""
    member, found, form = request.user, _found(request, report_id), UncoverForm(request.POST)
    if found is None:
        return answer(request, NO_REPORT)
    if not form.is_valid():
        return _shown(request, found, _template(request), status=422, uncover_form=form)
    if privacy.is_covered(member, _name(found)):
        privacy.uncover_named(actor=member, name=_name(found), reason=form.reason, request=request)
    if wants_partial(request):
        return _shown(request, found, "investigate/phishguard/_report.html")
    return _to_page(request, found)


@require_safe
@requires(Permission.MESSAGE_READ)
def report_message(request: MemberRequest, report_id: str) -> HttpResponse:
    """To the message a report is about, by what the desk knows of it or by its postfix id."""
    member, found = request.user, _found(request, report_id)
    if found is None:
        return answer(request, NO_REPORT)
    [shown] = presenting.shown([found], member, _criteria(request))
    if shown.case and shown.case.investigate_id:
        return redirect("investigate:message", shown.case.investigate_id)
    postfix_id = found.fields.postfix_id or ""
    if not is_id(postfix_id):
        return answer(request, NO_MESSAGE)
    try:
        message = parts.read_message(postfix_id, scope=member.scope)
    except (NotFound, Rejected):
        return answer(request, NO_MESSAGE)
    return redirect("investigate:message", message.id)


@require_POST
@requires(Permission.CASE_WORK)
def take_report(request: MemberRequest, report_id: str) -> HttpResponse:
    """Put it into the queue, where its message is known beside that."""
    member, found = request.user, _found(request, report_id)
    if found is None:
        return answer(request, NO_REPORT)
    with recording(member, "report:take", targets=[presenting.key_of(found)], request=request) as event:
        try:
            event.detail = {"case": reported.take_report(found).key}
        except reported.AnswersLater:
            event.phase = "refused"
            return answer(request, LOOKS_STILL)
    if wants_partial(request):
        return _shown(request, found, "investigate/phishguard/_report.html", told="It is in the queue.")
    return _to_page(request, found)


def _opened(request: MemberRequest, report_id: str, template: str) -> HttpResponse:
    try:
        found = _found(request, report_id)
    except EmailSecurityError as error:
        failed = explain(error)
        context = {"explained": failed, "retry_url": request.get_full_path(), "target": "#detail"}
        return _in_place(request, template, context, failed.status)
    if found is None:
        return _in_place(request, template, {"explained": NO_REPORT}, 404)
    return _shown(request, found, template)


def _in_place(request: MemberRequest, template: str, context: dict[str, Any], status: int) -> HttpResponse:
    """A report that cannot be shown, where it was asked for and not in the notice line."""
    if not template.endswith("_report.html"):
        return render(request, "investigate/phishguard/report_failed.html", context, status=status)
    response = render(request, "errors/_upstream.html", context, status=status)
    response["HX-Retarget"], response["HX-Reswap"] = "#detail", "innerHTML"
    return response


def _shown(
    request: MemberRequest, found: PhishGuardReport, template: str, *, status: int = 200, **also: Any
) -> HttpResponse:
    member = request.user
    [shown] = presenting.shown([found], member, _criteria(request))
    reads = member.may(Permission.MESSAGE_READ_BODY)
    context = {
        "shown": shown,
        "reads_body": reads,
        "holders": [role.value.replace("_", " ") for role in roles_with(Permission.MESSAGE_READ_BODY)],
        "is_covered": reads and privacy.is_covered(member, _name(found)),
        "uncover_form": UncoverForm(),
        "may_take": member.may(Permission.CASE_WORK),
        "names_message": bool(is_id(found.fields.postfix_id or "") or (shown.case and shown.case.investigate_id)),
        **also,
    }
    return render(request, template, context, status=status)


def _template(request: MemberRequest) -> str:
    return f"investigate/phishguard/{'_report' if wants_partial(request) else 'report'}.html"


def _to_page(request: MemberRequest, found: PhishGuardReport) -> HttpResponse:
    page = reverse("investigate:phishguard_report", args=[found.id])
    return HttpResponse(status=303, headers={"Location": f"{page}?{_criteria(request).query()}"})


def _found(request: MemberRequest, report_id: str) -> PhishGuardReport | None:
    return reading.find(report_id, _criteria(request), request.user.scope)


def _criteria(request: MemberRequest) -> Criteria:
    return Criteria.from_query(request.GET.dict())


def _name(found: PhishGuardReport) -> str:
    """What a grant for reading it is kept under."""
    return storable_text(presenting.key_of(found), limit=255)
