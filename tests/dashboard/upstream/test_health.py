"""/healthz and /readyz: answered whatever the Host, and naming what the work lacks."""

from __future__ import annotations

import io

import pytest
import redis
from django.core.management import call_command

from dashboard.upstream import health
from dashboard.upstream.tasks import beat, record_beat
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


@pytest.mark.services
def test_a_redis_that_forgets_work_is_named(tmp_path):
    with servers.redis_server(tmp_path) as url:
        assert health.broker_state(url) == "ok"

        with redis.Redis.from_url(url) as server:
            server.config_set("maxmemory-policy", "allkeys-lru")
        assert health.broker_state(url) == "evicts work: set maxmemory-policy noeviction"

    assert health.broker_state(url) == "does not answer"


def test_each_worker_has_a_pulse_of_its_own(db):
    beat("people")
    call_command("pulse", "people")

    with pytest.raises(SystemExit):  # the other one has not been seen
        call_command("pulse", stderr=io.StringIO())
