"""Long work asks for a place first, so that one worker for everything always has a thread for what people do."""

from __future__ import annotations

import heapq
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from dashboard.celery import app
from dashboard.upstream import places
from investigate import tasks
from investigate.bulk import engine

pytestmark = pytest.mark.matrix(21)


@pytest.mark.parametrize(("threads", "searches", "jobs"), [(3, 1, 1), (8, 4, 2), (16, 8, 4), (256, 128, 64)])
def test_searches_and_jobs_together_leave_a_thread_for_people(
    settings: Any, threads: int, searches: int, jobs: int
) -> None:
    settings.WORKER_THREADS = threads
    for_searches, for_jobs = places.Places(part_of_threads=1 / 2), places.Places(part_of_threads=1 / 4)

    assert (for_searches.number, for_jobs.number) == (searches, jobs)
    assert searches + jobs < threads


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """What lies in the broker's folder of this test."""
    monkeypatch.setitem(app.conf.broker_transport_options, "queue_folder", str(tmp_path))
    return lambda: [json.loads(path.read_text())["headers"] for path in sorted(tmp_path.rglob("bulk/*.msg"))]


def test_a_step_without_a_place_lets_go_of_its_thread_and_rings_again(
    monkeypatch: pytest.MonkeyPatch, rung: Any
) -> None:
    at_work, may_end = threading.Semaphore(0), threading.Event()

    def work(job_id: str) -> None:
        at_work.release()
        may_end.wait(10)

    monkeypatch.setattr(engine, "step", work)
    monkeypatch.setattr(places, "JOBS", places.Places(part_of_threads=2 / settings.WORKER_THREADS))
    threads = [threading.Thread(target=tasks.step_job, args=("job",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert all(at_work.acquire(timeout=10) for _ in threads)

        tasks.step_job("one more")

        (bell,) = rung()
        assert (bell["task"], bell["argsrepr"]) == ("investigate.tasks.step_job", "['one more']")
        assert bell["eta"] is not None, "a moment later, not at once: it would turn in a circle"
    finally:
        may_end.set()
        for thread in threads:
            thread.join(10)
    tasks.step_job("one more")
    assert len(rung()) == 1, "there was a place again"


def test_bells_for_work_that_waits_for_a_place_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten jobs, two places that stay taken for a quarter of an hour, and a sweep that rings for each job every 15 s."""
    jobs, end = [f"job {number}" for number in range(10)], 960
    bells = [(15.0 * sweep + 0.07 * number, job) for sweep in range(end // 15) for number, job in enumerate(jobs)]
    heapq.heapify(bells)
    now, heard = 0.0, Counter[int]()
    monkeypatch.setattr(engine, "step", lambda _: pytest.fail("there is no place"))
    monkeypatch.setattr(places, "ring", lambda _, job, countdown: heapq.heappush(bells, (now + countdown, job)))
    few = places.Places(part_of_threads=2 / settings.WORKER_THREADS, clock=lambda: now)
    monkeypatch.setattr(places, "JOBS", few)
    with few.taken(), few.taken():
        while bells[0][0] < end:
            now, job = heapq.heappop(bells)
            heard[int(now)] += 1
            now += 0.003  # taken out of the queue a little later than it was due
            tasks.step_job(job)

        assert sorted(job for _, job in bells) == jobs, "one bell for each is on its way, and only one"
        assert max(heard.values()) <= 3 * len(jobs), heard

        bells.clear()  # the broker lost them all
        now += 15
        tasks.step_job("job 0")
    assert bells == [(now + places.AGAIN, "job 0")], "the next sweep's bell rings on"
