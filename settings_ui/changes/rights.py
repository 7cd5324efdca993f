"""Who may make a change, alone or as one of two; asked when it is decided, and again by the worker before each call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from dashboard.access.decorators import OutsideScope
from dashboard.access.models import Member
from dashboard.access.persons import is_same_person
from dashboard.access.roles import RIGHTS, Permission, known_permissions
from dashboard.installation.values import setting
from settings_ui.models import Change, ChangeKind
from settings_ui.patterns.linter import ends_scanning
from settings_ui.resources import BY_NAME
from settings_ui.resources.block_senders import BLOCK_SENDERS
from settings_ui.resources.description import Resource, Values

OWN = "You asked for this yourself: somebody else has to decide it."
_SECOND = (Permission.APPROVAL_DECIDE, Permission.DOMAIN_UNPROTECT)


def check(actor: Member, *needed: Permission) -> None:
    """Raises PermissionDenied; every entry of these lists holds for the whole account."""
    for permission in needed:
        if not actor.may(permission):
            raise PermissionDenied(permission.value)
    if not actor.scope.is_whole:
        raise OutsideScope(str(actor.scope))


def to_add(resource: Resource, lower: Permission | None = None) -> Permission:
    """The right of who adds an entry to this list; `lower`: the one that is enough for it from a message's page."""
    if lower in (None, resource.write):
        return resource.write
    if lower is Permission.POLICY_BLOCK and resource is BLOCK_SENDERS:
        return lower
    raise PermissionDenied(resource.write.value)


def ends_protection(resource: Resource, before: Values, after: Values) -> bool:
    """Whether an edit leaves no way by which a domain's new mail is scanned: it is protected in name alone then."""
    return resource.takes_typing and ends_scanning(after) and not ends_scanning(before)


def takes_two(resource: Resource) -> bool:
    """Whether removing an entry of this list takes a second person."""
    return resource.takes_typing and "unprotect" in setting("SECOND_PERSON")


def to_remove(resource: Resource) -> Permission:
    """The right of who removes entries of this list, or only asks for it where it takes two."""
    if resource.takes_typing and not takes_two(resource):
        return Permission.DOMAIN_UNPROTECT
    return resource.remove


def why_not_sent(change: Change) -> str:
    """Why this may not go out now, as a sentence, or "": by the rights in the database now."""
    actor = Member.objects.filter(pk=change.actor_id).first() if change.actor_id else None
    if actor is None or not holds(actor, known_permissions([change.permission])):
        return f"{change.actor_name} no longer has the right to do this."
    is_removal = change.kind == ChangeKind.DELETE and takes_two(BY_NAME[change.resource])
    if not change.why_two:
        return "This takes a second person, and nobody has approved it." if is_removal else ""
    second = Member.objects.filter(pk=change.decided_by_id).first() if change.decided_by_id else None
    if second is None or change.decided_at is None or not may_decide(second):
        return f"{change.decided_by_name or 'Whoever'} approved this and no longer has the right to."
    if is_same_person(second, actor):
        return "Who asked and who approved are one person: it takes two."
    if timezone.now() - change.decided_at > dt.timedelta(hours=setting("APPROVAL_HOURS")):
        return f"{change.decided_by_name} approved this more than {setting('APPROVAL_HOURS')} hours ago."
    return ""


def why_not_decide(member: Member, change: Change) -> str:
    """Why this member is not the second person for a request, or ""."""
    if change.actor is not None and is_same_person(member, change.actor):
        return OWN
    for permission in _SECOND:
        if not member.may(permission):
            return f"You lack the right to {RIGHTS[permission]}."
    if not member.scope.is_whole:
        return f"It is about the whole account, and you are limited to {member.scope}."
    return ""


def may_control(member: Member, change: Change) -> bool:
    """Whether this member may stop it: who asked for it, and everybody who could have."""
    if change.actor_id == member.pk:
        return True
    return holds(member, known_permissions([change.permission]))


def may_decide(member: Member) -> bool:
    """Whether this member can be the second person of what somebody else asks for."""
    return holds(member, _SECOND)


def holds(member: Member, needed: Collection[Permission]) -> bool:
    """Whether this member has all of these for the whole account; of none it is no."""
    return bool(needed) and all(map(member.may, needed)) and member.scope.is_whole
