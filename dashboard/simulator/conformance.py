"""Fixtures of the `conformance` profile: the ids the official SDK's own test-suite asks for, which never go away."""

from __future__ import annotations

from typing import Any

from dashboard.simulator.kinds import Kind
from dashboard.simulator.mail.record import (
    NO_PROPERTIES,
    Finding,
    Header,
    MailContent,
    MailRecord,
    SenderInfo,
    ThreatCategory,
    Validation,
)

ACCOUNT_ID = "023e105f4ecef8ad9ca31a8372d0c353"
API_EMAIL = "user@example.com"
API_KEY = "144c9defac04969c7bfad8efaa8ea194"
TOKEN = "test-token"  # noqa: S105 - the documented example, opens nothing
FIXTURE_ID = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"
MESSAGE_ID = "4Njp3P0STMz2c02Q-2024-01-05T10:00:00-12345678"
_SCANNED_AT = 1704448800.0  # the time inside the id


class _FixtureSource:
    def content(self, record: MailRecord) -> MailContent:
        headers = (Header("From", f"{record.from_name} <{record.from_}>"), Header("Subject", record.subject or ""))
        eml = "".join(f"{header.name}: {header.value}\r\n" for header in headers) + "\r\nHello.\r\n"
        return MailContent(
            headers=headers,
            links=(),
            attachments=(),
            findings=(Finding("ip_reputation", reason=record.detection_reasons[0], detection="MALICIOUS", score=92.5),),
            threat_categories=(ThreatCategory(1234, "IP Reputation", "Known bad address"),),
            blocks=(),
            body_text="Hello.",
            eml=eml,
        )


def message_fixture() -> MailRecord:
    """The one message that has a preview, a raw file, detections and a clean preview all at once."""
    return MailRecord(
        id=MESSAGE_ID,
        postfix_id="4Njp3P0STMz2c02Q",
        postfix_id_outbound=None,
        alert_id="4Njp3P0STMz2c02Q-2024-01-05T10:00:00",
        message_id="<fixture@example.com>",
        subject="listen, I highly recommend u to read that email",
        from_="d1994@example.com",
        from_name="Sender Name",
        to=("email@example.com",),
        to_name=("Recipient Name",),
        cc=(),
        replyto="email@example.com",
        envelope_from="d1994@example.com",
        envelope_to=("email@example.com",),
        client_recipients=("email@example.com",),
        final_disposition="MALICIOUS",
        detection_reasons=("Selector is a source of spam/uce : Smtp-Helo-Server-Ip=192.0.2[dot]186",),
        threat_categories=("IPReputation",),
        validation=Validation("fail", "pass", "none", None),
        delivery_mode="API",
        delivery_status=("delivered",),
        is_quarantined=False,
        is_phish_submission=False,
        edf_hash=None,
        htmltext_structure_hash=None,
        smtp_helo_server_ip="192.0.2.186",
        smtp_previous_hop_ip="198.51.100.7",
        x_originating_ip=None,
        properties=NO_PROPERTIES,
        sender_info=SenderInfo("192.0.2.186", "US/-/-", "AS0", 0, "example.com"),
        scanned_at=_SCANNED_AT,
        sent_at=_SCANNED_AT - 29,
        kind="fixture",
        language="en",
        source=_FixtureSource(),
        seed=0,
    )


_EXAMPLES: dict[str, dict[str, Any]] = {
    "allow_policies": {
        "pattern": "test@example.com",
        "pattern_type": "EMAIL",
        "is_regex": False,
        "is_trusted_sender": True,
        "is_exempt_recipient": False,
        "is_acceptable_sender": False,
        "verify_sender": True,
        "comments": None,
    },
    "block_senders": {"pattern": "test@example.com", "pattern_type": "EMAIL", "is_regex": False, "comments": None},
    "content_policies": {
        "name": "Example",
        "pattern": "example",
        "targets": ["SUBJECT"],
        "enabled": True,
        "notes": None,
    },
    "domains": {
        "domain": "example.com",
        "allowed_delivery_modes": ["API"],
        "drop_dispositions": ["MALICIOUS"],
        "ip_restrictions": ["192.0.2.0/24"],
        "regions": ["GLOBAL"],
        "folder": "Inbox",
        "integration_id": None,
        "lookback_hops": 2,
        "require_tls_inbound": False,
        "require_tls_outbound": False,
        "transport": "example.com",
        "status": "ACTIVE",
    },
    "impersonation_registry": {
        "name": "John Doe",
        "email": "john.doe@example.com",
        "is_email_regex": False,
        "comments": None,
        "directory_id": None,
        "directory_node_id": None,
        "external_directory_node_id": None,
        "provenance": "A1S_INTERNAL",
    },
    "sending_domain_restrictions": {"domain": "example.com", "exclude": [], "comments": None},
    "trusted_domains": {
        "pattern": "example.com",
        "is_regex": False,
        "is_recent": True,
        "is_similarity": False,
        "comments": None,
    },
    "url_ignore_patterns": {"pattern": r"https://example\.com/.*", "comments": None},
}


def settings_fixture(kind: Kind) -> dict[str, Any]:
    """A fresh copy of the entry every kind has, whatever was deleted or changed before."""
    values = {"id": FIXTURE_ID, **kind.extra, **_EXAMPLES[kind.name]}
    return {**values, "created_at": _SCANNED_AT, "modified_at": _SCANNED_AT}
