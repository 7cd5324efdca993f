"""Changes of the settings: the list, one as it goes, and what people do about it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, recently_proved, requires
from dashboard.access.roles import Permission
from dashboard.access.sessions import has_proved
from dashboard.audit.chain import storable_text
from dashboard.audit.refusals import record_refusal
from dashboard.web import errors
from dashboard.web.errors import ErrorText
from dashboard.web.htmx import wants_partial
from settings_ui.changes import planning, presenting, rights, services, words
from settings_ui.changes.approving import LONGEST_COMMENT
from settings_ui.changes.presenting import LINES_PER_PAGE, PER_PAGE, Asked, ChangeView
from settings_ui.models import Change, ChangeState, Line, Verb
from settings_ui.resources import BY_NAME, RESOURCES
from settings_ui.tables import dry_run
from settings_ui.tables import words as table_words

PROOF_MINUTES = 10


class ConfirmForm(forms.Form):
    """Why a dry run shall happen."""

    reason = forms.CharField(
        required=False, max_length=services.LONGEST_REASON, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    ticket = forms.CharField(
        required=False, max_length=services.LONGEST_TICKET, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    dangers = forms.BooleanField()

    def __init__(self, *args: Any, dangerous: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not dangerous:
            del self.fields["dangers"]
            return
        said = table_words.dangerous(dangerous)
        field = self.fields["dangers"]
        field.label = f"Yes, {said[0].lower()}{said[1:]} too"
        field.error_messages["required"] = f"{said} would be sent: read why, then tick that it is meant."


class DecisionForm(forms.Form):
    """Yes or no is in the button; a no says why."""

    comment = forms.CharField(
        required=False,
        max_length=LONGEST_COMMENT,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the change and in the audit trail; who asked reads it. A refusal needs one.",
    )
    fingerprint = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def changes(request: MemberRequest) -> HttpResponse:
    """All changes, newest first; what waits for the member's decision stands above them."""
    member = request.user
    given = {name: storable_text(request.GET.get(name, "")[:300]) for name in ("show", "resource", "state", "who")}
    asked = Asked(**given)
    page = Paginator(presenting.listed(member, asked), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "views": presenting.of_list(member, page.object_list),
        "page": page,
        "asked": asked,
        "query": urlencode({name: value for name, value in given.items() if value}),
        "waiting": presenting.waiting_for(member) if asked.is_everything and page.number == 1 else [],
        "shows": presenting.SHOWS,
        "resources": [(resource.name, resource.title) for resource in RESOURCES],
        "states": [(state.value, words.short(Change(state=state)).capitalize()) for state in ChangeState],
        "names": presenting.names(),
    }
    return render(request, "settings_ui/changes/list.html", context)


