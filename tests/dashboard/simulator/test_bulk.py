"""Bulk jobs: their life, their counters, and what they really do."""

from __future__ import annotations

import pytest

from tests.dashboard.simulator.conftest import DELIVERED, make_record

COUNTERS = ("pending", "successful", "failed", "skipped", "cancelled")


def create(api, **body):
    answer = api.post("/investigate/bulk", {"search_params": {}, **body})
    assert answer.status_code == 201, answer.text
    return f"/investigate/bulk/{answer.json()['result']['job_id']}"


def test_counters_add_up_at_every_moment_of_a_job(account, clock):
    api = account(*(make_record(n, **DELIVERED) for n in range(1, 31)), make_record(40), job_rate=20)
    api.simulator.store.domains_without_integration.add("branch.example")
    api.simulator.add(make_record(50, client_recipients=("bea@branch.example",), delivery_status=("delivered",)))
    path = create(api, action="MOVE", destination="JunkEmail", comment="op-1")
    seen = []
    for _ in range(80):
        job = api.result(path)
        assert job["total_messages_discovered"] == sum(job[f"messages_{name}"] for name in COUNTERS)
        seen.append(job["status"])
        clock.pass_by(0.1)

    assert list(dict.fromkeys(seen)) == ["PENDING", "DISCOVERING", "PROCESSING", "COMPLETED"]
    job = api.result(path)
    assert (job["messages_successful"], job["messages_failed"], job["total_messages_discovered"]) == (60, 3, 63)
    assert len(api.simulator.ledger.of("move")) == 60
    rows = api.result(f"{path}/messages", per_page=100, status="FAILED")
    assert {row["status_message"] for row in rows} == {
        "message is in quarantine",
        "no active integration for branch.example",
    }
    assert api.result("/investigate/POST0001")["delivery_status"] == ["moved", "moved"]


def test_a_release_job_skips_what_is_not_held(account, clock):
    api = account(make_record(1), make_record(2, **DELIVERED), make_record(3, is_phish_submission=True))
    path = create(api, action="RELEASE", search_params={"submissions": True})
    clock.pass_by(60)
    job = api.result(path)

    assert (job["status"], job["messages_successful"], job["messages_skipped"]) == ("COMPLETED", 2, 4)
    assert job["action_params"] == {"type": "RELEASE"}


def test_a_cancelled_job_keeps_what_it_did(account, clock):
    api = account(*(make_record(n, **DELIVERED) for n in range(1, 31)), job_rate=10)
    path = create(api, action="MOVE", destination="DeletedItems")
    clock.pass_by(5.05)
    assert api("DELETE", path).status_code == 400
    cancelled = api.post(f"{path}/cancel").json()["result"]
    clock.pass_by(100)

    job = api.result(path)
    assert job == cancelled
    assert (job["status"], job["messages_successful"], job["messages_cancelled"]) == ("CANCELLED", 15, 45)
    assert len(api.simulator.ledger) == 15
    assert api.post(f"{path}/cancel").status_code == 400
    assert api("DELETE", path).json()["result"] == {"id": job["job_id"]}
    assert api.get(path).status_code == 404


def test_jobs_are_listed_and_found_by_comment(account):
    api = account(make_record(1))
    create(api, action="RELEASE", comment="key-1")
    create(api, action="MOVE", destination="Inbox", comment="key-2")

    assert [job["comment"] for job in api.result("/investigate/bulk", action_type="MOVE")] == ["key-2"]
    assert len(api.result("/investigate/bulk", status="PENDING")) == 2
    assert api.result("/investigate/bulk", page=2) == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"action": "MOVE", "search_params": {}}, "/destination"),
        ({"action": "PURGE", "search_params": {}}, "/action"),
        ({"action": "RELEASE"}, "/search_params"),
        ({"action": "RELEASE", "search_params": {"final_disposition": "BAD"}}, "/search_params/final_disposition"),
        ({"action": "RELEASE", "search_params": {"start": "yesterday"}}, "/search_params/start"),
    ],
)
def test_a_wrong_job_is_refused(account, body, pointer):
    answer = account().post("/investigate/bulk", body)
    assert (answer.status_code, answer.json()["errors"][0]["source"]["pointer"]) == (422, pointer)
