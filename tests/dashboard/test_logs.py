"""Logs: one line an event, and nothing a mail or a credential holds."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import structlog
from celery import Celery
from celery.app.trace import build_tracer

from dashboard.logs import configure_logging

SECRET = "subject-of-a-mail"


@pytest.fixture
def lines() -> Any:
    configure_logging(level="INFO", pretty=False)
    out = io.StringIO()
    handler = logging.getLogger().handlers[0]
    before = handler.setStream(out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    handler.setStream(before)
    configure_logging(level="WARNING", pretty=False)


def failing() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(f"cannot decode {SECRET}") from error


def test_an_exception_is_named_without_its_text(lines: Any) -> None:
    for logger in (logging.getLogger("django.request"), structlog.get_logger("mailwarden.web")):
        try:
            failing()
        except ValueError:
            logger.exception("request_failed")

    for line in lines():
        assert [error["class"] for error in line["exceptions"]] == ["ValueError", "KeyError"]
        assert any("failing" in frame for frame in line["exceptions"][0]["frames"])
        assert SECRET not in json.dumps(line)
    assert len(lines()) == 2


def test_control_characters_cannot_begin_a_new_line(lines: Any) -> None:
    structlog.get_logger("mailwarden.web").info("seen", value='a\r\n{"event":"forged"}\x1b[31m')

    (line,) = lines()
    assert line["event"] == "seen"


def test_a_task_that_fails_is_named_without_the_text_of_its_exception(lines: Any) -> None:
    with Celery("a worker", set_as_current=False) as worker:
        task = worker.task(failing, name="investigate.tasks.failing")
        build_tracer(task.name, task, app=worker)("of-no-request", (), {})

    (line,) = lines()
    assert line["event"] == "Task investigate.tasks.failing[None] raised unexpected: ValueError"
    assert SECRET not in json.dumps(line)
