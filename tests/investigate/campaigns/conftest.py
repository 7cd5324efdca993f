"""Messages that came as campaigns, remembered as answers would bring them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from dashboard.emailsec.enums import DeliveryStatus, Disposition
from dashboard.emailsec.types import Message
from investigate.memory.remembering import remember

_NUMBERS = itertools.count(1)


@pytest.fixture
def came(db: None) -> Callable[..., list[Message]]:
    """Remember so many messages that are alike; each has one copy, a minute after the one before."""

    def write(
        number: int,
        *,
        edf: str = "edf-1",
        layout: str = "",
        sender: str = "billing@pay-pal.example",
        subject: str = "Invoice {n} overdue",
        to: Iterator[str] | list[str] | None = None,
        disposition: Disposition = Disposition.MALICIOUS,
        status: DeliveryStatus = DeliveryStatus.DELIVERED,
        ago: dt.timedelta = dt.timedelta(hours=1),
        seen_at: dt.datetime | None = None,
        **more: Any,
    ) -> list[Message]:
        found = []
        start = timezone.now() - ago
        for index in range(number):
            n = next(_NUMBERS)
            boxes = to[index] if isinstance(to, list) else f"person{n}@corp.example"
            values: dict[str, Any] = {
                "id": f"camp{n}",
                "postfix_id": f"PF{n}",
                "subject": subject.format(n=n),
                "from_": sender,
                "client_recipients": tuple(boxes.split()),
                "edf_hash": edf or None,
                "htmltext_structure_hash": layout or None,
                "final_disposition": disposition,
                "delivery_status": (status,) * len(boxes.split()),
                "is_quarantined": status == DeliveryStatus.QUARANTINED,
                "scanned_at": start + dt.timedelta(minutes=index),
            }
            found.append(Message(**values | more))
        remember(found, seen_at=seen_at)
        return found

    return write
