"""Write down that something waits for a second person, in the transaction that writes down the thing itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.scope import spaced
from dashboard.audit.chain import storable_text
from dashboard.audit.models import AuditEvent
from dashboard.audit.recorder import record
from dashboard.installation.values import setting
from dashboard.sql import seconds_from_now
from investigate.approvals.fingerprints import About, fingerprint_of
from investigate.approvals.needs import Needed
from investigate.models import Action, Approval, BulkJob, UpstreamJob


def ask(
    *,
    actor: Member,
    about: About,
    needed: Needed,
    recipients: Iterable[str],
    detail: Mapping[str, Any] | None = None,
    request: HttpRequest | None,
) -> tuple[Approval, AuditEvent]:
    """Make the request for `about`, which stands in the database in the state it waits in. Raises AuditNotWritten."""
    approval = Approval.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        **subject(about),
        requested_by=actor,
        requested_by_name=storable_text(actor.display_name, limit=300),
        why=storable_text(needed.why, limit=300),
        permissions=[permission.value for permission in needed.permissions],
        fingerprint=fingerprint_of(about),
        domains=spaced(recipients),
        created_at=Now(),
        expires_at=seconds_from_now(3600.0 * setting("APPROVAL_HOURS")),
    )
    event = record(
        actor=actor,
        action="approval:request",
        targets=targets_of(about),
        reason=about.reason,
        detail={"approval": approval.pk, "permissions": approval.permissions, "why": approval.why, **(detail or {})},
        request=request,
        refers_to=about.audit_sequence,
    )
    Approval.objects.filter(pk=approval.pk).update(audit_sequence=event.sequence)
    return approval, event


def targets_of(about: About) -> list[str]:
    """What the trail names as the object of a request: the message, or the job."""
    if isinstance(about, Action):
        return list(about.items.values_list("investigate_id", flat=True))
    return [str(about.pk)]


def subject(about: About) -> dict[str, About]:
    """Which of the three a request is about, as its column."""
    match about:
        case Action():
            return {"action": about}
        case BulkJob():
            return {"job": about}
        case UpstreamJob():
            return {"upstream_job": about}
