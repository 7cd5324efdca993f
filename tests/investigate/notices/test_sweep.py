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

pytestmark = pytest.mark.django_db
MAKE, SEND = "investigate.tasks.make_notice", "investigate.tasks.send_notice"


@pytest.fixture(autouse=True)
def bells(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Bells that were rung, instead of a broker: (task, argument)."""
    rung: list[tuple[str, str]] = []
    monkeypatch.setattr(celery_app, "send_task", lambda name, args, **_: rung.append((name, args[0])))
    return rung


def answer(bells: list[tuple[str, str]]) -> None:
    while bells:
        name, argument = bells.pop(0)
        celery_app.tasks[name](argument)


def test_a_hit_becomes_a_notice_that_arrives(
    emailsec: Any, hook: NoticeRule, http: Receiver, found: Any, bells: list[tuple[str, str]]
) -> None:
    sweep()
    assert (MAKE, str(hook.pk)) not in bells  # nothing is new

    bells.clear()
    found("edf:a")
    sweep_notices()
    sweep_notices()
    assert bells == [(MAKE, str(hook.pk))] * 2
    answer(bells)
    sweep_notices()

    assert bells == []
    assert len(http.got) == 1
    assert Notice.objects.get().state == NoticeState.ARRIVED


def test_a_bell_that_was_lost_is_rung_again(
    hook: NoticeRule, http: Receiver, found: Any, bells: list[tuple[str, str]]
) -> None:
    found("edf:a")
    celery_app.tasks[MAKE](str(hook.pk))
    bells.clear()

    sweep_notices()

    assert bells == [(SEND, str(Notice.objects.get().pk))]


def test_slow_receivers_do_not_take_all_threads(
    hook: NoticeRule, http: Receiver, found: Any, bells: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found("edf:a")
    celery_app.tasks[MAKE](str(hook.pk))
    bells.clear()
    notice = str(Notice.objects.get().pk)
    few = places.Places(part_of_threads=0.0)
    monkeypatch.setattr(places, "NOTICES", few)

    with few.taken():
        celery_app.tasks[SEND](notice)
    assert (http.got, bells) == ([], [(SEND, notice)])

    answer(bells)
    assert len(http.got) == 1
