"""Moves, releases and submissions change the account, and the ledger tells the same as the API."""

from __future__ import annotations

import base64

from tests.dashboard.simulator.conftest import CLEAN, DELIVERED, make_record


def release(api, *ids):
    answer = api.post("/investigate/release", {"ids": list(ids)})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_a_release_reaches_each_recipient_and_shows_everywhere(account):
    api = account(make_record(1), make_record(2))
    path = f"/investigate/{api.simulator.store.records[1].id}"
    (result,) = release(api, path.rpartition("/")[2])

    assert result["delivered"] == ["bea@corp.example", "carl@corp.example"]
    message = api.result(path)
    assert message["is_quarantined"] is False
    assert message["delivery_status"] == ["delivered", "delivered"]
    assert message["post_delivery_operations"] == ["QUARANTINE_RELEASE"]
    (entry,) = api.result(f"{path}/action_log")
    assert (entry["operation"], entry["success"]) == ("QUARANTINE_RELEASE", True)
    assert api.found(message_action="QUARANTINE_RELEASED") == ["POST0001"]
    assert api.found(delivery_status="quarantined") == ["POST0002"]
    assert [(e.kind, e.recipient) for e in api.simulator.ledger] == [
        ("release", "bea@corp.example"),
        ("release", "carl@corp.example"),
    ]


def test_a_release_can_reach_only_some(account):
    recipients = ("bea@corp.example", "carl@corp.example", "dora@corp.example")
    api = account(make_record(1, client_recipients=recipients))
    api.simulator.faults.fail_delivery_to("carl@corp.example")
    api.simulator.store.full_mailboxes.add("dora@corp.example")
    (result,) = release(api, "POST0001")

    assert result["delivered"] == ["bea@corp.example"]
    assert result["failed"] == ["carl@corp.example"]
    assert result["undelivered"] == ["dora@corp.example"]
    message = api.result("/investigate/POST0001")
    assert message["delivery_status"] == ["delivered", "quarantined", "bounced"]
    assert message["is_quarantined"] is True
    log = api.result("/investigate/POST0001/action_log")
    assert {(entry["success"], entry["status"]) for entry in log} == {
        (True, "OK"),
        (False, "mail server did not answer"),
        (False, "mailbox is full"),
    }


def test_a_second_release_finds_nothing_to_do(account):
    api = account(make_record(1))
    release(api, "POST0001")
    (again,) = release(api, "POST0001")
    (unknown,) = release(api, "nobody")

    assert again["delivered"] == again["failed"] == []
    assert unknown == {"id": "nobody", "delivered": None, "failed": None, "undelivered": None, "postfix_id": "nobody"}
    assert len(api.simulator.ledger.of("release")) == 2


def test_a_move_answers_per_copy(account):
    api = account(make_record(1, client_recipients=("bea@corp.example", "olaf@oakmere.example"), **DELIVERED))
    api.simulator.store.domains_without_integration.add("oakmere.example")
    answer = api.post("/investigate/POST0001/move", {"destination": "JunkEmail"})

    assert answer.json()["success"] is True
    good, bad = answer.json()["result"]
    assert (good["success"], good["recipient"], good["destination"]) == (True, "bea@corp.example", "JunkEmail")
    assert (bad["success"], bad["status"]) == (False, "no active integration for oakmere.example")
    assert api.result("/investigate/POST0001")["delivery_status"] == ["moved", "move_failed"]
    assert api.found(message_action="MOVED") == api.found(delivery_status="move_failed") == ["POST0001"]
    log = api.result("/investigate/POST0001/action_log")
    assert {(entry["success"], entry["properties"]["folder"]) for entry in log} == {
        (True, "JunkEmail"),
        (False, "JunkEmail"),
    }
    assert [(e.recipient, e.detail["destination"]) for e in api.simulator.ledger] == [("bea@corp.example", "JunkEmail")]


def test_a_copy_in_quarantine_or_already_there_is_not_moved(account):
    api = account(make_record(1), make_record(2, **DELIVERED))
    results = api.post("/investigate/move", {"destination": "Inbox", "ids": ["POST0001", "POST0002", "nobody"]}).json()

    statuses = [item["status"] for item in results["result"]]
    assert statuses == [
        *["message is in quarantine"] * 2,
        *["message is already in Inbox"] * 2,
        "message not found: nobody",
    ]
    assert not any(item["success"] for item in results["result"])
    assert len(api.simulator.ledger) == 0


