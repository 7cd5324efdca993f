"""The forms of the settings rooms: a new entry, an edit of one, and trying a pattern on recent mail.

Each is a page of its own and the pane beside the list. Whatever happens, what was typed stands there again.
"""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.emailsec.errors import EmailSecurityError, NotFound
from dashboard.upstream.connection import get_client
from settings_ui.changes import services
from settings_ui.entries.life import Life, LifeForm
from settings_ui.forms.building import form_for, proposed
from settings_ui.forms.dangers import early, warnings_of
from settings_ui.forms.merging import merge
from settings_ui.forms.opened import Opened
from settings_ui.forms.reasons import ReasonForm
from settings_ui.forms.trying import tried
from settings_ui.views.form_pages import FormPage, in_form, key_of, writable

MOST_TURNS = 60  # a try that goes on searching asks again so many times


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_READ, whole=True)
def new(request: MemberRequest, slug: str) -> HttpResponse:
    """An entry that is made; the address may propose values by the names of its fields."""
    resource = writable(request, slug)
    page = FormPage(request, resource)
    if not get_client().offers(resource.name, "create"):
        return page.closed(
            f"This account's API cannot add a {resource.singular}.",
            "Add it in Cloudflare's dashboard; it appears here.",
        )
    if request.method != "POST":
        life = in_form(LifeForm(resource=resource, life=Life(owner_id=page.member.pk)))
        return page.asked(form_for(resource, proposed(resource, request.GET)), life)
    form = form_for(resource, data=request.POST)
    life = in_form(LifeForm(request.POST, resource=resource))
    if not (form.is_valid() & life.is_valid()):
        return page.asked(form, life, status=422)
    warnings = warnings_of(resource, form.values)
    if not warnings.are_accepted(request.POST.get("accepted", "")):
        return page.asked(form, life, warnings=warnings, status=422)
    kept = life.life()
    try:
        change = services.create(
            actor=page.member,
            resource=resource,
            values=form.values,
            life=kept,
            reason=kept.reason,
            ticket=kept.ticket,
            accepted=warnings.codes,
            operation_key=key_of(request),
            request=request,
        )
    except (services.Conflict, services.NotPossible, EmailSecurityError) as problem:
        return page.refused(form, life, problem)
    return page.settled(form, life, change)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_READ, whole=True)
def edit(request: MemberRequest, slug: str, entry_id: str) -> HttpResponse:
    """An edit of an entry. Nothing that changed since it was opened is overwritten."""
    resource = writable(request, slug)
    page = FormPage(request, resource, entry_id)
    if request.method != "POST":
        return _opened(page, entry_id)
    opened = Opened.read(request.POST.get("base", ""), resource=resource, entry_id=entry_id)
    if opened is None:
        return _opened(page, entry_id, typed=True)
    reasons = in_form(ReasonForm(request.POST))
    form = form_for(resource, opened.values if opened.was is None else opened.was, request.POST, is_new=False)
    if not (form.is_valid() & reasons.is_valid()):
        return page.asked(form, reasons, base=opened, status=422)
    if opened.was is not None:
        merged = merge(resource, was=opened.was, theirs=opened.values, mine=form.values, chosen=request.POST)
        if merged.is_open:
            return page.changed_meanwhile(form, reasons, opened, merged, is_asked_again=True)
        opened = Opened(entry_id, opened.values)
        form = form_for(resource, opened.values, merged.values, is_new=False)
        if not form.is_valid():
            return page.asked(form, reasons, base=opened, status=422)
    if not resource.changes(opened.values, form.values):
        form.add_error(None, "Nothing is different from what is there, so nothing was sent.")
        return page.asked(form, reasons, base=opened, status=422)
    warnings = warnings_of(resource, form.values, before=opened.values, entry_id=entry_id)
    if not warnings.are_accepted(request.POST.get("accepted", "")):
        return page.asked(form, reasons, base=opened, warnings=warnings, status=422)
    given = reasons.cleaned_data
    try:
        change = services.edit(
            actor=page.member,
            resource=resource,
            entry_id=entry_id,
            before=opened.values,
            after=form.values,
            reason=given["reason"],
            ticket=given["ticket"],
            accepted=warnings.codes,
            operation_key=key_of(request),
            request=request,
        )
    except services.ChangedMeanwhile as meanwhile:
        if meanwhile.theirs is None:
            return page.gone(form, reasons)
        theirs = Opened(entry_id, meanwhile.theirs.values(), was=opened.values)
        compared = merge(resource, was=opened.values, theirs=theirs.values, mine=form.values, chosen={})
        return page.changed_meanwhile(form, reasons, theirs, compared)
    except (services.Conflict, services.NotPossible, EmailSecurityError) as problem:
        return page.refused(form, reasons, problem, base=opened)
    return page.settled(form, reasons, change, base=opened)


@require_POST
@polls("again")
@requires(Permission.POLICY_READ, whole=True)
def try_pattern(request: MemberRequest, slug: str) -> HttpResponse:
    """What the pattern of the form would have matched among recent mail; asked while somebody types it.

    Who may not see messages is told what is dangerous about it, and no more.
    """
    resource = writable(request, slug)
    form = form_for(resource, data=request.POST)
    form.is_valid()
    unasked = {field.name for field in resource.sent if field.is_fixed and field.name not in request.POST}
    is_right = set(form.errors) <= unasked  # an edit does not ask for what never changes
    turn = request.GET.get("again", "")
    turns = int(turn) if turn.isascii() and turn.isdigit() and len(turn) < 4 else 0
    may_see = request.user.may(Permission.MESSAGE_READ)
    context = {
        "tried": tried(form) if may_see else None,
        "is_closed": not may_see,
        "early": early(resource, form.cleaned_data) if is_right else [],
        "url": reverse("settings:try", args=[slug]),
        "again": turns + 1 if turns < MOST_TURNS else "",
    }
    return render(request, "settings_ui/forms/_tried.html", context)


def _opened(page: FormPage, entry_id: str, *, typed: bool = False) -> HttpResponse:
    """The form of an entry as it is now; `typed`: with what was posted, whose own base could not be read."""
    resource, request = page.resource, page.request
    try:
        entry = get_client().entry(resource.name, entry_id)
    except NotFound:
        return page.gone()
    except EmailSecurityError as problem:
        if not typed:
            raise
        form = form_for(resource, data=request.POST, is_new=False)
        return page.refused(form, in_form(ReasonForm(request.POST)), problem)
    values = entry.values()
    if told := resource.fixed_because(values):
        return page.closed(told, "It can still be removed here, and an owner and a reason can be kept with it.")
    opened = Opened(entry_id, values)
    if not typed:
        return page.asked(form_for(resource, values, is_new=False), in_form(ReasonForm()), base=opened)
    form = form_for(resource, values, request.POST, is_new=False)
    form.add_error(None, "It is not known how it was when you opened it, so it was read anew. Compare, then save.")
    return page.asked(form, in_form(ReasonForm(request.POST)), base=opened, status=422)
