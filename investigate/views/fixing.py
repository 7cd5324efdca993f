"""Putting a false positive right, and everything about it afterwards.

htmx gets the steps in the place of the panel, and the pieces of the first action for the places that show the message;
a plain form is led to the page of the fix.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Message
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from investigate.fixing import queries, services, words
from investigate.fixing.forms import REASONS_ID, FixForm
from investigate.fixing.plan import is_detection, plan
from investigate.fixing.services import Conflict, NotPossible
from investigate.message.visible import message_for
from investigate.models import Action, Fix
from investigate.views.actions import pieces_of
from investigate.views.asked import number_in
from settings_ui.entries import services as rules
from settings_ui.models import Entry


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def put_right(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """GET says what will happen, POST decides it."""
    if request.method != "POST":
        message = message_for(request.user, investigate_id)
        if not is_detection(message):
            raise Http404
        return _panel(request, message, FixForm(initial={"operation_key": uuid.uuid4().hex}))
    form = FixForm(request.POST)
    if not form.is_valid():
        return _panel(request, message_for(request.user, investigate_id), form, status=422)
    try:
        decided = services.put_right(
            actor=request.user,
            investigate_id=investigate_id,
            wish=form.wish(),
            operation_key=form.cleaned_data["operation_key"],
            request=request,
        )
    except Conflict as conflict:
        return _conflict(request, conflict)
    except NotPossible as reason:
        return errors.answer(request, errors.ErrorText("This cannot be done.", str(reason), "Nothing was sent.", 409))
    return _shown(request, decided)


@require_safe
@requires(Permission.MESSAGE_READ)
def fix(request: MemberRequest, fix_id: uuid.UUID) -> HttpResponse:
    """All steps with their receipts; keeps itself current until each has its end."""
    context = _context(request, _fix(request, fix_id))
    template = "investigate/fixing/_fix.html" if wants_partial(request) else "investigate/fixing/fix.html"
    return render(request, template, context)


@require_POST
@requires(Permission.MESSAGE_READ)
def undo_fix(request: MemberRequest, fix_id: uuid.UUID) -> HttpResponse:
    """Undo all of it."""
    return _changed(request, fix_id, lambda found, member: services.undo(actor=member, fix=found, request=request))


@require_POST
@requires(Permission.MESSAGE_READ)
def repeat_step(request: MemberRequest, fix_id: uuid.UUID, number: int) -> HttpResponse:
    """Do one step again that did not succeed."""
    return _changed(
        request,
        fix_id,
        lambda found, member: services.repeat(actor=member, fix=found, number=number, request=request),
    )


@require_POST
@requires(Permission.MESSAGE_READ)
def look_for_rule(request: MemberRequest, fix_id: uuid.UUID, number: int) -> HttpResponse:
    """Look now for a rule whose making had no answer."""
    return _with_rule(
        request, fix_id, number, lambda entry, member: rules.look_now(actor=member, entry=entry, request=request)
    )


@require_POST
@requires(Permission.MESSAGE_READ)
def end_rule(request: MemberRequest, fix_id: uuid.UUID, number: int) -> HttpResponse:
    """End the rule before its time."""
    return _with_rule(
        request, fix_id, number, lambda entry, member: rules.end(actor=member, entry=entry, request=request)
    )


def _with_rule(
    request: MemberRequest, fix_id: uuid.UUID, number: int, change: Callable[[Entry, Member], object]
) -> HttpResponse:
    def changed(found: Fix, member: Member) -> Fix:
        step = found.steps.select_related("entry").filter(number=number).first()
        if step is None or step.entry is None:
            raise Http404
        try:
            change(step.entry, member)
        except rules.Conflict as conflict:
            raise Conflict(str(conflict), found) from conflict
        return found

    return _changed(request, fix_id, changed)


def _changed(request: MemberRequest, fix_id: uuid.UUID, change: Callable[[Fix, Member], Fix]) -> HttpResponse:
    """Carry a change of a fix out, and show what is true afterwards."""
    try:
        changed = change(_fix(request, fix_id), request.user)
    except Conflict as conflict:
        return _conflict(request, conflict)
    except NotPossible as reason:
        return errors.answer(request, errors.ErrorText("This cannot be done.", str(reason), "Nothing was sent.", 409))
    return _shown(request, changed)


def _shown(request: MemberRequest, found: Fix) -> HttpResponse:
    if not wants_partial(request):
        return HttpResponse(status=303, headers={"Location": reverse("investigate:fix", args=[found.pk])})
    context = _context(request, found)
    acted = _newest_action(found)
    if acted is not None:
        context |= {"pieces": pieces_of(request, acted)}
    return render(request, "investigate/fixing/_started.html", context)


def _conflict(request: MemberRequest, conflict: Conflict) -> HttpResponse:
    """What stands instead, with the way to it."""
    told = ""
    if conflict.fix is not None:
        view = queries.view_of(conflict.fix, request.user)
        told = f"It is at: {view.text}. {view.sentence}".strip()
    return errors.answer(request, errors.ErrorText(str(conflict), told, "Nothing was sent.", 409))


def _panel(request: MemberRequest, message: Message, form: FixForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "message": message,
        "investigate_id": message.id,
        "plan": plan(message, request.user),
        "reasons": words.REASONS,
        "reasons_id": REASONS_ID,
    }
    template = "investigate/fixing/_panel.html" if wants_partial(request) else "investigate/fixing/put_right.html"
    return render(request, template, context, status=status)


def _context(request: MemberRequest, found: Fix) -> dict[str, Any]:
    view = queries.view_of(found, request.user)
    delay, poll = view.poll_after(min(number_in(request, "n"), 1000))
    return {"fix": found, "view": view, "delay": delay, "poll": poll, "in_panel": _is_in_panel(request, view.url)}


def _is_in_panel(request: MemberRequest, url: str) -> bool:
    """Whether the steps stand below a message, and not on the page of their own."""
    htmx = request.htmx
    return bool(htmx) and urlsplit(htmx.current_url_abs_path or "").path != url


def _newest_action(found: Fix) -> Action | None:
    """The newest action of its steps, which the row and the head of the message show."""
    step = found.steps.filter(action__isnull=False).select_related("action").order_by("-number").first()
    return step.action if step is not None else None


def _fix(request: MemberRequest, fix_id: uuid.UUID) -> Fix:
    return get_object_or_404(queries.of_member(request.user), pk=fix_id)