@require_safe
@polls("part")
@requires(Permission.POLICY_READ, whole=True)
def change(request: MemberRequest, change_id: uuid.UUID) -> HttpResponseBase:
    """The dry run while nothing is decided, then the change as it goes; `?part=` is what keeps that current."""
    found = _found(change_id)
    part = request.GET.get("part", "")
    if wants_partial(request) and part in ("progress", "receipt"):
        return _part(request, found, part)
    if "prove" in request.GET and not _is_proved(request):
        return _proving(request, found)
    return _page(request, found)


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def lines(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    """The lines of a change, all or some of them, a page at a time."""
    found = _found(change_id)
    show, verb = request.GET.get("show", ""), request.GET.get("verb", "")
    page = Paginator(presenting.lines_of(found, show=show, verb=verb), LINES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "view": ChangeView(found, request.user),
        "change": found,
        "page": page,
        "filters": presenting.FILTERS,
        "show": show,
        "verb": verb,
        **_shown(found, page.object_list, verb),
    }
    return render(request, "settings_ui/changes/lines.html", context)


@require_POST
@requires(Permission.POLICY_READ, whole=True)
def confirm(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    """Let a dry run happen."""
    found = _found(change_id)
    form = ConfirmForm(request.POST, dangerous=dry_run.dangerous(found))
    if not form.is_valid():
        return _page(request, found, form=form, status=422)
    try:
        services.confirm(
            actor=request.user,
            change=found,
            fingerprint=request.POST.get("fingerprint", ""),
            reason=form.cleaned_data["reason"],
            ticket=form.cleaned_data["ticket"],
            request=request,
        )
    except (services.Conflict, services.NotPossible) as problem:
        form.add_error(None, str(problem))
        return _page(request, _found(change_id), form=form, status=409)
    return _to(found)


@require_POST
@requires(Permission.POLICY_READ, whole=True)
def cancel(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    return _changed(request, change_id, services.cancel)


@require_POST
@requires(Permission.POLICY_READ, whole=True)
def undo(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    return _changed(request, change_id, services.undo)


@require_POST
@requires(Permission.POLICY_READ, whole=True)
def retry(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    return _changed(request, change_id, services.retry)


@require_POST
@requires(Permission.POLICY_READ, whole=True)
def look(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    return _changed(request, change_id, services.look_now)


@require_POST
@requires(Permission.APPROVAL_DECIDE, whole=True)
@requires(Permission.POLICY_READ, whole=True)
@recently_proved(PROOF_MINUTES)
def approve(request: MemberRequest, change_id: uuid.UUID) -> HttpResponseBase:
    return _decided(request, change_id, services.approve)


@require_POST
@requires(Permission.APPROVAL_DECIDE, whole=True)
@requires(Permission.POLICY_READ, whole=True)
@recently_proved(PROOF_MINUTES)
def refuse(request: MemberRequest, change_id: uuid.UUID) -> HttpResponseBase:
    def say_no(*, fingerprint: str, **what: Any) -> Change:  # noqa: ARG001  a no is a no, whatever was shown
        return services.refuse(**what)

    return _decided(request, change_id, say_no)


def _decided(request: MemberRequest, change_id: uuid.UUID, decide: Callable[..., Change]) -> HttpResponse:
    """Who lends a special right has just proved who they are. While it waits for somebody, what was typed stays."""
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _page(request, _found(change_id), form=form, status=422)
    try:
        return _changed(request, change_id, decide, **form.cleaned_data)
    except services.NotPossible as problem:
        form.add_error("comment", str(problem))
        return _page(request, _found(change_id), form=form, status=422)
    except services.Conflict as problem:
        found = _found(change_id)
        if not ChangeView(found, request.user).is_pending:
            return _not_done(request, problem)
        form.add_error(None, str(problem))
        return _page(request, found, form=form, status=409)


def _changed(request: MemberRequest, change_id: uuid.UUID, do: Callable[..., Change], **given: Any) -> HttpResponse:
    """Carry it out, and lead to what is true afterwards. `given`: what a form said; it shows what stood in the way."""
    found = _found(change_id)
    try:
        do(actor=request.user, change=found, request=request, **given)
    except services.Conflict as problem:
        if given:
            raise
        return _not_done(request, problem)
    except services.NotPossible as problem:
        if given:
            raise
        return errors.answer(request, ErrorText("This was not done.", str(problem), "Nothing was sent.", 409))
    except PermissionDenied as problem:
        if str(problem) in {permission.value for permission in Permission}:
            raise
        record_refusal(request, str(problem))
        return errors.answer(request, ErrorText("This is not yours to do.", str(problem), "Nothing was sent.", 403))
    return _to(found)


def _not_done(request: MemberRequest, problem: services.Conflict) -> HttpResponse:
    advice = "Open the change again to see how it stands."
    return errors.answer(request, ErrorText("This was not done.", str(problem), advice, 409))


def _page(
    request: MemberRequest,
    found: Change,
    *,
    form: forms.Form | None = None,
    status: int = 200,
) -> HttpResponse:
    member = request.user
    view = ChangeView(found, member)
    context: dict[str, Any] = {"change": found, "view": view, **_progress(request, view)}
    if view.is_draft:
        run = dry_run.of(found)
        why = {"reason": found.reason, "ticket": found.ticket}
        context |= {
            "run": run,
            "may_confirm": view.is_mine and rights.holds(member, [Permission(found.permission)]),
            "form": form or ConfirmForm(initial=why, dangerous=run.dangerous),
        }
        return render(request, "settings_ui/changes/change.html", context, status=status)
    if view.is_pending:
        may_decide = not view.why_not_decide
        context |= {
            "may_decide": may_decide,
            "needs_proof": may_decide and not _is_proved(request),
            "form": form or DecisionForm(initial={"fingerprint": found.fingerprint}),
        }
    context |= _first_lines(found)
    return render(request, "settings_ui/changes/change.html", context, status=status)


def _part(request: MemberRequest, found: Change, part: str) -> HttpResponse:
    """What moves, or 204 where it is as the page shows it."""
    view = ChangeView(found, request.user)
    if request.GET.get("known", "") == view.stamp and view.is_polling:
        return HttpResponse(status=204)
    context = {"change": found, "view": view, "oob": True, **_progress(request, view)}
    if part == "receipt":
        context["lines"] = presenting.first_lines(found)[:PER_PAGE]
        return render(request, "settings_ui/changes/_receipt.html", context)
    if not view.is_polling:
        context |= _first_lines(found)
    return render(request, "settings_ui/changes/_progress.html", context)


def _progress(request: MemberRequest, view: ChangeView) -> dict[str, Any]:
    now = timezone.now()
    since = request.GET.get("since", "")
    seconds = int(since) if since.isascii() and since.isdigit() and len(since) < 12 else int(now.timestamp())
    opened = dt.datetime.fromtimestamp(min(seconds, int(now.timestamp())), dt.UTC)
    return {"since": seconds, "every": presenting.every(opened, now), "stamp": view.stamp}


def _first_lines(found: Change) -> dict[str, Any]:
    wanted = presenting.first_lines(found)
    return {"rows": presenting.line_views(wanted[:PER_PAGE]), "number": wanted.count(), "per_page": PER_PAGE}


def _shown(found: Change, page: Any, verb: str) -> dict[str, Any]:
    """The lines of a page: of a dry run as that shows them, else with what became of them."""
    if found.state != ChangeState.DRAFT or verb not in Verb.values:
        return {"rows": presenting.line_views(page)}
    run = dry_run.of(found, shown=0)
    rows = dry_run.rows(BY_NAME[found.resource], cast("QuerySet[Line]", page))
    return {"run": run, "listed": dry_run.Block(Verb(verb), run.counts.get(Verb(verb), 0), rows, is_page=True)}


def _proving(request: MemberRequest, found: Change) -> HttpResponseBase:
    """Ask for the proof, and come back to the change."""

    def back(_request: MemberRequest) -> HttpResponse:
        return _to(found)

    return recently_proved(PROOF_MINUTES)(back)(request)


def _is_proved(request: MemberRequest) -> bool:
    return has_proved(request, seconds=PROOF_MINUTES * 60)


def _found(change_id: uuid.UUID) -> Change:
    found: Change = get_object_or_404(planning.of_account().select_related("actor", "decided_by"), pk=change_id)
    return found


def _to(found: Change) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": reverse("settings:change", args=[found.pk])})
