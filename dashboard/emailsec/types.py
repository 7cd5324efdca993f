"""What the API answers, as frozen structs: today's field first, the one it replaces second, one attribute for both.

Only ids are required. Anything else may be missing; then lists are empty, texts are None. Times are aware UTC.
Attributes that begin with `legacy_` exist to read the older form and are not for callers.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import field

from dashboard.emailsec.enums import (
    SHORT_DISPOSITIONS,
    BulkAction,
    BulkJobStatus,
    BulkMessageStatus,
    ContentTarget,
    CustomerStatus,
    DeliveryStatus,
    Disposition,
    DmarcStatus,
    DomainDeliveryMode,
    DomainStatus,
    InboxProvider,
    MailboxDestination,
    MessageActionFilter,
    MessageDeliveryMode,
    OpenEnum,
    Operation,
    PatternType,
    Provenance,
    Region,
    ScanFolder,
    SortDirection,
    SpfStatus,
    SubmissionOrder,
    SubmitterType,
    ValidationStatus,
)
from dashboard.emailsec.times import as_utc, parse_time, wire_time

__all__ = [
    "SHORT_DISPOSITIONS",
    "ActionEntry",
    "ActionProperties",
    "AllowPolicy",
    "Answer",
    "Attachment",
    "BatchResult",
    "BlockSender",
    "BulkAction",
    "BulkActionParams",
    "BulkJob",
    "BulkJobStatus",
    "BulkMessage",
    "BulkMessageStatus",
    "ContentPolicy",
    "ContentTarget",
    "CustomerStatus",
    "DeliveryStatus",
    "Detections",
    "Disposition",
    "DispositionTotal",
    "DmarcStatus",
    "DomainAuthorization",
    "DomainDeliveryMode",
    "DomainStatus",
    "EmailsProcessed",
    "Finding",
    "Header",
    "ImpersonationEntry",
    "InboxProvider",
    "Link",
    "MailboxDestination",
    "Message",
    "MessageActionFilter",
    "MessageDeliveryMode",
    "MessageProperties",
    "MonthTotals",
    "MoveResult",
    "OpenEnum",
    "Operation",
    "Page",
    "PatternType",
    "PhishGuardFields",
    "PhishGuardReport",
    "PhishGuardTag",
    "ProtectedDomain",
    "Provenance",
    "RawSearchPage",
    "Region",
    "ReleaseResult",
    "ScanFolder",
    "SearchPage",
    "SenderInfo",
    "SendingDomainRestriction",
    "SettingsEntry",
    "SlowSearch",
    "SortDirection",
    "SpfStatus",
    "Submission",
    "SubmissionOrder",
    "SubmissionReceipt",
    "SubmitterType",
    "ThreatCategory",
    "Trace",
    "TraceLine",
    "TraceSide",
    "TrustedDomain",
    "UrlIgnorePattern",
    "Validation",
    "ValidationStatus",
    "Verification",
]

T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all answers: settles times to UTC and lets an old field stand in for a missing new one."""

    times: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Each an attribute holding a time, followed by the older attributes (text) that may stand in for it."""

    def __post_init__(self) -> None:
        for name, *stand_ins in self.times:
            moment: dt.datetime | None = getattr(self, name)
            for stand_in in stand_ins:
                if moment is None:
                    moment = parse_time(getattr(self, stand_in))
            if moment is not None:
                msgspec.structs.force_setattr(self, name, _utc(moment))


def _utc(moment: dt.datetime) -> dt.datetime | None:
    try:
        return as_utc(moment)
    except OverflowError:  # a time at the edge of the calendar, in another zone
        return None


# Messages ------------------------------------------------------------------------------------------------------------


class Validation(Answer, frozen=True):
    """What SPF, DKIM and DMARC said."""

    comment: str | None = None
    dkim: ValidationStatus | None = None
    dmarc: ValidationStatus | None = None
    spf: ValidationStatus | None = None


class MessageProperties(Answer, frozen=True):
    allowlisted_pattern: str | None = None
    allowlisted_pattern_type: str | None = None
    blocklisted_message: bool | None = None
    blocklisted_pattern: str | None = None
    legacy_pattern_type: str | None = field(name="whitelisted_pattern_type", default=None)

    def __post_init__(self) -> None:
        if self.allowlisted_pattern_type is None and self.legacy_pattern_type is not None:
            msgspec.structs.force_setattr(self, "allowlisted_pattern_type", self.legacy_pattern_type)


class ActionProperties(Answer, frozen=True):
    folder: str | None = None
    requested_by: str | None = None
    requested_disposition: str | None = None
    service: str | None = None
    submission_id: str | None = None
    submission_type: str | None = None


class ActionEntry(Answer, frozen=True):
    """One line of a message's action log; the embedded log of the older generation has the same shape, less filled."""

    times = (("started_at",), ("completed_at", "legacy_completed"))

    operation: Operation | None = None
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
    success: bool | None = None
    status: str | None = None
    properties: ActionProperties = ActionProperties()
    legacy_completed: str | None = field(name="completed_timestamp", default=None)


