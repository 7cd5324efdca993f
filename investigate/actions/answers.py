"""What the API answered, as one outcome for each message and one line for each recipient's copy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from dashboard.emailsec.types import MoveResult, ReleaseResult, SubmissionReceipt
from investigate.actions.transitions import Copy, Outcome, same_copy
from investigate.models import ActionItem, ActionKind, ActionState

log = structlog.get_logger("mailwarden.actions")

NOT_IN_ANSWER = "not in the answer"


def of_move(item: ActionItem, results: Sequence[MoveResult]) -> Outcome:
    """A move of one message answers a list, as a rule one result for each copy."""
    named = [result for result in results if result.recipient]
    if not named and results:
        named_results = _unnamed(item, results)
    else:
        named_results = [(result.recipient or "", result) for result in named]
    copies = [
        Copy(recipient, result.success, _plain(result.status), result.completed_at)
        for recipient, result in named_results
    ]
    return _complete(item, copies)


def of_release(item: ActionItem, results: Sequence[ReleaseResult]) -> Outcome:
    """A release answers for each message which recipients it reached. Other messages in the answer are ignored."""
    ours = [result for result in results if _is_ours(item, result)]
    for stranger in results:
        if stranger not in ours:
            log.warning("answer_names_a_stranger", asked=item.investigate_id, named=stranger.id)
    copies: list[Copy] = []
    for result in ours:
        copies += [Copy(recipient, is_done=True) for recipient in result.delivered]
        copies += [Copy(recipient, is_done=False, status="not released") for recipient in result.failed]
        copies += [Copy(recipient, is_done=False, status="released, not delivered") for recipient in result.undelivered]
    return _complete(item, copies)


def of_submission(item: ActionItem, receipt: SubmissionReceipt) -> Outcome:
    """Whether the message was taken for review; HTTP 202 alone says nothing."""
    return Outcome(item, (Copy("", receipt.accepted, receipt.error or ""),))


def lost(item: ActionItem) -> Outcome:
    """No answer to trust: nothing is known about any copy."""
    is_whole = item.action.kind == ActionKind.RECLASSIFY  # a message is submitted, not its copies
    copies = [Copy(recipient, None, "no answer") for recipient in ([""] if is_whole else item.recipients)]
    return Outcome(item, tuple(_keep_done(item, copies)), state=ActionState.UNKNOWN)


def refused(item: ActionItem, why: str) -> Outcome:
    """Provably not done."""
    return Outcome(item, state=ActionState.FAILED, explanation=why)


def _is_ours(item: ActionItem, result: ReleaseResult) -> bool:
    names = {item.investigate_id, item.postfix_id} - {""}
    return result.id in names or (result.postfix_id in names)


def _unnamed(item: ActionItem, results: Sequence[MoveResult]) -> list[tuple[str, MoveResult]]:
    """Results that name no recipient: they can be told apart only where it does not matter which is which."""
    recipients = item.recipients or [""] * len(results)
    same = {result.success for result in results}
    if len(results) == len(recipients) and len(same) == 1:
        return list(zip(recipients, results, strict=True))
    if len(results) == 1:  # one answer for the whole message
        return [(recipient, results[0]) for recipient in recipients]
    return []


def _complete(item: ActionItem, answered: Iterable[Copy]) -> Outcome:
    """The copies as answered, and those we asked for that the answer does not name."""
    expected = {same_copy(recipient): recipient for recipient in item.recipients}
    copies: dict[str, Copy] = {}
    for copy in answered:
        key = same_copy(copy.recipient)
        if expected and key not in expected:
            log.warning("answer_names_an_unexpected_copy", investigate_id=item.investigate_id)
        name = expected.get(key, copy.recipient)
        earlier = copies.get(key)
        if earlier is None or earlier.is_done is not False:  # two words on one copy: the worse one stands
            copies[key] = Copy(name, copy.is_done, copy.status, copy.completed_at)
    for key, recipient in expected.items():
        if key not in copies:
            copies[key] = Copy(recipient, None, NOT_IN_ANSWER)
    return Outcome(item, tuple(_keep_done(item, copies.values())))


def _keep_done(item: ActionItem, copies: Iterable[Copy]) -> list[Copy]:
    """A copy an earlier attempt is known to have reached stays done, whatever a repetition says about it."""
    done = {same_copy(receipt.recipient): receipt for receipt in item.receipts.all() if receipt.is_done}
    kept = []
    for copy in copies:
        earlier = done.get(same_copy(copy.recipient))
        kept.append(Copy(copy.recipient, earlier.is_done, earlier.status, earlier.completed_at) if earlier else copy)
    return kept


def _plain(status: str | None) -> str:
    return "" if (status or "").casefold() in ("ok", "success") else status or ""
