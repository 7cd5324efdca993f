"""Carry one action out: claim the row, write down the request, make the call, store what each copy's answer was.

The order is what keeps a message from being released twice: the claim is a conditional update, the request is committed
before the first byte leaves, the call ends before the claim does, and whatever comes back names its attempt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.emailsec import EmailSecurityClient, MissedDetection, Priority, Reclassification, errors
from dashboard.emailsec.types import Disposition, MailboxDestination
from dashboard.upstream.answers import store_surely
from dashboard.upstream.connection import get_client
from dashboard.upstream.patience import pause_after
from investigate.actions import answers, transitions, verdicts, words
from investigate.actions.decision import LARGEST_EML, permission_for
from investigate.actions.transitions import Outcome
from investigate.approvals.rights import approval_of, why_not_sent
from investigate.models import Action, ActionItem, ActionKind, ActionState

log = structlog.get_logger("mailwarden.actions")

CALL_SECONDS = float(settings.CALL_SECONDS)  # everything about one call; half of what a claim lasts
SUBMIT_SECONDS = 0.9 * CALL_SECONDS  # an old server costs a second call, and both must fit into the claim
STALE_SECONDS = 1.0  # between claim and call; a worker that was held up longer may have been overtaken
STALE_CHUNK_SECONDS = min(10.0, 0.5 * CALL_SECONDS)  # claiming a thousand messages takes a while of its own
GIVE_UP_AFTER = dt.timedelta(hours=1)  # what could not be sent for so long is no longer what anybody expects to happen
RAW_SECONDS = 15.0


@dataclass(frozen=True)
class Call:
    """One call, as it is written down and as it is made."""

    request: dict[str, Any]
    make: Callable[[EmailSecurityClient], list[Outcome]]


def send(
    action_id: uuid.UUID | str, *, clock: Callable[[], float] = time.monotonic
) -> errors.EmailSecurityError | None:
    """Send an action that is due. Harmless when it is not, when it is gone, and when another worker has it.

    Answers what kept the call from being carried out, for whoever has to decide how a job goes on.
    """
    try:
        if not verdicts.are_current(action_id):
            return None
    except errors.EmailSecurityError as problem:
        return problem
    _add_eml(action_id)
    claimed = clock()
    action = transitions.claim(action_id)
    if action is None:
        return None
    items = list(action.items.filter(state=ActionState.SENDING).prefetch_related("receipts"))
    if not items:
        transitions.end_without_call(action, _why_nothing_is_left(action))
        return None
    if told := _why_not_sent(action, items):
        _without_right(action, told)
        return None
    call = _call(action, items)
    if not transitions.note_request(action, call.request):
        return None
    if clock() - claimed > (STALE_SECONDS if action.job_id is None else STALE_CHUNK_SECONDS):
        transitions.give_back(action, after=0)
        return None
    return _carry_out(action, items, call)


def _why_nothing_is_left(chunk: Action) -> str:
    if chunk.items.filter(state=ActionState.SKIPPED).exclude(explanation="").exists():
        return "Nothing was sent: every message of this chunk was left out, each with its reason."
    return "Nothing was sent: others were faster with every message of this chunk."


def _without_right(action: Action, why: str) -> None:
    told = f"Nothing was sent: {why}"
    if action.job_id is None:
        transitions.fail_unsent(action, told)
    else:  # the job pauses, and somebody who may decides
        transitions.give_back(action, after=0, explanation=told)


def _carry_out(action: Action, items: list[ActionItem], call: Call) -> errors.EmailSecurityError | None:
    """Make the call and store what came of it. The problem is handed on, after it was stored."""
    quiet = float(settings.QUIET_SECONDS)
    try:
        outcomes = call.make(get_client())
    except (errors.RateLimited, errors.Unavailable) as problem:
        _wait_and_try_again(action, problem)
        return problem
    except errors.REFUSED as problem:
        if action.job_id is not None and (len(items) > 1 or isinstance(problem, errors.MENDABLE)):
            why = words.refusal(problem)
            store_surely(partial(transitions.give_back, action, after=0, explanation=why))
            return problem
        why = words.refusal(problem)
        log.warning("action_refused", action=str(action.pk), error=type(problem).__name__, status=problem.status)
        refused = [answers.refused(item, why) for item in items]
        store_surely(partial(transitions.store_answer, action, refused, look_after=quiet, explanation=why))
        return problem
    except errors.EmailSecurityError as problem:
        log.warning("action_unknown", action=str(action.pk), error=type(problem).__name__, status=problem.status)
        store_surely(
            partial(transitions.store_answer, action, [answers.lost(item) for item in items], look_after=quiet)
        )
        return problem
    told = _left_open(outcomes)
    store_surely(partial(transitions.store_answer, action, outcomes, look_after=quiet, explanation=told))
    return None
    # Anything else is a fault of ours after the request was written down: the row stays `sending` until its claim
    # expires and is then looked up, because nobody can say how far it came.


def _left_open(outcomes: list[Outcome]) -> str:
    copies = [copy for outcome in outcomes for copy in outcome.copies]
    missing = sum(copy.is_done is None for copy in copies)
    if not missing:
        return ""
    return f"The answer says nothing about {missing} of {words.counted(len(copies), 'copy')}."


def _wait_and_try_again(action: Action, problem: errors.EmailSecurityError) -> None:
    """Nothing was sent. The row waits, not the worker; a job as long as it takes."""
    if action.job_id is None and timezone.now() - _decided_at(action) > GIVE_UP_AFTER:
        transitions.fail_unsent(action, f"{words.pause(problem)} It was given up after an hour of tries.")
        return
    pause = pause_after(problem, attempt=action.attempt)
    store_surely(partial(transitions.give_back, action, after=pause, explanation=words.pause(problem)))


def _decided_at(action: Action) -> dt.datetime:
    """Since when it could have been sent: what took two people waited for the second one first."""
    approval = approval_of(action)
    return action.created_at if approval is None or approval.decided_at is None else approval.decided_at


def _why_not_sent(action: Action, items: list[ActionItem]) -> str:
    """Why this may not go out any more, by the rights in the database now of who decided and of who approved it."""
    needed = {
        permission_for(action.kind, destination=action.destination, disposition=item.disposition) for item in items
    }
    decided_by = action.actor if action.job is None else None  # of a job's messages the claim has left these out
    if decided_by is not None and not all(decided_by.scope.covers_domains(item.domains) for item in items):
        return transitions.OUTSIDE_NOW.format(who=action.actor_name)
    # A job may have been taken over since its chunk was packed.
    return why_not_sent(action if action.job is None else action.job, needed)


def _call(action: Action, items: list[ActionItem]) -> Call:
    match action.kind:
        case ActionKind.MOVE:
            return _move(action, items) if len(items) == 1 else _moves(action, items)
        case ActionKind.RELEASE:
            return _release(action, items)
    return _submission(action, items) if len(items) == 1 else _submissions(action, items)


def _priority(action: Action) -> Priority:
    return Priority.ACTION if action.job_id is None else Priority.BULK


def _move(action: Action, items: list[ActionItem]) -> Call:
    (item,) = items
    destination = MailboxDestination(action.destination)

    def make(client: EmailSecurityClient) -> list[Outcome]:
        results = client.move(item.investigate_id, destination, budget=CALL_SECONDS, priority=_priority(action))
        return [answers.of_move(item, results)]

    return Call({"operation": "move", "id": item.investigate_id, "destination": str(destination)}, make)


def _moves(action: Action, items: list[ActionItem]) -> Call:
    ids = [item.investigate_id for item in items]
    destination = MailboxDestination(action.destination)

    def make(client: EmailSecurityClient) -> list[Outcome]:
        results = client.move_many(ids, destination, budget=CALL_SECONDS, priority=_priority(action))
        return answers.of_moves(items, results)

    return Call({"operation": "move", "ids": ids, "destination": str(destination)}, make)


def _release(action: Action, items: list[ActionItem]) -> Call:
    ids = [item.investigate_id for item in items]

    def make(client: EmailSecurityClient) -> list[Outcome]:
        results = client.release(ids, budget=CALL_SECONDS, priority=_priority(action))
        return answers.of_releases(items, results)

    return Call({"operation": "release", "ids": ids}, make)


def _submission(action: Action, items: list[ActionItem]) -> Call:
    (item,) = items
    expected = Disposition(action.expected_disposition)
    eml = bytes(item.attachment) if item.attachment else None
    message, named = _submitted(item, expected, eml)

    def make(client: EmailSecurityClient) -> list[Outcome]:
        receipt = client.submit_or_reclassify(
            item.investigate_id, message, eml=eml, budget=SUBMIT_SECONDS, priority=_priority(action)
        )
        return [answers.of_submission(item, receipt)]

    attached = {"eml_sha256": hashlib.sha256(eml).hexdigest()} if eml else {}
    return Call({"operation": "submit", **named, "expected_disposition": str(expected), **attached}, make)


def _submissions(action: Action, items: list[ActionItem]) -> Call:
    """Many messages in one call, all of one kind: that is how they were packed."""
    expected = Disposition(action.expected_disposition)
    messages, named = zip(*(_submitted(item, expected, None) for item in items), strict=True)

    def make(client: EmailSecurityClient) -> list[Outcome]:
        receipts = client.submit(messages, budget=SUBMIT_SECONDS, priority=_priority(action))
        return answers.of_submissions(items, receipts)

    return Call({"operation": "submit", "messages": list(named), "expected_disposition": str(expected)}, make)


def _submitted(
    item: ActionItem, expected: Disposition, eml: bytes | None
) -> tuple[Reclassification | MissedDetection, dict[str, Any]]:
    """One message as it is submitted, and as it is written down."""
    escalated = item.facts.get("escalates") or None
    also: dict[str, Any] = {"escalated_submission_id": escalated} if escalated else {}
    if item.alert_id and not item.facts.get("as_missed"):
        named: dict[str, Any] = {"type": "reclassification", "alert_id": item.alert_id, **also}
        return Reclassification(
            alert_id=item.alert_id, expected_disposition=expected, escalated_submission_id=escalated
        ), named
    missed = MissedDetection(
        postfix_id=item.postfix_id or item.investigate_id,
        message_id=item.message_id,
        recipient_emails=tuple(item.recipients) or ("",),
        expected_disposition=expected,
        eml_content=eml,
        escalated_submission_id=escalated,
    )
    named = {
        "type": "missed_detection",
        "postfix_id": missed.postfix_id,
        "message_id": item.message_id,
        "recipient_emails": item.recipients,
        **also,
    }
    return missed, named


def _add_eml(action_id: uuid.UUID | str) -> None:
    """Fetch the message for a missed detection where there is one to fetch: before the claim, because it may take long.

    Only messages with a detection have a raw form; clean mail goes without, unless the person added the file. The
    submission is worth sending without it, too: whatever goes wrong here leaves it without, and a large one stays away.
    """
    item = (
        ActionItem.objects.filter(
            Q(alert_id="") | Q(facts__as_missed=True),
            action_id=action_id,
            action__job=None,
            action__kind=ActionKind.RECLASSIFY,
            action__due_at__lte=Now(),
            state=ActionState.WAITING,
            attachment=None,
        )
        .exclude(disposition__in=["", Disposition.NONE.value])
        .first()
    )
    if item is None:
        return
    try:
        raw = get_client().raw(item.investigate_id, budget=RAW_SECONDS, priority=Priority.ACTION).encode()
    except Exception as problem:  # noqa: BLE001  nothing is claimed yet: it would be tried for ever
        log.warning("eml_not_available", action=str(action_id), error=type(problem).__name__)
        return
    if len(raw) > LARGEST_EML:
        log.info("eml_too_large", action=str(action_id), bytes=len(raw))
        return
    ActionItem.objects.filter(pk=item.pk, state=ActionState.WAITING).update(attachment=raw)
