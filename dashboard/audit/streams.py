"""Sending the trail to receivers outside: in order, each row at least once, from a position that is stored.

A receiver that is away stops nothing here: its rows wait in the trail, and are sent when it is back.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from dashboard.audit import syslog, webhook
from dashboard.audit.models import AuditEvent, ChainHead, Stream
from dashboard.audit.targets import syslog_target, webhook_target
from dashboard.outbound.addresses import what_failed
from dashboard.outbound.posting import Refused

log = structlog.get_logger("mailwarden.audit")

ROWS = 200  # read at a time
RUN_SECONDS = 20.0  # until a task lets others have their turn
CLAIM = dt.timedelta(seconds=120)  # longer than a run and its last batch
FIRST_WAIT, LONGEST_WAIT = 5, 300  # seconds until the next try

Sender = Callable[[Sequence[AuditEvent]], int]


@dataclass(frozen=True)
class Behind:
    """How far a receiver is behind."""

    name: str
    rows: int
    since: dt.datetime | None  # when the oldest row it has not got was written
    problem: str
    sent_at: dt.datetime | None


def senders() -> dict[str, Sender]:
    """What the settings name, each as a function that sends rows and tells how many of them were taken."""
    found: dict[str, Sender] = {}
    if settings.AUDIT_SYSLOG:
        found["syslog"] = _send_syslog
    if settings.AUDIT_WEBHOOK:
        found["webhook"] = _send_webhook
    return found


def deliver_all() -> None:
    for name in senders():
        deliver(name)


def deliver(name: str, *, seconds: float = RUN_SECONDS) -> None:
    """Send what one receiver has not got yet. Harmless when repeated, and when two do it at the same time."""
    Stream.objects.get_or_create(pk=name)
    now = timezone.now()
    free = Q(claimed_at=None) | Q(claimed_at__lte=now - CLAIM)
    is_due = Q(due_at=None) | Q(due_at__lte=now)
    if not Stream.objects.filter(free, is_due, pk=name).update(claimed_at=now):
        return
    ours = Stream.objects.filter(pk=name, claimed_at=now)
    try:
        _send_rest(name, senders()[name], until=time.monotonic() + seconds)
    except (Refused, OSError) as problem:
        _note_failure(name, str(problem) if isinstance(problem, Refused) else what_failed(problem))
    finally:
        ours.update(claimed_at=None)


def behind() -> list[Behind]:
    """Each receiver, for the page."""
    head = ChainHead.objects.filter(pk=1).values_list("sequence", flat=True).first() or 0
    known = {stream.name: stream for stream in Stream.objects.filter(pk__in=senders())}
    found = []
    for name in senders():
        stream = known.get(name) or Stream(name=name)
        oldest = AuditEvent.objects.filter(sequence=stream.position + 1).values_list("at", flat=True).first()
        found.append(Behind(name, max(0, head - stream.position), oldest, stream.problem, stream.sent_at))
    return found


def _send_rest(name: str, send: Sender, *, until: float) -> None:
    position = Stream.objects.values_list("position", flat=True).get(pk=name)
    while time.monotonic() < until:
        rows = list(AuditEvent.objects.filter(sequence__gt=position).order_by("sequence")[:ROWS])
        if not rows:
            return
        reached = rows[send(rows) - 1].sequence
        # Only from where these rows began: whoever was thought dead and comes back late moves nothing backwards.
        moved = Stream.objects.filter(pk=name, position=position).update(
            position=reached, tries=0, problem="", due_at=None, sent_at=timezone.now()
        )
        if not moved:
            return
        position = reached


def _note_failure(name: str, problem: str) -> None:
    stream = Stream.objects.get(pk=name)
    wait = min(FIRST_WAIT * 2 ** min(stream.tries, 10), LONGEST_WAIT)
    Stream.objects.filter(pk=name).update(
        tries=stream.tries + 1, problem=problem[:300], due_at=timezone.now() + dt.timedelta(seconds=wait)
    )
    log.warning("audit_not_streamed", receiver=name, tries=stream.tries + 1)


def _send_syslog(events: Sequence[AuditEvent]) -> int:
    syslog.send(syslog_target(settings.AUDIT_SYSLOG), events)
    return len(events)


def _send_webhook(events: Sequence[AuditEvent]) -> int:
    return webhook.send(webhook_target(settings.AUDIT_WEBHOOK), settings.AUDIT_WEBHOOK_SECRET, events)
