"""What the API answered, as one outcome for each message and one line for each recipient's copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

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


def of_moves(items: Sequence[ActionItem], results: Sequence[MoveResult]) -> list[Outcome]:
    """A move of many messages answers one result for each copy, named by Message-ID and recipient, in any number.

    Two messages of one Message-ID to the same recipient can be told apart only where their results say the same.
    What nothing names stays unknown, unless as many nameless results say "no" as there are messages left.
    """
    by_copy: dict[tuple[str, str], list[MoveResult]] = {}
    for result in results:
        by_copy.setdefault((_header(result.message_id), same_copy(result.recipient or "")), []).append(result)
    messages = Counter(_header(item.message_id) for item in items)
    asked = Counter(
        (_header(item.message_id), same_copy(recipient)) for item in items for recipient in item.recipients or [""]
    )
    for key in by_copy.keys() - asked.keys() - {("", "")}:
        log.warning("answer_names_a_stranger", copies=len(by_copy[key]))
    outcomes, unnamed = [], []
    for item in items:
        copies = [_moved(item, recipient, by_copy, asked, messages) for recipient in item.recipients or [""]]
        if all(copy.status == NOT_IN_ANSWER for copy in copies):
            unnamed.append(len(outcomes))
        outcomes.append(Outcome(item, tuple(_keep_done(item, copies))))
    nameless = by_copy.get(("", ""), [])
    if len(unnamed) == len(nameless) and all(result.success is False for result in nameless):
        for place in unnamed:
            outcomes[place] = refused(items[place], "Cloudflare did not find the message.")
    return outcomes


def _moved(
    item: ActionItem,
    recipient: str,
    by_copy: Mapping[tuple[str, str], Sequence[MoveResult]],
    asked: Mapping[tuple[str, str], int],
    messages: Mapping[str, int],
) -> Copy:
    header = _header(item.message_id)
    for name in dict.fromkeys((same_copy(recipient), "")):  # some answers name the message and not the recipient
        found = by_copy.get((header, name), []) if header else []
        # As many as were asked for: one result for two messages says nothing about which of them it is.
        are_all = len(found) == asked.get((header, name)) if name else len(found) >= messages[header]
        if found and are_all and len({result.success for result in found}) == 1:
            return Copy(recipient, found[0].success, _plain(found[0].status), found[0].completed_at)
    return Copy(recipient, None, NOT_IN_ANSWER)


def _header(message_id: str | None) -> str:
    return (message_id or "").strip().strip("<>").strip()


def of_releases(items: Sequence[ActionItem], results: Sequence[ReleaseResult]) -> list[Outcome]:
    """A release answers for each message which recipients it reached. Other messages in the answer are ignored."""
    by_name = {name: item.pk for item in items for name in (item.postfix_id, item.investigate_id) if name}
    ours: dict[int, list[ReleaseResult]] = {item.pk: [] for item in items}
    for result in results:
        asked = by_name.get(result.id) or by_name.get(result.postfix_id or "")
        if asked is None:
            log.warning("answer_names_a_stranger", named=result.id)
        else:
            ours[asked].append(result)
    return [_released(item, ours[item.pk]) for item in items]


def _released(item: ActionItem, ours: Sequence[ReleaseResult]) -> Outcome:
    copies: list[Copy] = []
    for result in ours:
        copies += [Copy(recipient, is_done=True) for recipient in result.delivered]
        copies += [Copy(recipient, is_done=False, status="not released") for recipient in result.failed]
        copies += [Copy(recipient, is_done=False, status="released, not delivered") for recipient in result.undelivered]
    return _complete(item, copies)


def of_submissions(items: Sequence[ActionItem], receipts: Sequence[SubmissionReceipt]) -> list[Outcome]:
    """Which of many messages were taken for review, by the id each was submitted with."""
    by_id = {receipt.id: receipt for receipt in receipts if receipt.id}
    outcomes = []
    for item in items:
        receipt = by_id.get(item.alert_id) or by_id.get(item.postfix_id) or by_id.get(item.investigate_id)
        missing = Outcome(item, (Copy("", None, NOT_IN_ANSWER),))
        outcomes.append(missing if receipt is None else of_submission(item, receipt))
    return outcomes


def of_submission(item: ActionItem, receipt: SubmissionReceipt) -> Outcome:
    """Whether the message was taken for review; HTTP 202 alone says nothing."""
    return Outcome(item, (Copy("", receipt.accepted, receipt.error or ""),))


def lost(item: ActionItem) -> Outcome:
    """No answer to trust: nothing is known about any copy."""
    is_whole = item.action.kind == ActionKind.RECLASSIFY  # a message is submitted, not its copies
    copies = [Copy(recipient, None, "no answer") for recipient in ([""] if is_whole else item.recipients)]
    return Outcome(item, tuple(_keep_done(item, copies)), state=ActionState.UNKNOWN)


def refused(item: ActionItem, why: str) -> Outcome:
    """Provably not done; copies that an earlier try reached stay done."""
    is_reached = any(receipt.is_done for receipt in item.receipts.all())
    return Outcome(item, state=ActionState.PARTLY_DONE if is_reached else ActionState.FAILED, explanation=why)


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
