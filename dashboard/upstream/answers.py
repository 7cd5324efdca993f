"""What was answered is told only once: it is stored also where the database is away for a moment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError, connection

from dashboard.audit.recorder import AuditNotWritten

log = structlog.get_logger("mailwarden.answers")

STORE_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between tries; together well within what is left of a claim


def store_surely(store: Callable[[], object], *, until: float = math.inf) -> None:
    """Store an answer; try again as long as that takes, or until that moment of `time.monotonic`.

    In the end the row stays `sending`, and is looked up once its claim has expired.
    """
    for wait in STORE_WAITS:
        try:
            store()
        except (InterfaceError, OperationalError, AuditNotWritten) as problem:
            if connection.in_atomic_block:
                raise
            log.warning("answer_not_stored_yet", error=type(problem).__name__)
            connection.close()
            if time.monotonic() + wait > until:
                break
            time.sleep(wait)
        else:
            return
    store()
