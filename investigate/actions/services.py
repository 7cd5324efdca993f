"""What a person can do to messages, and to their own decisions. Everything is written down before anything is sent."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.scope import spaced
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec.types import Message
from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring as ring_for
from dashboard.upstream.ring import ring_when_due
from investigate.action_tasks import look_up_action, send_action
from investigate.actions import transitions, words
from investigate.actions.decision import SHORTEST_REASON, Decision, least_permission_for, permission_for
from investigate.actions.feasibility import ActionOffer, affected_recipients, can_be_missed, possible_actions
from investigate.approvals.asking import ask
from investigate.approvals.needs import right_to_ask
from investigate.approvals.rights import approval_of, is_same_person
from investigate.bulk.facts import facts_of
from investigate.bulk.rights import check_control
from investigate.bulk.ringing import LOOK_TASK
from investigate.desk import cases
from investigate.desk.changes import note_change
from investigate.fixing.bell import ring_after_action
from investigate.message.visible import OUTSIDE, message_for
from investigate.models import OPEN_STATES, Action, ActionItem, ActionState


class NotPossible(Exception):
    """The action cannot work, which is known without asking; the text says why."""


class Conflict(Exception):
    """Somebody, or an earlier click, was faster. `other` is the action that stands, where there is one."""

    def __init__(self, told: str, other: Action | None = None) -> None:
        super().__init__(told)
        self.other = other


class ConfirmationNeeded(Exception):
    """The action is dangerous: show what it will do, to which copies, and ask for a reason first."""

    def __init__(self, message: Message, offer: ActionOffer, recipients: list[str]) -> None:
        super().__init__(offer.label)
        self.message = message
        self.offer = offer
        self.recipients = recipients


def act(*, actor: Member, decision: Decision, operation_key: str, request: HttpRequest | None) -> Action:
    """Write a decision down and ring for a worker. Nothing has been sent when this returns.

    What takes a second person waits for one instead, as an action in the state `awaiting approval` with its request.
    The same key with the same content is the same action, however often it is sent. Raises NotPossible,
    ConfirmationNeeded, Conflict, PermissionDenied, AuditNotWritten, and what reading the message raises.
    """
    (investigate_id,) = decision.investigate_ids
    fingerprint = decision.fingerprint(actor)
    again = _same(operation_key, fingerprint)
    if again is not None:
        return again
    _check_right(actor, decision)
    message = message_for(actor, investigate_id)
    try:
        _check_free(message.id, actor)
        offer = _offer(message, actor, decision)
    except (NotPossible, Conflict):
        again = _same(operation_key, fingerprint)  # the other half of a double click may have come in between
        if again is not None:
            return again
        _check_free(message.id, actor)
        raise
    action = _write_down(actor, decision, operation_key, fingerprint, message, offer, request)
    if action.state == ActionState.WAITING and not action.attempt:
        action.bell_rang = ring(action, seconds=actor.undo_seconds)
    return action


def ring(action: Action, *, seconds: float = 0) -> bool:
    """Tell a worker that the action will be due. False where the broker is away: the sweep rings again later."""
    return ring_when_due(send_action.name, str(action.pk), seconds=seconds)


def undo(*, actor: Member, action: Action, request: HttpRequest | None) -> Action:
    """Cancel a waiting action of one's own, or one that one has approved.

    Raises Conflict when it is too late, PermissionDenied when not theirs.
    """
    is_own = action.actor_id == actor.pk
    if not is_own and not _has_approved(actor, action):
        _check_own(actor, action)
    if action.job_id is not None:
        raise Conflict("This is part of a job: cancel the job instead.", action)
    if action.state == ActionState.AWAITING_APPROVAL:
        raise Conflict("This waits for a second person: withdraw the request instead.", action)
    if not transitions.cancel(action, actor=None if is_own else actor, request=request):
        action.refresh_from_db()
        if action.state != ActionState.CANCELLED:
            raise Conflict("Too late to undo.", action)
    ring_after_action(action.pk)
    action.refresh_from_db()
    return action


def add_reason(*, actor: Member, action: Action, reason: str, request: HttpRequest | None) -> Action:
    """Say why, afterwards. The trail keeps what was said before.

    What a second person decides, or has decided, keeps its reason until it has its end: raises Conflict.
    """
    _check_own(actor, action)
    with transaction.atomic():
        told = Action.objects.filter(pk=action.pk)
        if approval_of(action) is not None:
            told = told.filter(finished_at__isnull=False)
        if not told.update(reason=reason):
            raise Conflict("A second person was shown this reason: it stays as it is until this has its end.", action)
        record(
            actor=actor,
            action="message:reason",
            targets=action.items.values_list("investigate_id", flat=True),
            reason=reason,
            refers_to=action.audit_sequence,
            detail={"action": action.pk},
            request=request,
        )
    action.refresh_from_db()
    return action


def look_now(*, actor: Member, action: Action, request: HttpRequest | None) -> bool:
    """Look an unknown outcome up now instead of later; True where a worker could be told."""
    _check_may_mend(actor, action)
    with transaction.atomic():
        is_due = transitions.ask_for_look(action)
        if is_due:
            record(
                actor=actor,
                action="message:look",
                targets=action.items.values_list("investigate_id", flat=True),
                refers_to=action.audit_sequence,
                detail={"action": action.pk, "attempt": action.attempt},
                request=request,
            )
    if not is_due:
        action.refresh_from_db()
        raise Conflict("There is nothing to look up.", action)
    return ring_for(look_up_action.name if action.job_id is None else LOOK_TASK, str(action.pk))


def settle(*, actor: Member, action: Action, as_done: bool, request: HttpRequest | None) -> Action:
    """Decide what became of an action that looking could not settle."""
    _check_may_mend(actor, action)
    explanation = f"Settled by {actor.display_name} as {'done' if as_done else 'not done'}."
    if not transitions.settle_by_hand(action, actor=actor, as_done=as_done, explanation=explanation, request=request):
        action.refresh_from_db()
        raise Conflict("This does not wait for a person any more.", action)
    action.refresh_from_db()
    return action


def offer_for(message: Message, actor: Member, decision: Decision) -> ActionOffer | None:
    """The offer this decision takes up, if there is such a thing at all."""
    for offer in possible_actions(message, actor, escalates=bool(decision.escalates)):
        wanted = (decision.kind, decision.destination, decision.expected_disposition)
        if (offer.kind, offer.destination, offer.expected_disposition) == wanted:
            return offer
    return None


def _check_right(actor: Member, decision: Decision) -> None:
    """Before anything is read: who may not act learns nothing about the message."""
    permission = right_to_ask(least_permission_for(decision.kind, destination=decision.destination))
    if not actor.may(permission):
        raise PermissionDenied(permission.value)


def _offer(message: Message, actor: Member, decision: Decision) -> ActionOffer:
    offer = offer_for(message, actor, decision)
    if offer is None:
        raise NotPossible("There is no such action.")
    if not actor.may(offer.permission):
        raise PermissionDenied(offer.permission.value)
    if not offer.is_enabled:
        raise NotPossible(offer.why_not)
    if decision.as_missed and not can_be_missed(message):
        raise NotPossible("The message lacks the ids a missed detection is reported by.")
    if offer.needs_eml and not decision.eml:
        raise NotPossible("On this server clean mail is submitted with its EML: add the file.")
    has_reason = len(decision.reason.strip()) >= SHORTEST_REASON
    if offer.is_dangerous and not (decision.is_confirmed and has_reason):
        raise ConfirmationNeeded(message, offer, affected_recipients(message, decision.kind))
    return offer


def _write_down(
    actor: Member,
    decision: Decision,
    operation_key: str,
    fingerprint: str,
    message: Message,
    offer: ActionOffer,
    request: HttpRequest | None,
) -> Action:
    """Action, item and audit row in one transaction: what cannot be recorded is not done."""
    state = ActionState.WAITING if offer.takes_two is None else ActionState.AWAITING_APPROVAL
    try:
        with transaction.atomic():
            action = Action.objects.create(
                operation_key=operation_key,
                fingerprint=fingerprint,
                actor=actor,
                actor_name=storable_text(actor.display_name, limit=300),
                kind=decision.kind,
                destination=decision.destination,
                expected_disposition=decision.expected_disposition,
                reason=decision.reason.strip(),
                state=state,
                created_at=Now(),
                due_at=seconds_from_now(actor.undo_seconds),
            )
            ActionItem.objects.create(
                action=action,
                state=state,
                investigate_id=message.id,
                postfix_id=storable_text(message.postfix_id or "", limit=255),
                alert_id=storable_text(message.alert_id or "", limit=255),
                message_id=storable_text(message.message_id or ""),
                subject=storable_text(message.subject or ""),
                edf_hash=storable_text(message.edf_hash or "", limit=255),
                recipients=[storable_text(name) for name in affected_recipients(message, decision.kind)],
                domains=storable_text(spaced(message.mailboxes)),
                disposition=storable_text(str(message.final_disposition or ""), limit=40),
                attachment=decision.eml,
                facts=facts_of(message) | decision.facts,
            )
            cases.ensure(message)
            what = {"action": action.pk, "permission": offer.permission.value, **offer.values, **decision.facts}
            if offer.takes_two is not None:
                _, event = ask(
                    actor=actor,
                    about=action,
                    needed=offer.takes_two,
                    recipients=affected_recipients(message, decision.kind),
                    detail=what,
                    request=request,
                )
            else:
                event = record(
                    actor=actor,
                    action=f"message:{decision.kind}",
                    phase="attempt",
                    targets=[message.id],
                    reason=action.reason,
                    request=request,
                    detail=what,
                )
            if decision.escalates:
                record(
                    actor=actor,
                    action="submission:escalate",
                    targets=[decision.escalates],
                    reason=action.reason,
                    refers_to=event.sequence,
                    detail={"action": action.pk, "expected_disposition": decision.expected_disposition},
                    request=request,
                )
            note_change([message.id])
            Action.objects.filter(pk=action.pk).update(audit_sequence=event.sequence)
    except IntegrityError:
        again = _same(operation_key, fingerprint)
        if again is not None:
            return again
        _check_free(message.id, actor)
        raise
    action.refresh_from_db()
    return action


def _same(operation_key: str, fingerprint: str) -> Action | None:
    """The action this form has made already, if it has; Conflict where the form's content is another one now."""
    action = Action.objects.filter(operation_key=operation_key).first()
    if action is not None and action.fingerprint != fingerprint:
        raise Conflict("This form was used already, for something else. Nothing was sent.", action)
    return action


