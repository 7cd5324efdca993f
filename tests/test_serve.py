"""scripts/serve.py: what a start may delete, which port it takes, what it refuses with a sentence, and how it stops."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serve


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serve, "ROOT", tmp_path)


def test_a_demo_never_uses_the_data_folder_of_the_environment(monkeypatch, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "mailwarden.sqlite3").write_text("everything we know")
    monkeypatch.setenv("MAILWARDEN_DATA_DIR", str(precious))

    with serve.data_folder("demo", 8001) as folder:
        assert folder == tmp_path / "var" / "demo-8001"

    assert (precious / "mailwarden.sqlite3").read_text() == "everything we know"


def test_a_demo_begins_anew_in_the_folder_of_an_earlier_one(tmp_path):
    with serve.data_folder("demo", 8001) as folder:
        (folder / "logs").mkdir()
        (folder / "mailwarden.sqlite3").write_text("yesterday")

    with serve.data_folder("demo", 8001) as folder:
        assert [path.name for path in folder.iterdir()] == [serve.DEMO_MARKER]


def test_a_folder_that_no_demo_wrote_is_left_alone(tmp_path):
    folder = tmp_path / "var" / "demo-8001"
    folder.mkdir(parents=True)
    (folder / "notes").write_text("mine")

    with pytest.raises(serve.StartFailed, match="no demo has written"), serve.data_folder("demo", 8001):
        pass

    assert (folder / "notes").read_text() == "mine"


def test_a_running_demo_keeps_its_folder(tmp_path):
    with serve.data_folder("demo", 8001) as running:
        (running / "mailwarden.sqlite3").write_text("in use")

        with pytest.raises(serve.StartFailed, match="Another demo is using"), serve.data_folder("demo", 8001):
            pass
        with serve.data_folder("demo", 8002) as beside:
            assert beside != running

        assert (running / "mailwarden.sqlite3").read_text() == "in use"


def test_a_link_in_a_demos_folder_is_removed_and_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "letter").write_text("kept")
    with serve.data_folder("demo", 8001) as folder:
        (folder / "link").symlink_to(outside)

    with serve.data_folder("demo", 8001) as folder:
        assert not (folder / "link").exists()

    assert (outside / "letter").read_text() == "kept"


def test_a_taken_port_is_told_before_any_folder_is_touched(monkeypatch, capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr(serve.sys, "argv", ["serve.py", "demo"])

        assert serve.main() == 1

    assert "is taken. Choose another one" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["0", "65536", "http", "80 80", "-1"])
def test_a_port_that_is_none_is_refused(monkeypatch, port):
    monkeypatch.setenv("PORT", port)

    with pytest.raises(serve.StartFailed, match="PORT must be a number from 1 to 65535"):
        serve.wanted_port()


def test_an_installation_of_ones_own_keeps_its_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MAILWARDEN_DATA_DIR", str(tmp_path / "desk"))

    with serve.data_folder("run", 8000) as folder:
        assert folder == tmp_path / "desk"


def test_a_demo_knows_no_real_account(monkeypatch, tmp_path):
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_READ_TOKEN", "CLOUDFLARE_API_KEY", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, "real")

    assert "real" not in serve.environment("demo", tmp_path).values()


# A part of an installation: it says that it is ready, and on SIGTERM does what it was started for.
PART = """
import pathlib, signal, socket, sys, time
def on_stop(*_):
    {on_stop}
    sys.exit(0)
signal.signal(signal.SIGTERM, on_stop)
pathlib.Path({ready!r}).touch()
{work}
time.sleep(60)
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[serve.Stack]:
    stack = serve.Stack({"MAILWARDEN_CALL_SECONDS": "30"}, tmp_path)
    yield stack
    for _, process in stack.running:
        process.kill()
        process.wait()


def start_part(stack: serve.Stack, name: str, *, on_stop: str = "pass", work: str = "") -> None:
    ready = stack.logs / f"{name} is ready"
    stack.start(name, sys.executable, "-c", PART.format(on_stop=on_stop, work=work, ready=str(ready)))
    give_up = time.monotonic() + 20
    while not ready.exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_what_calls_the_simulator_gets_its_answer_before_everything_is_over(monkeypatch, stack, tmp_path, capsys):
    monkeypatch.setattr(serve, "TELL_AFTER", 0.0)
    port, answer = serve.free_port(), tmp_path / "answer"
    listen = f"door = socket.create_server(('127.0.0.1', {port}))"
    start_part(stack, "simulator", work=f"{listen}\nwhile True: door.accept()[0].send(b'moved')")
    ask = f"answer = socket.create_connection(('127.0.0.1', {port})).recv(9)"
    start_part(stack, "worker", on_stop=f"time.sleep(0.3); {ask}; pathlib.Path({str(answer)!r}).write_bytes(answer)")

    stack.stop()

    assert answer.read_text() == "moved"
    assert "waiting for calls under way" in capsys.readouterr().out


def test_what_is_idle_stops_at_once_and_without_a_word(stack, capsys):
    for name in ("simulator", "web", "worker"):
        start_part(stack, name)
    began = time.monotonic()

    stack.stop()

    assert time.monotonic() - began < serve.TELL_AFTER
    assert capsys.readouterr().out == ""


def test_a_second_ctrl_c_ends_what_is_waited_for(monkeypatch, stack):
    monkeypatch.setattr(serve, "TELL_AFTER", 0.0)
    monkeypatch.setattr(serve, "say", stack.ask_to_stop)  # whoever reads that it waits presses it again
    start_part(stack, "worker", on_stop="time.sleep(60)")
    ((_, worker),) = stack.running
    stack.ask_to_stop()

    stack.stop()

    assert worker.poll() == -signal.SIGKILL


def test_what_does_not_stop_is_ended_when_no_call_can_last_that_long(monkeypatch, stack):
    monkeypatch.setattr(serve, "BEYOND_CALLS", 0.2)
    stack.env["MAILWARDEN_CALL_SECONDS"] = "0"
    start_part(stack, "worker", on_stop="time.sleep(60)")
    ((_, worker),) = stack.running

    stack.stop()

    assert worker.poll() == -signal.SIGKILL
