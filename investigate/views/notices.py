"""Notices: who is told of what a view finds, what was sent, and whether it arrived."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.web.htmx import wants_partial
from investigate.models import NoticeRule
from investigate.notices import queries, rights, services, words
from investigate.notices.forms import FilterForm, NoticeForm, as_it_is, begun
from investigate.notices.queries import ShownNotice
from investigate.notices.services import Conflict, NotPossible
from investigate.saved.queries import views_of
from investigate.views.asked import number_in

MOST_LOOKS = 60  # a page asks by itself for what became of a notice, once a second
FARTHEST_PAGE = 1_000
DONE = {
    "made": "It is set up.",
    "saved": "Saved.",
    "on": "It is switched on. What was found while it was off is not told.",
    "off": "It is switched off.",
    "deleted": "It is deleted. What it has sent stays on the list.",
    "again": "It is sent once more.",
}


@require_safe
@requires(Permission.MESSAGE_READ)
def notices(request: MemberRequest) -> HttpResponse:
    """Who is told, and below what was sent."""
    return _list(request)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def notice_new(request: MemberRequest) -> HttpResponse:
    """Set a notice up; `?view=` chooses the view."""
    member = request.user
    if request.method != "POST":
        return _form(request, NoticeForm(member=member, initial=begun(member, number_in(request, "view"))))
    form = NoticeForm(request.POST, member=member)
    if not form.is_valid():
        return _form(request, form, status=422)
    try:
        rule, secret = services.create(actor=member, key=form.new_key(), wanted=form.wanted(), request=request)
    except Conflict:
        return _to_list("made")  # the same form, sent twice
    except NotPossible as problem:
        form.add_error(None, str(problem))
        return _form(request, form, status=422)
    return _secret(request, rule, secret) if secret else _to_list("made")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def notice(request: MemberRequest, notice_rule_id: uuid.UUID) -> HttpResponse:
    """Change a notice; whoever oversees those of others may switch them off and delete them."""
    member, rule = request.user, queries.rule_for(request.user, notice_rule_id)
    if rule.owner_id != member.pk:
        if request.method == "POST":
            return _list(request, problem="Only who set a notice up changes it.", status=409)
        return _form(request, None, rule)
    if request.method != "POST":
        return _form(request, NoticeForm(member=member, rule=rule, initial=as_it_is(rule)), rule)
    form = NoticeForm(request.POST, member=member, rule=rule)
    if not form.is_valid():
        return _form(request, form, rule, status=422)
    try:
        secret = services.change(
            actor=member,
            rule=rule,
            wanted=form.wanted(),
            version=form.cleaned_data["version"] or 0,
            request=request,
        )
    except (Conflict, NotPossible) as problem:
        form.add_error(None, str(problem))
        return _form(request, form, rule, status=409 if isinstance(problem, Conflict) else 422)
    return _secret(request, rule, secret) if secret else _to_list("saved")


@require_POST
@requires(Permission.MESSAGE_READ)
def notice_switch(request: MemberRequest, notice_rule_id: uuid.UUID) -> HttpResponse:
    """On or off; on is for its owner alone."""
    member, rule = request.user, queries.rule_for(request.user, notice_rule_id)
    is_on = request.POST.get("on") == "1"
    if is_on and rule.owner_id != member.pk:
        return _list(request, problem="Only who set a notice up switches it on.", status=409)
    try:
        services.switch(actor=member, rule=rule, is_on=is_on, version=_version(request), request=request)
    except (Conflict, NotPossible) as problem:
        return _list(request, problem=str(problem), status=409)
    return _to_list("on" if is_on else "off")


@require_POST
@requires(Permission.MESSAGE_READ)
def notice_delete(request: MemberRequest, notice_rule_id: uuid.UUID) -> HttpResponse:
    rule = queries.rule_for(request.user, notice_rule_id)
    try:
        services.delete(actor=request.user, rule=rule, version=_version(request), request=request)
    except Conflict as problem:
        return _list(request, problem=str(problem), status=409)
    return _to_list("deleted")


@require_POST
@requires(Permission.MESSAGE_READ)
def notice_try(request: MemberRequest, notice_rule_id: uuid.UUID) -> HttpResponse:
    """Send a test; the page it leads to waits for what comes of it."""
    member, rule = request.user, queries.rule_for(request.user, notice_rule_id)
    if rule.owner_id != member.pk:
        return _list(request, problem="Only who set a notice up tries it.", status=409)
    try:
        sent = services.try_now(actor=member, rule=rule, request=request)
    except NotPossible as problem:
        return _list(request, problem=str(problem), status=409)
    return HttpResponse(status=303, headers={"Location": reverse("investigate:notice_sent", args=[sent.pk])})


@require_safe
@polls("n")
@requires(Permission.MESSAGE_READ)
def notice_sent(request: MemberRequest, notice_id: uuid.UUID) -> HttpResponse:
    """One notice: what it says, and what became of it; keeps itself current while that is open."""
    member = request.user
    found = queries.notice_for(member, notice_id)
    shown, number = ShownNotice(found), number_in(request, "n")
    context = {
        "shown": shown,
        "text": queries.text_for(member, found),
        "poll": number + 1 if shown.is_open and number < MOST_LOOKS else 0,
        "announces": number > 0 and not shown.is_open,
        "done": DONE.get(request.GET.get("done", "")),
    }
    template = "investigate/notices/_outcome.html" if wants_partial(request) else "investigate/notices/sent.html"
    return render(request, template, context)


@require_POST
@requires(Permission.MESSAGE_READ)
def notice_again(request: MemberRequest, notice_id: uuid.UUID) -> HttpResponse:
    found = queries.notice_for(request.user, notice_id)
    try:
        services.send_again(actor=request.user, notice=found, request=request)
    except (Conflict, NotPossible) as problem:
        return _list(request, problem=str(problem), status=409)
    address = reverse("investigate:notice_sent", args=[found.pk])
    return HttpResponse(status=303, headers={"Location": f"{address}?done=again"})


def _list(request: MemberRequest, *, problem: str = "", status: int = 200) -> HttpResponse:
    member = request.user
    rules = queries.shown_rules(member)
    form = FilterForm(request.GET, rules=rules)
    wanted = form.cleaned_data if form.is_valid() else {"state": "", "rule": ""}
    number = min(max(1, number_in(request, "page")), FARTHEST_PAGE)
    page = queries.sent(
        member, state=wanted["state"], rule_id=uuid.UUID(wanted["rule"]) if wanted["rule"] else None, number=number
    )
    query = request.GET.copy()
    for name in ("page", "done"):
        query.pop(name, None)
    context = {
        "rules": rules,
        "form": form,
        "page": page,
        "is_filtered": bool(wanted["state"] or wanted["rule"]),
        "query": query.urlencode(),
        "why_none": "" if settings.ADDRESS else words.NO_ADDRESS,
        "has_views": bool(views_of(member)),
        "oversees": rights.oversees(member),
        "problem": problem,
        "done": DONE.get(request.GET.get("done", "")),
    }
    return render(request, "investigate/notices/list.html", context, status=status)


def _form(
    request: MemberRequest, form: NoticeForm | None, rule: NoticeRule | None = None, *, status: int = 200
) -> HttpResponse:
    member = request.user
    why_none = "" if settings.ADDRESS else words.NO_ADDRESS
    if not why_none and form is not None:
        why_none = _why_no_form(request, form)
    context: dict[str, Any] = {
        "form": form,
        "rule": rule,
        "is_own": rule is None or rule.owner_id == member.pk,
        "why_none": why_none,
    }
    return render(request, "investigate/notices/form.html", context, status=status)


def _why_no_form(request: MemberRequest, form: NoticeForm) -> str:
    member = request.user
    if not form.has_channels:
        return words.NO_MAIL + " Webhooks need the right to send notices to others and to other systems."
    if not form.tells_others and not member.email:
        return "Your account has no e-mail address, and a notice to others needs the right to send them."
    if not form.views:
        return "There is no view to be told of. Save a search as a view first."
    return ""


def _secret(request: MemberRequest, rule: NoticeRule, secret: str) -> HttpResponse:
    response = render(request, "investigate/notices/secret.html", {"rule": rule, "secret": secret})
    response["Cache-Control"] = "no-store"
    return response


def _to_list(said: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": f"{reverse('investigate:notices')}?done={said}"})


def _version(request: MemberRequest) -> int:
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
