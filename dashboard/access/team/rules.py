"""Who may change whose rights. Every change is decided under one lock, by the rights its actor holds at that moment.

- Nobody changes their own role, domains or access, and nobody changes the role they have.
- Without `team:grant` nobody touches rights they do not hold: not of a member, not of a role, not by an invitation.
- Somebody active who manages the whole team always remains.

What is refused raises `Refused` with a sentence for the page; the views write it into the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.core.exceptions import PermissionDenied
from django.db import transaction

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import ROLES, Permission, Role
from dashboard.access.scope import Scope
from dashboard.access.team import words


class Refused(Exception):
    """Not done; the sentence says why."""

    status = 409

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NotYours(Refused):
    """The actor may not do this; somebody else may."""

    status = 403


class Changed(Refused):
    """What the actor decided on is not what is there now."""

    def __init__(self) -> None:
        super().__init__("Somebody changed this in the meantime. Here is what your change means now.")


def role_rights(name: str) -> frozenset[Permission]:
    """What a role grants; one that is gone grants nothing."""
    if name in set(Role):
        return ROLES[Role(name)]
    found = TeamRole.objects.filter(pk=name).first()
    return found.granted if found else frozenset()


@contextmanager
def deciding(actor: Member) -> Iterator[Member]:
    """The lock under which rights change; gives the actor as they are now, and only if they manage the whole team.

    All members are locked, not only the one to be changed: two who end each other at the same moment must not both
    pass the count of those who remain. SQLite has one writer anyway.
    """
    with transaction.atomic():
        members = {one.pk: one for one in Member.objects.select_for_update(no_key=True).order_by("pk")}
        now = members.get(actor.pk)
        if now is None or not manages(now):
            raise PermissionDenied(Permission.TEAM_MANAGE.value)
        yield now
        if not any(manages(one) for one in Member.objects.filter(is_active=True)):
            raise Refused("Somebody who manages the team must remain. Give another member that right first.")


def manages(member: Member) -> bool:
    return member.may(Permission.TEAM_MANAGE) and member.scope.is_whole


def check_reach(actor: Member, permissions: Iterable[Permission], *scopes: Scope) -> None:
    """Whether these rights on this mail are the actor's to give and take."""
    if actor.may(Permission.TEAM_GRANT):
        return
    if missing := frozenset(permissions) - actor.permissions:
        raise NotYours(words.beyond(missing))
    if not all(actor.scope.holds(scope) for scope in scopes):
        raise NotYours(f"Your own access is limited to {actor.scope}.")
