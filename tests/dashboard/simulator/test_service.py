"""What holds for every call: credentials, routes, envelope, rate limit, and faults on order."""

from __future__ import annotations

import httpx
import pytest

from dashboard.simulator import Simulator
from tests.dashboard.simulator.conftest import DELIVERED, Api, make_record


def test_every_answer_wears_the_envelope(account):
    api = account(make_record(1))
    good, bad = api.get("/investigate"), api.get("/investigate/nobody")

    assert good.headers["Content-Type"] == bad.headers["Content-Type"] == "application/json"
    assert good.headers["CF-RAY"] != bad.headers["CF-RAY"]
    assert (good.json()["success"], good.json()["errors"], good.json()["messages"]) == (True, [], [])
    assert (bad.json()["success"], bad.json()["result"]) == (False, None)
    assert bad.json()["errors"][0]["message"] == "Message not found"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, 10000),
        ({"Authorization": "Bearer wrong"}, 401, 10000),
        ({"Authorization": "Basic abc"}, 400, 6003),
        ({"X-Auth-Email": "security@tarnfell.example"}, 400, 6003),
        ({"X-Auth-Email": "security@tarnfell.example", "X-Auth-Key": "f" * 37}, 401, 10000),
        ({"X-Auth-Email": "security@tarnfell.example", "X-Auth-Key": "0" * 37}, 200, None),
    ],
)
def test_credentials_are_checked(account, headers, status, code):
    api = account()
    del api.http.headers["Authorization"]
    api.http.headers.update(headers)
    answer = api.get("/settings/domains")

    assert answer.status_code == status
    assert code is None or answer.json()["errors"][0]["code"] == code


def test_a_read_token_changes_nothing(account):
    api = account(make_record(1), read_token="reader", token="reader")
    api.simulator.token = "x"

    assert api.get("/investigate").status_code == 200
    for method, path in (("POST", "/investigate/release"), ("DELETE", "/settings/domains/1"), ("POST", "/submissions")):
        assert api(method, path, {"ids": ["POST0001"]}).status_code == 403
    assert len(api.simulator.ledger) == 0


def test_unknown_routes_and_methods(account):
    api = account()
    assert api.get("/investigate/a/b/c").json()["errors"][0]["code"] == 7003
    assert api("PUT", "/investigate/bulk", {}).status_code == 405
    assert api("PUT", "/settings/content_policies/1", {}).status_code == 405
    other = httpx.URL("http://simulator.example/client/v4/accounts/ffffffffffffffffffffffffffffffff/email-security")
    assert api.http.get(f"{other}/investigate").status_code == 403


def test_the_budget_runs_out_and_comes_back_after_five_minutes(account, clock):
    api = account(rate_limit=10)
    lefts = [api.get("/investigate").headers["Ratelimit"] for _ in range(10)]
    assert lefts[0] == '"default";r=9;t=300'
    assert lefts[-1] == '"default";r=0;t=300'

    over = api.get("/investigate")
    assert (over.status_code, over.headers["Retry-After"]) == (429, "300")
    assert over.headers["Ratelimit-Policy"] == '"default";q=10;w=300'
    assert over.json()["errors"][0]["code"] == 971
    clock.pass_by(299)
    assert (api.get("/investigate").status_code, api.get("/investigate").headers["Retry-After"]) == (429, "1")
    clock.pass_by(1)
    assert api.get("/investigate").status_code == 200


def test_the_window_slides(account, clock):
    api = account(rate_limit=10)
    for _ in range(10):
        api.get("/investigate")
        clock.pass_by(40)
    assert [api.get("/investigate").status_code for _ in range(3)] == [200, 200, 200]


def test_budgets_are_per_credential(account):
    api = account(rate_limit=1, read_token="reader")
    reader = Api(api.simulator, "reader")
    assert [api.get("/investigate").status_code for _ in range(2)] == [200, 429]
    assert reader.get("/investigate").status_code == 200


def test_an_answer_can_be_lost_after_the_work_is_done(account):
    api = account(make_record(1))
    api.simulator.faults.next("release", applied=True, lose_answer=True)
    with pytest.raises(httpx.ReadError):
        api.post("/investigate/release", {"ids": ["POST0001"]})

    assert len(api.simulator.ledger.of("release")) == 2
    assert api.result("/investigate/POST0001")["is_quarantined"] is False
    assert [call.status for call in api.simulator.calls] == [0, 200]


