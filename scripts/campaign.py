"""Move many messages while workers are killed and answers fail, and compare every copy with the service's own ledger.

`campaign.py --seeds 20` runs on SQLite and the broker of plain files, or on what DATABASE_URL and REDIS_URL name. Each
seed is one job on fresh mail. Prints one line of JSON for each seed; the exit status is 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SCRATCH = tempfile.TemporaryDirectory(prefix="mailwarden-campaign-")
ACCOUNT, TOKEN = "cacacacacacacacacacacacacacacaca", "token-of-the-campaign"

from tests import servers  # noqa: E402  the repository's root must be on the path first

PORT = servers.free_port()
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "dashboard.settings",
    "SECRET_KEY": secrets.token_urlsafe(64),
    "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
    "CLOUDFLARE_API_TOKEN": TOKEN,
    "CLOUDFLARE_BASE_URL": f"http://127.0.0.1:{PORT}/client/v4",
    "MAILWARDEN_DATA_DIR": SCRATCH.name,
    "MAILWARDEN_HTTPS": "false",
    "MAILWARDEN_LOG_LEVEL": "ERROR",
    "MAILWARDEN_CALL_LIMIT": "1000000",
    "MAILWARDEN_CALL_SECONDS": "6",
    "MAILWARDEN_QUIET_SECONDS": "0",
    "MAILWARDEN_SECOND_PERSON": "",
}
for stray in ("CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_READ_TOKEN"):
    os.environ.pop(stray, None)

import django  # noqa: E402  the settings are read from the environment above

django.setup()

from django.core.management import CommandError, call_command  # noqa: E402
from django.db.models import F  # noqa: E402
from django.db.models.functions import Now  # noqa: E402

from dashboard.access.models import Member  # noqa: E402
from dashboard.access.roles import Role  # noqa: E402
from dashboard.upstream.ring import ring  # noqa: E402
from investigate.actions.sweep import sweep_actions  # noqa: E402
from investigate.bulk import jobs, ringing  # noqa: E402
from investigate.bulk.sweep import sweep_jobs  # noqa: E402
from investigate.models import Action, ActionKind, ActionState, BulkJob, JobSource, JobState, Receipt  # noqa: E402

WORKERS = 2
LONGEST = 120.0  # seconds a job may take
SWEEP_EVERY = 0.5
ENDED = {ActionState.DONE, ActionState.PARTLY_DONE, ActionState.FAILED, ActionState.SKIPPED}


class Broken(Exception):
    """A promise that was not kept."""


def simulator(path: str, **body: Any) -> Any:
    """Ask the simulator's control address."""
    data = json.dumps(body).encode() if body else None
    url = f"http://127.0.0.1:{PORT}/__simulator__/{path}"
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    if path in ("reset", "clear-faults"):
        request.method = "POST"
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        return json.load(answer)


