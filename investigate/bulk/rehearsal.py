"""What a rehearsal shows before anything is sent: how many, which, what cannot work and why, and what it costs.

What is added up over all messages is kept with the job once they are collected: nothing changes them after that, and
looking again costs nothing. What depends on the moment (budget, what others act on) is read each time.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec
from django.db.models import Avg, Count, Exists, F, OuterRef, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.times import parse_time
from dashboard.emailsec.transport import Priority
from dashboard.installation.values import setting
from dashboard.upstream.budget import SHARES, WINDOW_SECONDS, BudgetView
from dashboard.upstream.connection import shared_meter
from investigate.actions import words as action_words
from investigate.actions.decision import MALICIOUS, PURGES, may_do_harm
from investigate.actions.within import is_within
from investigate.actions.words import counted
from investigate.approvals.needs import Needed, takes_two
from investigate.bulk import jobs, outlook, rights, words
from investigate.bulk.engine import chunk_size
from investigate.bulk.facts import KnownMessage, message_of
from investigate.bulk.outlook import Overlap, Refusals
from investigate.models import OPEN_STATES, Action, ActionItem, ActionKind, ActionState, BulkJob, JobState

MOST_DOMAINS = 10
MOST_STATES = 10  # a message has several where its copies went different ways
SAMPLED = 10
MOST_SAMPLES = 100  # tens a person may look at; who wants more wants the list
MOST_REFUSING = 10  # domains
MOST_NAMED = 50  # terms of a paste that were not found, by name
ASSUMED_SECONDS = 4.0  # for one chunk, before any was measured
READ_SECONDS = 0.1  # for one message, some of which are read side by side
MEASURED = 20  # chunks
_AT_ONCE = 5000


class Domain(msgspec.Struct, frozen=True):
    name: str
    copies: int


class Summary(msgspec.Struct, frozen=True):
    """What all messages of a job come to; kept in `BulkJob.progress`."""

    messages: int  # that can be acted on
    copies: int
    by_disposition: dict[str, int]
    by_state: dict[str, int]
    by_domain: list[Domain]  # copies at the ten largest recipient domains
    other_domains: int
    other_copies: int
    cannot: list[tuple[str, int]]
    undelivered: int = 0  # copies of these messages that no mailbox ever got
    moved_before: int = 0  # messages that Cloudflare shows as moved, and nobody here knows where to
    refusing: list[Refusals] = []


@dataclass(frozen=True)
class Cost:
    calls: int
    seconds: float
    waits_until: dt.datetime | None  # when the budget lets the first call go; None: at once
    is_measured: bool

    @property
    def told(self) -> str:
        """ "10 calls, about 40 s"."""
        return f"{counted(self.calls, 'call')}, about {words.lasting(self.seconds)}"


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """One of ten messages to look at."""

    item: ActionItem
    message: KnownMessage

    @property
    def verdict(self) -> str:
        return self.item.disposition

    @property
    def verdict_word(self) -> str:
        return _verdict_word(self.item.disposition)

    @property
    def scanned_at(self) -> dt.datetime | None:
        return parse_time(self.message.scanned_at)

    @property
    def sender(self) -> str:
        return self.message.from_

    @property
    def where(self) -> str:
        return _where(self.message.is_quarantined, self.message.delivery_status)

    @property
    def more_recipients(self) -> int:
        return max(0, len(self.item.recipients) - 1)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """Everything the page of a rehearsal shows."""

    job: BulkJob
    summary: Summary
    under_way: int  # messages on which somebody acts right now
    sample: Sequence[Sampled]
    next_sample: int | None
    cost: Cost | None  # None where nothing can be sent
    outdated: str  # why the messages have to be collected again before anybody can decide
    overlaps: Sequence[Overlap]  # decided jobs that have the same messages before them
    why_not: str  # why whoever looks cannot decide it
    dangers: Sequence[str]
    undo_seconds: int
    needed: Needed | None = None  # that it takes a second person

    @property
    def messages(self) -> int:
        return self.summary.messages

    @property
    def skipped(self) -> int:
        return sum(number for _, number in self.summary.cannot)

    @property
    def is_limited(self) -> bool:
        return bool(self.job.progress.get("is_limited") or self.job.progress.get("is_cut"))

    @property
    def has_changed(self) -> bool:
        return bool(self.job.progress.get("has_changed"))

    @property
    def not_found(self) -> Sequence[dict[str, str]]:
        named: list[dict[str, str]] = self.job.not_found
        return named[:MOST_NAMED]

    # --- words ---

    @property
    def command(self) -> str:
        """ "Move 9,214 messages": what the button says. Where to stands above it."""
        what = _command(self.job, self.messages)
        return what.partition(" to ")[0] if self.job.kind == ActionKind.MOVE else what

    @property
    def sentence(self) -> str:
        """ "Move 9,214 messages, 11,030 copies, to Junk, as Ana": what will happen."""
        some = counted(self.messages, "message")
        before, _, after = _command(self.job, self.messages).partition(some)
        copies = f"{some}, {counted(self.summary.copies, 'copy')}"
        return f"{before}{copies}{',' if after else ''}{after}, as {self.job.actor_name}"

    @property
    def undelivered(self) -> str:
        number = self.summary.undelivered
        if number == 1:
            return "1 copy was never delivered: it stays as it is."
        return f"{counted(number, 'copy')} were never delivered: they stay as they are." if number else ""

    @property
    def moved_before(self) -> str:
        number, where = self.summary.moved_before, action_words.folder(self.job.destination)
        if number == 1:
            return f"1 message was moved before; if it lies in {where} already, it will be refused."
        told = f"{number:,} messages were moved before; those that lie in {where} already will be refused."
        return told if number else ""

    @property
    def refused_lately(self) -> list[tuple[str, str, str, str]]:
        """(copies, domain, "the last 12 moves there were refused", the API's own words)"""
        what = action_words.noun(self.job.kind)
        return [
            (counted(one.copies, "copy"), one.domain, f"the last {one.times:,} {what}s there were refused", one.status)
            for one in self.summary.refusing
        ]

    @property
    def taken(self) -> str:
        return f"{sum(self.job.counts.values()):,}"

    @property
    def handled(self) -> str:
        return f"{self.under_way:,} {'is' if self.under_way == 1 else 'are'} being"

    @property
    def left_out(self) -> str:
        """ "8 messages cannot be moved and are left out"."""
        verb = "is" if self.skipped == 1 else "are"
        did = action_words.past(self.job.kind, self.job.destination)
        return f"{counted(self.skipped, 'message')} cannot be {did} and {verb} left out"

    @property
    def missing(self) -> str:
        return counted(self.job.not_found_count, "term")

    @property
    def more_not_found(self) -> str:
        more = self.job.not_found_count - len(self.not_found)
        return f"{more:,}" if more > 0 else ""

    @property
    def sample_title(self) -> str:
        number = len(self.sample)
        if self.next_sample is None:
            return "The message" if number == 1 else f"All {number} messages"
        return f"{number} of them, drawn by lot"

    @property
    def verdicts(self) -> list[tuple[str, str, str]]:
        """(verdict, its word, number)"""
        return [
            (verdict, _verdict_word(verdict), f"{number:,}") for verdict, number in self.summary.by_disposition.items()
        ]

    @property
    def states(self) -> list[tuple[str, str]]:
        named = list(self.summary.by_state.items())
        others = sum(number for _, number in named[MOST_STATES:])
        shown = [*named[:MOST_STATES], *([("other", others)] if others else [])]
        return [(state, f"{number:,}") for state, number in shown]

    @property
    def domains(self) -> list[tuple[str, str]]:
        return [(domain.name or "no domain", f"{domain.copies:,}") for domain in self.summary.by_domain]

    @property
    def other_domains(self) -> tuple[str, str] | None:
        if not self.summary.other_domains:
            return None
        return counted(self.summary.other_domains, "other domain"), f"{self.summary.other_copies:,}"

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(reason, f"{number:,}") for reason, number in self.summary.cannot]


