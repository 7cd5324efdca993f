"""The six roles of the table and those the team composed, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from dashboard.access.models import TeamRole
from dashboard.access.roles import ROLES, Permission


@dataclass(frozen=True)
class RoleView:
    """One column of the matrix."""

    name: str
    label: str
    permissions: frozenset[Permission]
    needs_second_factor: bool = False
    is_composed: bool = False


def built_in() -> list[RoleView]:
    return [RoleView(one.value, one.label, granted, one in settings.MFA_ROLES) for one, granted in ROLES.items()]


def all_roles() -> list[RoleView]:
    composed = [
        RoleView(role.name, role.label, role.granted, role.needs_second_factor, is_composed=True)
        for role in TeamRole.objects.all()
    ]
    return built_in() + composed


def role_named(name: str, roles: Iterable[RoleView] | None = None) -> RoleView | None:
    return next((role for role in (all_roles() if roles is None else roles) if role.name == name), None)


def label_for(name: str, roles: Iterable[RoleView] | None = None) -> str:
    """How a role is called; a role that is gone keeps its name, because somebody may still have it."""
    role = role_named(name, roles)
    return role.label if role else f"{name} (gone)"
