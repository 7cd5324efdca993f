"""One decision for a whole campaign: it begins a rehearsal as any other does, or says the team's verdict of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.audit.recorder import record
from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.types import Message
from investigate.desk import cases
from investigate.models import CampaignBy, Case, SeenMessage

MOST_VERDICTS = 200  # said in one go


@dataclass(frozen=True)
class Said:
    """What came of saying a verdict."""

    said: int
    kept: tuple[str, ...]  # why others keep theirs


def say_verdict(
    *, actor: Member, by: CampaignBy, key: str, rows: Sequence[SeenMessage], verdict: str, request: HttpRequest | None
) -> Said:
    """The team's own verdict for each of these; what a colleague works on keeps its own.

    Harmless when repeated. Raises PermissionDenied, AuditNotWritten.
    """
    said, kept = [], []
    known = {case.key: case for case in cases.cases_of(actor).filter(key__in=[row.investigate_id for row in rows])}
    for row in rows:
        case = known.get(row.investigate_id)
        try:
            if case is None:
                with transaction.atomic():
                    case = cases.ensure(message_of(row))
            cases.set_verdict(actor=actor, case=case, verdict=verdict, request=request)
        except (cases.Conflict, cases.NotPossible) as problem:
            kept.append(str(problem))
        except Case.DoesNotExist:
            continue
        else:
            said.append(row.investigate_id)
    if said:
        record(
            actor=actor,
            action="campaign:decide",
            targets=[f"{by}:{key}"],
            detail={"verdict": verdict, "messages": len(said), "kept": len(kept)},
            request=request,
        )
    return Said(len(said), tuple(dict.fromkeys(kept)))


def message_of(row: SeenMessage) -> Message:
    """A remembered message as the desk takes it: with all its copies."""
    return Message(
        id=row.investigate_id,
        postfix_id=row.postfix_id or None,
        subject=row.subject or None,
        from_=row.sender or None,
        client_recipients=tuple(row.recipients),
        final_disposition=Disposition(row.disposition) if row.disposition else None,
        is_quarantined=row.is_quarantined,
        edf_hash=row.edf_hash or None,
        htmltext_structure_hash=row.structure_hash or None,
        scanned_at=row.scanned_at,
    )
