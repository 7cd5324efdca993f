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
from typing import Any

import structlog
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import allowed
from dashboard.emailsec import EmailSecurityClient, MissedDetection, Priority, Reclassification, errors
from dashboard.emailsec.types import Disposition, MailboxDestination
from dashboard.upstream.connection import get_client
from investigate.actions import answers, transitions, words
from investigate.actions.decision import LARGEST_EML, permission_for
from investigate.actions.transitions import Outcome
from investigate.models import Action, ActionItem, ActionKind, ActionState

log = structlog.get_logger("mailwarden.actions")

CALL_SECONDS = 45.0  # everything about one call; half of what a claim lasts
SUBMIT_SECONDS = 40.0  # an old server costs a second call, and both must fit into the claim
STALE_SECONDS = 1.0  # between claim and call; a worker that was held up longer may have been overtaken
GIVE_UP_AFTER = dt.timedelta(hours=1)  # what could not be sent for so long is no longer what anybody expects to happen
RAW_SECONDS = 15.0
_REFUSED = (
    errors.CredentialsRefused,
    errors.NotPermitted,
    errors.NotFound,
    errors.Rejected,
    errors.NotOnThisServer,
)


@dataclass(frozen=True)
class Call:
    """One call, as it is written down and as it is made."""

    request: dict[str, Any]
    make: Callable[[EmailSecurityClient], list[Outcome]]


def send(action_id: uuid.UUID | str, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Send an action that is due. Harmless when it is not, when it is gone, and when another worker has it."""
    _add_eml(action_id)
    claimed = clock()
    action = transitions.claim(action_id)
    if action is None:
        return
    items = list(action.items.filter(state=ActionState.SENDING))
    if not _may_still(action, items):
        who = action.actor_name
        transitions.fail_unsent(action, f"Nothing was sent: {who} no longer has the right to do this.")
        return
    call = _call(action, items)
    if not transitions.note_request(action, call.request):
        return
    if clock() - claimed > STALE_SECONDS:
        transitions.give_back(action, after=0)
        return
    _carry_out(action, items, call)


def _carry_out(action: Action, items: list[ActionItem], call: Call) -> None:
    quiet = float(settings.QUIET_SECONDS)
    try:
        outcomes = call.make(get_client())
    except (errors.RateLimited, errors.Unavailable) as problem:
        _wait_and_try_again(action, problem)
    except _REFUSED as problem:
        why = words.refusal(problem)
        log.warning("action_refused", action=str(action.pk), error=type(problem).__name__, status=problem.status)
        transitions.store_answer(
            action, [answers.refused(item, why) for item in items], look_after=quiet, explanation=why
        )
    except errors.EmailSecurityError as problem:
        log.warning("action_unknown", action=str(action.pk), error=type(problem).__name__, status=problem.status)
        transitions.store_answer(action, [answers.lost(item) for item in items], look_after=quiet)
    else:
        transitions.store_answer(action, outcomes, look_after=quiet, explanation=_left_open(outcomes))
    # Anything else is a fault of ours after the request was written down: the row stays `sending` until its claim
    # expires and is then looked up, because nobody can say how far it came.


def _left_open(outcomes: list[Outcome]) -> str:
    copies = [copy for outcome in outcomes for copy in outcome.copies]
    missing = sum(copy.is_done is None for copy in copies)
    if not missing:
        return ""
    return f"The answer says nothing about {missing} of {words.counted(len(copies), 'copy')}."


def _wait_and_try_again(action: Action, problem: errors.EmailSecurityError) -> None:
    """Nothing was sent. The row waits, not the worker."""
    if timezone.now() - action.created_at > GIVE_UP_AFTER:
        transitions.fail_unsent(action, f"{words.pause(problem)} It was given up after an hour of tries.")
        return
    pause = problem.retry_after or min(300.0, 15.0 * 2 ** min(action.attempt - 1, 5))
    transitions.give_back(action, after=max(1.0, pause), explanation=words.pause(problem))


def _may_still(action: Action, items: list[ActionItem]) -> bool:
    """Whether the person who decided may do this now, by the rights in the database now."""
    actor = Member.objects.filter(pk=action.actor_id).first() if action.actor_id else None
    return actor is not None and all(
        allowed(actor, permission_for(action.kind, destination=action.destination, disposition=item.disposition))
        for item in items
    )


def _call(action: Action, items: list[ActionItem]) -> Call:
    match action.kind:
        case ActionKind.MOVE:
            return _move(action, items)
        case ActionKind.RELEASE:
            return _release(items)
    return _submission(action, items)


def _move(action: Action, items: list[ActionItem]) -> Call:
    (item,) = items
    destination = MailboxDestination(action.destination)

    def make(client: EmailSecurityClient) -> list[Outcome]:
        results = client.move(item.investigate_id, destination, budget=CALL_SECONDS, priority=Priority.ACTION)
        return [answers.of_move(item, results)]

    return Call({"operation": "move", "id": item.investigate_id, "destination": str(destination)}, make)


def _release(items: list[ActionItem]) -> Call:
    ids = [item.investigate_id for item in items]

    def make(client: EmailSecurityClient) -> list[Outcome]:
        results = client.release(ids, budget=CALL_SECONDS, priority=Priority.ACTION)
        return [answers.of_release(item, results) for item in items]

    return Call({"operation": "release", "ids": ids}, make)


def _submission(action: Action, items: list[ActionItem]) -> Call:
    (item,) = items
    expected = Disposition(action.expected_disposition)
    eml = bytes(item.attachment) if item.attachment else None
    message: Reclassification | MissedDetection
    if item.alert_id:
        message = Reclassification(alert_id=item.alert_id, expected_disposition=expected)
        named: dict[str, Any] = {"type": "reclassification", "alert_id": item.alert_id}
    else:
        message = MissedDetection(
            postfix_id=item.postfix_id or item.investigate_id,
            message_id=item.message_id,
            recipient_emails=tuple(item.recipients) or ("",),
            expected_disposition=expected,
            eml_content=eml,
        )
        named = {
            "type": "missed_detection",
            "postfix_id": message.postfix_id,
            "message_id": item.message_id,
            "recipient_emails": item.recipients,
        }

    def make(client: EmailSecurityClient) -> list[Outcome]:
        receipt = client.submit_or_reclassify(
            item.investigate_id, message, eml=eml, budget=SUBMIT_SECONDS, priority=Priority.ACTION
        )
        return [answers.of_submission(item, receipt)]

    attached = {"eml_sha256": hashlib.sha256(eml).hexdigest()} if eml else {}
    return Call({"operation": "submit", **named, "expected_disposition": str(expected), **attached}, make)


def _add_eml(action_id: uuid.UUID | str) -> None:
    """Fetch the message for a missed detection where there is one to fetch: before the claim, because it may take long.

    Only messages with a detection have a raw form; clean mail goes without, unless the person added the file. The
    submission is worth sending without it, too: whatever goes wrong here leaves it without, and a large one stays away.
    """
    item = (
        ActionItem.objects.filter(
            action_id=action_id,
            action__kind=ActionKind.RECLASSIFY,
            action__due_at__lte=Now(),
            state=ActionState.WAITING,
            alert_id="",
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
