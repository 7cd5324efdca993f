"""The shared call budget: never over the limit, people first, silence after a 429."""

from __future__ import annotations

import datetime as dt
import threading

import httpx
import pytest
import time_machine
from django.db import OperationalError, connection, transaction

from dashboard.emailsec.errors import BudgetExhausted
from dashboard.emailsec.transport import Priority
from dashboard.upstream.budget import SharedMeter
from dashboard.upstream.features import SharedMissingFeatures
from dashboard.upstream.models import CallBudget

NOON = dt.datetime(2026, 11, 20, 12, 0, 1, tzinfo=dt.UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def meter() -> SharedMeter:
    return SharedMeter("a-credential", limit=100)


def spend(meter: SharedMeter, calls: int, priority: Priority = Priority.ACTION) -> int:
    """Reserve up to `calls` calls and say how many were allowed."""
    for made in range(calls):
        try:
            meter.reserve(priority)
        except BudgetExhausted:
            return made
    return calls


@pytest.mark.matrix(41)
def test_no_window_of_five_minutes_holds_more_calls_than_the_limit(meter: SharedMeter) -> None:
    made: list[dt.datetime] = []
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(900):
            clock.shift(1)
            made += [dt.datetime.now(dt.UTC)] * spend(meter, 2)

    assert len(made) >= 200, "the budget is used, not only protected"
    for first in made:
        assert sum(first <= at < first + dt.timedelta(seconds=300) for at in made) <= 100


@pytest.mark.matrix(41)
def test_background_work_leaves_calls_for_people(meter: SharedMeter) -> None:
    assert spend(meter, 200, Priority.BACKGROUND) == 50
    assert spend(meter, 200, Priority.REFRESH) == 25
    assert spend(meter, 200, Priority.READ) == 20
    assert spend(meter, 200, Priority.ACTION) == 5


def test_the_refusal_says_when_it_goes_on_and_it_does(meter: SharedMeter) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        spend(meter, 100)
        with pytest.raises(BudgetExhausted) as refused:
            meter.reserve(Priority.ACTION)
        clock.shift(refused.value.retry_after)

        assert spend(meter, 1) == 1


@pytest.mark.matrix(40)
def test_after_a_429_no_priority_calls_until_retry_after_is_over(meter: SharedMeter) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        meter.after({"retry-after": "120"}, 429)
        for _ in range(119):
            clock.shift(1)
            assert spend(meter, 1) == 0
        assert meter.view().frozen_for > 0
        clock.shift(2)

        assert spend(meter, 1) == 1
        assert meter.view().frozen_for == 0


def test_a_shorter_freeze_does_not_shorten_a_longer_one(meter: SharedMeter) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        meter.freeze(200)
        meter.freeze(10)
        clock.shift(150)

        assert spend(meter, 1) == 0


@pytest.mark.matrix(41)
def test_calls_of_other_tools_are_seen_in_the_services_own_count(meter: SharedMeter) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        meter.reserve(Priority.READ)
        meter.after({"ratelimit": '"default";r=20;t=60'}, 200)

        assert meter.view().left == 20
        assert spend(meter, 50, Priority.BACKGROUND) == 0
        assert spend(meter, 50, Priority.ACTION) == 20
        clock.shift(61)
        assert spend(meter, 1, Priority.BACKGROUND) == 1


@pytest.mark.matrix(40)
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1),
        ("300", 300),
        ("1000000000", 900),
        (None, 300),
        ("-5", 300),
        ("soon", 300),
        ("nan", 300),
        ("inf", 300),
        ("", 300),
    ],
)
def test_nonsense_in_retry_after_means_the_usual_five_minutes(
    meter: SharedMeter, header: str | None, seconds: int
) -> None:
    with time_machine.travel(NOON, tick=False):
        meter.after({} if header is None else {"retry-after": header}, 429)

        assert meter.view().frozen_for == pytest.approx(seconds, abs=1)


@pytest.mark.matrix(42)
def test_a_count_that_cannot_be_read_holds_the_call_back_as_surely_not_sent(meter: SharedMeter) -> None:
    with connection.execute_wrapper(refuse_everything), pytest.raises(BudgetExhausted) as refused:
        meter.before(httpx.Request("POST", "https://api.example/"))

    assert refused.value.retry_after == 5


def test_an_answer_outlives_a_database_that_keeps_no_missing_features() -> None:
    missing = SharedMissingFeatures("account")
    with connection.execute_wrapper(refuse_everything):
        missing.remember("trace")

        assert not missing.is_missing("trace")
    missing.remember("trace")

    assert missing.is_missing("trace")


def refuse_everything(*_: object) -> None:
    raise OperationalError("canceling statement due to lock timeout")


def test_the_footer_shows_what_is_left(meter: SharedMeter) -> None:
    with time_machine.travel(NOON, tick=False):
        spend(meter, 30)
        view = meter.view()

    assert (view.limit, view.left, view.frozen_for) == (100, 70, 0)
    assert 0 < view.back_in <= 305


def test_old_counts_are_cleared_away(meter: SharedMeter) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(30):
            meter.reserve(Priority.READ)
            clock.shift(60)

    assert len(CallBudget.objects.get().calls) < 20


@pytest.mark.matrix(42)
@pytest.mark.django_db(transaction=True)
def test_a_count_that_another_process_holds_for_too_long_holds_the_call_back() -> None:
    meter = SharedMeter("a-credential", limit=100)
    meter.reserve(Priority.READ)
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            CallBudget.objects.select_for_update().update(observed_left=None)
            is_held.set()
            is_over.wait(20)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(10)
    patience = "PRAGMA busy_timeout = 50" if connection.vendor == "sqlite" else "SET lock_timeout = 50"
    try:
        with connection.cursor() as cursor:
            cursor.execute(patience)
        with pytest.raises(BudgetExhausted) as refused:
            meter.before(httpx.Request("POST", "https://api.example/"))
    finally:
        is_over.set()
        holder.join(20)
        connection.close()  # and with it the short patience

    assert refused.value.retry_after == 5
    assert sum(CallBudget.objects.get().calls.values()) == 1, "what was not counted was not sent"
    meter.before(httpx.Request("POST", "https://api.example/"))