def _verdict_word(disposition: str) -> str:
    known = action_words.DISPOSITIONS.get(disposition)
    if known is None and disposition in Disposition.__members__:
        return disposition.capitalize()
    return known or disposition or "Unknown"


def wanted(job: BulkJob) -> str:
    """ "Move messages to Junk": what the job is about while nobody knows how many there are."""
    return _command(job, 1).replace("1 message", "messages")


def _command(job: BulkJob, messages: int) -> str:
    return words.command(job.kind, job.destination, job.expected_disposition, messages=messages)


def rehearsal_of(job: BulkJob, member: Member, *, sample: int = 0) -> Rehearsal:
    """The rehearsal as this member sees it."""
    summary = summary_of(job)
    outdated = jobs.why_outdated(job)
    needed = rights.needs_second(job)
    number = sample % max(1, min(MOST_SAMPLES, math.ceil(summary.messages / SAMPLED)))
    return Rehearsal(
        job=job,
        summary=summary,
        under_way=under_way(job),
        sample=_sample(job, summary.messages, number),
        next_sample=number + 1 if summary.messages > SAMPLED else None,
        cost=cost_of(job, summary.messages, reads=_reads(job, summary, needed)) if summary.messages else None,
        outdated=outdated,
        overlaps=[] if outdated else _overlaps(job, member),
        why_not=_why_not(job, member, summary, outdated),
        dangers=_dangers(job, summary),
        undo_seconds=max(jobs.LEAST_UNDO, member.undo_seconds),
        needed=needed,
    )


