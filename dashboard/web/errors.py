"""Errors become pages, or notices for htmx: what happened in one sentence, what to do, a reference.

No error page calls the API, and the API's own words stand beside a sentence of ours, never alone.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control

from dashboard.access.decorators import OutsideScope
from dashboard.access.roles import RIGHTS, Permission, roles_with
from dashboard.audit.refusals import record_refusal
from dashboard.emailsec import errors
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.web.htmx import wants_partial
from dashboard.web.text import visible
from dashboard.web.times import minutes

log = structlog.get_logger("mailwarden.errors")

API_TEXT_LIMIT = 300


@dataclass(frozen=True)
class ErrorText:
    """What a person is told about an error.

    `retry_after` is in seconds and None where waiting does not help; `retry_at` is the same as a moment.
    `api_text` is what Cloudflare said, made visible; templates escape it like any other text.
    """

    title: str
    sentence: str
    advice: str
    status: int
    retry_after: int | None = None
    retry_at: dt.datetime | None = None
    api_text: str = ""
    ray: str = ""

    @property
    def back_in(self) -> str:
        """The wait as people count it, as 3:12; "" where waiting does not help."""
        return "" if self.retry_after is None else minutes(self.retry_after)


UNAVAILABLE = ErrorText(
    "Cloudflare does not answer.",
    "Nothing was changed. What you see already stays.",
    "Try again in a moment; the status line tells when calls work again.",
    503,
)
BUDGET = ErrorText(
    "The account's call budget is used up.",
    "Nothing was sent.",
    "What is on the screen stays; what we keep ourselves can still be opened.",
    503,
)
OUTCOME_UNKNOWN = ErrorText(
    "No answer came.",
    "What you asked for may have happened.",
    "Mailwarden looks it up and says here what it found; nothing is sent again.",
    504,
)
NOT_FOUND = ErrorText(
    "Not here (any more).",
    "Cloudflare does not know this message.",
    "It may be older than the account keeps mail, or belong to another account. Search for its sender or Message-ID.",
    404,
)
REJECTED = ErrorText(
    "Cloudflare refused this.", "Nothing was changed.", "Change what it names, then send it again.", 422
)
CREDENTIALS = ErrorText(
    "Cloudflare does not accept our credentials.",
    "Nothing can be read or changed until they are replaced.",
    "An admin sets a new API token (permission Cloud Email Security: Write) and restarts Mailwarden.",
    502,
)
NOT_PERMITTED = ErrorText(
    "Our API token lacks a right.",
    "Nothing was changed.",
    "An admin adds Cloud Email Security: Write to the token. Your own rights are not the cause.",
    502,
)
NOT_SUBSCRIBED = ErrorText(
    "The account has not got this part of the product.",
    "Nothing was changed.",
    "Whoever buys for the account at Cloudflare can add it. Everything else goes on working.",
    502,
)
NOT_ON_THIS_SERVER = ErrorText(
    "This account's API does not offer this.",
    "Nothing was changed.",
    "Mailwarden tries again tomorrow; until then, do it in Cloudflare's dashboard.",
    502,
)
UNEXPECTED = ErrorText(
    "Cloudflare's answer could not be read.",
    "Nothing was changed.",
    "Try again. If it stays, tell an admin the reference: something between us and Cloudflare may be broken.",
    502,
)
EXPIRED = ErrorText("The results of this search are gone.", "They are kept for a while only.", "Search again.", 410)
FOREIGN = ErrorText(
    "Cloudflare's answer pointed somewhere else.",
    "It named an address outside this account, and was not followed.",
    "Tell an admin the reference: something between us and Cloudflare may be broken.",
    502,
)
GENERAL = ErrorText("The call to Cloudflare did not work.", "It is not known why.", "Tell an admin the reference.", 502)

# The nearest class in the error's own line decides, so that a new subclass is never without words.
TEXTS: Mapping[type[EmailSecurityError], ErrorText] = {
    errors.Unavailable: UNAVAILABLE,
    errors.RateLimited: BUDGET,
    errors.OutcomeUnknown: OUTCOME_UNKNOWN,
    errors.NotFound: NOT_FOUND,
    errors.Rejected: REJECTED,
    errors.CredentialsRefused: CREDENTIALS,
    errors.NotPermitted: NOT_PERMITTED,
    errors.NotOnThisServer: NOT_ON_THIS_SERVER,
    errors.UnexpectedReply: UNEXPECTED,
    errors.SearchExpired: EXPIRED,
    errors.ForeignLocation: FOREIGN,
    EmailSecurityError: GENERAL,
}


def explain(error: EmailSecurityError) -> ErrorText:
    """What to tell a person about an error of the API client."""
    text = next(TEXTS[kind] for kind in type(error).__mro__ if kind in TEXTS)
    if isinstance(error, errors.NotPermitted) and error.not_subscribed:
        text = NOT_SUBSCRIBED
    text = replace(
        text, api_text=visible(error.api_message, limit=API_TEXT_LIMIT), ray=visible(error.ray_id or "", limit=40)
    )
    return _with_wait(text, error.retry_after)


def explain_name(name: str, *, retry_after: float | None = None) -> ErrorText:
    """The same from the name of the class alone, as it is kept in a row: `explain_name(run.error)`."""
    named = {kind.__name__: kind for kind in _every_kind(EmailSecurityError)}
    return explain(named.get(name, EmailSecurityError)(retry_after=retry_after))


def _with_wait(text: ErrorText, seconds: float | None) -> ErrorText:
    """Say when another try makes sense. Only waiting for the budget or for an answer has such a time."""
    if text.status != 503 or seconds is None or not math.isfinite(seconds):
        return text
    wait = max(1, math.ceil(seconds))
    return replace(text, retry_after=wait, retry_at=timezone.now() + dt.timedelta(seconds=wait))


def _every_kind(kind: type[EmailSecurityError]) -> list[type[EmailSecurityError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _every_kind(child))]


# --- answers ------------------------------------------------------------------------------------------------------


def upstream_failed(request: HttpRequest, error: EmailSecurityError) -> HttpResponse:
    """The answer where a view let an error of the API through: in its own region, as a notice, or as a page."""
    log.warning("upstream_failed", error=type(error).__name__, detail=str(error))
    text = explain(error)
    target = request.htmx.target if wants_partial(request) else None  # type: ignore[attr-defined]
    if request.method == "GET" and target and re.fullmatch(r"detail|panel-[\w-]+", target):
        context = {"explained": text, "retry_url": request.get_full_path(), "target": f"#{target}"}
        response = render(request, "errors/_upstream.html", context, status=text.status)
        response["HX-Retarget"], response["HX-Reswap"] = f"#{target}", "innerHTML"
        return _with_retry_after(response, text)
    return answer(request, text)


def answer(request: HttpRequest, text: ErrorText) -> HttpResponse:
    """An error as a page of its own, or as a notice above the page htmx asked from; the page itself stays."""
    context = {"explained": text, "reference": getattr(request, "reference", "")}
    if wants_partial(request):
        response = render(request, "errors/_notice.html", context, status=text.status)
        response["HX-Retarget"], response["HX-Reswap"] = "#notice", "innerHTML"
    else:
        response = render(request, "errors/page.html", context, status=text.status)
    return _with_retry_after(response, text)


def _with_retry_after(response: HttpResponse, text: ErrorText) -> HttpResponse:
    if text.retry_after is not None:
        response["Retry-After"] = str(text.retry_after)
    patch_cache_control(response, no_store=True)
    return response


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    text = ErrorText("This request cannot be read.", "Nothing was changed.", "Go back and try again.", 400)
    if isinstance(exception, RequestDataTooBig):
        text = ErrorText("This is more text than a form takes.", "Nothing was changed.", "Send it as a file.", 413)
    elif isinstance(exception, TooManyFieldsSent):
        text = ErrorText("More was chosen than one form takes.", "Nothing was changed.", "Choose fewer at a time.", 413)
    return answer(request, text)


def permission_denied(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """What is missing, and who can grant it, where the view named the permission; else the same words as a 404."""
    record_refusal(request, str(exception or ""))
    if isinstance(exception, OutsideScope):
        return answer(
            request, replace(_WHOLE, sentence=f"Your access is limited to {visible(str(exception), limit=300)}.")
        )
    try:
        missing = Permission(str(exception))
    except ValueError:
        return answer(request, replace(_NOWHERE, status=403))
    holders = ", ".join(role.value.replace("_", " ") for role in roles_with(missing))
    return answer(
        request,
        ErrorText(
            "Your role may not do this.",
            f"It takes the right to {RIGHTS[missing]}, which these roles have: {holders}.",
            "An admin can give you one of them.",
            403,
        ),
    )


_NOWHERE = ErrorText(
    "Nothing is here for you.",
    "The address is wrong, what it named is gone, or it is not yours to see.",
    "Search for what you are looking for.",
    404,
)
_WHOLE = ErrorText(
    "This page covers the whole account.",
    "",
    "A colleague without such a limit can look it up, or an admin can lift yours.",
    403,
)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """A view that knows more than that nothing is here says it: `raise Http404(ErrorText(...))`."""
    said = exception.args[0] if isinstance(exception, Exception) and exception.args else None
    return answer(request, said if isinstance(said, ErrorText) else _NOWHERE)


def method_not_allowed(request: HttpRequest) -> HttpResponse:
    """An address that only takes forms was opened, or the other way round."""
    text = ErrorText(
        "This address does not work that way.",
        "Nothing was changed.",
        "It takes what a button sends: go back to the page and use that.",
        405,
    )
    return answer(request, text)


def server_error(request: HttpRequest) -> HttpResponse:
    """Ours. Whether something was changed is only known where nothing was asked to change."""
    reading = request.method in ("GET", "HEAD")
    return answer(
        request,
        ErrorText(
            "This did not work.",
            "Nothing was changed." if reading else "It is not known whether something was changed.",
            "Try again." if reading else "Look at Actions before trying again: what was started is listed there.",
            500,
        ),
    )


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token: nearly always a page from before the last sign-in."""
    log.warning("csrf_failed", reason=reason)
    return answer(
        request,
        ErrorText(
            "This page is from before your last sign-in.",
            "Nothing was changed.",
            "Reload the page, then do it again.",
            403,
        ),
    )
