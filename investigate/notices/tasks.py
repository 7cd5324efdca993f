"""Celery tasks of this room: thin entries."""

from __future__ import annotations

from celery import shared_task

from dashboard.upstream import places
from dashboard.upstream.ring import ring
from investigate.notices import making, sending


@shared_task(name="investigate.tasks.make_notice")
def make_notice(rule_id: str) -> None:
    """Tell what a view has found since, if the rule is due and there is something."""
    if notice := making.make(rule_id):
        ring(send_notice.name, str(notice.pk))


@shared_task(name="investigate.tasks.send_notice")
def send_notice(notice_id: str) -> None:
    """Send one notice, if it is due and nobody else has it."""
    with places.NOTICES.taken() as has_place:
        if has_place:
            sending.send(notice_id)
            return
    places.NOTICES.ring_again(send_notice.name, notice_id)
