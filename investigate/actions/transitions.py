"""The only place where an action changes its state: conditional updates that say which state they leave.

Everything after the claim also names its attempt. A worker that was overtaken (it slept, its claim expired, another
one went on) changes no row with what it has to say; without that, its late word could reset a newer attempt.
Due times are compared with the database's clock, because the processes' own clocks may differ.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Value
from django.db.models.expressions import Combinable, CombinedExpression
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable, storable_text
from dashboard.audit.recorder import record
from investigate.message import store
from investigate.message.parts import Kept
from investigate.models import Action, ActionItem, ActionState, Receipt

log = structlog.get_logger("mailwarden.actions")

TEXT_LIMIT = 500  # characters of the columns that hold the API's words
_EVIDENCE_LIMIT = 2000
CLAIM_SECONDS = 90  # longer than the longest call, so that only a dead worker's claim expires
MOST_DEAD_ATTEMPTS = 3
FINAL = (ActionState.DONE, ActionState.PARTLY_DONE, ActionState.FAILED, ActionState.CANCELLED)
_PHASES = {
    ActionState.DONE: "done",
    ActionState.PARTLY_DONE: "partly_done",
    ActionState.FAILED: "failed",
    ActionState.UNKNOWN: "unknown",
    ActionState.CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class Copy:
    """What became of one recipient's copy; `is_done` None: not known."""

    recipient: str
    is_done: bool | None
    status: str = ""
    completed_at: dt.datetime | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one message of an action."""

    item: ActionItem
    copies: tuple[Copy, ...] = ()
    state: ActionState | None = None  # where there are no copies to tell it from
    explanation: str = ""


def storable_words(text: str) -> str:
    """The API's words as our columns hold them: short enough, and free of what PostgreSQL refuses."""
    return storable_text(text, limit=TEXT_LIMIT)


def same_copy(recipient: str) -> str:
    """What two spellings of one recipient have in common, as it came from the API or as it was stored."""
    return storable_words(recipient).casefold()


def seconds_from_now(seconds: float) -> Combinable:
    """A moment by the database's clock."""
    return CombinedExpression(Now(), "+", Value(dt.timedelta(seconds=seconds)))


def claim(action_id: uuid.UUID | str) -> Action | None:
    """Take a due action for sending; None where it is not waiting, not due, or somebody else was faster."""
    with transaction.atomic():
        taken = Action.objects.filter(pk=action_id, state=ActionState.WAITING, due_at__lte=Now()).update(
            state=ActionState.SENDING,
            attempt=F("attempt") + 1,
            claimed_at=Now(),
            sent_at=None,
            request=None,
            looks=0,
            explanation="",
        )
        if not taken:
            return None
        ActionItem.objects.filter(action_id=action_id, state=ActionState.WAITING).update(state=ActionState.SENDING)
        return Action.objects.select_related("actor").get(pk=action_id)


def note_request(action: Action, request: dict[str, Any]) -> bool:
    """Write down exactly what is about to be sent. The call must not be made where this answers False."""
    noted = Action.objects.filter(pk=action.pk, attempt=action.attempt, state=ActionState.SENDING).update(
        request=storable(request), sent_at=Now()
    )
    return bool(noted)


def give_back(action: Action, *, after: float, explanation: str = "") -> bool:
    """Return a claimed action unsent: provably nothing happened. It is due again `after` seconds."""
    with transaction.atomic():
        given = Action.objects.filter(pk=action.pk, attempt=action.attempt, state=ActionState.SENDING).update(
            state=ActionState.WAITING,
            due_at=seconds_from_now(after),
            sent_at=None,
            explanation=storable_words(explanation),
        )
        if not given:
            return _overtaken(action, "give_back")
        ActionItem.objects.filter(action=action, state=ActionState.SENDING).update(state=ActionState.WAITING)
    return True


def store_answer(action: Action, outcomes: Sequence[Outcome], *, look_after: float, explanation: str = "") -> bool:
    """Store what the answer said about each message; what it left open is looked up `look_after` seconds later.

    An attempt that follows an unanswered one and is not carried out proves nothing about that one: a person decides.
    """
    needs_person = bool(action.evidence) and any(_is_not_carried_out(outcome) for outcome in outcomes)
    if needs_person:
        why = storable_text(explanation, limit=TEXT_LIMIT - 100)
        explanation = f"An earlier try had no answer and may have happened. {why} Look and decide."
        outcomes = [
            replace(outcome, state=ActionState.UNKNOWN, explanation="") if _is_not_carried_out(outcome) else outcome
            for outcome in outcomes
        ]
    explanation = storable_words(explanation)
    with transaction.atomic():
        state = _together([_item_state(outcome) for outcome in outcomes])
        unknown = state == ActionState.UNKNOWN
        changed = Action.objects.filter(pk=action.pk, attempt=action.attempt, state=ActionState.SENDING).update(
            state=state,
            explanation=explanation,
            finished_at=None if unknown else Now(),
            next_look_at=seconds_from_now(look_after) if unknown and not needs_person else None,
            needs_person=needs_person,
        )
        if not changed:
            return _overtaken(action, "store_answer")
        _store_outcomes(outcomes)
        _record_end(action, state, explanation)
    return True


