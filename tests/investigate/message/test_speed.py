"""A message opens in the time of its slowest call."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from tests.conftest import HTMX
from tests.simulated import serving, simulated_account

LATENCY = 0.5


@pytest.fixture
def slow(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setattr(settings, "PARALLEL_READS", True)
    simulator = simulated_account(
        messages=100,
        seed=7,
        latency=LATENCY,
    )
    with serving(simulator):
        yield simulator


def test_message_and_detections_are_read_side_by_side(slow):
    member = Member.objects.create_user("ana", "ana@corp.example", "correct horse battery", role="analyst")
    client = Client()
    client.force_login(member)
    first, second = [record for record in slow.store.records if record.is_detection][:2]
    client.get(f"/investigate/{first.id}/pane", headers=HTMX)  # templates are read once

    started = time.monotonic()
    response = client.get(f"/investigate/{second.id}/pane", headers=HTMX)

    assert response.status_code == 200
    assert [call.operation for call in slow.calls].count("detections") == 2
    assert time.monotonic() - started < 1.7 * LATENCY  # one after the other takes twice the latency
