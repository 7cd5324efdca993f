"""Mail about one's own account; a worker sends it, so that the page takes as long for an address nobody has.

The address waits in our own table. The broker and the logs only see the name of its row, which says nothing.
"""

from __future__ import annotations

import secrets

import structlog
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from celery import shared_task  # type: ignore[import-untyped]
from django.conf import settings
from django.core.cache import cache
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.oidc_admission import may_sign_in_locally
from dashboard.upstream.ring import ring

log = structlog.get_logger("mailwarden.access")


_WAITS_AT_MOST = 3600  # seconds; a link that comes later surprises


def ask_for_reset(email: str) -> bool:
    """Have a worker send the link; False where none can be reached. The same work whether anybody has the address."""
    name = f"reset:{secrets.token_hex(16)}"
    cache.set(name, email, timeout=_WAITS_AT_MOST)
    if ring(send_password_reset.name, name):
        return True
    cache.delete(name)
    return False


@shared_task  # type: ignore[untyped-decorator]
def send_password_reset(name: str) -> None:
    """Send the link for a new password to those who have the address of this row and come in by password."""
    email = cache.get(name, "")
    if not email or not cache.delete(name):
        return  # too late, or a bell that rang twice
    for member in Member.objects.filter(email__iexact=email, is_active=True):
        if not member.has_usable_password() or not may_sign_in_locally(member):
            continue
        key = default_token_generator.make_token(member)
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(member), "key": key})
        text = render_to_string("account/mail/password_reset.txt", {"member": member, "link": settings.ADDRESS + path})
        try:
            send_mail("A new password for Mailwarden", text, None, [member.email])
        except (OSError, ValueError) as problem:  # also what SMTP answers; its text may quote the address
            log.warning("password_reset_not_sent", member=member.pk, cause=type(problem).__name__)
        else:
            log.info("password_reset_sent", member=member.pk)
