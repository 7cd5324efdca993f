"""Invitations: a link that makes one member, once, and works for two days.

The link's secret is told once and kept nowhere; the table holds its hash. A link that was used, has expired, was
revoked or never existed is answered in the same way, and so is one whose inviter may no longer give what it promises.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Invitation, Member
from dashboard.access.scope import Scope
from dashboard.access.team import catalogue
from dashboard.access.team.rules import NotYours, Refused, check_reach, deciding, manages, role_rights
from dashboard.access.team.words import Access
from dashboard.audit.recorder import record

GOOD_FOR = dt.timedelta(hours=48)
SECRET_BYTES = 32


class NoInvitation(Exception):
    """The link opens nothing; nobody learns why."""


@dataclass(frozen=True)
class Newcomer:
    """Whom the accepted invitation makes; the form has checked it."""

    username: str
    name: str
    password: str


def open_invitations() -> QuerySet[Invitation]:
    return Invitation.objects.filter(
        accepted_at__isnull=True, revoked_at__isnull=True, expires_at__gt=timezone.now()
    ).order_by("-created_at")


def invite(
    *, actor: Member, email: str, role: str, domains: tuple[str, ...] = (), request: HttpRequest | None = None
) -> tuple[Invitation, str]:
    """The invitation, and its secret for the link: the only time that anybody sees it."""
    with deciding(actor) as now:
        if settings.SSO_ONLY:
            raise Refused("Members come through the identity provider: add people to a group there.")
        if catalogue.role_named(role) is None:
            raise Refused("This role is gone.")
        check_reach(now, role_rights(role), Scope(frozenset(domains)))
        if member := Member.objects.filter(email__iexact=email, is_active=True).first():
            raise Refused(f"{member.display_name} has this address and is in the team already.")
        if open_invitations().filter(email__iexact=email).exists():
            raise Refused("An invitation to this address is open. Revoke it first if its link got lost.")
        secret = secrets.token_urlsafe(SECRET_BYTES)
        moment = timezone.now()
        invitation = Invitation.objects.create(
            secret_hash=_hash(secret),
            email=email,
            role=role,
            domains=list(domains),
            invited_by=now,
            invited_by_name=now.display_name,
            created_at=moment,
            expires_at=moment + GOOD_FOR,
        )
        record(actor=now, action="team:invite", targets=[email], detail=_detail(invitation), request=request)
    return invitation, secret


def revoke(*, actor: Member, invitation_id: int, request: HttpRequest | None = None) -> Invitation:
    with deciding(actor) as now:
        if not open_invitations().filter(pk=invitation_id).update(revoked_at=timezone.now()):
            raise Refused("This invitation is not open any more.")
        invitation = Invitation.objects.get(pk=invitation_id)
        record(
            actor=now,
            action="team:revoke_invitation",
            targets=[invitation.email],
            detail=_detail(invitation),
            request=request,
        )
    return invitation


def find(secret: str) -> Invitation:
    """The open invitation of this link, or NoInvitation."""
    invitation = open_invitations().select_related("invited_by").filter(secret_hash=_hash(secret)).first()
    if invitation is None or settings.SSO_ONLY or not _still_stands(invitation):
        raise NoInvitation
    return invitation


def accept(*, secret: str, newcomer: Newcomer, request: HttpRequest | None = None) -> Member:
    """Make the member, and use the link up. Raises NoInvitation, whoever was faster."""
    with transaction.atomic():
        # Under the lock of every other change of rights: an inviter who is ended right now no longer invites.
        list(Member.objects.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        invitation = find(secret)
        if Member.objects.filter(username__iexact=newcomer.username).exists():
            raise Refused("Somebody took this user name a moment ago.")
        member = Member(
            username=newcomer.username,
            first_name=newcomer.name,
            email=invitation.email,
            role=invitation.role,
            domains=invitation.domains,
        )
        member.set_password(newcomer.password)
        member.save(force_insert=True)
        used = open_invitations().filter(pk=invitation.pk).update(accepted_at=timezone.now(), accepted_by=member)
        if not used:
            raise NoInvitation
        detail = {**_detail(invitation), "invited_by": invitation.invited_by_name, "user_name": member.username}
        record(
            actor=member, action="team:accept_invitation", targets=[invitation.email], detail=detail, request=request
        )
    return member


def access_of(invitation: Invitation) -> Access:
    return Access(role_rights(invitation.role), Scope(frozenset(invitation.domains)))


def _still_stands(invitation: Invitation) -> bool:
    """Whether the inviter could send it again now."""
    inviter = invitation.invited_by
    if inviter is None or not inviter.is_active or not manages(inviter):
        return False
    if catalogue.role_named(invitation.role) is None:
        return False
    try:
        access = access_of(invitation)
        check_reach(inviter, access.permissions, access.scope)
    except NotYours:
        return False
    return True


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _detail(invitation: Invitation) -> dict[str, object]:
    return {"role": invitation.role, "domains": invitation.domains, "expires_at": invitation.expires_at.isoformat()}
