"""Sessions: how long they last, what ends them, and when their owner last proved who they are."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

from allauth.mfa.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dashboard.access.models import FamiliarAddress, Member
from dashboard.access.throttle import network

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase

# In the session, as whole seconds since 1970.
SIGNED_IN, SEEN, PROVED = "signed_in_at", "seen_at", "proved_at"
FACTOR = "factor_seen_at"
FIRST_STEP = "first_step"  # in the session of somebody who is not signed in yet
LONGEST = 12 * 3600
_NOTE_EVERY = 60  # seconds; a session is not written at every request
_FAMILIAR_DAYS = 90
_CLOCKS_DIFFER = 60  # seconds
_FACTOR_HOLDS = 600  # seconds


def begin(request: HttpRequest, member: Member) -> None:
    """What a new session starts with, whichever way its owner came in."""
    now = int(time.time())
    proved_at = getattr(request, "proved_at", now)  # a provider may have asked for a password long before
    request.signed_in_now = member.username  # type: ignore[attr-defined]
    request.session.update({SIGNED_IN: now, SEEN: now, PROVED: min(now, proved_at)})
    address = str(request.META.get("REMOTE_ADDR") or "")
    UserSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": member,
            "ip": address or "0.0.0.0",  # noqa: S104  no address, not one to listen on
            "user_agent": request.META.get("HTTP_USER_AGENT", "")[:200],
        },
    )
    if address:
        familiar = member.familiar_addresses
        familiar.update_or_create(address=network(address), defaults={"last_at": timezone.now()})
        FamiliarAddress.objects.filter(
            member=member, last_at__lt=timezone.now() - dt.timedelta(days=_FAMILIAR_DAYS)
        ).delete()


def end_sessions(member: Member, except_key: str | None = None) -> int:
    """Sign the member out everywhere, at once, but for one session; says how many sessions ended.

    A sign-in that waits for its second step ends with them.

    To be called by whatever changes what the member may do: their role, their domains, their being let in at all.
    """
    ended = UserSession.objects.filter(user=member).exclude(session_key=except_key or "")
    keys = list(ended.values_list("session_key", flat=True))
    number, _ = Session.objects.filter(session_key__in=keys).delete()
    ended.filter(session_key__in=keys).delete()
    cache.set(_ended_key(member), time.time(), timeout=settings.ACCOUNT_LOGIN_TIMEOUT + _CLOCKS_DIFFER)
    return number


def note_first_step(request: HttpRequest, member: Member) -> None:
    """Remember what a sign-in began with; minutes may pass before its second step."""
    request.session[FIRST_STEP] = [member.pk, member.get_session_auth_hash(), time.time()]


def may_finish(request: HttpRequest, member: Member) -> bool:
    """Whether the first step still holds: the same password, and nobody has signed the member out since."""
    pk, password, at = request.session.pop(FIRST_STEP, (None, "", 0.0))
    if pk != member.pk or not constant_time_compare(password, member.get_session_auth_hash()):
        return False
    return bool(at >= cache.get(_ended_key(member), 0.0))


def _ended_key(member: Member) -> str:
    return f"sessions.ended:{member.pk}"


def proved(request: HttpRequest) -> None:
    """Note that the member has just shown again who they are."""
    request.session[PROVED] = int(time.time())


def has_proved(request: HttpRequest, *, seconds: int) -> bool:
    """Whether the member signed in, or proved again who they are, within the last `seconds`."""
    at = request.session.get(PROVED)
    return isinstance(at, int) and 0 <= time.time() - at < seconds


def has_factor(request: HttpRequest, member: Member) -> bool:
    """Whether the member has a second factor: asked once in some minutes, and remembered only where there is one.

    `forget_factor` when one is removed. Who removes it in another session has another one, or no duty to have any.
    """
    at = request.session.get(FACTOR)
    if isinstance(at, int) and 0 <= time.time() - at < _FACTOR_HOLDS:
        return True
    found: bool = get_adapter().has_factor(member)
    return found and _write(request, FACTOR, int(time.time()))


def forget_factor(request: HttpRequest) -> None:
    request.session.pop(FACTOR, None)


def _write(request: HttpRequest, key: str, value: int) -> bool:
    """Set one mark and save at once: no slow answer overwrites anything later. False where the session has ended."""
    request.session[key] = value
    try:
        request.session.save()
    except UpdateError:  # ended elsewhere between two lines of ours
        logout(request)
        return False
    request.session.modified = False
    return True


def why_over(session: SessionBase) -> str:
    """ "idle" or "long" for a session that must not go on, "" for one that may."""
    now = time.time()
    signed_in, seen = session.get(SIGNED_IN), session.get(SEEN)
    if not isinstance(signed_in, int) or not isinstance(seen, int):
        return "long"  # from before sessions had these marks
    if now - signed_in >= LONGEST:
        return "long"
    return "idle" if now - seen >= settings.IDLE_MINUTES * 60 else ""


def note_activity(request: HttpRequest) -> None:
    """Push back the idle end; once a minute, and written at once so that no slow answer overwrites anything later."""
    session, now = request.session, int(time.time())
    if now - session.get(SEEN, 0) < _NOTE_EVERY or not _write(request, SEEN, now):
        return
    seen: dict[str, Any] = {"last_seen_at": timezone.now()}
    if address := request.META.get("REMOTE_ADDR"):
        seen["ip"] = address
    UserSession.objects.filter(session_key=session.session_key).update(**seen)
