"""Permissions declared on views; a test walks every URL and fails on a view without one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dashboard.access.destinations import safe_path
from dashboard.access.roles import Permission, allowed

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class OutsideScope(PermissionDenied):
    """The page covers the whole account, and the member is limited to some domains of it."""


def requires(permission: Permission, *, whole: bool = False) -> Callable[[View[P]], View[P]]:
    """Let only holders of the permission in; the signed-out go to the sign-in page and come back.

    `whole`: the page cannot be cut to some recipient domains, so members who are limited to some do not get in.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(_page_of(request))
            if not allowed(request.user, permission):
                raise PermissionDenied(permission.value)
            if whole and not request.user.scope.is_whole:
                raise OutsideScope(str(request.user.scope))
            return view(request, *args, **kwargs)

        guarded.required_permission = permission  # type: ignore[attr-defined]
        guarded.needs_whole_account = whole  # type: ignore[attr-defined]
        return cast("View[P]", guarded)

    return decorate


def _page_of(request: HttpRequest) -> str:
    """Where to come back to after the sign-in: the page itself, or the one whose form was sent."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    sent_from, ours = request.headers.get("Referer", ""), f"{request.scheme}://{request.get_host()}/"
    path = "/" + sent_from.removeprefix(ours).partition("#")[0] if sent_from.startswith(ours) else None
    return safe_path(path, settings.LOGIN_REDIRECT_URL)


def public(reason: str) -> Callable[[View[P]], View[P]]:
    """Mark a view that anybody may open, and say why."""

    def decorate(view: View[P]) -> View[P]:
        view.is_public = reason  # type: ignore[attr-defined]
        return view

    return decorate
