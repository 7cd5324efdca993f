"""Who may do what: every permission, and the roles as sets of them.

Views, services, workers and the menu all ask `allowed`; nothing else decides. Beside the six roles of this table a team
can compose its own (`TeamRole`) out of the same permissions. Reading metadata (`message:read`), reading what the sender
wrote (`message:read_body`) and configuring the desk (`team:*`) are separate rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from dashboard.access.models import Member


class Permission(StrEnum):
    """`resource:verb`, alphabetical."""

    ACCOUNT_OWN = "account:own"  # one's own password and preferences
    APPROVAL_DECIDE = "approval:decide"  # be the second person; what is approved needs its own right as well
    AUDIT_READ = "audit:read"
    CAMPAIGN_FOLLOW = "campaign:follow"  # have those who come later handled by a rule, without being asked
    CASE_WORK = "case:work"  # take messages, hand them over, give the team's own verdict, write notes
    DOMAIN_UNPROTECT = "domain:unprotect"  # end the protection of a domain, or approve that somebody else does
    DOMAIN_WRITE = "domain:write"  # protect domains and change how; ask for the end of it
    EVIDENCE_KEEP = "evidence:keep"  # keep a sealed copy of a message's raw file
    INSTALLATION_MANAGE = "installation:manage"  # retention, thresholds, the self-check
    JOB_RUN = "job:run"  # act on many messages at once
    JOB_RUN_LARGE = "job:run_large"  # on more than MAILWARDEN_LARGE_JOB of them, and stop or mend anybody's job
    MESSAGE_MOVE = "message:move"
    MESSAGE_PURGE = "message:purge"  # both RecoverableItems folders
    MESSAGE_READ = "message:read"
    MESSAGE_READ_BODY = "message:read_body"  # preview, raw mail, headers, links
    MESSAGE_RECLASSIFY = "message:reclassify"
    MESSAGE_RELEASE = "message:release"
    MESSAGE_RELEASE_MALICIOUS = "message:release_malicious"
    NOTICE_SEND = "notice:send"  # send notices to anybody and anywhere; to one's own address everybody may
    POLICY_ACCEPT = "policy:accept"  # a narrow rule for one sender, verified and with an end
    POLICY_BLOCK = "policy:block"  # block the sender of a message, or its domain
    POLICY_READ = "policy:read"  # the account's settings, as lists
    POLICY_WRITE = "policy:write"  # every other list of the account's settings
    TEAM_GRANT = "team:grant"  # give rights one does not hold oneself
    TEAM_MANAGE = "team:manage"  # invite, change and end members, compose roles out of one's own rights
    TEAM_READ = "team:read"  # who is in the team, and what each role may do
    VIEW_SHARE = "view:share"  # share saved views with the team, and choose which roles begin with them


RIGHTS: Mapping[Permission, str] = {
    Permission.ACCOUNT_OWN: "change one's own account",
    Permission.APPROVAL_DECIDE: "approve what others ask for",
    Permission.AUDIT_READ: "read the audit trail",
    Permission.CAMPAIGN_FOLLOW: "have later copies of a campaign handled by a rule",
    Permission.CASE_WORK: "take messages, give the team's verdict and write notes",
    Permission.DOMAIN_UNPROTECT: "end the protection of a domain",
    Permission.DOMAIN_WRITE: "protect domains and change how",
    Permission.EVIDENCE_KEEP: "keep raw files as evidence",
    Permission.INSTALLATION_MANAGE: "set retention and thresholds, and run the self-check",
    Permission.JOB_RUN: "act on many messages at once",
    Permission.JOB_RUN_LARGE: "act on very many messages at once, and stop or mend anybody's jobs",
    Permission.MESSAGE_MOVE: "move messages",
    Permission.MESSAGE_PURGE: "purge messages",
    Permission.MESSAGE_READ: "see messages",
    Permission.MESSAGE_READ_BODY: "read what the sender wrote",
    Permission.MESSAGE_RECLASSIFY: "submit messages for another verdict",
    Permission.MESSAGE_RELEASE: "release messages",
    Permission.MESSAGE_RELEASE_MALICIOUS: "release Malicious messages",
    Permission.NOTICE_SEND: "send notices to others and to other systems",
    Permission.POLICY_ACCEPT: "accept one sender for a time",
    Permission.POLICY_BLOCK: "block the sender of a message",
    Permission.POLICY_READ: "see the account's settings",
    Permission.POLICY_WRITE: "change the account's settings",
    Permission.TEAM_GRANT: "give rights beyond one's own",
    Permission.TEAM_MANAGE: "manage the team",
    Permission.TEAM_READ: "see who is in the team",
    Permission.VIEW_SHARE: "share saved views with the team",
}
"""Each permission as it ends the sentence "the right to …"."""


class Role(StrEnum):
    ANALYST = "analyst"
    RESPONDER = "responder"
    POLICY_MANAGER = "policy_manager"
    AUDITOR = "auditor"
    ADMIN = "admin"
    VIEWER = "viewer"

    @property
    def label(self) -> str:
        return self.value.replace("_", " ").capitalize()


_SEE = frozenset({Permission.ACCOUNT_OWN, Permission.MESSAGE_READ, Permission.TEAM_READ})
_TRIAGE = _SEE | {
    Permission.CASE_WORK,
    Permission.EVIDENCE_KEEP,
    Permission.JOB_RUN,
    Permission.MESSAGE_MOVE,
    Permission.MESSAGE_READ_BODY,
    Permission.MESSAGE_RECLASSIFY,
    Permission.MESSAGE_RELEASE,
    Permission.POLICY_ACCEPT,
    Permission.POLICY_BLOCK,
    Permission.POLICY_READ,
}

ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _SEE,
    Role.ANALYST: _TRIAGE,
    Role.RESPONDER: _TRIAGE
    | {
        Permission.APPROVAL_DECIDE,
        Permission.CAMPAIGN_FOLLOW,
        Permission.JOB_RUN_LARGE,
        Permission.MESSAGE_PURGE,
        Permission.MESSAGE_RELEASE_MALICIOUS,
        Permission.NOTICE_SEND,
        Permission.VIEW_SHARE,
    },
    Role.POLICY_MANAGER: _SEE
    | {
        Permission.APPROVAL_DECIDE,
        Permission.DOMAIN_UNPROTECT,
        Permission.DOMAIN_WRITE,
        Permission.POLICY_ACCEPT,
        Permission.POLICY_BLOCK,
        Permission.POLICY_READ,
        Permission.POLICY_WRITE,
    },
    Role.AUDITOR: _SEE | {Permission.AUDIT_READ, Permission.POLICY_READ},
    Role.ADMIN: _SEE
    | {
        Permission.AUDIT_READ,
        Permission.INSTALLATION_MANAGE,
        Permission.NOTICE_SEND,
        Permission.POLICY_READ,
        Permission.TEAM_GRANT,
        Permission.TEAM_MANAGE,
        Permission.VIEW_SHARE,
    },
}


def allowed(user: Member | AnonymousUser, permission: Permission) -> bool:
    """Whether this person, as they are in the database now, holds the permission."""
    if not user.is_authenticated or not user.is_active:
        return False
    return permission in user.permissions


def roles_with(permission: Permission) -> list[Role]:
    """The roles that hold the permission, for telling people whom to ask."""
    return [role for role, permissions in ROLES.items() if permission in permissions]


EVERYTHING = "*"  # in a stored list: every permission, those of later versions included


def known_permissions(names: object) -> frozenset[Permission]:
    """The permissions of a stored list; what this version does not know grants nothing."""
    if isinstance(names, list) and EVERYTHING in names:
        return frozenset(Permission)
    known = {permission.value for permission in Permission}
    return frozenset(Permission(name) for name in names if name in known) if isinstance(names, list) else frozenset()
