"""A file of five thousand lines, two hundred of them bad: the dry run, the calls, a worker that dies in the middle.

What stands at the service in the end is read with the official SDK.
"""

from __future__ import annotations

import csv
import io
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, use_client
from settings_ui.changes import sending, services, transitions
from settings_ui.changes.sweep import sweep_changes
from settings_ui.models import Change, ChangeState, Line, LineState, StepState, Verb
from settings_ui.resources import BY_NAME
from settings_ui.tables import dry_run, importing
from settings_ui.tables.planning import Mode
from tests.settings_ui.changes.conftest import looked, pass_by
from tests.simulated import simulated_account

BLOCKED = BY_NAME["block_senders"]
BAD = (
    "no address at all,EMAIL,no,x",
    "fine{}.example,DOMAIN,perhaps,x",
    "*.evil{}.example,DOMAIN,no,x",
    "(unclosed{},EMAIL,yes,x",
    "10.0.0.{},IP,no,x",
    ",EMAIL,no,x{}",
    "a{}@b.example,PHONE,no,x",
    "lost{}@b.example,EMAIL",
    "new0@evil.example,EMAIL,no,the same once more {}",
    "long{}@b.example,EMAIL,no," + "x" * 1025,
)

Expected = dict[tuple[str, str], str | None]


def simulator(profile: str = "current") -> Simulator:
    return simulated_account(
        messages=5,
        seed=7,
        profile=profile,
    )


class Killed(BaseException):
    """The process ends here: nothing of ours catches it."""


