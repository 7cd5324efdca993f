"""The words around a list of results: chips, ranges, waits, what failed. Templates only place them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from markupsafe import Markup

from dashboard.access.decorators import MemberRequest
from dashboard.access.roles import Permission, allowed
from dashboard.web import times
from dashboard.web.errors import ErrorText, explain
from dashboard.web.text import visible
from investigate.models import SearchRun, SearchState
from investigate.search import arrivals, runs
from investigate.search.criteria import Criteria
from investigate.search.line import WRITTEN
from investigate.search.rendering import columns, render_rows
from investigate.search.results import Results, State, error_of
from investigate.search.rows import newest_of
from investigate.search.values import FIELDS
from investigate.search.window import PRESETS, Window, say_range, words_for

MOST_CHIP = 60
COLUMNS = {
    "verdict": "Verdict",
    "time": "Time",
    "from": "Sender",
    "subject": "Subject",
    "why": "Why",
    "to": "To",
    "where": "Where",
    "us": "Us",
}
"""The columns of the list in their usual order, with their headings."""


@dataclass(frozen=True)
class Link:
    """Words and the query string they lead to."""

    words: str
    query: str
    is_current: bool = False


def examples() -> list[Link]:
    """Searches that show a newcomer what the line can do."""
    return [
        Link("Held back today", Criteria(status=("quarantined",)).query()),
        Link("Malicious mail that was delivered, 7 days", _delivered_malicious().query()),
        Link("Spoofed senders and suspicious mail, 7 days", _doubtful().query()),
    ]


def _delivered_malicious() -> Criteria:
    return Criteria(disposition=("MALICIOUS",), status=("delivered",), last="7d")


def _doubtful() -> Criteria:
    return Criteria(disposition=("SUSPICIOUS", "SPOOF"), last="7d")


def chips(criteria: Criteria) -> list[Link]:
    """Each active filter, with the search without it."""
    found = []
    for name in FIELDS:
        value = getattr(criteria, name)
        several = (value,) if isinstance(value, str) else value
        found += [Link(_chip_words(name, one), criteria.without(name, one).query()) for one in several if one]
    if criteria.clean and "NONE" not in criteria.disposition:
        found.append(Link("clean mail included", criteria.with_clean(clean=False).query()))
    return found


def _chip_words(name: str, value: str) -> str:
    if name in ("disposition", "action"):
        value = "clean" if value == "NONE" else value.lower().replace("_", " ")
    label = "words" if name == "q" else WRITTEN[name]
    return f"{label}: {visible(value, limit=MOST_CHIP)}"


def presets(criteria: Criteria) -> list[Link]:
    return [Link(words_for(last), criteria.lasting(last).query(), criteria.last == last) for last in PRESETS]


def range_words(criteria: Criteria, window: Window) -> str:
    """ "last 24 h = 20 Nov 01:20 to 21 Nov 01:20 UTC (20 Nov 02:20 to 21 Nov 02:20 in Berlin)"."""
    exact = f"{say_range(window, dt.UTC)} UTC"
    zone = times.member_zone.get()
    if window.end.astimezone(zone).utcoffset() or window.start.astimezone(zone).utcoffset():
        place = str(zone).rpartition("/")[2].replace("_", " ")
        exact += f" ({say_range(window, zone)} in {place})"
    return f"{words_for(criteria.last)} = {exact}" if criteria.last else exact


@dataclass(frozen=True)
class Shown:
    """Everything a template needs to show one page of results."""

    criteria: Criteria
    results: Results
    rows: Markup
    newest: str  # time of the newest row, for arrivals
    waiting: Sequence[str] = ()  # names of others who wait for this slow search
    has_ticks: bool = False  # whether rows can be selected, to act on many at once
    own: tuple[str, ...] = ()  # the columns of the saved view that is open, where it has its own

    @property
    def state(self) -> str:
        return self.results.state.value

    @cached_property
    def query(self) -> str:
        return self.criteria.query()

    @cached_property
    def chips(self) -> list[Link]:
        return chips(self.criteria)

    @cached_property
    def ignored(self) -> list[str]:
        return [visible(text, limit=MOST_CHIP) for text in self.criteria.ignored]

    @cached_property
    def presets(self) -> list[Link]:
        return presets(self.criteria)

    @cached_property
    def range(self) -> str:
        return range_words(self.criteria, self.results.window)

    @cached_property
    def exact_query(self) -> str:
        return replace(self.criteria.within(self.results.window), view="").query()

    @cached_property
    def clean_query(self) -> str:
        return self.criteria.with_clean(clean=not self.criteria.clean).query()

    @cached_property
    def retry_query(self) -> str:
        return self.criteria.query(fresh="1")

    @cached_property
    def more_query(self) -> str:
        return self.criteria.query(more=self.results.more)

    # --- the selection ---

    @property
    def columns(self) -> int:
        return columns(has_ticks=self.has_ticks, own=self.own)

    @property
    def heads(self) -> list[tuple[str, str]]:
        """(column, its heading) of a list with its own columns."""
        return [(name, COLUMNS[name]) for name in self.own]

    @cached_property
    def takes(self) -> str:
        """What a job of "everything this search finds" takes, exactly."""
        what = "what this search finds"
        if not self.criteria.has_filters:
            what = "all mail" if self.criteria.clean else "every detection"
        return f"{what} from {say_range(self.results.window, dt.UTC)} UTC"

    # --- counts and ages ---

    @cached_property
    def count(self) -> str:
        """ "first 100 shown, more below": there are no totals."""
        shown = f"{self.results.shown:,}".replace(",", "\u202f")
        if self.results.more:
            return f"first {shown} shown, more below"
        return f"{shown} shown, that is all"

    # --- a slow search ---

    @cached_property
    def poll_query(self) -> str:
        more = {"more": self.results.more} if self.results.more else {}
        pairs = [*self.criteria.pairs(), *more.items(), *(("run", str(run.pk)) for run in self.results.runs)]
        return urlencode(pairs)

    @cached_property
    def poll_seconds(self) -> int:
        return min(runs.next_look(run, timezone.now()) for run in self.results.open_runs)

    @cached_property
    def searched(self) -> str:
        """ "30 days of all mail"."""
        window = self.results.window
        seconds = (window.end - window.start).total_seconds()
        length = f"{round(seconds / 86_400)} days" if seconds > 2 * 86_400 else f"{max(1, round(seconds / 3600))} h"
        return f"{length} of {'all mail' if self.criteria.clean else 'detections'}"

    @cached_property
    def parts(self) -> str:
        """ "2 of 3 parts are here" where several searches make one list."""
        total = len(self.results.runs)
        return f"{total - len(self.results.open_runs)} of {total} parts are here." if total > 1 else ""

    # --- what could not be read ---

    @cached_property
    def unread(self) -> list[tuple[str, ErrorText]]:
        return [(visible(part.name, limit=MOST_CHIP), explain_run(part.run)) for part in self.results.unread]

    @cached_property
    def explained(self) -> ErrorText | None:
        return explain_run(self.results.failure) if self.results.failure else None

    @cached_property
    def cancelled(self) -> str:
        """What became of a search somebody stopped waiting for."""
        if stopped := next((run for run in self.results.runs if run.state == SearchState.CANCELLED), None):
            by = f" by {visible(stopped.error_text)}" if stopped.error_text else ""
            return f"This search was cancelled{by}. Nothing was read."
        if not self.results.open_runs:
            return "You stopped watching this search."
        names = [visible(name, limit=MOST_CHIP) for name in self.waiting]
        if not names:
            return "You stopped watching this search; it still runs."
        verb = "waits" if len(names) == 1 else "wait"
        return f"You stopped watching this search; {' and '.join(names)} still {verb} for it."

    @cached_property
    def again_query(self) -> str:
        """A new search after a cancelled one; the one that still runs for others is joined."""
        return self.query if self.results.open_runs else self.retry_query

    # --- nothing found ---

    @cached_property
    def half_addresses(self) -> list[tuple[str, Link]]:
        """(sentence, the search for the words instead) for a name where the API wants an address or a domain."""
        found = []
        for name, word in (("sender", "from:"), ("recipient", "to:")):
            for value in getattr(self.criteria, name):
                if "@" not in value:
                    instead = replace(self.criteria.without(name, value), q=f"{self.criteria.q} {value}".strip())
                    shown = visible(value, limit=MOST_CHIP)
                    sentence = f"{word} takes a whole address or a domain; {shown} was taken for a domain."
                    found.append((sentence, Link(f"Search for the words {shown}", instead.query())))
        return found

    # --- arrivals ---

    @cached_property
    def arrivals_url(self) -> str:
        if self.state not in (State.ROWS, State.EMPTY) or not arrivals.can_grow(self.criteria):
            return ""
        since = self.newest or self.results.window.start.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        return f"{reverse('investigate:arrivals')}?{self.criteria.query(since=since)}"


def explain_run(run: SearchRun) -> ErrorText:
    """What to tell a person about a search that failed."""
    error = error_of(run)
    if error is not None:
        return explain(error)
    waited = times.age(run.started_at, now=run.answered_at)
    return ErrorText(
        title="The search did not finish.",
        sentence=f"It was given up after {waited}.",
        advice="Try again, or narrow it: a shorter range, only detections, a sender or a recipient.",
        status=504,
    )


def shown(
    request: MemberRequest,
    criteria: Criteria,
    results: Results,
    *,
    open_id: str = "",
    waiting: Sequence[str] = (),
    own: tuple[str, ...] = (),
) -> Shown:
    """Results ready for the template; renders the rows."""
    has_ticks = allowed(request.user, Permission.JOB_RUN)
    rows = Markup()
    if results.rows:
        rows = render_rows(results.rows, request, open_id=open_id, last=results.last, has_ticks=has_ticks, own=own)
    return Shown(criteria, results, rows, newest_of(results.rows[:5]), waiting, has_ticks, own)
