"""A simulated account with a handful of messages whose every property is known, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from dashboard.simulator import Simulator
from dashboard.simulator.mail.blocks import Paragraph
from dashboard.simulator.mail.record import (
    NO_PROPERTIES,
    Attachment,
    Finding,
    Header,
    Link,
    MailContent,
    MailRecord,
    SenderInfo,
    ThreatCategory,
    Validation,
)

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z


class Clock:
    """Time that passes only when told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Content:
    """What is inside every message of these tests."""

    def content(self, record: MailRecord) -> MailContent:
        return MailContent(
            headers=(Header("From", record.from_ or ""), Header("Subject", record.subject or "")),
            links=(Link("https://login.harbour-portal.example/reset", "Sign in"),),
            attachments=(Attachment("invoice.pdf", "application/pdf", 12, False, None, "a" * 32, "b" * 40, "c" * 64),),
            findings=(Finding("url_reputation", reason="Bad link", detection="MALICIOUS", score=91.5),)
            if record.is_detection
            else (),
            threat_categories=(ThreatCategory(7, "Link", "A bad link"),),
            blocks=(Paragraph("Hello"),),
            body_text="Hello",
            eml=f"From: {record.from_}\r\nSubject: {record.subject}\r\n\r\nHello\r\n",
        )


def make_record(number: int, **changes: Any) -> MailRecord:
    """Message `number`: one a minute, newest has number 1; a quarantined phish to two people unless changed."""
    scanned_at = changes.pop("scanned_at", NOW - 60.0 * number)
    recipients = changes.pop("client_recipients", ("bea@corp.example", "carl@corp.example"))
    clean = changes.get("final_disposition") == "NONE"
    status = "delivered" if clean else "quarantined"
    values: dict[str, Any] = {
        "id": f"POST{number:04d}-2026-09-21T14:00:00-{number:08x}",
        "postfix_id": f"POST{number:04d}",
        "postfix_id_outbound": None,
        "alert_id": None if clean else f"POST{number:04d}-2026-09-21T14:00:00",
        "message_id": f"<m{number}@harbour.example>",
        "subject": f"Invoice {number} overdue",
        "from_": "billing@harbour.example",
        "from_name": "Harbour Billing",
        "to": recipients,
        "to_name": (),
        "cc": (),
        "replyto": None,
        "envelope_from": "bounce@mailer.example",
        "envelope_to": recipients,
        "client_recipients": recipients,
        "final_disposition": "MALICIOUS",
        "detection_reasons": () if clean else ("Bad link",),
        "threat_categories": () if clean else ("Link",),
        "validation": Validation("pass", "fail", "none", None),
        "delivery_mode": "DIRECT",
        "delivery_status": (status,) * len(recipients),
        "is_quarantined": not clean,
        "is_phish_submission": False,
        "edf_hash": "edf",
        "htmltext_structure_hash": None,
        "smtp_helo_server_ip": "192.0.2.10",
        "smtp_previous_hop_ip": None,
        "x_originating_ip": None,
        "properties": NO_PROPERTIES,
        "sender_info": SenderInfo("192.0.2.10", "DE/-/-", "AS64500", 64500, "harbour.example"),
        "scanned_at": scanned_at,
        "sent_at": scanned_at - 5,
        "kind": "supplier-invoice",
        "language": "en",
        "source": Content(),
        "seed": number,
    }
    return MailRecord(**(values | changes))


CLEAN = {"final_disposition": "NONE"}
DELIVERED = {"delivery_status": ("delivered", "delivered"), "is_quarantined": False}


class Api:
    """The account over HTTP, as a team's program sees it."""

    def __init__(self, simulator: Simulator, token: str | None = None) -> None:
        self.simulator = simulator
        self.http = httpx.Client(
            transport=httpx.WSGITransport(simulator),
            base_url=f"http://simulator.example/client/v4/accounts/{simulator.account_id}/email-security",
            headers={"Authorization": f"Bearer {token or simulator.token}"},
        )

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self.http.request(method, path, json=body, params=query or None)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self("GET", path, **query)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self("POST", path, body)

    def result(self, path: str, **query: Any) -> Any:
        """The result of a read that must succeed."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def found(self, **query: Any) -> list[str]:
        """Numbers (postfix ids) of the messages a search finds."""
        return [message["postfix_id"] for message in self.result("/investigate", per_page=1000, **query)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Iterator[Callable[..., Api]]:
    """Open an account with the given messages and options."""
    opened: list[Api] = []

    def open_account(*records: MailRecord, token: str | None = None, **options: Any) -> Api:
        api = Api(Simulator(records=records, clock=clock, **options), token)
        opened.append(api)
        return api

    yield open_account
    for api in opened:
        api.http.close()
