"""Every sentence about a request: who asks for what, why it takes two, how it ended."""

from __future__ import annotations

from collections.abc import Mapping

from investigate.actions import words as action_words
from investigate.actions.words import counted
from investigate.approvals.fingerprints import About
from investigate.bulk import words as job_words
from investigate.bulk.upstream import words as upstream_words
from investigate.models import Action, ActionKind, ActionState, Approval, ApprovalState, BulkJob, JobState, UpstreamJob

STATES = {
    ApprovalState.PENDING: "awaiting approval",
    ApprovalState.APPROVED: "approved",
    ApprovalState.REFUSED: "refused",
    ApprovalState.EXPIRED: "expired",
    ApprovalState.WITHDRAWN: "withdrawn",
}


def command(about: About, *, messages: int = 1) -> str:
    """ "Purge 1 message", "Move 9,214 messages to Junk": what will happen, and with how many."""
    match about:
        case UpstreamJob():
            number = about.counted.get("messages", 0)
            some = f"{number:,} messages and more" if about.counted.get("is_more") else counted(number, "message")
            title = upstream_words.title(about.kind, about.destination)
            return f"{title} {some} at Cloudflare" if about.kind == ActionKind.RELEASE else f"{title}: {some}"
        case BulkJob() if about.state != "awaiting_approval":
            return job_words.title(about)
        case BulkJob():
            messages = about.counts.get(ActionState.QUEUED, 0)
    return job_words.command(about.kind, about.destination, about.expected_disposition, messages=messages)


def lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def asks(approval: Approval, about: About) -> str:
    """ "Ana asks: purge 412 messages (ticket 4711)"."""
    reason = f" ({about.reason})" if about.reason else ""
    return f"{approval.requested_by_name} asks: {lowered(command(about))}{reason}"


def ended(approval: Approval, about: About) -> str:
    """What became of it, in a sentence; "" while it waits."""
    what = action_words.noun(about.kind, about.destination)
    match approval.state:
        case ApprovalState.APPROVED:
            return f"{approval.decided_by_name} approved the {what}."
        case ApprovalState.REFUSED:
            return f"{approval.decided_by_name} refused the {what}: {approval.comment.rstrip('.')}. Nothing was sent."
        case ApprovalState.EXPIRED:
            return f"Nobody approved the {what} in time. Nothing was sent."
        case ApprovalState.WITHDRAWN:
            return f"{approval.requested_by_name} withdrew the {what}. Nothing was sent."
    return ""


def state_words(approval: Approval, about: About) -> str:
    """Where it stands in few words; of what was approved, what came of that."""
    if approval.state != ApprovalState.APPROVED:
        return STATES[ApprovalState(approval.state)]
    past = action_words.past(about.kind, about.destination)
    match shown_state(approval, about):
        case "done":
            then = past
        case "partly_done":
            then = f"{past} in part"
        case "failed":
            then = f"not {past}"
        case "cancelled":
            then = "then stopped"
        case "sending" | "paused" as state:
            then = state
        case "unknown":
            then = "outcome unknown"
        case _:
            return "approved"
    return f"approved, {then}"


def shown_state(approval: Approval, about: About) -> str:
    """Which symbol and colour it has: those of single actions."""
    match approval.state:
        case ApprovalState.PENDING:
            return "awaiting_approval"
        case ApprovalState.REFUSED:
            return "failed"
        case ApprovalState.APPROVED if isinstance(about, Action | UpstreamJob):
            return str(about.state)
        case ApprovalState.APPROVED if about.state == JobState.DONE:
            return _outcome(about.counts)
        case ApprovalState.APPROVED:
            return "sending" if about.state == JobState.RUNNING else str(about.state)
    return "cancelled"


def _outcome(counts: Mapping[str, int]) -> str:
    """What a job came to that has ended, in the states of single actions: the least certain outcome decides."""
    if counts.get(ActionState.UNKNOWN):
        return str(ActionState.UNKNOWN)
    wrong = counts.get(ActionState.FAILED, 0) + counts.get(ActionState.PARTLY_DONE, 0)
    if not wrong:
        return str(ActionState.DONE)
    is_nothing_done = not counts.get(ActionState.DONE) and not counts.get(ActionState.PARTLY_DONE)
    return str(ActionState.FAILED if is_nothing_done else ActionState.PARTLY_DONE)
