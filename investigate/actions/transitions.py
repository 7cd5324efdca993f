"""The only place where an action changes its state: conditional updates that say which state they leave.

Everything after the claim also names its attempt. A worker that was overtaken (it slept, its claim expired, another
one went on) changes no row with what it has to say; without that, its late word could reset a newer attempt.
Due times are compared with the database's clock, because the processes' own clocks may differ.

A chunk of a job is an action with many messages. Its messages rest as `queued` instead of `waiting`: then nobody is
kept from acting on them, and whoever does so first has them. Locks are taken in one order: job, action, items.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable, storable_text
from dashboard.audit.recorder import record
from dashboard.sql import seconds_from_now
from investigate.bulk.tally import COPY_ENDS, change, tally
from investigate.desk.changes import note_change
from investigate.message import store
from investigate.message.parts import Kept
from investigate.models import OPEN_STATES, Action, ActionItem, ActionState, BulkJob, JobState, Receipt

log = structlog.get_logger("mailwarden.actions")

OUTSIDE_NOW = "Copies went to mailboxes outside the domains {who} is limited to now."
TEXT_LIMIT = 500  # characters of the columns that hold the API's words
_EVIDENCE_LIMIT = 2000
CLAIM_SECONDS = 2 * settings.CALL_SECONDS  # longer than the longest call: only a dead worker's claim expires
CLAIM_TRIES = 5  # of a chunk, whose messages others may take in the same instant
MOST_DEAD_ATTEMPTS = 3
LOOK_LEASE = 2 * settings.CALL_SECONDS  # a look, the calls it has begun, and some time to store what it found
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


def claim(action_id: uuid.UUID | str) -> Action | None:
    """Take a due action for sending; None where it is not waiting, not due, or somebody else was faster.

    Messages of a chunk that others act on, or have acted on since the job was decided, are skipped.
    """
    for number in range(CLAIM_TRIES):
        try:
            return _claim(action_id)
        except (IntegrityError, OperationalError) as problem:  # somebody took one of the messages just now
            log.info("claim_again", action=str(action_id), error=type(problem).__name__)
            if number == CLAIM_TRIES - 1:
                raise
    return None


def _claim(action_id: uuid.UUID | str) -> Action | None:
    with transaction.atomic():
        job = _hold_job_of(action_id)
        if job is not None and not _is_carried_on(job):
            return None
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
        action = Action.objects.select_related("actor", "job__actor").get(pk=action_id)
        if action.job is not None:
            _skip_what_others_have(action, action.job)
            _skip_what_is_outside(action, action.job)
        action.items.filter(state=resting(action)).update(state=ActionState.SENDING)
        _tell_job(action)
        return action


def resting(action: Action) -> ActionState:
    """The state of messages that were decided on and not yet sent."""
    return ActionState.WAITING if action.job_id is None else ActionState.QUEUED


def _skip_what_others_have(chunk: Action, job: BulkJob) -> None:
    """The later decision on a message stands, and one that is on its way is left alone."""
    mine = ActionItem.objects.filter(action=chunk, state=ActionState.QUEUED)
    others = (
        ActionItem.objects.filter(investigate_id__in=mine.values("investigate_id"), action__isnull=False)
        .exclude(action__job=job)
        .annotate(decided_at=Coalesce("action__job__decided_at", "action__created_at"))
    )
    done = (ActionState.DONE, ActionState.PARTLY_DONE)
    found = others.filter(Q(state__in=OPEN_STATES) | Q(state__in=done, decided_at__gt=job.decided_at))
    reasons: dict[str, list[str]] = {}
    for name, who, state in found.values_list("investigate_id", "action__actor_name", "state"):
        told = f"{who} acted on it after this job was decided." if state in done else f"{who} is acting on it."
        reasons.setdefault(told, []).append(name)
    for told, names in reasons.items():
        mine.filter(investigate_id__in=names).update(state=ActionState.SKIPPED, explanation=storable_words(told))


def _skip_what_is_outside(chunk: Action, job: BulkJob) -> None:
    """Whose job it is may have been limited to fewer recipient domains since it was decided."""
    if job.actor is None or job.actor.scope.is_whole:
        return
    scope, mine = job.actor.scope, ActionItem.objects.filter(action=chunk, state=ActionState.QUEUED)
    outside = [pk for pk, domains in mine.values_list("pk", "domains") if not scope.covers_domains(domains)]
    if outside:
        told = OUTSIDE_NOW.format(who=job.actor_name)
        mine.filter(pk__in=outside).update(state=ActionState.SKIPPED, explanation=storable_words(told))


def note_request(action: Action, request: dict[str, Any]) -> bool:
    """Write down exactly what is about to be sent. The call must not be made where this answers False."""
    noted = Action.objects.filter(pk=action.pk, attempt=action.attempt, state=ActionState.SENDING).update(
        request=storable(request), sent_at=Now()
    )
    return bool(noted)


def give_back(action: Action, *, after: float, explanation: str = "") -> bool:
    """Return a claimed action unsent: provably nothing happened. It is due again `after` seconds."""
    with transaction.atomic():
        _hold_job(action)
        given = Action.objects.filter(pk=action.pk, attempt=action.attempt, state=ActionState.SENDING).update(
            state=ActionState.WAITING,
            due_at=seconds_from_now(after),
            sent_at=None,
            explanation=storable_words(explanation),
        )
        if not given:
            return _overtaken(action, "give_back")
        action.items.filter(state=ActionState.SENDING).update(state=resting(action))
        _tell_job(action)
    return True


def postpone(action: Action, *, after: float, explanation: str) -> bool:
    """What has to be known before an action is claimed cannot be read now: it is due again `after` seconds."""
    waiting = Action.objects.filter(pk=action.pk, state=ActionState.WAITING)
    return bool(waiting.update(due_at=seconds_from_now(after), explanation=storable_words(explanation)))


def leave_out(item: ActionItem, why: str) -> None:
    """A message of a job that waits to be sent is not sent."""
    with transaction.atomic():
        BulkJob.objects.select_for_update().get(pk=item.job_id)
        left = ActionItem.objects.filter(pk=item.pk, state=ActionState.QUEUED)
        if left.update(state=ActionState.SKIPPED, explanation=storable_words(why)):
            tally(item.job_id)


def end_without_call(action: Action, explanation: str) -> bool:
    """End a claimed chunk none of whose messages is left to be sent."""
    with transaction.atomic():
        _hold_job(action)
        before = _other_states(action, []) - {ActionState.SKIPPED}  # of an earlier try that reached some of them
        ended = Action.objects.filter(pk=action.pk, attempt=action.attempt, state=ActionState.SENDING).update(
            state=_together(before) if before else ActionState.CANCELLED,
            finished_at=Now(),
            explanation=storable_words(explanation),
        )
        if not ended:
            return _overtaken(action, "end_without_call")
        _tell_job(action)
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
        _hold_job(action)
        state = _together([*map(_item_state, outcomes), *_other_states(action, outcomes)])
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
        _tell_job(action, _store_outcomes(action, outcomes))
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
        _hold_job(action)
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
        items = action.items.filter(state=ActionState.SENDING)
        if state == ActionState.UNKNOWN:
            delta = _doubt_copies(items) if action.job_id else {}
            items.update(state=state)
            _tell_job(action, delta)
            _record_end(action, state, explanation)
        else:
            items.update(state=resting(action))
            _tell_job(action)
    log.warning("action_claim_expired", action=str(action.pk), attempt=action.attempt, state=state.value)
    return True


def looks_due() -> QuerySet[Action]:
    """Actions whose outcome is to be looked up now, the longest waiting first."""
    return Action.objects.filter(state=ActionState.UNKNOWN, sent_at__isnull=False, next_look_at__lte=Now()).order_by(
        "next_look_at"
    )


def take_for_look(action_id: uuid.UUID | str, *, lease: float = LOOK_LEASE) -> Action | None:
    """Take an unknown action for looking up, if it is due; nobody else looks before the lease is over."""
    with transaction.atomic():
        taken = Action.objects.filter(
            pk=action_id, state=ActionState.UNKNOWN, sent_at__isnull=False, next_look_at__lte=Now()
        ).update(next_look_at=seconds_from_now(lease))
        return Action.objects.get(pk=action_id) if taken else None


def look_again(action: Action, *, after: float, looking: Mapping[str, Any] | None = None) -> bool:
    """The look itself failed, or goes on later from `looking`: it does not count yet."""
    values: dict[str, Any] = {} if looking is None else {"looking": dict(looking)}
    return bool(_looked_at(action).update(next_look_at=seconds_from_now(after), **values))


def store_look(
    action: Action,
    outcomes: Sequence[Outcome],
    *,
    found: str,
    then: ActionState,
    after: float = 0,
    needs_person: bool = False,
    explanation: str = "",
    looking: Mapping[str, Any] | None = None,
) -> bool:
    """Store what a look found. `then`: a final state, UNKNOWN (another look, or a person), or WAITING (send again).

    Messages it settled are settled, also where others of the same chunk are not. `looking`: the look had not the time
    for all of them and goes on from there, so it does not count yet.
    """
    explanation, found = storable_words(explanation), storable_text(found, limit=_EVIDENCE_LIMIT)
    evidence = [*action.evidence, {"at": timezone.now().isoformat(), "found": found, "attempt": action.attempt}]
    part = {"looking": dict(looking)} if looking else {"looking": {}, "looks": F("looks") + 1, "evidence": evidence}
    with transaction.atomic():
        _hold_job(action)
        if then in FINAL:
            then = _together([*map(_item_state, outcomes), *_other_states(action, outcomes)])
        changed = _looked_at(action).update(
            **part,
            state=then,
            needs_person=needs_person,
            explanation=explanation,
            next_look_at=seconds_from_now(after) if then == ActionState.UNKNOWN and not needs_person else None,
            finished_at=Now() if then in FINAL else None,
            due_at=Now() if then == ActionState.WAITING else F("due_at"),
        )
        if not changed:
            return _overtaken(action, "store_look")
        delta = _store_outcomes(action, [outcome for outcome in outcomes if _item_state(outcome) in FINAL])
        if then in FINAL:
            _record_end(action, then, f"Looked up: {found}")
        elif then == ActionState.WAITING:
            action.items.filter(state=ActionState.UNKNOWN).update(state=resting(action))
        _tell_job(action, delta)
    return True


def cancel(action: Action, *, actor: Member | None = None, request: HttpRequest | None = None) -> bool:
    """Undo, while nothing has been claimed; against a worker that claims at the same moment exactly one wins.

    `actor`: who undoes it, where that is not whose action it is.
    """
    told = storable_words(f"Undone by {actor.display_name}.") if actor is not None else ""
    with transaction.atomic():
        changed = Action.objects.filter(pk=action.pk, state=ActionState.WAITING).update(
            state=ActionState.CANCELLED, finished_at=Now(), explanation=told
        )
        if not changed:
            return False
        action.items.filter(state=ActionState.WAITING).update(state=ActionState.CANCELLED, attachment=None)
        _record_end(action, ActionState.CANCELLED, told, actor=actor or action.actor, request=request)
    return True


def approve(action: Action, *, seconds: float) -> bool:
    """A second person has agreed: the action waits out its undo window like any other."""
    with transaction.atomic():
        changed = Action.objects.filter(pk=action.pk, state=ActionState.AWAITING_APPROVAL).update(
            state=ActionState.WAITING, due_at=seconds_from_now(seconds)
        )
        if changed:
            action.items.filter(state=ActionState.AWAITING_APPROVAL).update(state=ActionState.WAITING)
            _tell_pages(action)
    return bool(changed)


def drop(action: Action, explanation: str) -> bool:
    """Nobody agreed: nothing is sent, and the message is free again."""
    with transaction.atomic():
        changed = Action.objects.filter(pk=action.pk, state=ActionState.AWAITING_APPROVAL).update(
            state=ActionState.CANCELLED, finished_at=Now(), explanation=storable_words(explanation)
        )
        if changed:
            waiting = action.items.filter(state=ActionState.AWAITING_APPROVAL)
            waiting.update(state=ActionState.CANCELLED, attachment=None)
            _tell_pages(action)
    return bool(changed)


def cancel_unsent(job: BulkJob, *, actor: Member | None = None, request: HttpRequest | None = None) -> None:
    """Send nothing more of a job, whose row the caller holds: neither what is queued nor a chunk that waits.

    The pages are told first and the records come last: from the first of them on nobody else's can be written until the
    transaction ends.
    """
    waiting = Action.objects.filter(job=job, state=ActionState.WAITING)
    unsent = job.items.filter(state=ActionState.QUEUED)
    note_change(unsent.filter(Q(action=None) | Q(action__in=waiting)).values_list("investigate_id", flat=True))
    _leave_unsent(unsent.filter(action=None))
    ended = []
    for chunk in waiting:
        if chunk.evidence:
            ended.append((chunk, ActionState.UNKNOWN, _park(chunk, job), None))
        else:
            Action.objects.filter(pk=chunk.pk).update(state=ActionState.CANCELLED, finished_at=Now(), explanation="")
            _leave_unsent(chunk.items.filter(state=ActionState.QUEUED))
            ended.append((chunk, ActionState.CANCELLED, "", actor))
        _count_chunk(chunk)
    tally(job.pk)
    for chunk, state, explanation, who in ended:
        _record(chunk, state, explanation, actor=who, request=request)


def _park(chunk: Action, job: BulkJob) -> str:
    """A chunk that is not sent again, and whose earlier try nobody knows the end of, is no chunk that was not sent."""
    explanation = "An earlier try had no answer and may have happened. Nothing is sent again. Look and decide."
    Action.objects.filter(pk=chunk.pk).update(
        state=ActionState.UNKNOWN, needs_person=True, next_look_at=None, explanation=explanation
    )
    _skip_what_others_have(chunk, job)
    chunk.items.filter(state=ActionState.QUEUED).update(state=ActionState.UNKNOWN)
    return explanation


def _leave_unsent(items: QuerySet[ActionItem]) -> None:
    """Messages that are not sent after all; what an earlier try did to their copies stands."""
    copies = Receipt.objects.filter(item=OuterRef("pk"))
    reached, missed = Exists(copies.filter(is_done=True)), Exists(copies.exclude(is_done=True))
    items.update(
        state=Case(
            When(reached & missed, then=Value(ActionState.PARTLY_DONE)),
            When(reached, then=Value(ActionState.DONE)),
            When(missed, then=Value(ActionState.FAILED)),
            default=Value(ActionState.CANCELLED),
        )
    )


def settle_by_hand(
    action: Action, *, actor: Member, as_done: bool, explanation: str, request: HttpRequest | None = None
) -> bool:
    """A person decides what became of an action that waits for a person."""
    state, explanation = ActionState.DONE if as_done else ActionState.FAILED, storable_words(explanation)
    with transaction.atomic():
        _hold_job(action)
        changed = Action.objects.filter(
            pk=action.pk, attempt=action.attempt, state=ActionState.UNKNOWN, needs_person=True
        ).update(state=state, needs_person=False, finished_at=Now(), next_look_at=None, explanation=explanation)
        if not changed:
            return False
        items = action.items.filter(state=ActionState.UNKNOWN)
        settled = Receipt.objects.filter(item__in=items, is_done=None).update(
            is_done=as_done, status=f"{explanation.rstrip('.')}"
        )
        items.update(state=state, attachment=None)
        _tell_job(action, {"unknown": -settled, COPY_ENDS[as_done]: settled})
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
    return outcome.state in (ActionState.FAILED, ActionState.PARTLY_DONE) and not outcome.copies


def _together(states: Iterable[ActionState]) -> ActionState:
    """The state of an action from those of its messages."""
    found = set(states) - {ActionState.SKIPPED}
    if ActionState.UNKNOWN in found or not found:
        return ActionState.UNKNOWN
    if len(found) == 1:
        return found.pop()
    return ActionState.PARTLY_DONE


def _other_states(action: Action, outcomes: Sequence[Outcome]) -> set[ActionState]:
    """States of the messages a chunk has besides those an answer is about."""
    if action.job_id is None:
        return set()
    about = [outcome.item.pk for outcome in outcomes]
    found = action.items.exclude(pk__in=about).order_by().values_list("state", flat=True).distinct()
    return {ActionState(state) for state in found}


def _store_outcomes(action: Action, outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Write messages and copies in a few statements, and say how many more copies have each end now."""
    here = set(action.items.filter(pk__in=[outcome.item.pk for outcome in outcomes]).values_list("pk", flat=True))
    outcomes = [outcome for outcome in outcomes if outcome.item.pk in here]  # a retry may have taken some into another
    ends: dict[tuple[ActionState, str], list[ActionItem]] = {}
    for outcome in outcomes:
        ends.setdefault((_item_state(outcome), storable_words(outcome.explanation)), []).append(outcome.item)
    for (state, explanation), items in ends.items():
        settled: dict[str, Any] = {"attachment": None} if state in FINAL else {}
        ActionItem.objects.filter(pk__in=[item.pk for item in items]).update(
            state=state, explanation=explanation, **settled
        )
    # Their delivery states are others now.
    store.forget([outcome.item.investigate_id for outcome in outcomes], Kept.MESSAGE)
    return _store_copies(outcomes)


