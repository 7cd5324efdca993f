"""A whole installation whose parts can be broken: killed, stopped, started again, cut off from each other.

Everything is asked from outside, as a person, a monitor and an administrator would: over HTTP, in plain SQL, and in the
simulator's own ledger, which says what really happened to the mail. The times are short: a call may take two seconds,
a claim four, and the sweep comes every second.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis
import serve
from celery import Celery

from dashboard.management.commands.demo_members import PASSWORD
from tests import servers
from tests.simulated import WEDNESDAY_AFTERNOON

CALL_SECONDS = 2
CLAIM_SECONDS = 2 * CALL_SECONDS
LONGEST = 30.0  # seconds; nothing here takes as long on a machine that is not very busy
HANG = 20.0  # seconds of the simulator's silence, longer than any call may last
START_JOBS = """
from uuid import UUID
from django.conf import settings
from django.db.models.functions import Now
from dashboard.access.models import Member
from dashboard.upstream.ring import ring
from investigate.models import Action, ActionItem, BulkJob

for id, chunks in chunks_by_id.items():
    whose = {"actor": Member.objects.get(username="ben"), "actor_name": "Ben"}
    what = {"kind": "move", "destination": "JunkEmail", "operation_key": id, "fingerprint": id, "due_at": Now()}
    job = BulkJob.objects.create(
        id=UUID(id), account_id=settings.CLOUDFLARE_ACCOUNT_ID, source="selection", state="running", created_at=Now(),
        decided_at=Now(), **whose, **what,
    )
    for number, messages in enumerate(chunks, 1):
        chunk = Action.objects.create(
            job=job, number=number, created_at=Now(), **whose, **what | {"operation_key": f"{id}-{number}"}
        )
        for each, known in messages.items():
            ActionItem.objects.create(job=job, action=chunk, investigate_id=each, state="queued", **known)
    ring("investigate.tasks.step_job", str(job.pk))
"""
START_NOTICE = """
from django.conf import settings
from django.utils import timezone
from dashboard.access.models import Member
from dashboard.access.sealing import seal
from dashboard.access.scope import spaced
from investigate.models import NoticeRule, SavedView, ViewHit

