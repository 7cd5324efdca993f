"""Rounds over the lists, as workers make them, and what happens at Cloudflare between two pages."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from django.db.models import F

from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, use_client
from settings_ui.models import Observed, Reading
from settings_ui.watching import rounds
from tests.settings_ui.changes.conftest import EVIL
from tests.settings_ui.entries.conftest import keep, stand  # noqa: F401  fixtures of these tests, too

Happens = Callable[[int], None]


class Between(httpx.BaseTransport):
    """The simulator, with something that happens after each page of a list that was answered."""

    def __init__(self, simulator: Simulator) -> None:
        self.inner = httpx.WSGITransport(app=simulator)
        self.happens: Happens = lambda _page: None
        self.pages = 0
        self.is_silent_about_totals = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        if request.method == "GET" and "page" in request.url.params:
            self.pages += 1
            self.happens(self.pages)
            if self.is_silent_about_totals:
                told = json.loads(answer.read())
                told["result_info"].pop("total_count", None)
                return httpx.Response(answer.status_code, json=told)
        return answer


@pytest.fixture
def between(emailsec: Simulator) -> Iterator[Between]:
    transport = Between(emailsec)
    with use_client(build_client(transport)):
        yield transport


def read(resource: str = "block_senders") -> Reading:
    """What a worker does once a list is due."""
    rounds.read_lists()
    Reading.objects.filter(resource=resource).update(due_at=F("due_at") - dt.timedelta(days=2))
    rounds.read_list(resource)
    return Reading.objects.get(resource=resource)


def seen() -> list[tuple[str, str]]:
    return [(one.what, one.label) for one in Observed.objects.order_by("pk")]


def seed(simulator: Simulator, number: int, resource: str = "block_senders") -> list[str]:
    """Entries that stand at Cloudflare, oldest first; their ids."""
    start = simulator.clock() - 86_400
    return [
        simulator.settings.seed_entry(resource, start + place, **EVIL | {"pattern": f"bad{place}.example"})["id"]
        for place in range(number)
    ]


def take_away(simulator: Simulator, *ids: str, resource: str = "block_senders") -> None:
    for entry_id in ids:
        simulator.settings.entries[resource].pop(entry_id)


def asked_for(simulator: Simulator, operation: str) -> int:
    return sum(call.operation == operation for call in simulator.calls)