def _store_copies(outcomes: Sequence[Outcome]) -> dict[str, int]:
    receipts: dict[int, dict[str, Receipt]] = {outcome.item.pk: {} for outcome in outcomes}
    for receipt in Receipt.objects.filter(item__in=list(receipts)):
        receipts[receipt.item_id][same_copy(receipt.recipient)] = receipt
    kept = {receipt.pk for of_item in receipts.values() for receipt in of_item.values()}
    before = Counter(COPY_ENDS[receipt.is_done] for of_item in receipts.values() for receipt in of_item.values())
    changed = []
    for outcome in outcomes:
        known = receipts[outcome.item.pk]
        if _is_not_carried_out(outcome):
            for receipt in known.values():
                if receipt.is_done is None:
                    receipt.is_done, receipt.status = False, storable_words(outcome.explanation)
                    changed.append(receipt)
        for copy in outcome.copies:
            name, status = storable_words(copy.recipient), storable_words(copy.status)
            receipt = known.setdefault(same_copy(name), Receipt(item=outcome.item, recipient=name))
            receipt.is_done, receipt.status, receipt.completed_at = copy.is_done, status, copy.completed_at
            changed.append(receipt)
    Receipt.objects.bulk_create([receipt for receipt in changed if receipt.pk is None], batch_size=500)
    Receipt.objects.bulk_update(
        [receipt for receipt in changed if receipt.pk in kept],
        ["is_done", "status", "completed_at"],
        batch_size=200,
    )
    after = Counter(COPY_ENDS[receipt.is_done] for of_item in receipts.values() for receipt in of_item.values())
    return change(before, after)