def expire_claim(action: Action, *, look_after: float) -> bool:
    """End the claim of a worker that never came back.

    Where its request was never written down nothing can have left, and the action simply waits again.
    """
    expired = Action.objects.filter(
        pk=action.pk,
        attempt=action.attempt,
        state=ActionState.SENDING,
        claimed_at__lte=seconds_from_now(-CLAIM_SECONDS),
    )
    is_poison = action.dead_attempts + 1 >= MOST_DEAD_ATTEMPTS
    with transaction.atomic():
        dead = {"dead_attempts": F("dead_attempts") + 1}
        if is_poison:
            tries = f"{action.dead_attempts + 1} tries ended with a worker that stopped."
            sent = "Nothing was sent in the last one." if action.sent_at is None else "The last one may have happened."
            explanation, state = f"{tries} {sent} Look and decide.", ActionState.UNKNOWN
            changed = expired.update(state=state, needs_person=True, next_look_at=None, explanation=explanation, **dead)
        elif action.sent_at is None:
            state, explanation = ActionState.WAITING, "A worker stopped before it sent anything."
            changed = expired.filter(sent_at=None).update(state=state, due_at=Now(), explanation=explanation, **dead)
        else:
            state, explanation = ActionState.UNKNOWN, "A worker stopped while it was sending."
            changed = expired.update(
                state=state, next_look_at=seconds_from_now(look_after), explanation=explanation, **dead
            )
        if not changed:
            return False
        ActionItem.objects.filter(action=action, state=ActionState.SENDING).update(state=state)
        if state == ActionState.UNKNOWN:
            _record_end(action, state, explanation)
    log.warning("action_claim_expired", action=str(action.pk), attempt=action.attempt, state=state.value)
    return True


def take_for_look(action_id: uuid.UUID | str, *, lease: float = 60) -> Action | None:
    """Take an unknown action for looking up, if it is due; nobody else looks before the lease is over."""
    with transaction.atomic():
        taken = Action.objects.filter(
            pk=action_id, state=ActionState.UNKNOWN, sent_at__isnull=False, next_look_at__lte=Now()
        ).update(next_look_at=seconds_from_now(lease))
        return Action.objects.get(pk=action_id) if taken else None


def look_again(action: Action, *, after: float) -> bool:
    """The look itself failed: it does not count."""
    return bool(_looked_at(action).update(next_look_at=seconds_from_now(after)))


def store_look(
    action: Action,
    outcomes: Sequence[Outcome],
    *,
    found: str,
    then: ActionState,
    after: float = 0,
    needs_person: bool = False,
    explanation: str = "",
) -> bool:
    """Store what a look found. `then`: a final state, UNKNOWN (another look, or a person), or WAITING (send again)."""
    explanation, found = storable_words(explanation), storable_text(found, limit=_EVIDENCE_LIMIT)
    evidence = [*action.evidence, {"at": timezone.now().isoformat(), "found": found}]
    with transaction.atomic():
        if then in FINAL:
            then = _together([_item_state(outcome) for outcome in outcomes])
        changed = _looked_at(action).update(
            state=then,
            looks=F("looks") + 1,
            evidence=evidence,
            needs_person=needs_person,
            explanation=explanation,
            next_look_at=seconds_from_now(after) if then == ActionState.UNKNOWN and not needs_person else None,
            finished_at=Now() if then in FINAL else None,
            due_at=Now() if then == ActionState.WAITING else F("due_at"),
        )
        if not changed:
            return _overtaken(action, "store_look")
        if then in FINAL:
            _store_outcomes(outcomes)
            _record_end(action, then, f"Looked up: {found}")
        elif then == ActionState.WAITING:
            ActionItem.objects.filter(action=action, state=ActionState.UNKNOWN).update(state=then)
    return True


def cancel(action: Action, *, request: HttpRequest | None = None) -> bool:
    """Undo, while nothing has been claimed; against a worker that claims at the same moment exactly one wins."""
    with transaction.atomic():
        changed = Action.objects.filter(pk=action.pk, state=ActionState.WAITING).update(
            state=ActionState.CANCELLED, finished_at=Now(), explanation=""
        )
        if not changed:
            return False
        items = ActionItem.objects.filter(action=action, state=ActionState.WAITING)
        items.update(state=ActionState.CANCELLED, attachment=None)
        _record_end(action, ActionState.CANCELLED, "", actor=action.actor, request=request)
    return True


