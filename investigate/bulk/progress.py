"""A job as its page, the list and the notice show it.

What moves is read from the job's own row, where it is kept as of the last change: a page that asks whether anything has
changed costs one small query, however many messages the job has.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, UUIDField
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission, roles_with
from dashboard.access.scope import Scope
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.transport import Priority
from dashboard.installation.values import setting
from dashboard.sql import seconds_from_now
from dashboard.upstream.budget import SHARES, WINDOW_SECONDS
from dashboard.upstream.connection import shared_meter
from dashboard.web.bars import Segment, segments
from investigate.actions import transitions
from investigate.actions.decision import least_permission_for
from investigate.actions.within import is_within, jobs_within
from investigate.actions.words import counted, lacks
from investigate.approvals.needs import right_to_ask
from investigate.approvals.rights import approval_of, approved_rights
from investigate.bulk import engine, jobs, rights, words
from investigate.bulk.results import FILTERS, PAGE
from investigate.bulk.searched import searched
from investigate.bulk.tally import OVERTAKEN
from investigate.models import (
    LIVE_JOBS,
    OPEN_STATES,
    Action,
    ActionItem,
    ActionKind,
    ActionState,
    Approval,
    BulkJob,
    JobInput,
    JobSource,
    JobState,
)

MOST_LISTED = 100
MOST_HISTORY = 10  # the latest; the audit trail has all
MOST_FASTER = 5  # jobs and actions of others that are named
MOST_CHUNKS = 10  # on the page that keeps itself current; all of them have a list of their own
POLLS = ((10.0, 1), (120.0, 2))  # (seconds since somebody began to look, seconds between polls)
LAST_POLL = 5
_PACE_OF = 5  # chunks; older ones tell nothing about now
_LATE = 15.0  # seconds; the answer to a chunk takes a fraction of it
_RESTS = 3.0  # seconds; a step that is due later than that waits for something
_ENDED = (JobState.DONE, JobState.CANCELLED, JobState.FAILED)

SEGMENTS = (
    ("done", "done", (ActionState.DONE,)),
    ("partly_done", "in part", (ActionState.PARTLY_DONE,)),
    ("failed", "refused", (ActionState.FAILED,)),
    ("unknown", "unknown", (ActionState.UNKNOWN,)),
    ("open", "open", words.OPEN),
)


@dataclass(frozen=True)
class Control:
    """One button of a job; `why_not` is empty where it works."""

    verb: str
    label: str
    why_not: str = ""
    key: str = ""
    is_primary: bool = False
    expects: str = ""  # what the job has to be for it, of `jobs.STOPS`

    @property
    def place(self) -> str:
        """Its element's name: what pauses and what resumes stand in one place, so that the focus stays there."""
        return "hold" if self.verb in ("pause", "resume") else self.verb

    @property
    def url_name(self) -> str:
        return f"investigate:{self.verb}_job"


@dataclass(frozen=True)
class ChunkView:
    """One chunk: what was sent, and what was answered."""

    chunk: Action
    counts: Mapping[str, int]
    messages: int

    @property
    def ends(self) -> list[tuple[str, str, str]]:
        """(state, word, number) of its messages, as far as they have an end."""
        return [
            (state, label, f"{number:,}")
            for state, label, states in SEGMENTS
            if state != "open" and (number := sum(self.counts.get(each, 0) for each in states))
        ]

    @property
    def shown(self) -> str:
        return f"{self.messages:,}"

    @property
    def took(self) -> str:
        if self.chunk.sent_at is None or self.chunk.finished_at is None:
            return ""
        seconds = (self.chunk.finished_at - self.chunk.sent_at).total_seconds()
        return f"{seconds:.1f} s" if seconds < 10 else words.lasting(seconds)

    @property
    def told(self) -> str:
        if self.chunk.needs_person:
            return self.chunk.explanation or words.in_doubt(self.chunk.kind, self.chunk.destination)
        return self.chunk.explanation

    @property
    def looks(self) -> list[tuple[dt.datetime, str]]:
        """(when, what was found) of each look at an outcome that was not known."""
        return [(dt.datetime.fromisoformat(look["at"]), look["found"]) for look in self.chunk.evidence]

    @property
    def unknown(self) -> str:
        return f"{self.counts.get(ActionState.UNKNOWN, 0):,}"

    @property
    def is_open(self) -> bool:
        return self.chunk.state in OPEN_STATES

    @property
    def is_looked_up(self) -> bool:
        return self.chunk.state == ActionState.UNKNOWN and not self.chunk.needs_person


