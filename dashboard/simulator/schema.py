"""Value sets of the API, and a small checker for request bodies that names every wrong field by JSON pointer."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard.simulator.wire import ApiError, ValidationError

DISPOSITIONS = frozenset(
    ("MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS", "SPOOF", "SPAM", "BULK", "ENCRYPTED", "EXTERNAL", "UNKNOWN", "NONE")
)
SHORT_DISPOSITIONS = frozenset(("MALICIOUS", "SUSPICIOUS", "SPOOF", "SPAM", "BULK", "NONE"))
DELIVERY_STATUSES = frozenset(
    ("delivered", "moved", "quarantined", "rejected", "deferred", "bounced", "queued", "move_failed")
)
MESSAGE_ACTIONS = frozenset(("PREVIEW", "QUARANTINE_RELEASED", "MOVED"))
DESTINATIONS = frozenset(("Inbox", "JunkEmail", "DeletedItems", "RecoverableItemsDeletions", "RecoverableItemsPurges"))
BULK_ACTIONS = frozenset(("MOVE", "RELEASE"))
JOB_STATUSES = frozenset(("PENDING", "DISCOVERING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"))
ROW_STATUSES = frozenset(("PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"))
PATTERN_TYPES = frozenset(("EMAIL", "DOMAIN", "IP"))
DELIVERY_MODES = frozenset(("DIRECT", "BCC", "JOURNAL", "API", "RETRO_SCAN"))
DOMAIN_STATUSES = frozenset(("PENDING", "ACTIVE", "FAILED", "TIMEOUT"))
REGIONS = frozenset(("GLOBAL", "AU", "DE", "IN", "US"))
SCAN_FOLDERS = frozenset(("AllItems", "Inbox"))
PROVENANCES = frozenset(("A1S_INTERNAL", "SNOOPY-CASB_OFFICE_365", "SNOOPY-OFFICE_365", "SNOOPY-GOOGLE_DIRECTORY"))
CONTENT_TARGETS = frozenset(("SUBJECT", "BODY"))

Check = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Field:
    """A body field.

    `check` says what is wrong with a value, or None; `default` is what a create or PUT without the field means.
    """

    check: Check
    required: bool = True
    nullable: bool = False
    default: Any = None


def text(low: int = 0, high: int | None = None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        if len(value) < low:
            return "must not be empty" if low == 1 else f"must have at least {low} characters"
        if high is not None and len(value) > high:
            return f"must have at most {high} characters"
        return None

    return check


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def integer(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "must be an integer"
        return None if low <= value <= high else f"must be between {low} and {high}"

    return check


def one_of(allowed: frozenset[str]) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, str) and value in allowed:
            return None
        return f"must be one of {', '.join(sorted(allowed))}"

    return check


def list_of(item: Check, low: int = 0, high: int | None = None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return "must be an array"
        if len(value) < low:
            return f"must have at least {low} item{'s' if low > 1 else ''}"
        if high is not None and len(value) > high:
            return f"must have at most {high} items"
        return next((problem for entry in value if (problem := item(entry))), None)

    return check


def uuid_text(value: Any) -> str | None:
    try:
        uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        return "must be a UUID"
    return None


def base64_text(value: Any) -> str | None:
    try:
        base64.b64decode(value, validate=True)
    except (ValueError, TypeError, binascii.Error):
        return "must be base64"
    return None


_NOT_PUBLIC = (
    "0.0.0.0/32",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "255.255.255.255/32",
)
# The same written as IPv6; the ranges for documentation and tests are not among what the service refuses.
_REFUSED_NETWORKS = [
    *map(ipaddress.ip_network, (*_NOT_PUBLIC, "::/128", "::1/128", "fc00::/7", "fe80::/10")),
    *(ipaddress.ip_network(f"::ffff:{text.split('/')[0]}/{96 + int(text.split('/')[1])}") for text in _NOT_PUBLIC),
]


def network(value: Any) -> str | None:
    try:
        ipaddress.ip_network(value, strict=False)
    except (ValueError, TypeError):
        return "must be an IP address or CIDR"
    return None


def regex(high: int) -> Check:
    """The service compiles Java regexes; Python's compiler finds what is broken in both."""
    length = text(1, high)

    def check(value: Any) -> str | None:
        if problem := length(value):
            return problem
        try:
            re.compile(value)
        except re.error as exc:
            return f"is not a valid regular expression: {exc}"
        return None

    return check


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_EMAIL = re.compile(rf"[^\s@<>\"]+@{_LABEL}(?:\.{_LABEL})+")


