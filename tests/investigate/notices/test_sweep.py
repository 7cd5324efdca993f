"""What the sweep rings for, and the tasks behind the bells."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.celery import app as celery_app
from dashboard.upstream import places
from investigate.models import Notice, NoticeRule, NoticeState
from investigate.notices.sweep import sweep_notices
from investigate.tasks import sweep
from tests.investigate.notices.receivers import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
MAKE, SEND = "investigate.tasks.make_notice", "investigate.tasks.send_notice"


def named(bells: list[Any]) -> list[tuple[str, str]]:
    return [(task, argument) for task, argument, _ in bells]


def answer(bells: list[Any]) -> None:
    while bells:
        name, argument, _ = bells.pop(0)
        celery_app.tasks[name](argument)


def test_a_hit_becomes_a_notice_that_arrives(
    emailsec: Any, hook: NoticeRule, http: Receiver, found: Any, bells: list[Any]
) -> None:
    sweep()
    assert (MAKE, str(hook.pk)) not in named(bells)  # nothing is new

    bells.clear()
    found("edf:a")
    sweep_notices()
    sweep_notices()
    assert named(bells) == [(MAKE, str(hook.pk))] * 2
    answer(bells)
    sweep_notices()

    assert bells == []
    assert len(http.got) == 1
    assert Notice.objects.get().state == NoticeState.ARRIVED


def test_a_bell_that_was_lost_is_rung_again(hook: NoticeRule, http: Receiver, found: Any, bells: list[Any]) -> None:
    found("edf:a")
    celery_app.tasks[MAKE](str(hook.pk))
    bells.clear()

    sweep_notices()

    assert named(bells) == [(SEND, str(Notice.objects.get().pk))]


def test_slow_receivers_do_not_take_all_threads(
    hook: NoticeRule, http: Receiver, found: Any, bells: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found("edf:a")
    celery_app.tasks[MAKE](str(hook.pk))
    bells.clear()
    notice = str(Notice.objects.get().pk)
    few = places.Places(part_of_threads=0.0)
    monkeypatch.setattr(places, "NOTICES", few)

    with few.taken():
        celery_app.tasks[SEND](notice)
    assert (http.got, named(bells)) == ([], [(SEND, notice)])

    answer(bells)
    assert len(http.got) == 1


def test_receivers_that_are_slow_take_no_process_of_jobs() -> None:
    """A worker of "bulk" has two processes, each with a place of its own: two slow receivers would stop all jobs."""
    assert celery_app.amqp.router.route({}, SEND)["queue"].name == "polls"
    assert celery_app.amqp.router.route({}, "investigate.tasks.step_job")["queue"].name == "bulk"
