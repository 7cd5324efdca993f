"""The worker's own pulse, and clearing away what has expired."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

from allauth.usersessions.models import UserSession
from celery import shared_task
from celery.signals import worker_init, worker_ready
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from dashboard.access.models import Attempts, Kept
from dashboard.embedded_broker import remove_leftovers
from dashboard.installation.values import setting
from dashboard.upstream.health import EVICTS, broker_state
from dashboard.upstream.models import ClockSkew, Copy, Heartbeat, MissingFeature


def record_beat(name: str) -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": timezone.now()})


@worker_ready.connect
def record_first_beat(sender: Any, **_: object) -> None:
    """A worker that has just come up need not wait for the schedule to be seen."""
    refuse_a_forgetful_broker()  # the first time it could be asked, where it came up after this worker
    for queue, name in {"sweep": "worker", "people": "people", "bulk": "bulk"}.items():
        if queue in sender.app.amqp.queues.consume_from:
            record_beat(name)


@worker_init.connect
def refuse_a_forgetful_broker(**_: object) -> None:
    """A Redis that throws queued work away when it is full is refused; one that is still away is waited for."""
    if settings.REDIS_URL and broker_state(settings.REDIS_URL) == EVICTS:
        sys.stderr.write("Mailwarden cannot start. Redis throws queued work away: set maxmemory-policy noeviction.\n")
        raise SystemExit(1)


@worker_init.connect
def clear_queue_folder(**_: object) -> None:
    """Killed processes leave files behind in the embedded broker; Redis needs none of this."""
    if not settings.REDIS_URL:
        remove_leftovers(Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["queue_folder"]))


@shared_task
def beat(name: str = "worker") -> None:
    """Sent by the scheduler and carried out by a worker: its coming back proves the worker and the broker before it.

    It goes through several queues ("people", "bulk", and "worker" for the sweep): each may have a worker of its own.
    """
    record_beat(name)


@shared_task
def purge() -> None:
    """Delete copies, sessions and counts that are over, and clocks of machines that have not called for a day."""
    now = timezone.now()
    Copy.objects.filter(expires_at__lt=now).delete()
    Copy.objects.filter(fetched_at__lt=now - dt.timedelta(hours=setting("BODY_RETENTION_HOURS"))).delete()
    MissingFeature.objects.filter(until__lt=now).delete()
    ClockSkew.objects.filter(seen_at__lt=now - dt.timedelta(days=1)).delete()
    Session.objects.filter(expire_date__lt=now).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    Kept.objects.filter(ends_at__lt=now.timestamp()).delete()
    Attempts.objects.filter(ends_at__lt=now.timestamp()).delete()
