"""The eight kinds of settings: their fields, filters and rules, as one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dashboard.simulator.schema import (
    CONTENT_TARGETS,
    DELIVERY_MODES,
    DISPOSITIONS,
    PATTERN_TYPES,
    PROVENANCES,
    REGIONS,
    SCAN_FOLDERS,
    Field,
    boolean,
    domain_name,
    integer,
    list_of,
    network,
    one_of,
    regex,
    sender_pattern,
    text,
    uuid_text,
)

Problem = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource.

    `unique` names the fields whose repetition is a conflict; `rule` checks fields against each other.
    """

    name: str
    label: str
    fields: dict[str, Field]
    unique: tuple[str, ...]
    order: tuple[str, ...]
    text_filters: tuple[str, ...] = ()
    bool_filters: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    rule: Callable[[dict[str, Any], str], list[Problem]] = lambda _body, _pointer: []
    immutable: frozenset[str] = frozenset()
    closed_create: bool = False
    closed_edit: bool = False
    batch: tuple[str, ...] = ("deletes", "patches", "puts", "posts")
    null_on_edit: frozenset[str] | None = None  # which fields PATCH may set to null; None: as on create
    null_is_default: frozenset[str] = frozenset()  # sent as null, answered as the default: the answer knows no null
    has_last_modified: bool = True
    extra: dict[str, Any] = field(default_factory=dict)  # what the service adds to a new entry


def _pattern_rule(body: dict[str, Any], pointer: str) -> list[Problem]:
    pattern, pattern_type = body.get("pattern"), body.get("pattern_type")
    if not isinstance(pattern, str) or not isinstance(pattern_type, str) or pattern_type == "UNKNOWN":
        return []  # an old entry of an unknown kind stays as it is; nobody can send that kind
    message = regex(1024)(pattern) if body.get("is_regex") else sender_pattern(pattern, pattern_type)
    return [(f"{pointer}/pattern", f"pattern: {message}")] if message else []


def _trusted_rule(body: dict[str, Any], pointer: str) -> list[Problem]:
    pattern = body.get("pattern")
    if not isinstance(pattern, str):
        return []
    message = regex(1024)(pattern) if body.get("is_regex") else domain_name(pattern)
    return [(f"{pointer}/pattern", f"pattern: {message}")] if message else []


def _person_rule(body: dict[str, Any], pointer: str) -> list[Problem]:
    email = body.get("email")
    if not isinstance(email, str):
        return []
    message = regex(1024)(email) if body.get("is_email_regex") else sender_pattern(email, "EMAIL")
    return [(f"{pointer}/email", f"email: {message}")] if message else []


def _comments(high: int = 1024) -> Field:
    return Field(text(0, high), required=False, nullable=True)


