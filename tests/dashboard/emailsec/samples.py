"""Answers in both generations of the API."""

from __future__ import annotations

from typing import Any

MESSAGE_ID = "4Njp3P0STMz2c02Q-2026-11-20T10:00:00-12345678"

CURRENT_MESSAGE: dict[str, Any] = {
    "id": MESSAGE_ID,
    "postfix_id": "4Njp3P0STMz2c02Q",
    "postfix_id_outbound": None,
    "alert_id": "4Njp3P0STMz2c02Q-2026-11-20T10:00:00",
    "message_id": "<invoice-7@supplier.example>",
    "subject": "Overdue invoice",
    "from": "billing@supplier.example",
    "from_name": "Billing",
    "to": ["bea@corp.example"],
    "to_name": ["Bea"],
    "replyto": "other@elsewhere.example",
    "envelope_from": "bounce@supplier.example",
    "envelope_to": ["bea@corp.example"],
    "client_recipients": ["bea@corp.example"],
    "final_disposition": "MALICIOUS",
    "detection_reasons": ["link to a fresh domain"],
    "threat_categories": ["CredentialHarvester"],
    "validation": {"comment": None, "dkim": "pass", "dmarc": "fail", "spf": "none"},
    "delivery_mode": "DIRECT",
    "delivery_status": ["quarantined"],
    "is_quarantined": True,
    "is_phish_submission": False,
    "post_delivery_operations": ["PREVIEW", "MOVE"],
    "edf_hash": "abc",
    "smtp_helo_server_ip": "192.0.2.1",
    "properties": {"allowlisted_pattern": "x", "allowlisted_pattern_type": "acceptable_sender"},
    "scanned_at": "2026-11-20T10:00:00.12345Z",
    "sent_at": "2026-11-20T11:59:00+02:00",
}

SEED_MESSAGE: dict[str, Any] = {
    "id": "old:1",
    "postfix_id": "oldpostfix",
    "ts": "2019-11-20T23:22:01",
    "sent_date": "2019-11-20T23:20:00",
    "scanned_at": None,
    "to": None,
    "envelope_to": ["bea@corp.example"],
    "client_recipients": ["bea@corp.example"],
    "final_disposition": "MALICIOUS-BEC",
    "detection_reasons": [],
    "is_quarantined": False,
    "is_phish_submission": True,
    "properties": {"whitelisted_pattern_type": "quarantine_release"},
    "action_log": [],
    "findings": [{"field": "from", "name": "look-alike", "detection": "SPOOF", "score": 1}],
}

CURRENT_DETECTIONS: dict[str, Any] = {
    "action": "QUARANTINED",
    "final_disposition": "MALICIOUS",
    "validation": {"dkim": "pass"},
    "findings": [{"name": "x", "detail": "y", "score": 0.5}],
    "headers": [{"name": "Subject", "value": "Overdue"}],
    "links": [{"href": "https://evil.example/", "text": None}],
    "attachments": [{"size": 3, "filename": "a.zip", "sha256": "00", "encrypted": True, "detection": "MALICIOUS"}],
    "sender_info": {
        "ip": "192.0.2.7",
        "geo": "US/-/-",
        "as_number": 64500,
        "as_name": "Net",
        "pld": "supplier.example",
    },
    "threat_categories": [{"id": 1, "name": "Phish", "description": None}],
}

SEED_DETECTIONS: dict[str, Any] = {
    "action": "QUARANTINED",
    "attachments": [{"size": 3, "name": "old.zip", "content_type": "application/zip"}],
    "headers": [],
    "links": [],
    "sender_info": {},
    "threat_categories": [{"id": 7}],
    "validation": {},
}

BULK_JOB: dict[str, Any] = {
    "job_id": "f174e90a-fafe-4643-bbbc-4a0ed4fc8415",
    "action_type": "MOVE",
    "action_params": {"type": "MOVE", "destination": "JunkEmail", "expected_disposition": None},
    "search_params": {"start": "2026-11-01T00:00:00Z", "sender": "a@b.example", "query": None},
    "status": "PROCESSING",
    "status_message": None,
    "comment": "key-1",
    "created_at": "2026-11-20T10:00:00Z",
    "started_at": "2026-11-20T10:00:01Z",
    "completed_at": None,
    "total_messages_discovered": 10,
    "messages_pending": 4,
    "messages_successful": 3,
    "messages_failed": 1,
    "messages_skipped": 1,
    "messages_cancelled": 1,
}