def _check_free(investigate_id: str, actor: Member) -> None:
    """One open action a message; the database's index decides where two come in the same instant."""
    item = (
        ActionItem.objects.filter(investigate_id=investigate_id, state__in=OPEN_STATES).select_related("action").first()
    )
    if item is not None:
        who = "You have" if item.action.actor_id == actor.pk else f"{item.action.actor_name} has"
        what = words.noun(item.action.kind, item.action.destination)
        raise Conflict(f"{who} a {what} of this message under way.", item.action)


def _check_own(actor: Member, action: Action) -> None:
    if action.actor_id != actor.pk:
        raise PermissionDenied(f"This is {action.actor_name}'s action.")


def _has_approved(actor: Member, action: Action) -> bool:
    approval = approval_of(action)
    return approval is not None and approval.decided_by is not None and is_same_person(actor, approval.decided_by)


def _check_may_mend(actor: Member, action: Action) -> None:
    """The right to do the same on every copy, and for a chunk what its job needs."""
    if not actor.scope.is_whole:
        domains = action.items.order_by().values_list("domains", flat=True).distinct()
        if not all(actor.scope.covers_domains(each) for each in domains):
            raise Conflict(OUTSIDE, action)
    if action.job is not None:
        check_control(actor, action.job)
    for disposition in action.items.order_by().values_list("disposition", flat=True).distinct():
        permission = permission_for(action.kind, destination=action.destination, disposition=disposition)
        if not actor.may(permission):
            raise PermissionDenied(permission.value)