def domain_name(value: Any) -> str | None:
    if isinstance(value, str) and len(value) <= 253 and _DOMAIN.fullmatch(_ascii(value)):
        return None
    return "must be a domain name"


def _ascii(value: str) -> str:
    try:
        return value.encode("idna").decode()
    except UnicodeError:
        return value


def sender_pattern(pattern: str, pattern_type: str) -> str | None:
    """What is wrong with an allow or block pattern of the given type, not being a regex."""
    if pattern_type == "EMAIL":
        return None if _EMAIL.fullmatch(pattern) else "must be an e-mail address"
    if pattern_type == "DOMAIN":
        return domain_name(pattern)
    try:
        addresses = ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return "must be an IP address or CIDR"
    if any(addresses.version == refused.version and addresses.overlaps(refused) for refused in _REFUSED_NETWORKS):
        return "must not be a private, loopback, link-local, unspecified or broadcast address"
    return None


def require_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ApiError(400, 1400, "The request body must be a JSON object.", pointer="")
    return body


def problems_of(
    body: dict[str, Any], fields: dict[str, Field], *, partial: bool = False, closed: bool = False, pointer: str = ""
) -> list[tuple[str | None, str]]:
    """Everything wrong with an object; `partial` makes all fields optional, `closed` refuses unknown ones."""
    problems: list[tuple[str | None, str]] = []
    for name, field in fields.items():
        if name not in body:
            if field.required and not partial:
                problems.append((f"{pointer}/{name}", f"{name}: is required"))
        elif body[name] is None:
            if not field.nullable:
                problems.append((f"{pointer}/{name}", f"{name}: must not be null"))
        elif message := field.check(body[name]):
            problems.append((f"{pointer}/{name}", f"{name}: {message}"))
    if closed:
        problems += [(f"{pointer}/{name}", f"{name}: unknown field") for name in body if name not in fields]
    return problems


def validate(body: Any, fields: dict[str, Field], **options: Any) -> dict[str, Any]:
    """The body, if it is an object without problems; raises ValidationError otherwise."""
    found = require_object(body)
    if problems := problems_of(found, fields, **options):
        raise ValidationError(problems)
    return found


def page_of_query(query: dict[str, list[str]]) -> tuple[int, int]:
    """`page` and `per_page`; raises ValidationError outside 1.. and 1..1000."""
    values = {}
    problems: list[tuple[str | None, str]] = []
    for name, default, high in (("page", 1, 10**9), ("per_page", 20, 1000)):
        given = query.get(name, [str(default)])[-1]
        if re.fullmatch(r"[0-9]{1,9}", given) and 1 <= int(given) <= high:
            values[name] = int(given)
        else:
            problems.append((f"/{name}", f"{name}: must be an integer from 1 to {high}"))
    if problems:
        raise ValidationError(problems)
    return values["page"], values["per_page"]


def paged(items: list[Any], query: dict[str, list[str]], *, before_filters: int) -> tuple[list[Any], dict[str, int]]:
    """One page of a list and its `result_info`; `total_count` counts what there was before the filters."""
    page, per_page = page_of_query(query)
    rows = items[(page - 1) * per_page : page * per_page]
    info = {"page": page, "per_page": per_page, "count": len(rows), "total_count": before_filters}
    return rows, info


def choice_from_query(query: dict[str, list[str]], name: str, allowed: frozenset[str]) -> str | None:
    """A query parameter out of a closed set; None when absent."""
    value = query.get(name, [""])[-1]
    if not value:
        return None
    if value not in allowed:
        raise ValidationError([(f"/{name}", f"{name}: must be one of {', '.join(sorted(allowed))}")])
    return value


def boolean_from_query(query: dict[str, list[str]], name: str) -> bool | None:
    value = query.get(name, [""])[-1].lower()
    if value in ("", "true", "false"):
        return {"true": True, "false": False}.get(value)
    raise ValidationError([(f"/{name}", f"{name}: must be true or false")])
