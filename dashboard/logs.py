"""Logging: one constant event with its fields on one line of JSON; never mail content, never a credential."""

from __future__ import annotations

import logging
import logging.config
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

QUIET = {
    "httpx": "WARNING",
    "httpcore": "WARNING",
    "PIL": "WARNING",
    "kombu": "WARNING",
    "amqp": "WARNING",
    "celery.worker.strategy": "WARNING",
    "celery.app.trace": "WARNING",
    "celery.beat": "WARNING",
}

CALL_FIELDS = ["method", "path", "status", "ray_id", "ms"]  # what the API client says of each call


def name_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which exceptions were raised and where, without their texts: those quote what was being worked on.

    A failed decoding or template look-up carries a piece of a mail, a refused connection the address with its password.
    """
    info = event.pop("exc_info", None)
    if isinstance(info, BaseException):
        error: BaseException | None = info
    elif isinstance(info, tuple):
        error = info[1]
    else:
        error = sys.exc_info()[1] if info else None
    chain = []
    while error is not None and len(chain) < 5:
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        chain.append({"class": type(error).__name__, "frames": frames[-12:]})
        error = error.__cause__ or error.__context__
    if chain:
        event["exceptions"] = chain
    return event


def name_failed_task(record: logging.LogRecord) -> bool:
    """Celery puts the text of a task's exception into its message; here its class stands in for it."""
    if isinstance(record.args, Mapping) and "exc" in record.args:
        raised = record.exc_info[0] if record.exc_info else None
        record.args = {**record.args, "exc": raised.__name__ if raised else "an exception"}
    return True


def configure_logging(*, level: str, pretty: bool) -> None:
    """Send structlog's events and the libraries' records through one formatter.

    Control characters in values are escaped by the JSON renderer, so one event stays one line whatever a mail puts in.
    """
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    # Of a library's own fields only these: others may hold a whole request.
                    "foreign_pre_chain": [*shared, structlog.stdlib.ExtraAdder(allow=CALL_FIELDS)],
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        name_exception,
                        renderer,
                    ],
                }
            },
            "filters": {"failed task": {"()": lambda: name_failed_task}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["failed task"]}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {name: {"level": quiet} for name, quiet in QUIET.items()},
        }
    )
