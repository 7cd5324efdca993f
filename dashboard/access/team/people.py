"""Who is in the team, as the list and the page of a member show it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Count, Max
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.team.catalogue import all_roles, label_for

SECOND_FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]  # recovery codes only stand in for them


@dataclass(frozen=True)
class Person:
    """One member with what is known of their sign-in."""

    member: Member
    role: str
    has_second_factor: bool
    sessions: int
    last_seen: dt.datetime | None


def team() -> list[Person]:
    """Everybody, those who may sign in first."""
    return _people(list(Member.objects.order_by("-is_active", "first_name", "username")))


def person(member: Member) -> Person:
    return _people([member])[0]


def open_sessions(members: Sequence[Member]) -> Any:
    """Their sessions that still work; rows of ended ones stay until their owner next looks."""
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    return UserSession.objects.filter(user__in=members, session_key__in=alive)


def _people(members: list[Member]) -> list[Person]:
    roles = all_roles()
    secured = set(
        Authenticator.objects.filter(user__in=members, type__in=SECOND_FACTORS).values_list("user_id", flat=True)
    )
    seen = dict(UserSession.objects.filter(user__in=members).values_list("user_id").annotate(Max("last_seen_at")))
    counts = dict(open_sessions(members).order_by().values_list("user_id").annotate(Count("pk")))
    return [
        Person(
            member=one,
            role=label_for(one.role, roles),
            has_second_factor=one.pk in secured,
            sessions=counts.get(one.pk, 0),
            last_seen=max(filter(None, (seen.get(one.pk), one.last_login)), default=None),
        )
        for one in members
    ]