_PATTERN = Field(text(1, 1024))
_PATTERN_TYPE = Field(one_of(PATTERN_TYPES))
_BOOL = Field(boolean)
_OLD_FLAG = Field(boolean, required=False)
_OPTIONAL_BOOL = Field(boolean, required=False, nullable=True)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "allow_policies",
            "Allow policy",
            {
                "pattern": _PATTERN,
                "pattern_type": _PATTERN_TYPE,
                "is_regex": _BOOL,
                "is_trusted_sender": _BOOL,
                "is_exempt_recipient": _BOOL,
                "is_acceptable_sender": _BOOL,
                "verify_sender": _BOOL,
                "comments": _comments(),
                "is_sender": _OLD_FLAG,
                "is_recipient": _OLD_FLAG,
                "is_spoof": _OLD_FLAG,
            },
            unique=("pattern", "pattern_type"),
            order=("pattern", "created_at"),
            text_filters=("pattern", "pattern_type"),
            bool_filters=("is_acceptable_sender", "is_exempt_recipient", "is_trusted_sender", "verify_sender"),
            searched=("pattern", "comments"),
            rule=_pattern_rule,
        ),
        Kind(
            "block_senders",
            "Blocked sender",
            {"pattern": _PATTERN, "pattern_type": _PATTERN_TYPE, "is_regex": _BOOL, "comments": _comments()},
            unique=("pattern", "pattern_type"),
            order=("pattern", "created_at"),
            text_filters=("pattern", "pattern_type"),
            searched=("pattern", "comments"),
            rule=_pattern_rule,
        ),
        Kind(
            "content_policies",
            "Content policy",
            {
                "name": Field(text(1, 256)),
                "pattern": Field(regex(2048)),
                "targets": Field(list_of(one_of(CONTENT_TARGETS), 1)),
                "enabled": _BOOL,
                "notes": _comments(4096),
            },
            unique=("name",),
            order=("name", "created_at"),
            text_filters=("name",),
            bool_filters=("enabled",),
            searched=("name", "pattern", "notes"),
            has_last_modified=False,
        ),
        Kind(
            "domains",
            "Domain",
            {
                "domain": Field(domain_name),
                "allowed_delivery_modes": Field(list_of(one_of(DELIVERY_MODES), 1, 10)),
                "drop_dispositions": Field(list_of(one_of(DISPOSITIONS), 0, 10)),
                "ip_restrictions": Field(list_of(network, 0, 100)),
                "regions": Field(list_of(one_of(REGIONS), 1, 10)),
                "folder": Field(one_of(SCAN_FOLDERS), required=False, nullable=True),
                "integration_id": Field(uuid_text, required=False, nullable=True),
                "lookback_hops": Field(integer(1, 20), required=False, nullable=True, default=2),
                "require_tls_inbound": _OPTIONAL_BOOL,
                "require_tls_outbound": _OPTIONAL_BOOL,
                "transport": Field(text(0, 253), required=False, nullable=True, default=""),
            },
            unique=("domain",),
            order=("domain", "created_at"),
            text_filters=("domain", "status", "integration_id"),
            searched=("domain",),
            immutable=frozenset({"domain"}),
            closed_create=True,
            null_on_edit=frozenset({"folder", "integration_id"}),
            null_is_default=frozenset({"lookback_hops", "transport"}),
            extra={
                "status": "PENDING",
                "authorization": None,
                "dmarc_status": "none",
                "spf_status": "none",
                "emails_processed": None,
                "inbox_provider": None,
                "o365_tenant_id": None,
            },
        ),
        Kind(
            "impersonation_registry",
            "Impersonation registry entry",
            {
                "name": Field(text(0, 1024)),
                "email": Field(text(1, 1024)),
                "is_email_regex": _BOOL,
                "comments": _comments(),
                "directory_id": Field(integer(0, 2**53), required=False, nullable=True),
                "directory_node_id": Field(integer(0, 2**53), required=False, nullable=True),
                "external_directory_node_id": Field(text(), required=False, nullable=True),
                "provenance": Field(one_of(PROVENANCES), required=False, nullable=True, default="A1S_INTERNAL"),
            },
            unique=("name", "email"),
            order=("name", "email", "created_at"),
            text_filters=("provenance",),
            searched=("name", "email", "comments"),
            rule=_person_rule,
            batch=(),
        ),
        Kind(
            "sending_domain_restrictions",
            "Sending domain restriction",
            {
                "domain": Field(domain_name),
                "exclude": Field(list_of(domain_name, 0, 1000)),
                "comments": _comments(),
            },
            unique=("domain",),
            order=("domain", "created_at"),
            searched=("domain", "comments"),
            batch=("deletes",),
        ),
        Kind(
            "trusted_domains",
            "Trusted domain",
            {
                "pattern": _PATTERN,
                "is_regex": _BOOL,
                "is_recent": _BOOL,
                "is_similarity": _BOOL,
                "comments": _comments(),
            },
            unique=("pattern",),
            order=("pattern", "created_at"),
            text_filters=("pattern",),
            bool_filters=("is_recent", "is_similarity"),
            searched=("pattern", "comments"),
            rule=_trusted_rule,
        ),
        Kind(
            "url_ignore_patterns",
            "URL ignore pattern",
            {"pattern": Field(regex(1024)), "comments": _comments()},
            unique=("pattern",),
            order=(),
            closed_create=True,
            closed_edit=True,
        ),
    )
}
