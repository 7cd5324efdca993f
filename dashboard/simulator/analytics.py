"""Figures per month."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

from dashboard.simulator.wire import Reply
from dashboard.simulator.world import World

# A month's mail by disposition, in parts of a thousand, for the months before the mail in the store begins.
_TYPICAL = {"MALICIOUS": 40, "SUSPICIOUS": 40, "SPOOF": 30, "SPAM": 100, "BULK": 60, "NONE": 730}


def monthly_report(world: World, now: float) -> Reply:
    """Totals by disposition over twelve months: the last ones counted, the earlier ones from the account's past."""
    month = datetime.fromtimestamp(now, UTC).replace(day=1)
    names = []
    for _ in range(12):
        names.append(f"{month:%Y-%m}")
        year, number = (month.year, month.month - 1) if month.month > 1 else (month.year - 1, 12)
        month = month.replace(year=year, month=number)
    counted: dict[str, Counter[str]] = {}
    for record in world.store.records:
        at = datetime.fromtimestamp(record.scanned_at, UTC)
        counted.setdefault(f"{at:%Y-%m}", Counter())[record.final_disposition] += 1
    scale = len(world.store.records) / 1000
    by_month = {}
    for name in reversed(names):
        totals = counted.get(name)
        if totals is None:
            draw = random.Random(f"{world.seed}-{name}")
            totals = Counter({key: int(value * scale * draw.uniform(0.8, 1.25)) for key, value in _TYPICAL.items()})
        by_month[name] = [{"disposition": key, "total": total} for key, total in sorted(totals.items())]
    return Reply({"by_month": by_month})
