"""Messages in the memory, made by hand: each says of itself what a test needs, and nothing depends on the hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from dashboard.emailsec.enums import DeliveryStatus, Disposition
from dashboard.emailsec.types import Message
from investigate.memory.remembering import remember
from investigate.models import SeenMessage

Seen = Callable[..., SeenMessage]


@pytest.fixture
def seen(db: None) -> Seen:
    def add(
        name: str, *, ago: float = 60, seen_ago: float = 30, to: tuple[str, ...] = ("eva@corp.example",), **facts: Any
    ) -> SeenMessage:
        """`ago` and `seen_ago` are minutes."""
        values: dict[str, Any] = {
            "id": name,
            "subject": f"About {name}",
            "from_": "sender@shop.example",
            "client_recipients": to,
            "final_disposition": Disposition.SUSPICIOUS,
            "delivery_status": (DeliveryStatus.DELIVERED,) * len(to),
            "scanned_at": timezone.now() - dt.timedelta(minutes=ago),
        }
        remember([Message(**values | facts)], seen_at=timezone.now() - dt.timedelta(minutes=seen_ago))
        return SeenMessage.objects.get(investigate_id=name)

    return add
