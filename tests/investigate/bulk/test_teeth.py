"""Whether these tests would notice: a small campaign that a sound engine survives, and three broken ones do not.

The broken engines are those of the table in the design of the engine that looked sound and were not: one that does not
name the attempt, one whose claim ends before its call, and one that takes a 503 for a refusal.
"""

from __future__ import annotations

import io
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from django.conf import settings

from dashboard.access.models import Member
from dashboard.emailsec import errors
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, use_client
from dashboard.upstream.models import CallBudget
from investigate.actions import sending, sweep, transitions
from investigate.bulk import engine
from investigate.models import LIVE_JOBS, Action, ActionState, BulkJob
from tests.investigate.bulk.truth import (
    claim_expires,
    consistent,
    delivered,
    held,
    looks,
    passes,
    running,
    trail_is_whole,
)
from tests.simulated import serving, simulated_account

pytestmark = pytest.mark.django_db
SEEDS = range(3)
MESSAGES = 160
FEWEST_UNKNOWN = 5  # a campaign with fewer chunks in doubt tested nothing


class Death(BaseException):
    """The worker process is killed."""


@dataclass
class Campaign:
    """One job, workers that sleep and die, a service that loses answers; everything by one seed."""

    emailsec: Simulator
    job: BulkJob
    seed: int
    applied: Counter[str] = field(default_factory=Counter)  # by message: calls that were carried out
    unknown: int = 0
    thrown_away: int = 0  # answers that came in time and were not stored
    zombie: Action | None = None
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def run(self) -> list[str]:
        """What is wrong in the end; nothing where the engine is sound."""
        with use_client(build_client(httpx.WSGITransport(app=self._service))):
            for _ in range(400):
                if not self._turn():
                    break
            wrong = [f"{name} was carried out {times} times" for name, times in self.applied.items() if times > 1]
            if self.thrown_away:
                wrong.append(f"{self.thrown_away} answers that came in time were thrown away")
            try:
                consistent(self.job, self.emailsec)
                trail_is_whole()
            except AssertionError as problem:
                wrong.append(f"rows and ledger differ: {problem}")
            if self.job.state in LIVE_JOBS:
                wrong.append(f"the job never ended: {self.job.state} {self.job.counts}")
        return wrong

    def _turn(self) -> bool:
        """One worker does what it can; then time passes, a sweep comes by, and what is due is looked up."""
        self.job.refresh_from_db()
        if self.job.state not in LIVE_JOBS:
            return False
        CallBudget.objects.all().delete()
        if self.zombie is None and self.chance.random() < 0.3:
            self._falls_asleep()
        try:
            engine.step(self.job.pk)
        except Death:
            claim_expires(self.job)
        sweep.sweep_actions()
        self.unknown += Action.objects.filter(job=self.job, state=ActionState.UNKNOWN, looks=0).count()
        try:
            looks(self.job, self.emailsec, after=self.chance.choice([10, 31, 150, 430]))
        except (Death, AssertionError):  # what is wrong now is found in the end, too
            claim_expires(self.job)
        return True

    def _falls_asleep(self) -> None:
        """A worker claims a chunk and sleeps beyond its claim; another one takes the chunk over."""
        pk = engine._next_chunk(self.job)
        self.zombie = None if pk is None else transitions.claim(pk)
        if self.zombie is not None:
            claim_expires(self.job)
            sweep.sweep_actions()

    def _wakes(self, monkey: pytest.MonkeyPatch) -> None:
        """The sleeper goes on from behind its claim; its own clock may or may not have noticed."""
        zombie, self.zombie = self.zombie, None
        clock = self.chance.choice([iter([0.0, 1000.0]), itertools.repeat(0.0)])
        monkey.setattr(transitions, "claim", lambda _pk: zombie)
        sending.send(zombie.pk, clock=lambda: next(clock))  # type: ignore[union-attr]

    def _service(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "POST":
            return self.emailsec(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if self.zombie is not None:
            with pytest.MonkeyPatch.context() as monkey:
                self._wakes(monkey)
        names = json.loads(body).get("ids") or [environ["PATH_INFO"].split("/")[-2]]
        event = self.chance.choice(["answers"] * 4 + ["slow", "lost", "vanished", "503", "applied 503", "dies", "died"])
        if event == "slow":
            passes(self.job, settings.CALL_SECONDS - 5)
            sweep.sweep_actions()
        if event in ("answers", "slow", "lost", "applied 503", "died"):
            self.applied.update(names)
            answer = self._answered(environ, start_response)
        if event in ("lost", "vanished"):
            raise httpx.ReadError("the connection broke")
        if event in ("dies", "died"):
            raise Death
        if event in ("503", "applied 503"):
            start_response("503 Service Unavailable", [("Content-Type", "text/html")])
            return [b"<html></html>"]
        return answer

    def _answered(self, environ: dict[str, Any], start_response: Any) -> Any:
        if not Action.objects.filter(job=self.job, state=ActionState.SENDING).exists():
            self.thrown_away += 1  # the worker is healthy and within its time, and nobody waits for its answer
        return self.emailsec(environ, start_response)


@pytest.fixture(autouse=True)
def _one_chunk_a_turn(small_chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STEP_SECONDS", 0.0)


def campaign(ben: Member, seed: int, kind: str) -> Campaign:
    simulator = simulated_account(
        messages=400,
        seed=7,
        rate_limit=None,
        arrival_interval=0,
    )
    with serving(simulator):
        job = running(ben, kind, (delivered if kind == "move" else held)(simulator, MESSAGES))
    return Campaign(simulator, job, seed)


def forgets_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful:
        def filter(self, *conditions: Any, **named: Any) -> Any:
            named.pop("attempt", None)
            return Action.objects.filter(*conditions, **named)

        def __getattr__(self, name: str) -> Any:
            return getattr(Action.objects, name)

    monkeypatch.setattr(transitions, "Action", type("Action", (), {"objects": Forgetful()}))


def claims_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "CLAIM_SECONDS", 0.3)
    monkeypatch.setattr(sweep.transitions, "CLAIM_SECONDS", 0.3)


def takes_503_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    original = sending._call

    def call(action: Action, items: Any) -> sending.Call:
        real = original(action, items)

        def make(client: Any) -> Any:
            try:
                return real.make(client)
            except errors.OutcomeUnknown as problem:
                if problem.status == 503:
                    raise errors.Rejected(status=503) from None
                raise

        return sending.Call(real.request, make)

    monkeypatch.setattr(sending, "_call", call)


@pytest.mark.matrix(11, 16, 18, 28, 29, 31)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["move", "release"])
def test_the_engine_survives_a_campaign(ben: Member, kind: str, seed: int) -> None:
    survived = campaign(ben, seed, kind)

    assert survived.run() == [], f"seed {seed}"
    assert survived.unknown >= FEWEST_UNKNOWN, "too little was in doubt to show anything"


@pytest.mark.parametrize("kind", ["move", "release"])
@pytest.mark.parametrize("mutant", [forgets_the_attempt, claims_for_a_moment, takes_503_for_a_refusal])
def test_a_broken_engine_does_not(
    ben: Member,
    monkeypatch: pytest.MonkeyPatch,
    mutant: Callable[[pytest.MonkeyPatch], None],
    kind: str,
) -> None:
    mutant(monkeypatch)

    assert any(campaign(ben, seed, kind).run() for seed in SEEDS), f"nobody notices an engine that {mutant.__name__}"