@dataclass(frozen=True)
class Faster:
    """Somebody else's job, or single action, that messages of a job are in."""

    of: BulkJob | Action
    number: int
    is_linked: bool = True  # False: its reader may not see that job

    @property
    def what(self) -> str:
        return f"{self.of.actor_name}'s {'job' if isinstance(self.of, BulkJob) else 'action'}"

    @property
    def told(self) -> str:
        return f"{counted(self.number, 'message')} {'is' if self.number == 1 else 'are'} in {self.what}"

    @property
    def url(self) -> str:
        if not self.is_linked:
            return ""
        return reverse("investigate:job" if isinstance(self.of, BulkJob) else "investigate:action", args=[self.of.pk])


@dataclass(frozen=True)
class Filter:
    value: str
    label: str
    number: int

    @property
    def shown(self) -> str:
        return f"{self.number:,}"


class JobView:
    """A job as `member` reads it."""

    def __init__(self, job: BulkJob, member: Member) -> None:
        self.job = job
        self.member = member

    @property
    def url(self) -> str:
        return reverse("investigate:job", args=[self.job.pk])

    @property
    def title(self) -> str:
        if self.job.state == JobState.COLLECTING:
            return words.title(self.job).replace(" 0 messages", " messages")
        return words.title(self.job)

    @property
    def is_own(self) -> bool:
        return self.job.actor_id == self.member.pk

    @property
    def sentence(self) -> str:
        if words.is_nothing_done(self.job) and len(self.faster) == 1:
            return f"Nothing done: {self.faster[0].told}."
        return words.sentence(self.job)

    @property
    def overtaken(self) -> str:
        return "" if words.is_nothing_done(self.job) else words.overtaken(self.job)

    @cached_property
    def faster(self) -> list[Faster]:
        """Where the messages are that others were faster with, those with the most first."""
        if not self.job.counts.get(OVERTAKEN):
            return []
        mine = ActionItem.objects.filter(job=self.job, state=ActionState.SKIPPED, action__isnull=False)
        theirs = (
            ActionItem.objects.filter(investigate_id=OuterRef("investigate_id"), action__isnull=False)
            .exclude(job=self.job)
            .exclude(state__in=words.LEFT_OUT)
            .order_by("-pk")
            .values("action")[:1]
        )
        found = (
            mine.order_by()
            .annotate(their=Subquery(theirs, output_field=UUIDField()))
            .exclude(their=None)
            .values_list("their")
        )
        numbers: dict[BulkJob | Action, int] = {}
        in_chunks: dict[uuid.UUID, int] = dict(found.annotate(number=Count("pk")))
        for chunk in Action.objects.filter(pk__in=in_chunks).select_related("job").defer("request", "looking"):
            of = chunk.job or chunk
            numbers[of] = numbers.get(of, 0) + in_chunks[chunk.pk]
        most = sorted(numbers.items(), key=lambda one: one[1], reverse=True)
        return [Faster(of, number, self._is_visible(of)) for of, number in most[:MOST_FASTER]]

    def _is_visible(self, of: BulkJob | Action) -> bool:
        return isinstance(of, Action) or is_within(of.scope, self.member.scope)

    @property
    def spoken(self) -> str:
        """What is read out after a click, and at the end."""
        return f"{self.state.capitalize()}. {self.sentence}" if self.is_live else self.sentence

    @property
    def left_out(self) -> str:
        return words.left_out(self.job)

    @property
    def state(self) -> str:
        """In one word; a job that went on to its end and was refused in part says that too."""
        if self.job.state == JobState.DONE and self.number("unknown"):
            return "needs a person"
        if words.is_nothing_done(self.job):
            return "nothing done"
        if self.waits_for:
            return f"waiting for chunk {self.waits_for.number}"
        return "resting" if self.rests_until else words.STATES[JobState(self.job.state)]

    @property
    def mark(self) -> str:
        """Which symbol and colour the state has: those of single actions."""
        match self.job.state:
            case JobState.RUNNING:
                return "unknown" if self.waits_for else "paused" if self.rests_until else "sending"
            case JobState.DONE if self.number("unknown"):
                return "unknown"
            case JobState.DONE if words.is_nothing_done(self.job):
                return "partly_done"
            case JobState.DONE if self.number("failed") or self.number("partly_done"):
                return "partly_done"
        return str(self.job.state)

    @property
    def is_live(self) -> bool:
        return self.job.state in LIVE_JOBS

    @property
    def has_ended(self) -> bool:
        return self.job.state in _ENDED

    @property
    def is_polling(self) -> bool:
        """Whether something may still change by itself: also a cancelled job's last chunk is answered or looked up."""
        return self.is_live or any(
            chunk.is_looked_up or chunk.chunk.state == ActionState.SENDING for chunk in self.unsettled
        )

    @property
    def messages(self) -> int:
        return words.taken_on(self.job.counts)

    @property
    def ended(self) -> int:
        """Messages that have their end."""
        counts = self.job.counts
        return int(sum(counts.values())) - words.still_open(counts) - self.number("unknown")

    @property
    def percent(self) -> int:
        settled = self.messages - words.still_open(self.job.counts) - self.number("unknown")
        return 100 * settled // self.messages if self.messages else 0

    def number(self, segment: str) -> int:
        states = next(states for name, _, states in SEGMENTS if name == segment)
        return sum(self.job.counts.get(state, 0) for state in states)

    @property
    def segments(self) -> list[Segment]:
        """The five parts, those without a message among them; wide enough to be seen where there is one.

        What was cancelled leaves the end of the bar empty.
        """
        return segments(((name, label, self.number(name)) for name, label, _ in SEGMENTS), whole=self.messages)

    @property
    def spoken_bar(self) -> str:
        return ", ".join(f"{segment.number:,} {segment.label}" for segment in self.segments)

    # --- chunks ---------------------------------------------------------------------------------------------------

    @cached_property
    def chunks(self) -> list[ChunkView]:
        """The newest, and before them those that are still open or wait for a person."""
        newest = list(_chunks(self.job)[:MOST_CHUNKS])
        shown = {chunk.pk for chunk in newest}
        older = _chunks(self.job).filter(Q(state=ActionState.UNKNOWN) | Q(needs_person=True)).exclude(pk__in=shown)
        return chunk_views([*newest, *older[:PAGE]])

    @cached_property
    def chunk_count(self) -> int:
        return Action.objects.filter(job=self.job).count()

    @property
    def chunks_to_come(self) -> int:
        if self.job.state not in LIVE_JOBS:
            return 0
        return math.ceil(int(self.job.counts.get(ActionState.QUEUED, 0)) / engine.chunk_size(self.job))

    @property
    def unsettled(self) -> list[ChunkView]:
        return [chunk for chunk in self.chunks if chunk.chunk.state in (ActionState.SENDING, ActionState.UNKNOWN)]

    @property
    def needs_person(self) -> list[ChunkView]:
        return [chunk for chunk in self.chunks if chunk.chunk.needs_person]

    @property
    def looked_up(self) -> str:
        looked = [chunk for chunk in self.chunks if chunk.is_looked_up]
        return words.looked_up(len(looked), sum(chunk.messages for chunk in looked)) if looked else ""

    @cached_property
    def waits_for(self) -> Action | None:
        """The chunk that keeps the rest of a running job waiting: it is looked up, or its answer is late."""
        if self.job.state != JobState.RUNNING:
            return None
        looked_up = Q(state=ActionState.UNKNOWN, needs_person=False)
        found = Action.objects.filter(looked_up | late(), job=self.job)
        return found.only("number", "state", "next_look_at", "claimed_at").first()

    @property
    def is_late(self) -> bool:
        """Whether it waits for an answer that is late."""
        return self.waits_for is not None and self.waits_for.state == ActionState.SENDING

    @property
    def waits(self) -> str:
        """What waits for that chunk, and until when."""
        chunk = self.waits_for
        if chunk is None:
            return ""
        rest = int(self.job.counts.get(ActionState.QUEUED, 0))
        if chunk.state == ActionState.UNKNOWN:
            return words.waits_for_look(rest, chunk.number, chunk.next_look_at)
        claimed = chunk.claimed_at or timezone.now()
        return words.waits_for_answer(rest, chunk.number, claimed + dt.timedelta(seconds=transitions.CLAIM_SECONDS))

    @property
    def leave(self) -> str:
        """Whether a job needs somebody to stay; "" where that is not the question."""
        if self.job.state not in (JobState.WAITING, JobState.RUNNING):
            return ""
        when = f" once chunk {self.waits_for.number} is known" if self.waits_for else ""
        told = ", and a notice tells you when it has ended" if self.is_own else ""
        return f"You can leave: the job goes on{when}{told}."

    # --- pace -----------------------------------------------------------------------------------------------------

    @property
    def rests_until(self) -> dt.datetime | None:
        """When a running job goes on that waits for something, the budget most of all."""
        due = self.job.due_at
        if self.job.state != JobState.RUNNING or due is None or not self.job.explanation:
            return None
        return due if due > timezone.now() + dt.timedelta(seconds=_RESTS) else None

    @property
    def per_minute(self) -> int:
        """Messages a minute over the last chunks; 0 where none has ended."""
        ended = [chunk for chunk in self.chunks if chunk.chunk.finished_at and chunk.chunk.sent_at][:_PACE_OF]
        if not ended:
            return 0
        first = min(chunk.chunk.sent_at for chunk in ended if chunk.chunk.sent_at)
        last = max(chunk.chunk.finished_at for chunk in ended if chunk.chunk.finished_at)
        seconds = max(0.1, (last - first).total_seconds())
        return round(60 * sum(chunk.messages for chunk in ended) / seconds)

    @property
    def stands(self) -> str:
        """Why a job that could go on does not."""
        return self.job.explanation if self.job.state == JobState.PAUSED or self.rests_until else ""

    @property
    def pace(self) -> str:
        """ "1,180 messages a minute, about 40 s left at the present budget"; "" where nothing is being sent."""
        left = words.still_open(self.job.counts)
        if self.job.state != JobState.RUNNING or self.rests_until or self.waits_for or not left:
            return ""
        rate = self.per_minute
        if not rate:
            return "The first chunk is on its way."
        seconds = max(60 * left / rate, _budget_seconds(math.ceil(left / engine.chunk_size(self.job))))
        return f"{rate:,} messages a minute, about {words.lasting(seconds)} left at the present budget."

    # --- what can be done -----------------------------------------------------------------------------------------

    @cached_property
    def may_not(self) -> str:
        """Why this member may not control the job at all; "" where they may."""
        if not self.member.may(Permission.JOB_RUN):
            return lacks(Permission.JOB_RUN)
        if not rights.may_control(self.member, self.job):
            holders = " or ".join(role.value.replace("_", " ") for role in roles_with(Permission.JOB_RUN_LARGE))
            return f"This is {self.job.actor_name}'s job; a {holders} can do this too."
        return ""

    @property
    def controls(self) -> list[Control]:
        """Its buttons; of a job that has ended only those that still may have something to do."""
        state, counts = self.job.state, self.job.counts
        if state == JobState.AWAITING_APPROVAL:  # its request has buttons of its own
            return []
        may_not_send = self.may_not or self._lacks
        retried = jobs.retried_states(self.job)
        again = Control(
            "retry",
            words.retry({one: counts.get(one, 0) for one in retried}),
            may_not_send if any(counts.get(one) for one in retried) else self._nothing_to_retry,
        )
        look = Control("look", "Look now", self.may_not if self.number("unknown") else "Nothing is unknown.")
        if self.has_ended:
            return [again, look] if self.number("unknown") else [again]
        if state == JobState.WAITING:
            stop = Control("cancel", "Undo", self.may_not, key="z", is_primary=True, expects="waiting")
        elif state == JobState.PAUSED:
            stop = Control("cancel", "Cancel the rest", self.may_not, expects="running")
        else:
            stop = Control("cancel", "Cancel after this chunk", self.may_not, expects="running")
        if state == JobState.PAUSED:
            hold = Control("resume", "Resume", may_not_send, is_primary=True)
        else:
            hold = Control("pause", "Pause", self.may_not)
        return [stop, hold, again, look]

    @property
    def _nothing_to_retry(self) -> str:
        if self.job.kind == ActionKind.RELEASE and self.number("partly_done"):
            return "What was done in part is not sent again: its copies could arrive twice."
        return "No message was refused."

    @property
    def why_not(self) -> list[tuple[str, str]]:
        """(labels, reason) of what cannot work, each reason once."""
        said: dict[str, list[str]] = {}
        for control in self.controls:
            if control.why_not:
                said.setdefault(control.why_not, []).append(control.label)
        return [(", ".join(labels), reason) for reason, labels in said.items()]

    @property
    def _lacks(self) -> str:
        needed = [least_permission_for(self.job.kind, destination=self.job.destination)]
        if self.messages > setting("LARGE_JOB"):
            needed.append(Permission.JOB_RUN_LARGE)
        lent = approved_rights(self.job)
        asked = [right_to_ask(right, lent) for right in needed]
        missing = next((right for right in asked if not self.member.may(right)), None)
        return lacks(missing) if missing else ""

    # --- around it ------------------------------------------------------------------------------------------------

    @property
    def searched(self) -> str:
        """The search its messages came from, in words; "" where they came from elsewhere."""
        return searched(self.job)

    @property
    def source(self) -> tuple[str, str]:
        """(words, link) of where its messages came from; the link is "" where there is nothing to look at."""
        job = self.job
        told = words.SOURCES[JobSource(job.source)]
        if job.source == JobSource.SEARCH and job.query:
            return told, f"{reverse('investigate:search')}?{job.query}"
        if job.source == JobSource.JOB:
            terms = dict(JobInput.objects.filter(job=job).values_list("terms", flat=True).first() or [])
            if earlier := _uuid(terms.get("job", "")):
                return told, reverse("investigate:job", args=[earlier])
        return told, ""

    @cached_property
    def approval(self) -> Approval | None:
        """The request for a second person, where the job took one."""
        return approval_of(self.job)

    @cached_property
    def history(self) -> list[tuple[str, AuditEvent]]:
        """What people did with the job since it was begun, in a word, from the audit trail."""
        if self.job.audit_sequence is None:
            return []
        rows = AuditEvent.objects.filter(refers_to=self.job.audit_sequence, action__in=words.DID)
        found = list(rows.exclude(actor_id=None).order_by("-sequence")[:MOST_HISTORY])
        return [(words.did(row.action, row.detail), row) for row in reversed(found)]

    @property
    def filters(self) -> list[Filter]:
        counts = dict(self.job.counts)
        counts[ActionState.SKIPPED] = counts.get(ActionState.SKIPPED, 0) + counts.pop(OVERTAKEN, 0)
        found = [
            Filter(value, label, sum(counts.values()) if states is None else sum(counts.get(one, 0) for one in states))
            for value, label, states in FILTERS
        ]
        return [one for one in found if one.number or one.value not in ("open", "cancelled")]


