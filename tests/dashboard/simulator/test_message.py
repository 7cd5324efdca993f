"""One message: its parts, and what cannot be shown of it."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from tests.dashboard.simulator.conftest import CLEAN, NOW, make_record


def one(account, **changes):
    api = account(make_record(1, **changes))
    return api, f"/investigate/{api.simulator.store.records[0].id}"


def test_a_message_carries_both_forms_of_its_times(account):
    api, path = one(account)
    message = api.result(path)

    assert message["scanned_at"] == "2026-09-21T14:12:20.000Z"
    assert message["ts"] == "2026-09-21T14:12:20"
    assert message["delivery_status"] == ["quarantined", "quarantined"]
    assert message["is_quarantined"] is True
    assert message["from"] == "billing@harbour.example"


def test_an_id_may_be_percent_encoded(account):
    api, path = one(account)
    assert api.result(path.replace(":", "%3A"))["postfix_id"] == "POST0001"


def test_detections_tell_findings_links_and_attachments(account):
    api, path = one(account)
    found = api.result(f"{path}/detections")

    assert found["action"] == "QUARANTINED"
    assert found["links"] == [{"href": "https://login.harbour-portal.example/reset", "text": "Sign in"}]
    assert found["attachments"][0]["filename"] == found["attachments"][0]["name"] == "invoice.pdf"
    assert found["threat_categories"] == [{"id": 7, "name": "Link", "description": "A bad link"}]


def test_clean_mail_has_no_detections_raw_or_own_preview(account):
    api, path = one(account, **CLEAN)

    for part in ("detections", "raw", "preview"):
        answer = api.get(f"{path}/{part}")
        assert answer.status_code == 404, part
        assert "no detection" in answer.json()["errors"][0]["message"]


def test_a_preview_is_a_picture_and_leaves_a_trace(account):
    api, path = one(account)
    screenshot = base64.b64decode(api.result(f"{path}/preview")["screenshot"])

    assert Image.open(BytesIO(screenshot)).format == "PNG"
    assert api.result(path)["post_delivery_operations"] == ["PREVIEW"]
    assert api.found(message_action="PREVIEW") == ["POST0001"]


def test_clean_mail_is_previewed_by_post_while_it_is_in_the_inbox(account):
    api, path = one(account, **CLEAN)
    message_id = path.rpartition("/")[2]

    assert api.post("/investigate/preview", {"id": message_id}).status_code == 200
    api.post(f"{path}/move", {"destination": "JunkEmail"})
    assert api.post("/investigate/preview", {"id": message_id}).status_code == 400


def test_a_preview_by_post_needs_write(account):
    api = account(make_record(1, **CLEAN), read_token="reader", token="reader")
    assert api.post("/investigate/preview", {"id": "POST0001"}).status_code == 403


def test_a_detection_is_not_previewed_by_post(account):
    api, _ = one(account)
    assert api.post("/investigate/preview", {"id": "POST0001"}).status_code == 400


def test_purged_mail_has_no_preview(account):
    api, path = one(account, delivery_status=("delivered", "delivered"), is_quarantined=False)
    api.post(f"{path}/move", {"destination": "RecoverableItemsPurges"})
    assert api.get(f"{path}/preview").status_code == 404


def test_raw_is_the_message_as_text(account):
    api, path = one(account)
    assert api.result(f"{path}/raw")["raw"].startswith("From: billing@harbour.example\r\n")


def test_a_young_message_has_a_pending_trace_that_finishes(account, clock):
    api, path = one(
        account, scanned_at=NOW - 10, delivery_status=("delivered", "delivered"), is_quarantined=False,
        postfix_id_outbound="OUT1",
    )  # fmt: skip
    early = api.result(f"{path}/trace")
    clock.pass_by(60)
    late = api.result(f"{path}/trace")

    assert (early["inbound"]["pending"], early["outbound"]["pending"]) == (False, True)
    assert (late["outbound"]["pending"], early["outbound"]["lines"]) == (False, [])
    assert [line["lineno"] for line in late["outbound"]["lines"]] == list(range(1, len(late["outbound"]["lines"]) + 1))


def test_an_unknown_message_is_404_everywhere(account):
    api = account()
    for part in ("", "/detections", "/raw", "/trace", "/preview", "/action_log"):
        assert api.get(f"/investigate/nobody{part}").status_code == 404
    assert api.post("/investigate/nobody/move", {"destination": "Inbox"}).status_code == 404
