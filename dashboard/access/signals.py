"""What happens at every sign-in and with every second factor, whichever way somebody came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.signals import authentication_step_completed, password_changed, password_reset
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_used
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver

from dashboard.access import sessions
from dashboard.audit.recorder import record

if TYPE_CHECKING:
    from django.http import HttpRequest

    from dashboard.access.models import Member


@receiver(user_logged_in)
def begin_session(request: HttpRequest, user: Member, **_: Any) -> None:
    sessions.begin(request, user)


@receiver(authentication_step_completed)
def note_proof(request: HttpRequest, user: Member, method: str, **about: Any) -> None:
    if about.get("reauthenticated"):
        record(actor=user, action="account:prove", detail={"by": about.get("type") or method}, request=request)
        sessions.proved(request)


@receiver(authenticator_used)
def record_use(request: HttpRequest, user: Member, authenticator: Authenticator, **_: Any) -> None:
    action = "recovery_code_use" if authenticator.type == Authenticator.Type.RECOVERY_CODES else "factor_use"
    record(actor=user, action=f"account:{action}", detail={"factor": authenticator.type}, request=request)


@receiver(authentication_failed)
def record_wrong_code(request: HttpRequest, user: Member, authenticator: Authenticator, **_: Any) -> None:
    """Nobody is signed in yet, so the name stands among the targets."""
    record(
        actor=request.user, action="account:factor_use", targets=[user.username],
        detail={"factor": authenticator.type}, request=request, phase="refused",
    )  # fmt: skip


@receiver(password_changed)
def end_other_sessions(request: HttpRequest, user: Member, **_: Any) -> None:
    sessions.end_sessions(user, except_key=request.session.session_key)


@receiver(password_reset)
def end_all_sessions(request: HttpRequest, user: Member, **_: Any) -> None:
    sessions.end_sessions(user)
    record(actor=user, action="account:password_reset", request=request)  # last: it locks the head of the trail
