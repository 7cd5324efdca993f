"""Find the messages a pasted text names: term by term, some side by side, each in the cheapest way that is certain.

Where a step ends is stored with what it found: the next term, and the look-ups that have pages left, or whose search is
slow (202) and answers later. No step waits for one of those; others are looked up meanwhile.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from django.conf import settings
from django.utils import timezone

from dashboard.access.scope import Scope
from dashboard.emailsec import errors
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.rows import MessageRow, decode_rows
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Message, SlowSearch
from dashboard.installation.values import setting
from dashboard.upstream.connection import get_client
from dashboard.upstream.parallel import side_by_side
from investigate.bulk.collecting import steps
from investigate.bulk.collecting.pausing import forget_failure, pause
from investigate.bulk.facts import items_of
from investigate.bulk.recognising import TermKind, is_domain
from investigate.models import ActionItem, BulkJob, JobInput
from investigate.search.memory import RUNS_ASKED, recent_runs
from investigate.search.merging import LONGEST_CURSOR
from investigate.search.runs import rows_of
from investigate.search.window import Window, read_moment

STEP_SECONDS = 5.0  # afterwards what was found is stored, and shown
CALL_SECONDS = 8.0
SIDE_BY_SIDE = 4
MOST_SLOW = 24  # searches that answer later; beyond it no new one is begun
PER_PAGE = 500
MOST_HELD = 2_000  # messages of one step
MOST_TRIES = 5  # of one look-up that is not answered while others are
LOOKED_AHEAD = 500  # terms compared with what is known already
FRESH = dt.timedelta(seconds=60)  # rows of a search as old as that are believed
SOONEST, LATEST = 1.0, 10.0  # seconds between two polls of a slow search
LONGEST_SEARCH = 400  # pages of one term; by then a job is full in any case
# Kinds of what stands beside the terms, to be told with what was not found.
UNREAD_LINE = "line"  # of the text, and names nothing
UNREAD_REST = "rest"  # of the text, beyond the most a job takes

Found = Message | MessageRow
LOOKED_UP = "{done:,} of {total:,} looked up."
NOT_IN_RANGE = "No message in the range."
WHY_NOTHING = {
    TermKind.INVESTIGATE_ID: "Cloudflare knows no message with this id.",
    TermKind.POSTFIX_ID: "Cloudflare knows no message with this id; by a postfix id it finds few.",
    TermKind.ALERT_ID: "No message in the range has this alert id.",
    TermKind.MESSAGE_ID: "No message in the range has this Message-ID.",
    TermKind.HASH: "No message in the range has an attachment with this hash.",
    TermKind.ADDRESS: "No message in the range is from or to this address.",
    TermKind.DOMAIN: "No message in the range is from, to or linking to this domain.",
    UNREAD_LINE: "This line names nothing that can be looked up.",
    UNREAD_REST: "Not read: a job looks up no more than the terms before.",
}
OTHERS_ANSWERED = "Cloudflare answered with other messages than asked for; they were left out."
NO_ANSWER = "Not looked up: Cloudflare gave no answer."
NOT_IN_TIME = "Not looked up: the search did not end in time."
REFUSED = "Not looked up: Cloudflare refused to search for it."
NO_END = "Its list did not end properly; there may be more messages than were found."


class Way(NamedTuple):
    """One way to look a term up."""

    by: str  # the search's parameter; or "get", "get_reported" for a message by its id
    value: str
    is_last_resort: bool = False  # taken only where the ways before it found nothing
    domain: str = ""  # of recipients, where the job is limited to some: then each of them is asked for by itself


@dataclass
class Lookup:
    """A term on its way, as it is kept between two steps."""

    at: int  # place of the term among the job's
    way: int = 0
    cursor: str = ""
    last: str = ""  # time of the last message so far: lists go back in time
    pages: int = 0
    location: str = ""  # where a slow search will be answered
    since: float = 0.0  # when that search was begun, epoch seconds
    due: float = 0.0
    tries: int = 0
    failed_at: int = -1  # how many answers the job had when this one failed first
    restarts: int = 0
    hits: int = 0
    strangers: int = 0  # messages in the answers that the term does not name
    why: str = ""


def find_step(job: BulkJob) -> None:
    """Look up terms for some seconds and store what was found; the last step ends collecting."""
    step = _Step(job)
    give_up = time.monotonic() + STEP_SECONDS
    while time.monotonic() < give_up and not step.is_full and step.problem is None:
        batch = step.next_batch()
        if not batch:
            break
        answers = side_by_side([partial(_ask, step.window, step.way_of(lookup), lookup) for lookup in batch])
        step.take(list(zip(batch, answers, strict=True)))
    step.store()


def ways_of(kind: str, text: str) -> list[Way]:
    """How to look a term up, the cheapest first. A term without angle brackets may be a Message-ID or an address."""
    bare = text.strip("<>")
    by_message_id = [Way("message_id", f"<{bare}>"), Way("message_id", bare, is_last_resort=True)]
    by_address = [Way("sender", bare), Way("recipient", bare)]
    match kind:
        case TermKind.INVESTIGATE_ID:
            return [Way("get", text), Way("get_reported", text, is_last_resort=True)]
        case TermKind.POSTFIX_ID:
            return [Way("get", text), Way("postfix_id", text, is_last_resort=True)]
        case TermKind.ALERT_ID:
            return [Way("alert_id", text)]
        case TermKind.MESSAGE_ID if text == bare and is_domain(bare.rpartition("@")[2]):
            return [*by_message_id, *(way._replace(is_last_resort=True) for way in by_address)]
        case TermKind.MESSAGE_ID:
            return by_message_id
        case TermKind.ADDRESS:
            return [*by_address, by_message_id[0]._replace(is_last_resort=True)]
        case TermKind.HASH:
            return [Way("hash", text)]
        case TermKind.DOMAIN:
            return [Way("domain", text)]
    return []


def ways_within(kind: str, text: str, scope: Scope) -> list[Way]:
    """The same within a scope: by what is asked, nothing tells whether a message exists outside."""
    found: list[Way] = []
    for way in ways_of(kind, text):
        if scope.is_whole or way.by in ("get", "get_reported"):
            found.append(way)
        elif way.by == "recipient":
            found += [way] if scope.covers(way.value) else []
        else:
            found += [way._replace(domain=domain) for domain in sorted(scope.domains)]
    return found


def _ask(window: Window, way: Way, lookup: Lookup) -> tuple[tuple[Found, ...], str] | SlowSearch:
    """One call: the messages and the next cursor, or word that the answer comes later."""
    client, timing = get_client(), {"budget": CALL_SECONDS, "priority": Priority.BACKGROUND}
    if way.by in ("get", "get_reported"):
        try:
            return (client.message(way.value, submission=way.by == "get_reported", **timing),), ""
        except (errors.NotFound, errors.Rejected):  # an id that cannot be one is refused by some servers
            return (), ""
    if lookup.location:
        page = client.poll_search_raw(lookup.location, **timing)
    else:
        # Whatever the API's free search looks into, what it finds is compared with the term afterwards.
        name = "query" if way.by in ("hash", "postfix_id") else way.by
        asked = {name: way.value} | ({"recipient": way.domain} if way.domain else {})
        query = SearchQuery(start=window.start, end=window.end, detections_only=False, **asked)
        page = client.search_raw(query, cursor=lookup.cursor or None, per_page=PER_PAGE, **timing)
    return page if isinstance(page, SlowSearch) else decode_rows(page.body)


def names(way: Way, message: Found) -> bool:
    """Whether the term really names this message: a filter that a server does not know finds everything."""
    value = way.value.lower()
    match way.by:
        case "get" | "get_reported":
            return way.value in (message.id, message.postfix_id)
        case "postfix_id":
            return way.value in (message.postfix_id, getattr(message, "postfix_id_outbound", None))
        case "alert_id":
            return message.alert_id == way.value
        case "message_id":
            return _bare(message.message_id) == _bare(way.value)
        case "sender":
            return value in _lower(message.from_, message.envelope_from)
        case "recipient":
            return value in _lower(*message.recipients, *_further_recipients(message))
    return True  # hashes and links are not in the answer


def _bare(message_id: str | None) -> str:
    return "".join((message_id or "").split()).strip("<>")


def _lower(*addresses: str | None) -> set[str]:
    return {address.strip("<> ").lower() for address in addresses if address}


def _further_recipients(message: Found) -> tuple[str, ...]:
    if isinstance(message, MessageRow):
        return (*(message.wire_envelope_to or ()), *(message.wire_client_recipients or ()))
    return (*message.envelope_to, *message.client_recipients)


class _Step:
    """One step: where the job stands, what this step found, and what is to be stored of it."""

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self.scope = Scope(frozenset(job.scope))
        self.window = _window_of(job)
        self.terms: list[list[str]] = JobInput.objects.get(job=job).terms
        progress: Mapping[str, Any] = job.progress
        self.next: int = progress.get("next", 0)
        self.answered: int = progress.get("answered", 0)
        self.open = [Lookup(**kept) for kept in progress.get("open", ())]
        self.kept = {name: value for name, value in progress.items() if name.startswith("failing")}
        self.has_brackets: bool = progress.get("has_brackets", False)  # Message-IDs are found with angle brackets
        self.found: dict[str, Found] = {}
        self.not_found: list[dict[str, str]] = []
        self.problem: errors.EmailSecurityError | None = None
        self.room = setting("BULK_LIMIT") - sum(job.counts.values())
        self.items = ActionItem.objects.filter(job=job)
        self._know()

    def _know(self) -> None:
        """What can be known about the next terms without a call: the job's own messages, and lists just looked at."""
        ahead = {text for _, text in self.terms[self.next : self.next + LOOKED_AHEAD]}
        self.has = {
            *self.items.filter(investigate_id__in=ahead).values_list("investigate_id", flat=True),
            *self.items.filter(alert_id__in=ahead).values_list("alert_id", flat=True),
        }
        self.seen: dict[str, MessageRow] = {}
        if any(kind == TermKind.INVESTIGATE_ID for kind, _ in self.terms[self.next : self.next + LOOKED_AHEAD]):
            for run in recent_runs(RUNS_ASKED, since=timezone.now() - FRESH):
                for row in rows_of(run):
                    if row.id in ahead and self.scope.sees(row.mailboxes):
                        self.seen.setdefault(row.id, row)

    @property
    def is_full(self) -> bool:
        return len(self.found) >= min(self.room, MOST_HELD)

    @property
    def is_over(self) -> bool:
        return (self.next >= len(self.terms) and not self.open) or len(self.found) >= self.room

    def way_of(self, lookup: Lookup) -> Way:
        return self.ways(*self.terms[lookup.at])[lookup.way]

    def ways(self, kind: str, text: str) -> list[Way]:
        return ways_within(kind, text, self.scope)

    def next_batch(self) -> list[Lookup]:
        """Look-ups to go on with and new ones; none where all wait for slow searches."""
        now = time.time()
        batch = [lookup for lookup in self.open if lookup.due <= now][:SIDE_BY_SIDE]
        limit = min(self.next + LOOKED_AHEAD, len(self.terms))
        while len(batch) < SIDE_BY_SIDE and self.next < limit and len(self.open) < MOST_SLOW and not self.is_full:
            kind, text = self.terms[self.next]
            lookup = Lookup(at=self.next)
            self.next += 1
            if kind in (TermKind.INVESTIGATE_ID, TermKind.ALERT_ID) and text in self.has:
                continue
            if row := self.seen.get(text):
                self._keep(row)
            elif not self.ways(kind, text):
                self._not_found(lookup)
            else:
                self.open.append(lookup)
                batch.append(lookup)
        return batch

    def take(self, answers: list[tuple[Lookup, Any]]) -> None:
        silent = [
            (lookup, answer)
            for lookup, answer in answers
            if isinstance(answer, errors.Unavailable | errors.UnexpectedReply)
        ]
        self.answered += len(answers) - len(silent)
        for lookup, answer in answers:
            self._take_one(lookup, answer)
        if len(silent) == len(answers) and self.problem is None and any(lookup in self.open for lookup, _ in silent):
            self.problem = silent[0][1]
        elif len(silent) < len(answers):
            self.kept = forget_failure(self.kept)

    def _take_one(self, lookup: Lookup, answer: Any) -> None:
        match answer:
            case SlowSearch():
                self._wait_for(lookup, answer)
            case errors.RateLimited():
                self.problem = answer
            case errors.Unavailable() | errors.UnexpectedReply():
                self._try_again(lookup)
            case errors.SearchExpired() if not lookup.restarts:
                lookup.restarts, lookup.location, lookup.due = 1, "", 0.0
            case errors.SearchExpired() | errors.ForeignLocation():
                self._end(lookup, NOT_IN_TIME if isinstance(answer, errors.SearchExpired) else NO_ANSWER)
            case errors.CredentialsRefused() | errors.NotPermitted():
                self.problem = answer
            case errors.EmailSecurityError():
                self._go_on(lookup, REFUSED)
            case (messages, cursor):
                self._take_page(lookup, messages, cursor)

    def _take_page(self, lookup: Lookup, messages: tuple[Found, ...], cursor: str | None) -> None:
        way = self.way_of(lookup)
        ids = [message.id for message in messages]
        stored = set(self.items.filter(investigate_id__in=ids).values_list("investigate_id", flat=True))
        for message in messages:
            if not self.scope.sees(message.mailboxes):
                continue
            if names(way, message):
                lookup.hits += 1
                if message.id not in stored:  # what the job has takes no room again
                    self._keep(message)
            else:
                lookup.strangers += 1
        if way.by == "message_id" and way.value.startswith("<") and lookup.hits:
            self.has_brackets = True
        lookup.tries, lookup.location, lookup.since, lookup.restarts = 0, "", 0.0, 0
        if not messages or not cursor:
            self._go_on(lookup)
        elif lookup.strangers and not lookup.hits:  # the filter was not applied: more pages would hold more of them
            self._go_on(lookup, OTHERS_ANSWERED)
        elif self._leads_on(lookup, messages, cursor):
            lookup.cursor, lookup.pages = cursor, lookup.pages + 1
        else:
            self._go_on(lookup, NO_END)

    @staticmethod
    def _leads_on(lookup: Lookup, messages: tuple[Found, ...], cursor: str) -> bool:
        """Whether to follow a cursor: it must be a new one, and the page must have brought us further back in time."""
        before, lookup.last = lookup.last, getattr(messages[-1], "scanned_at", "") or lookup.last
        is_usable = len(cursor) <= LONGEST_CURSOR and cursor.isprintable() and cursor != lookup.cursor
        return is_usable and lookup.pages < LONGEST_SEARCH and (not before or lookup.last < before)

    def _keep(self, message: Found) -> None:
        if len(self.found) < self.room:
            self.found[message.id] = message
            self.has.update(filter(None, (message.id, message.alert_id)))

    def _wait_for(self, lookup: Lookup, slow: SlowSearch) -> None:
        now = time.time()
        lookup.since = lookup.since or now
        if now - lookup.since > settings.SEARCH_DEADLINE:
            self._end(lookup, NOT_IN_TIME)
            return
        lookup.location = slow.location
        wait = slow.retry_after or (now - lookup.since) / 5
        lookup.due = now + max(SOONEST, min(LATEST, wait))

    def _try_again(self, lookup: Lookup) -> None:
        lookup.tries += 1
        lookup.due = time.time() + min(LATEST, 2.0 ** min(lookup.tries, 6))
        if lookup.failed_at < 0:
            lookup.failed_at = self.answered
        is_alone = self.next >= len(self.terms) and self.answered and len(self.open) == 1
        if lookup.tries >= MOST_TRIES and (self.answered > lookup.failed_at or is_alone):
            self._end(lookup, NO_ANSWER)

    def _go_on(self, lookup: Lookup, why: str = "") -> None:
        """Take the term's next way, or end with it."""
        lookup.why = lookup.why or why
        further = list(enumerate(self.ways(*self.terms[lookup.at])))[lookup.way + 1 :]
        following = next((at for at, way in further if not self._is_needless(way, lookup)), None)
        if following is None:
            is_strange = lookup.strangers and not lookup.hits
            self._end(lookup, lookup.why or (OTHERS_ANSWERED if is_strange else ""))
        else:
            lookup.way, lookup.cursor, lookup.last, lookup.location, lookup.due = following, "", "", "", 0.0

    def _is_needless(self, way: Way, lookup: Lookup) -> bool:
        now = self.way_of(lookup)
        if way.domain and (way.by, way.value) == (now.by, now.value):  # the way that is being taken, at another domain
            return False
        is_other_spelling = way.by == "message_id" and not way.value.startswith("<")
        return way.is_last_resort and (lookup.hits > 0 or (is_other_spelling and self.has_brackets))

    def _end(self, lookup: Lookup, why: str) -> None:
        self.open = [other for other in self.open if other is not lookup]
        if not lookup.hits or why:
            self._not_found(lookup, why)

    def _not_found(self, lookup: Lookup, why: str = "") -> None:
        kind, text = self.terms[lookup.at]
        self.not_found.append({"text": text, "kind": kind, "why": why or WHY_NOTHING.get(kind, NOT_IN_RANGE)})

    def store(self) -> None:
        job, actor = self.job, self.job.actor
        if actor is None:  # `collect` asks before each step; the account may have gone meanwhile
            steps.failed(job, "Its owner has no account any more.")
            return
        items = items_of(job, self.found.values(), actor)
        total = sum(bool(self.ways(kind, text)) for kind, text in self.terms)
        done = min(total, self.next - len(self.open))
        progress = {
            **self.kept,
            "next": self.next,
            "done": done,
            "total": total,
            "answered": self.answered,
            "has_brackets": self.has_brackets,
            "open": [asdict(lookup) for lookup in self.open],
        }
        if len(self.found) >= self.room:
            progress["is_limited"] = True
        if self.problem is not None:
            pause(job, self.problem, items=items, progress=progress, not_found=self.not_found)
            return
        soonest = min((lookup.due for lookup in self.open), default=0.0) - time.time()
        waits = self.open and (self.next >= len(self.terms) or len(self.open) >= MOST_SLOW)
        is_stored = steps.store(
            job,
            items=items,
            progress=progress,
            not_found=self.not_found,
            due_in=max(0.0, soonest) if waits else 0.0,
            explanation=LOOKED_UP.format(done=done, total=total),
        )
        if is_stored and self.is_over:
            steps.collected(job)


def _window_of(job: BulkJob) -> Window:
    """The range as it was pinned when the job was begun."""
    pinned = {name: read_moment(values[0]) for name, values in parse_qs(job.query).items() if name in ("start", "end")}
    start, end = pinned.get("start"), pinned.get("end")
    if start is None or end is None:
        raise ValueError("a paste's job pins its range")
    return Window(start, end)
