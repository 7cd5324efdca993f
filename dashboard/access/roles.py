"""Who may do what: every permission, and the roles as sets of them.

Views, services, workers and the menu all ask `allowed`; nothing else decides.
Reading metadata (`message:read`) and reading what the sender wrote (`message:read_body`) are separate rights.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from dashboard.access.models import Member


class Permission(StrEnum):
    """`resource:verb`, alphabetical."""

    ACCOUNT_OWN = "account:own"  # one's own password and preferences
    AUDIT_READ = "audit:read"
    JOB_RUN = "job:run"  # act on many messages at once
    JOB_RUN_LARGE = "job:run_large"  # on more than MAILWARDEN_LARGE_JOB of them, and stop or mend anybody's job
    MESSAGE_MOVE = "message:move"
    MESSAGE_PURGE = "message:purge"  # both RecoverableItems folders
    MESSAGE_READ = "message:read"
    MESSAGE_READ_BODY = "message:read_body"  # preview, raw mail, headers, links
    MESSAGE_RECLASSIFY = "message:reclassify"
    MESSAGE_RELEASE = "message:release"
    MESSAGE_RELEASE_MALICIOUS = "message:release_malicious"
    TEAM_MANAGE = "team:manage"


class Role(StrEnum):
    ANALYST = "analyst"
    RESPONDER = "responder"
    POLICY_MANAGER = "policy_manager"
    AUDITOR = "auditor"
    ADMIN = "admin"
    VIEWER = "viewer"


_SEE = frozenset({Permission.ACCOUNT_OWN, Permission.MESSAGE_READ})
_TRIAGE = _SEE | {
    Permission.JOB_RUN,
    Permission.MESSAGE_MOVE,
    Permission.MESSAGE_READ_BODY,
    Permission.MESSAGE_RECLASSIFY,
    Permission.MESSAGE_RELEASE,
}

ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _SEE,
    Role.ANALYST: _TRIAGE,
    Role.RESPONDER: _TRIAGE
    | {Permission.JOB_RUN_LARGE, Permission.MESSAGE_PURGE, Permission.MESSAGE_RELEASE_MALICIOUS},
    Role.POLICY_MANAGER: _SEE,
    Role.AUDITOR: _SEE | {Permission.AUDIT_READ},
    Role.ADMIN: frozenset(Permission),
}


def allowed(user: Member | AnonymousUser, permission: Permission) -> bool:
    """Whether this person, as they are in the database now, holds the permission."""
    if not user.is_authenticated or not user.is_active:
        return False
    return permission in ROLES.get(Role(user.role), frozenset())


def roles_with(permission: Permission) -> list[Role]:
    """The roles that hold the permission, for telling people whom to ask."""
    return [role for role, permissions in ROLES.items() if permission in permissions]
