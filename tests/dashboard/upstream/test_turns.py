"""Any number of schedulers: what happens every so often happens once."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import connection
from django.db.models import F

from dashboard.upstream.models import Turn
from dashboard.upstream.turns import take_turn

pytestmark = pytest.mark.matrix(22)


def test_a_turn_comes_again_when_the_interval_is_over_and_each_thing_has_its_own(db: None) -> None:
    assert take_turn("sweep", every=15)
    assert not take_turn("sweep", every=15)
    assert take_turn("purge", every=600)

    Turn.objects.update(taken_at=F("taken_at") - dt.timedelta(seconds=14))
    assert take_turn("sweep", every=15), "ticks may come a little early"
    assert not take_turn("purge", every=600)


@pytest.mark.django_db(transaction=True)
def test_of_many_schedulers_at_the_same_instant_one_takes_the_turn() -> None:
    for _ in range(20):
        barrier, taken = threading.Barrier(4), []

        def schedule(barrier: threading.Barrier = barrier, taken: list[bool] = taken) -> None:
            barrier.wait(10)
            taken.append(take_turn("sweep", every=15))
            connection.close()

        threads = [threading.Thread(target=schedule) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert sorted(taken) == [False, False, False, True]
        Turn.objects.update(taken_at=F("taken_at") - dt.timedelta(seconds=15))
