"""A look at the search before a job is made of it: its first thousand messages, counted; ten of them to look at."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.emailsec.requests import MOST_PER_PAGE
from dashboard.emailsec.rows import MessageRow
from dashboard.installation.values import setting
from investigate.models import SearchRun
from investigate.search import runs
from investigate.search.criteria import Criteria
from investigate.search.rows import where
from investigate.search.window import Window

MOST_SHOWN = 10
MOST_WORDS = 12  # kinds of places; a message whose copies are in many makes one of its own


@dataclass(frozen=True)
class Sample:
    """What one call found. `is_more`: the search goes on below, and how far is not known."""

    at: dt.datetime | None
    messages: int
    copies: int
    is_more: bool
    by_verdict: Sequence[tuple[str, int]]
    by_place: Sequence[tuple[str, int]]
    shown: Sequence[MessageRow]

    @property
    def is_large(self) -> bool:
        return is_large(self.stored())

    def stored(self) -> dict[str, Any]:
        """What is kept with the job: figures only."""
        return {
            "at": self.at.isoformat() if self.at else "",
            "messages": self.messages,
            "copies": self.copies,
            "is_more": self.is_more,
            "verdicts": dict(self.by_verdict),
        }


def is_large(counted: Mapping[str, Any]) -> bool:
    """Whether what was counted is more than one person decides alone; what goes on uncounted is."""
    return bool(counted.get("is_more", True)) or counted.get("messages", 0) > setting("LARGE_JOB")


def look(criteria: Criteria, *, is_forced: bool = False) -> SearchRun:
    """The run that counts this search; it may be slow or have failed, like any other."""
    (parameters,) = criteria.branches()
    if criteria.start is None or criteria.end is None:
        raise ValueError("what is counted has an exact range")
    window = Window(criteria.start, criteria.end)
    return runs.obtain(runs.page_after(parameters, window, "", per_page=MOST_PER_PAGE), is_forced=is_forced)


def count(run: SearchRun, criteria: Criteria, *, is_exact: bool) -> Sample:
    """The figures of a finished run."""
    rows = [row for row in runs.rows_of(run) if not is_exact or row.subject == criteria.subject]
    verdicts = Counter((row.final_disposition or "UNKNOWN") for row in rows)
    places = Counter(where(row) or "not known" for row in rows)
    step = max(1, len(rows) // MOST_SHOWN)
    return Sample(
        at=run.answered_at,
        messages=len(rows),
        copies=sum(len(row.wire_client_recipients or ()) or 1 for row in rows),
        is_more=bool(run.next_cursor),
        by_verdict=[(str(verdict), number) for verdict, number in verdicts.most_common()],
        by_place=_first(places),
        shown=rows[::step][:MOST_SHOWN],
    )


def _first(places: Counter[str]) -> list[tuple[str, int]]:
    common = places.most_common(MOST_WORDS)
    rest = places.total() - sum(number for _, number in common)
    return [*common, ("elsewhere", rest)] if rest else common
