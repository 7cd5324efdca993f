"""Where django-allauth asks us: who gets in, where people go afterwards, how secrets are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.stagekit import clear_login
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.http import HttpResponseRedirect
from django.shortcuts import resolve_url

from dashboard.access import sessions
from dashboard.access.destinations import safe_path
from dashboard.access.models import Member
from dashboard.access.oidc_admission import told_of_sign_in
from dashboard.access.sealing import seal, unseal
from dashboard.audit.recorder import record

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser
    from django.http import HttpRequest, HttpResponse

_REASONS = {
    "reauthenticate": "Use the password",
    "mfa_reauthenticate": "Use a code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
}


def display_name(member: Member) -> str:
    return member.display_name


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs themselves up, and every way on is a path of ours."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def is_safe_url(self, url: str | None) -> bool:
        return bool(url) and safe_path(url, "") == url

    def is_ajax(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """REMOTE_ADDR, which `dashboard.web.proxy` has put right, and nothing a client could send."""
        return str(request.META.get("REMOTE_ADDR") or "0.0.0.0")  # noqa: S104  no address, not one to listen on

    def respond_user_inactive(self, request: HttpRequest, user: Member) -> HttpResponse:
        """Whoever was shut out is told what everybody is told who cannot get in."""
        record(actor=user, action="account:sign_in", targets=[user.username], request=request, phase="refused")
        return HttpResponseRedirect(f"{resolve_url(settings.LOGIN_URL)}?refused=1")

    def pre_login(self, request: HttpRequest, user: Member, **about: Any) -> HttpResponse | None:
        sessions.note_first_step(request, user)
        response: HttpResponse | None = super().pre_login(request, user, **about)
        return response

    def login(self, request: HttpRequest, user: Member) -> None:
        """The last step of every way in. What cannot be recorded does not happen.

        The member is locked as where rights change (`team.rules`): a sign-in comes before a change, which then ends the
        new session as well, or after it, and is refused.
        """
        ways = [str(one.get("type") or one.get("method")) for one in get_authentication_records(request, user)]
        with transaction.atomic():
            now = Member.objects.select_for_update(no_key=True).get(pk=user.pk)
            if may_go_on := now.is_active and sessions.may_finish(request, now):
                record(actor=user, action="account:sign_in", detail=told_of_sign_in(user, ways), request=request)
                super().login(request, user)
        if not may_go_on:
            clear_login(request)
            raise ImmediateHttpResponse(self.respond_user_inactive(request, user))

    def set_password(self, user: Member, password: str) -> None:
        user.set_password(password)
        user.save(update_fields=["password"])

    def is_reauthentication_required(self, *, app: str, **_kwargs: Any) -> bool:  # noqa: ARG002
        return not sessions.has_proved(context.request, seconds=settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)

    def get_reauthentication_methods(self, user: Member | AnonymousUser) -> list[dict[str, Any]]:
        ways: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        return [{**way, "description": _REASONS.get(way["id"], way["description"])} for way in ways]


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors: their secrets are encrypted, and whoever needs one cannot remove the last."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is not right, or was used already.",
        "cannot_delete_authenticator": "Your role needs a second factor. Add another one before you remove this.",
    }

    def encrypt(self, text: str) -> str:
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text)

    def has_factor(self, member: Member) -> bool:
        return bool(self.is_mfa_enabled(member, types=[Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]))

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        member = authenticator.user
        others = Authenticator.objects.filter(user=member).exclude(pk=authenticator.pk)
        return not member.needs_second_factor or others.exclude(type=Authenticator.Type.RECOVERY_CODES).exists()

    def generate_authenticator_name(self, user: Member, type: str) -> str:  # noqa: A002  allauth's name
        return f"Passkey {Authenticator.objects.filter(user=user, type=type).count() + 1}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the address people use, from the settings where they name one."""
        host = urlsplit(settings.ADDRESS).hostname or context.request.get_host().partition(":")[0]
        return {"id": host, "name": "Mailwarden"}

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """None: the audit trail tells."""
