"""What callers hand in: search criteria and messages to submit, with the wire form they take."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import msgspec

from dashboard.emailsec.enums import DeliveryStatus, Disposition, MessageActionFilter, PatternType
from dashboard.emailsec.times import wire_time

MOST_PER_PAGE = 1000
MOST_IDS = 1000


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Search criteria. Each filter takes one value; empty and None are left out.

    Pin `start` and `end` when following cursors: the API's default window (30 days to now) slides between pages.
    `detections_only` is always sent, because the API's own default hides clean mail.
    """

    start: dt.datetime | None = None
    end: dt.datetime | None = None
    detections_only: bool = True
    query: str | None = None
    sender: str | None = None
    recipient: str | None = None
    domain: str | None = None
    subject: str | None = None
    alert_id: str | None = None
    message_id: str | None = None
    """The RFC 5322 Message-ID header."""
    final_disposition: Disposition | None = None
    delivery_status: DeliveryStatus | None = None
    message_action: MessageActionFilter | None = None
    smtp_helo_ip: str | None = None

    def filters(self) -> dict[str, Any]:
        """The criteria by their wire names: what is set, times as text, and `detections_only` in any case."""
        found: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, dt.datetime):
                value = wire_time(value)
            elif isinstance(value, str):
                value = str(value)
            if value is not None and value != "":
                found[name] = value
        return found


class BulkSearch(SearchQuery, frozen=True, kw_only=True):
    """The search a bulk job acts on: also takes an exact subject and all ten dispositions."""

    exact_subject: str | None = None
    submissions: bool = False


class Reclassification(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for another disposition of a message with an alert."""

    alert_id: str
    expected_disposition: Disposition
    escalated_submission_id: str | None = None

    def wire(self) -> dict[str, Any]:
        return _present(
            alert_id=self.alert_id,
            expected_disposition=str(self.expected_disposition),
            escalated_submission_id=self.escalated_submission_id,
        )


class MissedDetection(msgspec.Struct, frozen=True, kw_only=True):
    """Report mail that was found clean and is not: there is no alert, so it is named by its other ids."""

    postfix_id: str
    message_id: str
    """The RFC 5322 Message-ID header."""
    recipient_emails: tuple[str, ...]
    expected_disposition: Disposition
    eml_content: bytes | None = None
    escalated_submission_id: str | None = None

    def wire(self) -> dict[str, Any]:
        if not self.recipient_emails:
            raise ValueError("a missed detection names at least one recipient")
        return _present(
            postfix_id=self.postfix_id,
            message_id=self.message_id,
            recipient_emails=list(self.recipient_emails),
            expected_disposition=str(self.expected_disposition),
            eml_content=encode_eml(self.eml_content),
            escalated_submission_id=self.escalated_submission_id,
        )


class NewAllowPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is created: the API wants each flag said."""

    pattern: str
    pattern_type: PatternType = PatternType.EMAIL
    is_regex: bool = False
    is_acceptable_sender: bool = False
    """Spares the sender Spam, Spoof and Bulk; Malicious and Suspicious still apply."""
    is_trusted_sender: bool = False
    """Skips all detections for this sender."""
    is_exempt_recipient: bool = False
    """Skips all detections for this recipient."""
    verify_sender: bool = True
    """The rule counts only for mail that passes DMARC, SPF or DKIM."""
    comments: str | None = None

    def wire(self) -> dict[str, Any]:
        kind = PatternType(self.pattern_type)
        if not kind.is_known or kind == PatternType.UNKNOWN:
            raise ValueError("an allow policy is about an address, a domain or an IP")
        values = {name: getattr(self, name) for name in self.__struct_fields__} | {"pattern_type": str(kind)}
        return _present(**values)


def encode_eml(eml: bytes | None) -> str | None:
    return None if eml is None else base64.b64encode(eml).decode("ascii")


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
