"""Changing members and the team's own roles; `rules` says what is allowed.

Each change is planned first: the plan says what people gain and lose, and only the plan that was seen is carried out.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest
from django.utils.text import slugify

from dashboard.access.models import Member, TeamRole
from dashboard.access.oidc_admission import is_managed_by_sso, may_sign_in_locally
from dashboard.access.roles import Permission, Role, known_permissions
from dashboard.access.scope import Scope
from dashboard.access.sessions import end_sessions
from dashboard.access.team import catalogue, words
from dashboard.access.team.invitations import open_invitations
from dashboard.access.team.rules import Changed, NotYours, Refused, check_reach, deciding, role_rights
from dashboard.access.team.words import NO_ACCESS, Access
from dashboard.audit.recorder import record


@dataclass(frozen=True)
class Standing:
    """What decides over a member's rights, as a form asks for it."""

    role: str
    domains: tuple[str, ...] = ()
    is_active: bool = True

    @classmethod
    def of(cls, member: Member) -> Standing:
        return cls(member.role, tuple(sorted(member.domains)), member.is_active)

    @property
    def scope(self) -> Scope:
        return Scope(frozenset(self.domains))

    @property
    def access(self) -> Access:
        return Access(role_rights(self.role), self.scope) if self.is_active else NO_ACCESS

    def as_detail(self) -> dict[str, Any]:
        return {"role": self.role, "domains": list(self.domains), "active": self.is_active}


@dataclass(frozen=True)
class Plan:
    """What a change would do, and a mark of what it was worked out from."""

    meanings: list[str | words.Meaning]
    seen: str

    @property
    def sentences(self) -> list[str]:
        return [str(one) for one in self.meanings]