class Deadly(httpx.BaseTransport):
    """Ends the process in the middle of one write, before it is carried out or after."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.dies: dict[int, bool] = {}  # the number of a write -> whether it was carried out first
        self.writes = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return self.inner.handle_request(request)
        self.writes += 1
        is_carried_out = self.dies.get(self.writes)
        answer = self.inner.handle_request(request) if is_carried_out is not False else None
        if is_carried_out is not None or answer is None:
            raise Killed
        return answer


@contextmanager
def account(simulated: Simulator) -> Iterator[tuple[Deadly, Any]]:
    """Our client over a connection that can be cut, and the official SDK beside it."""
    transport = Deadly(httpx.WSGITransport(app=simulated))
    official = Cloudflare(
        api_token=settings.CLOUDFLARE_API_TOKEN,
        base_url=settings.CLOUDFLARE_BASE_URL,
        max_retries=0,
        http_client=httpx.Client(transport=httpx.WSGITransport(app=simulated)),
    )
    with use_client(build_client(transport)), official:
        yield transport, official


def stand(simulated: Simulator, number: int) -> None:
    """What is in the list already, besides what the simulator invents."""
    simulated.settings.entries["block_senders"].clear()
    for place in range(number):
        simulated.settings.seed_entry(
            "block_senders",
            simulated.clock() - 86_400 + place,
            pattern=f"old{place}@evil.example",
            pattern_type="EMAIL",
            is_regex=False,
            comments="as it was",
        )


def file_of(added: int, changed: int, same: int, bad: int) -> tuple[bytes, Expected]:
    """A file of so many lines, the bad ones among the others, and what the list holds when it was carried out."""
    lines: list[str] = []
    expected: Expected = {}
    for place in range(changed + same):
        remark = "changed by the file" if place < changed else "as it was"
        lines.append(f"old{place}@evil.example,EMAIL,no,{remark}")
        expected[f"old{place}@evil.example", "EMAIL"] = remark
    for place in range(added):
        lines.append(f"new{place}@evil.example,EMAIL,no,")
        expected[f"new{place}@evil.example", "EMAIL"] = None
    step = max(1, len(lines) // max(1, bad))
    for place in range(bad):  # the first behind new0, which one of them repeats
        lines.insert(min(len(lines), changed + same + 1 + place * (step + 1) % (added or 1)), "")
        lines[lines.index("")] = BAD[place % len(BAD)].format(place)
    return ("pattern,pattern_type,is_regex,comments\n" + "\n".join(lines) + "\n").encode(), expected


def brought(actor: Member, data: bytes, mode: Mode = Mode.ADD_AND_CHANGE) -> Change:
    return importing.dry_run(
        actor=actor,
        resource=BLOCKED,
        data=data,
        mode=mode,
        file_name="blocked.csv",
        operation_key=uuid.uuid4().hex,
        request=None,
    )


def confirmed(actor: Member, change: Change) -> Change:
    change = services.confirm(actor=actor, change=change, fingerprint=change.fingerprint, reason="t", request=None)
    pass_by(change, 60)
    return change


def read_back(official: Any) -> Expected:
    entries = official.email_security.settings.block_senders.list(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, per_page=1000
    )
    found = [((entry.pattern, entry.pattern_type), entry.comments) for entry in entries]
    assert len(found) == len(dict(found)), "an entry is there twice"
    return dict(found)


def test_five_thousand_lines_end_right_although_workers_die(
    db: None, pia: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STEP_SECONDS", 0)  # a worker makes one call, then the next one does
    simulated = simulator()
    stand(simulated, 488)
    data, expected = file_of(added=4_312, changed=188, same=300, bad=200)
    with account(simulated) as (transport, official):
        with CaptureQueriesContext(connection) as queries:
            change = brought(pia, data)
        run = dry_run.of(change)
        assert run.sentence == "Adds 4,312, changes 188, removes 0; 300 are as they are; 200 lines cannot be used."
        assert run.command == "Add 4,312 and change 188 in blocked senders"
        assert len(queries) < 200, "some for each few hundred lines, and none for each line"
        assert [call.operation for call in simulated.calls] == ["block_senders.list"]
        assert all(len(block.rows) <= dry_run.SHOWN for block in run.blocks)
        text = data.decode().splitlines()
        for line in change.lines.filter(verb=Verb.BAD):
            written = next(csv.reader(io.StringIO(text[line.number - 1])))
            assert line.values["cells"] == written, "the number is the line's own"
            assert line.explanation
        assert transport.writes == 0, "nothing is sent before somebody decides"

        change = confirmed(pia, change)
        transport.dies = {2: False, 4: True}  # before the second call is carried out, and after the fourth was
        deaths = 0
        for _ in range(40):
            try:
                sending.step(change.pk)
            except Killed:
                deaths += 1
            change.refresh_from_db()
            if change.finished_at is not None:
                break
            pass_by(change, transitions.CLAIM_SECONDS + 60)
            sweep_changes()
            change = looked(change, after=60)

        assert deaths == 2
        assert change.state == ChangeState.PARTLY, "what was cut off unsent is told, and nothing is repeated by itself"
        assert change.lines.filter(state=LineState.FAILED).count() == 1_000
        change = services.retry(actor=pia, change=change, request=None)
        pass_by(change, 1)
        sending.step(change.pk)
        change.refresh_from_db()
        assert change.state == ChangeState.DONE
        states = Counter(Line.objects.filter(change=change).values_list("verb", "state"))
        assert states == {
            ("add", LineState.DONE): 4_312,
            ("change", LineState.DONE): 188,
            ("same", LineState.LEFT_OUT): 300,
            ("bad", LineState.LEFT_OUT): 200,
        }
        assert not change.steps.exclude(state__in=[StepState.DONE, StepState.FAILED]).exists()
        assert read_back(official) == expected
        batches = [call for call in simulated.calls if call.operation == "block_senders.batch"]
        assert len(batches) == 5, "as few calls as hold 4,500 lines"

        again = brought(pia, data)
        assert dry_run.of(again).sentence.startswith("Adds 0, changes 0, removes 0; 4,800 are as they are;")


def test_the_older_generation_takes_them_one_by_one(db: None, pia: Member) -> None:
    simulated = simulator("seed")
    stand(simulated, 20)
    data, expected = file_of(added=30, changed=10, same=10, bad=10)
    with account(simulated) as (transport, official):
        change = brought(pia, data)
        assert dry_run.of(change).sentence == (
            "Adds 30, changes 10, removes 0; 10 are as they are; 10 lines cannot be used."
        )
        change = confirmed(pia, change)
        transport.dies = {15: True}  # carried out, and nobody lived to write it down
        for _ in range(10):
            try:
                sending.step(change.pk)
            except Killed:
                pass_by(change, transitions.CLAIM_SECONDS + 60)
                sweep_changes()
            change = looked(change, after=60)
            if change.finished_at is not None:
                break

        assert change.state == ChangeState.DONE
        assert read_back(official) == expected


def test_the_whole_list_becomes_what_the_file_says(db: None, pia: Member) -> None:
    simulated = simulator()
    stand(simulated, 60)
    data, expected = file_of(added=20, changed=10, same=20, bad=0)
    with account(simulated) as (_, official):
        change = brought(pia, data, Mode.WHOLE)
        assert dry_run.of(change).command == "Add 20, change 10 and remove 30 in blocked senders"
        change = confirmed(pia, change)
        sending.step(change.pk)

        change.refresh_from_db()
        assert change.state == ChangeState.DONE
        assert read_back(official) == expected