def newest(member: Member, show: str = "") -> list[JobView]:
    """Jobs, those under way first; `show`: mine, running, ended, or anything else for all."""
    found: QuerySet[BulkJob] = of_account_within(member.scope).defer("progress", "not_found")
    match show:
        case "mine":
            found = found.filter(actor=member)
        case "running":
            found = found.filter(state__in=LIVE_JOBS)
        case "ended":
            found = found.filter(state__in=_ENDED)
    live = list(found.filter(state__in=LIVE_JOBS).order_by("-created_at", "pk")[:MOST_LISTED])
    rest = found.exclude(state__in=LIVE_JOBS).order_by("-created_at")[: MOST_LISTED - len(live)]
    return [JobView(job, member) for job in (*live, *rest)]


def of_account() -> QuerySet[BulkJob]:
    """Jobs of the account this installation works on; those of another one do not exist here."""
    return BulkJob.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def of_account_within(scope: Scope, **wanted: Any) -> QuerySet[BulkJob]:
    """Those of them that hold nothing outside the scope."""
    return jobs_within(of_account().filter(**wanted), scope)


def late() -> Q:
    """Chunks whose answer takes longer than answers do: perhaps who sent them is no more."""
    return Q(state=ActionState.SENDING, claimed_at__lte=seconds_from_now(-_LATE))