class Finding(Answer, frozen=True):
    attachment: str | None = None
    detail: str | None = None
    detection: Disposition | None = None
    field_name: str | None = field(name="field", default=None)
    name: str | None = None
    portion: str | None = None
    reason: str | None = None
    score: float | None = None
    value: str | None = None


class Message(Answer, frozen=True):
    """A message as search and lookup answer it: metadata only, no body and no attachments."""

    times = (("scanned_at", "legacy_ts"), ("sent_at", "legacy_sent_date"))

    id: str = ""
    """The investigate id, which all other calls want."""
    postfix_id: str | None = None
    postfix_id_outbound: str | None = None
    alert_id: str | None = None
    message_id: str | None = None
    """The RFC 5322 Message-ID header."""
    subject: str | None = None
    from_: str | None = field(name="from", default=None)
    from_name: str | None = None
    to: tuple[str, ...] = ()
    to_name: tuple[str, ...] = ()
    replyto: str | None = None
    envelope_from: str | None = None
    envelope_to: tuple[str, ...] = ()
    client_recipients: tuple[str, ...] = ()
    final_disposition: Disposition | None = None
    detection_reasons: tuple[str, ...] = ()
    threat_categories: tuple[str, ...] = ()
    validation: Validation = Validation()
    delivery_mode: MessageDeliveryMode | None = None
    delivery_status: tuple[DeliveryStatus, ...] = ()
    is_quarantined: bool = False
    is_phish_submission: bool = False
    """A copy a person reported: only `message(id, submission=True)` finds it."""
    post_delivery_operations: tuple[Operation, ...] = ()
    edf_hash: str | None = None
    """Fingerprint shared by similar mail."""
    htmltext_structure_hash: str | None = None
    smtp_helo_server_ip: str | None = None
    smtp_previous_hop_ip: str | None = None
    x_originating_ip: str | None = None
    properties: MessageProperties = MessageProperties()
    scanned_at: dt.datetime | None = None
    sent_at: dt.datetime | None = None
    action_log: tuple[ActionEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    legacy_ts: str | None = field(name="ts", default=None)
    legacy_sent_date: str | None = field(name="sent_date", default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            if not self.postfix_id:
                raise ValueError("a message without an id")
            msgspec.structs.force_setattr(self, "id", self.postfix_id)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who it was for: the header, else the envelope, else the mailboxes."""
        return self.to or self.envelope_to or self.client_recipients

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """Where its copies went; the header, which senders write as they like, only where nothing else is told."""
        return self.client_recipients or self.envelope_to or self.to


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search. There is no total; `next_cursor` is None on the last page."""

    messages: tuple[Message, ...]
    next_cursor: str | None = None
    ray_id: str | None = None


class RawSearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search as it came, for keeping; `rows.decode_rows(body)` is sure to read it."""

    body: bytes
    next_cursor: str | None = None
    count: int = 0
    ray_id: str | None = None


class SlowSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The search still runs; not an empty result. Hand `location` to `poll_search` after `retry_after` seconds."""

    location: str
    retry_after: float | None = None
    ray_id: str | None = None


class Header(Answer, frozen=True):
    name: str = ""
    value: str = ""


class Link(Answer, frozen=True):
    href: str = ""
    text: str | None = None


class Attachment(Answer, frozen=True):
    size: int | None = None
    filename: str | None = None
    content_type: str | None = None
    encrypted: bool | None = None
    detection: Disposition | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    legacy_name: str | None = field(name="name", default=None)

    def __post_init__(self) -> None:
        if self.filename is None and self.legacy_name is not None:
            msgspec.structs.force_setattr(self, "filename", self.legacy_name)


class SenderInfo(Answer, frozen=True):
    ip: str | None = None
    geo: str | None = None
    as_name: str | None = None
    as_number: int | None = None
    pld: str | None = None


class ThreatCategory(Answer, frozen=True):
    id: int | str | None = None
    name: str | None = None
    description: str | None = None


class Detections(Answer, frozen=True):
    """Why a message was judged as it was. Exists only for messages with a detection."""

    action: str | None = None
    final_disposition: Disposition | None = None
    validation: Validation = Validation()
    findings: tuple[Finding, ...] = ()
    headers: tuple[Header, ...] = ()
    links: tuple[Link, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    sender_info: SenderInfo = SenderInfo()
    threat_categories: tuple[ThreatCategory, ...] = ()


class TraceLine(Answer, frozen=True):
    times = (("logged_at", "legacy_ts"),)

    lineno: int | None = None
    logged_at: dt.datetime | None = None
    message: str | None = None
    legacy_ts: str | None = field(name="ts", default=None)


class TraceSide(Answer, frozen=True):
    pending: bool = False
    lines: tuple[TraceLine, ...] = ()


class Trace(Answer, frozen=True):
    """The delivery log, before and after the scan."""

    inbound: TraceSide = TraceSide()
    outbound: TraceSide = TraceSide()


# Actions -------------------------------------------------------------------------------------------------------------


class MoveResult(Answer, frozen=True):
    """What became of one copy. There may be several per message, and none for some: read each one's `success`."""

    times = (("completed_at", "legacy_completed"),)

    success: bool | None = None
    """None: the API does not say, so it is not known."""
    status: str | None = None
    recipient: str | None = None
    message_id: str | None = None
    destination: MailboxDestination | None = None
    operation: str | None = None
    completed_at: dt.datetime | None = None
    item_count: int | None = None
    legacy_completed: str | None = field(name="completed_timestamp", default=None)


class ReleaseResult(Answer, frozen=True):
    """What became of one message: addresses it reached, failed to reach, and was not delivered to. Often mixed."""

    id: str = ""
    """The investigate id; an older server may give only `postfix_id`, which then stands here too."""
    postfix_id: str | None = None
    delivered: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    undelivered: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.id and self.postfix_id:
            msgspec.structs.force_setattr(self, "id", self.postfix_id)


class SubmissionReceipt(Answer, frozen=True):
    """Whether one message was taken for review. The verdict comes later, in the list of submissions."""

    id: str | None = None
    """The id the API names it by; None after a fallback to reclassify, which names nothing."""
    accepted: bool | None = None
    """None: the API does not say, so it is not known."""
    error: str | None = None
    via_reclassify: bool = False
    """Sent by the older operation, because the server lacks submissions."""


# Bulk jobs -----------------------------------------------------------------------------------------------------------


class BulkActionParams(Answer, frozen=True):
    type: BulkAction | None = None
    destination: MailboxDestination | None = None
    client_recipient: str | None = None


class BulkJob(Answer, frozen=True):
    """A job that runs at the API over everything a search finds."""

    times = (("created_at",), ("started_at",), ("completed_at",))

    job_id: str
    action_type: BulkAction | None = None
    action_params: BulkActionParams = BulkActionParams()
    search_params: dict[str, object] = {}
    """As the API echoes it: wire names and wire texts, only what was set."""
    status: BulkJobStatus | None = None
    status_message: str | None = None
    comment: str | None = None
    created_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
    total_messages_discovered: int = 0
    messages_pending: int = 0
    messages_successful: int = 0
    messages_failed: int = 0
    messages_skipped: int = 0
    messages_cancelled: int = 0

    @property
    def counted(self) -> int:
        """The sum of the five states; the API promises that it equals `total_messages_discovered`."""
        return (
            self.messages_pending
            + self.messages_successful
            + self.messages_failed
            + self.messages_skipped
            + self.messages_cancelled
        )


class BulkMessage(Answer, frozen=True):
    """One recipient's copy in a bulk job."""

    times = (("retry_after",), ("created_at",), ("processed_at",))

    row_id: str = field(name="message_id")
    """The job's own row, called `message_id` by the API; the header is `email_message_id`."""
    email_message_id: str | None = None
    postfix_id: str | None = None
    alert_id: str | None = None
    action_type: BulkAction | None = None
    action_params: BulkActionParams = BulkActionParams()
    status: BulkMessageStatus | None = None
    status_message: str | None = None
    retry_count: int = 0
    retry_after: dt.datetime | None = None
    created_at: dt.datetime | None = None
    processed_at: dt.datetime | None = None
    message: Message | None = None


# Submissions and reports ---------------------------------------------------------------------------------------------


class Submission(Answer, frozen=True):
    """A request for review, by the team or by a user."""

    times = (("requested_at", "legacy_requested"), ("escalated_at",))

    submission_id: str
    requested_at: dt.datetime | None = None
    requested_by: str | None = None
    type: SubmitterType | None = None
    subject: str | None = None
    status: str | None = None
    """How far it is processed: free text, not what the `status` filter filters."""
    customer_status: CustomerStatus | None = None
    original_disposition: Disposition | None = None
    requested_disposition: Disposition | None = None
    outcome_disposition: Disposition | None = None
    escalated_as: Disposition | None = None
    outcome: str | None = None
    original_edf_hash: str | None = None
    original_postfix_id: str | None = None
    escalated_at: dt.datetime | None = None
    escalated_by: str | None = None
    escalated_submission_id: str | None = None
    legacy_requested: str | None = field(name="requested_ts", default=None)


class PhishGuardFields(Answer, frozen=True):
    times = (("occurred_at", "legacy_ts"),)

    to: tuple[str, ...] = ()
    from_: str | None = field(name="from", default=None)
    occurred_at: dt.datetime | None = None
    postfix_id: str | None = None
    legacy_ts: str | None = field(name="ts", default=None)


class PhishGuardTag(Answer, frozen=True):
    category: str = ""
    value: str = ""


class PhishGuardReport(Answer, frozen=True):
    """A report of the managed service. `content` comes from outside: escape it."""

    times = (("created_at", "legacy_ts"), ("updated_at",))

    wire_id: int | str = field(name="id")
    title: str | None = None
    content: str | None = None
    priority: str | None = None
    disposition: Disposition | None = None
    fields: PhishGuardFields = PhishGuardFields()
    tags: tuple[PhishGuardTag, ...] = ()
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    legacy_ts: str | None = field(name="ts", default=None)

    @property
    def id(self) -> str:
        """The one id the API gives as a number; opaque text like all others here."""
        return str(self.wire_id)


# Settings ------------------------------------------------------------------------------------------------------------


class DispositionTotal(Answer, frozen=True):
    """How many messages of a month had one disposition."""

    disposition: Disposition
    total: int


class MonthTotals(msgspec.Struct, frozen=True, kw_only=True):
    """One month of the service's own count; `month` is 2026-11."""

    month: str
    totals: tuple[DispositionTotal, ...]


class SettingsEntry(Answer, frozen=True):
    """One entry of the account's settings.

    What the answer says nothing about is None, lists too: an entry may be written back, and a list that was only not
    told must not be emptied by that.
    """

    times = (("created_at",), ("modified_at", "legacy_modified"))
    writable: ClassVar[tuple[str, ...]] = ()
    """What a create takes, by wire name; the rest is the service's to say."""
    fixed: ClassVar[tuple[str, ...]] = ()
    """Which of these cannot be changed later."""

    id: str
    created_at: dt.datetime | None = None
    modified_at: dt.datetime | None = None
    legacy_modified: str | None = field(name="last_modified", default=None)

    def values(self) -> dict[str, Any]:
        """All fields a person can see or send, by wire name, as JSON data: no id, none of the entry's own times."""
        return {wire: _plain(getattr(self, name)) for name, wire in _fields_of(type(self))}


_OF_EVERY_ENTRY = frozenset(SettingsEntry.__struct_fields__)


@cache
def _fields_of(kind: type[SettingsEntry]) -> tuple[tuple[str, str], ...]:
    """(name here, name on the wire) of what an entry holds besides its id and times; asked for thousands at a time."""
    return tuple(
        (spec.name, spec.encode_name)
        for spec in msgspec.structs.fields(kind)
        if spec.name not in _OF_EVERY_ENTRY and not spec.name.startswith("legacy_")
    )


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return wire_time(value)
    return str(value) if isinstance(value, str) else value


class AllowPolicy(SettingsEntry, frozen=True):
    """Whose mail detection leaves alone."""

    writable = (
        "pattern",
        "pattern_type",
        "is_regex",
        "is_acceptable_sender",
        "is_trusted_sender",
        "is_exempt_recipient",
        "verify_sender",
        "comments",
    )

    pattern: str | None = None
    pattern_type: PatternType | None = None
    is_regex: bool | None = None
    is_acceptable_sender: bool | None = None
    """Spares the sender Spam, Spoof and Bulk; Malicious and Suspicious still apply."""
    is_trusted_sender: bool | None = None
    """Skips all detections, and following links, for this sender."""
    is_exempt_recipient: bool | None = None
    """Skips all detections for this recipient."""
    verify_sender: bool | None = None
    """The rule counts only for mail that passes DMARC, SPF or DKIM."""
    comments: str | None = None
    legacy_acceptable: bool | None = field(name="is_spoof", default=None)
    legacy_trusted: bool | None = field(name="is_sender", default=None)
    legacy_exempt: bool | None = field(name="is_recipient", default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, stand_in in (
            ("is_acceptable_sender", self.legacy_acceptable),
            ("is_trusted_sender", self.legacy_trusted),
            ("is_exempt_recipient", self.legacy_exempt),
        ):
            if getattr(self, name) is None and stand_in is not None:
                msgspec.structs.force_setattr(self, name, stand_in)


class BlockSender(SettingsEntry, frozen=True):
    """Whose mail is refused."""

    writable = ("pattern", "pattern_type", "is_regex", "comments")

    pattern: str | None = None
    pattern_type: PatternType | None = None
    is_regex: bool | None = None
    comments: str | None = None


class TrustedDomain(SettingsEntry, frozen=True):
    """A domain whose youth or likeness to one of ours is no reason for suspicion."""

    writable = ("pattern", "is_regex", "is_recent", "is_similarity", "comments")

    pattern: str | None = None
    is_regex: bool | None = None
    is_recent: bool | None = None
    """A young domain does not count as suspicious."""
    is_similarity: bool | None = None
    """A look-alike of a connected domain does not count as spoof."""
    comments: str | None = None


class ImpersonationEntry(SettingsEntry, frozen=True):
    """A person whose name others may try to use."""

    writable = (
        "name",
        "email",
        "is_email_regex",
        "comments",
        "directory_id",
        "directory_node_id",
        "external_directory_node_id",
        "provenance",
    )

    name: str | None = None
    email: str | None = None
    is_email_regex: bool | None = None
    comments: str | None = None
    provenance: Provenance | None = None
    directory_id: int | None = None
    directory_node_id: int | None = None
    external_directory_node_id: str | None = None

    @property
    def is_editable(self) -> bool:
        """The service refuses to edit what a directory keeps."""
        return self.provenance in (None, Provenance.HERE)


class SendingDomainRestriction(SettingsEntry, frozen=True):
    """A domain whose mail is taken over TLS only, all others of its mail is dropped."""

    writable = ("domain", "exclude", "comments")

    domain: str | None = None
    exclude: tuple[str, ...] | None = None
    """Subdomains to which this does not apply."""
    comments: str | None = None


class DomainAuthorization(Answer, frozen=True):
    """Whether the mailbox provider grants access."""

    times = (("timestamp",),)

    authorized: bool | None = None
    timestamp: dt.datetime | None = None
    status_message: str | None = None


class EmailsProcessed(Answer, frozen=True):
    times = (("timestamp",),)

    timestamp: dt.datetime | None = None
    total_emails_processed: int | None = None
    total_emails_processed_previous: int | None = None


class ProtectedDomain(SettingsEntry, frozen=True):
    """A domain whose mail is looked at."""

    writable = (
        "domain",
        "allowed_delivery_modes",
        "drop_dispositions",
        "regions",
        "ip_restrictions",
        "lookback_hops",
        "transport",
        "folder",
        "integration_id",
        "require_tls_inbound",
        "require_tls_outbound",
    )
    fixed = ("domain",)

    domain: str | None = None
    status: DomainStatus | None = None
    allowed_delivery_modes: tuple[DomainDeliveryMode, ...] | None = None
    drop_dispositions: tuple[Disposition, ...] | None = None
    regions: tuple[Region, ...] | None = None
    ip_restrictions: tuple[str, ...] | None = None
    lookback_hops: int | None = None
    transport: str | None = None
    folder: ScanFolder | None = None
    integration_id: str | None = None
    inbox_provider: InboxProvider | None = None
    o365_tenant_id: str | None = None
    require_tls_inbound: bool | None = None
    require_tls_outbound: bool | None = None
    dmarc_status: DmarcStatus | None = None
    spf_status: SpfStatus | None = None
    authorization: DomainAuthorization | None = None
    emails_processed: EmailsProcessed | None = None


class ContentPolicy(SettingsEntry, frozen=True):
    """A pattern in subject or body that blocks a message. Its remark is called `notes`."""

    writable = ("name", "pattern", "targets", "enabled", "notes")

    name: str | None = None
    pattern: str | None = None
    targets: tuple[ContentTarget, ...] | None = None
    enabled: bool | None = None
    notes: str | None = None


class UrlIgnorePattern(SettingsEntry, frozen=True):
    """Links that are not rewritten."""

    writable = ("pattern", "comments")

    pattern: str | None = None
    comments: str | None = None


class Verification(Answer, frozen=True):
    """How far the proof that a domain is ours has come, and the DNS record that gives it."""

    times = (("last_checked_at",),)

    status: DomainStatus | None = None
    txt_record_name: str | None = None
    txt_record_value: str | None = None
    last_checked_at: dt.datetime | None = None


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch made of its items, each list in the order it was sent in."""

    deletes: tuple[str, ...] = ()
    """The ids of what is gone."""
    patches: tuple[SettingsEntry, ...] = ()
    puts: tuple[SettingsEntry, ...] = ()
    posts: tuple[SettingsEntry, ...] = ()
    ray_id: str | None = None


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a page-style list. Go on until `is_last`; `total_hint` counts everything *before* filters."""

    items: tuple[T, ...]
    page: int
    per_page: int
    is_last: bool
    total_hint: int | None = None
    ray_id: str | None = None
