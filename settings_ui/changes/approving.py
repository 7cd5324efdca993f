"""The second person of what takes two: nobody decides their own, nobody decides twice, and what is approved is what was
shown.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.persons import is_same_person
from dashboard.access.roles import known_permissions
from dashboard.audit.chain import storable_text
from dashboard.sql import seconds_from_now
from settings_ui.changes import planning, rights, sending, transitions
from settings_ui.changes.problems import Conflict
from settings_ui.entries.rules import NotPossible
from settings_ui.models import Change, ChangeState

log = structlog.get_logger("mailwarden.changes")

LEAST_UNDO = 5  # seconds; what takes two always has an undo window, also where who approves wants none
LONGEST_COMMENT = 1000
MOST_AT_ONCE = 200
_APPROVED = (ChangeState.WAITING, ChangeState.RUNNING, ChangeState.DONE)
_CHANGED = "It is not what you were shown. Nothing was sent: look at it again."


class NotYours(PermissionDenied):
    """Whoever wants to decide is not the second person; the text says why."""


def approve(
    *, actor: Member, change: Change, fingerprint: str, comment: str = "", request: HttpRequest | None
) -> Change:
    """Let it happen, after an undo window that both people may use.

    `fingerprint` is of what the form showed. The same person's second click changes nothing. Raises NotYours, Conflict,
    AuditNotWritten.
    """
    seconds = max(LEAST_UNDO, actor.undo_seconds)
    with transaction.atomic():
        held = transitions.held(change)
        if held.decided_by_id == actor.pk and held.state in _APPROVED:
            return held
        _check_decides(actor, held)
        if not fingerprint or fingerprint != held.fingerprint or planning.stored_fingerprint(held) != fingerprint:
            raise Conflict(_CHANGED, held)
        _check_still_asked(held)
        _decide(held, ChangeState.WAITING, actor, comment, due_at=seconds_from_now(seconds))
        held.refresh_from_db()
        sequence = _record(held, "policy:approve", "attempt", actor, comment, request)
        Change.objects.filter(pk=held.pk).update(audit_sequence=sequence)
    held.refresh_from_db()
    sending.ring_for(held, after=seconds)
    return held


def refuse(*, actor: Member, change: Change, comment: str, request: HttpRequest | None) -> Change:
    """Say no, and why. Raises NotYours, NotPossible, Conflict, AuditNotWritten."""
    with transaction.atomic():
        held = transitions.held(change)
        if held.state == ChangeState.CANCELLED and held.decided_by_id == actor.pk:
            return held
        _check_decides(actor, held)
        if not comment.strip():
            raise NotPossible("Say why you refuse it: who asked reads it.")
        told = f"Refused by {actor.display_name}: {comment.strip().rstrip('.')}."
        _decide(held, ChangeState.AWAITING_APPROVAL, actor, comment)
        transitions.drop(held, [ChangeState.AWAITING_APPROVAL], told)
        _record(held, "policy:refuse", "done", actor, comment, request)
    held.refresh_from_db()
    return held


def expire_due() -> None:
    """End the requests whose time is over; for the sweep. Harmless when repeated."""
    due = planning.of_account().filter(state=ChangeState.AWAITING_APPROVAL, expires_at__lte=Now())
    for change in due.order_by("expires_at")[:MOST_AT_ONCE]:
        try:
            _expire(change)
        except Exception as problem:  # noqa: BLE001  one bad row must not keep the others waiting
            log.warning("change_not_expired", change=str(change.pk), error=type(problem).__name__)


def is_one_of_two(member: Member, change: Change) -> bool:
    """Whether this member asked for it, or approved it."""
    second = change.decided_by
    return change.actor_id == member.pk or (second is not None and is_same_person(member, second))


def _expire(change: Change) -> None:
    with transaction.atomic():
        held = transitions.held(change)
        if transitions.drop(held, [ChangeState.AWAITING_APPROVAL], "Nobody approved it in time."):
            transitions.record_change(held, "cancelled", actor=None, explanation="Nobody approved it in time.")


def _check_decides(actor: Member, change: Change) -> None:
    if told := rights.why_not_decide(actor, change):
        raise NotYours(told)
    if change.state != ChangeState.AWAITING_APPROVAL:
        raise Conflict(_why_not_waiting(change), change)
    if not planning.of_account().filter(pk=change.pk).exists():
        raise Conflict("This request is about another account. Nothing was sent.", change)


def _check_still_asked(change: Change) -> None:
    """Who asked has to be somebody who may still ask."""
    if change.actor is None or not rights.holds(change.actor, known_permissions([change.permission])):
        raise Conflict(f"{change.actor_name} no longer has the right to ask for this. Nothing was sent.", change)


def _decide(change: Change, state: ChangeState, actor: Member, comment: str, **values: Any) -> None:
    """The one place where a request is decided; of two who do it in the same instant one changes the row."""
    undecided = Change.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), pk=change.pk)
    undecided = undecided.filter(state=ChangeState.AWAITING_APPROVAL, fingerprint=change.fingerprint)
    decided = undecided.exclude(actor=actor).update(
        state=state,
        changed_at=Now(),
        decided_by=actor,
        decided_by_name=storable_text(actor.display_name, limit=300),
        decided_at=Now(),
        comment=storable_text(comment.strip(), limit=LONGEST_COMMENT),
        **values,
    )
    if not decided:
        change.refresh_from_db()
        raise Conflict(_why_not_waiting(change), change)


def _why_not_waiting(change: Change) -> str:
    if change.state == ChangeState.AWAITING_APPROVAL:
        return "This request has expired. Whoever wants it asks anew."
    if change.state == ChangeState.CANCELLED:
        return change.explanation or "This was cancelled."
    return f"{change.decided_by_name} approved this already."


def _record(change: Change, action: str, phase: str, actor: Member, comment: str, request: HttpRequest | None) -> int:
    return transitions.record_change(
        change,
        phase,
        actor=actor,
        request=request,
        action=action,
        reason=comment.strip(),
        asked_by=change.actor_name,
    )
