"""Mail that the simulator made and the memory took in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.utils import timezone

from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.types import Message
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.memory.remembering import remember


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Today, far from the change of an hour and of a day, where a range becomes another one; the clock goes on."""
    with time_machine.travel(timezone.now().replace(hour=12, minute=0, second=1), tick=True):
        yield


@pytest.fixture
def detections(emailsec: Simulator) -> list[Message]:
    """Every detection of the last 30 days, as the client reads it; all of them are remembered."""
    now = timezone.now()
    query = SearchQuery(start=now - dt.timedelta(days=30), end=now, detections_only=True)
    found: list[Message] = []
    page = get_client().search(query, per_page=1000)
    while not hasattr(page, "messages"):
        page = get_client().poll_search(page.location)
    found += page.messages
    remember(found)
    return found


@pytest.fixture
def calls(emailsec: Simulator) -> Callable[[], int]:
    """How many calls the simulator has had."""
    return lambda: len(emailsec.calls)
