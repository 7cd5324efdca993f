"""What a person can do about a false positive. Everything is written down before anything is sent."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.scope import spaced
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec.types import Message
from investigate.actions import services as actions
from investigate.desk.changes import note_change
from investigate.fixing import advancing, words
from investigate.fixing.bell import ring_for_fix
from investigate.fixing.plan import Plan, PlannedStep, is_detection, plan
from investigate.message.visible import message_for
from investigate.models import Fix, FixStep, FixStepKind, FixStepState
from settings_ui.entries import services as rules
from settings_ui.entries.rules import end_of


class NotPossible(Exception):
    """It cannot work, which is known without asking; the text says why."""


class Conflict(Exception):
    """Somebody, or an earlier click, was faster. `fix` is the one that stands, where there is one."""

    def __init__(self, told: str, fix: Fix | None = None) -> None:
        super().__init__(told)
        self.fix = fix


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the form asks for, beside the message."""

    reason: str
    accept_until: dt.date | None = None  # None: no rule


def of_account() -> QuerySet[Fix]:
    return Fix.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def put_right(
    *, actor: Member, investigate_id: str, wish: Wish, operation_key: str, request: HttpRequest | None
) -> Fix:
    """Write down what is to be done about a false positive, and begin with the first step, which can be undone.

    The same key with the same content is the same fix. Raises NotPossible, Conflict, AuditNotWritten, and what
    reading the message raises.
    """
    fingerprint = _fingerprint(actor, investigate_id, wish)
    again = _same(operation_key, fingerprint)
    if again is not None:
        return again
    message = message_for(actor, investigate_id)
    _check_nobody_does(actor, message)
    steps = _steps(message, plan(message, actor), wish)
    fix = _write_down(actor, message, steps, wish, operation_key, fingerprint, request)
    advancing.advance(fix.pk, request=request)
    return of_account().get(pk=fix.pk)


def undo(*, actor: Member, fix: Fix, request: HttpRequest | None) -> Fix:
    """Undo all of it, while its first step can be undone. Raises Conflict when it is too late."""
    if fix.actor_id != actor.pk:
        raise PermissionDenied(f"{fix.actor_name} decided this.")
    begun = [step for step in fix.steps.select_related("action", "entry") if step.action or step.entry]
    if len(begun) > 1 or any(step.tries > 1 for step in begun):
        raise Conflict("Too late to undo.", fix)
    first = begun[0] if begun else None
    if first is not None and first.action is not None:
        try:
            actions.undo(actor=actor, action=first.action, request=request)
        except actions.Conflict as conflict:
            raise Conflict(str(conflict), fix) from conflict
    elif first is not None and first.entry is not None:
        if not rules.withdraw(actor=actor, entry=first.entry, request=request):
            raise Conflict("Too late to undo.", fix)
    elif not advancing.cancel_planned(fix):
        raise Conflict("Too late to undo.", fix)
    advancing.advance(fix.pk, request=request)
    return of_account().get(pk=fix.pk)


def repeat(*, actor: Member, fix: Fix, number: int, request: HttpRequest | None) -> Fix:
    """Do one step again that did not succeed: a new action or rule, decided by whoever repeats it."""
    step = fix.steps.filter(number=number).first()
    if step is None or not may_repeat(step):
        raise Conflict("There is nothing to repeat.", fix)
    message = message_for(actor, fix.investigate_id)
    offered = {one.kind: one for one in _offered(plan(message, actor))}[FixStepKind(step.kind)]
    if not offered.is_possible:
        raise NotPossible(offered.why_not)
    try:
        with transaction.atomic():
            _plan_again(actor, fix, step, request)
    except IntegrityError:  # one fix of a message is open at a time
        raise Conflict("The message is being put right anew: nothing is repeated here.", fix) from None
    advancing.advance(fix.pk, request=request)
    return of_account().get(pk=fix.pk)


def _plan_again(actor: Member, fix: Fix, step: FixStep, request: HttpRequest | None) -> None:
    """In the order in which the end of a fix locks: the fix, its step, the trail."""
    of_account().select_for_update().get(pk=fix.pk)
    former = str(step.action_id or step.entry_id or "")
    changed = FixStep.objects.filter(pk=step.pk, state=step.state, tries=step.tries).update(
        state=FixStepState.PLANNED,
        action=None,
        entry=None,
        explanation="",
        earlier=[*step.earlier, *([former] if former else [])],
        values={**step.values, "by": actor.pk},
    )
    if not changed:
        raise Conflict("Somebody repeats this already.", fix)
    Fix.objects.filter(pk=fix.pk).update(finished_at=None, due_at=Now())
    note_change([fix.investigate_id])
    record(
        actor=actor,
        action="message:fix",
        phase="attempt",
        targets=[fix.investigate_id],
        reason=fix.reason,
        refers_to=fix.audit_sequence,
        detail={"fix": fix.pk, "repeats": step.kind, "try": step.tries + 1},
        request=request,
    )


