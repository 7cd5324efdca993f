"""What a job of 100,000 messages costs everybody else: printed by `make bench-jobs`, from one run of everything.

Starts the simulator, web server, workers and scheduler as `make demo` does, or with `--production` as the compose file
does (PostgreSQL, Redis, a worker for each kind of work). One member lets the job run; another one searches all the
while and clicks now and then. Wall clock and the web server's CPU time are both told: other work on the machine
lengthens the first and hardly the second.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"  # of this process, which only looks; the parts have their own

import django  # noqa: E402  the repository's root must be on the path first

django.setup()

import serve  # noqa: E402

from tests import servers  # noqa: E402
from tests.faults.installation import WORKERS, Installation, RedisServer, csrf, sign_in  # noqa: E402

SEARCH = "/investigate/?clean=1&last=24h"  # about half of its rows are messages of the job
EVERY = 0.4  # seconds between two searches: an analyst in a hurry
CLICK_EVERY = 12.0
LONGEST = 3600.0
TICK = 1 / os.sysconf("SC_CLK_TCK")
ENDED = ("done", "partly_done", "failed", "skipped", "cancelled", "unknown")


def say(text: str = "") -> None:
    print(text, flush=True)  # noqa: T201  printing is what this script is for


def processes_of(session: int) -> dict[int, float]:
    """CPU seconds of each process of a part; every part is started in a session of its own."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == session:
            found[int(path.parent.name)] = (int(fields[11]) + int(fields[12])) * TICK
    return found


def memory_of(sessions: Iterable[int], name: str = "VmRSS") -> float:
    """Megabytes of the largest process of these parts."""
    found = [0.0]
    for session in sessions:
        for pid in processes_of(session):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            if kilobytes := re.search(rf"{name}:\s+(\d+)", status):
                found.append(int(kilobytes[1]) / 1024)
    return max(found)


@dataclass
class Searches:
    """Times of one phase, in milliseconds: pages from a shared answer, and pages that ask the service."""

    shared: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    without: int = 0  # pages that said "still searching", or why there is nothing
    clicks: list[float] = field(default_factory=list)  # seconds from a click until its call leaves

    def told(self) -> dict[str, float]:
        return {
            "searches": len(self.cpu),
            "without rows": self.without,
            "shared ms": round(statistics.median(self.shared), 1),
            "own ms": round(statistics.median(self.own), 1),
            "web cpu ms": round(statistics.mean(self.cpu), 1),
            "slowest ms": round(max([*self.shared, *self.own]), 1),
        }