def chunk_views(chunks: Iterable[Action]) -> list[ChunkView]:
    """What chunks show; one that has not ended counts its messages anew, and there are few of those."""
    found = list(chunks)
    open_ones = [chunk.pk for chunk in found if not chunk.counts or chunk.state in OPEN_STATES]
    counted: dict[uuid.UUID, dict[str, int]] = {}
    if open_ones:
        held = ActionItem.objects.filter(action__in=open_ones).order_by().values_list("action", "state")
        for chunk_id, state, number in held.annotate(number=Count("pk")):
            counted.setdefault(chunk_id, {})[state] = number
    views = []
    for chunk in found:
        counts = counted.get(chunk.pk) or chunk.counts
        views.append(ChunkView(chunk, counts, sum(counts.values())))
    return views


def chunks_before(job: BulkJob, number: int) -> tuple[list[ChunkView], int]:
    """(a page of chunks, newest first, from below `number` on; where the next page begins, 0 after the last)"""
    earlier = _chunks(job).filter(number__lt=number) if number else _chunks(job)
    found = list(earlier[: PAGE + 1])
    return chunk_views(found[:PAGE]), found[PAGE - 1].number if len(found) > PAGE else 0


def poll_after(since: dt.datetime, now: dt.datetime) -> int:
    """Seconds between polls of somebody who looks on since then: the longer, the calmer."""
    seconds = (now - since).total_seconds()
    return next((every for limit, every in POLLS if seconds < limit), LAST_POLL)


def _chunks(job: BulkJob) -> QuerySet[Action]:
    return Action.objects.filter(job=job).defer("request", "looking").order_by("-number")


def _budget_seconds(calls: int) -> float:
    """How long the budget alone keeps a job waiting that needs so many calls."""
    budget = shared_meter().view()
    share = max(1, int(budget.limit * SHARES[Priority.BULK]))
    free = max(0, share - (budget.limit - budget.left))
    return 0.0 if calls <= free else (calls - free) / share * WINDOW_SECONDS


def _uuid(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
