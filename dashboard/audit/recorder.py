"""Writing to the audit trail. What cannot be written down is not done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.utils import timezone

from dashboard.audit.chain import seal, storable, storable_text
from dashboard.audit.models import AuditEvent, ChainHead
from dashboard.emailsec import errors

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser
    from django.http import HttpRequest

    from dashboard.access.models import Member

OURSELVES = "Mailwarden"  # the name of what no person asked for: the sweep, a look at an unanswered write

# Provably not carried out: the service said no, or the call never left.
_REFUSED = (
    PermissionDenied,
    errors.Rejected,
    errors.NotFound,
    errors.CredentialsRefused,
    errors.NotPermitted,
    errors.NotOnThisServer,
    errors.RateLimited,
)


class AuditNotWritten(RuntimeError):
    """The trail cannot be written at the moment, so what was to be recorded must not happen."""


class Recording:
    """What `recording` hands out: put what happened into `detail` before the block ends."""

    def __init__(self, attempt: AuditEvent) -> None:
        self.attempt = attempt
        self.phase = "done"
        self.detail: dict[str, Any] = {}


def record(
    *,
    actor: Member | AnonymousUser | None,
    action: str,
    targets: Iterable[str] = (),
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
    request: HttpRequest | None = None,
    phase: str = "done",
    refers_to: int | None = None,
) -> AuditEvent:
    """Add one row to the trail; `actor` None stands for Mailwarden itself.

    Runs in the caller's transaction where there is one, so that a row and what it describes are written together.
    `detail` holds ids, counts and outcomes: never mail bodies, never credentials. Raises AuditNotWritten.
    """
    try:
        with transaction.atomic():
            ChainHead.objects.get_or_create(pk=1)
            head = ChainHead.objects.select_for_update().get(pk=1)  # until the end of the transaction: no forks
            event = AuditEvent(
                sequence=head.sequence + 1,
                at=timezone.now(),
                actor_id=actor.pk if actor is not None else None,
                actor_name=_name(actor),
                address=storable_text(str(request.META.get("REMOTE_ADDR", "")), limit=64) if request else "",
                action=action,
                phase=phase,
                refers_to=refers_to,
                targets=[storable_text(str(target)) for target in targets],
                reason=storable_text(reason, limit=1000),
                detail=storable(dict(detail or {})),
                previous_hash=head.hash,
            )
            event.hash = seal(event)
            event.save(force_insert=True)
            head.sequence, head.hash = event.sequence, event.hash
            head.save(update_fields=["sequence", "hash"])
    except DatabaseError as problem:
        raise AuditNotWritten("The audit trail cannot be written.") from problem
    return event


@contextmanager
def recording(
    actor: Member | AnonymousUser | None,
    action: str,
    *,
    targets: Iterable[str] = (),
    reason: str = "",
    request: HttpRequest | None = None,
) -> Iterator[Recording]:
    """Record the attempt before the block and its end after it: `done`, `refused`, `failed` or `unknown`.

    The block may set `.detail` and, where no exception tells, `.phase`. Exceptions pass through unchanged.
    """
    targets = list(targets)
    attempt = record(actor=actor, action=action, targets=targets, reason=reason, request=request, phase="attempt")
    outcome = Recording(attempt)
    try:
        yield outcome
    except BaseException as problem:
        outcome.phase = phase_of(problem)
        outcome.detail = {**outcome.detail, "error": type(problem).__name__}
        raise
    finally:
        record(
            actor=actor,
            action=action,
            targets=targets,
            reason=reason,
            detail=outcome.detail,
            request=request,
            phase=outcome.phase,
            refers_to=attempt.sequence,
        )


def phase_of(problem: BaseException) -> str:
    """How an action that ended with this exception is recorded."""
    if isinstance(problem, _REFUSED):
        return "refused"
    if isinstance(problem, errors.OutcomeUnknown):
        return "unknown"
    if isinstance(problem, errors.EmailSecurityError):
        return "failed"
    return "unknown"  # it broke somewhere else: how far the action came, nobody can say


def _name(actor: Member | AnonymousUser | None) -> str:
    if actor is None:
        return OURSELVES
    if actor.pk is None:
        return "not signed in"
    return storable_text(str(getattr(actor, "display_name", actor)), limit=300)
