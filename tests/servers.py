"""Real PostgreSQL and Redis servers for tests: started in a scratch folder, stopped at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary(name: str) -> str:
    """The program on PATH or among Debian's PostgreSQL versions; without it the test is skipped, or fails in CI."""
    found = shutil.which(name) or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    if found is None:
        message = f"{name} is not installed; scripts/test-servers.sh installs it"
        if os.environ.get("REQUIRE_SERVICES"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def _until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"server on port {port} did not start: {log.read_text()[-500:]}")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis server as in production (append-only file, says no when full); gives its URL."""
    port, log = free_port(), folder / "redis.log"
    process = subprocess.Popen(
        [
            binary("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder),
            "--appendonly", "yes", "--maxmemory-policy", "noeviction", "--requirepass", "redis-of-the-tests",
            "--logfile", str(log),
        ]
    )  # fmt: skip
    try:
        _until_open(port, process, log)
        yield f"redis://:redis-of-the-tests@127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """A PostgreSQL cluster without fsync; gives the URL of an empty database. As root it runs as the postgres user."""
    postgres, initdb = binary("postgres"), binary("initdb")
    user = "postgres" if os.getuid() == 0 else None
    if user:
        folder.chmod(0o755)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent.is_relative_to(tempfile.gettempdir()) and parent.name != "tmp":
                parent.chmod(parent.stat().st_mode | 0o055)
    data, log, port = folder / "pg", folder / "postgres.log", free_port()
    data.mkdir()
    if user:
        shutil.chown(data, user)
    home = {"user": user, "cwd": str(data), "env": {**os.environ, "HOME": str(data)}}
    subprocess.run(
        [initdb, "--no-sync", "-A", "trust", "-U", "mailwarden", "-E", "UTF8", "--locale=C", "-D", str(data)],
        check=True, capture_output=True, **home,
    )  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            [postgres, "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-F", "-k", ""],
            stdout=out, stderr=out, **home,
        )  # fmt: skip
    try:
        _until_open(port, process, log)
        subprocess.run(
            [binary("createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "mailwarden", "desk"],
            check=True, capture_output=True,
        )  # fmt: skip
        yield f"postgres://mailwarden@127.0.0.1:{port}/desk"
    finally:
        process.send_signal(subprocess.signal.SIGINT)
        process.wait(10)
