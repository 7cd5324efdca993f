"""Other copies of the same campaign.

The API cannot be asked for a fingerprint. So we look where we can: in the searches we remember, and in one search over
the sender's domain (or the subject's words) whose answers are compared by fingerprint here. What was looked at is said.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from enum import StrEnum
from functools import partial

import msgspec
from django.utils import timezone

from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.types import Disposition, Message, SearchPage, SlowSearch
from dashboard.upstream.connection import get_client
from dashboard.upstream.parallel import side_by_side
from dashboard.web.text import split_address
from investigate.message import store
from investigate.message.visible import trimmed, trimmed_row
from investigate.message.wording import is_clean, verdict_word
from investigate.search.criteria import MOST_BRANCHES
from investigate.search.memory import recent_runs
from investigate.search.merging import mark
from investigate.search.runs import rows_of

RUNS_ASKED = 40
DAYS_BEFORE, DAYS_AFTER = 3, 4  # campaigns are short: around the message, never beyond now
SEARCHED_ROWS = 500
LIFE = dt.timedelta(minutes=5)
MOST_SHOWN = 200
_WORD = re.compile(r"[^\W\d_]{4,40}")


class By(StrEnum):
    """What the search goes by."""

    SENDER = "sender"
    SUBJECT = "subject"


class Sibling(msgspec.Struct, frozen=True, kw_only=True):
    """Another message with the same fingerprint."""

    id: str
    subject: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    disposition: Disposition | None = None
    is_quarantined: bool = False
    where: str = ""
    scanned_at: dt.datetime | None = None
    same: str = "same fingerprint"

    @property
    def verdict(self) -> str:
        return verdict_word(self.disposition) if self.disposition else ""

    @property
    def others(self) -> int:
        """Recipients beside the first."""
        return max(0, len(self.recipients) - 1)


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and where it was looked for. `searched` is "" where no search could be made."""

    siblings: tuple[Sibling, ...] = ()
    remembered_messages: int = 0
    searched: str = ""
    searched_messages: int = 0
    start: dt.datetime | None = None  # the days that were searched
    end: dt.datetime | None = None
    is_complete: bool = True  # False: the search had more rows than were compared
    is_slow: bool = False  # the search would have taken long and was not waited for


def search_terms(message: Message, by: By) -> str:
    """What the upstream search would be for: the sender's domain, or the longest words of the subject."""
    if by is By.SENDER:
        return split_address(message.from_)[1] or split_address(message.envelope_from)[1]
    found = _WORD.findall((message.subject or "")[:500])
    return " ".join(sorted(dict.fromkeys(found), key=len, reverse=True)[:4])


def find(message: Message, by: By, scope: Scope = WHOLE) -> Campaign:
    """Siblings from memory and from one search of the last days. Raises the errors of a search.

    Within a scope only messages inside are compared and counted.
    """
    remembered, asked = _remembered(message, scope)
    searched = _searched(message, by, scope)
    merged = {sibling.id: sibling for sibling in (*remembered, *searched.siblings)}
    merged.pop(message.id, None)
    oldest = dt.datetime.min.replace(tzinfo=dt.UTC)
    ordered = sorted(merged.values(), key=lambda sibling: sibling.scanned_at or oldest, reverse=True)
    return msgspec.structs.replace(searched, siblings=tuple(ordered[:MOST_SHOWN]), remembered_messages=asked)


def _remembered(message: Message, scope: Scope) -> tuple[list[Sibling], int]:
    """From the pages of searches that anybody made lately; costs no call."""
    if not message.edf_hash:
        return [], 0
    found: dict[str, Sibling] = {}
    seen: set[str] = set()
    for run in recent_runs(RUNS_ASKED):
        for whole in rows_of(run):
            if not scope.sees(whole.mailboxes):
                continue
            row = trimmed_row(whole, scope)
            seen.add(row.id)
            if row.edf_hash == message.edf_hash and row.id not in found:
                found[row.id] = _sibling(row, row.scanned_at_time, "same fingerprint")
    return list(found.values()), len(seen)


def _searched(message: Message, by: By, scope: Scope) -> Campaign:
    terms = search_terms(message, by)
    if not terms or not (message.edf_hash or message.htmltext_structure_hash):
        return Campaign()
    part = f"campaign-{by}" if scope.is_whole else f"campaign-{by}-{mark(str(scope))}"
    before = store.kept_as(Campaign, message.id, part)
    if before is not None:
        return before
    now = timezone.now()
    end = min(now, (message.scanned_at or now) + dt.timedelta(days=DAYS_AFTER))
    query = SearchQuery(
        start=end - dt.timedelta(days=DAYS_BEFORE + DAYS_AFTER),
        end=end,
        detections_only=not is_clean(message),
        sender=terms if by is By.SENDER else None,
        subject=terms if by is By.SUBJECT else None,
    )
    pages = asked(query, scope)
    if any(isinstance(page, SlowSearch) for page in pages):
        return Campaign(searched=terms, is_slow=True)
    read = [page for page in pages if isinstance(page, SearchPage)]
    messages = {other.id: other for page in read for other in page.messages if scope.sees(other.mailboxes)}
    found = Campaign(
        siblings=tuple(_compared(message, (trimmed(other, scope) for other in messages.values()))),
        searched=terms,
        searched_messages=len(messages),
        start=query.start,
        end=query.end,
        is_complete=all(page.next_cursor is None for page in read) and len(scope.domains) <= MOST_BRANCHES,
    )
    store.keep_struct(message.id, part, found, LIFE)
    return found


def asked(query: SearchQuery, scope: Scope) -> list[SearchPage | SlowSearch]:
    """One search, or one for each domain of the scope; the first error is raised."""
    queries = [msgspec.structs.replace(query, recipient=domain) for domain in sorted(scope.domains)] or [query]
    search = partial(get_client().search, per_page=SEARCHED_ROWS)
    if len(queries) == 1:
        return [search(queries[0])]
    pages: list[SearchPage | SlowSearch] = []
    for answer in side_by_side([partial(search, each) for each in queries[:MOST_BRANCHES]]):
        if isinstance(answer, EmailSecurityError):
            raise answer
        pages.append(answer)
    return pages


def _compared(message: Message, others: Iterable[Message]) -> Iterable[Sibling]:
    for other in others:
        if other.id == message.id:
            continue
        if message.edf_hash and other.edf_hash == message.edf_hash:
            same = "same fingerprint"
        elif message.htmltext_structure_hash and other.htmltext_structure_hash == message.htmltext_structure_hash:
            same = "same layout"
        else:
            continue
        yield _sibling(other, other.scanned_at, same)


def _sibling(other: Message | MessageRow, scanned_at: dt.datetime | None, same: str) -> Sibling:
    return Sibling(
        id=other.id,
        subject=other.subject or "",
        sender=other.from_ or "",
        recipients=other.recipients,
        disposition=other.final_disposition,
        is_quarantined=other.is_quarantined,
        where=_where(other.is_quarantined, other.delivery_status),
        scanned_at=scanned_at,
        same=same,
    )


def _where(is_quarantined: bool, statuses: Iterable[str]) -> str:  # noqa: FBT001  the two facts of one message
    if is_quarantined:
        return "quarantined"
    return ", ".join(dict.fromkeys(str(status).replace("_", " ") for status in statuses))
