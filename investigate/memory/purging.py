"""Forgetting on time: what was seen, what was submitted, what was sealed. Own decisions are kept elsewhere and stay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dashboard.audit.recorder import record
from dashboard.installation.values import setting
from investigate.models import CampaignRule, Evidence, SeenCopy, SeenMessage, SeenSubmission, SubmissionAnswer

log = structlog.get_logger("mailwarden.memory")

AT_ONCE = 500  # rows a statement deletes, so that nobody waits for a lock
EVIDENCE_AT_ONCE = 20  # each of them may be megabytes


def forget_old() -> None:
    """Delete what is past its time, whatever account it is of: nothing is kept longer because a setting changed."""
    oldest = timezone.now() - dt.timedelta(days=setting("MEMORY_DAYS"))
    messages = _forget_messages(SeenMessage.objects.filter(scanned_at__lt=oldest))
    submissions = _in_pieces(SeenSubmission.objects.filter(requested_at__lt=oldest), AT_ONCE)
    _in_pieces(SubmissionAnswer.objects.filter(at__lt=oldest), AT_ONCE)
    _in_pieces(CampaignRule.objects.filter(ended_at__lt=oldest), AT_ONCE)  # with what they offered
    _end_evidence()
    if messages or submissions:
        log.info("memory_forgotten", messages=messages, submissions=submissions)


def _forget_messages(old: QuerySet[SeenMessage]) -> int:
    """Messages with their copies, the copies first: one statement for each, without loading a row."""
    number = 0
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        SeenCopy.objects.filter(message__in=ids)._raw_delete("default")
        number += SeenMessage.objects.filter(pk__in=ids)._raw_delete("default")
    return number


def _in_pieces(old: QuerySet[Any], at_once: int) -> int:
    number = 0
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:at_once]):
        number += old.model._default_manager.filter(pk__in=ids).delete()[0]
    return number


def _end_evidence() -> None:
    """Evidence whose time is over, each with a line in the trail."""
    over = Evidence.objects.filter(until__lt=timezone.now())
    while found := list(over.order_by("pk").defer("sealed")[:EVIDENCE_AT_ONCE]):
        for evidence in found:
            with transaction.atomic():
                # The time is asked for again: somebody may have prolonged it just now.
                if Evidence.objects.filter(pk=evidence.pk, until__lt=timezone.now()).delete()[0]:
                    record(
                        actor=None,
                        action="evidence:delete",
                        targets=[evidence.investigate_id],
                        detail={"sha256": evidence.sha256, "because": "its time was over"},
                    )
