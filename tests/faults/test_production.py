"""Production under faults: PostgreSQL, Redis, and the workers of docker-compose.yml."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serve

from tests.faults.either import *  # noqa: F403  the tests of both ways
from tests.faults.either import click_in_background
from tests.faults.installation import LONGEST, Installation, RedisServer, wait_until

pytestmark = pytest.mark.services


@pytest.fixture
def desk(production: Installation) -> Installation:
    return production


@pytest.fixture
def broker(desk: Installation) -> RedisServer:
    assert desk.redis is not None
    return desk.redis


@pytest.mark.matrix(1)
def test_a_web_server_that_dies_between_commit_and_bell_leaves_an_action_that_runs(
    desk: Installation, broker: RedisServer
) -> None:
    key = uuid.uuid4().hex
    message = desk.message()
    broker.signal(signal.SIGSTOP)  # the bell cannot be rung, so the click stays where it is after its commit
    with click_in_background(desk, message, key=key):
        wait_until(lambda: desk.state_of(message) == "waiting", "the action is committed")
        desk.kill("web")
    broker.signal(signal.SIGCONT)
    desk.start("web")
    desk.stack.wait_for("web", f"{desk.url}/healthz")

    desk.wait_until_done(message, seconds=20)
    again = desk.click(message, key=key)
    assert again.status_code == 200
    assert desk.action_on(message)["operation_key"] == key
    assert len(desk.rows("SELECT 1 FROM investigate_actionitem WHERE investigate_id = ?", message)) == 1
    assert desk.was_moved_once(message)


@pytest.mark.matrix(4)
def test_a_frozen_broker_makes_no_click_wait_for_long(desk: Installation, broker: RedisServer) -> None:
    message = desk.message()
    broker.signal(signal.SIGSTOP)
    began = time.monotonic()
    answer = desk.click(message)
    seconds = time.monotonic() - began
    broker.signal(signal.SIGCONT)

    assert seconds < 3
    assert "Queued; the worker is offline, and nothing is lost." in answer.text

    desk.wait_until_done(message)
    assert desk.was_moved_once(message)


@pytest.mark.matrix(3, 25)
def test_a_broker_that_is_away_fails_no_click_and_a_worker_started_before_it_waits_for_it(
    desk: Installation, broker: RedisServer
) -> None:
    message = desk.message()
    broker.kill()
    began = time.monotonic()
    answer = desk.click(message)
    assert time.monotonic() - began < 1
    assert "Queued; the worker is offline, and nothing is lost." in answer.text
    assert desk.ready()["broker"] == "does not answer"
    desk.kill("worker-people")
    desk.start("worker-people")
    wait_until(lambda: "Cannot connect to redis" in desk.log_of("worker-people"), "the worker has missed the broker")

    broker.start()

    wait_until(desk.is_ready, "everything is ready again", seconds=15, tell=desk.ready)
    desk.wait_until_done(message)
    assert desk.was_moved_once(message)


@pytest.mark.matrix(5)
def test_a_broker_that_loses_its_queue_loses_no_work(desk: Installation, broker: RedisServer) -> None:
    messages = [desk.message() for _ in range(3)]
    desk.kill("worker-people")
    for message in messages:
        desk.click(message)
    with broker.client() as server:
        assert server.llen("people") >= len(messages)
    broker.kill()
    broker.lose_everything()
    broker.start()
    desk.start("worker-people")

    desk.wait_until_done(*messages)
    assert all(desk.was_moved_once(message) for message in messages)


@pytest.mark.matrix(6)
def test_a_broker_restored_from_an_old_copy_brings_nothing_back(desk: Installation, broker: RedisServer) -> None:
    message = desk.message()
    desk.kill("worker-people")
    desk.click(message)
    with broker.client() as server:
        copy = {key: server.dump(key) for key in server.scan_iter()}
        assert b"people" in copy
        desk.start("worker-people")
        desk.wait_until_done(message)

        server.flushall()
        for key, value in copy.items():
            server.restore(key, 0, value, replace=True)
    desk.wait_for_canary()

    assert desk.calls_for(message) == 1
    assert desk.was_moved_once(message)


@pytest.mark.matrix(7)
def test_a_full_broker_is_like_one_that_is_away(desk: Installation, broker: RedisServer) -> None:
    message = desk.message()
    with broker.client() as server:
        server.config_set("maxmemory", 1)
        began = time.monotonic()
        answer = desk.click(message)
        seconds = time.monotonic() - began
        server.config_set("maxmemory", 0)

    assert seconds < 1
    assert "Queued; the worker is offline, and nothing is lost." in answer.text
    desk.wait_until_done(message)
    assert desk.was_moved_once(message)


@pytest.mark.matrix(7)
def test_a_worker_that_is_handed_work_while_the_broker_is_full_lives_on(
    desk: Installation, broker: RedisServer
) -> None:
    """It notes in the broker what it has taken, which a full one refuses."""
    message = desk.message()
    worker = desk.process("worker-people")
    desk.signal("worker-people", signal.SIGSTOP)
    desk.click(message)
    before = desk.log_of("worker-people").count("maxmemory")
    with broker.client() as server:
        server.config_set("maxmemory", 1)
        desk.signal("worker-people", signal.SIGCONT)
        wait_until(
            lambda: desk.log_of("worker-people").count("maxmemory") > before, "the worker has met the full broker"
        )
        server.config_set("maxmemory", 0)

    desk.wait_until_done(message)
    assert desk.was_moved_once(message)
    assert worker.poll() is None, "the worker ended"


@pytest.mark.matrix(7)
def test_no_worker_starts_on_a_broker_that_throws_work_away(desk: Installation, broker: RedisServer) -> None:
    with broker.client() as server:
        server.config_set("maxmemory-policy", "allkeys-lru")
        try:
            done = subprocess.run(
                ["scripts/container.sh", "worker", "people"], cwd=serve.ROOT, env=desk.stack.env,
                capture_output=True, text=True, timeout=LONGEST,
            )  # fmt: skip
            told = desk.ready()["broker"]
        finally:
            server.config_set("maxmemory-policy", "noeviction")

    assert done.returncode == 1
    assert done.stderr.endswith(
        "Mailwarden cannot start. Redis throws queued work away: set maxmemory-policy noeviction.\n"
    )
    assert "Traceback" not in done.stderr
    assert told == "evicts work: set maxmemory-policy noeviction"


@contextmanager
def people_served_by_child_processes(desk: Installation, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A pool of processes, as the worker for jobs has it, does what people ask for."""
    desk.kill("worker-people")
    worker = desk.start_beside(
        "children", serve.PYTHON, "-m", "celery", "--app", "dashboard", "worker", "--pool", "prefork",
        "--concurrency", "2", "--queues", "people", "--without-gossip", "--without-mingle", "--without-heartbeat",
        "--loglevel", "WARNING", **env,
    )  # fmt: skip
    try:
        yield worker
    finally:
        desk.remove("children")


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.matrix(12, 13)
def test_a_child_process_that_is_killed_costs_its_own_action_a_look_and_no_other(desk: Installation) -> None:
    """What the kernel does when memory runs out is this: SIGKILL for one child."""
    messages = [desk.message() for _ in range(2)]
    with people_served_by_child_processes(desk) as worker:
        desk.hold_moves(2, seconds=1.5)
        for message in messages:
            desk.click(message)
        desk.wait_until_held(*messages)
        first, *others = children_of(worker)
        subprocess.run(["kill", "-KILL", str(first)], check=True)

        desk.wait_until_done(*messages)
        wait_until(lambda: len(children_of(worker)) == 1 + len(others), "the child is replaced")
        assert set(others) < set(children_of(worker))
        assert worker.poll() is None

    actions = [desk.action_on(message) for message in messages]
    assert sorted((action["dead_attempts"], action["looks"]) for action in actions) == [(0, 0), (1, 1)]
    assert all(desk.was_moved_once(message) for message in messages)


@pytest.mark.matrix(24)
def test_workers_whose_connections_are_cut_come_back(desk: Installation, broker: RedisServer) -> None:
    message = desk.message()
    with broker.client() as server:
        server.client_kill_filter(_type="normal", skipme=True)
    desk.click(message)

    desk.wait_until_done(message)
    wait_until(desk.is_ready, "everything is ready again", tell=desk.ready)
    assert desk.was_moved_once(message)
