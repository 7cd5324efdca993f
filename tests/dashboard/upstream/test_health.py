"""/healthz and /readyz: answered whatever the Host, and naming what the work lacks."""

from __future__ import annotations

import datetime as dt
import email.utils
import io
import re

import pytest
import redis
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from dashboard.upstream import clock, health
from dashboard.upstream.connection import shared_meter
from dashboard.upstream.models import ClockSkew, Heartbeat
from dashboard.upstream.tasks import beat, purge, record_beat
from tests import servers


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "10.42.0.7", "web", "desk.corp.example"])
def test_monitoring_may_use_any_name(client, settings, host):
    """Health checks call containers by addresses that are no names of the desk."""
    settings.ALLOWED_HOSTS = ["desk.corp.example"]

    answer = client.get("/healthz", headers={"Host": host})

    assert (answer.status_code, answer.content) == (200, b"alive\n")
    assert "no-store" in answer["Cache-Control"]


def test_monitoring_is_not_sent_to_https(client, settings):
    settings.SECURE_SSL_REDIRECT = True

    assert client.get("/healthz").status_code == 200


def test_readiness_names_what_is_missing(client, db, settings):
    settings.ALLOWED_HOSTS = ["desk.corp.example"]
    record_beat("scheduler")

    answer = client.get("/readyz", headers={"Host": "10.42.0.7"})

    assert answer.status_code == 503
    assert answer.json()["worker"] == answer.json()["people"] == "has not been seen yet"
    assert answer.json()["scheduler"] == "ok"


def test_other_addresses_still_need_a_name_of_ours(client, settings):
    settings.ALLOWED_HOSTS = ["desk.corp.example"]

    assert client.post("/healthz").status_code == 405
    assert client.get("/healthz/", headers={"Host": "desk.corp.example"}).status_code == 404


@pytest.mark.matrix(7)
@pytest.mark.services
def test_a_redis_that_forgets_work_is_named(tmp_path):
    with servers.redis_server(tmp_path) as url:
        assert health.broker_state(url) == "ok"

        with redis.Redis.from_url(url) as server:
            server.config_set("maxmemory-policy", "allkeys-lru")
        assert health.broker_state(url) == "evicts work: set maxmemory-policy noeviction"

    assert health.broker_state(url) == "does not answer"


@pytest.mark.matrix(24)
def test_each_worker_has_a_pulse_of_its_own(db):
    beat("people")
    call_command("pulse", "people")

    with pytest.raises(SystemExit):  # the other one has not been seen
        call_command("pulse", stderr=io.StringIO())


@pytest.mark.matrix(56)
def test_a_machine_whose_clock_is_off_is_named_until_it_is_right(client, db):
    ten_minutes_ago = email.utils.format_datetime(timezone.now() - dt.timedelta(minutes=10), usegmt=True)
    now = email.utils.format_datetime(timezone.now(), usegmt=True)

    shared_meter().after({"date": ten_minutes_ago}, 200)
    told = client.get("/readyz").json()["clock"]
    assert re.fullmatch(r"a machine is (599|600|601) s ahead of the service", told)

    shared_meter().after({"date": now}, 200)
    assert client.get("/readyz").json()["clock"] == "ok"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "soon",
        "Fri, 32 Nov 2026 00:00:00 GMT",
        "Sat, 21 Nov 2026 10:00:00 -0000",
        "Sat, 21 Nov 99999999999999999999 10:00:00 GMT",
    ],
)
def test_an_answer_without_a_time_says_nothing_about_our_clock(db, header):
    clock.note_date(header)

    assert clock.worst_skew() == 0


def test_a_clock_nobody_complains_of_any_more_is_believed(db):
    ClockSkew.objects.create(machine="gone", seconds=-300, seen_at=timezone.now() - dt.timedelta(minutes=6))
    assert clock.worst_skew() == 0

    ClockSkew.objects.update(seen_at=timezone.now())
    assert clock.worst_skew() == -300


def test_jobs_have_a_worker_of_their_own_whose_canary_may_wait_for_a_running_step(client, db):
    limit = settings.CELERY_TASK_TIME_LIMIT
    Heartbeat.objects.create(name="bulk", beat_at=timezone.now() - dt.timedelta(seconds=limit))
    assert client.get("/readyz").json()["bulk"] == "ok"

    Heartbeat.objects.update(beat_at=timezone.now() - dt.timedelta(seconds=limit + 60))
    assert client.get("/readyz").json()["bulk"].startswith("silent for")


@pytest.mark.services
def test_a_redis_that_tells_nobody_its_settings_is_believed(tmp_path):
    """Managed servers grant neither CONFIG nor all of INFO."""
    with servers.redis_server(tmp_path) as url:
        with redis.Redis.from_url(url) as server:
            server.execute_command("ACL SETUSER desk on >pass-of-desk ~* &* +@all -config")
            server.execute_command("ACL SETUSER plain on >pass-of-plain ~* &* +@all -config -info")
        for user in ("desk", "plain"):
            theirs = url.replace(":redis-of-the-tests@", f"{user}:pass-of-{user}@")
            assert health.broker_state(theirs) == "ok"


def test_a_machine_that_has_not_called_for_a_day_is_forgotten(db):
    for name, hours in (("gone", 25), ("here", 23)):
        ClockSkew.objects.create(machine=name, seconds=90, seen_at=timezone.now() - dt.timedelta(hours=hours))

    purge()

    assert [skew.machine for skew in ClockSkew.objects.all()] == ["here"]
