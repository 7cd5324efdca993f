"""Pages of the team: plain forms, each change read as sentences before it is saved."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, cast

from allauth.account.internal import flows
from allauth.account.models import Login
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, MemberView, public, recently_proved, requires
from dashboard.access.models import Invitation, Member, TeamRole
from dashboard.access.roles import RIGHTS, Permission
from dashboard.access.team import catalogue, links, people, services, words
from dashboard.access.team import invitations as inviting
from dashboard.access.team.forms import AcceptForm, InviteForm, MemberForm, RoleForm
from dashboard.access.team.rules import Changed, Refused, manages
from dashboard.audit.recorder import record

P = ParamSpec("P")

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


def notes_refusals(action: str) -> Callable[[MemberView[P]], MemberView[P]]:
    """Write down what the rules of the team refused; a missing right is written down wherever it is missed."""

    def decorate(view: MemberView[P]) -> MemberView[P]:
        @wraps(view)
        def watched(request: MemberRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            response = view(request, *args, **kwargs)
            if refused := getattr(response, "refused", ""):
                _note(request, action, kwargs, refused)
            return response

        return cast("MemberView[P]", watched)

    return decorate


def _note(request: MemberRequest, action: str, about: dict[str, Any], why: str) -> None:
    targets = [str(one) for one in about.values()] or [request.POST.get("email", "")[:254]]
    member_id = about.get("member_id")
    if member_id and (found := Member.objects.filter(pk=member_id).first()):
        targets = [found.username]
    record(
        actor=request.user,
        action=action,
        targets=[one for one in targets if one],
        detail={"why": why},
        request=request,
        phase="refused",
    )


def refused(response: HttpResponse, problem: Refused) -> HttpResponse:
    response.status_code = problem.status
    response.refused = problem.sentence  # type: ignore[attr-defined]  # for `notes_refusals`
    return response


def done(name: str, *args: Any, said: str = "saved") -> HttpResponse:
    return HttpResponseRedirect(f"{reverse(name, args=args)}?done={said}", status=303)


DONE = {
    "saved": "Saved.",
    "sessions": "Their sessions are ended.",
    "revoked": "The invitation is revoked: its link opens nothing any more.",
    "deleted": "The role is deleted.",
}


def _page(request: MemberRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    member = request.user
    shared = {
        "may_manage": manages(member),
        "may_invite": manages(member) and not settings.SSO_ONLY,
        "may_check": member.may(Permission.INSTALLATION_MANAGE) and member.scope.is_whole,
        "done": DONE.get(request.GET.get("done", "")),
        "invited": inviting.open_invitations().count() if manages(member) else 0,
    }
    return render(request, f"team/{template}", {**shared, **context}, status=status)


# --- members ----------------------------------------------------------------------------------------------------------


@require_safe
@requires(Permission.TEAM_READ)
def members(request: MemberRequest) -> HttpResponse:
    """Who is in the team; how they sign in is for those who manage it, and domains for those without a limit."""
    return _page(request, "members.html", {"people": people.team(), "sees_domains": request.user.scope.is_whole})


@get_or_post
@notes_refusals("team:change_member")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def member(request: MemberRequest, member_id: int) -> HttpResponse:
    """One member; a change is shown as sentences first, and saved when it comes back with `seen`."""
    found = get_object_or_404(Member, pk=member_id)
    roles = catalogue.all_roles()
    context: dict[str, Any] = {"person": people.person(found), "is_self": found.pk == request.user.pk}
    if request.method != "POST":
        return _page(request, "member.html", context | {"form": MemberForm(member=found, roles=roles)})
    form = MemberForm(request.POST, member=found, roles=roles)
    if not form.is_valid():
        return _page(request, "member.html", context | {"form": form}, 422)
    actor, wanted = request.user, form.standing()
    try:
        if "seen" in request.POST:
            services.change_member(
                actor=actor, member_id=found.pk, wanted=wanted, seen=request.POST["seen"], request=request
            )
            return done("team:member", found.pk)
        plan = services.plan_member(actor=actor, member=found, wanted=wanted)
    except Changed as problem:
        found.refresh_from_db()
        plan = services.plan_member(actor=actor, member=found, wanted=wanted)
        page = _page(request, "member_change.html", context | {"form": form, "plan": plan, "problem": problem.sentence})
        return refused(page, problem)
    except Refused as problem:
        form.add_error(None, problem.sentence)
        return refused(_page(request, "member.html", context | {"form": form}), problem)
    if services.Standing.of(found) == wanted:
        return redirect("team:member", found.pk)
    return _page(request, "member_change.html", context | {"form": form, "plan": plan})


@require_POST
@notes_refusals("team:end_sessions")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def end_sessions(request: MemberRequest, member_id: int) -> HttpResponse:
    found = get_object_or_404(Member, pk=member_id)
    services.end_sessions_of(actor=request.user, member=found, request=request)
    return done("team:member", found.pk, said="sessions")


@get_or_post
@notes_refusals("team:reset_sign_in")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def reset_sign_in(request: MemberRequest, member_id: int) -> HttpResponse:
    """Ask first; then a link with which the member chooses a new password, told this once."""
    found = get_object_or_404(Member, pk=member_id)
    context: dict[str, Any] = {"person": people.person(found), "is_self": found.pk == request.user.pk}
    if request.method != "POST":
        return _page(request, "reset.html", context)
    try:
        found = services.reset_sign_in(actor=request.user, member_id=found.pk, request=request)
    except Refused as problem:
        return refused(_page(request, "reset.html", context | {"problem": problem.sentence}), problem)
    link = links.absolute(links.first_sign_in(found), request)
    return _page(request, "link.html", context | {"link": link, "is_reset": True})


# --- roles ------------------------------------------------------------------------------------------------------------


@require_safe
@requires(Permission.TEAM_READ)
def roles(request: MemberRequest) -> HttpResponse:
    """The table of permissions itself: what each role may do."""
    columns = catalogue.all_roles()
    rows = [(one, RIGHTS[one], [one in column.permissions for column in columns]) for one in Permission]
    return _page(request, "roles.html", {"columns": columns, "rows": rows})


@get_or_post
@notes_refusals("team:create_role")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def new_role(request: MemberRequest) -> HttpResponse:
    actor = request.user
    form = RoleForm(request.POST or None, initial={"permissions": []})
    context = {"form": form, "out_of_reach": _out_of_reach(actor)}
    if request.method != "POST":
        return _page(request, "role.html", context)
    if not form.is_valid():
        return _page(request, "role.html", context, 422)
    try:
        services.create_role(actor=actor, draft=form.draft(), request=request)
    except Refused as problem:
        form.add_error(None, problem.sentence)
        return refused(_page(request, "role.html", context), problem)
    return done("team:roles")


@get_or_post
@notes_refusals("team:change_role")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def role(request: MemberRequest, name: str) -> HttpResponse:
    """A role of the team; what its members gain and lose is shown before it is saved."""
    actor, found = request.user, get_object_or_404(TeamRole, pk=name)
    initial = {
        "label": found.label,
        "permissions": sorted(found.granted),
        "needs_second_factor": found.needs_second_factor,
    }
    form = RoleForm(request.POST if request.method == "POST" else None, initial=initial)
    context: dict[str, Any] = {
        "form": form,
        "role": found,
        "out_of_reach": _out_of_reach(actor),
        "holders": services.holders_of(found),
        "why_stays": services.why_role_stays(found),
    }
    if request.method != "POST":
        return _page(request, "role.html", context)
    if not form.is_valid():
        return _page(request, "role.html", context, 422)
    draft = form.draft()
    try:
        if "seen" in request.POST:
            services.change_role(actor=actor, name=name, draft=draft, seen=request.POST["seen"], request=request)
            return done("team:roles")
        plan = services.plan_role(actor=actor, role=found, draft=draft)
    except Changed as problem:
        found.refresh_from_db()
        plan = services.plan_role(actor=actor, role=found, draft=draft)
        page = _page(request, "role_change.html", context | {"plan": plan, "problem": problem.sentence})
        return refused(page, problem)
    except Refused as problem:
        form.add_error(None, problem.sentence)
        return refused(_page(request, "role.html", context), problem)
    if not plan.sentences:
        return redirect("team:role", found.pk)
    return _page(request, "role_change.html", context | {"plan": plan})


@get_or_post
@notes_refusals("team:delete_role")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def delete_role(request: MemberRequest, name: str) -> HttpResponse:
    found = get_object_or_404(TeamRole, pk=name)
    context: dict[str, Any] = {
        "role": found,
        "why_stays": services.why_role_stays(found),
        "rights": words.rights(found.granted),
    }
    if request.method != "POST":
        return _page(request, "role_delete.html", context)
    try:
        services.delete_role(actor=request.user, name=name, request=request)
    except Refused as problem:
        return refused(_page(request, "role_delete.html", context | {"problem": problem.sentence}), problem)
    return done("team:roles", said="deleted")


def _out_of_reach(actor: Member) -> set[str]:
    """The rights this actor may not give."""
    if actor.may(Permission.TEAM_GRANT):
        return set()
    return {one.value for one in Permission} - actor.permissions


# --- invitations ------------------------------------------------------------------------------------------------------


@require_safe
@requires(Permission.TEAM_MANAGE, whole=True)
def invitations(request: MemberRequest) -> HttpResponse:
    columns = catalogue.all_roles()
    listed = [(one, catalogue.label_for(one.role, columns)) for one in inviting.open_invitations()]
    return _page(request, "invitations.html", {"listed": listed})


@get_or_post
@notes_refusals("team:invite")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def invite(request: MemberRequest) -> HttpResponse:
    """Who is invited, and as what; the answer holds the link, told this once."""
    actor, columns = request.user, catalogue.all_roles()
    offered = [one for one in columns if not one.permissions & frozenset(map(Permission, _out_of_reach(actor)))]
    form = InviteForm(request.POST if request.method == "POST" else None, roles=columns)
    context: dict[str, Any] = {"form": form, "hours": int(inviting.GOOD_FOR.total_seconds() // 3600)}
    if request.method != "POST":
        form = InviteForm(roles=offered)
        return _page(request, "invite.html", context | {"form": form})
    if not form.is_valid():
        return _page(request, "invite.html", context, 422)
    data = form.cleaned_data
    try:
        invitation, secret = inviting.invite(
            actor=actor, email=data["email"], role=data["role"], domains=data["domains"], request=request
        )
    except Refused as problem:
        form.add_error(None, problem.sentence)
        return refused(_page(request, "invite.html", context), problem)
    link = links.absolute(links.invitation(secret), request)
    label = catalogue.label_for(invitation.role, columns)
    sent = links.mail_invitation(invitation, role=label, link=link)
    return _page(request, "link.html", {"link": link, "invitation": invitation, "role": label, "sent": sent})


@require_POST
@notes_refusals("team:revoke_invitation")
@requires(Permission.TEAM_MANAGE, whole=True)
@recently_proved()
def revoke(request: MemberRequest, invitation_id: int) -> HttpResponse:
    try:
        inviting.revoke(actor=request.user, invitation_id=invitation_id, request=request)
    except Refused as problem:
        columns = catalogue.all_roles()
        listed = [(one, catalogue.label_for(one.role, columns)) for one in inviting.open_invitations()]
        return refused(_page(request, "invitations.html", {"listed": listed, "problem": problem.sentence}), problem)
    return done("team:invitations", said="revoked")


@public("the secret in the address is the proof")
@get_or_post
def accept(request: HttpRequest, secret: str) -> HttpResponse:
    """A newcomer chooses a name and a password; every link that opens nothing gets the same answer."""
    if request.user.is_authenticated:
        return render(request, "team/accept_signed_in.html", status=409 if request.method == "POST" else 200)
    try:
        invitation = inviting.find(secret)
        form = AcceptForm(request.POST if request.method == "POST" else None, invitation=invitation)
        if request.method != "POST":
            return _accept_page(request, invitation, form)
        if not form.is_valid():
            return _accept_page(request, invitation, form, 422)
        member = inviting.accept(secret=secret, newcomer=form.newcomer(), request=request)
    except inviting.NoInvitation:
        if request.method == "POST":
            record(actor=AnonymousUser(), action="team:accept_invitation", request=request, phase="refused")
        return render(request, "team/no_invitation.html", status=404)
    except Refused as problem:
        form.add_error(None, problem.sentence)
        return _accept_page(request, invitation, form, problem.status)
    login = Login(user=member, redirect_url=settings.LOGIN_REDIRECT_URL)
    return cast(HttpResponse, flows.login.perform_password_login(request, {"username": member.username}, login))


def _accept_page(request: HttpRequest, invitation: Invitation, form: AcceptForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "invitation": invitation,
        "role": catalogue.label_for(invitation.role),
        "rights": words.rights(inviting.access_of(invitation).permissions - {Permission.ACCOUNT_OWN}),
    }
    return render(request, "team/accept.html", context, status=status)
