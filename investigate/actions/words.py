"""Every sentence about an action, in one voice: the verb the person used, numbers first, nothing claimed too early."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from dashboard.access.roles import ROLES, Permission
from dashboard.emailsec import errors
from dashboard.upstream import words as upstream_words
from dashboard.upstream.health import STALE
from dashboard.web.times import clock, minutes
from investigate.models import Action, ActionKind, ActionState, Approval, ApprovalState, BulkJob, Receipt

SENDS_NOW_SECONDS = 3.0  # after its time an action is on its way; later than this it waits for a worker

FOLDERS = {
    "Inbox": "Inbox",
    "JunkEmail": "Junk",
    "DeletedItems": "Trash",
    "RecoverableItemsDeletions": "Soft delete",
    "RecoverableItemsPurges": "Purge",
}
FOLDER_HELP = {
    "RecoverableItemsDeletions": "Gone from the mailbox; the user can restore it (Microsoft 365 only).",
    "RecoverableItemsPurges": "Gone for the user; only an administrator can restore it.",
}
DISPOSITIONS = {
    "MALICIOUS": "Malicious",
    "MALICIOUS-BEC": "BEC",
    "SUSPICIOUS": "Suspicious",
    "SPOOF": "Spoof",
    "SPAM": "Spam",
    "BULK": "Bulk",
    "NONE": "Clean",
}


def folder(destination: str) -> str:
    return FOLDERS.get(destination, destination)


def disposition(value: str) -> str:
    return DISPOSITIONS.get(value, value)


def counted(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"


def future(kind: str, destination: str = "", expected: str = "", *, messages: int = 1) -> str:
    """ "Moves 1 message to Junk": what will happen."""
    some = counted(messages, "message")
    match kind, destination:
        case ActionKind.MOVE, "RecoverableItemsDeletions":
            return f"Soft-deletes {some}"
        case ActionKind.MOVE, "RecoverableItemsPurges":
            return f"Purges {some}"
        case ActionKind.MOVE, _:
            return f"Moves {some} to {folder(destination)}"
        case ActionKind.RELEASE, _:
            return f"Releases {some}"
    return f"Submits {some} as {disposition(expected)}"


def noun(kind: str, destination: str = "") -> str:
    if kind == ActionKind.MOVE:
        return {"RecoverableItemsDeletions": "soft delete", "RecoverableItemsPurges": "purge"}.get(destination, "move")
    return "release" if kind == ActionKind.RELEASE else "submission"


def past(kind: str, destination: str = "") -> str:
    if kind == ActionKind.MOVE:
        return {"RecoverableItemsDeletions": "soft-deleted", "RecoverableItemsPurges": "purged"}.get(
            destination, "moved"
        )
    return "released" if kind == ActionKind.RELEASE else "submitted"


def short(action: Action, *, done: int = 0, copies: int = 0, is_overdue: bool = False) -> str:
    """A few words for the row: "moved to Junk", "released 2 of 3"."""
    match action.state:
        case ActionState.WAITING if is_overdue:
            return "waiting to be sent"
        case ActionState.WAITING:
            return "waiting" if action.attempt == 0 else "waiting to try again"
        case ActionState.UNKNOWN if action.needs_person:
            return "unknown, needs a person"
        case ActionState.AWAITING_APPROVAL:
            return "awaiting approval"
    return outcome(action, action.state, done=done, copies=copies)


def outcome(decided: Action | BulkJob, state: str, *, done: int = 0, copies: int = 0) -> str:
    """What became of one message of an action or a job: "moved to Junk", "released 2 of 3", "not moved"."""
    did = past(decided.kind, decided.destination)
    match state:
        case ActionState.QUEUED | ActionState.WAITING:
            return "queued"
        case ActionState.SENDING:
            return "sending"
        case ActionState.DONE:
            if decided.kind == ActionKind.RECLASSIFY:
                return f"submitted as {disposition(decided.expected_disposition)}"
            return f"moved to {folder(decided.destination)}" if did == "moved" else did
        case ActionState.PARTLY_DONE:
            return f"{did} {done} of {copies}"
        case ActionState.FAILED:
            return f"not {did}"
        case ActionState.UNKNOWN:
            return "unknown, looking"
        case ActionState.SKIPPED:
            return "left out"
    return "undone"


def sentence(action: Action, receipts: Iterable[Receipt] = (), *, messages: int = 1, is_own: bool = True) -> str:
    """What is true about the action now, in full; only whose action it is reads that it can be undone."""
    copies = list(receipts)
    did = past(action.kind, action.destination)
    match action.state:
        case ActionState.WAITING:
            return _waiting(action, messages, is_own=is_own)
        case ActionState.SENDING:
            return (
                f"{future(action.kind, action.destination, action.expected_disposition, messages=messages)}: sending."
            )
        case ActionState.UNKNOWN:
            return _unknown(action)
        case ActionState.CANCELLED if action.explanation:  # by somebody else, or because nobody approved it
            return f"{action.explanation} Nothing was sent."
        case ActionState.CANCELLED:
            return (
                "Undone before it was sent again; the first try left no trace."
                if action.evidence
                else "Undone before it was sent."
            )
        case ActionState.AWAITING_APPROVAL:
            return "Waits for a second person."
    return " ".join(part for part in (_looked(action, did), _ended(action, did, copies)) if part)


def _waiting(action: Action, messages: int, *, is_own: bool) -> str:
    what = future(action.kind, action.destination, action.expected_disposition, messages=messages)
    undo = " Undo (z)" if is_own else ""
    left = (action.due_at - dt.datetime.now(dt.UTC)).total_seconds()
    if left <= 0:
        late = "Sends now." if left > -SENDS_NOW_SECONDS else "Waiting to be sent."
        return f"{action.explanation} {what}. {late}".strip()
    if action.attempt:
        return f"{action.explanation} {what} at {clock(action.due_at)}.{undo}".strip()
    return f"{what} in {max(1, round(left))} s.{undo}"


def with_second_person(told: str, action: Action, approval: Approval) -> str:
    """ "purged, approved by Ben", "refused by Ben": both people, in a few words."""
    match approval.state:
        case ApprovalState.APPROVED if action.state != ActionState.CANCELLED:
            return f"{told}, approved by {approval.decided_by_name}"
        case ApprovalState.REFUSED:
            return f"refused by {approval.decided_by_name}"
        case ApprovalState.EXPIRED:
            return "request expired"
    return told


def overdue(silence: float | None) -> str:
    """Why an action still waits long after its time; `silence`: seconds since the worker's last sign."""
    if silence is None:
        return "waiting to be sent, the worker is offline"
    if silence < STALE.total_seconds():
        return "waiting to be sent, the worker is slow"
    return f"waiting to be sent, the worker has not answered for {minutes(silence)}"