now, ben = timezone.now(), Member.objects.get(username="ben")
view = SavedView.objects.create(
    account_id=settings.CLOUDFLARE_ACCOUNT_ID, name="Held", query="last=24h&disposition=MALICIOUS", owner=ben,
    owner_name="Ben", is_shared=True, created_at=now, changed_at=now,
)
NoticeRule.objects.create(
    view=view, owner=ben, channel="webhook", rhythm="at_once", target=seal(url), shown="the receiver",
    secret=seal("s" * 43), due_at=now, told_hit=0, created_at=now, changed_at=now,
)
to = ["bea@corp.example"]
ViewHit.objects.create(
    view=view, investigate_id="4Njp3P:1", subject="Invoice", sender="billing@pay-pal.example", recipients=to,
    domains=spaced(to), disposition="MALICIOUS", scanned_at=now, found_at=now,
)
"""
WORKERS = {"worker-people": "people", "worker": "polls,sweep", "worker-bulk": "bulk"}  # as in docker-compose.yml


class RedisServer:
    """A Redis server on a port and in a folder of its own, which can be taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = servers.free_port()
        self.url = f"redis://:redis-of-the-tests@127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                servers.binary("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", str(self.folder), "--appendonly", "yes", "--maxmemory-policy", "noeviction",
                "--requirepass", "redis-of-the-tests", "--logfile", str(self.folder / "redis.log"),
            ]
        )  # fmt: skip
        wait_until(self._answers, "Redis answers")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def lose_everything(self) -> None:
        """After a kill: as on a server without persistence, or whose disk is gone."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(10)

    def _answers(self) -> bool:
        try:
            with self.client() as server:
                return bool(server.ping())
        except redis.RedisError:
            return False


@dataclass
class Installation:
    """One running Mailwarden with the simulator behind it."""

    url: str
    upstream: str
    stack: serve.Stack
    redis: RedisServer | None
    notice_port: int  # where a receiver of notices may listen
    ana: httpx.Client = field(init=False)
    known: dict[str, dict[str, Any]] = field(init=False)  # of each message that can be moved, what an item says of it
    _messages: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.ana = sign_in(self.url, "ana")
        self.known = self._movable()
        self._messages = iter(self.known)

    # --- what people do ---

    def message(self) -> str:
        """A delivered message nobody has acted on yet."""
        return next(self._messages)

    def click(self, investigate_id: str, *, key: str = "", folder: str = "JunkEmail") -> httpx.Response:
        """Press "Move to Junk"; with the same key it is the same form sent again."""
        form = {"operation_key": key or uuid.uuid4().hex, "kind": "move", "destination": folder}
        return self.ana.post(
            f"/investigate/{investigate_id}/actions/", data=form, headers=csrf(self.ana) | {"HX-Request": "true"}
        )

    def start_jobs(self, *jobs: Sequence[Sequence[str]]) -> list[str]:
        """Decided jobs of Ben's that move messages to Junk, in these chunks. Returns their ids."""
        chunks_by_id = {
            uuid.uuid4().hex: [{one: self.known[one] for one in chunk} for chunk in chunks] for chunks in jobs
        }
        self.stack.manage("shell", "-c", f"chunks_by_id = {chunks_by_id}\n{START_JOBS}")
        return list(chunks_by_id)

    def start_notice(self, url: str) -> None:
        """A view of Ben's has found a message, which he wants to be told of at this address."""
        self.stack.manage("shell", "-c", f"url = {url!r}\n{START_NOTICE}")

    def ready(self) -> dict[str, Any]:
        """What /readyz says."""
        try:
            return dict(httpx.get(f"{self.url}/readyz", timeout=20).json())
        except httpx.TransportError:
            return {"ready": False, "web": "does not answer"}

    def is_ready(self) -> bool:
        return bool(self.ready()["ready"])

    # --- what is true ---

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Plain SQL with `?` for values, past all code of ours."""
        with closing(self.connect()) as connection:
            mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
            found = connection.execute(statement.replace("?", mark), values)
            rows = [tuple(row) for row in found.fetchall()] if found.description else []
            connection.commit()
            return rows

    def connect(self) -> sqlite3.Connection | psycopg.Connection[Any]:
        if url := self.stack.env.get("DATABASE_URL"):
            return psycopg.connect(url)
        return sqlite3.connect(Path(self.stack.env["MAILWARDEN_DATA_DIR"], "mailwarden.sqlite3"), timeout=20)

    def action_on(self, investigate_id: str) -> dict[str, Any]:
        """The newest action on a message; empty where there is none."""
        names = ("id", "state", "attempt", "looks", "dead_attempts", "operation_key")
        found = self.rows(
            "SELECT a.id, a.state, a.attempt, a.looks, a.dead_attempts, a.operation_key FROM investigate_action a "
            "JOIN investigate_actionitem i ON i.action_id = a.id WHERE i.investigate_id = ? ORDER BY a.created_at DESC",
            investigate_id,
        )
        return dict(zip(names, found[0], strict=True)) if found else {}

    def chunks_of(self, job: str) -> list[tuple[Any, ...]]:
        """State, attempts and looks of each chunk of a job, in their order."""
        return self.rows("SELECT state, attempt, looks FROM investigate_action WHERE job_id = ? ORDER BY number", job)

    def state_of_job(self, job: str) -> str:
        (row,) = self.rows("SELECT state FROM investigate_bulkjob WHERE id = ?", job)
        return str(row[0])

    def state_of(self, investigate_id: str) -> str:
        return str(self.action_on(investigate_id).get("state", ""))

    def moves_of(self, investigate_id: str) -> int:
        """How often the service really moved it."""
        return sum(entry["investigate_id"] == investigate_id for entry in self.simulator("ledger"))

    def copies_of(self, investigate_id: str) -> int:
        """How many mailboxes it is in: each is moved once."""
        (row,) = self.rows("SELECT recipients FROM investigate_actionitem WHERE investigate_id = ?", investigate_id)[:1]
        return len(json.loads(row[0]) if isinstance(row[0], str) else row[0])

    def simulator(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the simulator's control address."""
        request = urllib.request.Request(
            f"{self.upstream}/__simulator__/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def calls_for(self, investigate_id: str) -> int:
        """How many requests to move it arrived. A call that hangs counts once it has ended."""
        return sum(
            call["operation"] == "move_one" and investigate_id in httpx.URL(call["path"]).path
            for call in self.simulator("calls")
        )

    def hold_moves(self, number: int = 1, *, seconds: float = HANG) -> None:
        """The service carries out the next moves and stays silent before it answers."""
        fault = {"operation": "move_one", "times": number, "hang_after": seconds}
        self.simulator("faults", {"faults": [fault]})

    def hold(self, operation: str, *, times: int | None = 1) -> None:
        """The service takes such calls and stays silent before it does anything."""
        self.simulator("faults", {"faults": [{"operation": operation, "times": times, "hang": HANG}]})

    def hold_chunks(self, number: int = 1, *, seconds: float = HANG, then: Sequence[Mapping[str, Any]] = ()) -> None:
        """The service carries out the next chunks and stays silent before it answers; then it does what `then` says."""
        fault = {"operation": "move", "times": number, "hang_after": seconds}
        self.simulator("faults", {"faults": [fault, *({"operation": "move", **each} for each in then)]})

    def is_held(self) -> bool:
        """Whether the call for which `hold` was asked has come."""
        return not self.simulator("faults")["pending"]

    def wait_until_held(self, *investigate_ids: str) -> None:
        """The service has moved these, and whoever asked for it waits for the answer."""
        for investigate_id in investigate_ids:
            wait_until(lambda wanted=investigate_id: self.moves_of(wanted) > 0, "the service has moved it")

    def wait_until_done(self, *investigate_ids: str, seconds: float = LONGEST) -> None:
        for investigate_id in investigate_ids:
            wait_until(
                lambda wanted=investigate_id: self.state_of(wanted) == "done",
                "the action is done",
                seconds=seconds,
                tell=lambda wanted=investigate_id: self.action_on(wanted),
            )

    def was_moved_once(self, investigate_id: str) -> bool:
        """Each copy of the message, by the service's own ledger."""
        return self.moves_of(investigate_id) == self.copies_of(investigate_id)

    def wait_for_canary(self) -> None:
        """Whatever lay in people's queue before now has been taken, and a task behind it has ended."""
        beat = "SELECT beat_at FROM upstream_heartbeat WHERE name = 'people'"
        for _ in range(2):  # the first may have been on its way already
            before = self.rows(beat)
            wait_until(lambda before=before: self.rows(beat) != before, "a canary came back through people's queue")

    # --- what breaks ---

    def process(self, name: str) -> subprocess.Popen[bytes]:
        return next(process for known, process in self.stack.running if known == name)

    def kill(self, name: str) -> None:
        """SIGKILL for the process and its children."""
        os.killpg(self.process(name).pid, signal.SIGKILL)
        self.process(name).wait(10)

    def signal(self, name: str, number: signal.Signals) -> None:
        os.killpg(self.process(name).pid, number)

    def terminate(self, name: str, *, seconds: float = LONGEST) -> int:
        """What a deploy does: SIGTERM, and wait. Returns the status it ended with."""
        self.process(name).send_signal(signal.SIGTERM)
        return self.process(name).wait(seconds)

    def start(self, name: str) -> None:
        """Start a part again that has ended."""
        for number, (known, process) in enumerate(self.stack.running):
            if known == name and process.poll() is not None:
                self.stack.running[number] = (name, self.stack._spawn(name, process.args))

    def start_beside(self, name: str, *command: str, **env: str) -> subprocess.Popen[bytes]:
        """Start one more process; `remove` ends it."""
        usual = self.stack.env
        self.stack.env = {**usual, **env}
        try:
            self.stack.start(name, *command)
        finally:
            self.stack.env = usual
        return self.process(name)

    def remove(self, name: str) -> None:
        if self.process(name).poll() is None:
            self.signal(name, signal.SIGCONT)
            self.kill(name)
        self.stack.running = [pair for pair in self.stack.running if pair[0] != name]

    def ring(self, task: str, *arguments: str, queue: str = "people") -> None:
        """Put a message into the broker, whatever our code would do."""
        if self.redis is not None:
            app = Celery(broker=self.redis.url)
        else:
            app = Celery(broker="embedded://")
            app.conf.broker_transport_options = {"queue_folder": str(self.queue_folder)}
        with app.connection_for_write() as broker:
            app.send_task(task, args=arguments, queue=queue, connection=broker)

    @property
    def queue_folder(self) -> Path:
        return Path(self.stack.env["MAILWARDEN_DATA_DIR"], "queue")

    polls = "worker"  # the name of the worker that asks again and sends notices

    @property
    def bulk(self) -> str:
        """The name of the worker that carries jobs out."""
        return "worker" if self.redis is None else "worker-bulk"

    @property
    def people(self) -> str:
        """The name of the worker that does what people asked for."""
        return "worker" if self.redis is None else "worker-people"

    def log_of(self, name: str) -> str:
        return (self.stack.logs / f"{name}.log").read_text(errors="replace")

    def mend(self) -> None:
        """Everything runs and nothing is held up: where each test begins."""
        self.simulator("clear-faults", {})
        if self.redis is not None:
            self.redis.signal(signal.SIGCONT)
        for name, process in list(self.stack.running):
            if process.poll() is None:
                self.signal(name, signal.SIGCONT)
            else:
                self.start(name)
        wait_until(self.is_ready, "everything is ready", tell=self.ready)

    def _movable(self) -> dict[str, dict[str, Any]]:
        state = self.simulator("state")
        away = set(state["full_mailboxes"])
        since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=60)  # longer ones are answered later
        found = httpx.get(
            f"{self.upstream}/client/v4/accounts/{serve.DEMO_ACCOUNT}/email-security/investigate",
            params={"detections_only": "false", "per_page": "500", "start": since.isoformat()},
            headers={"Authorization": f"Bearer {serve.DEMO_TOKEN}"},
        ).json()["result"]
        return {
            message["id"]: {"recipients": message["client_recipients"], "message_id": message["message_id"]}
            for message in found
            if message["final_disposition"] == "NONE"
            and not message["is_quarantined"]
            and set(message["delivery_status"]) == {"delivered"}
            and not away & set(message["client_recipients"])
            and not {name.rpartition("@")[2] for name in message["client_recipients"]}
            & set(state["domains_without_integration"])
        }


