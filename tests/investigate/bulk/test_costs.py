"""What many messages cost: the same number of statements, and no more of the database's work where a page shows a few.

Nothing here is measured with a clock. SQLite says how many steps its machine took, and that is the same on every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from investigate.bulk import engine, results_csv
from investigate.models import ActionState, BulkJob, Receipt
from tests.investigate.bulk.conftest import decided, rehearsed
from tests.investigate.bulk.job_rows import chunk_of, counted, job_of, many
from tests.simulated import serving, simulated_account

HTMX = {"HX-Request": "true"}


@pytest.fixture
def account(db: None, settings: Any) -> Iterator[Simulator]:
    settings.CALL_LIMIT = 10_000
    simulator = simulated_account(
        messages=2_500,
        seed=7,
        arrival_interval=0,
        rate_limit=None,
    )
    with serving(simulator):
        yield simulator


def statements(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


@contextmanager
def machine_steps() -> Iterator[Callable[[], int]]:
    """How many thousands of steps SQLite's machine takes."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL does not count its steps")
    connection.ensure_connection()
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection.connection.set_progress_handler(count, 1000)
    try:
        yield lambda: taken
    finally:
        connection.connection.set_progress_handler(None, 0)


def test_a_chunk_of_a_thousand_messages_takes_few_statements(account: Simulator, ben: Member) -> None:
    delivered = [
        record
        for record in account.store.records
        if set(record.delivery_status) == {"delivered"} and not record.is_quarantined and not record.is_phish_submission
    ]
    small = decided(ben, rehearsed(ben, "move", delivered[:20]))
    large = decided(ben, rehearsed(ben, "move", delivered[20:1020]))

    few, many_more = (statements(lambda job=job: engine.step(job.pk)) for job in (small, large))

    for job, messages in ((small, 20), (large, 1000)):
        chunk = job.chunks.get()
        assert chunk.sent_at is not None
        assert sum(chunk.counts.values()) == messages
    assert Receipt.objects.filter(item__job=large).count() >= 1000
    # Fifty times the messages: SQLite takes some two hundred rows in one INSERT, and that is the only difference.
    assert many_more - few < 25, (few, many_more)


def finished(ana: Member, messages: int) -> BulkJob:
    job = job_of(ana, "done")
    chunk = chunk_of(job, 1, "done", counts={"done": messages, "failed": messages // 10})
    many(job, messages, ActionState.DONE, action=chunk)
    many(job, messages // 10, ActionState.FAILED, action=chunk)
    return counted(job)


@pytest.mark.parametrize("show", ["", "?show=done", "?show=refused"])
def test_the_page_of_a_job_is_not_dearer_with_more_messages(ana: Member, analyst: Client, show: str) -> None:
    addresses = [reverse("investigate:job", args=[finished(ana, messages).pk]) + show for messages in (1500, 6000)]
    for address in addresses:
        analyst.get(address)  # the first time it is noted that its owner has seen it
    few, many_more = (statements(lambda address=address: analyst.get(address)) for address in addresses)
    assert many_more == few
    costs = []
    for address in addresses:
        with machine_steps() as taken:
            assert analyst.get(address).status_code == 200
        costs.append(taken())
    assert costs[1] <= 2 * costs[0] + 5, costs


def test_a_file_of_all_messages_is_read_in_proportion_to_them(ana: Member) -> None:
    costs = []
    for messages in (1000, 8000):
        job = finished(ana, messages)
        with machine_steps() as taken:
            assert sum(part.count(b"\r\n") for part in results_csv.lines(job)) == messages * 11 // 10 + 1
        costs.append(taken())
    assert costs[1] < 12 * costs[0], costs