def to_others(action: Action, receipts: Iterable[Receipt] = ()) -> tuple[str, str]:
    """What somebody else than the actor reads: ("Ana releases this message", "") or ("Ana released it", "3 of 3 ...").

    The first part is without its moment, which pages show as a running time; the second follows in full sentences.
    """
    copies = list(receipts)
    who, did = action.actor_name, past(action.kind, action.destination)
    match action.state:
        case ActionState.WAITING | ActionState.SENDING:
            what = future(action.kind, action.destination, action.expected_disposition)
            return f"{who} {what[0].lower()}{what[1:].replace('1 message', 'this message', 1)}", ""
        case ActionState.DONE | ActionState.PARTLY_DONE if action.kind != ActionKind.RECLASSIFY:
            done = sum(1 for copy in copies if copy.is_done)
            reached = "delivered" if action.kind == ActionKind.RELEASE else did
            return f"{who} {did} it", f"{done} of {len(copies)} {reached}." if copies else ""
        case ActionState.DONE:
            return f"{who} submitted it as {disposition(action.expected_disposition)}", ""
        case ActionState.CANCELLED if not action.explanation:
            return f"{who} undid the {noun(action.kind, action.destination)}", ""
    return f"{who}'s {noun(action.kind, action.destination)}", sentence(action, copies, is_own=False)


