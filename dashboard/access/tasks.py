"""Mail about one's own account; a worker sends it, so that the page takes as long for an address nobody has."""

from __future__ import annotations

import structlog
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from celery import shared_task  # type: ignore[import-untyped]
from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.oidc import may_sign_in_locally

log = structlog.get_logger("mailwarden.access")


@shared_task  # type: ignore[untyped-decorator]
def send_password_reset(email: str) -> None:
    """Send the link for a new password to those who have this address and come in by password."""
    for member in Member.objects.filter(email__iexact=email, is_active=True):
        if not member.has_usable_password() or not may_sign_in_locally(member):
            continue
        key = default_token_generator.make_token(member)
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(member), "key": key})
        text = render_to_string("account/mail/password_reset.txt", {"member": member, "link": settings.ADDRESS + path})
        send_mail("A new password for Mailwarden", text, None, [member.email])
        log.info("password_reset_sent", member=member.pk)