def may_repeat(step: FixStep) -> bool:
    """Whether this step has failed by itself; what was undone with all of it has not."""
    if step.state == FixStepState.CANCELLED:
        return step.tries > 1
    return step.state in (FixStepState.FAILED, FixStepState.PARTLY_DONE)


def _steps(message: Message, offered: Plan, wish: Wish) -> list[FixStep]:
    if not is_detection(message):
        raise NotPossible("Cloudflare calls it clean already: there is nothing to put right.")
    wanted = [*offered.certain, *([offered.rule] if wish.accept_until else [])]
    if not any(step.is_possible for step in wanted):
        raise NotPossible(next(step.why_not for step in offered.certain[::-1] if not step.is_needless))
    if wish.accept_until and not offered.rule.is_possible:
        raise NotPossible(offered.rule.why_not)
    return [_step(number, step, offered, wish) for number, step in enumerate(wanted, start=1)]


def _step(number: int, step: PlannedStep, offered: Plan, wish: Wish) -> FixStep:
    values = {}
    if step.kind == FixStepKind.ACCEPT_SENDER and wish.accept_until:
        values = {"pattern": offered.address, "expires_at": end_of(wish.accept_until).isoformat()}
    return FixStep(
        number=number,
        kind=step.kind,
        state=FixStepState.PLANNED if step.is_possible else FixStepState.SKIPPED,
        explanation=storable_text(step.why_not, limit=500),
        values=values,
    )


def _offered(offered: Plan) -> list[PlannedStep]:
    return [*offered.certain, offered.rule]


def _write_down(
    actor: Member,
    message: Message,
    steps: list[FixStep],
    wish: Wish,
    operation_key: str,
    fingerprint: str,
    request: HttpRequest | None,
) -> Fix:
    """Fix, steps and audit row in one transaction; of two at once the database takes one. The audit row comes last:
    its lock is every change's last one.
    """
    key = uuid.uuid4()
    try:
        with transaction.atomic():
            fix = Fix.objects.create(
                id=key,
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                operation_key=operation_key,
                fingerprint=fingerprint,
                actor=actor,
                actor_name=storable_text(actor.display_name, limit=300),
                investigate_id=message.id,
                subject=storable_text(message.subject or ""),
                domains=spaced(message.mailboxes),
                reason=storable_text(wish.reason, limit=1000),
                created_at=Now(),
                due_at=Now(),
            )
            for step in steps:
                step.fix = fix
            FixStep.objects.bulk_create(steps)
            note_change([message.id])
            event = record(
                actor=actor,
                action="message:fix",
                phase="attempt",
                targets=[message.id],
                reason=wish.reason,
                request=request,
                detail={"fix": key, "steps": {step.kind: str(step.state) for step in steps}},
            )
            Fix.objects.filter(pk=key).update(audit_sequence=event.sequence)
    except IntegrityError:  # by another transaction, which has ended: what it wrote can be read now
        if again := _same(operation_key, fingerprint):
            return again
        _check_nobody_does(actor, message)
        raise
    ring_for_fix(fix.pk, seconds=actor.undo_seconds)
    return fix


def _check_nobody_does(actor: Member, message: Message) -> None:
    stands = of_account().filter(investigate_id=message.id, finished_at=None).first()
    if stands is not None:
        told = words.taken_by_you() if stands.actor_id == actor.pk else words.taken(stands.actor_name)
        raise Conflict(told, stands)


def _same(operation_key: str, fingerprint: str) -> Fix | None:
    """The fix this form has made already, if it has; Conflict where the form's content is another one now."""
    fix = of_account().filter(operation_key=operation_key).first()
    if fix is not None and fix.fingerprint != fingerprint:
        raise Conflict("This form was used already, for something else. Nothing was sent.", fix)
    return fix


def _fingerprint(actor: Member, investigate_id: str, wish: Wish) -> str:
    until = wish.accept_until.isoformat() if wish.accept_until else ""
    content = [actor.pk, investigate_id, wish.reason, until]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
