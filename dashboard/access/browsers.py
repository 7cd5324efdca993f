"""Browsers a member has signed in with: their attempts are counted apart from everybody else's.

The mark is a signed cookie that says nothing but that somebody of this name came in here. It opens nothing; whoever
steals it may guess as often as at one address, no more.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner

from dashboard.access.throttle import plain

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

SECONDS = 90 * 86_400


def cookie_name() -> str:
    return "__Host-familiar" if settings.HTTPS else "familiar"


def familiar(request: HttpRequest, name: str) -> str:
    """What this browser is counted under for the member of this name; "" where they never signed in with it."""
    try:
        return _signer(name).unsign(request.COOKIES.get(cookie_name(), ""), max_age=SECONDS)
    except BadSignature:
        return ""


def remember(request: HttpRequest, response: HttpResponse, name: str) -> None:
    """Mark the browser; each sign-in renews the mark and keeps what is counted under it."""
    mark = _signer(name).sign(familiar(request, name) or secrets.token_urlsafe(16))
    response.set_cookie(cookie_name(), mark, max_age=SECONDS, secure=settings.HTTPS, httponly=True, samesite="Lax")


def _signer(name: str) -> TimestampSigner:
    return TimestampSigner(salt=f"mailwarden.familiar:{plain(name)}")