def _unknown(action: Action) -> str:
    what = noun(action.kind, action.destination)
    if action.needs_person:
        return action.explanation or f"Nobody can tell from here whether the {what} happened. Look and decide."
    if action.sent_at is None:
        return action.explanation or "Checking."
    again = "nothing is sent again before it is known" if action.kind == ActionKind.MOVE else "nothing is sent again"
    if action.explanation:
        return f"{action.explanation} Checking; {again}."
    return f"No answer came. The {what} may have happened. Checking; {again}."


def _looked(action: Action, did: str) -> str:
    """ "Checked at 01:22:40: it was released." for what a look settled."""
    if not action.looks or not action.evidence or action.explanation.startswith("Settled by"):
        return ""
    was = {ActionState.DONE: "it was", ActionState.PARTLY_DONE: "it was partly"}.get(
        ActionState(action.state), "it was not"
    )
    return f"Checked at {clock(action.finished_at)}: {was} {did}."


def _ended(action: Action, did: str, copies: list[Receipt]) -> str:
    done = [copy for copy in copies if copy.is_done]
    not_done = [copy for copy in copies if not copy.is_done]
    if action.state == ActionState.FAILED:
        reasons = action.explanation or _reasons(not_done)
        return f"Not {did}. {reasons}".strip() if not action.looks or reasons else ""
    if action.kind == ActionKind.RECLASSIFY:
        said = f"Submitted as {disposition(action.expected_disposition)}. Cloudflare's answer comes later."
        return f"{action.explanation} {said}".strip()
    said = f"{did.capitalize()} {len(done)} of {counted(len(copies), 'copy')}." if copies else f"{did.capitalize()}."
    if action.state == ActionState.PARTLY_DONE:
        said = f"{did.capitalize()} {len(done)} of {len(copies)}. {_reasons(not_done)}"
    return f"{action.explanation} {said}".strip()


def _reasons(copies: list[Receipt]) -> str:
    shown = [f"{copy.recipient or 'Cloudflare'}: {copy.status or 'no reason given'}." for copy in copies[:3]]
    if len(copies) > 3:
        shown.append(f"{len(copies) - 3} more.")
    return " ".join(shown)


def receipt(kind: str, copy: Receipt) -> str:
    """What became of one copy."""
    did = past(kind) if kind != ActionKind.RELEASE else "delivered"
    if copy.is_done:
        told = copy.status if copy.status and copy.status.casefold() not in ("ok", "success", did) else ""
        return f"{did} ({told})" if told else did
    if copy.is_done is None:
        return copy.status or "not in the answer"
    return copy.status or f"not {did}"


def refusal(problem: errors.EmailSecurityError) -> str:
    """Why the service did not do it, and who can mend that."""
    if isinstance(problem, errors.NotFound):
        return "Cloudflare no longer knows this message."
    return upstream_words.refusal(problem)


def pause(problem: errors.EmailSecurityError) -> str:
    """Why an action that was not sent waits longer."""
    if isinstance(problem, errors.RateLimited):
        return "The account's call budget is used up; nothing was sent."
    return "Cloudflare could not be reached; nothing was sent."


def lacks(permission: Permission) -> str:
    """Who may do what this person may not."""
    roles = sorted(role.value.replace("_", " ") for role, held in ROLES.items() if permission in held)
    what = {
        Permission.APPROVAL_DECIDE: "approve what others ask for",
        Permission.JOB_RUN: "act on many messages at once",
        Permission.JOB_RUN_LARGE: "run a job of this size",
        Permission.MESSAGE_RELEASE_MALICIOUS: "release malicious mail",
        Permission.MESSAGE_PURGE: "delete mail for good",
        Permission.MESSAGE_RELEASE: "release mail",
        Permission.MESSAGE_MOVE: "move mail",
        Permission.MESSAGE_RECLASSIFY: "submit mail to Cloudflare",
        Permission.POLICY_ACCEPT: "accept a sender",
        Permission.POLICY_BLOCK: "block a sender",
        Permission.POLICY_WRITE: "change the account's settings",
    }[permission]
    holders = " or ".join([", ".join(roles[:-1]), roles[-1]] if len(roles) > 1 else roles)
    return f"Your role may not {what}: ask {'an' if holders[0] in 'aeiou' else 'a'} {holders}."