class Workers:
    """Celery workers that are killed and started again."""

    def __init__(self) -> None:
        self.running = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable, "-m", "celery", "--app", "dashboard", "worker", "--pool", "threads", "--concurrency", "4",
            "--queues", "people,polls,bulk,sweep", "--without-gossip", "--without-mingle", "--without-heartbeat",
            "--loglevel", "ERROR",
        ]  # fmt: skip
        log = (Path(SCRATCH.name) / "worker.log").open("ab")
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)  # noqa: S603

    def kill(self, chance: random.Random) -> None:
        number = chance.randrange(WORKERS)
        os.killpg(self.running[number].pid, signal.SIGKILL)
        self.running[number].wait()
        self.running[number] = self._start()

    def stop(self) -> None:
        for process in self.running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start_simulator(messages: int, resources: ExitStack) -> None:
    command = [
        sys.executable, "manage.py", "simulator", "--port", str(PORT), "--control", "--no-rate-limit",
        "--messages", str(messages), "--account-id", ACCOUNT, "--token", TOKEN, "--arrival-interval", "0",
        "--search-delay", "0.5",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603
    resources.callback(process.wait)
    resources.callback(process.kill)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            simulator("state")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise Broken("the simulator did not start")


def rehearse(owner: Member) -> BulkJob:
    """A job over all delivered mail of the month, collected by the workers."""
    job = jobs.begin(
        actor=owner,
        source=JobSource.SEARCH,
        kind=ActionKind.MOVE,
        destination="JunkEmail",
        query="status=delivered&clean=1&last=30d",
        operation_key=secrets.token_hex(16),
        request=None,
    )
    return until(job, {JobState.REHEARSAL}, lambda: None)


def until(job: BulkJob, states: set[JobState], meanwhile: Any) -> BulkJob:
    deadline, swept = time.monotonic() + LONGEST, 0.0
    while time.monotonic() < deadline:
        job.refresh_from_db()
        if job.state in states:
            return job
        if time.monotonic() - swept > SWEEP_EVERY:  # what the scheduler has a worker do every 15 s
            sweep_actions()
            sweep_jobs()
            swept = time.monotonic()
        meanwhile()
        time.sleep(0.02)
    raise Broken(f"not {'/'.join(states)} after {LONGEST:.0f} s but {job.state}: {job.counts} {job.explanation}")


def run(seed: int, owner: Member, workers: Workers, *, kills: int, share: float) -> dict[str, Any]:
    """One job under fire; raises Broken."""
    chance = random.Random(seed)
    simulator("reset")
    job = rehearse(owner)
    queued = job.counts[ActionState.QUEUED]
    calls_before = Counter(call["operation"] for call in simulator("calls"))
    answers = {"operation": "*", "status": 503, "times": None, "share": share / 2}
    simulator("faults", seed=seed, faults=[{**answers, "applied": True}, {**answers, "applied": False}])
    jobs.decide(
        actor=owner, job=job, reason=f"campaign {seed}", decision_key=secrets.token_hex(16), expected_count=queued,
        request=None,
    )  # fmt: skip
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
    ring(ringing.STEP_TASK, str(job.pk))
    started = time.monotonic()
    kill_at = sorted(chance.uniform(0.0, 3.0) for _ in range(kills))
    seen = {"unknown at once": 0, "chunks that were unknown": set()}

    def meanwhile() -> None:
        unknown = set(Action.objects.filter(job=job, state=ActionState.UNKNOWN).values_list("number", flat=True))
        seen["unknown at once"] = max(seen["unknown at once"], len(unknown))
        seen["chunks that were unknown"] |= unknown
        if kill_at and time.monotonic() - started > kill_at[0]:
            kill_at.pop(0)
            workers.kill(chance)

    job = until(job, {JobState.DONE, JobState.PAUSED}, meanwhile)
    took = time.monotonic() - started
    simulator("clear-faults")
    calls = Counter(call["operation"] for call in simulator("calls")) - calls_before
    check(job, seen["unknown at once"])
    return {
        "seed": seed,
        "messages": queued,
        "copies": job.copies,
        "move calls": calls["move"],
        "chunks": job.chunks.count(),
        "chunks that were unknown": len(seen["chunks that were unknown"]),
        "unknown at once": seen["unknown at once"],
        "seconds": round(took, 1),
    }


def check(job: BulkJob, unknown_at_once: int) -> None:
    """Every message has one end, the ledger says the same copy by copy, and nothing was done twice."""
    if job.state != JobState.DONE:
        raise Broken(f"the job is {job.state}: {job.explanation}")
    open_items = job.items.exclude(state__in=ENDED)
    if open_items.exists():
        raise Broken(f"{open_items.count()} messages without an end: {job.counts}")
    moved = Counter((entry["investigate_id"], entry["recipient"]) for entry in simulator("ledger"))
    twice = [copy for copy, times in moved.items() if times > 1]
    if twice:
        raise Broken(f"{len(twice)} copies were moved twice")
    receipts = Receipt.objects.filter(item__job=job).annotate(name=F("item__investigate_id"))
    ours = {(receipt.name, receipt.recipient) for receipt in receipts if receipt.is_done}
    if ours != set(moved):
        false, missing = len(ours - set(moved)), len(set(moved) - ours)
        raise Broken(f"{false} copies are said to be moved and are not, {missing} the other way round")
    if unknown_at_once > 1:
        raise Broken(f"{unknown_at_once} chunks were unknown at once")
    try:
        call_command("verify_audit", stdout=io.StringIO())
    except CommandError as problem:
        raise Broken(str(problem)) from problem


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=10_000, help="the job's messages")
    parser.add_argument("--kills", type=int, default=1, help="of a worker, at random moments of each run")
    parser.add_argument("--share", type=float, default=0.2, help="of the answers that are 503, half of them done")
    options = parser.parse_args()
    os.environ["MAILWARDEN_BULK_LIMIT"] = str(options.messages)
    broken = 0
    with ExitStack() as resources:
        call_command("migrate", verbosity=0, interactive=False)
        owner = Member.objects.create_user("ben", "ben@corp.example", secrets.token_hex(16), role=Role.RESPONDER)
        start_simulator(int(options.messages * 1.6), resources)
        workers = Workers()
        resources.callback(workers.stop)
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            try:
                result = run(seed, owner, workers, kills=options.kills, share=options.share)
            except Broken as problem:
                broken += 1
                result = {"seed": seed, "broken": str(problem)}
            print(json.dumps(result), flush=True)  # noqa: T201  what the person at the terminal reads
        if broken:
            print((Path(SCRATCH.name) / "worker.log").read_text()[-4000:], file=sys.stderr)  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