def _overlaps(job: BulkJob, member: Member) -> list[Overlap]:
    found = outlook.overlaps(job)
    return [replace(one, is_linked=is_within(one.job.scope, member.scope)) for one in found]


# --- what all messages come to ----------------------------------------------------------------------------------------


def summary_of(job: BulkJob) -> Summary:
    """The sums, added up once and then kept."""
    kept = job.progress.get("summary")
    if kept is not None:
        return msgspec.convert(kept, Summary)
    summary = _add_up(job)
    job.progress = {**job.progress, "summary": msgspec.to_builtins(summary)}
    # Only of a job that is collected: its messages stay as they are until it is decided.
    BulkJob.objects.filter(pk=job.pk, state=JobState.REHEARSAL).update(progress=job.progress)
    return summary


class _Facts(msgspec.Struct, gc=False):
    is_quarantined: bool = False
    delivery_status: tuple[str, ...] = ()
    client_recipients: tuple[str, ...] = ()
    post_delivery_operations: tuple[str, ...] = ()
    moved_to: str = ""


_read_facts = msgspec.json.Decoder(_Facts)
_read_recipients = msgspec.json.Decoder(tuple[str, ...])


def _add_up(job: BulkJob) -> Summary:
    items = ActionItem.objects.filter(job=job).order_by()
    can = items.filter(state=ActionState.QUEUED)
    by_state: Counter[str] = Counter()
    domains: Counter[str] = Counter()
    is_move = job.kind == ActionKind.MOVE
    undelivered = moved_before = 0
    # As text: the database's own JSON is read several times faster than the ORM reads it.
    texts = can.values_list(Cast("recipients", TextField()), Cast("facts", TextField()))
    for recipients, facts in texts.iterator(chunk_size=_AT_ONCE):
        known, mailboxes = _read_facts.decode(facts), _read_recipients.decode(recipients)
        if is_move:
            never = outlook.undelivered(known.client_recipients, known.delivery_status)
            undelivered += len(never)
            mailboxes = tuple(mailbox for mailbox in mailboxes if mailbox not in never)
            is_moved = outlook.was_moved(known.delivery_status, known.post_delivery_operations)
            moved_before += is_moved and not known.moved_to and job.destination not in PURGES
        domains.update(map(outlook.domain_of, mailboxes))
        by_state[_where(known.is_quarantined, known.delivery_status)] += 1
    largest = domains.most_common(MOST_DOMAINS)
    copies = domains.total()
    cannot = items.filter(state=ActionState.SKIPPED).values_list("explanation").annotate(number=Count("pk"))
    verdicts = can.values_list("disposition").annotate(number=Count("pk"))
    return Summary(
        messages=by_state.total(),
        copies=copies,
        by_disposition=_largest_first(verdicts),
        by_state=_largest_first(by_state.items()),
        by_domain=[Domain(name, number) for name, number in largest],
        other_domains=len(domains) - len(largest),
        other_copies=copies - sum(number for _, number in largest),
        cannot=list(_largest_first(cannot).items()),
        undelivered=undelivered,
        moved_before=moved_before,
        refusing=outlook.refusing(job.kind, domains)[:MOST_REFUSING],
    )


def _where(is_quarantined: bool, statuses: Iterable[str]) -> str:  # noqa: FBT001
    """Where the copies of a message are, in a word or two."""
    if is_quarantined:
        return "quarantined"
    return ", ".join(sorted(set(statuses))).replace("_", " ") or "not known"


