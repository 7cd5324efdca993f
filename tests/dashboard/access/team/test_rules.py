"""Whatever members do to each other, in whatever order: the rules of the team as properties.

The rules are stated here a second time, over what people hold before and after each step, and not over how it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission, Role
from dashboard.access.scope import Scope
from dashboard.access.team import invitations, services
from dashboard.access.team.invitations import Newcomer, NoInvitation
from dashboard.access.team.rules import Refused

COMPOSED = {
    "owner": set(Permission),
    "helper": {Permission.ACCOUNT_OWN, Permission.TEAM_MANAGE, Permission.MESSAGE_READ},
    "night": {Permission.ACCOUNT_OWN, Permission.TEAM_MANAGE, Permission.MESSAGE_PURGE, Permission.MESSAGE_READ},
}
ROLE_NAMES = [*Role, *COMPOSED, "no-such-role"]
DOMAINS = [(), (), ("a.example",), ("a.example", "b.example")]
NUMBER = 5
ONESELF = -1

MANAGERS = 2  # the first of them; the others have any role
who = st.integers(0, NUMBER - 1)
acting = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4])
roles = st.sampled_from(ROLE_NAMES)
# Managers of every strength come up often; else nearly every step would be refused for the same dull reason.
starting = st.sampled_from([*Role, Role.ADMIN, "owner", "helper", "helper", "night", "night"])
domains = st.sampled_from(DOMAINS)
some_rights = st.frozensets(st.sampled_from(list(Permission)), max_size=4)


@dataclass(frozen=True)
class Change:
    target: int
    role: str
    domains: tuple[str, ...]
    is_active: bool

    def do(self, actor: Member, people: list[Member]) -> None:
        target = Member.objects.get(pk=actor.pk if self.target == ONESELF else people[self.target].pk)
        wanted = services.Standing(self.role, self.domains, self.is_active)
        seen = _seen(lambda strong: services.plan_member(actor=strong, member=target, wanted=wanted))
        services.change_member(actor=actor, member_id=target.pk, wanted=wanted, seen=seen)


@dataclass(frozen=True)
class Reset:
    target: int

    def do(self, actor: Member, people: list[Member]) -> None:
        services.reset_sign_in(actor=actor, member_id=people[self.target].pk)


@dataclass(frozen=True)
class Compose:
    label: str
    permissions: frozenset[Permission]

    def do(self, actor: Member, _people: list[Member]) -> None:
        services.create_role(actor=actor, draft=services.RoleDraft(self.label, self.permissions))


@dataclass(frozen=True)
class Recompose:
    role: str
    permissions: frozenset[Permission]

    def do(self, actor: Member, _people: list[Member]) -> None:
        role = TeamRole.objects.filter(pk=self.role).first()
        if role is None:
            return
        draft = services.RoleDraft(role.label, self.permissions)
        seen = _seen(lambda strong: services.plan_role(actor=strong, role=role, draft=draft))
        services.change_role(actor=actor, name=role.pk, draft=draft, seen=seen)


@dataclass(frozen=True)
class Delete:
    role: str

    def do(self, actor: Member, _people: list[Member]) -> None:
        if TeamRole.objects.filter(pk=self.role).exists():
            services.delete_role(actor=actor, name=self.role)


@dataclass(frozen=True)
class Invite:
    role: str
    domains: tuple[str, ...]

    def do(self, actor: Member, people: list[Member]) -> None:
        number = Member.objects.count()
        _, secret = invitations.invite(
            actor=actor, email=f"new{number}@corp.example", role=self.role, domains=self.domains
        )
        newcomer = Newcomer(f"new{number}", f"New {number}", "x")
        people.append(invitations.accept(secret=secret, newcomer=newcomer))


class Almighty:
    """Nobody in the team, with every right."""

    pk, role, scope, permissions = 0, "", Scope(), frozenset(Permission)

    def may(self, _permission: Permission) -> bool:
        return True


def _seen(plan: Any) -> str:
    """The mark of a change as somebody would see it who may do everything: an edited form can carry it."""
    try:
        return str(plan(Almighty()).seen)
    except Refused:
        return ""


steps = st.lists(
    st.tuples(
        acting,
        st.one_of(
            st.builds(Change, who, roles, domains, st.booleans()),
            st.builds(Change, who, roles, st.just(()), st.just(True)),
            st.builds(Change, st.just(ONESELF), roles, domains, st.just(True)),
            st.builds(Reset, who),
            st.builds(Compose, st.sampled_from(["Late", "Early"]), some_rights),
            st.builds(Recompose, st.sampled_from([*COMPOSED, "late", "early"]), some_rights),
            st.builds(Delete, st.sampled_from([*COMPOSED, "late", "early"])),
            st.builds(Invite, roles, domains),
        ),
    ),
    min_size=2,
    max_size=10,
)


@dataclass(frozen=True)
class Held:
    """What somebody holds, read from the database."""

    permissions: frozenset[Permission]
    scope: Scope
    has_password: bool

    def gains_over(self, before: Held) -> frozenset[Permission]:
        """The rights that are new, or reach mail they did not reach before."""
        if not before.scope.holds(self.scope):
            return self.permissions
        return self.permissions - before.permissions


NOTHING = Held(frozenset(), Scope(frozenset({"nobody.example"})), has_password=False)


def held() -> dict[int, Held]:
    return {
        one.pk: Held(one.permissions, one.scope, one.has_usable_password())
        for one in Member.objects.filter(is_active=True)
    }


def managers(state: dict[int, Held]) -> set[int]:
    return {pk for pk, one in state.items() if Permission.TEAM_MANAGE in one.permissions and one.scope.is_whole}


def check(actor: Member, before: dict[int, Held], after: dict[int, Held]) -> None:
    own = before.get(actor.pk, NOTHING)
    assert after.get(actor.pk, NOTHING) == own, "nobody changes their own rights, nor their own sign-in"
    if before != after:
        assert actor.pk in managers(before), "only who manages the whole team changes it"
    assert managers(after), "somebody who manages the team remains"
    if Permission.TEAM_GRANT in own.permissions:
        return
    for pk, now in after.items():
        then = before.get(pk, NOTHING)
        assert now.gains_over(then) <= own.permissions, "nobody gives what they do not hold"
        if then.has_password and not now.has_password:  # whoever has the link is this member from now on
            assert now.permissions <= own.permissions, "nobody takes over who holds more"


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=st.lists(st.tuples(starting, domains, st.booleans()), min_size=NUMBER, max_size=NUMBER), edits=steps)
def test_the_rules_hold_whatever_members_do_to_each_other(first: Any, edits: Any) -> None:
    with transaction.atomic():
        for name, permissions in COMPOSED.items():
            TeamRole.objects.create(name=name, label=name.title(), permissions=sorted(permissions))
        people = []
        for number, (role, limited, is_active) in enumerate(first):
            is_manager = number < MANAGERS
            person = Member(
                username=f"m{number}",
                role="helper" if is_manager and role not in ("owner", "night", Role.ADMIN) else role,
                domains=[] if is_manager else list(limited),
                is_active=is_manager or is_active,
                password="md5$x$y",
            )
            person.save()
            people.append(person)
        for number, edit in edits:
            actor, before = people[number], held()
            try:
                with transaction.atomic():
                    edit.do(actor, people)
            except (Refused, PermissionDenied, NoInvitation):
                assert held() == before
            check(actor, before, held())
        transaction.set_rollback(True)
