"""A lost bell costs a sweep at most: what is due is found in the database, and rung for in its queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.access.models import Member
from dashboard.celery import app
from dashboard.simulator import Simulator
from settings_ui.changes import services
from settings_ui.changes.sweep import sweep_changes
from settings_ui.models import Change, ChangeKind

from .conftest import BLOCK, additions, key, looked, pass_by, worked

Add = Callable[..., Change]


@pytest.fixture
def bell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The queues of the messages that lie in the broker's folders; looking takes them away."""
    monkeypatch.setitem(app.conf.broker_transport_options, "queue_folder", str(tmp_path / "queue"))

    def rung() -> list[str]:
        found = list((tmp_path / "queue").rglob("*.msg"))
        queues = sorted(path.parent.name for path in found)
        for path in found:
            path.unlink()
        return queues

    return rung


def confirmed(actor: Member, number: int) -> Change:
    change = services.draft(
        actor=actor,
        resource=BLOCK,
        kind=ChangeKind.IMPORT,
        lines=additions(number),
        operation_key=key(),
        request=None,
    )
    return services.confirm(actor=actor, change=change, fingerprint=change.fingerprint, request=None)


@pytest.mark.parametrize(("number", "queue"), [(3, "people"), (101, "bulk")])
def test_what_is_due_is_rung_for_where_it_belongs(
    emailsec: Simulator, pia: Member, bell: Callable[[], list[str]], number: int, queue: str
) -> None:
    change = confirmed(pia, number)
    assert bell() == [queue]
    sweep_changes()
    assert bell() == [], "its time to undo runs"
    pass_by(change, 60)
    sweep_changes()
    assert bell() == [queue]
    worked(change)
    bell()
    sweep_changes()
    assert bell() == [], "nothing is left to do"


def test_what_waits_for_its_time_or_is_looked_for_is_rung_for_then(
    emailsec: Simulator, pia: Member, add: Add, bell: Callable[[], list[str]]
) -> None:
    emailsec.faults.next("block_senders.create", status=429, retry_after=40)
    waiting = add(pia)
    bell()
    sweep_changes()
    assert bell() == []
    pass_by(waiting, 60)
    sweep_changes()
    assert bell() == ["people"]
    emailsec.faults.next("block_senders.create", applied=True, lose_answer=True)
    worked(waiting)
    bell()
    sweep_changes()
    assert bell() == []
    pass_by(waiting, 40)
    sweep_changes()
    assert bell() == ["bulk"]
    assert looked(waiting, after=0).state == "done"


def test_a_change_that_was_left_between_two_calls_is_found(
    emailsec: Simulator, pia: Member, bell: Callable[[], list[str]]
) -> None:
    change = confirmed(pia, 3)
    pass_by(change, 60)
    Change.objects.filter(pk=change.pk).update(state="running", due_at=None)
    bell()
    sweep_changes()
    assert bell() == ["people"]
    Change.objects.update(account_id="9" * 32)
    sweep_changes()
    assert bell() == []
