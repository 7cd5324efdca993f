"""A rule from a message: block its sender, accept it for a time, guard a name it misuses; and what became of it.

htmx gets the panel below the message and, in its place, what became of the rule; a plain form is led to a page of its
own. Rules hold for the whole account, so members limited to some domains make none.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Message
from dashboard.web import errors
from dashboard.web.errors import ErrorText
from dashboard.web.htmx import wants_partial
from investigate.fixing.plan import is_detection, sender_of
from investigate.message.notice import own_domains
from investigate.message.visible import message_for
from investigate.rules import matching, plan, queries, services, standing, words
from investigate.rules.candidates import candidate_named
from investigate.rules.forms import PRESETS_ID, AllowForm, BlockForm, GuardForm, RuleForm
from investigate.rules.queries import RuleView
from investigate.rules.services import Conflict, NotAccepted, NotPossible
from investigate.views.asked import number_in
from settings_ui.changes import services as engine
from settings_ui.entries import services as rules
from settings_ui.models import Change, Entry


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_BLOCK, whole=True)
@requires(Permission.MESSAGE_READ, whole=True)
def block_sender(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """GET shows whom the message names and what blocking each would do, POST does it."""
    if request.method != "POST":
        return _block_panel(request, message_for(request.user, investigate_id), BlockForm(initial=_key()))
    form = BlockForm(request.POST)
    if not form.is_valid():
        return _block_panel(request, message_for(request.user, investigate_id), form, status=422)
    try:
        change = services.block(actor=request.user, investigate_id=investigate_id, **form.cleaned_data, request=request)
    except NotAccepted as wrong:
        _add_errors(form, wrong.problems, instead="candidate")
        return _block_panel(request, message_for(request.user, investigate_id), form, status=422)
    except (NotPossible, Conflict) as problem:
        return _refused(request, problem)
    return _shown(request, queries.view_of(change, request.user))


@require_safe
@requires(Permission.POLICY_BLOCK, whole=True)
@requires(Permission.MESSAGE_READ, whole=True)
def try_block(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """How much recent mail a block would have refused; asked for by a panel that is open, until it is known."""
    message = message_for(request.user, investigate_id)
    candidate = candidate_named(message, request.GET.get("candidate", ""))
    if candidate is None:
        raise Http404
    number = number_in(request, "n")
    context = {
        "tried": matching.tried(candidate),
        "candidate": candidate,
        "investigate_id": message.id,
        "search": matching.search_for(candidate),
        "next": number + 1 if number < matching.MOST_TRIES else 0,
    }
    return render(request, "investigate/rules/_tried.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_ACCEPT, whole=True)
@requires(Permission.MESSAGE_READ, whole=True)
def allow_sender(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """GET says what the narrowest rule would allow, POST makes it."""
    if request.method != "POST":
        return _allow_panel(request, message_for(request.user, investigate_id), AllowForm(initial=_key()))
    form = AllowForm(request.POST)
    if not form.is_valid():
        return _allow_panel(request, message_for(request.user, investigate_id), form, status=422)
    try:
        entry = services.allow(
            actor=request.user,
            investigate_id=investigate_id,
            expires_at=form.expires_at(),
            reason=form.cleaned_data["reason"],
            operation_key=form.cleaned_data["operation_key"],
            request=request,
        )
    except (NotPossible, Conflict) as problem:
        return _refused(request, problem)
    return _shown(request, queries.accepted_view(entry, request.user))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_WRITE, whole=True)
@requires(Permission.MESSAGE_READ, whole=True)
def guard_name(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """GET shows the name the message writes under, POST puts it on the impersonation registry."""
    if request.method != "POST":
        message = message_for(request.user, investigate_id)
        form = GuardForm(initial={**_key(), "name": " ".join((message.from_name or "").split())})
        return _guard_panel(request, message, form)
    form = GuardForm(request.POST)
    if not form.is_valid():
        return _guard_panel(request, message_for(request.user, investigate_id), form, status=422)
    try:
        change = services.guard(actor=request.user, investigate_id=investigate_id, **form.cleaned_data, request=request)
    except NotAccepted as wrong:
        _add_errors(form, wrong.problems, instead="name")
        return _guard_panel(request, message_for(request.user, investigate_id), form, status=422)
    except (NotPossible, Conflict) as problem:
        return _refused(request, problem)
    return _shown(request, queries.view_of(change, request.user))


@require_safe
@polls("n")
@requires(Permission.MESSAGE_READ, whole=True)
def rule(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    """What became of a rule; keeps itself current while that is open."""
    return _outcome(request, queries.view_of(_change(request, change_id), request.user))


@require_POST
@requires(Permission.MESSAGE_READ, whole=True)
def look_at_rule(request: MemberRequest, change_id: uuid.UUID) -> HttpResponse:
    """Look an unknown outcome up now."""
    change = _change(request, change_id)
    try:
        engine.look_now(actor=request.user, change=change, request=request)
    except engine.Conflict as conflict:
        return _refused(request, conflict)
    return _shown(request, queries.view_of(_change(request, change_id), request.user))


@require_safe
@polls("n")
@requires(Permission.MESSAGE_READ, whole=True)
def accepted(request: MemberRequest, entry_id: uuid.UUID) -> HttpResponse:
    """What became of a sender that was accepted."""
    return _outcome(request, queries.accepted_view(_entry(request, entry_id), request.user))


@require_POST
@requires(Permission.MESSAGE_READ, whole=True)
def undo_accepted(request: MemberRequest, entry_id: uuid.UUID) -> HttpResponse:
    """Undo it while it was not sent yet."""
    entry = _entry(request, entry_id)
    if not rules.withdraw(actor=request.user, entry=entry, request=request):
        return _refused(request, Conflict("Too late to undo."))
    return _shown(request, queries.accepted_view(_entry(request, entry_id), request.user))


def _block_panel(request: MemberRequest, message: Message, form: BlockForm, *, status: int = 200) -> HttpResponse:
    member = request.user
    offered = plan.choices(message, member)
    chosen = form["candidate"].value() if form.is_bound else ""
    by_name = {choice.candidate.name: choice for choice in offered if choice.is_possible}
    context = {
        "choices": offered,
        "chosen": by_name.get(chosen) or plan.first_possible(offered),
        "no_sender": "" if offered else words.NO_SENDER,
        "presets": words.BLOCK_REASONS,
    }
    return _panel(request, "block", message, form, context, status=status)


def _allow_panel(request: MemberRequest, message: Message, form: AllowForm, *, status: int = 200) -> HttpResponse:
    member, address = request.user, sender_of(message)
    values = {"pattern": address, "pattern_type": "EMAIL", "is_acceptable_sender": True, "verify_sender": True}
    step = services.acceptance(message, member)
    may_write = member.may(Permission.POLICY_WRITE)
    context = {
        "address": address,
        "why_not": step.why_not,
        "note": step.note if is_detection(message) else "",
        "conflicts": plan.allow_conflicts(message, values, candidate_named(message, "from")),
        "stands": standing.standing([address]) if address else [],
        "full_form": plan.full_form(plan.ALLOW_POLICIES.slug, values) if may_write else "",
        "presets": words.ALLOW_REASONS,
    }
    return _panel(request, "allow", message, form, context, status=status)


def _guard_panel(request: MemberRequest, message: Message, form: GuardForm, *, status: int = 200) -> HttpResponse:
    domains = sorted({*own_domains(message)})
    form.fields["email"].help_text = words.true_address(domains[0] if len(domains) == 1 else "")
    values = {"name": form["name"].value() or "", "email": form["email"].value() or ""}
    context = {
        "no_name": "" if message.from_name else words.NO_NAME,
        "full_form": plan.full_form(plan.REGISTRY.slug, values),
        "presets": words.GUARD_REASONS,
    }
    return _panel(request, "guard", message, form, context, status=status)


def _panel(
    request: MemberRequest, which: str, message: Message, form: RuleForm, context: Mapping[str, Any], *, status: int
) -> HttpResponse:
    panel = f"investigate/rules/_{which}.html"
    template = panel if wants_partial(request) else "investigate/rules/page.html"
    return render(
        request,
        template,
        {
            **context,
            "form": form,
            "message": message,
            "investigate_id": message.id,
            "may_read": queries.may_read(request.user),
            "presets_id": PRESETS_ID,
            "panel": panel,
            "title": {"block": "Block the sender", "allow": "Allow the sender", "guard": "Guard the name"}[which],
        },
        status=status,
    )


def _shown(request: MemberRequest, view: RuleView) -> HttpResponse:
    """What is true now, in the place of the panel; without scripts the page that says so."""
    if not wants_partial(request):
        return HttpResponse(status=303, headers={"Location": view.url})
    delay, poll = view.poll_after(0)
    context = {"view": view, "delay": delay, "poll": poll, "announces": True}
    return render(request, "investigate/rules/_outcome.html", context)


def _outcome(request: MemberRequest, view: RuleView) -> HttpResponse:
    number = number_in(request, "n")
    delay, poll = view.poll_after(number)
    is_over = number > 0 and not view.is_open
    context = {"view": view, "delay": delay, "poll": poll, "announces": is_over and wants_partial(request)}
    template = "investigate/rules/_outcome.html" if wants_partial(request) else "investigate/rules/rule.html"
    return render(request, template, context)


def _refused(request: MemberRequest, problem: Exception) -> HttpResponse:
    """What stands in the way; what was typed stays in the panel."""
    told = "Nothing was sent."
    if isinstance(problem, Conflict) and problem.stands is not None:
        told = problem.stands.sentence
    return errors.answer(request, ErrorText("This was not done.", str(problem), told, 409))


def _add_errors(form: RuleForm, problems: Mapping[str, str], *, instead: str) -> None:
    """Each sentence at its field; what concerns a field that nobody fills in here goes to the one that stands for it.

    What is sent next is another decision, so it gets another key: this one may stand for a try that failed.
    """
    for name, told in problems.items():
        form.add_error(name if name in form.fields else instead, told)
    form.data = {**{name: form[name].value() for name in form.fields}, **_key()}


def _key() -> dict[str, str]:
    return {"operation_key": uuid.uuid4().hex}


def _change(request: MemberRequest, change_id: uuid.UUID) -> Change:
    change = queries.one_change(change_id, request.user)
    if change is None:
        raise Http404
    return change


def _entry(request: MemberRequest, entry_id: uuid.UUID) -> Entry:
    return get_object_or_404(queries.accepted_of(request.user), pk=entry_id)
