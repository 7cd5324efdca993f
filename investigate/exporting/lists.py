"""A result list as rows of a file: all pages of a search up to a limit, its range pinned, read like anybody's pages.

Pages are runs like those of the search page, so that a second try goes on where the first one stopped, and a colleague
who takes the same file asks Cloudflare nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from dashboard.access.scope import Scope
from dashboard.emailsec.rows import MessageRow
from dashboard.installation.values import setting
from dashboard.web.text import split_address
from investigate.exporting.tables import MOST_ROWS, Table, written_time
from investigate.message.explain import domains_of, without_quotes
from investigate.models import SearchRun, SearchState
from investigate.search import results, runs
from investigate.search.criteria import Criteria
from investigate.search.results import Results, State
from investigate.search.rows import where
from investigate.search.scoping import asked_for
from investigate.search.window import Window

AT_ONCE = 1000  # the most the API gives in one answer
READ_SECONDS = 10.0  # one request reads for; what is missing then is read by the next
COLUMNS = (
    "investigate_id", "scanned_at", "disposition", "quarantined", "where", "sender", "sender_name", "sender_domain",
    "envelope_from", "reply_to", "subject", "recipients", "delivery_status", "reasons", "categories", "spf", "dkim",
    "dmarc", "message_id", "postfix_id", "alert_id", "fingerprint",
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How far a list was read. `is_whole` is false while there is more to read before the limit."""

    window: Window
    rows: Sequence[MessageRow] = ()
    is_whole: bool = False
    is_cut: bool = False
    waits_for: Sequence[SearchRun] = ()  # searches Cloudflare has not answered yet
    failed: SearchRun | None = None
    is_cancelled: bool = False
    has_changed: bool = False


def read(criteria: Criteria, scope: Scope) -> Reading:
    """The rows of the search, up to MOST_ROWS. Failures of the API are states of it. Raises TooManyBranches."""
    asked, now = asked_for(criteria, scope), timezone.now()
    window = criteria.window(now)
    if asked is None:
        return Reading(window, is_whole=True)
    if (shown := _as_shown(asked, window, scope)) is not None:
        return Reading(shown.window, shown.rows, is_whole=True, has_changed=shown.has_changed)
    until = time.monotonic() + READ_SECONDS
    pages = [runs.page_after(parameters, window, "", per_page=AT_ONCE) for parameters in asked.branches()]
    page = results.first_page(asked, runs.obtain_all(pages), scope=scope, per_page=AT_ONCE)
    rows, has_changed = list(page.rows), page.has_changed
    while _is_read(page) and page.more and len(rows) < MOST_ROWS and time.monotonic() < until:
        page = results.more(criteria, page.more, scope=scope, per_page=AT_ONCE)
        rows += page.rows
        has_changed |= page.has_changed
    if not _is_read(page):
        return Reading(
            window,
            rows,
            waits_for=page.open_runs,
            failed=page.failure,
            is_cancelled=page.state == State.CANCELLED,
            has_changed=has_changed,
        )
    is_cut = len(rows) > MOST_ROWS or bool(page.more and len(rows) >= MOST_ROWS)
    return Reading(window, rows[:MOST_ROWS], is_whole=is_cut or not page.more, is_cut=is_cut, has_changed=has_changed)


def _is_read(page: Results) -> bool:
    """Whether all branches of the page were answered: a file must not lack one without saying so."""
    return page.state in (State.ROWS, State.EMPTY) and not page.unread


def _as_shown(criteria: Criteria, window: Window, scope: Scope) -> Results | None:
    """The list as people have it on their screens, where one page holds all of it: then no call is made at all."""
    if criteria.last:
        now = timezone.now()
        newest = [runs.latest_answer(page) for page in runs.first_pages(criteria, now, per_page=results.PER_PAGE)]
        known = [run for run in newest if run is not None and runs.is_fresh(run, now)]
    else:
        known = _read_before(criteria, window)
    if len(known) < criteria.branch_count:
        return None
    page = results.first_page(criteria, known, scope=scope, per_page=results.PER_PAGE)
    return None if page.more else page


def _read_before(criteria: Criteria, window: Window) -> list[SearchRun]:
    """The first pages somebody read of exactly this range."""
    pages = runs.known_runs().filter(start=window.start, end=window.end, cursor="", state=SearchState.DONE)
    kept = list(pages.filter(per_page=results.PER_PAGE).order_by("-started_at"))
    found = (next((run for run in kept if run.parameters == branch), None) for branch in criteria.branches())
    return [run for run in found if run is not None]


def table_of(reading: Reading, criteria: Criteria) -> Table:
    """The rows as a file has them, with what was asked and for which range."""
    pinned = criteria.within(reading.window)
    return Table(
        name="messages",
        columns=COLUMNS,
        rows=[cells(row) for row in reading.rows],
        about={
            "from": written_time(reading.window.start),
            "to": written_time(reading.window.end),
            "criteria": [{"name": name, "value": value} for name, value in pinned.pairs()],
            "list_changed_while_read": reading.has_changed,
        },
        is_cut=reading.is_cut,
    )


def cells(row: MessageRow) -> list[object]:
    """One message; in privacy mode its reasons without what they may quote of a body, as in the list."""
    reasons: Sequence[str] = row.detection_reasons
    if setting("PRIVACY"):
        senders = domains_of(row.from_, row.envelope_from)
        reasons = [without_quotes(reason, senders) for reason in reasons]
    checks = row.validation
    return [
        row.id, row.scanned_at_time, row.final_disposition or "", row.is_quarantined, where(row), row.from_,
        row.from_name, split_address(row.from_)[1], row.envelope_from, row.replyto, row.subject,
        list(row.mailboxes), [str(status) for status in row.delivery_status], list(reasons),
        list(row.threat_categories), checks.spf or "", checks.dkim or "", checks.dmarc or "", row.message_id,
        row.postfix_id, row.alert_id, row.edf_hash,
    ]  # fmt: skip
