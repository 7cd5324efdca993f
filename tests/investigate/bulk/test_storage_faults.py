"""The database is locked, full, gone or restored: nothing is sent that is not written down, no answer is lost."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.audit.recorder import AuditNotWritten
from dashboard.emailsec.errors import BudgetExhausted
from dashboard.upstream import answers
from investigate.actions import sending
from investigate.actions import sweep as action_sweep
from investigate.bulk import engine, jobs
from investigate.models import Action, ActionItem, ActionKind, JobSource, JobState
from tests.investigate.bulk.truth import (
    calls,
    claim_expires,
    click,
    consistent,
    delivered,
    during_the_call,
    held,
    looks,
    rehearsed,
    running,
    states,
)

pytestmark = pytest.mark.django_db(transaction=True)
IS_SQLITE = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
# A count of calls that cannot be written holds the call back; what cannot be recorded is not done.
REFUSED = (OperationalError, AuditNotWritten, BudgetExhausted)
only_sqlite = pytest.mark.skipif(not IS_SQLITE, reason="a fault of SQLite")
only_postgres = pytest.mark.skipif(IS_SQLITE, reason="a fault of PostgreSQL")


@contextmanager
def locked() -> Iterator[Callable[[], None]]:
    """Another process holds SQLite's only writing lock; gives how to let it go."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield lambda: other.rollback()
    finally:
        other.close()


@contextmanager
def patience(milliseconds: int) -> Iterator[None]:
    """How long this connection waits for the lock; 20 s is too long for a test."""
    usual = settings.DATABASES["default"]["OPTIONS"]["timeout"] * 1000
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout={milliseconds}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={usual}")


@only_sqlite
@pytest.mark.matrix(51)
def test_a_lock_of_a_second_is_waited_for(ana: Member, emailsec: Any) -> None:
    (record,) = delivered(emailsec, 1)
    with locked() as let_go:
        timer = threading.Timer(1.0, let_go)
        timer.start()
        started = time.monotonic()

        action = click(ana, record)

        assert time.monotonic() - started > 0.8
        timer.join()
    sending.send(action.pk)
    action.refresh_from_db()
    assert action.state == "done"


@only_sqlite
@pytest.mark.matrix(51, 58)
def test_a_lock_that_lasts_refuses_the_click_with_a_sentence_and_sends_nothing(
    ana: Member, analyst: Client, emailsec: Any
) -> None:
    (record,) = delivered(emailsec, 1)
    form = {"kind": "move", "destination": "JunkEmail", "operation_key": "key-00000001"}
    with locked(), patience(200), pytest.raises(REFUSED):
        click(ana, record)
    with locked(), patience(200):
        answer = analyst.post(reverse("investigate:act", args=[record.id]), form)

    assert answer.status_code == 503
    assert "nothing was sent" in answer.content.decode().lower()
    assert not Action.objects.exists()
    assert calls(emailsec) == 0


def fill(actor: Member) -> None:
    """Use up what is left in the last pages."""
    for number in range(400):
        jobs.begin(
            actor=actor,
            source=JobSource.SELECTION,
            kind=ActionKind.MOVE,
            destination="JunkEmail",
            terms=[("investigate_id", "x" * 200)] * 20,
            operation_key=f"full-{number}",
            request=None,
        )


def click_all(actor: Member, records: list[Any]) -> None:
    for record in records:
        click(actor, record)


@only_sqlite
@pytest.mark.matrix(54)
def test_a_full_disk_refuses_new_actions_and_reading_goes_on(ana: Member, analyst: Client, emailsec: Any) -> None:
    """SQLite says the same whether the file system is full or its own limit of pages is reached."""
    records = delivered(emailsec, 40)
    waiting = rehearsed(ana, "move", records)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # pages that earlier tests have freed would be room on the disk
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count={cursor.fetchone()[0]}")
    try:
        with pytest.raises(REFUSED):
            fill(ana)
        with pytest.raises(REFUSED):
            click_all(ana, records)
        assert calls(emailsec) == 0
        assert analyst.get(reverse("investigate:message", args=[records[0].id])).status_code == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count=1073741823")
    waiting.refresh_from_db()
    assert waiting.state == JobState.REHEARSAL


@only_sqlite
@pytest.mark.matrix(51, 53)
@pytest.mark.parametrize("kind", ["move", "release"])
def test_an_answer_that_cannot_be_stored_at_once_is_stored_later(
    ana: Member, emailsec: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    job = running(ana, kind, (delivered if kind == "move" else held)(emailsec, 5))
    locks: list[Any] = []

    def lock() -> None:
        holder = locked()
        let_go = holder.__enter__()
        locks.append(holder)
        timer = threading.Timer(0.7, let_go)
        timer.start()
        locks.append(timer)

    with patience(100), during_the_call(emailsec, lock):
        # The call itself counts in the budget before it leaves; from then on nothing can be written for a while.
        engine.step(job.pk)
    locks[1].join()
    locks[0].__exit__(None, None, None)

    job = consistent(job, emailsec)
    assert (job.state, states(job)) == (JobState.DONE, {"done": 5})
    assert calls(emailsec) == 1


@only_postgres
@pytest.mark.matrix(52, 53)
@pytest.mark.parametrize("kind", ["move", "release"])
def test_an_answer_outlives_the_connection_it_was_to_be_stored_with(ana: Member, emailsec: Any, kind: str) -> None:
    job = running(ana, kind, (delivered if kind == "move" else held)(emailsec, 5))

    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        with psycopg.connect(**_of_psycopg(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))

    with during_the_call(emailsec, cut):
        engine.step(job.pk)

    job = consistent(job, emailsec)
    assert (job.state, states(job)) == (JobState.DONE, {"done": 5})
    assert calls(emailsec) == 1


def _of_psycopg() -> dict[str, Any]:
    known = connection.settings_dict
    return {"host": known["HOST"], "port": known["PORT"], "user": known["USER"], "dbname": known["NAME"]}


@only_sqlite
@pytest.mark.matrix(53)
def test_an_answer_that_can_never_be_stored_is_looked_up_after_the_claim(
    ana: Member, emailsec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "STORE_WAITS", (0.01,))
    job = running(ana, "release", held(emailsec, 5))
    holders: list[Any] = []

    def lock() -> None:
        holder = locked()
        holder.__enter__()
        holders.append(holder)

    def impatient(**_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout=50")

    connection_created.connect(impatient)
    try:
        with patience(50), during_the_call(emailsec, lock), pytest.raises(REFUSED):
            engine.step(job.pk)
    finally:
        connection_created.disconnect(impatient)
        holders[0].__exit__(None, None, None)
        connection.close()
    assert states(job) == {"sending": 5}

    claim_expires(job)
    action_sweep.sweep_actions()
    job = looks(job, emailsec, after=31)

    assert states(job) == {"done": 5}
    assert calls(emailsec) == 1
    assert not ActionItem.objects.filter(job=job, state="sending").exists()