@pytest.mark.parametrize("applied", [True, False])
def test_an_error_can_come_with_or_without_effect(account, applied):
    api = account(make_record(1, **DELIVERED))
    api.simulator.faults.next("move*", status=503, applied=applied)
    answer = api.post("/investigate/POST0001/move", {"destination": "JunkEmail"})

    assert (answer.status_code, answer.json()["success"]) == (503, False)
    assert len(api.simulator.ledger) == (2 if applied else 0)
    assert api.get("/investigate/POST0001").status_code == 200


def test_bodies_can_be_broken_in_many_ways(account):
    api = account(make_record(1))
    faults = api.simulator.faults
    faults.next("search", html=True)
    faults.next("search", success_false=True)
    faults.next("search", truncate=20)
    faults.next("search", empty=True)
    faults.next("search", body='{"success": true, "result": NaN}')
    faults.next("search", status=429, retry_after="-5")
    faults.next("search", location="https://evil.example/results")

    html = api.get("/investigate")
    assert (html.status_code, html.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    refused = api.get("/investigate")
    assert (refused.status_code, refused.json()["success"]) == (200, False)
    assert len(api.get("/investigate").content) == 20
    assert api.get("/investigate").content == b""
    assert "NaN" in api.get("/investigate").text
    assert api.get("/investigate").headers["Retry-After"] == "-5"
    slow = api.get("/investigate")
    assert (slow.status_code, slow.headers["Location"]) == (202, "https://evil.example/results")
    assert api.get("/investigate").json()["result"][0]["postfix_id"] == "POST0001"


def test_silence_is_a_timeout_in_process(account):
    api = account(make_record(1))
    api.simulator.faults.next("trace", hang=30)
    with pytest.raises(httpx.ReadTimeout):
        api.get("/investigate/POST0001/trace")


def test_an_answer_can_miss_items(account):
    api = account(make_record(1), make_record(2))
    api.simulator.faults.next("release", drop_items=1)
    answer = api.post("/investigate/release", {"ids": ["POST0001", "POST0002"]})
    assert [item["postfix_id"] for item in answer.json()["result"]] == ["POST0001"]
    assert len(api.simulator.ledger) == 4


def test_new_mail_arrives_as_time_passes(clock):
    simulator = Simulator(messages=50, seed=3, clock=clock, arrival_interval=60)
    api = Api(simulator)
    before = len(simulator.store.records) + len(simulator.store.reported)
    clock.pass_by(3600)
    api.get("/investigate")
    arrived = len(simulator.store.records) + len(simulator.store.reported) - before

    assert 45 <= arrived <= 80
    assert max(record.scanned_at for record in simulator.store.records) <= clock()
    assert [record.scanned_at for record in simulator.arrive(2)] == [clock(), clock()]


def test_the_same_seed_gives_the_same_account(clock):
    one, two = (Simulator(messages=40, seed=9, clock=clock) for _ in range(2))
    assert [record.id for record in one.store.records] == [record.id for record in two.store.records]
    assert list(one.settings.entries["domains"]) == list(two.settings.entries["domains"])


def test_control_is_closed_unless_opened(account):
    api = account(make_record(1))
    assert api.http.get("http://simulator.example/__simulator__/ledger").status_code == 404

    open_api = account(make_record(1), control=True)
    base = "http://simulator.example/__simulator__"
    plan = {"faults": [{"operation": "message", "status": 500}], "fail_delivery_to": ["bea@corp.example"]}
    assert open_api.http.post(f"{base}/faults", json=plan).status_code == 200
    assert open_api.get("/investigate/POST0001").status_code == 500
    open_api.post("/investigate/release", {"ids": ["POST0001"]})
    ledger = open_api.http.get(f"{base}/ledger").json()
    assert [(entry["kind"], entry["recipient"]) for entry in ledger] == [("release", "carl@corp.example")]
    calls = open_api.http.get(f"{base}/calls").json()
    assert [(call["operation"], call["status"]) for call in calls] == [("message", 500), ("release", 200)]
    assert open_api.http.post(f"{base}/reset").json()["calls"] == 0
    assert open_api.http.get(f"{base}/nonsense").status_code == 404
