"""What people decide about requests. Nobody decides their own, nobody decides twice, and what is approved is what was
shown.

Locks are taken in one order, as everywhere: the job or action first, then the request, then the audit trail.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.persons import is_same_person
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from investigate.actions import services as actions
from investigate.actions import transitions
from investigate.actions.decision import permission_for
from investigate.approvals.asking import targets_of
from investigate.approvals.fingerprints import About, fingerprint_of
from investigate.approvals.needs import right_to_ask
from investigate.approvals.rights import why_not_decide
from investigate.bulk import jobs, lifecycle, rights, ringing
from investigate.bulk.upstream import services as upstream
from investigate.models import Action, ActionState, Approval, ApprovalState, BulkJob, JobState, UpstreamJob

log = structlog.get_logger("mailwarden.approvals")

LEAST_UNDO = jobs.LEAST_UNDO
LONGEST_COMMENT = 1000
MOST_AT_ONCE = 200
_CHANGED = "It is not what you were shown. Nothing was sent: look at it again."
_NOT_WAITING = {
    ApprovalState.APPROVED: "{who} approved this already.",
    ApprovalState.REFUSED: "{who} refused this already.",
    ApprovalState.EXPIRED: "This request has expired. Whoever wants it asks anew.",
    ApprovalState.WITHDRAWN: "{asked} has withdrawn this request.",
}


class NotPossible(Exception):
    """The request cannot be decided like this; the text says why."""


class NotYours(PermissionDenied):
    """Whoever wants to decide is not the second person; the text says why."""


class Conflict(Exception):
    """The request is not what the page showed any more. `approval` is as it is now."""

    def __init__(self, told: str, approval: Approval) -> None:
        super().__init__(told)
        self.approval = approval


def approve(
    *, actor: Member, approval: Approval, comment: str = "", fingerprint: str, request: HttpRequest | None
) -> Approval:
    """Let it happen, after an undo window that both people may use.

    `fingerprint` is of what the form showed. The same person's second click changes nothing. Raises NotYours, Conflict,
    NotPossible, AuditNotWritten.
    """
    seconds = max(LEAST_UNDO, actor.undo_seconds)
    with transaction.atomic():
        about = _held(approval)
        approval = _fresh(approval)
        if _is_repeated(actor, approval, ApprovalState.APPROVED):
            return approval
        _check_decides(actor, approval, about)
        if not fingerprint or fingerprint != approval.fingerprint or fingerprint_of(about) != fingerprint:
            raise Conflict(_CHANGED, approval)
        _check_still_asked(approval, about)
        _decide(actor, approval, ApprovalState.APPROVED, comment)
        if not _release(about, seconds):
            raise Conflict(_CHANGED, approval)
        _record(approval, "approval:approve", actor=actor, comment=comment, request=request)
        _record_attempt(approval, about, actor, request)
    _ring(about, seconds)
    return _fresh(approval)


def refuse(*, actor: Member, approval: Approval, comment: str, request: HttpRequest | None) -> Approval:
    """Say no, and why. Raises NotYours, Conflict, NotPossible, AuditNotWritten."""
    with transaction.atomic():
        about = _held(approval)
        approval = _fresh(approval)
        if _is_repeated(actor, approval, ApprovalState.REFUSED):
            return approval
        _check_decides(actor, approval, about)
        if not comment.strip():
            raise NotPossible("Say why you refuse it: who asked reads it.")
        _decide(actor, approval, ApprovalState.REFUSED, comment)
        _drop(about, f"Refused by {actor.display_name}: {comment.strip().rstrip('.')}.")
        _record(approval, "approval:refuse", actor=actor, comment=comment, request=request)
    return _fresh(approval)


def withdraw(*, actor: Member, approval: Approval, request: HttpRequest | None) -> Approval:
    """Who asked wants it no more. Raises NotYours, Conflict, AuditNotWritten."""
    with transaction.atomic():
        about = _held(approval)
        approval = _fresh(approval)
        if approval.requested_by_id != actor.pk:
            raise NotYours(f"This is {approval.requested_by_name}'s request.")
        if approval.state == ApprovalState.WITHDRAWN:
            return approval
        changed = _pending(approval).update(state=ApprovalState.WITHDRAWN, decided_at=Now(), seen_at=Now())
        if not changed:
            raise Conflict(_why_not_waiting(approval), approval)
        _drop(about, f"Withdrawn by {actor.display_name}.")
        _record(approval, "approval:withdraw", actor=actor, request=request)
    return _fresh(approval)


def take_back(*, actor: Member, approval: Approval, request: HttpRequest | None) -> Approval:
    """Undo what was approved while its time for that runs: who asked may, and who approved.

    Raises NotYours, Conflict, AuditNotWritten.
    """
    approval = _fresh(approval)
    is_second = approval.decided_by is not None and is_same_person(actor, approval.decided_by)
    if approval.state != ApprovalState.APPROVED or not (is_second or approval.requested_by_id == actor.pk):
        raise NotYours("Only who asked and who approved can undo it.")
    about = about_of(approval)
    try:
        match about:
            case Action():
                actions.undo(actor=actor, action=about, request=request)
            case BulkJob():
                jobs.cancel(actor=actor, job=about, request=request, expects="waiting", has_approved=True)
            case UpstreamJob():
                upstream.undo(actor=actor, job=about, request=request, is_one_of_two=True)
    except (actions.Conflict, jobs.Conflict, upstream.Conflict) as problem:
        raise Conflict(f"Too late to undo. {problem}", approval) from problem
    return _fresh(approval)


def expire_due() -> None:
    """End the requests whose time is over; for the sweep. Harmless when repeated."""
    due = Approval.objects.filter(state=ApprovalState.PENDING, expires_at__lte=Now()).order_by("expires_at")
    for approval in due[:MOST_AT_ONCE]:
        try:
            _expire(approval)
        except Exception as problem:  # noqa: BLE001  one bad row must not keep the others waiting
            log.warning("request_not_expired", approval=str(approval.pk), error=type(problem).__name__)


def mark_seen(member: Member, approvals: Iterable[Approval]) -> None:
    """Who asked was shown how it ended."""
    ended = [one.pk for one in approvals if one.requested_by_id == member.pk and one.state != ApprovalState.PENDING]
    if ended:
        Approval.objects.filter(pk__in=ended, seen_at=None).update(seen_at=Now())


def about_of(approval: Approval) -> About:
    """The action or job a request is about, as it is now."""
    if approval.action_id is not None:
        return Action.objects.get(pk=approval.action_id)
    if approval.job_id is not None:
        return BulkJob.objects.get(pk=approval.job_id)
    return UpstreamJob.objects.get(pk=approval.upstream_job_id)


def _expire(approval: Approval) -> None:
    with transaction.atomic():
        about = _held(approval)
        overdue = _pending(approval, is_overdue=True)
        if not overdue.update(state=ApprovalState.EXPIRED, decided_at=Now()):
            return
        _drop(about, "Nobody approved it in time.")
        _record(approval, "approval:expire", actor=None)


# --- the rules --------------------------------------------------------------------------------------------------------


def _check_decides(actor: Member, approval: Approval, about: About) -> None:
    if told := why_not_decide(actor, approval, about):
        raise NotYours(told)
    if approval.state != ApprovalState.PENDING:
        raise Conflict(_why_not_waiting(approval), approval)
    if approval.account_id != settings.CLOUDFLARE_ACCOUNT_ID:
        raise Conflict("This request is about another account. Nothing was sent.", approval)


def _check_still_asked(approval: Approval, about: About) -> None:
    """Who asked has to be somebody who may still ask, and whose it still is."""
    asker = approval.requested_by
    if asker is None or about.actor_id != asker.pk:
        raise Conflict(f"It does not belong to {approval.requested_by_name} any more. Nothing was sent.", approval)
    for right in _asked_rights(about, approval):
        if not asker.may(right):
            told = f"{approval.requested_by_name} no longer has the right to ask for this. Nothing was sent."
            raise Conflict(told, approval)


def _asked_rights(about: About, approval: Approval) -> set[Any]:
    """The rights who asked must hold, now that a second person lends the special ones."""
    match about:
        case Action():
            found = about.items.order_by().values_list("disposition", flat=True).distinct()
            needed = {permission_for(about.kind, destination=about.destination, disposition=one) for one in found}
        case BulkJob():
            needed = rights.needed_rights(about, about.items.filter(state=ActionState.QUEUED))
        case UpstreamJob():
            needed = set(upstream.needed_rights(about.kind, about.destination))
            lent = set(approval.permissions)
            return {right_to_ask(right, lent) if right in lent else right for right in needed}
    return {right_to_ask(right, approval.permissions) for right in needed}


def _decide(actor: Member, approval: Approval, state: ApprovalState, comment: str) -> None:
    """The one place where a request is decided; of two who do it in the same instant one changes the row."""
    name = storable_text(actor.display_name, limit=300)
    said = storable_text(comment.strip(), limit=LONGEST_COMMENT)
    undecided = _pending(approval, is_overdue=False).filter(fingerprint=approval.fingerprint)
    changed = undecided.exclude(requested_by=actor).update(
        state=state, decided_by=actor, decided_by_name=name, decided_at=Now(), comment=said
    )
    if not changed:
        now = _fresh(approval)
        raise Conflict(_why_not_waiting(now), now)


def _pending(approval: Approval, *, is_overdue: bool | None = None) -> Any:
    found = Approval.objects.filter(pk=approval.pk, state=ApprovalState.PENDING)
    if is_overdue is None:
        return found
    return found.filter(Q(expires_at__lte=Now()) if is_overdue else Q(expires_at__gt=Now()))


def _is_repeated(actor: Member, approval: Approval, state: ApprovalState) -> bool:
    """The second click of a pair: it has been decided like this, by this person."""
    return approval.state == state and approval.decided_by_id == actor.pk


def _why_not_waiting(approval: Approval) -> str:
    if approval.state == ApprovalState.PENDING:
        return _NOT_WAITING[ApprovalState.EXPIRED]
    told = _NOT_WAITING[ApprovalState(approval.state)]
    return told.format(who=approval.decided_by_name, asked=approval.requested_by_name)


# --- what it is about -------------------------------------------------------------------------------------------------


def _held(approval: Approval) -> About:
    """What the request is about, its row held until the transaction ends."""
    if approval.job_id is not None:
        return BulkJob.objects.select_for_update().get(pk=approval.job_id)
    if approval.action_id is not None:
        return Action.objects.select_for_update().get(pk=approval.action_id)
    return UpstreamJob.objects.select_for_update().get(pk=approval.upstream_job_id)


def _fresh(approval: Approval) -> Approval:
    return Approval.objects.select_related("requested_by", "decided_by").get(pk=approval.pk)


def _release(about: About, seconds: float) -> bool:
    match about:
        case Action():
            return transitions.approve(about, seconds=seconds)
        case BulkJob():
            return lifecycle.approve(about, seconds=seconds)
        case UpstreamJob():
            return upstream.approve(about, seconds=seconds)


def _drop(about: About, told: str) -> None:
    match about:
        case Action():
            transitions.drop(about, told)
        case BulkJob():
            lifecycle.drop(about, told)
        case UpstreamJob():
            upstream.drop(about, told)


def _ring(about: About, seconds: float) -> None:
    match about:
        case Action():
            actions.ring(about, seconds=seconds)
        case BulkJob():
            ringing.ring_for(about, seconds=seconds)
        case UpstreamJob():
            upstream.ring_for(about, seconds=seconds)


def _record(
    approval: Approval,
    action: str,
    *,
    actor: Member | None,
    comment: str = "",
    request: HttpRequest | None = None,
) -> None:
    detail: Mapping[str, Any] = {"approval": approval.pk, "asked_by": approval.requested_by_name, **_named(approval)}
    record(
        actor=actor,
        action=action,
        targets=targets_of(about_of(approval)),
        reason=comment.strip(),
        detail=detail,
        request=request,
        refers_to=approval.audit_sequence,
    )


def _named(approval: Approval) -> dict[str, uuid.UUID]:
    named = {"action": approval.action_id, "job": approval.job_id, "upstream_job": approval.upstream_job_id}
    return {name: key for name, key in named.items() if key is not None}


def _record_attempt(approval: Approval, about: About, actor: Member, request: HttpRequest | None) -> None:
    """The row that stands before every call, and which its end refers to; written by who let it go."""
    by = {"approval": approval.pk, "asked_by": approval.requested_by_name}
    match about:
        case Action():
            event = record(
                actor=actor,
                action=f"message:{about.kind}",
                phase="attempt",
                targets=targets_of(about),
                reason=about.reason,
                detail={"action": about.pk, "destination": about.destination, **by},
                request=request,
                refers_to=approval.audit_sequence,
            )
            Action.objects.filter(pk=about.pk).update(audit_sequence=event.sequence)
        case BulkJob():
            lifecycle.record_decision(about, actor=actor, detail=by, request=request)
        case UpstreamJob():
            event = upstream.note(about, "attempt", actor=actor, detail=by, request=request)
            UpstreamJob.objects.filter(pk=about.pk).update(audit_sequence=event.sequence)


def is_waiting(approval: Approval, about: About) -> bool:
    """Whether what was approved waits out its undo window."""
    waiting = {Action: ActionState.WAITING, BulkJob: JobState.WAITING, UpstreamJob: ActionState.WAITING}
    return approval.state == ApprovalState.APPROVED and about.state == waiting[type(about)]