def settle_by_hand(
    action: Action, *, actor: Member, as_done: bool, explanation: str, request: HttpRequest | None = None
) -> bool:
    """A person decides what became of an action that waits for a person."""
    state, explanation = ActionState.DONE if as_done else ActionState.FAILED, storable_words(explanation)
    with transaction.atomic():
        changed = Action.objects.filter(
            pk=action.pk, attempt=action.attempt, state=ActionState.UNKNOWN, needs_person=True
        ).update(state=state, needs_person=False, finished_at=Now(), next_look_at=None, explanation=explanation)
        if not changed:
            return False
        items = ActionItem.objects.filter(action=action, state=ActionState.UNKNOWN)
        Receipt.objects.filter(item__in=items, is_done=None).update(
            is_done=as_done, status=f"{explanation.rstrip('.')}"
        )
        items.update(state=state, attachment=None)
        _record_end(action, state, explanation, actor=actor, request=request)
    return True


def ask_for_look(action: Action) -> bool:
    """Let the next look happen at once, also for an action that waits for a person."""
    return bool(
        Action.objects.filter(pk=action.pk, state=ActionState.UNKNOWN, sent_at__isnull=False).update(next_look_at=Now())
    )


def fail_unsent(action: Action, explanation: str) -> bool:
    """End a claimed action that was not sent and will not be."""
    outcomes = [
        Outcome(item, state=ActionState.FAILED, explanation=explanation)
        for item in action.items.filter(state=ActionState.SENDING)
    ]
    return store_answer(action, outcomes, look_after=0, explanation=explanation)


def _looked_at(action: Action) -> Any:
    return Action.objects.filter(pk=action.pk, attempt=action.attempt, looks=action.looks, state=ActionState.UNKNOWN)


def _item_state(outcome: Outcome) -> ActionState:
    if outcome.state is not None:
        return outcome.state
    ends = {copy.is_done for copy in outcome.copies}
    if None in ends or not ends:
        return ActionState.UNKNOWN
    if ends == {True}:
        return ActionState.DONE
    return ActionState.PARTLY_DONE if True in ends else ActionState.FAILED


def _is_not_carried_out(outcome: Outcome) -> bool:
    """Refused, or not sent at all: nothing is said about the copies."""
    return outcome.state == ActionState.FAILED and not outcome.copies


def _together(states: Iterable[ActionState]) -> ActionState:
    """The state of an action from those of its messages."""
    found = set(states)
    if ActionState.UNKNOWN in found or not found:
        return ActionState.UNKNOWN
    if len(found) == 1:
        return found.pop()
    return ActionState.PARTLY_DONE


def _store_outcomes(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        item, state = outcome.item, _item_state(outcome)
        item.state, item.explanation = state, storable_words(outcome.explanation)
        if state in FINAL:
            item.attachment = None
        store.forget(item.investigate_id, Kept.MESSAGE)  # its delivery state is another one now
        item.save(update_fields=["state", "explanation", "attachment"])
        if state == ActionState.FAILED and not outcome.copies:
            item.receipts.filter(is_done=None).update(is_done=False, status=item.explanation)
        before = {same_copy(receipt.recipient): receipt for receipt in item.receipts.all()}
        for copy in outcome.copies:
            name, status = storable_words(copy.recipient), storable_words(copy.status)
            receipt = before.setdefault(same_copy(name), Receipt(item=item, recipient=name))
            receipt.is_done, receipt.status, receipt.completed_at = copy.is_done, status, copy.completed_at
            receipt.save()


def _record_end(
    action: Action,
    state: ActionState,
    explanation: str,
    *,
    actor: Member | None = None,
    request: HttpRequest | None = None,
) -> None:
    copies = Receipt.objects.filter(item__action=action).values_list("is_done", flat=True)
    counts = {"done": 0, "failed": 0, "unknown": 0}
    for is_done in copies:
        counts["unknown" if is_done is None else "done" if is_done else "failed"] += 1
    record(
        actor=actor,
        action=f"message:{action.kind}",
        phase=_PHASES[state],
        request=request,
        refers_to=action.audit_sequence,
        targets=action.items.values_list("investigate_id", flat=True),
        detail={"action": action.pk, "attempt": action.attempt, "copies": counts, "explanation": explanation},
    )


def _overtaken(action: Action, step: str) -> bool:
    log.warning("action_overtaken", action=str(action.pk), attempt=action.attempt, step=step)
    return False