def test_a_move_is_checked(account):
    api = account(make_record(1))
    for body, pointer in (
        ({"ids": ["POST0001"]}, "/destination"),
        ({"destination": "Trash", "ids": ["POST0001"]}, "/destination"),
        ({"destination": "Inbox", "ids": []}, "/ids"),
        ({"destination": "Inbox", "ids": ["x"] * 1001}, "/ids"),
    ):
        answer = api.post("/investigate/move", body)
        assert (answer.status_code, answer.json()["errors"][0]["source"]["pointer"]) == (422, pointer)


def test_the_action_log_can_lag(account, clock):
    api = account(make_record(1))
    api.simulator.faults.log_lag = 20
    release(api, "POST0001")

    assert api.result("/investigate/POST0001/action_log") == []
    clock.pass_by(21)
    assert len(api.result("/investigate/POST0001/action_log")) == 1


def test_submissions_are_answered_one_by_one(account, clock):
    api = account(make_record(1), make_record(2, **CLEAN))
    alert = api.simulator.store.records[1].alert_id
    answer = api.post(
        "/submissions",
        {
            "type": "reclassification",
            "messages": [
                {"alert_id": alert, "expected_disposition": "NONE"},
                {"alert_id": alert, "expected_disposition": "MALICIOUS"},
                {"alert_id": "nobody", "expected_disposition": "SPAM"},
            ],
        },
    )

    assert answer.status_code == 202
    results = answer.json()["result"]["results"]
    assert [(item["id"], item["accepted"]) for item in results] == [(alert, True), (alert, False), ("nobody", False)]
    (submission,) = api.result("/submissions", type="TEAM")
    assert (submission["type"], submission["status"], submission["outcome"]) == ("Team", "pending", None)
    assert submission["original_disposition"] == "MALICIOUS"
    clock.pass_by(300)
    (submission,) = api.result("/submissions", type="TEAM")
    assert submission["status"] == "completed"
    assert submission["outcome_disposition"] in ("NONE", "MALICIOUS")
    assert api.result("/investigate/POST0001")["final_disposition"] == "MALICIOUS"
    assert api.result("/investigate/POST0001")["post_delivery_operations"] == ["SUBMISSION"]
    assert [entry.kind for entry in api.simulator.ledger] == ["submission"]


def test_a_missed_detection_names_message_and_recipient(account):
    api = account(make_record(1, **CLEAN))
    item = {
        "postfix_id": "POST0001",
        "message_id": "<m1@harbour.example>",
        "recipient_emails": ["bea@corp.example"],
        "expected_disposition": "MALICIOUS",
        "eml_content": base64.b64encode(b"From: x").decode(),
    }
    body = {"type": "missed_detection", "messages": [item, item | {"recipient_emails": ["else@corp.example"]}]}
    good, bad = api.post("/submissions", body).json()["result"]["results"]

    assert good == {"id": "POST0001", "accepted": True, "error": None}
    assert bad["accepted"] is False
    wrong = api.post("/submissions", {"type": "missed_detection", "messages": [item | {"eml_content": "%"}]})
    assert wrong.json()["errors"][0]["source"]["pointer"] == "/messages/0/eml_content"


def test_a_user_report_can_be_escalated(account):
    api = account(make_record(1, is_phish_submission=True))
    (report,) = api.result("/submissions")
    assert (report["type"], report["original_postfix_id"]) == ("User", "POST0001")
    item = {
        "postfix_id": "POST0001",
        "message_id": "<m1@harbour.example>",
        "recipient_emails": ["bea@corp.example"],
        "expected_disposition": "SPAM",
        "escalated_submission_id": report["submission_id"],
    }
    api.post("/submissions", {"type": "missed_detection", "messages": [item]})

    (escalated,) = api.result("/submissions", status="escalated")
    assert (escalated["submission_id"], escalated["escalated_as"]) == (report["submission_id"], "SPAM")
    (own,) = api.result("/submissions", escalated_from_user="true")
    assert own["escalated_submission_id"] == report["submission_id"]


def test_reclassify_becomes_a_submission(account):
    api = account(make_record(1), make_record(2, **CLEAN))

    answer = api.post("/investigate/POST0001/reclassify", {"expected_disposition": "SPAM"})
    assert (answer.status_code, answer.json()["result"]) == (202, {})
    assert api.result("/submissions")[0]["requested_disposition"] == "SPAM"
    clean = api.post("/investigate/POST0002/reclassify", {"expected_disposition": "SPAM"})
    assert clean.json()["errors"][0]["source"]["pointer"] == "/eml_content"


def test_phishguard_reports_have_pages(account):
    api = account(*(make_record(n, edf_hash=f"edf{n}") for n in range(1, 40)))
    body = api.get("/phishguard/reports", per_page=2).json()

    assert len(body["result"]) == 2
    assert {type(report["id"]) for report in body["result"]} == {int}
    assert body["result"][0]["fields"]["occurred_at"] > body["result"][1]["fields"]["occurred_at"]
