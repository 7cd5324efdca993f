"""Where django-allauth asks us: who gets in, where people go afterwards, how secrets are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter

from dashboard.access.destinations import safe_path

if TYPE_CHECKING:
    from django.http import HttpRequest

    from dashboard.access.models import Member


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


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors."""

    def _get_site_name(self) -> str:
        return "Mailwarden"

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """No mail: the audit trail tells."""
