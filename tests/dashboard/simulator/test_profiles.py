"""The older generation and the one without retired fields."""

from __future__ import annotations

import json

import pytest

from tests.dashboard.simulator.conftest import CLEAN, DELIVERED, make_record
from tests.dashboard.simulator.test_openapi import EXAMPLES

RETIRED = {
    "ts", "sent_date", "action_log", "postfix_id_old", "last_modified", "is_sender", "is_recipient", "is_spoof",
    "completed_timestamp", "item_count", "requested_ts",
}  # fmt: skip


def _keys(value):
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _keys(part)
    elif isinstance(value, list):
        for part in value:
            yield from _keys(part)


def test_sunset_sends_nothing_retired(account, clock):
    api = account(make_record(1, **DELIVERED), make_record(2, is_phish_submission=True), profile="sunset")
    moved = api.post("/investigate/POST0001/move", {"destination": "JunkEmail"}).json()
    released = api.post("/investigate/release", {"ids": ["POST0001"]}).json()
    paths = [
        "/investigate",
        "/investigate/POST0001",
        "/investigate/POST0001/trace",
        "/submissions",
        "/investigate/bulk",
    ]
    answers = [api.get(path).json() for path in paths]
    policy = api.post("/settings/allow_policies", EXAMPLES["allow_policies"]).json()

    assert not RETIRED & set(_keys([moved, *answers, policy]))
    assert "postfix_id" not in released["result"][0]
    assert set(answers[0]["result_info"]) == {"count", "per_page", "next", "previous"}
    assert moved["result"][0]["completed_at"]


def test_seed_speaks_the_older_forms(account):
    api = account(make_record(1), make_record(2, **DELIVERED), profile="seed")
    message = api.result("/investigate/POST0001")
    assert "delivery_status" not in message
    assert message["findings"][0]["reason"] == "Bad link"

    released = api.post("/investigate/release", ["POST0001"]).json()["result"]
    assert released[0]["delivered"] == ["bea@corp.example", "carl@corp.example"]
    assert api.post("/investigate/release", {"ids": ["POST0001"]}).status_code == 200
    moved = api.post("/investigate/move", {"destination": "JunkEmail", "postfix_ids": ["POST0002"]}).json()["result"]
    assert "completed_at" not in moved[0]
    assert json.dumps(moved[0]["completed_timestamp"]).endswith('20"')
    detections = api.result("/investigate/POST0001/detections")
    assert "findings" not in detections
    assert set(detections["attachments"][0]) == {"name", "size", "content_type", "detection", "encrypted"}
    trace = api.result("/investigate/POST0001/trace")
    assert set(trace["inbound"]["lines"][0]) == {"lineno", "message", "ts"}
    assert "result_info" not in api.get("/phishguard/reports").json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/investigate/bulk", 404),
        ("POST", "/investigate/bulk", 404),
        ("POST", "/submissions", 405),
        ("GET", "/investigate/POST0001/action_log", 404),
        ("GET", "/settings/content_policies", 404),
        ("GET", "/settings/sending_domain_restrictions", 404),
        ("GET", "/settings/url_ignore_patterns", 404),
        ("POST", "/settings/block_senders/batch", 404),
        ("POST", "/settings/domains", 405),
        ("GET", "/analytics/monthly_report", 404),
    ],
)
def test_seed_lacks_what_came_later(account, method, path, status):
    answer = account(make_record(1), profile="seed")(method, path, {} if method == "POST" else None)
    assert answer.status_code == status
    assert status == 405 or answer.json()["errors"][0]["code"] == 7003


def test_seed_ignores_filters_it_does_not_know(account):
    api = account(make_record(1), make_record(2, **CLEAN), profile="seed")
    assert api.found(delivery_status="bounced", smtp_helo_ip="192.0.2.99") == ["POST0001"]
    assert api.found(exact_subject="Invoice 1 overdue") == ["POST0001"]
    assert api.found(exact_subject="Invoice 1") == []
    reclassified = api.post("/investigate/POST0001/reclassify", {"expected_disposition": "SPAM"})
    assert reclassified.status_code == 200
    assert api.found(message_action="SUBMITTED") == ["POST0001"]


def test_seed_settings_have_numbers_and_lower_case(account):
    api = account(make_record(1), profile="seed")
    entry = api.post("/settings/block_senders", EXAMPLES["block_senders"]).json()["result"]
    (domain, *_) = api.result("/settings/domains")

    assert isinstance(entry["id"], int)
    assert "modified_at" not in entry
    assert entry["last_modified"]
    assert api.result(f"/settings/block_senders/{entry['id']}") == entry
    assert domain["status"] == "active"
    path = f"/settings/domains/{domain['id']}"
    assert api("PATCH", path, {"lookback_hops": 3}).json()["errors"][0]["source"]["pointer"] == "/ip_restrictions"
    assert api("PATCH", path, {"lookback_hops": 3, "ip_restrictions": []}).status_code == 200
    trusted = [EXAMPLES["trusted_domains"] | {"pattern": name} for name in ("a.example", "b.example")]
    assert [item["pattern"] for item in api.post("/settings/trusted_domains", trusted).json()["result"]] == [
        "a.example",
        "b.example",
    ]