def _largest_first(numbers: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(sorted(numbers, key=lambda pair: (-pair[1], pair[0])))


# --- what depends on the moment ---------------------------------------------------------------------------------------


def under_way(job: BulkJob) -> int:
    """How many of the job's messages are acted on right now; open items are few, those of a job may be many."""
    mine = ActionItem.objects.filter(job=job, investigate_id=OuterRef("investigate_id"), state=ActionState.QUEUED)
    return ActionItem.objects.filter(Exists(mine), state__in=OPEN_STATES).exclude(job=job).count()


def _sample(job: BulkJob, messages: int, number: int) -> list[Sampled]:
    """Ten messages drawn by lot; the lot is fixed by the job, so that a reload shows the same ten."""
    lots = random.Random(job.pk.int).sample(range(messages), min(messages, SAMPLED * MOST_SAMPLES))
    can = ActionItem.objects.filter(job=job, state=ActionState.QUEUED).order_by("pk").defer("attachment")
    drawn = (can[lot : lot + 1].first() for lot in lots[number * SAMPLED : (number + 1) * SAMPLED])
    return [Sampled(item=item, message=message_of(item)) for item in drawn if item is not None]


def _reads(job: BulkJob, summary: Summary, needed: Needed | None) -> int:
    """Messages whose verdict is read once more before they are released, because one may need more than the job has."""
    special = Permission.MESSAGE_RELEASE_MALICIOUS
    if job.kind != ActionKind.RELEASE or (needed is not None and special in needed.permissions):
        return 0
    is_owners = job.actor is not None and job.actor.may(special) and not takes_two(special)
    return 0 if is_owners else summary.messages


def cost_of(job: BulkJob, messages: int, *, reads: int = 0) -> Cost:
    """How many calls, how long they take, and when the budget lets the first one go."""
    chunks = math.ceil(messages / chunk_size(job))
    calls = chunks + reads
    seconds, is_measured = _seconds_each(job)
    meter = shared_meter()
    view = meter.view()
    share = int(meter.limit * SHARES[Priority.BULK])
    left = max(0, view.left - (meter.limit - share))  # what is kept back is for people
    working = chunks * seconds + reads * READ_SECONDS
    if calls > left:  # the rest comes back with the window
        working = max(working, (calls - left) / share * WINDOW_SECONDS)
    waits = _wait(view, left)
    until = timezone.now() + dt.timedelta(seconds=waits) if waits else None
    return Cost(calls, working + waits, until, is_measured)


def _wait(view: BudgetView, left: int) -> int:
    if view.frozen_for:
        return view.frozen_for
    return 0 if left else max(1, view.back_in)


def _seconds_each(job: BulkJob) -> tuple[float, bool]:
    """How long the latest chunks of this kind took, or what is assumed before there are any."""
    latest = Action.objects.filter(
        job__isnull=False, kind=job.kind, sent_at__isnull=False, finished_at__isnull=False, looks=0
    ).order_by("-created_at")[:MEASURED]
    took = Action.objects.filter(pk__in=list(latest.values_list("pk", flat=True))).aggregate(
        took=Avg(F("finished_at") - F("sent_at"))
    )["took"]
    return (max(0.1, took.total_seconds()), True) if took is not None else (ASSUMED_SECONDS, False)


def _why_not(job: BulkJob, member: Member, summary: Summary, outdated: str) -> str:
    """Why this member cannot let it happen, or ""."""
    if not member.may(Permission.JOB_RUN):
        return action_words.lacks(Permission.JOB_RUN)
    if job.actor_id != member.pk:
        return f"{job.actor_name} rehearses this and decides it."
    if outdated:
        return outdated
    if not summary.messages:
        return "None of these messages can be acted on."
    missing = rights.missing_rights(member, job, ActionItem.objects.filter(job=job, state=ActionState.QUEUED))
    if not missing:
        return ""
    size = f" This is {summary.messages:,}; without that right {setting('LARGE_JOB'):,} is the most."
    return action_words.lacks(missing[0]) + (size if missing[0] == Permission.JOB_RUN_LARGE else "")


def _dangers(job: BulkJob, summary: Summary) -> list[str]:
    found = []
    if job.kind == ActionKind.MOVE and job.destination in PURGES:
        found.append(action_words.FOLDER_HELP[job.destination])
    malicious = sum(summary.by_disposition.get(value, 0) for value in MALICIOUS)
    if job.kind == ActionKind.RELEASE and malicious:
        verb = "is a message" if malicious == 1 else "are messages"
        found.append(f"{malicious:,} of them {verb} that Cloudflare calls Malicious or BEC. A release has no way back.")
    unclear = sum(
        number for value, number in summary.by_disposition.items() if may_do_harm(value) and value not in MALICIOUS
    )
    if job.kind == ActionKind.RELEASE and unclear:
        found.append(f"No clear verdict on {unclear:,} of them: they count as Malicious. A release has no way back.")
    if summary.messages > setting("LARGE_JOB"):
        found.append(f"More than {setting('LARGE_JOB'):,} messages in one job.")
    return found
