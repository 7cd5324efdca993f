"""Permissions declared on views; a test walks every URL and fails on a view without one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url

from dashboard.access.destinations import safe_path
from dashboard.access.roles import Permission, allowed
from dashboard.web.htmx import HtmxRequest, wants_partial

if TYPE_CHECKING:  # this module is read before there are models
    from dashboard.access.models import Member


class MemberRequest(HtmxRequest):
    """A request as `requires` lets it in: from a member."""

    user: Member


P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
MemberView = Callable[Concatenate[MemberRequest, P], HttpResponseBase]
AnyView = TypeVar("AnyView", bound=Callable[..., HttpResponseBase])


class OutsideScope(PermissionDenied):
    """The page covers the whole account, and the member is limited to some domains of it."""


def requires(permission: Permission, *, whole: bool = False) -> Callable[[MemberView[P]], View[P]]:
    """Let only holders of the permission in; the signed-out go to the sign-in page and come back.

    `whole`: the page cannot be cut to some recipient domains, so members who are limited to some do not get in.
    """

    def decorate(view: MemberView[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return HttpResponseRedirect(sign_in_url(request, _page_of(request)))
            if not allowed(request.user, permission):
                raise PermissionDenied(permission.value)
            if whole and not request.user.scope.is_whole:
                raise OutsideScope(str(request.user.scope))
            return view(cast("MemberRequest", request), *args, **kwargs)

        guarded.required_permission = permission  # type: ignore[attr-defined]
        guarded.needs_whole_account = whole  # type: ignore[attr-defined]
        return cast("View[P]", guarded)

    return decorate


def recently_proved(minutes: int = 10) -> Callable[[MemberView[P]], MemberView[P]]:
    """Ask members who signed in longer ago to prove again who they are, and bring them back to the page they were on.

    Stands below `@requires`. What a form held is not kept, so put it on the page of the form as well.
    """

    def decorate(view: MemberView[P]) -> MemberView[P]:
        @wraps(view)
        def guarded(request: MemberRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            from dashboard.access.sessions import has_proved  # models; this module is read before they are

            if has_proved(request, seconds=minutes * 60):
                return view(request, *args, **kwargs)
            return _ask_for_proof(request)

        guarded.needs_proof = minutes  # type: ignore[attr-defined]
        return cast("MemberView[P]", guarded)

    return decorate


def _ask_for_proof(request: MemberRequest) -> HttpResponse:
    here = _page_of(request)
    if wants_partial(request):
        here = safe_path(request.htmx.current_url_abs_path, settings.LOGIN_REDIRECT_URL)
    ways = get_adapter().get_reauthentication_methods(request.user)
    if ways:
        return leave_page(request, f"{ways[0]['url']}?{urlencode({'next': here})}")
    logout(request)  # they came through a provider and have no factor here: the provider asks
    request.session_ended = "proof"  # type: ignore[attr-defined]
    return leave_page(request, sign_in_url(request, here))


def leave_page(request: HttpRequest, url: str) -> HttpResponse:
    """Send the browser to another page; a redirect would be swapped into the fragment htmx asked for."""
    if wants_partial(request):
        return HttpResponse(status=401, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def sign_in_url(request: HttpRequest, here: str) -> str:
    """The sign-in page that leads back, and says why somebody who was signed in has to do it again."""
    query = {"next": here}
    if ended := getattr(request, "session_ended", ""):
        query["ended"] = ended
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode(query, safe='/')}"


def _page_of(request: HttpRequest) -> str:
    """Where to come back to after the sign-in: the page itself, or the one whose form was sent."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    sent_from, ours = request.headers.get("Referer", ""), f"{request.scheme}://{request.get_host()}/"
    path = "/" + sent_from.removeprefix(ours).partition("#")[0] if sent_from.startswith(ours) else None
    return safe_path(path, settings.LOGIN_REDIRECT_URL)


def polls(*parameters: str) -> Callable[[AnyView], AnyView]:
    """Mark a view that pages ask by themselves: that is no activity, and does not keep a session alive.

    With names of query parameters: only requests that carry one of them come from the page and not from a person.
    """

    def decorate(view: AnyView) -> AnyView:
        def is_poll(request: HttpRequest) -> bool:
            return not parameters or any(name in request.GET for name in parameters)

        view.polls = is_poll  # type: ignore[attr-defined]
        return view

    return decorate


def opens_without_factor(view: AnyView) -> AnyView:
    """Mark a view that also opens to members who still have to set up the second factor their role needs."""
    view.opens_without_factor = True  # type: ignore[attr-defined]
    return view


def public(reason: str) -> Callable[[View[P]], View[P]]:
    """Mark a view that anybody may open, and say why."""

    def decorate(view: View[P]) -> View[P]:
        view.is_public = reason  # type: ignore[attr-defined]
        return view

    return decorate
