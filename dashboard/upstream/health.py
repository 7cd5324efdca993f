"""/healthz says that the process answers; /readyz names what the work needs, each by itself.

Both say nothing about the account: monitoring reads them without signing in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError

from dashboard.access.decorators import public
from dashboard.celery import app
from dashboard.upstream.clock import worst_skew
from dashboard.upstream.connection import shared_meter
from dashboard.upstream.models import Heartbeat
from dashboard.upstream.ring import SOON

log = structlog.get_logger("mailwarden.health")

# Two missed beats, and the time one takes.
STALE = dt.timedelta(seconds=2 * settings.SWEEP_SECONDS + min(5, settings.SWEEP_SECONDS))


class HealthMiddleware:
    """Answer monitoring before anything asks for the name of the host: containers are checked by their addresses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = {"/healthz": alive, "/readyz": ready}.get(request.path)
        return view(request) if view else self.get_response(request)


@public("monitoring asks whether the process is alive")
@require_safe
def alive(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    return HttpResponse("alive\n", content_type="text/plain; charset=utf-8")


@public("monitoring asks whether everything the work needs is there")
@require_safe
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    checks = what_is_there()
    good = all(answer == "ok" for answer in checks.values())
    return JsonResponse({"ready": good, **checks}, status=200 if good else 503)


def what_is_there() -> dict[str, str]:
    """Each thing the work needs: "ok", or what is wrong with it. Spends no call."""
    return {
        "database": _database(),
        "broker": broker_state(settings.CELERY_BROKER_URL),
        "scheduler": _beats("scheduler"),
        "worker": _beats("worker"),
        "people": _beats("people"),
        "bulk": _beats("bulk"),
        "upstream": _upstream(),
        "clock": _clock(),
    }


def worker_is_alive(name: str = "people") -> bool:
    """Whether a task came back lately from this worker: "people" carries out what people asked for, "bulk" jobs."""
    return Heartbeat.objects.filter(name=name, beat_at__gt=timezone.now() - _patience(name)).exists()


def worker_beat(name: str = "people") -> dt.datetime | None:
    """When this worker last gave a sign of life; None where it never has."""
    return Heartbeat.objects.filter(name=name).values_list("beat_at", flat=True).first()


def _patience(name: str) -> dt.timedelta:
    """All processes for jobs may be busy with a task each, and the canary of their queue waits for the first to end."""
    return STALE + dt.timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT) if name == "bulk" else STALE


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "does not answer"
    return "ok"


EVICTS = "evicts work: set maxmemory-policy noeviction"


def broker_state(url: str) -> str:
    """ "ok", or what is wrong with the broker at this address."""
    try:
        with app.connection_for_write(url, transport_options=SOON) as broker:
            broker.ensure_connection(max_retries=0, timeout=2)
            # Any other policy throws queued work away in silence when the memory is full.
            evicts = url.startswith("redis") and _eviction(broker.default_channel.client) != "noeviction"
    except (OperationalError, redis.RedisError, OSError):
        return "does not answer"
    return EVICTS if evicts else "ok"


def _eviction(server: redis.Redis) -> str:
    """What Redis does when it is full; taken for right where the server does not tell.

    Asked of INFO, because managed servers grant CONFIG to nobody.
    """
    try:
        return str(server.info("memory").get("maxmemory_policy", "noeviction"))
    except redis.ResponseError:  # nor INFO to everybody
        log.info("redis_policy_not_told")
        return "noeviction"


def _beats(name: str) -> str:
    try:
        beat = Heartbeat.objects.filter(name=name).first()
    except DatabaseError:
        return "cannot be told without the database"
    if beat is None:
        return "has not been seen yet"
    silent = timezone.now() - beat.beat_at
    return "ok" if silent < _patience(name) else f"silent for {int(silent.total_seconds())} s"


def _upstream() -> str:
    """Told from what the last calls saw: a health check spends no call of the budget."""
    try:
        frozen = shared_meter().view().frozen_for
    except DatabaseError:
        return "cannot be told without the database"
    return f"calls are paused for {frozen} s" if frozen else "ok"


def _clock() -> str:
    """Told from the times the service's last answers carried."""
    try:
        ahead = worst_skew()
    except DatabaseError:
        return "cannot be told without the database"
    return f"a machine is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the service" if ahead else "ok"
