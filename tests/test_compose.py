"""docker-compose.yml: hardened containers, no secret and no port that should not be there."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from django.conf import settings
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from dashboard.upstream import parallel
from tests import servers

COMPOSE: dict[str, Any] = yaml.safe_load((Path(settings.BASE_DIR) / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_containers_have_no_more_rights_than_they_need(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", ["migrate", "web", "worker-people", "worker", "worker-bulk", "scheduler"])
def test_our_containers_cannot_change_their_own_files(name: str) -> None:
    assert SERVICES[name]["read_only"] is True


@pytest.mark.parametrize("name", ["web", "worker-people", "worker", "worker-bulk", "scheduler", "postgres", "redis"])
def test_every_lasting_container_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_only_the_web_server_is_reachable_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"web": ["127.0.0.1:8000:8000"]}
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]


def test_secrets_are_files_and_none_has_a_default() -> None:
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    for service in SERVICES.values():
        for name, value in (service.get("environment") or {}).items():
            if any(word in name for word in ("KEY", "TOKEN", "PASSWORD", "SECRET", "URL")):
                assert name.endswith("_FILE"), name
                assert value.startswith("/run/secrets/"), name


def test_people_have_a_worker_of_their_own_and_every_queue_has_one() -> None:
    queues = {name: SERVICES[name]["command"][1].split(",") for name in SERVICES if name.startswith("worker")}

    assert queues["worker-people"] == ["people"]
    assert queues["worker-bulk"] == ["bulk"]
    assert sorted(queue for one in queues.values() for queue in one) == ["bulk", "people", "polls", "sweep"]


def test_any_number_of_a_workers_containers_may_run() -> None:
    for name, service in SERVICES.items():
        assert "container_name" not in service, name
        if name.startswith("worker"):
            assert not {"ports", "hostname", "volumes"} & set(service), name


def test_a_stopping_container_has_time_to_finish_its_call() -> None:
    needed = settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + settings.CALL_SECONDS
    for name in ("worker-people", "worker", "worker-bulk"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > needed


def test_all_threads_of_ours_find_a_database_connection_and_a_place_in_their_container() -> None:
    web = runpy.run_path(str(settings.BASE_DIR / "dashboard" / "gunicorn.py"))
    readers = parallel.READERS
    workers = sum(name.startswith("worker") for name in SERVICES)
    needed = web["workers"] * (web["threads"] + readers) + workers * (settings.WORKER_THREADS + readers)
    allowed = int(SERVICES["postgres"]["command"][-1].removeprefix("max_connections="))

    assert needed < 0.7 * allowed  # a second web container must fit too: README says what each of them takes
    assert SERVICES["web"]["pids_limit"] > 2 * web["workers"] * (web["threads"] + readers)


def test_the_web_servers_health_check_asks_what_any_name_may_ask() -> None:
    assert "/healthz" in SERVICES["web"]["healthcheck"]["test"][-1]
    assert "dashboard.upstream.health.HealthMiddleware" in settings.MIDDLEWARE


def test_redis_does_not_run_as_root() -> None:
    assert SERVICES["redis"]["user"] == "redis"
    assert "cap_add" not in SERVICES["redis"]


@pytest.mark.services
def test_redis_keeps_its_queue_refuses_instead_of_forgetting_and_hides_its_password(tmp_path: Path) -> None:
    """The command of the file itself, on a real server."""
    port, secret = servers.free_port(), tmp_path / "redis_password"
    secret.write_text("pass of the tests")
    servers.binary("redis-server")
    *shell, script = SERVICES["redis"]["command"]
    script = script.replace("$$", "$").replace("/run/secrets/redis_password", str(secret))
    script = script.replace("redis-server - ", f"redis-server - --port {port} --bind 127.0.0.1 --dir {tmp_path} ")
    process = subprocess.Popen([*shell, script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, password="pass of the tests", retry=Retry(ConstantBackoff(0.05), 200)) as server:
            assert server.ping()
            wanted = {"appendonly": "yes", "maxmemory": str(256 * 1024**2), "maxmemory-policy": "noeviction"}
            assert server.config_get(*wanted) == wanted
            assert "pass of the tests" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        process.terminate()  # reaches the server itself: the shell has become it
        assert process.wait(10) == 0
