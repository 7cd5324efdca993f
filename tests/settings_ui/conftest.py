"""The simulator in each generation, and the passing of time: due times are columns, so tests move those."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.celery import app
from dashboard.simulator import Simulator
from settings_ui.entries import sending, services
from settings_ui.entries.transitions import CLAIM_SECONDS
from settings_ui.models import Entry
from tests.simulated import serving, simulated_account

ADDRESS = "billing@supplier.example"


@pytest.fixture(params=["current", "sunset", "seed"])
def generation(db: None, request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """The simulator behind the real client, once for each form of the API."""
    simulator = simulated_account(
        messages=20,
        seed=7,
        profile=request.param,
    )
    with serving(simulator):
        yield simulator


@pytest.fixture
def accept() -> Callable[..., Entry]:
    """Decide a rule as a form does."""

    def decide(actor: Member, pattern: str = ADDRESS, *, key: str = "", days: float = 30, **what: Any) -> Entry:
        values = {
            "expires_at": timezone.now() + dt.timedelta(days=days),
            "reason": "known supplier",
            "operation_key": key or uuid.uuid4().hex,
            "request": None,
        }
        return services.accept_sender(actor=actor, pattern=pattern, **values | what)

    return decide


@pytest.fixture
def rung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[tuple[str, str]]]:
    """Task and argument of every bell that lies in the broker's folders, sorted."""
    monkeypatch.setitem(app.conf.broker_transport_options, "queue_folder", str(tmp_path / "queue"))

    def bells() -> list[tuple[str, str]]:
        messages = [json.loads(path.read_text()) for path in (tmp_path / "queue").rglob("*.msg")]
        return sorted((one["headers"]["task"], json.loads(base64.b64decode(one["body"]))[0][0]) for one in messages)

    return bells


class Time:
    """Moves the columns that hold due times, and runs what a worker would run then."""

    @staticmethod
    def passes(entry: Entry, seconds: float) -> None:
        """Everything about the entry happened `seconds` earlier."""
        for name in ("due_at", "claimed_at", "sent_at", "expires_at"):
            rows = Entry.objects.filter(pk=entry.pk, **{f"{name}__isnull": False})
            rows.update(**{name: F(name) - dt.timedelta(seconds=seconds)})
        entry.refresh_from_db()

    @staticmethod
    def sent(entry: Entry) -> Entry:
        sending.send(entry.pk)
        entry.refresh_from_db()
        return entry

    def looked(self, entry: Entry, *, after: float) -> Entry:
        self.passes(entry, after)
        sending.look_up(entry.pk)
        entry.refresh_from_db()
        return entry

    def removed(self, entry: Entry, *, after: float = 0) -> Entry:
        self.passes(entry, after)
        sending.remove(entry.pk)
        entry.refresh_from_db()
        return entry

    def claim_expires(self, entry: Entry) -> None:
        self.passes(entry, CLAIM_SECONDS + 1)


@pytest.fixture
def time_() -> Time:
    return Time()


def rules(simulator: Simulator) -> list[dict[str, Any]]:
    """The allow policies for our supplier that stand at the simulated service."""
    found = simulator.settings.entries["allow_policies"].values()
    return [rule for rule in found if rule["pattern"].endswith("@supplier.example")]


def calls(simulator: Simulator, operation: str) -> int:
    return sum(call.operation == operation for call in simulator.calls)
