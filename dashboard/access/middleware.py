"""What holds for every request of somebody who is signed in: sessions end, some roles need a second factor first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.access import browsers, sessions
from dashboard.access.decorators import leave_page

GetResponse = Callable[[HttpRequest], HttpResponse]


class SessionEndMiddleware:
    """End sessions that were idle for too long, or are half a day old. A page that asks by itself is not activity."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and (why := sessions.why_over(request.session)):
            logout(request)
            request.session_ended = why  # type: ignore[attr-defined]
        response = self.get_response(request)
        if name := getattr(request, "signed_in_now", ""):  # by `sessions.begin`
            browsers.remember(request, response, name)
        return response

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> None:
        polls = getattr(view, "polls", None)
        if request.user.is_authenticated and not (polls is not None and polls(request)):
            sessions.note_activity(request)


class SecondFactorMiddleware:
    """Whoever has a role that needs a second factor, and has none, reaches the pages to set one up and nothing else."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        member = request.user
        if not member.is_authenticated or not member.needs_second_factor or sessions.has_factor(request, member):
            return None
        if getattr(view, "is_public", None) or getattr(view, "opens_without_factor", False):
            return None
        return leave_page(request, reverse("mfa_index"))
