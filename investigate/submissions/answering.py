"""Saying that a user's report was reviewed on our side. Cloudflare is told nothing; the desk's case ends with it."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from investigate.desk import cases
from investigate.models import OwnVerdict, SeenSubmission, SubmissionAnswer
from investigate.submissions.presenting import case_of


def answer(
    *,
    actor: Member,
    submission: SeenSubmission,
    verdict: OwnVerdict,
    text: str,
    operation_key: str,
    takes_over: bool = False,
    request: HttpRequest | None,
) -> SubmissionAnswer:
    """Keep what we say of a report, and finish its case with the same verdict, or neither.

    The same form sent twice answers once. Raises PermissionDenied, and `cases.Conflict` where a colleague has the case.
    """
    if not actor.may(Permission.CASE_WORK):
        raise PermissionDenied(Permission.CASE_WORK.value)
    if again := SubmissionAnswer.objects.filter(operation_key=operation_key).first():
        return again
    try:
        with transaction.atomic():
            written = SubmissionAnswer.objects.create(
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                submission_id=submission.submission_id,
                verdict=verdict.value,
                text=storable_text(text.strip()),
                member=actor,
                member_name=storable_text(actor.display_name, limit=300),
                operation_key=operation_key,
                at=timezone.now(),
            )
            record(
                actor=actor,
                action="submission:answer",
                targets=[submission.submission_id],
                detail={"verdict": verdict.value, "characters": len(text)},
                request=request,
            )
            case = case_of(actor, submission.submission_id)
            if case is not None and cases.can_work_on(actor, case):
                if takes_over:
                    case = cases.take(actor=actor, case=case, take_over=True, request=request)
                case = cases.set_verdict(actor=actor, case=case, verdict=verdict.value, request=request)
                cases.finish(actor=actor, case=case, request=request)
    except IntegrityError:
        again = SubmissionAnswer.objects.filter(operation_key=operation_key).first()
        if again is None:
            raise
        return again  # the other half of a double click
    return written
