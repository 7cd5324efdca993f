"""An unanswered write is settled by looking at the message, never by sending it again to see.

A look waits until the service had time to finish and to write its log. Three looks over ten minutes (by the usual quiet
time) without a trace: a move may be sent again, because moving twice ends in the same folder; a release or a submission
goes to a person. A verdict names the attempt and the look it belongs to.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import structlog

from dashboard.emailsec import EmailSecurityClient, errors
from dashboard.upstream.connection import get_client
from dashboard.upstream.patience import until_next_look
from investigate.actions import transitions, words
from investigate.actions.chunk_looking import ChunkFindings, NotYet, look_at_chunk, look_for_submissions, summary
from investigate.actions.looking import look_at
from investigate.models import LIVE_JOBS, Action, ActionItem, ActionKind, ActionState

log = structlog.get_logger("mailwarden.actions")

MOST_SENDINGS, MOST_SENDINGS_OF_CHUNK = 3, 10  # a job goes on by itself as long as every try is known not to have been
FEW = 5  # messages that are looked at one by one; more of them are searched for together
_LATER, _SOON = 60.0, 10.0  # seconds until a look that failed is tried again; a whole job may wait for one


def look_up(action_id: uuid.UUID | str) -> bool:
    """Look at the messages of an action whose outcome is unknown, if a look is due; True where one was taken."""
    action = transitions.take_for_look(action_id)
    if action is None:
        return False
    items = list(action.items.filter(state=ActionState.UNKNOWN).prefetch_related("receipts"))
    try:
        found = _look(get_client(), action, items)
    except NotYet as pending:
        transitions.look_again(action, after=pending.after, looking=pending.looking)
    except errors.EmailSecurityError as problem:
        log.warning("action_look_failed", action=str(action.pk), error=type(problem).__name__, status=problem.status)
        transitions.look_again(action, after=max(problem.retry_after or 0.0, _SOON if action.job_id else _LATER))
    else:
        _settle(action, found)
    return True


def _look(client: EmailSecurityClient, action: Action, items: Sequence[ActionItem]) -> ChunkFindings:
    if len(items) > FEW and action.kind == ActionKind.RECLASSIFY:
        return look_for_submissions(client, action, items)
    if len(items) > FEW:
        return look_at_chunk(client, action, items, is_last=until_next_look(action.sent_at, action.looks) is None)
    return ChunkFindings([look_at(client, action, item) for item in items])


def _settle(action: Action, found: ChunkFindings) -> None:
    findings = found.findings
    told = " ".join(finding.words for finding in findings) if len(findings) <= FEW else summary(findings)
    outcomes = [finding.outcome for finding in findings]
    if found.looking:
        transitions.store_look(
            action,
            outcomes,
            found=told,
            then=ActionState.UNKNOWN,
            explanation=action.explanation,
            looking=found.looking,
        )
        return
    if all(finding.is_certain for finding in findings):
        transitions.store_look(action, outcomes, found=told, then=ActionState.DONE)
        return
    wait = until_next_look(action.sent_at, action.looks)
    if wait is not None:
        transitions.store_look(
            action, outcomes, found=told, then=ActionState.UNKNOWN, after=wait, explanation=action.explanation
        )
        return
    what = words.noun(action.kind, action.destination)
    looks = f"Looked {action.looks + 1} times and found no proof of the {what}."
    if _may_be_sent_again(action):
        transitions.store_look(action, outcomes, found=told, then=ActionState.WAITING, explanation=looks)
        return
    explanation = (
        f"{looks} Nothing is sent again. Look at the message and decide: it was {words.past(action.kind)}, or not."
    )
    transitions.store_look(
        action, outcomes, found=told, then=ActionState.UNKNOWN, needs_person=True, explanation=explanation
    )


def _may_be_sent_again(action: Action) -> bool:
    """A move changes nothing more when it comes twice. Tries that were held back unsent do not count."""
    sendings = {look.get("attempt") for look in action.evidence} | {action.attempt}
    goes_on = action.job is None or action.job.state in LIVE_JOBS
    most = MOST_SENDINGS if action.job is None else MOST_SENDINGS_OF_CHUNK
    return action.kind == ActionKind.MOVE and len(sendings) < most and goes_on
