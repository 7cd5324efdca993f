"""Every sentence about a job at Cloudflare. Its figures are Cloudflare's: shown as they are, never mended."""

from __future__ import annotations

import datetime as dt

from dashboard.emailsec.enums import BulkJobStatus
from dashboard.emailsec.types import BulkJob as CloudflareJob
from dashboard.emailsec.types import BulkMessage
from dashboard.web.text import visible
from dashboard.web.times import clock
from investigate.actions import words as action_words
from investigate.actions.words import counted
from investigate.bulk.upstream import memory
from investigate.bulk.upstream.sample import Sample
from investigate.models import ActionKind, ActionState, UpstreamJob

SAME_FOR = dt.timedelta(minutes=5)  # unchanged figures of a running job are worth a word after so long

STATUSES = {
    BulkJobStatus.PENDING: "Cloudflare has the job and has not begun.",
    BulkJobStatus.DISCOVERING: "Cloudflare is finding the messages; the figure still grows.",
    BulkJobStatus.PROCESSING: "Cloudflare works through the copies it found.",
    BulkJobStatus.FAILED: "Cloudflare gave the job up. What was done before stays done.",
    BulkJobStatus.CANCELLED: "Stopped. What was done before stays done.",
}


def title(kind: str, destination: str) -> str:
    """ "Move to Junk": what is done to every copy."""
    if kind.casefold() == ActionKind.RELEASE:
        return "Release"
    what = action_words.noun(ActionKind.MOVE, destination)
    return f"Move to {visible(action_words.folder(destination), limit=60)}" if what == "move" else what.capitalize()


def size(sample: Sample) -> str:
    """How many messages a sample stands for; beyond its first page nobody knows."""
    if sample.is_more:
        return f"{sample.messages:,} messages and more"
    return counted(sample.messages, "message")


def status(value: BulkJobStatus | None) -> str:
    return visible(value.value.replace("_", " ").capitalize(), limit=40) if value is not None else "Status not known"


def sentence(job: CloudflareJob) -> str:
    """What Cloudflare says about the job."""
    if job.status == BulkJobStatus.COMPLETED:
        if job.messages_pending:
            left = counted(job.messages_pending, "copy")
            return f"Cloudflare calls the job completed, with {left} still pending."
        return "Ended. Every copy has its outcome." if job.total_messages_discovered else "Ended. It found nothing."
    if job.status is None:
        return "Cloudflare does not say how far the job is."
    return STATUSES.get(job.status) or f"Cloudflare calls its state “{visible(job.status.value, limit=40)}”."


def figures(job: CloudflareJob) -> str:
    """The counters as the sum they should be: "4,000 = 120 pending + 3,700 successful + ..."."""
    parts = " + ".join(f"{number:,} {name}" for name, number in memory.counts(job).items())
    if adds_up(job):
        return f"{job.total_messages_discovered:,} = {parts}"
    return f"{parts} = {job.counted:,}"


def contradiction(job: CloudflareJob) -> str:
    """Where Cloudflare's figures contradict one another, or ""."""
    if adds_up(job):
        return ""
    return (
        f"Cloudflare's figures do not add up: it says that it found {counted(job.total_messages_discovered, 'copy')}, "
        f"and counts {job.counted:,}. How far the job is cannot be told from them; the list of copies can."
    )


def adds_up(job: CloudflareJob) -> bool:
    return job.counted == job.total_messages_discovered and all(number >= 0 for number in memory.counts(job).values())


def standstill(seen: memory.Seen, now: dt.datetime) -> str:
    """That a job which should go on has shown the same for a while, or ""."""
    if memory.is_ended(seen.job) or now - seen.same_since < SAME_FOR:
        return ""
    return f"Nothing has changed since {clock(seen.same_since)}, as far as anybody looked. Cloudflare may be stuck."


def asking(job: UpstreamJob, now: dt.datetime) -> str:
    """What is true about asking for a job of ours, until Cloudflare has it."""
    match job.state:
        case ActionState.WAITING:
            left = round((job.due_at - now).total_seconds())
            when = f"in {left} s" if left > 0 else "now"
            if job.attempt and left > 0:
                when = f"again at {clock(job.due_at)}"
            return f"{job.explanation} Asks Cloudflare for the job {when}.".strip()
        case ActionState.SENDING:
            return "Asking Cloudflare for the job."
        case ActionState.UNKNOWN if job.needs_person:
            return job.explanation
        case ActionState.UNKNOWN:
            why = job.explanation or "No answer came."
            return f"{why} Cloudflare may have made the job. Looking for it there; it is not asked for again."
        case ActionState.FAILED:
            return f"Not made. {job.explanation}".strip()
        case ActionState.AWAITING_APPROVAL:
            return "Waits for a second person. Cloudflare is not asked before."
        case ActionState.CANCELLED:
            return job.explanation or "Undone before Cloudflare was asked."
    return job.explanation


def found_again(number: int) -> str:
    if number == 1:
        return "The answer was lost; the job was found again by its comment."
    return f"The answer was lost; Cloudflare has {number} jobs with its comment, and this is the oldest."


def not_found_again(looks: int) -> str:
    return (
        f"Looked {looks} times and did not find the job at Cloudflare. It is not asked for again. "
        "Look into Cloudflare's dashboard and decide: it is there, or it was not made."
    )


def copy_words(copy: BulkMessage) -> str:
    """How often Cloudflare tried one copy, and when it tries again."""
    parts = [f"tried again {counted(copy.retry_count, 'time')}"] if copy.retry_count else []
    if copy.retry_after is not None:
        parts.append(f"next try {clock(copy.retry_after)}")
    return ", ".join(parts)
