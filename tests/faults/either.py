"""Parts of a running installation are really broken, and nothing is lost and nothing done twice: either way to run.

`test_embedded` and `test_production` hold these tests and their own. What the mail service did is read from its ledger,
what we believe from the database, what people are told from pages.
"""

from __future__ import annotations

import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.faults.installation import CLAIM_SECONDS, HANG, LONGEST, Installation, wait_until
from tests.investigate.notices.receivers import receiver


@contextmanager
def click_in_background(desk: Installation, investigate_id: str, *, key: str = "") -> Iterator[None]:
    """A click whose answer may never come."""

    def press() -> None:
        with suppress(httpx.HTTPError):  # the web server died
            desk.click(investigate_id, key=key)

    clicking = threading.Thread(target=press)
    clicking.start()
    try:
        yield
    finally:
        clicking.join(LONGEST)


@pytest.mark.matrix(2)
def test_a_web_server_that_dies_before_it_commits_did_nothing(desk: Installation) -> None:
    message = desk.message()
    desk.hold("message")  # a click looks at the message before anything is written
    with click_in_background(desk, message):
        wait_until(desk.is_held, "the click waits for the service")
        desk.kill("web")
    desk.start("web")
    desk.mend()

    assert desk.action_on(message) == {}
    assert desk.moves_of(message) == 0
    assert desk.click(message).status_code == 200, "and nothing stands in the way of the next click"
    desk.wait_until_done(message)
    assert desk.was_moved_once(message)


@pytest.mark.matrix(8, 9)
def test_a_form_sent_twice_in_the_same_instant_is_one_action_and_with_other_content_is_refused(
    desk: Installation,
) -> None:
    message, other, key = desk.message(), desk.message(), uuid.uuid4().hex
    with ThreadPoolExecutor(4) as hands:
        answers = list(hands.map(lambda _: desk.click(message, key=key).status_code, range(4)))
    desk.wait_until_done(message)

    assert answers == [200] * 4
    assert desk.was_moved_once(message)
    assert desk.click(message, key=key, folder="DeletedItems").status_code == 409
    assert desk.click(other, key=key).status_code == 409
    assert desk.action_on(other) == {}
    assert desk.calls_for(message) == 1


@pytest.mark.matrix(19, 20)
def test_a_message_delivered_again_and_again_is_carried_out_once(desk: Installation) -> None:
    message = desk.message()
    desk.hold_moves(seconds=1)
    desk.click(message)
    desk.wait_until_held(message)
    action = str(desk.action_on(message)["id"])

    for _ in range(3):  # while it runs
        desk.ring("investigate.tasks.send_action", action)
    desk.wait_until_done(message)
    for _ in range(10):  # when it is done
        desk.ring("investigate.tasks.send_action", action)
        desk.ring("investigate.tasks.look_up_action", action)
    desk.wait_for_canary()

    assert desk.calls_for(message) == 1
    assert desk.was_moved_once(message)
    assert desk.action_on(message)["attempt"] == 1


@pytest.mark.matrix(15)
def test_a_deploy_lets_the_call_under_way_finish(desk: Installation) -> None:
    under_way, meanwhile = desk.message(), desk.message()
    desk.hold_moves(seconds=1)
    desk.click(under_way)
    desk.wait_until_held(under_way)

    status = desk.terminate(desk.people)
    desk.click(meanwhile)
    desk.start(desk.people)

    desk.wait_until_done(under_way, meanwhile)
    assert status == 0, desk.log_of(desk.people)[-2000:]
    assert (desk.action_on(under_way)["attempt"], desk.action_on(under_way)["looks"]) == (1, 0)
    assert desk.was_moved_once(under_way)
    assert desk.was_moved_once(meanwhile)


