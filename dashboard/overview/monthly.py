"""The service's own count of all mail, month by month: read by the worker, kept for everybody who looks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dashboard.emailsec.errors import NotOnThisServer
from dashboard.emailsec.transport import Priority
from dashboard.overview import sharing
from dashboard.upstream.connection import get_client
from dashboard.upstream.ring import ring

TASK = "dashboard.overview.tasks.read_monthly_report"
EVERY = dt.timedelta(hours=1)
AGAIN = dt.timedelta(minutes=15)  # after a call that brought nothing
CALL_SECONDS = 10.0


def key() -> str:
    return sharing.key_for("monthly")


def report() -> sharing.Shared:
    """What was read last; no months where the account has no such report."""
    return sharing.stored(key())


def ring_if_due() -> None:
    """Have a worker read the report, where the last reading is an hour old."""
    if sharing.is_due(key(), fresh=EVERY, claim=AGAIN):
        ring(TASK, "")


def read() -> None:
    """Read it, if it is due and nobody else does: one call."""
    sharing.counted(key(), _ask, fresh=EVERY, claim=AGAIN)


def _ask() -> dict[str, Any]:
    try:
        months = get_client().monthly_report(budget=CALL_SECONDS, priority=Priority.BACKGROUND)
    except NotOnThisServer:
        months = ()
    return {
        "months": [
            {"month": one.month, "totals": {str(total.disposition): total.total for total in one.totals}}
            for one in months
        ]
    }
