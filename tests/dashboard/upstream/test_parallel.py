"""Reads side by side: in order, errors in their places, bounded threads, and no standing still when all are busy."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from dashboard.emailsec.errors import Unavailable
from dashboard.upstream import parallel


@pytest.fixture(autouse=True)
def _side_by_side(settings):
    settings.PARALLEL_READS = True


def test_results_come_in_the_order_of_the_calls_with_errors_in_their_places():
    def fail():
        raise Unavailable("away")

    first, error, last = parallel.side_by_side([lambda: 1, fail, lambda: 3])

    assert (first, last) == (1, 3)
    assert isinstance(error, Unavailable)


def test_calls_really_run_at_the_same_time():
    meeting = threading.Barrier(3, timeout=5)

    assert parallel.side_by_side([meeting.wait] * 3)


def test_callers_go_on_by_themselves_while_every_reader_is_busy():
    begun, release = threading.Semaphore(0), threading.Event()

    def hold():
        begun.release()
        release.wait(10)

    held = [parallel._readers.submit(hold) for _ in range(parallel.READERS)]
    try:
        for _ in held:
            assert begun.acquire(timeout=5)
        assert parallel.side_by_side([partial(int, number) for number in range(20)]) == list(range(20))
    finally:
        release.set()


def test_no_crowd_makes_more_threads_than_promised():
    names: set[str] = set()

    def note():
        names.add(threading.current_thread().name)

    crowd = [threading.Thread(target=parallel.side_by_side, args=([note] * 10,), name="caller") for _ in range(10)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(10)

    assert len(names - {"caller"}) <= parallel.READERS


def test_an_unexpected_error_is_raised_wherever_it_happens():
    with pytest.raises(ZeroDivisionError):
        parallel.side_by_side([lambda: 1 / 0, lambda: 2])
    with pytest.raises(ZeroDivisionError):
        parallel.side_by_side([lambda: 1, lambda: 1 / 0])
