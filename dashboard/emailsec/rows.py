"""The hot path: a page of search results as lean rows, decoded in one pass and normalised only when looked at."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from msgspec import field

from dashboard.emailsec.decoding import Malformed, parse, read, read_those
from dashboard.emailsec.enums import DeliveryStatus, Disposition, MessageDeliveryMode, Operation
from dashboard.emailsec.errors import UnexpectedReply
from dashboard.emailsec.times import parse_time
from dashboard.emailsec.types import Message, Validation

_ROW_VALIDATION = Validation()


class MessageRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a result row shows. Attributes named `wire_...` hold the answer as it came; the properties read them."""

    id: str
    postfix_id: str | None = None
    alert_id: str | None = None
    message_id: str | None = None
    subject: str | None = None
    from_: str | None = field(name="from", default=None)
    from_name: str | None = None
    replyto: str | None = None
    envelope_from: str | None = None
    final_disposition: Disposition | None = None
    is_quarantined: bool = False
    is_phish_submission: bool = False
    delivery_mode: MessageDeliveryMode | None = None
    edf_hash: str | None = None
    wire_to: tuple[str, ...] | None = field(name="to", default=None)
    wire_envelope_to: tuple[str, ...] | None = field(name="envelope_to", default=None)
    wire_client_recipients: tuple[str, ...] | None = field(name="client_recipients", default=None)
    wire_reasons: tuple[str, ...] | None = field(name="detection_reasons", default=None)
    wire_categories: tuple[str, ...] | None = field(name="threat_categories", default=None)
    wire_delivery_status: tuple[DeliveryStatus, ...] | None = field(name="delivery_status", default=None)
    wire_operations: tuple[Operation, ...] | None = field(name="post_delivery_operations", default=None)
    wire_validation: Validation | None = field(name="validation", default=None)
    wire_scanned_at: str | None = field(name="scanned_at", default=None)
    wire_ts: str | None = field(name="ts", default=None)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who it was for: the header, else the envelope, else the mailboxes."""
        return self.wire_to or self.wire_envelope_to or self.wire_client_recipients or ()

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """Where its copies went; the header, which senders write as they like, only where nothing else is told."""
        return self.wire_client_recipients or self.wire_envelope_to or self.wire_to or ()

    @property
    def detection_reasons(self) -> tuple[str, ...]:
        return self.wire_reasons or ()

    @property
    def threat_categories(self) -> tuple[str, ...]:
        return self.wire_categories or ()

    @property
    def delivery_status(self) -> tuple[DeliveryStatus, ...]:
        """One per recipient copy."""
        return self.wire_delivery_status or ()

    @property
    def post_delivery_operations(self) -> tuple[Operation, ...]:
        return self.wire_operations or ()

    @property
    def validation(self) -> Validation:
        return self.wire_validation or _ROW_VALIDATION

    @property
    def scanned_at_time(self) -> dt.datetime | None:
        """When it was scanned, aware UTC."""
        return parse_time(self.wire_scanned_at) or parse_time(self.wire_ts)

    @property
    def scanned_at(self) -> str:
        """When it was scanned, as `2026-01-02T03:04:05.678900Z`: always 27 characters, so texts sort as times do.

        Empty where the API gave nothing readable.
        """
        moment = self.scanned_at_time
        return moment.isoformat(timespec="microseconds")[:26] + "Z" if moment else ""


class _Info(msgspec.Struct, frozen=True):
    next: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    success: bool
    result: tuple[MessageRow, ...]
    result_info: _Info | None = None


_decoder = msgspec.json.Decoder(_Envelope)


def decode_rows(body: bytes) -> tuple[tuple[MessageRow, ...], str | None]:
    """Rows and next cursor of a search answer; UnexpectedReply for a body that is not one."""
    try:
        envelope = _decoder.decode(body)
    except Malformed:
        return _decode_odd_rows(body)
    if not envelope.success:
        raise UnexpectedReply("the answer says it failed")
    if not all(row.id for row in envelope.result):
        return _decode_odd_rows(body)
    return envelope.result, (envelope.result_info.next if envelope.result_info else None) or None


def decode_messages(body: bytes) -> tuple[Message, ...]:
    """The whole messages of an answer that was kept; rows that cannot be read (they carry no id) are left out."""
    try:
        return read_those(search_result(parse(body)), Message)
    except Malformed:
        raise UnexpectedReply("not a search answer") from None


def _decode_odd_rows(body: bytes) -> tuple[tuple[MessageRow, ...], str | None]:
    """The tolerant way, for answers with a wrongly typed field somewhere; several times slower."""
    try:
        envelope: Any = parse(body)
        rows = tuple(read(_with_id(row), MessageRow) for row in search_result(envelope))
    except Malformed:
        raise UnexpectedReply("not a search answer") from None
    return rows, next_cursor(envelope)


def search_result(envelope: Any) -> list[Any]:
    """The rows of an envelope that claims success; UnexpectedReply without one (no rows is not 'no hits')."""
    if not isinstance(envelope, dict) or envelope.get("success") is not True:
        raise UnexpectedReply("not a successful answer of the API")
    result = envelope.get("result")
    if not isinstance(result, list):
        raise UnexpectedReply("a search answer without a list of results")
    return result


def next_cursor(envelope: dict[str, Any]) -> str | None:
    """Where the next page begins; None on the last one."""
    info = envelope.get("result_info")
    cursor = info.get("next") if isinstance(info, dict) else None
    return cursor if isinstance(cursor, str) and cursor else None


def _with_id(row: Any) -> Any:
    if isinstance(row, dict) and not row.get("id"):
        return {**row, "id": row.get("postfix_id")}
    return row