def _mark(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _recorded(action: str, *, actor: Member, target: str, detail: dict[str, Any], request: HttpRequest | None) -> None:
    record(actor=actor, action=action, targets=[target], detail=detail, request=request)


# --- members ----------------------------------------------------------------------------------------------------------


def plan_member(*, actor: Member, member: Member, wanted: Standing) -> Plan:
    """What the change gives and takes; raises where it would be refused."""
    before = Standing.of(member)
    if member.pk == actor.pk:
        raise NotYours("Nobody changes their own rights. Another member who manages the team can change yours.")
    if wanted.role != before.role and catalogue.role_named(wanted.role) is None:
        raise Refused("This role is gone.")
    if fixed := fixed_by_groups(member):
        if wanted.role != before.role:
            raise Refused("The role follows from groups at the identity provider; change it there.")
        if "domains" in fixed and wanted.domains != before.domains:
            raise Refused("The domains follow from groups at the identity provider; change them there.")
    check_reach(actor, role_rights(before.role) | role_rights(wanted.role), before.scope, wanted.scope)
    meanings = words.gains_and_losses(member.display_name, before.access, wanted.access)
    if before.is_active and not wanted.is_active:
        meanings.insert(0, f"Access ended: {member.display_name} cannot sign in any more, and open sessions end.")
    return Plan(
        meanings,
        _mark(
            before.as_detail(), sorted(before.access.permissions), wanted.as_detail(), sorted(wanted.access.permissions)
        ),
    )


def fixed_by_groups(member: Member) -> set[str]:
    """Which of role and domains the identity provider decides at each sign-in."""
    sso = settings.SINGLE_SIGN_ON
    if sso is None or not is_managed_by_sso(member):
        return set()
    return {"role"} if sso.domains is None else {"role", "domains"}


def change_member(
    *, actor: Member, member_id: int, wanted: Standing, seen: str, request: HttpRequest | None = None
) -> Member:
    """Change role, domains and access of another member; `seen` is the mark of the plan the actor agreed to."""
    with deciding(actor) as now:
        member = Member.objects.get(pk=member_id)
        plan = plan_member(actor=now, member=member, wanted=wanted)
        if plan.seen != seen:
            raise Changed
        before = Standing.of(member)
        if before == wanted:
            return member
        member.role, member.domains, member.is_active = wanted.role, list(wanted.domains), wanted.is_active
        member.save(update_fields=["role", "domains", "is_active"])
        end_sessions(member)
        detail = {"before": before.as_detail(), "after": wanted.as_detail(), "means": plan.sentences}
        _recorded("team:change_member", actor=now, target=member.username, detail=detail, request=request)
        return member


def end_sessions_of(*, actor: Member, member: Member, request: HttpRequest | None = None) -> None:
    """Sign the member out everywhere. This gives nothing, so that it needs no more than managing the team."""
    with deciding(actor) as now:
        end_sessions(member)
        _recorded("team:end_sessions", actor=now, target=member.username, detail={}, request=request)


def reset_sign_in(*, actor: Member, member_id: int, request: HttpRequest | None = None) -> Member:
    """Take password and second factors away, so that only a new one-time link lets the member in again.

    Whoever holds that link is the member, so that it is given only by those who may give all of the member's rights.
    """
    with deciding(actor) as now:
        member = Member.objects.get(pk=member_id)
        if member.pk == now.pk:
            raise NotYours("Change your own sign-in in your account.")
        access = Access(role_rights(member.role), Standing.of(member).scope)
        check_reach(now, access.permissions, access.scope)
        if not member.is_active:
            raise Refused(f"{member.display_name} may not sign in. Let them in again first.")
        if not may_sign_in_locally(member):
            raise Refused(f"{member.display_name} signs in through the identity provider, which resets it.")
        member.set_unusable_password()
        member.save(update_fields=["password"])
        Authenticator.objects.filter(user=member).delete()
        end_sessions(member)
        _recorded("team:reset_sign_in", actor=now, target=member.username, detail={}, request=request)
        return member


# --- roles of the team ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RoleDraft:
    """A role as a form asks for it. Everybody keeps the right to their own account."""

    label: str
    permissions: frozenset[Permission]
    needs_second_factor: bool = False

    @property
    def granted(self) -> frozenset[Permission]:
        return self.permissions | {Permission.ACCOUNT_OWN}

    def as_detail(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "permissions": sorted(self.granted),
            "needs_second_factor": self.needs_second_factor,
        }


def plan_role(*, actor: Member, role: TeamRole | None, draft: RoleDraft) -> Plan:
    """What the role's members gain and lose; raises where the change would be refused."""
    taken = {one.label.casefold() for one in Role} | {one.value for one in Role}
    others = TeamRole.objects.exclude(pk=role.pk if role else None)
    if draft.label.casefold() in taken | {one.label.casefold() for one in others}:
        raise Refused("A role of this name exists already.")
    old = role.granted if role else frozenset()
    check_reach(actor, old | draft.granted)
    if role is None:
        return Plan(
            [f"Nobody has it yet. It grants the right to {words.rights(draft.granted)}."], _mark(draft.as_detail())
        )
    if actor.role == role.pk and draft.granted != old:
        raise NotYours("You have this role yourself, and nobody changes their own rights.")
    if actor.role == role.pk and role.needs_second_factor and not draft.needs_second_factor:
        raise NotYours("You have this role yourself, and nobody releases themselves from the second factor.")
    holders = holders_of(role)
    who = (
        f"Everybody with this role ({words.named([one.display_name for one in holders])})" if holders else "Who gets it"
    )
    meanings = words.gains_and_losses(who, Access(old), Access(draft.granted))
    if draft.label != role.label:
        meanings.append(f"{role.label} is called {draft.label} from then on.")
    if draft.needs_second_factor != role.needs_second_factor:
        meanings.append(f"{who} {'needs' if draft.needs_second_factor else 'no longer needs'} a second factor.")
    mark = _mark(draft.as_detail(), _detail(role), [one.pk for one in holders])
    return Plan(meanings, mark)


def holders_of(role: TeamRole) -> list[Member]:
    return list(Member.objects.filter(role=role.pk, is_active=True).order_by("first_name", "username"))


def create_role(*, actor: Member, draft: RoleDraft, request: HttpRequest | None = None) -> TeamRole:
    with deciding(actor) as now:
        plan_role(actor=now, role=None, draft=draft)
        role = TeamRole.objects.create(
            name=_free_name(draft.label),
            label=draft.label,
            permissions=sorted(draft.granted),
            needs_second_factor=draft.needs_second_factor,
        )
        _recorded("team:create_role", actor=now, target=role.pk, detail={"after": _detail(role)}, request=request)
        return role


def change_role(
    *, actor: Member, name: str, draft: RoleDraft, seen: str, request: HttpRequest | None = None
) -> TeamRole:
    """Change what a role of the team is called and grants; `seen` is the mark of the plan the actor agreed to."""
    with deciding(actor) as now:
        role = TeamRole.objects.get(pk=name)
        plan = plan_role(actor=now, role=role, draft=draft)
        if plan.seen != seen:
            raise Changed
        before = _detail(role)
        role.label, role.needs_second_factor = draft.label, draft.needs_second_factor
        role.permissions = sorted(draft.granted)
        if _detail(role) == before:
            return role
        role.save()
        if draft.granted != known_permissions(before["permissions"]):
            for member in holders_of(role):
                end_sessions(member)
        detail = {
            "before": before,
            "after": _detail(role),
            "members": [one.username for one in holders_of(role)],
            "means": plan.sentences,
        }
        _recorded("team:change_role", actor=now, target=role.pk, detail=detail, request=request)
        return role


def why_role_stays(role: TeamRole) -> str:
    """Who has the role, or would get it; "" where it can be deleted."""
    members = Member.objects.filter(role=role.pk).order_by("first_name", "username")
    if members:
        return f"{words.named([one.display_name for one in members])} {'have' if len(members) > 1 else 'has'} it."
    if invited := [one.email for one in open_invitations().filter(role=role.pk)]:
        return f"An open invitation gives it to {words.named(invited)}."
    return ""


def delete_role(*, actor: Member, name: str, request: HttpRequest | None = None) -> None:
    with deciding(actor) as now:
        role = TeamRole.objects.get(pk=name)
        check_reach(now, role.granted)
        if why := why_role_stays(role):
            raise Refused(f"{role.label} cannot be deleted: {why}")
        before = _detail(role)
        role.delete()
        _recorded("team:delete_role", actor=now, target=name, detail={"before": before}, request=request)


def _free_name(label: str) -> str:
    """A name for addresses, rows and the audit trail, which stays when the label changes."""
    name = slugify(label)[:32] or "role"
    if name in set(Role) or TeamRole.objects.filter(pk=name).exists():
        return f"{name}-{secrets.token_hex(3)}"
    return name


def _detail(role: TeamRole) -> dict[str, Any]:
    return {
        "label": role.label,
        "permissions": sorted(role.granted),
        "needs_second_factor": role.needs_second_factor,
    }
