"""A change that is stopped while its call is on its way: whatever comes of that, nothing is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from settings_ui.changes import sending, services, transitions
from settings_ui.changes.sweep import sweep_changes
from settings_ui.models import Change, ChangeState, LineState, StepState

from .conftest import EVIL, Killed, Wire, additions, calls, named, pass_by, worked

Add = Callable[..., Change]
Import = Callable[..., Change]


def stop(actor: Member, change: Change) -> Callable[[httpx.Request], None]:
    def stopped(_request: httpx.Request) -> None:
        services.cancel(actor=actor, change=change, request=None)

    return stopped


def is_over(change: Change) -> bool:
    change.refresh_from_db()
    is_open = change.lines.filter(state__in=[LineState.WAITING, LineState.SENDING, LineState.UNKNOWN]).exists()
    return change.state == ChangeState.CANCELLED and change.finished_at is not None and not is_open


@pytest.mark.parametrize("fault", [{"status": 429, "retry_after": 40}, {"status": 422}])
def test_what_was_stopped_while_its_call_came_back_unsent_holds_nothing(
    emailsec: Simulator, wire: Wire, pia: Member, add: Add, imported: Import, fault: dict[str, Any]
) -> None:
    change = imported(pia, additions(8))
    wire.before["POST"] = stop(pia, change)
    emailsec.faults.next("block_senders.batch", **fault)
    change = worked(change)
    assert is_over(change), list(change.lines.values_list("state", flat=True))
    worked(change, after=600)
    assert calls(emailsec, "block_senders.batch") == 1
    assert add(pia, {**EVIL, "pattern": "spam0.example"}).state == ChangeState.DONE


def test_what_was_stopped_while_its_worker_died_before_the_call_holds_nothing(
    emailsec: Simulator, wire: Wire, pia: Member, standing: Any, take_away: Add
) -> None:
    change = take_away(pia, standing(2))
    pass_by(change, 60)

    def die(_request: httpx.Request) -> None:
        services.cancel(actor=pia, change=change, request=None)
        raise Killed

    wire.before["GET"] = die  # the comparison before the call
    with pytest.raises(Killed):
        sending.step(change.pk)
    pass_by(change, transitions.CLAIM_SECONDS + 1)
    sweep_changes()
    assert is_over(change), list(change.lines.values_list("state", flat=True))
    assert len(named(emailsec, "bad0.example", "bad1.example")) == 2


def test_the_sweep_ends_what_was_stopped_and_never_came_to_its_end(
    emailsec: Simulator, pia: Member, imported: Import
) -> None:
    change = imported(pia, additions(2))
    emailsec.faults.next("block_senders.batch", status=429, retry_after=40)
    change = worked(change)
    assert change.steps.get().state == StepState.WAITING
    Change.objects.filter(pk=change.pk).update(state=ChangeState.CANCELLED)  # as it was left before
    sweep_changes()
    assert is_over(change), list(change.lines.values_list("state", flat=True))


@pytest.mark.parametrize("number", [2, 12])
def test_what_is_stopped_while_its_entries_are_compared_is_not_sent(
    emailsec: Simulator, wire: Wire, pia: Member, standing: Any, take_away: Add, number: int
) -> None:
    change = take_away(pia, standing(number))
    wire.after["GET"] = stop(pia, change)
    change = worked(change, after=60)
    assert (len(named(emailsec, "bad0.example", "bad1.example")), calls(emailsec, "block_senders.batch")) == (2, 0)
    assert is_over(change), list(change.lines.values_list("state", flat=True))
    assert change.lines.filter(state=LineState.CANCELLED).count() == number
