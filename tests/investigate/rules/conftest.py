"""Messages to make rules from, and what the account's lists say then."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from settings_ui.models import Mirrored

Find = Callable[..., Message]


@pytest.fixture
def find(emailsec: Any) -> Find:
    """A message of the simulator that fits; `own`: it claims to come from a domain of the mailboxes."""

    def pick(*dispositions: str, own: bool = False, envelope: bool | None = None) -> Message:
        for record in emailsec.world.store.records:
            if record.final_disposition not in (dispositions or ("MALICIOUS",)) or record.is_phish_submission:
                continue
            domains = {recipient.rpartition("@")[2] for recipient in record.client_recipients}
            sender, bounce = ((text or "").rpartition("@")[2] for text in (record.from_, record.envelope_from))
            if not record.from_ or (sender in domains) != own:
                continue
            if envelope is not None and (bounce != sender) != envelope:
                continue
            return get_client().message(record.id)
        raise LookupError("the simulator has no such message")

    return pick


@pytest.fixture
def phish(find: Find) -> Message:
    """A malicious message from a stranger."""
    return find("MALICIOUS")


def sent(**values: str) -> dict[str, str]:
    return {"operation_key": uuid.uuid4().hex, "candidate": "from", "reason": "", "ticket": "", **values}


def listed(simulator: Any, resource: str, pattern: str) -> list[dict[str, Any]]:
    """Entries at Cloudflare that name this."""
    found = simulator.settings.entries[resource].values()
    return [entry for entry in found if pattern.casefold() in (entry.get("pattern") or entry.get("name")).casefold()]


def seen(resource: str, label: str, **values: Any) -> Mirrored:
    """An entry as the last reading of a list found it."""
    now = timezone.now()
    return Mirrored.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        resource=resource,
        upstream_id=str(uuid.uuid4()),
        label=label,
        values={"pattern": label, "pattern_type": "EMAIL" if "@" in label else "DOMAIN", "is_regex": False, **values},
        created_at=now,
        first_seen_at=now,
    )