def _doubt_copies(items: QuerySet[ActionItem]) -> dict[str, int]:
    """Nobody knows what became of these messages: one receipt without an end for each copy that was not done before.

    Copies that failed in an earlier try are in doubt again: this one may have reached them.
    """
    outcomes = []
    for item in items.prefetch_related("receipts"):
        done = {same_copy(receipt.recipient) for receipt in item.receipts.all() if receipt.is_done}
        copies = tuple(Copy(name, None, "no answer") for name in item.recipients if same_copy(name) not in done)
        outcomes.append(Outcome(item, copies))
    return _store_copies(outcomes)


def _hold_job(action: Action) -> None:
    """Lock the job of a chunk before its rows, as everybody does."""
    if action.job_id is not None:
        BulkJob.objects.select_for_update().get(pk=action.job_id)


def _hold_job_of(action_id: uuid.UUID | str) -> BulkJob | None:
    job_id = Action.objects.filter(pk=action_id).values_list("job_id", flat=True).first()
    return None if job_id is None else BulkJob.objects.select_for_update().get(pk=job_id)


def _is_carried_on(job: BulkJob) -> bool:
    """Whether chunks of the job may be sent at this moment: somebody may just have paused it."""
    return job.state == JobState.RUNNING and job.account_id == settings.CLOUDFLARE_ACCOUNT_ID


