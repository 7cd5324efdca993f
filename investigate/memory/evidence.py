"""Raw files kept as evidence: sealed, with the hash of what Cloudflare gave, until their time is over."""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.sealing import Unreadable, seal_file, unseal_file
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.installation.values import setting
from investigate.models import Evidence

SAME_TIME = dt.timedelta(hours=1)  # a double click prolongs nothing


class Damaged(RuntimeError):
    """The file is not the one that was kept: its seal does not open, or its hash is another one."""


def evidence_for(member: Member) -> QuerySet[Evidence]:
    """What the member may know of, newest first, without the files themselves."""
    ours = Evidence.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    return ours.filter(member.scope.q("domains")).defer("sealed").order_by("-kept_at", "-pk")


def keep(
    *,
    actor: Member,
    investigate_id: str,
    eml: bytes,
    subject: str,
    domains: str,
    reason: str,
    request: HttpRequest | None,
) -> Evidence:
    """Seal a message's raw file and write down who kept it; what is kept already is kept on from now.

    The same file is there once, however often it is asked. Raises PermissionDenied, AuditNotWritten.
    """
    _check_rights(actor, Permission.EVIDENCE_KEEP, Permission.MESSAGE_READ_BODY)
    now = timezone.now()
    sha256 = hashlib.sha256(eml).hexdigest()
    ours = Evidence.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=investigate_id, sha256=sha256
    ).defer("sealed")
    until = now + dt.timedelta(days=setting("EVIDENCE_DAYS"))
    if kept := ours.first():
        _prolong(kept, until, actor=actor, reason=reason, request=request)
        return kept
    sealed = seal_file(zlib.compress(eml, 6))
    try:
        with transaction.atomic():
            evidence = Evidence.objects.create(
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                investigate_id=investigate_id,
                sha256=sha256,
                size=len(eml),
                sealed=sealed,
                subject=storable_text(subject),
                domains=storable_text(domains),
                reason=storable_text(reason, limit=500),
                member=actor,
                member_name=storable_text(actor.display_name, limit=300),
                kept_at=now,
                until=until,
            )
            record(
                actor=actor,
                action="evidence:keep",
                targets=[investigate_id],
                reason=evidence.reason,
                detail={"sha256": sha256, "bytes": len(eml)},
                request=request,
            )
    except IntegrityError:  # a double click, a blink earlier
        if kept := ours.first():
            return kept
        raise
    return evidence


def _prolong(
    evidence: Evidence, until: dt.datetime, *, actor: Member, reason: str, request: HttpRequest | None
) -> None:
    """Who needs it for another incident has it as long as anybody who keeps a file now."""
    with transaction.atomic():
        shorter = Evidence.objects.filter(pk=evidence.pk, until__lt=until - SAME_TIME)
        if shorter.update(until=until):
            record(
                actor=actor,
                action="evidence:keep",
                targets=[evidence.investigate_id],
                reason=storable_text(reason, limit=500),
                detail={"sha256": evidence.sha256, "until": until.isoformat()},
                request=request,
            )
            evidence.until = until


def may_end(actor: Member, evidence: Evidence) -> bool:
    """Who may purge mail, where all copies of the message are theirs: the file is everybody's whose copy it was."""
    rights = (Permission.EVIDENCE_KEEP, Permission.MESSAGE_PURGE)
    return all(map(actor.may, rights)) and actor.scope.covers_domains(evidence.domains)


def open_evidence(evidence: Evidence) -> bytes:
    """The file, byte for byte as it was kept. Raises Damaged rather than hand out another one."""
    try:
        eml = zlib.decompress(unseal_file(bytes(evidence.sealed)))
    except Unreadable as problem:
        raise Damaged(str(problem)) from None
    except zlib.error:
        raise Damaged("The file cannot be unpacked.") from None
    if hashlib.sha256(eml).hexdigest() != evidence.sha256:
        raise Damaged("The file's hash is not the one it was kept with.")
    return eml


def end(*, actor: Member, evidence: Evidence, reason: str, request: HttpRequest | None) -> bool:
    """Delete a file before its time; False where somebody else was first. Raises PermissionDenied, AuditNotWritten."""
    if not may_end(actor, evidence):
        raise PermissionDenied(Permission.MESSAGE_PURGE.value)
    with transaction.atomic():
        is_ours = bool(Evidence.objects.filter(pk=evidence.pk).delete()[0])
        if is_ours:
            record(
                actor=actor,
                action="evidence:delete",
                targets=[evidence.investigate_id],
                reason=storable_text(reason, limit=500),
                detail={"sha256": evidence.sha256, "bytes": evidence.size},
                request=request,
            )
    return is_ours


def _check_rights(actor: Member, *rights: Permission) -> None:
    for right in rights:
        if not actor.may(right):
            raise PermissionDenied(right.value)


def of_message(member: Member, investigate_id: str) -> list[Evidence]:
    """The files kept of one message."""
    return list(evidence_for(member).filter(investigate_id=investigate_id)[:5])
