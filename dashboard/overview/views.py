"""The overview. What waits for the member is counted at once; the figures are shared, and come in when counted."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.overview import figures, monthly, needs, sharing
from dashboard.overview.pictures import monthly as monthly_picture
from dashboard.overview.pictures import pictures
from dashboard.overview.sharing import Shared
from dashboard.overview.spans import Span
from dashboard.web.context import Frame


@require_safe
@requires(Permission.MESSAGE_READ)
def home(request: MemberRequest) -> HttpResponse:
    """The whole page, with the figures there are: it waits for no count, unless somebody without scripts asks."""
    member, span = request.user, Span.named(request.GET.get("range", ""))
    found = _counted(member, span) if "count" in request.GET else sharing.stored(_key(member, span))
    frame = Frame(request)
    context = {"frame": frame, "needs": needs.needs_of(frame), **_shown(member, span, found)}
    return render(request, "overview/overview.html", context)


@polls()
@require_safe
@requires(Permission.MESSAGE_READ)
def needs_now(request: MemberRequest) -> HttpResponse:
    """What waits for the member, as the page asks again every 15 s."""
    frame = Frame(request)
    return render(request, "overview/_needs.html", {"frame": frame, "needs": needs.needs_of(frame)})


@polls()
@require_safe
@requires(Permission.MESSAGE_READ)
def figures_now(request: MemberRequest) -> HttpResponse:
    """The figures of a range, counted here where they are too old and nobody else counts them."""
    member, span = request.user, Span.named(request.GET.get("range", ""))
    return render(request, "overview/_figures.html", _shown(member, span, _counted(member, span)))


def _counted(member: Member, span: Span) -> Shared:
    return sharing.counted(_key(member, span), lambda: figures.count(member, span.at(timezone.now())), fresh=span.fresh)


def _key(member: Member, span: Span) -> str:
    return sharing.key_for(f"figures:{figures.form()}:{span}", member.scope)


def _shown(member: Member, span: Span, found: Shared) -> dict[str, Any]:
    report = monthly.report() if member.scope.is_whole else Shared({}, None)
    return {
        "span": span,
        "spans": list(Span),
        "found": found,
        "is_fresh": found.is_younger_than(span.fresh),
        "shown": pictures(found.figures, span) if found.figures else None,
        "pending": needs.pending(member),
        "shows_load": member.may(Permission.CASE_WORK) or member.may(Permission.AUDIT_READ),
        "by_month": monthly_picture(report.figures),
        "report": report,
    }
