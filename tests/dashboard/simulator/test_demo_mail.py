"""What the demonstration's own mail must offer: actions that end differently for the copies of one message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from dashboard.simulator import Simulator
from dashboard.simulator.mail.record import MailRecord
from tests.dashboard.simulator.conftest import Api

WEEK = 7 * 86_400
OpenDemo = Callable[[float], Api]


@pytest.fixture
def demo() -> Iterator[OpenDemo]:
    """Open the default account (2,000 messages, seed 1) as it is at a given time."""
    opened: list[Api] = []

    def at(now: float) -> Api:
        opened.append(Api(Simulator(messages=2_000, seed=1, arrival_interval=0, clock=lambda: now)))
        return opened[-1]

    yield at
    for api in opened:
        api.http.close()


def partly_released(api: Api, since: float) -> list[MailRecord]:
    """Held messages that are not dangerous, whose release reaches some recipients and not the others."""
    full = api.simulator.store.full_mailboxes
    return [
        record
        for record in api.simulator.store.records
        if record.is_quarantined
        and record.scanned_at >= since
        and record.final_disposition in {"SPAM", "SPOOF", "SUSPICIOUS"}
        and 0 < len(full.intersection(record.client_recipients)) < len(record.client_recipients)
    ]


@pytest.mark.parametrize("day", [2, 7, 13, 18, 24, 28])
def test_the_last_week_has_releases_that_are_done_in_part(demo: OpenDemo, day: int) -> None:
    now = datetime(2026, 11, day, 9, 30, tzinfo=UTC).timestamp()

    assert len(partly_released(demo(now), now - WEEK)) >= 5


def test_a_release_reaches_all_but_the_full_mailbox(demo: OpenDemo) -> None:
    now = datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp()
    api = demo(now)
    record = partly_released(api, now - WEEK)[0]
    full = api.simulator.store.full_mailboxes

    (result,) = api.post("/investigate/release", {"ids": [record.id]}).json()["result"]

    assert result["delivered"] == [name for name in record.client_recipients if name not in full]
    assert result["undelivered"] == [name for name in record.client_recipients if name in full]
    assert result["failed"] == []
    assert api.result(f"/investigate/{record.id}")["delivery_status"] == [
        "bounced" if name in full else "delivered" for name in record.client_recipients
    ]


def test_a_move_leaves_the_copy_of_a_domain_without_integration(demo: OpenDemo) -> None:
    api = demo(datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp())
    (outside,) = api.simulator.store.domains_without_integration

    def is_outside(recipient: str) -> bool:
        return recipient.endswith("@" + outside)

    record = next(
        record
        for record in api.simulator.store.records
        if record.is_detection
        and set(record.delivery_status) == {"delivered"}
        and len(set(map(is_outside, record.client_recipients))) == 2
    )

    results = api.post(f"/investigate/{record.id}/move", {"destination": "JunkEmail"}).json()["result"]

    assert [result["recipient"] for result in results] == list(record.client_recipients)
    for result in results:
        expected = f"no active integration for {outside}" if is_outside(result["recipient"]) else "OK"
        assert (result["success"], result["status"]) == (expected == "OK", expected)


def test_few_releases_reach_nobody(demo: OpenDemo) -> None:
    api = demo(datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp())
    held = [record for record in api.simulator.store.records if record.is_quarantined]
    nobody = [r for r in held if api.simulator.store.full_mailboxes.issuperset(r.client_recipients)]

    assert len(nobody) < 0.05 * len(held)
