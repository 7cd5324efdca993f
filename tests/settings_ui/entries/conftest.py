"""Entries that stand at the simulated service and whose life is kept here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import SettingsEntry
from dashboard.upstream.connection import get_client
from settings_ui.entries.life import Life, set_life
from settings_ui.models import Entry
from settings_ui.resources import BY_NAME, RESOURCES
from tests.settings_ui.changes.conftest import ENTRIES

EXPIRING = [resource.name for resource in RESOURCES if resource.may_expire]

Stand = Callable[..., SettingsEntry]
Keep = Callable[..., Entry]


@pytest.fixture
def stand() -> Stand:
    """Make an entry at Cloudflare, as somebody elsewhere would."""

    def make(resource: str = "block_senders", **what: Any) -> SettingsEntry:
        return get_client().create_entry(resource, ENTRIES[resource][0] | what)

    return make


@pytest.fixture
def keep(pia: Member, stand: Stand) -> Keep:
    """Say whose an entry that was made elsewhere is, and until when."""

    def note(
        resource: str = "block_senders",
        *,
        actor: Member | None = None,
        owner: Member | None = None,
        days: float | None = 30,
        entry: SettingsEntry | None = None,
        **what: Any,
    ) -> Entry:
        life = Life(
            owner_id=(owner or pia).pk,
            ticket="SOC-7",
            reason="phishing wave",
            expires_at=timezone.now() + dt.timedelta(days=days) if days else None,
        )
        return set_life(
            actor=actor or pia,
            resource=BY_NAME[resource],
            entry=entry or stand(resource, **what),
            life=life,
            request=None,
        )

    return note


def trail(entry: Entry) -> list[tuple[str, str, str]]:
    """What the audit trail tells about an entry."""
    events = AuditEvent.objects.filter(detail__entry=str(entry.pk)).order_by("sequence")
    return [(event.action, event.phase, event.actor_name) for event in events]