class Watch(threading.Thread):
    """Looks at the worker's memory and the job's progress while the main thread is busy being a person."""

    def __init__(self, desk: Installation, sessions: list[int]) -> None:
        super().__init__(daemon=True)
        self.desk, self.sessions = desk, sessions
        self.memory: list[tuple[float, str, float]] = []  # (seconds, state, MB)
        self.progress: list[tuple[float, str, int]] = []  # (seconds, state, messages)
        self.is_over = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self.is_over.wait(0.2):
            now = time.monotonic() - began
            state, counts = job_row(self.desk)
            number = sum(counts.values()) if state == "collecting" else sum(counts.get(one, 0) for one in ENDED)
            if not self.progress or self.progress[-1][1:] != (state, number):
                self.progress.append((now, state, number))
            if not self.memory or now - self.memory[-1][0] >= 1:
                self.memory.append((now, state, memory_of(self.sessions)))

    def told(self, state: str) -> dict[str, Any]:
        """How one phase went."""
        memory = [megabytes for _, at, megabytes in self.memory if at == state]
        steps = [(at, number) for at, when, number in self.progress if when == state]
        gaps = [after - before for (before, _), (after, _) in pairwise(steps)]
        every = max(1, len(memory) // 10)
        return {
            "seconds": round(steps[-1][0] - steps[0][0], 1),
            "changes": len(steps),
            "longest gap s": round(max(gaps, default=0.0), 1),
            "worker MB": [round(megabytes) for megabytes in memory[::every]],
        }


def job_row(desk: Installation) -> tuple[str, dict[str, int]]:
    """State and counts of the only job there is."""
    ((state, counts),) = desk.rows("SELECT state, counts FROM investigate_bulkjob")
    return state, json.loads(counts) if isinstance(counts, str) else counts


class Person:
    """Searches, and clicks on what is found, while the job runs."""

    def __init__(self, desk: Installation, to_click: Callable[[], str | None]) -> None:
        self.desk, self.to_click = desk, to_click
        self.web = desk.process("web").pid
        self.number = 0
        self.clicked_at = 0.0

    def work(self, is_over: Callable[[], bool]) -> Searches:
        found = Searches()
        deadline = time.monotonic() + LONGEST
        while not is_over():
            if time.monotonic() > deadline:
                raise SystemExit("the job did not come to its end")
            began = time.monotonic()
            self._search(found)
            if time.monotonic() - self.clicked_at > CLICK_EVERY and (name := self.to_click()):
                found.clicks.append(self._click(name))
                self.clicked_at = time.monotonic()
            time.sleep(max(0.0, EVERY - (time.monotonic() - began)))
        return found

    def idle(self, searches: int) -> Searches:
        left = iter(range(searches))
        return self.work(lambda: next(left, None) is None)

    def _search(self, found: Searches) -> None:
        self.number += 1
        is_own = self.number % 2 == 0
        spent, began = self._cpu(), time.perf_counter()
        answer = self.desk.ana.get(SEARCH + ("&fresh=1" if is_own else ""))
        took = 1000 * (time.perf_counter() - began)
        if answer.status_code != 200:
            raise SystemExit(f"the search page answered {answer.status_code}")
        if answer.text.count("data-id=") < 100:  # the service, or this machine, took longer than a page waits
            found.without += 1
        (found.own if is_own else found.shared).append(took)
        found.cpu.append(1000 * (self._cpu() - spent))

    def _cpu(self) -> float:
        return sum(processes_of(self.web).values())

    def _click(self, investigate_id: str) -> float:
        """Move one message, and see in the service's own log when its call came."""
        began = time.monotonic()
        answer = self.desk.click(investigate_id, folder="DeletedItems")
        if answer.status_code != 200:
            raise SystemExit(f"a click answered {answer.status_code}")
        while time.monotonic() - began < 30:
            sent = "SELECT a.sent_at FROM investigate_action a JOIN investigate_actionitem i ON i.action_id = a.id"
            if self.desk.rows(
                f"{sent} WHERE i.investigate_id = ? AND a.job_id IS NULL AND a.sent_at IS NOT NULL", investigate_id
            ):
                break
            time.sleep(0.02)
        return time.monotonic() - began


def start(folder: Path, resources: ExitStack, options: argparse.Namespace) -> Installation:
    port, upstream_port = servers.free_port(), servers.free_port()
    upstream = f"http://127.0.0.1:{upstream_port}"
    logs = folder / "data" / "logs"
    logs.mkdir(parents=True)
    foreign = ("CLOUDFLARE_", "DJANGO_", "MAILWARDEN_", "DATABASE_URL", "REDIS_URL")
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "MAILWARDEN_DATA_DIR": str(folder / "data"),
        "MAILWARDEN_DEMO": "true",
        "MAILWARDEN_HTTPS": "false",
        "MAILWARDEN_LOG_LEVEL": "WARNING",
        "MAILWARDEN_WORKER_THREADS": serve.WORKER_THREADS,
        "MAILWARDEN_WEB_PROCESSES": "1",
        "MAILWARDEN_UNDO_SECONDS": "0",
        "MAILWARDEN_SECOND_PERSON": "",
        "MAILWARDEN_BULK_LIMIT": str(options.messages),
        "CLOUDFLARE_ACCOUNT_ID": serve.DEMO_ACCOUNT,
        "CLOUDFLARE_API_TOKEN": serve.DEMO_TOKEN,
        "CLOUDFLARE_BASE_URL": f"{upstream}/client/v4",
    }
    redis: RedisServer | None = None
    if options.production:
        for name in ("redis", "database"):
            (folder / name).mkdir()
        redis = RedisServer(folder / "redis")
        resources.callback(redis.stop)
        redis.start()
        database = resources.enter_context(servers.postgres_server(folder / "database"))
        env |= {"DATABASE_URL": database, "REDIS_URL": redis.url, "MAILWARDEN_WEB_PROCESSES": "2"}
    stack = serve.Stack(env, logs)
    resources.callback(stack.stop)
    stack.start(
        "simulator", serve.PYTHON, "manage.py", "simulator", "--control", "--port", str(upstream_port),
        "--account-id", serve.DEMO_ACCOUNT, "--token", serve.DEMO_TOKEN, "--no-rate-limit", "--arrival-interval", "0",
        "--messages", str(int(options.messages * 1.6)), "--latency-ms", str(options.latency_ms),
    )  # fmt: skip
    serve.prepare(stack)
    stack.manage("demo_members", "--address", "http://127.0.0.1")
    if options.production:
        serve.start_web(stack, port)
        for name, queues in WORKERS.items():
            stack.start(name, "scripts/container.sh", "worker", queues)
        stack.start("scheduler", "scripts/container.sh", "scheduler")
    else:
        serve.start_processes(stack, port)
    stack.wait_for("simulator", f"{upstream}/client/v4", seconds=600)
    stack.wait_for("web", f"http://127.0.0.1:{port}/healthz")
    desk = Installation(f"http://127.0.0.1:{port}", upstream, stack, redis)
    resources.callback(desk.ana.close)
    return desk


