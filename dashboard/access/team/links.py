"""Links that open something by themselves: for a first sign-in, for a new one, and for an invitation."""

from __future__ import annotations

import structlog
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from dashboard.access.models import Invitation, Member
from dashboard.web import times

log = structlog.get_logger("mailwarden.team")


def absolute(path: str, request: HttpRequest) -> str:
    """The whole address: from MAILWARDEN_ADDRESS, else from the request, whose host is one of ALLOWED_HOSTS."""
    return f"{settings.ADDRESS.rstrip('/')}{path}" if settings.ADDRESS else request.build_absolute_uri(path)


def first_sign_in(member: Member) -> str:
    """Where the member chooses a password, once and within three days."""
    token = default_token_generator.make_token(member)
    return reverse(
        "access:first_sign_in", kwargs={"uidb64": urlsafe_base64_encode(force_bytes(member.pk)), "token": token}
    )


def invitation(secret: str) -> str:
    return reverse("team:accept", args=[secret])


def mail_invitation(invited: Invitation, *, role: str, link: str) -> bool | None:
    """Whether the mail server took it; None where mail is not set up. Who invites has the link in any case."""
    if not settings.SENDS_MAIL:
        return None
    context = {
        "inviter": " ".join(invited.invited_by_name.split()),
        "role": role,
        "link": link,
        "until": times.moment(invited.expires_at),
    }
    try:
        send_mail(
            "An invitation to Mailwarden", render_to_string("team/invitation.txt", context), None, [invited.email]
        )
    except OSError as problem:  # also what SMTP answers
        log.warning("invitation_not_mailed", invitation=invited.pk, cause=type(problem).__name__)
        return False
    return True
