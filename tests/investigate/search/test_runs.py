"""One call for everybody who asks the same; slow searches go on without anybody watching."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db import connection
from django.utils import timezone

from dashboard.upstream.connection import build_client, use_client
from investigate.models import SearchRun, SearchState
from investigate.search import results, runs
from investigate.search.criteria import Criteria
from investigate.search.memory import known_row

pytestmark = pytest.mark.django_db

DETECTIONS = Criteria()
ALL_MAIL = Criteria(last="30d", clean=True)


def first(criteria: Criteria, **options) -> SearchRun:
    (run,) = runs.obtain_all(runs.first_pages(criteria, timezone.now(), per_page=100), **options)
    return run


def after(run: SearchRun) -> SearchRun:
    return SearchRun.objects.get(pk=run.pk)


# --- sharing ---


def test_colleagues_share_one_call_although_their_last_day_began_later(clock, emailsec, searches):
    one = first(DETECTIONS)
    clock.shift(10)
    other = first(Criteria(last="1d"))
    assert one.state == SearchState.DONE
    assert other.pk == one.pk
    assert searches() == 1


def test_an_answer_is_shared_for_as_long_as_it_is_fresh(clock, emailsec, searches):
    first(DETECTIONS)
    clock.shift(16)
    first(DETECTIONS)
    assert searches() == 2


def test_a_search_that_took_long_is_shared_longer():
    now = timezone.now()
    run = SearchRun(started_at=now - dt.timedelta(seconds=140), answered_at=now - dt.timedelta(seconds=100))
    assert runs.is_fresh(run, now)
    assert not runs.is_fresh(run, now + dt.timedelta(seconds=21))
    endless = SearchRun(started_at=now - dt.timedelta(hours=1), answered_at=now)
    assert not runs.is_fresh(endless, now + dt.timedelta(seconds=301))


def test_a_refresh_by_hand_asks_again(clock, emailsec, searches):
    first(DETECTIONS)
    clock.shift(1)
    first(DETECTIONS, is_forced=True)
    assert searches() == 2


def test_other_filters_are_other_searches(clock, emailsec, searches):
    first(DETECTIONS)
    first(Criteria(subject="invoice"))
    first(Criteria(clean=True))
    assert searches() == 3


def test_a_run_is_pinned_to_whole_seconds(clock, emailsec):
    run = first(DETECTIONS)
    assert run.end == timezone.now().replace(microsecond=0)
    assert run.end - run.start == dt.timedelta(hours=24)


def test_next_pages_are_kept_for_an_hour(clock, emailsec, searches):
    window = Criteria(last="30d").window(timezone.now())
    run = runs.obtain(runs.page_after({"detections_only": True}, window, "", per_page=20))
    following = runs.page_after(run.parameters, window, run.next_cursor, per_page=20)
    again = runs.obtain(following)
    clock.shift(3000)
    assert runs.obtain(following).pk == again.pk
    clock.shift(700)
    assert runs.obtain(following).pk != again.pk
    assert searches() == 3


@pytest.mark.django_db(transaction=True)
def test_a_crowd_that_opens_one_search_at_once_makes_one_call(emailsec, searches):
    def open_page(_: int) -> str:
        try:
            return str(first(DETECTIONS).pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as crowd:
        seen = set(crowd.map(open_page, range(8)))
    assert len(seen) == 1
    assert searches() == 1


@pytest.mark.django_db(transaction=True)
def test_several_branches_are_asked_side_by_side(emailsec, searches, settings):
    settings.PARALLEL_READS = True
    wanted = Criteria(disposition=("SPAM", "BULK", "SPOOF", "MALICIOUS"), last="30d")
    pages = runs.first_pages(wanted, timezone.now(), per_page=100)
    found = runs.obtain_all(pages)
    assert [run.parameters for run in found] == [page.parameters for page in pages]
    assert {run.state for run in found} == {SearchState.DONE}
    assert searches() == 4


# --- slow searches ---


def test_a_slow_search_is_handed_to_a_worker_and_filled_in(clock, emailsec, work, bells):
    run = first(ALL_MAIL)
    assert run.state == SearchState.SLOW
    assert bells == [("investigate.tasks.continue_search", str(run.pk), 1.0)]
    work()  # too early: nothing is due
    assert after(run).polls == 0
    clock.shift(1)
    work()
    assert after(run).state == SearchState.SLOW
    clock.shift(5)
    work()
    run = after(run)
    assert run.state == SearchState.DONE
    assert run.count == 100
    assert len(runs.rows_of(run)) == 100


def test_who_left_finds_a_slow_search_answered_minutes_later(clock, emailsec, work, searches):
    run = first(ALL_MAIL)
    clock.shift(6)
    work()
    clock.shift(240)
    before = searches()
    assert first(ALL_MAIL).pk == run.pk
    assert searches() == before
    clock.shift(61)
    assert first(ALL_MAIL).pk != run.pk


def test_polls_do_not_depend_on_how_many_watch(clock, emailsec, searches, work):
    first(ALL_MAIL)
    for _ in range(10):
        first(ALL_MAIL)
    assert searches() == 1
    clock.shift(1)
    work()
    work()
    assert searches() == 2


def test_waits_grow_with_the_search_and_stay_below_a_quarter_of_it():
    now = timezone.now()
    for waited, expected in ((0, 1.0), (4, 1.0), (20, 4.0), (200, 10.0)):
        run = SearchRun(started_at=now - dt.timedelta(seconds=waited))
        assert runs.backoff(run, now) == pytest.approx(expected)


def test_a_search_that_says_nothing_is_asked_again_by_a_worker(clock, emailsec, work):
    emailsec.faults.next("search", hang=30, times=None)
    run = first(DETECTIONS)
    assert run.state == SearchState.SLOW
    assert run.location == ""
    emailsec.faults.clear()
    work()
    assert after(run).state == SearchState.DONE


@pytest.mark.matrix(44)
def test_a_search_that_never_ends_is_given_up(clock, emailsec, work):
    emailsec.faults.endless_search = True
    run = first(ALL_MAIL)
    for _ in range(100):
        clock.shift(10)
        work()
    run = after(run)
    assert run.state == SearchState.FAILED
    assert run.error == runs.NOT_FINISHED
    assert run.polls < 100


@pytest.mark.matrix(46)
def test_results_that_expired_are_asked_for_afresh_once(clock, emailsec, work):
    run = first(ALL_MAIL)
    emailsec.faults.next("poll", status=410)
    clock.shift(1)
    work()
    run = after(run)
    assert (run.state, run.location, run.restarts) == (SearchState.SLOW, "", 1)
    work()  # asks again: 202 with a new address
    assert after(run).location
    emailsec.faults.next("poll", status=404)
    clock.shift(10)
    work()
    run = after(run)
    assert (run.state, run.error) == (SearchState.FAILED, "SearchExpired")


def test_a_cancelled_search_is_not_asked_for_any_more(clock, emailsec, searches, work):
    run = first(ALL_MAIL)
    assert runs.cancel([run.pk], by="Ana") == 1
    clock.shift(10)
    work()
    runs.continue_run(run.pk)
    assert after(run).state == SearchState.CANCELLED
    assert searches() == 1


def test_cancelling_while_the_worker_asks_wins(clock, emailsec):
    run = first(ALL_MAIL)
    clock.shift(6)
    claimed = runs._claim(run.pk)
    runs.cancel([run.pk], by="Ana")
    runs._take(claimed, runs._call(claimed, budget=5, priority=runs.Priority.READ))
    assert after(run).state == SearchState.CANCELLED


def test_an_overtaken_worker_changes_nothing(clock, emailsec):
    run = first(ALL_MAIL)
    clock.shift(6)
    slow_worker = runs._claim(run.pk)
    clock.shift(runs.CLAIM.total_seconds() + 1)
    runs.continue_run(run.pk)
    finished = after(run)
    assert finished.state == SearchState.DONE
    runs._fail(slow_worker, runs.errors.Unavailable("late"))
    assert after(run).state == SearchState.DONE


def test_two_workers_ask_once(clock, emailsec, searches):
    run = first(ALL_MAIL)
    clock.shift(6)
    assert runs._claim(run.pk) is not None
    runs.continue_run(run.pk)
    assert searches() == 1


# --- failures ---


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 400}, "Rejected"),
        ({"status": 401}, "CredentialsRefused"),
        ({"status": 403}, "NotPermitted"),
        ({"status": 404}, "NotOnThisServer"),
        ({"status": 422}, "Rejected"),
        ({"status": 500, "times": None}, "Unavailable"),
        ({"html": True}, "UnexpectedReply"),
        ({"success_false": True}, "UnexpectedReply"),
        ({"truncate": 40}, "UnexpectedReply"),
        ({"location": "https://evil.example/steal"}, "ForeignLocation"),
    ],
)
def test_each_failure_is_kept_as_what_it_is(clock, emailsec, settings, fault, error):
    settings.PAGE_PATIENCE = 0.2
    emailsec.faults.next("search", **fault)
    run = first(DETECTIONS)
    assert (run.state, run.error) == (SearchState.FAILED, error)


def test_a_foreign_location_while_polling_ends_the_search(clock, emailsec, work, searches):
    run = first(ALL_MAIL)
    emailsec.faults.next("poll", status=202, headers={"Location": "//evil.example/x"})
    clock.shift(1)
    work()
    run = after(run)
    assert run.state == SearchState.FAILED
    assert run.error in ("ForeignLocation", "UnexpectedReply")


def test_after_a_429_nobody_asks_until_it_is_over(clock, emailsec, searches):
    first(DETECTIONS)
    clock.shift(20)
    emailsec.faults.next("search", status=429, retry_after=60)
    run = first(DETECTIONS)
    assert (run.state, run.error) == (SearchState.FAILED, "RateLimited")
    assert run.retry_after == timezone.now() + dt.timedelta(seconds=60)
    clock.shift(30)
    assert first(DETECTIONS, is_forced=True).pk == run.pk
    assert searches() == 2
    clock.shift(31)
    assert first(DETECTIONS).state == SearchState.DONE
    assert searches() == 3


def test_a_slow_search_waits_for_the_budget(clock, emailsec, work, searches, bells):
    run = first(ALL_MAIL)
    emailsec.faults.next("poll", status=429, retry_after=60)
    clock.shift(1)
    work()
    run = after(run)
    assert run.state == SearchState.SLOW
    assert run.due_at == timezone.now() + dt.timedelta(seconds=60)
    assert len(bells) == 1  # what is due later than a bell can say is the sweep's
    clock.shift(50)
    work()
    assert searches() == 2
    runs.sweep()
    assert bells[-1] == ("investigate.tasks.continue_search", str(run.pk), 10.0)
    clock.shift(10)
    work()
    assert after(run).state == SearchState.DONE


def test_a_crowd_does_not_knock_on_a_closed_door(clock, emailsec, searches):
    emailsec.faults.next("search", status=403, times=None)
    for _ in range(5):
        assert first(DETECTIONS).state == SearchState.FAILED
    assert searches() == 1
    first(DETECTIONS, is_forced=True)
    assert searches() == 2


def test_a_connection_that_cannot_be_made_is_a_failure_not_a_slow_search(clock, db, settings):
    settings.PAGE_PATIENCE = 0.2

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with use_client(build_client(httpx.MockTransport(refuse))):
        run = first(DETECTIONS)
    assert (run.state, run.error) == (SearchState.FAILED, "Unavailable")


# --- the sweep ---


def test_the_sweep_rings_for_work_nobody_holds(clock, emailsec, bells):
    run = first(ALL_MAIL)
    bells.clear()
    clock.shift(20)
    runs.sweep()
    assert bells == [("investigate.tasks.continue_search", str(run.pk), None)]


def test_a_page_that_died_while_asking_is_taken_over(clock, emailsec, bells):
    request = runs.first_pages(DETECTIONS, timezone.now(), per_page=100)[0]
    run = runs._start(request, timezone.now())
    runs.continue_run(run.pk)
    assert after(run).state == SearchState.RUNNING
    clock.shift(31)
    runs.sweep()
    assert [bell[1] for bell in bells] == [str(run.pk)]
    runs.continue_run(run.pk)
    assert after(run).state == SearchState.DONE


def test_a_broker_that_is_away_costs_nothing_but_time(clock, emailsec, monkeypatch, work):
    from dashboard.celery import app as celery_app

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(celery_app, "send_task", unreachable)
    run = first(ALL_MAIL)
    clock.shift(6)
    runs.sweep()
    work()
    assert after(run).state == SearchState.DONE


def test_old_runs_are_forgotten(clock, emailsec):
    first(DETECTIONS)
    emailsec.faults.endless_search = True
    first(ALL_MAIL)
    clock.shift(2 * 3600 + 1)
    runs.purge_runs()
    assert not SearchRun.objects.exists()


def test_what_another_account_found_is_neither_shown_nor_gone_on_with_nor_kept(clock, emailsec, settings):
    done, slow = first(DETECTIONS), first(ALL_MAIL)
    (row, *_) = runs.rows_of(done)
    assert known_row(row.id)
    settings.CLOUDFLARE_ACCOUNT_ID = "another"
    clock.shift(6)

    assert known_row(row.id) is None
    assert results.resume(DETECTIONS, [done.pk]) is None
    runs.continue_run(slow.pk)
    assert after(slow).state == SearchState.SLOW
    runs.purge_runs()
    assert not SearchRun.objects.exists()