@pytest.mark.matrix(15)
def test_a_deploy_lets_the_chunk_under_way_finish_and_the_new_worker_goes_on_with_its_job(desk: Installation) -> None:
    first, second = [desk.message() for _ in range(3)], [desk.message() for _ in range(2)]
    # The chunk after the one under way is refused for some seconds, so that it is left to the new worker.
    desk.hold_chunks(seconds=1, then=[{"status": 429, "retry_after": 3}])
    (job,) = desk.start_jobs([first, second])
    desk.wait_until_held(*first)

    status = desk.terminate(desk.bulk)
    left = (desk.state_of_job(job), desk.chunks_of(job)[0])
    desk.start(desk.bulk)

    assert status == 0, desk.log_of(desk.bulk)[-2000:]
    assert left == ("running", ("done", 1, 0))
    wait_until(lambda: desk.state_of_job(job) == "done", "the job is done", tell=lambda: desk.chunks_of(job))
    assert [(state, looks) for state, _, looks in desk.chunks_of(job)] == [("done", 0)] * 2
    ledger = desk.simulator("ledger")
    moves = Counter((entry["investigate_id"], entry["recipient"]) for entry in ledger)
    assert {moves[copy] for copy in moves if copy[0] in first + second} == {1}
    assert set(first + second) <= {one for one, _ in moves}


@pytest.mark.matrix(16)
def test_a_stop_that_hangs_and_is_killed_leaves_an_unknown_that_is_looked_up(desk: Installation) -> None:
    message = desk.message()
    desk.hold_moves()
    desk.click(message)
    desk.wait_until_held(message)

    desk.signal(desk.people, signal.SIGSTOP)
    desk.process(desk.people).terminate()  # not heard
    desk.kill(desk.people)
    desk.start(desk.people)

    wait_until(lambda: desk.state_of(message) == "unknown", "the claim of the dead worker expires")
    desk.wait_until_done(message)
    assert (desk.action_on(message)["dead_attempts"], desk.action_on(message)["looks"]) == (1, 1)
    assert desk.was_moved_once(message)


@pytest.mark.matrix(18)
def test_a_worker_that_wakes_after_its_claim_has_expired_changes_nothing(desk: Installation) -> None:
    message = desk.message()
    desk.hold_moves(seconds=1)  # the answer comes while nobody reads it
    desk.click(message)
    desk.wait_until_held(message)
    desk.signal(desk.people, signal.SIGSTOP)
    desk.start_beside("relief", *desk.process(desk.people).args)
    try:
        desk.wait_until_done(message, seconds=CLAIM_SECONDS + LONGEST)
        settled = desk.action_on(message)

        desk.signal(desk.people, signal.SIGCONT)
        wait_until(lambda: "action_overtaken" in desk.log_of(desk.people), "its late answer comes, and is not stored")
    finally:
        desk.remove("relief")

    assert desk.action_on(message) == settled
    assert (settled["attempt"], settled["dead_attempts"], settled["looks"]) == (1, 1, 1)
    assert desk.calls_for(message) == 1
    assert desk.was_moved_once(message)


@pytest.mark.matrix(24)
def test_a_worker_that_lives_and_takes_nothing_is_named_and_then_catches_up(desk: Installation) -> None:
    message = desk.message()
    desk.signal(desk.people, signal.SIGSTOP)
    wait_until(lambda: desk.ready()["people"].startswith("silent for"), "/readyz names people's worker")
    answer = desk.click(message)
    desk.signal(desk.people, signal.SIGCONT)

    assert "Queued; the worker is offline, and nothing is lost." in answer.text
    desk.wait_until_done(message)
    wait_until(desk.is_ready, "everything is ready again", tell=desk.ready)
    assert desk.was_moved_once(message)


@pytest.mark.matrix(74)
def test_a_notice_whose_worker_is_killed_arrives_under_the_same_name(desk: Installation, tmp_path: Path) -> None:
    def state() -> str:
        return str(desk.rows("SELECT state FROM investigate_notice")[0][0])

    with receiver("http", desk.notice_port, tmp_path / "receiver") as hook:
        hook.answers({"pause": HANG})
        desk.start_notice(hook.url)
        wait_until(lambda: hook.got, "the receiver has the notice, and has not said so")
        desk.kill(desk.polls)
        desk.start(desk.polls)
        assert state() == "sending"

        desk.rows("UPDATE investigate_notice SET claimed_at = ?", "2026-01-01 00:00:00")  # its claim is over
        wait_until(lambda: state() == "waiting", "somebody notices that its worker is gone")
        desk.rows("UPDATE investigate_notice SET due_at = ?", "2026-01-01 00:00:00")  # and so is the pause

        wait_until(lambda: state() == "arrived", "the notice has arrived", tell=state)
        assert len({one["headers"]["Mailwarden-Notice"] for one in hook.got}) == 1
        assert desk.rows("SELECT attempts FROM investigate_notice") == [(2,)]
