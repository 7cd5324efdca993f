"""What the search tests share: counting searches, carrying out what the worker would do, moving the clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
import time_machine

from dashboard.simulator import Simulator
from investigate.models import SearchRun, SearchState
from investigate.search import runs

SLOW = {"last": "30d", "clean": "1"}  # the simulator answers 202 to wide searches that include clean mail


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The time of our code and of the simulator; `clock.shift(seconds)` moves both."""
    with time_machine.travel(dt.datetime(2026, 11, 21, 1, 20, 30, tzinfo=dt.UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def searches(emailsec: Simulator) -> Callable[[], int]:
    """How many searches and polls of them reached the service."""
    return lambda: sum(call.operation in ("search", "poll") for call in emailsec.calls)


@pytest.fixture
def work() -> Callable[[], None]:
    """What a worker does once its bell rang or the sweep came by: go on with every run that is due."""

    def carry_on() -> None:
        for run in SearchRun.objects.filter(state__in=[SearchState.SLOW, SearchState.RUNNING]).defer("body"):
            runs.continue_run(run.pk)

    return carry_on


@pytest.fixture(autouse=True)
def _no_broker(bells: object) -> None:
    """What is rung for, the tests do themselves."""
