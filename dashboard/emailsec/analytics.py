"""Figures the service counts itself."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from dashboard.emailsec.core import Endpoint
from dashboard.emailsec.decoding import Malformed, read
from dashboard.emailsec.groups import USUAL_BUDGET, Group
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import DispositionTotal, MonthTotals

MONTHLY = Endpoint("GET", "/analytics/monthly_report", writes=False, feature="monthly_report", collection=True)
_MONTH = re.compile(r"[1-9][0-9]{3}-(?:0[1-9]|1[0-2])")


class AnalyticsGroup(Group):
    def monthly_report(
        self, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.BACKGROUND
    ) -> tuple[MonthTotals, ...]:
        """All mail of the last months by disposition, oldest first. Raises NotOnThisServer where it does not exist."""
        reply = self._api.send(MONTHLY, budget=budget, priority=priority)
        return self._api.result(reply, _months)


def _months(raw: Any) -> tuple[MonthTotals, ...]:
    by_month = raw.get("by_month") if isinstance(raw, dict) else None
    if not isinstance(by_month, dict):
        raise msgspec.ValidationError("expected an object of months")
    named = {str(name): rows for name, rows in by_month.items() if _MONTH.fullmatch(str(name))}
    return tuple(MonthTotals(month=name, totals=_totals(named[name])) for name in sorted(named))


def _totals(rows: Any) -> tuple[DispositionTotal, ...]:
    """What can be read of a month: these are figures for a picture, and no decision hangs on one of them."""
    found = []
    for row in rows if isinstance(rows, list) else []:
        try:
            found.append(read(row, DispositionTotal))
        except Malformed:
            continue
    return tuple(total for total in found if total.total >= 0)