def _tell_job(action: Action, copies: Mapping[str, int] | None = None) -> None:
    """Count a chunk and its job anew; tell the pages of colleagues of any other action."""
    if action.job_id is not None:
        _count_chunk(action)
        tally(action.job_id, copies)
    else:  # a chunk tells them once it has come to an end: a thousand messages at a time are enough
        _tell_pages(action)


def _tell_pages(action: Action) -> None:
    note_change(action.items.order_by().values_list("investigate_id", flat=True))


def _count_chunk(chunk: Action) -> None:
    counted = chunk.items.order_by().values_list("state").annotate(number=Count("pk"))
    Action.objects.filter(pk=chunk.pk).update(counts={str(state): number for state, number in counted})


def _record_end(
    action: Action,
    state: ActionState,
    explanation: str,
    *,
    actor: Member | None = None,
    request: HttpRequest | None = None,
) -> None:
    """Tell colleagues' pages, and then the trail: whoever writes there waits for us from here on."""
    _tell_pages(action)
    _record(action, state, explanation, actor=actor, request=request)


def _record(
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
    detail = {"action": action.pk, "attempt": action.attempt, "copies": counts, "explanation": explanation}
    meant = {"destination": action.destination, "expected_disposition": action.expected_disposition}
    detail |= {name: value for name, value in meant.items() if value}
    if action.job_id is None:  # a chunk's would be as long as the result of its job, which holds them
        detail |= _exchange(action)
    record(
        actor=actor,
        action=f"message:{action.kind}",
        phase=_PHASES[state],
        request=request,
        refers_to=action.audit_sequence,
        targets=action.items.values_list("investigate_id", flat=True),
        detail=detail,
    )


def _exchange(action: Action) -> dict[str, Any]:
    """What was sent, exactly, and what the API answered for each copy."""
    answers = Receipt.objects.filter(item__action=action).values_list("recipient", "is_done", "status")
    return {
        "request": Action.objects.values_list("request", flat=True).get(pk=action.pk),
        "answers": [{"copy": copy, "done": is_done, "status": status} for copy, is_done, status in answers],
    }


def _overtaken(action: Action, step: str) -> bool:
    log.warning("action_overtaken", action=str(action.pk), attempt=action.attempt, step=step)
    return False
