"""Every sentence about a job, in the voice of `investigate.actions.words`: numbers first, nothing claimed too early."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from dashboard.web.times import clock
from investigate.actions.words import counted, disposition, folder, future, noun, past
from investigate.bulk.tally import OVERTAKEN
from investigate.models import ActionKind, ActionState, BulkJob, JobSource, JobState

OPEN = (ActionState.QUEUED, ActionState.AWAITING_APPROVAL, ActionState.WAITING, ActionState.SENDING)
LEFT_OUT = (ActionState.SKIPPED, ActionState.CANCELLED)  # nothing was, or will be, sent for these

STATES = {
    JobState.COLLECTING: "collecting",
    JobState.REHEARSAL: "rehearsal",
    JobState.AWAITING_APPROVAL: "awaiting approval",
    JobState.WAITING: "waiting",
    JobState.RUNNING: "running",
    JobState.PAUSED: "paused",
    JobState.DONE: "done",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "failed",
}
DID = {  # what people do with a job, by its name in the audit trail
    "job:take_over": "Taken over",
    "job:pause": "Paused",
    "job:resume": "Resumed",
    "job:retry": "Retried",
    "job:cancel": "Stopped",
}
SOURCES = {
    JobSource.SELECTION: "ticked rows",
    JobSource.SEARCH: "a search",
    JobSource.PASTE: "a pasted list",
    JobSource.JOB: "an earlier job",
}


def did(action: str, detail: Mapping[str, object]) -> str:
    """ "Paused", or "Taken over" also where somebody has resumed the job of who may do it no longer."""
    return DID["job:take_over"] if detail.get("from") else DID[action]


def command(kind: str, destination: str = "", expected: str = "", *, messages: int) -> str:
    """ "Move 9,214 messages to Junk": what a button, or the title of a job, says."""
    some = counted(messages, "message")
    match kind, destination:
        case ActionKind.MOVE, "RecoverableItemsDeletions":
            return f"Soft-delete {some}"
        case ActionKind.MOVE, "RecoverableItemsPurges":
            return f"Purge {some}"
        case ActionKind.MOVE, _:
            return f"Move {some} to {folder(destination)}"
        case ActionKind.RELEASE, _:
            return f"Release {some}"
    return f"Submit {some} as {disposition(expected)}"


def title(job: BulkJob) -> str:
    """The job as a command, with the messages it acts on; what cannot work is not among them, unless nothing can."""
    messages = taken_on(job.counts)
    if not messages and job.state == JobState.CANCELLED and job.decided_at is None:
        messages = sum(job.counts.values())  # of a rehearsal that was discarded: what it had found
    return command(job.kind, job.destination, job.expected_disposition, messages=messages)


def taken_on(counts: Mapping[str, int]) -> int:
    """The messages of a job that were to be acted on, those cancelled since among them."""
    return sum(counts.values()) - counts.get(ActionState.SKIPPED, 0)


def still_open(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in OPEN)


def progress(job: BulkJob) -> str:
    """ "Moved 9,180 of 9,214 messages. 34 refused.": true at any time."""
    counts, did = job.counts, past(job.kind, job.destination).capitalize()
    said = [f"{did} {counts.get(ActionState.DONE, 0):,} of {counted(taken_on(counts), 'message')}."]
    for state, told in (
        (ActionState.PARTLY_DONE, f"{counts.get(ActionState.PARTLY_DONE, 0):,} in part"),
        (ActionState.FAILED, f"{counts.get(ActionState.FAILED, 0):,} refused"),
        (ActionState.UNKNOWN, f"{counts.get(ActionState.UNKNOWN, 0):,} unknown"),
    ):
        if counts.get(state):
            said.append(f"{told}.")
    return " ".join(said)


def sentence(job: BulkJob) -> str:
    """What is true about the job now; a countdown stands beside it."""
    if is_nothing_done(job):
        return f"Nothing done: {counted(taken_on(job.counts), 'message')} left out when the turn came."
    match job.state:
        case JobState.COLLECTING:
            return "Its messages are being collected. Nothing was sent."
        case JobState.REHEARSAL:
            return "Rehearsed; waits to be decided. Nothing was sent."
        case JobState.FAILED:
            return f"Its messages could not be collected. {job.explanation} Nothing was sent.".replace("  ", " ")
        case JobState.AWAITING_APPROVAL:
            return "Waits for a second person. Nothing has been sent yet."
        case JobState.WAITING:
            what = future(job.kind, job.destination, job.expected_disposition, messages=taken_on(job.counts))
            return f"{what} once its time to undo is over. Nothing has been sent yet."
        case JobState.CANCELLED if job.decided_at is None:
            return f"{job.explanation or 'Discarded.'} Nothing was sent."
        case JobState.CANCELLED if job.started_at is None:
            return f"{job.explanation or 'Undone.'} Nothing was sent."
        case JobState.CANCELLED:
            dropped = job.counts.get(ActionState.CANCELLED, 0)
            rest = f" {counted(dropped, 'message')} {'was' if dropped == 1 else 'were'} not sent." if dropped else ""
            return f"{job.explanation or 'Cancelled.'} {progress(job)}{rest}"
    return progress(job)


def retry(counts: Mapping[str, int]) -> str:
    """ "Retry 26 refused and 16 in part": the button, in the words of the bar."""
    told = {ActionState.FAILED: "refused", ActionState.PARTLY_DONE: "in part"}
    said = [f"{counts[state]:,} {word}" for state, word in told.items() if counts.get(state)]
    return f"Retry {' and '.join(said) or 'refused'}"


def left_out(job: BulkJob) -> str:
    """What the bar does not show, in words; "" where nothing was left out."""
    number = job.counts.get(ActionState.SKIPPED, 0)
    it = "it" if number == 1 else "they"
    return f"{number:,} left out: {it} cannot be {past(job.kind, job.destination)}." if number else ""


def overtaken(job: BulkJob) -> str:
    """The messages somebody else acted on before their turn came, or that may not be sent any more; each says why."""
    number = job.counts.get(OVERTAKEN, 0)
    return f"{number:,} left out when {'its' if number == 1 else 'their'} turn came." if number else ""


def is_nothing_done(job: BulkJob) -> bool:
    """Whether a job came to its end with everything left out that it was to act on."""
    number = job.counts.get(OVERTAKEN, 0)
    return bool(job.state == JobState.DONE and number and number == taken_on(job.counts))


def looked_up(chunks: int, messages: int) -> str:
    what = "1 chunk" if chunks == 1 else f"{chunks:,} chunks"
    return f"{what} of {messages:,} {'is' if chunks == 1 else 'are'} being looked up. Nothing will be sent twice."


def waits_for_look(rest: int, chunk: int, at: dt.datetime | None) -> str:
    """ "4,357 messages wait until chunk 1 is looked up, next at 13:39:47." """
    then = f", next at {clock(at)}." if at else "."
    if not rest:
        return f"The job ends when chunk {chunk} is looked up{then}"
    return f"{_wait(rest)} until chunk {chunk} is looked up{then}"


def waits_for_answer(rest: int, chunk: int, latest: dt.datetime) -> str:
    """Of a chunk that is on its way for longer than chunks are; then its worker is taken for dead."""
    until = f"for the answer to chunk {chunk}, at the latest until {clock(latest)}."
    return f"{_wait(rest)} {until}" if rest else f"The job waits {until}"


def _wait(messages: int) -> str:
    return f"{counted(messages, 'message')} {'waits' if messages == 1 else 'wait'}"


def in_doubt(kind: str, destination: str = "") -> str:
    """Beside a chunk that looking could not settle."""
    return f"Nobody can tell from here whether the {noun(kind, destination)} happened. Look and decide."


def lasting(seconds: float) -> str:
    """How long something takes, as people say it: 40 s, 12 min, 2 h 5 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
