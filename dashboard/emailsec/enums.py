"""The API's value sets, open on read: a value we do not know is kept as text, and case never matters."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class OpenEnum(StrEnum):
    """A set of texts that may grow: `Disposition("malicious")` is `Disposition.MALICIOUS`, any other text stays itself.

    Closed on write: `is_known` tells a member from a text that merely passed through.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        folded = value.casefold()
        for member in cls:
            if member.value.casefold() == folded:
                return member
        stranger = str.__new__(cls, value)
        stranger._name_ = stranger._value_ = value
        return stranger

    @property
    def is_known(self) -> bool:
        return self._name_ in type(self).__members__


class Disposition(OpenEnum):
    MALICIOUS = "MALICIOUS"
    MALICIOUS_BEC = "MALICIOUS-BEC"
    SUSPICIOUS = "SUSPICIOUS"
    SPOOF = "SPOOF"
    SPAM = "SPAM"
    BULK = "BULK"
    ENCRYPTED = "ENCRYPTED"
    EXTERNAL = "EXTERNAL"
    UNKNOWN = "UNKNOWN"
    NONE = "NONE"


SHORT_DISPOSITIONS = (
    Disposition.MALICIOUS,
    Disposition.SUSPICIOUS,
    Disposition.SPOOF,
    Disposition.SPAM,
    Disposition.BULK,
    Disposition.NONE,
)
"""The dispositions that can be searched for, asked for and answered."""


class DeliveryStatus(OpenEnum):
    DELIVERED = "delivered"
    MOVED = "moved"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    QUEUED = "queued"
    MOVE_FAILED = "move_failed"


class MessageDeliveryMode(OpenEnum):
    DIRECT = "DIRECT"
    BCC = "BCC"
    JOURNAL = "JOURNAL"
    REVIEW_SUBMISSION = "REVIEW_SUBMISSION"
    DMARC_UNVERIFIED = "DMARC_UNVERIFIED"
    DMARC_FAILURE_REPORT = "DMARC_FAILURE_REPORT"
    DMARC_AGGREGATE_REPORT = "DMARC_AGGREGATE_REPORT"
    THREAT_INTEL_SUBMISSION = "THREAT_INTEL_SUBMISSION"
    SIMULATION_SUBMISSION = "SIMULATION_SUBMISSION"
    API = "API"
    RETRO_SCAN = "RETRO_SCAN"


class MailboxDestination(OpenEnum):
    INBOX = "Inbox"
    JUNK_EMAIL = "JunkEmail"
    DELETED_ITEMS = "DeletedItems"
    RECOVERABLE_ITEMS_DELETIONS = "RecoverableItemsDeletions"
    RECOVERABLE_ITEMS_PURGES = "RecoverableItemsPurges"


class MessageActionFilter(OpenEnum):
    PREVIEW = "PREVIEW"
    QUARANTINE_RELEASED = "QUARANTINE_RELEASED"
    MOVED = "MOVED"


class Operation(OpenEnum):
    """What was done to a message: the names of both action logs and of `post_delivery_operations`."""

    MOVE = "MOVE"
    RELEASE = "RELEASE"
    QUARANTINE_RELEASE = "QUARANTINE_RELEASE"
    RECLASSIFY = "RECLASSIFY"
    SUBMISSION = "SUBMISSION"
    PREVIEW = "PREVIEW"


class ValidationStatus(OpenEnum):
    PASS = "pass"  # noqa: S105  a verdict of SPF, DKIM or DMARC, not a password
    NEUTRAL = "neutral"
    FAIL = "fail"
    ERROR = "error"
    NONE = "none"


class BulkAction(OpenEnum):
    MOVE = "MOVE"
    RELEASE = "RELEASE"


class BulkJobStatus(OpenEnum):
    PENDING = "PENDING"
    DISCOVERING = "DISCOVERING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class BulkMessageStatus(OpenEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


class CustomerStatus(OpenEnum):
    ESCALATED = "escalated"
    REVIEWED = "reviewed"
    UNREVIEWED = "unreviewed"


class SubmitterType(OpenEnum):
    """Sent as `TEAM` and `USER`, answered as `Team` and `User`."""

    TEAM = "TEAM"
    USER = "USER"


class SubmissionOrder(OpenEnum):
    SUBMISSION_ID = "submission_id"
    SUBJECT = "subject"
    ORIGINAL_DISPOSITION = "original_disposition"
    REQUESTED_DISPOSITION = "requested_disposition"
    OUTCOME_DISPOSITION = "outcome_disposition"
    REQUESTED_AT = "requested_at"


class PatternType(OpenEnum):
    """`UNKNOWN` stands on old entries only and is never to be sent."""

    EMAIL = "EMAIL"
    DOMAIN = "DOMAIN"
    IP = "IP"
    UNKNOWN = "UNKNOWN"


class ContentTarget(OpenEnum):
    SUBJECT = "SUBJECT"
    BODY = "BODY"


class Provenance(OpenEnum):
    """Who keeps an entry of the registry. Those that a directory keeps cannot be edited."""

    HERE = "A1S_INTERNAL"
    OFFICE_365_CASB = "SNOOPY-CASB_OFFICE_365"
    OFFICE_365 = "SNOOPY-OFFICE_365"
    GOOGLE_DIRECTORY = "SNOOPY-GOOGLE_DIRECTORY"


class DomainStatus(OpenEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"


class DomainDeliveryMode(OpenEnum):
    DIRECT = "DIRECT"
    BCC = "BCC"
    JOURNAL = "JOURNAL"
    API = "API"
    RETRO_SCAN = "RETRO_SCAN"


class Region(OpenEnum):
    GLOBAL = "GLOBAL"
    AU = "AU"
    DE = "DE"
    IN = "IN"
    US = "US"


class ScanFolder(OpenEnum):
    ALL_ITEMS = "AllItems"
    INBOX = "Inbox"


class InboxProvider(OpenEnum):
    MICROSOFT = "Microsoft"
    GOOGLE = "Google"


class DmarcStatus(OpenEnum):
    NONE = "none"
    GOOD = "good"
    INVALID = "invalid"


class SpfStatus(OpenEnum):
    NONE = "none"
    GOOD = "good"
    NEUTRAL = "neutral"
    OPEN = "open"
    INVALID = "invalid"


class SortDirection(OpenEnum):
    ASC = "asc"
    DESC = "desc"