def wait_until(
    is_so: Callable[[], bool], what: str, *, seconds: float = LONGEST, tell: Callable[[], object] = str
) -> float:
    """Wait for something to become true; returns the seconds it took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}. {tell()}"
        time.sleep(0.05)
    return time.monotonic() - began


def csrf(browser: httpx.Client) -> dict[str, str]:
    return {"X-CSRFToken": browser.cookies["csrf"]}


def sign_in(url: str, name: str) -> httpx.Client:
    """A browser of this member."""
    browser = httpx.Client(base_url=url, timeout=20)
    browser.get("/account/login/")
    answer = browser.post("/account/login/", data={"username": name, "password": PASSWORD}, headers=csrf(browser))
    assert answer.status_code == 302, answer.text
    return browser


def start_installation(folder: Path, resources: ExitStack, *, is_production: bool) -> Installation:
    """Everything on free ports; `resources` stops it."""
    port, upstream_port, notice_port = servers.free_port(), servers.free_port(), servers.free_port()
    upstream = f"http://127.0.0.1:{upstream_port}"
    logs = folder / "data" / "logs"
    logs.mkdir(parents=True)
    foreign = ("CLOUDFLARE_", "DJANGO_", "MAILWARDEN_", "DATABASE_URL", "REDIS_URL")
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
        "MAILWARDEN_DATA_DIR": str(folder / "data"),
        "MAILWARDEN_DEMO": "true",
        "MAILWARDEN_HTTPS": "false",
        "MAILWARDEN_WEB_PROCESSES": "1",
        "MAILWARDEN_WORKER_THREADS": "8",
        "MAILWARDEN_BULK_PROCESSES": "2",
        "MAILWARDEN_CALL_SECONDS": str(CALL_SECONDS),
        "MAILWARDEN_QUIET_SECONDS": "1",
        "MAILWARDEN_UNDO_SECONDS": "0",
        "MAILWARDEN_SWEEP_SECONDS": "1",
        "MAILWARDEN_SECOND_PERSON": "",
        "MAILWARDEN_ADDRESS": f"http://127.0.0.1:{port}",
        "MAILWARDEN_NOTICE_HOSTS": f"127.0.0.1:{notice_port}",
        "CLOUDFLARE_ACCOUNT_ID": serve.DEMO_ACCOUNT,
        "CLOUDFLARE_API_TOKEN": serve.DEMO_TOKEN,
        "CLOUDFLARE_BASE_URL": f"{upstream}/client/v4",
    }
    server: RedisServer | None = None
    if is_production:
        (folder / "redis").mkdir()
        server = RedisServer(folder / "redis")
        resources.callback(server.stop)
        server.start()
        (folder / "database").mkdir()
        env |= {
            "DATABASE_URL": resources.enter_context(servers.postgres_server(folder / "database")),
            "REDIS_URL": server.url,
        }
    stack = serve.Stack(env, logs)
    resources.callback(stack.stop)
    stack.start(
        "simulator", serve.PYTHON, "manage.py", "simulator", "--control", "--port", str(upstream_port),
        "--account-id", serve.DEMO_ACCOUNT, "--token", serve.DEMO_TOKEN, "--messages", "1500", "--seed", "11",
        "--rhythm-at", str(WEDNESDAY_AFTERNOON),
    )  # fmt: skip
    serve.prepare(stack)
    stack.manage("demo_members", "--address", "http://127.0.0.1")
    if is_production:
        serve.start_web(stack, port)
        for name, queues in WORKERS.items():
            stack.start(name, "scripts/container.sh", "worker", queues)
        stack.start("scheduler", "scripts/container.sh", "scheduler")
    else:
        serve.start_processes(stack, port)
    stack.wait_for("simulator", f"{upstream}/client/v4")
    stack.wait_for("web", f"http://127.0.0.1:{port}/healthz")
    desk = Installation(f"http://127.0.0.1:{port}", upstream, stack, server, notice_port)
    resources.callback(desk.ana.close)
    return desk
