"""Requests for a second person: the lists, one with exactly what will happen, and the decision."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.decorators import MemberRequest, recently_proved, requires
from dashboard.access.roles import Permission
from dashboard.access.sessions import has_proved
from dashboard.audit.refusals import record_refusal
from dashboard.web import errors
from dashboard.web.errors import ErrorText
from dashboard.web.htmx import wants_partial
from investigate.approvals import queries, services
from investigate.approvals.forms import DecisionForm
from investigate.approvals.queries import ApprovalView
from investigate.approvals.rights import special
from investigate.approvals.services import Conflict, NotPossible, NotYours
from investigate.bulk.progress import JobView
from investigate.bulk.upstream import presenting
from investigate.models import Action, Approval, ApprovalState, BulkJob
from investigate.views.asked import number_in

PROOF_MINUTES = 10


@require_safe
@requires(Permission.MESSAGE_READ)
def approvals(request: MemberRequest) -> HttpResponse:
    """Requests for me, mine, and all; it opens with what the member can do something about."""
    member = request.user
    may_decide = member.may(Permission.APPROVAL_DECIDE)
    show = request.GET.get("show", "" if may_decide else "mine")
    views = queries.listed(member, show)
    if show == "mine":
        services.mark_seen(member, [view.approval for view in views])
    listed = queries.with_settings(member, views, show)
    context = {"views": listed, "show": show, "shows": queries.SHOWS, "may_decide": may_decide}
    return render(request, "investigate/approvals/list.html", context)


@require_safe
@requires(Permission.MESSAGE_READ)
def approval(request: MemberRequest, approval_id: uuid.UUID) -> HttpResponseBase:
    """One request: exactly what will happen, and the decision; `?part=state` is what keeps its state current."""
    found = _approval(request, approval_id)
    services.mark_seen(request.user, [found])
    if wants_partial(request) and request.GET.get("part") == "state":
        view = queries.view_of(found, request.user)
        known = request.GET.get("known", "")
        if known == _stamp(view):
            return HttpResponse(status=204)
        was_pending = known.startswith(ApprovalState.PENDING)
        context = {"view": view, "stamp": _stamp(view), "oob": True, "was_pending": was_pending}
        return render(request, "investigate/approvals/_state.html", context)
    if "prove" in request.GET and not _is_proved(request):
        return _proving(request, found)
    return _page(request, found, DecisionForm(initial={"fingerprint": found.fingerprint}))


@require_POST
@requires(Permission.APPROVAL_DECIDE)
def approve_request(request: MemberRequest, approval_id: uuid.UUID) -> HttpResponseBase:
    return _decided(request, _approval(request, approval_id), _approve)


@require_POST
@requires(Permission.APPROVAL_DECIDE)
def refuse_request(request: MemberRequest, approval_id: uuid.UUID) -> HttpResponseBase:
    return _decided(request, _approval(request, approval_id), _refuse)


@require_POST
@requires(Permission.MESSAGE_READ)
def withdraw_request(request: MemberRequest, approval_id: uuid.UUID) -> HttpResponse:
    """Who asked wants it no more."""
    found = _approval(request, approval_id)
    return _changed(request, lambda: services.withdraw(actor=request.user, approval=found, request=request))


@require_POST
@requires(Permission.MESSAGE_READ)
def undo_request(request: MemberRequest, approval_id: uuid.UUID) -> HttpResponse:
    """Undo what was approved, while its time for that runs."""
    found = _approval(request, approval_id)
    return _changed(request, lambda: services.take_back(actor=request.user, approval=found, request=request))


def _decided(
    request: MemberRequest, found: Approval, decide: Callable[[MemberRequest, Approval], HttpResponse]
) -> HttpResponseBase:
    """Who lends a special right has just proved who they are."""
    if special(found.permissions):
        return recently_proved(PROOF_MINUTES)(decide)(request, found)
    return decide(request, found)


def _approve(request: MemberRequest, found: Approval) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    actor = request.user
    return _changed(
        request, lambda: services.approve(actor=actor, approval=found, **form.cleaned_data, request=request)
    )


def _refuse(request: MemberRequest, found: Approval) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    actor, comment = request.user, form.cleaned_data["comment"]
    try:
        return _changed(request, lambda: services.refuse(actor=actor, approval=found, comment=comment, request=request))
    except NotPossible as problem:
        form.add_error("comment", str(problem))
        return _page(request, found, form, status=422)


def _changed(request: MemberRequest, change: Callable[[], Approval]) -> HttpResponse:
    """Carry it out, and lead to what is true afterwards."""
    try:
        changed = change()
    except NotYours as problem:
        record_refusal(request, str(problem))
        text = ErrorText("This is not yours to decide.", str(problem), "Nothing was sent.", 403)
        return errors.answer(request, text)
    except Conflict as problem:
        advice = "Open the request again to see how it stands."
        return errors.answer(request, ErrorText("This was not done.", str(problem), advice, 409))
    return HttpResponse(status=303, headers={"Location": _url(changed)})


def _page(request: MemberRequest, found: Approval, form: DecisionForm, *, status: int = 200) -> HttpResponse:
    member = request.user
    view = queries.view_of(found, member)
    may_decide = view.is_pending and not view.why_not
    context: dict[str, Any] = {
        "view": view,
        "approval": found,
        "stamp": _stamp(view),
        "form": form,
        "may_decide": may_decide,
        "needs_proof": may_decide and special(found.permissions) and not _is_proved(request),
    }
    match view.about:
        case Action():
            context["shown"] = queries.shown(view.about)
        case BulkJob() as job:
            context |= {"job": job, "job_view": JobView(job, member)}
            if view.is_pending:
                shown = queries.rehearsed(job, member, sample=number_in(request, "sample"))
                context |= {"rehearsal": shown, "summary": shown.summary, "acted_on": queries.acted_on_since(job)}
        case upstream:
            verdicts = upstream.counted.get("verdicts", {})
            named = [(verdict, presenting.verdict_word(verdict), number) for verdict, number in verdicts.items()]
            terms = presenting.terms_of(upstream.request.get("search_params", {}))
            context |= {"upstream": upstream, "verdicts": named, "terms": terms}
    return render(request, "investigate/approvals/detail.html", context, status=status)


def _proving(request: MemberRequest, found: Approval) -> HttpResponseBase:
    """Ask for the proof, and come back to the request."""

    def back(_request: MemberRequest) -> HttpResponse:
        return HttpResponse(status=303, headers={"Location": _url(found)})

    return recently_proved(PROOF_MINUTES)(back)(request)


def _is_proved(request: MemberRequest) -> bool:
    return has_proved(request, seconds=PROOF_MINUTES * 60)


def _stamp(view: ApprovalView) -> str:
    """What of a request can change, in a word."""
    return f"{view.approval.state}-{view.about.state}"


def _approval(request: MemberRequest, approval_id: uuid.UUID) -> Approval:
    """What lies outside a member's domains does not exist for them."""
    found = queries.visible(request.user).select_related("action", "job", "upstream_job", "requested_by", "decided_by")
    return get_object_or_404(found, pk=approval_id)


def _url(found: Approval) -> str:
    return reverse("investigate:approval", args=[found.pk])