def page(browser: httpx.Client, path: str, *, headers: dict[str, str] | None = None, looks: int = 7) -> float:
    """Median milliseconds of a page."""
    took = []
    for _ in range(looks):
        began = time.perf_counter()
        answer = browser.get(path, headers=headers)
        took.append(1000 * (time.perf_counter() - began))
        if answer.status_code not in (200, 204):
            raise SystemExit(f"{path} answered {answer.status_code}")
    return round(statistics.median(took), 1)


def bench(desk: Installation, messages: int) -> dict[str, Any]:
    ben = sign_in(desk.url, "ben")
    bulk = desk.process("worker-bulk" if desk.redis is not None else "worker").pid

    def last_message() -> str | None:
        """One whose turn comes last: whoever clicks on it is faster than the job."""
        if not watch.is_alive():
            return desk.message()
        queued = "SELECT investigate_id FROM investigate_actionitem WHERE state = 'queued' AND action_id IS NULL"
        last = desk.rows(f"{queued} ORDER BY id DESC LIMIT 1")
        return str(last[0][0]) if last and job_row(desk)[0] == "running" else None

    watch = Watch(desk, [bulk])
    person = Person(desk, last_message)
    person.idle(10)  # warms everything up
    result: dict[str, Any] = {"idle": (idle := person.idle(80)).told()}
    begun = ben.post(
        "/investigate/bulk/new",
        data={
            "operation_key": uuid.uuid4().hex, "what": "move:JunkEmail", "source": "search",
            "query": "clean=1&status=delivered&last=30d",
        },
        headers=csrf(ben),
    )  # fmt: skip
    if begun.status_code != 303:
        raise SystemExit(f"the job was not begun: {begun.status_code}")
    url = begun.headers["location"]
    watch.start()
    collecting = person.work(lambda: job_row(desk)[0] != "collecting")
    result |= {"while collecting": collecting.told(), "collecting": watch.told("collecting")}
    pages = {"rehearsal page": page(ben, url)}
    counts = job_row(desk)[1]
    form = {"reason": "how it behaves under load", "decision_key": uuid.uuid4().hex, "expected_count": counts["queued"]}
    decided = ben.post(f"{url}decide", data=form, headers=csrf(ben))
    if decided.status_code != 303:
        raise SystemExit(f"the job was not decided: {decided.status_code}")
    person.work(lambda: job_row(desk)[0] == "running")
    sending = person.work(lambda: job_row(desk)[0] != "running")
    watch.is_over.set()
    watch.join()
    ended, counts = job_row(desk)
    if ended != "done":
        raise SystemExit(f"the job is {ended}: {counts}")
    calls = desk.simulator("calls")
    result |= {
        "while sending": sending.told(),
        "sending": watch.told("running"),
        "idle after": person.idle(40).told(),
        "counts": counts,
        "move calls": sum(call["operation"] == "move" for call in calls),
        "clicks": {
            name: [round(seconds, 2) for seconds in found.clicks]
            for name, found in (("idle", idle), ("sending", sending))
        },
    }
    partial = {"HX-Request": "true"}
    pages |= {
        "job page": page(ben, url),
        "job progress": page(ben, f"{url}progress?v=1&every=1", headers=partial),
        "refused messages": page(ben, f"{url}messages?show=refused", headers=partial),
        "list of jobs": page(ben, "/investigate/bulk/"),
    }
    result["pages ms"] = pages
    web = [desk.process("web").pid]
    before, began, size = memory_of(web), time.perf_counter(), 0
    with ben.stream("GET", f"{url}result.csv", timeout=120) as answer:
        for part in answer.iter_raw():
            size += len(part)
    result["csv"] = {
        "seconds": round(time.perf_counter() - began, 1),
        "MB": round(size / 1e6, 1),
        "web MB before": round(before),
        "web MB at most": round(memory_of(web, "VmHWM")),
    }
    ratios = {
        name: {key: round(result[name][key] / result["idle"][key], 2) for key in ("shared ms", "own ms", "web cpu ms")}
        for name in ("while collecting", "while sending")
    }
    return {"messages": messages, "over idle": ratios, **result}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="the job's messages")
    parser.add_argument("--latency-ms", type=int, default=300, help="what the service takes for each answer")
    parser.add_argument("--production", action="store_true", help="PostgreSQL, Redis and separate workers")
    parser.add_argument("--logs", action="store_true", help="print the ends of the parts' logs, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailwarden-bench-") as name, ExitStack() as resources:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user where this one is root
        desk = start(folder, resources, options)
        result = {"mode": "production" if options.production else "embedded", **bench(desk, options.messages)}
        if options.logs:
            for log in sorted(desk.stack.logs.glob("*.log")):
                say(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
    for title, values in result.items():
        say(f"{title:18} {json.dumps(values) if isinstance(values, dict) else values}")
    say(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
