"""The installation's page: the self-check, and the values that may be set here."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import django
from django.conf import settings
from django.db import connection
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, recently_proved, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.team import invitations as inviting
from dashboard.access.team.rules import manages
from dashboard.installation import running, services
from dashboard.installation.checking import MOST_CALLS
from dashboard.installation.described import DESCRIBED
from dashboard.installation.forms import BackForm, ValueForm
from dashboard.installation.versions import our_version
from dashboard.web.htmx import wants_partial

DONE = {
    "set": "Set. Every process knows it within some seconds.",
    "back": "The environment's value counts again, in every process within some seconds.",
}
ELSEWHERE = "Somebody changed this in the meantime. Here is how it stands; what you typed was not saved."


@require_safe
@requires(Permission.INSTALLATION_MANAGE, whole=True)
def installation(request: MemberRequest) -> HttpResponse:
    """The latest check, the values, what runs here."""
    member = request.user
    context = {
        "shown": running.latest(),
        "most_calls": MOST_CALLS,
        "groups": services.standings(),
        "notices_url": _notices(member),
        "versions": _versions(),
        "may_manage": manages(member),
        "may_invite": manages(member) and not settings.SSO_ONLY,
        "may_check": True,
        "invited": inviting.open_invitations().count() if manages(member) else 0,
        "done": DONE.get(request.GET.get("done", "")),
    }
    return render(request, "installation/installation.html", context)


def _notices(member: Member) -> str:
    if not member.may(Permission.MESSAGE_READ):
        return ""
    try:
        return reverse("investigate:notices")
    except NoReverseMatch:
        return ""


def _versions() -> list[tuple[str, str]]:
    database = ".".join(str(part) for part in connection.get_database_version())
    return [
        ("Mailwarden", our_version()),
        ("Django", django.get_version()),
        ("Celery", metadata.version("celery")),
        ("Python", platform.python_version()),
        (connection.display_name, database),
    ]


# --- the check --------------------------------------------------------------------------------------------------------


@require_safe
@polls()
@requires(Permission.INSTALLATION_MANAGE, whole=True)
def check(request: MemberRequest) -> HttpResponse:
    """The latest check, anew; the fragment asks for itself until it has ended."""
    if not wants_partial(request):
        return redirect("installation:page")
    return render(request, "installation/_check.html", {"shown": running.latest(), "most_calls": MOST_CALLS})


@require_POST
@requires(Permission.INSTALLATION_MANAGE, whole=True)
def begin_check(request: MemberRequest) -> HttpResponse:
    """Have a worker look at everything. Where one looks already, its findings are shown."""
    running.begin_in_worker(actor=request.user, request=request)
    if wants_partial(request):
        return render(request, "installation/_check.html", {"shown": running.latest(), "most_calls": MOST_CALLS})
    return HttpResponseRedirect(reverse("installation:page"), status=303)


# --- values -----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.INSTALLATION_MANAGE, whole=True)
@recently_proved()
def value(request: MemberRequest, name: str) -> HttpResponse:
    """One value: what counts now, and the form that sets another."""
    now = _standing(name)
    form = ValueForm(request.POST if request.method == "POST" else None, now=now)
    if request.method != "POST":
        return _value_page(request, now, form)
    if not form.is_valid():
        return _value_page(request, now, form, status=422)
    try:
        services.set_value(
            actor=request.user,
            name=name,
            value=form.value(),
            version=form.cleaned_data["version"],
            accepts=form.cleaned_data["accepts"],
            request=request,
        )
    except services.Changed:
        return _changed_meanwhile(request, name)
    except services.Loosens as problem:
        return _value_page(request, now, form, status=422, meaning=str(problem))
    return _done("set")


@require_POST
@requires(Permission.INSTALLATION_MANAGE, whole=True)
@recently_proved()
def value_back(request: MemberRequest, name: str) -> HttpResponse:
    """Have the environment's value count again."""
    now, form = _standing(name), BackForm(request.POST)
    if not form.is_valid():
        return _changed_meanwhile(request, name)
    try:
        services.give_back(actor=request.user, name=name, **form.cleaned_data, request=request)
    except services.Changed:
        return _changed_meanwhile(request, name)
    except services.Loosens as problem:
        return _value_page(request, now, ValueForm(now=now), status=422, meaning_of_back=str(problem))
    return _done("back")


def _standing(name: str) -> services.Standing:
    if name not in DESCRIBED:
        raise Http404
    return services.standing(name)


def _changed_meanwhile(request: MemberRequest, name: str) -> HttpResponse:
    now = services.standing(name)
    return _value_page(request, now, ValueForm(now=now), status=409, problem=ELSEWHERE)


def _value_page(
    request: MemberRequest, now: services.Standing, form: ValueForm, *, status: int = 200, **also: Any
) -> HttpResponse:
    return render(request, "installation/value.html", {"now": now, "form": form, **also}, status=status)


def _done(said: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('installation:page')}?done={said}#values", status=303)
