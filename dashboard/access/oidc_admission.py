"""Who is let in through the provider, as what, and who may come in without it.

Somebody is known by issuer and subject alone, never by an e-mail address. Groups are looked at anew at each sign-in.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import structlog
from allauth.socialaccount.models import SocialAccount, SocialApp
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from dashboard.access import sessions
from dashboard.access.models import Member, TeamRole
from dashboard.access.oidc_refusals import NOT_LET_IN, Refusal
from dashboard.access.oidc_settings import Grant, NoGrant, SingleSignOn
from dashboard.access.roles import Role
from dashboard.audit.recorder import record

log = structlog.get_logger("mailwarden.sso")

_LONGEST_UID = 191  # what allauth's column holds; the protocol allows 255


def provider_of_settings() -> SingleSignOn:
    found: SingleSignOn | None = settings.SINGLE_SIGN_ON
    if found is None:
        raise SocialApp.DoesNotExist
    return found


def is_managed_by_sso(member: Member) -> bool:
    """Whether the provider's groups decide over this member: what is set by hand lasts until the next sign-in."""
    sso = settings.SINGLE_SIGN_ON
    return sso is not None and SocialAccount.objects.filter(user=member, provider=sso.issuer).exists()


def may_sign_in_locally(member: Member) -> bool:
    """Whether this member may come in without the provider: else who lost their group would still get in."""
    if settings.SSO_ONLY:
        return member.is_break_glass
    return member.is_break_glass or not is_managed_by_sso(member)


def told_of_sign_in(member: Member, ways: list[str]) -> dict[str, Any]:
    """What the audit trail keeps of a finished sign-in; one past the provider where it alone is wanted stands out."""
    if "socialaccount" in ways:
        account = SocialAccount.objects.filter(user=member, provider=provider_of_settings().issuer).first()
        granted = {"role": member.role, "domains": member.domains, **(account.extra_data if account else {})}
        return {"by": ["sso" if way == "socialaccount" else way for way in ways], **granted}
    if not member.is_break_glass:
        return {"by": ways}
    log.warning("break_glass_sign_in", member=member.pk)
    return {"by": ways, "break_glass": True}


def admit(sso: SingleSignOn, claims: Mapping[str, Any], request: HttpRequest) -> SocialAccount:
    """Let a person in whom the provider vouches for: make the member or bring their rights up to date.

    Raises Refusal for who is in no group that opens anything, and ends their sessions.
    """
    subject = str(claims["sub"])
    account = _account(sso, subject)
    member = account.user if account else None
    try:
        if member is not None and not member.is_active:
            raise NoGrant("member is disabled")
        grant = sso.grant(_groups(sso, claims))
        if grant.role not in set(Role) and not TeamRole.objects.filter(pk=grant.role).exists():
            raise NoGrant(f"role {grant.role} does not exist")
    except NoGrant as reason:
        if member is not None:
            sessions.end_sessions(member)  # those of who has lost their group go on nowhere
        raise Refusal(NOT_LET_IN, str(reason), member=member, subject=subject) from reason
    if account is None:
        try:
            return _make_member(sso, subject, grant, claims, request)
        except IntegrityError:  # the same person twice at once, or somebody who just took the name
            account = _account(sso, subject) or _make_member(sso, subject, grant, claims, request)
    _bring_up_to_date(account, grant, claims, request)
    return account


def _account(sso: SingleSignOn, subject: str) -> SocialAccount | None:
    found: SocialAccount | None = (
        SocialAccount.objects.select_related("user").filter(provider=sso.issuer, uid=_uid(subject)).first()
    )
    return found


def _groups(sso: SingleSignOn, claims: Mapping[str, Any]) -> frozenset[str]:
    told = claims.get(sso.groups_claim)
    if isinstance(told, str):
        return frozenset({told})
    if not isinstance(told, list):  # also where there are too many for a token: nothing is guessed
        raise NoGrant("provider told no groups")
    return frozenset(group for group in told if isinstance(group, str))


def _make_member(
    sso: SingleSignOn, subject: str, grant: Grant, claims: Mapping[str, Any], request: HttpRequest
) -> SocialAccount:
    """A new member of this name or the next free one: one who is here already is never taken over."""
    with transaction.atomic():
        member = Member(username=_free_name(claims), role=grant.role, domains=list(grant.domains or ()))
        _describe(member, claims)
        member.set_unusable_password()
        member.save()
        after = {"role": member.role, "domains": member.domains}
        detail = {"by": "sso", "subject": subject, "group": grant.group, "after": after}
        record(actor=None, action="team:add_member", targets=[member.username], detail=detail, request=request)
        return SocialAccount.objects.create(
            user=member, provider=sso.issuer, uid=_uid(subject), extra_data={"group": grant.group}
        )


def _bring_up_to_date(account: SocialAccount, grant: Grant, claims: Mapping[str, Any], request: HttpRequest) -> None:
    """A changed role or other domains end the sessions of before, as when the team changes them."""
    account.extra_data = {"group": grant.group}
    with transaction.atomic():
        member = Member.objects.select_for_update(no_key=True).get(pk=account.user_id)
        before = {"role": member.role, "domains": member.domains}
        member.role = grant.role
        if grant.domains is not None:
            member.domains = list(grant.domains)
        after = {"role": member.role, "domains": member.domains}
        _describe(member, claims)
        member.save(update_fields=["role", "domains", "first_name", "last_name", "email"])
        if before != after:
            sessions.end_sessions(member)
            detail = {"by": "sso", "group": grant.group, "before": before, "after": after}
            record(actor=None, action="team:change_member", targets=[member.username], detail=detail, request=request)


def _describe(member: Member, claims: Mapping[str, Any]) -> None:
    """Name and address as the provider has them; an address that a colleague has stays the colleague's."""
    first, last = _line(claims.get("given_name")), _line(claims.get("family_name"))
    if not first and not last:
        first, _, last = _line(claims.get("name")).partition(" ")
    member.first_name, member.last_name = first[:150], last[:150]
    email = _line(claims.get("email"))
    if claims.get("email_verified") is not True or not _is_email(email):
        return
    if not Member.objects.filter(email__iexact=email).exclude(pk=member.pk).exists():
        member.email = email


def _free_name(claims: Mapping[str, Any]) -> str:
    """A user name out of what the provider calls the person, in letters that look like no other ones."""
    for claim in ("preferred_username", "email", "name"):
        told = unicodedata.normalize("NFKD", _line(claims.get(claim))).partition("@")[0]
        wanted = re.sub(r"[^a-z0-9._-]+", "", told.casefold().replace(" ", "."))[:60].strip("._-")
        if wanted:
            break
    else:
        wanted = "member"
    taken = {
        name.casefold()
        for name in Member.objects.filter(username__istartswith=wanted).values_list("username", flat=True)
    }
    return next(name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)


def _line(value: object) -> str:
    return (
        " ".join("".join(c if c.isprintable() else " " for c in value).split())[:254] if isinstance(value, str) else ""
    )


def _is_email(value: str) -> bool:
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True


def _uid(subject: str) -> str:
    """The subject, or where it does not fit its digest."""
    return subject if len(subject) <= _LONGEST_UID else f"sha256:{hashlib.sha256(subject.encode()).hexdigest()}"
