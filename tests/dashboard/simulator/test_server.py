"""The simulator behind a real port, read by the official SDK."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from cloudflare import Cloudflare

from dashboard.simulator import Simulator
from dashboard.simulator.server import SimulatorServer


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    simulator = Simulator(messages=120, seed=4, control=True, rate_limit=None)
    with SimulatorServer(("127.0.0.1", 0), simulator) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client_of(server: SimulatorServer) -> httpx.Client:
    simulator = server.application
    return httpx.Client(
        base_url=f"http://127.0.0.1:{server.server_port}/client/v4/accounts/{simulator.account_id}/email-security",
        headers={"Authorization": f"Bearer {simulator.token}"},
        timeout=10,
    )


def test_the_official_sdk_reads_the_ordinary_profile(server):
    simulator = server.application
    with Cloudflare(
        api_token=simulator.token,
        base_url=f"http://127.0.0.1:{server.server_port}/client/v4",
        max_retries=0,
        _strict_response_validation=True,
    ) as sdk:
        account = simulator.account_id
        messages = sdk.email_security.investigate.list(account_id=account, per_page=50).result
        assert len(messages) > 10
        message = sdk.email_security.investigate.get(messages[0].id, account_id=account)
        assert message.subject == messages[0].subject
        sdk.email_security.investigate.detections.get(messages[0].id, account_id=account)
        sdk.email_security.investigate.trace.get(messages[0].id, account_id=account)
        raw = sdk.email_security.investigate.raw.get(messages[0].id, account_id=account)
        assert "Subject" in raw.raw
        for resource in (
            sdk.email_security.settings.allow_policies,
            sdk.email_security.settings.block_senders,
            sdk.email_security.settings.content_policies,
            sdk.email_security.settings.domains,
            sdk.email_security.settings.impersonation_registry,
            sdk.email_security.settings.trusted_domains,
            sdk.email_security.settings.url_ignore_patterns,
        ):
            assert len(list(resource.list(account_id=account))) > 0
        assert list(sdk.email_security.submissions.list(account_id=account, per_page=5))


def test_a_hundred_connections_are_served_at_once(server):
    with ThreadPoolExecutor(100) as pool:
        barrier = threading.Barrier(100)

        def read(_number: int) -> int:
            with client_of(server) as http:
                http.get("/settings/domains")
                barrier.wait(timeout=20)
                return http.get("/settings/domains").status_code

        assert set(pool.map(read, range(100))) == {200}


def test_connections_stay_open_between_calls(server):
    with client_of(server) as http:
        streams = {id(http.get("/settings/domains").extensions["network_stream"]) for _ in range(3)}
    assert len(streams) == 1


def test_a_lost_answer_is_a_closed_connection(server):
    simulator = server.application
    simulator.faults.next("submissions", lose_answer=True)
    simulator.faults.next("submissions", truncate=10)
    with client_of(server) as http:
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                http.get("/submissions")
        assert http.get("/submissions").status_code == 200
