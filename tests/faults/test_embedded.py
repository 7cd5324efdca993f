"""The embedded way under faults: SQLite, the broker of plain files, one worker with threads for everything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.faults.either import *  # noqa: F403  the tests of both ways
from tests.faults.installation import Installation, wait_until


@pytest.fixture
def desk(embedded: Installation) -> Installation:
    return embedded


@pytest.mark.matrix(21)
def test_silent_searches_and_jobs_leave_room_for_a_click(desk: Installation) -> None:
    job_messages = [[desk.message() for _ in range(2)] for _ in range(4)]
    desk.hold("search", times=None)
    desk.hold("move", times=None)
    with ThreadPoolExecutor(6) as readers:
        for number in range(6):
            readers.submit(desk.ana.get, "/investigate/", params={"q": f"from:sender-{number}@example.net last:7d"})
    desk.start_jobs(*([messages] for messages in job_messages))
    waiting = "SELECT count(*) FROM investigate_searchrun WHERE state = 'slow' AND claimed_at IS NOT NULL"
    wait_until(
        lambda: desk.rows(waiting) == [(4,)], "searches have taken all their places", tell=lambda: desk.rows(waiting)
    )
    sending = "SELECT count(*) FROM investigate_action WHERE state = 'sending' AND job_id IS NOT NULL"
    wait_until(
        lambda: desk.rows(sending) == [(2,)], "jobs have taken all their places", tell=lambda: desk.rows(sending)
    )

    message = desk.message()
    desk.click(message)
    desk.wait_until_done(message, seconds=3)


@pytest.mark.matrix(22)
def test_two_schedulers_send_everything_once(desk: Installation) -> None:
    queue = desk.queue_folder / "sweep"
    desk.kill("worker")  # so that what is sent stays to be counted
    desk.start_beside("second scheduler", *desk.process("scheduler").args)
    try:
        wait_until(lambda: "second scheduler" in dict(desk.stack.running), "it runs")
        for path in queue.glob("*.msg"):
            path.unlink()

        def sweeps() -> list[int]:
            """When each was sent, in nanoseconds."""
            found = [path for path in sorted(queue.glob("*.msg")) if "tasks.sweep" in path.read_text()]
            return [int(path.name.partition("-")[0]) for path in found]

        wait_until(lambda: len(sweeps()) >= 5, "five sweeps are sent")
        times = sweeps()
    finally:
        desk.remove("second scheduler")

    gaps = [(later - earlier) / 1e9 for earlier, later in pairwise(times)]
    assert min(gaps) > 0.8, gaps


@pytest.mark.matrix(22)
def test_a_second_scheduler_goes_on_when_the_first_dies(desk: Installation) -> None:
    desk.start_beside("second scheduler", *desk.process("scheduler").args)
    try:
        desk.kill("scheduler")
        desk.wait_for_canary()
        wait_until(desk.is_ready, "everything is ready with the second one alone", tell=desk.ready)
    finally:
        desk.remove("second scheduler")


@pytest.mark.matrix(23)
def test_a_dead_scheduler_is_named_and_clicks_run_all_the_same(desk: Installation) -> None:
    message = desk.message()
    desk.kill("scheduler")

    wait_until(lambda: desk.ready()["scheduler"].startswith("silent for"), "/readyz names the scheduler")
    desk.click(message)
    desk.wait_until_done(message, seconds=5)


@pytest.mark.matrix(26)
def test_a_task_this_worker_does_not_know_loses_no_row(desk: Installation) -> None:
    """A web server of tomorrow rings with a name this worker has never heard: the message is thrown away."""
    message = desk.message()
    desk.kill("worker")
    desk.click(message)
    for path in (desk.queue_folder / "people").glob("*.msg"):
        path.unlink()
    desk.ring("investigate.tasks.of_tomorrow", str(desk.action_on(message)["id"]))
    desk.start("worker")

    desk.wait_until_done(message)
    assert "of_tomorrow" in desk.log_of("worker")
    assert desk.was_moved_once(message)
