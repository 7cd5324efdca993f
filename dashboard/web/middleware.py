"""What every request gets: safe headers, a log line, the member's zone, and errors that reach the page as sentences."""

from __future__ import annotations

import datetime as dt
import time
import uuid
import zoneinfo
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from dashboard.access.decorators import sign_in_url
from dashboard.audit.exporting import TooManyExports
from dashboard.audit.recorder import AuditNotWritten
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.installation.values import setting
from dashboard.web import errors, times

GetResponse = Callable[[HttpRequest], HttpResponse]
log = structlog.get_logger("mailwarden.web")


class SafeHeadersMiddleware:
    """Nothing behind the sign-in is kept by a browser or a proxy, and nothing of ours is embedded elsewhere."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Cache-Control", "no-store")
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        patch_vary_headers(response, ["HX-Request"])
        return response


class RequestLogMiddleware:
    """One line a request, with an id that also stands on error pages; never a query string: it holds search words."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.reference = uuid.uuid4().hex[:12]  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(reference=request.reference)  # type: ignore[attr-defined]
        zone = times.UTC_ONLY
        if request.user.is_authenticated:
            zone = zoneinfo.ZoneInfo(request.user.time_zone)
        token = times.member_zone.set(zone)
        started = time.monotonic()
        try:
            with timezone.override(zone if getattr(request.user, "shows_local_time", False) else times.UTC_ONLY):
                response = self.get_response(request)
        finally:
            times.member_zone.reset(token)
        match = request.resolver_match
        log.info(
            "request",
            method=request.method,
            view=match.view_name if match else "",
            status=response.status_code,
            ms=round((time.monotonic() - started) * 1000),
            member=request.user.pk,
        )
        return response


class HtmxSignInMiddleware:
    """A redirect to the sign-in page would be swapped into a fragment: htmx is told to leave the page instead."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not request.htmx or response.status_code != 302:  # type: ignore[attr-defined]
            return response
        sign_in = resolve_url(settings.LOGIN_URL)
        if not response["Location"].startswith(sign_in):
            return response
        page = request.htmx.current_url_abs_path or settings.LOGIN_REDIRECT_URL  # type: ignore[attr-defined]
        return HttpResponse(status=401, headers={"HX-Redirect": sign_in_url(request, page)})


AUDIT_AWAY = errors.ErrorText(
    "The audit trail cannot be written.",
    "What cannot be recorded is not done: nothing was sent or changed.",
    "Tell an admin; what needs no record can still be read.",
    503,
)


DATABASE_AWAY = errors.ErrorText(
    "Mailwarden's own database does not answer.",
    "What cannot be written down is not done: nothing was sent.",
    "Go back and try again in a moment; what you typed is still in the form. If it stays, tell an admin.",
    503,
)


def too_many_exports(refused: TooManyExports) -> errors.ErrorText:
    """The hour's files are taken: when there will be another."""
    return errors.ErrorText(
        "You have taken as many files as an hour allows.",
        f"One member may take {setting('EXPORTS_PER_HOUR')} exports an hour.",
        "Nothing was written; what you have seen stays.",
        429,
        retry_after=refused.retry_after,
        retry_at=timezone.now() + dt.timedelta(seconds=refused.retry_after),
    )


class ErrorPagesMiddleware:
    """Errors of the API and of the audit trail that no view has an answer for become a page, or a notice for htmx."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 405 or response.content:
            return response
        explained = errors.method_not_allowed(request)
        explained["Allow"] = response["Allow"]
        return explained

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, EmailSecurityError):
            return errors.upstream_failed(request, exception)
        if isinstance(exception, AuditNotWritten):
            log.error("audit_not_written", cause=type(exception.__cause__).__name__)
            return errors.answer(request, AUDIT_AWAY)
        if isinstance(exception, TooManyExports):
            return errors.answer(request, too_many_exports(exception))
        if isinstance(exception, OperationalError):  # locked for too long, full, or gone
            log.error("database_away", cause=type(exception).__name__)
            return errors.answer(request, DATABASE_AWAY)
        return None
