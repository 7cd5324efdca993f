"""Silent searches leave threads free: half of a worker's threads poll, the others do what people asked for."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from dashboard.upstream import places
from investigate.models import SearchRun, SearchState
from investigate.search import runs
from investigate.search.criteria import Criteria


def slow_run() -> SearchRun:
    now = timezone.now()
    request = runs.first_pages(Criteria(), now, per_page=100)[0]
    run = runs._start(request, now, state=SearchState.SLOW, claimed_at=None, due_at=now - dt.timedelta(seconds=1))
    assert run is not None
    return run


def test_a_search_without_a_place_is_rung_again_and_asks_nothing(emailsec, monkeypatch):
    run, rung = slow_run(), []
    monkeypatch.setattr(places, "SEARCHES", one := places.Places(part_of_threads=0))
    monkeypatch.setattr(places, "ring", lambda task, argument, countdown: rung.append((task, argument, countdown)))

    with one.taken():
        runs.continue_run(run.pk)
        runs.continue_run(run.pk)  # as the sweep rings for it, too
    run.refresh_from_db()
    assert rung == [("investigate.tasks.continue_search", str(run.pk), 1.0)]
    assert (run.state, run.polls, run.claimed_at) == (SearchState.SLOW, 0, None)

    runs.continue_run(run.pk)  # the place is free again
    run.refresh_from_db()
    assert run.state == SearchState.DONE


def test_a_place_is_given_back_whatever_happens(emailsec, monkeypatch):
    monkeypatch.setattr(places, "SEARCHES", one := places.Places(part_of_threads=0))

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_call", fail)
        for _ in range(2):
            try:
                runs.continue_run(slow_run().pk)
            except ZeroDivisionError:
                SearchRun.objects.all().delete()

    with one.taken() as has_place:
        assert has_place


def test_a_worker_waits_longer_each_time_for_a_search_that_stays_silent(emailsec, monkeypatch):
    run, budgets = slow_run(), []

    def silent(run: SearchRun, *, budget: float, priority: object) -> None:
        budgets.append(budget)
        raise runs.errors.Unavailable("ReadTimeout")

    monkeypatch.setattr(runs, "_call", silent)
    monkeypatch.setattr(runs, "_ring", lambda *_: None)
    for _ in range(4):
        SearchRun.objects.filter(pk=run.pk).update(due_at=timezone.now())
        runs.continue_run(run.pk)

    assert budgets == [20.0, 40.0, 60.0, 60.0]
