"""Jobs at Cloudflare as pages show them: what they do, how far they are, what may be done about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.enums import BulkJobStatus, BulkMessageStatus
from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.times import parse_time
from dashboard.emailsec.types import BulkJob as CloudflareJob
from dashboard.emailsec.types import BulkMessage
from dashboard.web.errors import ErrorText, explain
from dashboard.web.text import visible
from dashboard.web.times import moment
from investigate.actions import words as action_words
from investigate.actions.words import FOLDER_HELP
from investigate.approvals.rights import approval_of
from investigate.bulk.upstream import memory, services, words
from investigate.bulk.upstream.forms import CHOICES, RELEASE
from investigate.bulk.upstream.queries import Listing, Watched
from investigate.bulk.upstream.sample import Sample
from investigate.models import ActionKind, ActionState, Approval, UpstreamJob
from investigate.search.rows import Row, row_of

FAST, MIDDLE = 15, 39  # polls: the first half minute every 2 s, until two minutes and a half every 5 s, then every 15 s
_STATES = {
    BulkJobStatus.PENDING: "waiting",
    BulkJobStatus.DISCOVERING: "sending",
    BulkJobStatus.PROCESSING: "sending",
    BulkJobStatus.COMPLETED: "done",
    BulkJobStatus.FAILED: "failed",
    BulkJobStatus.CANCELLED: "cancelled",
}
_COPY_STATES = {
    BulkMessageStatus.PENDING: "waiting",
    BulkMessageStatus.PROCESSING: "sending",
    BulkMessageStatus.COMPLETED: "done",
    BulkMessageStatus.FAILED: "failed",
    BulkMessageStatus.CANCELLED: "cancelled",
    BulkMessageStatus.SKIPPED: "cancelled",
}
_TERMS = {
    "query": "words",
    "sender": "from",
    "recipient": "to",
    "exact_subject": "subject, exactly",
    "final_disposition": "verdict",
    "delivery_status": "delivery status",
    "message_action": "action",
    "smtp_helo_ip": "HELO IP",
    "alert_id": "alert id",
    "message_id": "Message-ID",
}
_RANGE = ("start", "end", "detections_only", "submissions")


@dataclass(frozen=True)
class Segment:
    """A part of the bar, in copies."""

    name: str
    number: int
    start: int


@dataclass(frozen=True)
class Choice:
    """One thing a job can do."""

    value: str
    label: str
    help: str
    why_not: str
    is_danger: bool
    takes_two: str = ""  # why


@dataclass(frozen=True)
class JobView:
    """One job, ours or somebody else's; `id` is what its address names it by."""

    id: str
    ours: UpstreamJob | None
    seen: memory.Seen | None
    problem: ErrorText | None = None
    is_gone: bool = False

    @property
    def job(self) -> CloudflareJob | None:
        return self.seen.job if self.seen else None

    @property
    def is_addressable(self) -> bool:
        """Whether the id is one that can stand in an address."""
        return is_addressable(self.id)

    @property
    def title(self) -> str:
        if self.ours is not None:
            return words.title(self.ours.kind, self.ours.destination)
        if self.job is None:
            return "A job at Cloudflare"
        kind = self.job.action_params.type or self.job.action_type or ""
        return words.title(str(kind), str(self.job.action_params.destination or ""))

    @property
    def state(self) -> str:
        """The look of its state."""
        job = self.job
        if job is None:
            return self.ours.state if self.ours else "waiting"
        if job.status == BulkJobStatus.COMPLETED and job.messages_failed:
            return "partly_done" if job.messages_successful else "failed"
        return _STATES.get(job.status, "waiting") if job.status is not None else "unknown"

    @property
    def status(self) -> str:
        if self.job is not None:
            return words.status(self.job.status)
        if self.ours is None:
            return "Reading"
        is_done = self.ours.state == ActionState.DONE
        return "Made" if is_done else str(ActionState(self.ours.state).label).capitalize()

    @property
    def sentence(self) -> str:
        if self.job is not None:
            return words.sentence(self.job)
        return words.asking(self.ours, timezone.now()) if self.ours is not None else "Asking Cloudflare about this job."

    @property
    def notes(self) -> list[str]:
        """What else has to be said, each a sentence."""
        found = []
        if self.ours is not None and self.job is not None and self.ours.explanation:
            found.append(self.ours.explanation)
        if self.seen is not None:
            found += [words.contradiction(self.seen.job), words.standstill(self.seen, timezone.now())]
        if self.is_gone:
            found.append("Cloudflare has no record of this job any more; what you see is the last we know.")
        return [one for one in found if one]

    @property
    def figures(self) -> str:
        return words.figures(self.job) if self.job is not None else ""

    @property
    def failed(self) -> str:
        """ "12 copies failed", of a job that has ended and whose copies can be read; else ""."""
        number = self.job.messages_failed if self.job is not None and self.is_ended else 0
        is_readable = self.is_at_cloudflare and self.is_addressable
        return f"{action_words.counted(number, 'copy')} failed" if number and is_readable else ""

    @property
    def segments(self) -> list[Segment]:
        """The bar; none where the figures do not add up, because its lengths would be invented."""
        job = self.job
        if job is None or not job.total_messages_discovered or not words.adds_up(job):
            return []
        counts = memory.counts(job)
        order = ("successful", "failed", "skipped", "cancelled", "pending")
        found, start = [], 0
        for name in order:
            if counts[name]:
                found.append(Segment(name, counts[name], start))
                start += counts[name]
        return found

    @property
    def terms(self) -> list[tuple[str, str]]:
        """What it acts on, as label and value."""
        if self.job is not None and self.job.search_params:
            return terms_of(self.job.search_params)
        return terms_of(self.ours.request["search_params"]) if self.ours is not None else []

    @property
    def comment(self) -> str:
        """Of jobs made elsewhere; ours say why in full."""
        return (self.job.comment or "") if self.job is not None and self.ours is None else ""

    @property
    def is_ended(self) -> bool:
        if self.is_gone:
            return True
        if self.job is not None:
            return memory.is_ended(self.job)
        return self.ours is not None and (
            self.ours.state in (ActionState.FAILED, ActionState.CANCELLED) or self.ours.needs_person
        )

    @property
    def is_at_cloudflare(self) -> bool:
        return self.job is not None and not self.is_gone

    @property
    def request(self) -> Approval | None:
        """The request for a second person, where the job took one."""
        return approval_of(self.ours) if self.ours is not None else None

    @property
    def may_undo(self) -> bool:
        return self.ours is not None and self.ours.state == ActionState.WAITING

    @property
    def may_cancel(self) -> bool:
        return self.is_at_cloudflare and not self.is_ended

    @property
    def may_delete(self) -> bool:
        return self.is_at_cloudflare and self.is_ended

    @property
    def may_look(self) -> bool:
        return self.ours is not None and self.ours.state == ActionState.UNKNOWN

    def poll_after(self, number: int) -> int:
        """Seconds until the page looks again."""
        if self.problem is not None:
            return max(15, self.problem.retry_after or 0)
        return 2 if number < FAST else 5 if number < MIDDLE else 15


