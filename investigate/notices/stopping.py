"""Switching a rule off, by somebody or because it may not go on; what is on its way does not arrive any more."""

from __future__ import annotations

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.audit.recorder import record
from investigate.models import Notice, NoticeRule, NoticeState
from investigate.notices import words

log = structlog.get_logger("mailwarden.notices")


def stop(rule: NoticeRule, why: str) -> None:
    """Switch a rule off ourselves, and say why."""
    with transaction.atomic():
        stopped = NoticeRule.objects.filter(pk=rule.pk, is_on=True).update(
            is_on=False, stopped_why=why[:500], version=F("version") + 1, changed_at=timezone.now()
        )
        if not stopped:
            return
        give_up_waiting(rule, why)
        record(
            actor=None,
            action="notice:change",
            targets=[rule.shown],
            reason=why,
            detail={"rule": str(rule.pk), "view": rule.view.name, "is_on": False},
        )
    log.warning("notice_rule_stopped", rule=str(rule.pk))


def give_up_waiting(rule: NoticeRule, why: str = words.OFF) -> None:
    """End what waits; what is being sent this very moment notes its own answer."""
    Notice.objects.filter(rule=rule, state=NoticeState.WAITING).update(
        state=NoticeState.FAILED, answer=why[:500], finished_at=timezone.now(), due_at=None
    )