def is_addressable(job_id: str) -> bool:
    return 0 < len(job_id) <= 255 and job_id not in (".", "..") and "/" not in job_id and job_id.isprintable()


def view_of(watched: Watched) -> JobView:
    problem = explain(watched.problem) if watched.problem is not None and not watched.is_gone else None
    return JobView(watched.job_id, watched.ours, watched.seen, problem, watched.is_gone)


def views_of(listing: Listing) -> list[JobView]:
    """The list: what Cloudflare does not have yet stands first, because it needs somebody or is about to go."""
    now = timezone.now()
    asked = [JobView(str(row.pk), row, None) for row in listing.asked]
    there = [JobView(job.job_id, row, memory.Seen(job=job, at=now, same_since=now)) for job, row in listing.jobs]
    return [*asked, *there]


def terms_of(params: Mapping[str, object]) -> list[tuple[str, str]]:
    """Search parameters of a job in words, whoever made it: unknown ones by their own names."""
    found = [
        (visible(_TERMS.get(name, name.replace("_", " ")), limit=40), visible(value, limit=200))
        for name, value in params.items()
        if name not in _RANGE and value not in (None, "", False)
    ]
    start, end = (parse_time(str(params.get(name) or "")) for name in ("start", "end"))
    if start or end:
        found.append(("range", f"{moment(start) or 'the beginning'} to {moment(end) or 'its discovery'}"))
    found.append(("only", "detections") if params.get("detections_only", True) else ("also", "clean mail"))
    return found


def choices(member: Member, counted: Sample | None = None) -> list[Choice]:
    """What a job can do, each with what keeps this member from it, and whether what was counted takes two."""
    found = []
    for value, label in CHOICES:
        kind, destination = (ActionKind.RELEASE, "") if value == RELEASE else (ActionKind.MOVE, value)
        is_large = counted is not None and counted.is_large
        missing = services.missing_right(member, kind, destination, is_large=is_large)
        second = services.needs_second(kind, destination, counted) if counted is not None else None
        why_not = "" if missing is None else _lacks(missing)
        is_danger = kind == ActionKind.RELEASE or destination in FOLDER_HELP
        text = _RELEASE_HELP if kind == ActionKind.RELEASE else FOLDER_HELP.get(destination, "")
        title = words.title(kind, destination) or label
        found.append(Choice(value, title, text, why_not, is_danger, second.why if second is not None else ""))
    return found


_RELEASE_HELP = "Delivers every held copy that the search finds, malicious mail included. Nothing takes it back."


def _lacks(permission: Permission) -> str:
    if permission == Permission.JOB_RUN_LARGE:
        return "Your role may not run jobs of this size."
    return action_words.lacks(permission)


@dataclass(frozen=True)
class CopyView:
    """One copy of a job."""

    copy: BulkMessage

    @property
    def state(self) -> str:
        return _COPY_STATES.get(self.copy.status, "waiting") if self.copy.status is not None else "unknown"

    @property
    def status(self) -> str:
        return self.copy.status.value.capitalize() if self.copy.status is not None else "Not known"

    @property
    def recipient(self) -> str:
        return self.copy.action_params.client_recipient or ""

    @property
    def investigate_id(self) -> str:
        """The message's id, where it is one that can be opened."""
        found = self.copy.message.id if self.copy.message is not None else ""
        return found if is_addressable(found) else ""

    @property
    def subject(self) -> str:
        return (self.copy.message.subject or "") if self.copy.message is not None else ""

    @cached_property
    def tries(self) -> str:
        return words.copy_words(self.copy)


def sample_rows(rows: Sequence[MessageRow], zone: dt.tzinfo) -> list[Row]:
    """The messages to look at, as rows of a list."""
    return [row_of(row, zone) for row in rows]


def verdict_word(value: str) -> str:
    return action_words.disposition(value) if value != "UNKNOWN" else "Unknown"
