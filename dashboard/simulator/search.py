"""What a search asks for: reading the query, matching messages, cursors."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dashboard.simulator.mail.record import MailRecord
from dashboard.simulator.schema import DELIVERY_STATUSES, DISPOSITIONS, MESSAGE_ACTIONS, SHORT_DISPOSITIONS
from dashboard.simulator.store import MailStore
from dashboard.simulator.wire import ApiError, ValidationError, parse_time

DEFAULT_WINDOW = 30 * 86400
OPERATION_OF_ACTION = {
    "PREVIEW": "PREVIEW",
    "QUARANTINE_RELEASED": "QUARANTINE_RELEASE",
    "MOVED": "MOVE",
    "SUBMITTED": "SUBMISSION",
}
TEXT_FILTERS = (
    "query",
    "sender",
    "recipient",
    "domain",
    "subject",
    "exact_subject",
    "alert_id",
    "message_id",
    "smtp_helo_ip",
)


@dataclass(slots=True)
class Criteria:
    """A search, complete: the window is always pinned."""

    start: float
    end: float
    detections_only: bool = True
    query: str = ""
    sender: str = ""
    recipient: str = ""
    domain: str = ""
    subject: str = ""
    exact_subject: str = ""
    alert_id: str = ""
    message_id: str = ""
    smtp_helo_ip: str = ""
    final_disposition: str = ""
    delivery_status: str = ""
    message_action: str = ""
    submissions: bool = False

    @property
    def window(self) -> float:
        return self.end - self.start

    def matches(self, store: MailStore) -> Callable[[MailRecord], bool]:
        """One predicate for all filters but the window and `query`; the cheap ones come first."""
        tests: list[Callable[[MailRecord], bool]] = []
        if self.final_disposition:
            wanted = self.final_disposition
            tests.append(lambda record: record.final_disposition == wanted)
        if self.detections_only:
            tests.append(lambda record: record.final_disposition != "NONE")
        for name, attribute in (("alert_id", "alert_id"), ("smtp_helo_ip", "smtp_helo_server_ip")):
            if value := getattr(self, name):
                tests.append(lambda record, attribute=attribute, value=value: getattr(record, attribute) == value)  # type: ignore[misc]
        if self.message_id:
            header = self.message_id.strip("<>")
            tests.append(lambda record: (record.message_id or "").strip("<>") == header)
        if self.sender:
            is_sender = address_or_domain(self.sender)
            tests.append(lambda record: is_sender(record.from_) or is_sender(record.envelope_from))
        if self.recipient:
            is_recipient = address_or_domain(self.recipient)
            tests.append(lambda record: any(map(is_recipient, _recipients(record))))
        if self.subject:
            words = self.subject.lower().split()
            tests.append(lambda record: all(word in (record.subject or "").lower() for word in words))
        if self.exact_subject:
            exact = self.exact_subject
            tests.append(lambda record: record.subject == exact)
        if self.delivery_status:
            status = self.delivery_status
            tests.append(
                lambda record: (
                    status
                    in (store.state(record).delivery_status if store.is_touched(record) else record.delivery_status)
                )
            )
        if self.message_action:
            operation = OPERATION_OF_ACTION[self.message_action]
            tests.append(lambda record: operation in store.state(record).operations)
        if self.domain:
            name = self.domain.lower().lstrip("@").rstrip(".")
            in_domain = address_or_domain(name)
            tests.append(
                lambda record: (
                    in_domain(record.from_)
                    or in_domain(record.envelope_from)
                    or any(map(in_domain, _recipients(record)))
                    or store.links_to(record, name)
                )
            )
        return lambda record: all(test(record) for test in tests)

    def run(self, store: MailStore, before: tuple[float, str] | None = None) -> Iterator[MailRecord]:
        """Matching messages, newest first."""
        terms = self.query.lower().split()
        return filter(self.matches(store), store.newest_first(self.start, self.end, terms, before))


def address_or_domain(value: str) -> Callable[[str | None], bool]:
    """A test for one address against an address, or a domain when the value has no local part."""
    value = value.strip().lower().strip("<>")
    if "@" in value.lstrip("@"):
        return lambda address: address is not None and address.lower() == value
    suffix = "@" + value.lstrip("@")
    return lambda address: address is not None and address.lower().endswith(suffix)


def _recipients(record: MailRecord) -> tuple[str, ...]:
    return (*record.client_recipients, *record.to, *record.cc, *record.envelope_to)


@dataclass(slots=True)
class Page:
    records: list[MailRecord]
    next: str | None


def page_of(store: MailStore, criteria: Criteria, per_page: int, cursor: str | None = None) -> Page:
    """One page and the cursor of the next one, None on the last."""
    before = read_cursor(cursor) if cursor else None
    found = list(islice(criteria.run(store, before), per_page + 1))
    more = len(found) > per_page
    return Page(found[:per_page], write_cursor(found[per_page - 1]) if more else None)


def write_cursor(record: MailRecord) -> str:
    """An opaque position: it names the last message shown, so that newer arrivals do not shift what follows."""
    return base64.urlsafe_b64encode(json.dumps([record.scanned_at, record.id]).encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[float, str]:
    try:
        at, message_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return float(at), str(message_id)
    except (ValueError, TypeError, binascii.Error) as exc:
        raise ApiError(400, 1400, "The cursor is not valid.") from exc


def criteria_from_query(query: dict[str, list[str]], now: float, *, relaxed: bool, seed_generation: bool) -> Criteria:
    """Read the query string of a search; raises ValidationError naming every wrong parameter."""
    values: dict[str, Any] = {name: given[-1] for name, given in query.items() if given}
    for name in ("detections_only", "submissions"):
        if name in values:
            values[name] = {"true": True, "false": False}.get(values[name].lower(), values[name])
    if not seed_generation:
        values.pop("exact_subject", None)
        values.pop("submissions", None)
    else:
        for name in ("delivery_status", "smtp_helo_ip"):
            values.pop(name, None)
    if relaxed:
        values = {name: value for name, value in values.items() if name not in ("smtp_helo_ip", "alert_id")}
    actions = MESSAGE_ACTIONS | {"SUBMITTED"} if seed_generation else MESSAGE_ACTIONS
    return _criteria(values, now, "", SHORT_DISPOSITIONS, relaxed=relaxed, actions=actions)


def criteria_from_params(params: dict[str, Any], now: float, *, relaxed: bool) -> Criteria:
    """Read the `search_params` of a bulk job, where nulls mean absent and all ten dispositions are allowed."""
    values = {name: value for name, value in params.items() if value is not None}
    return _criteria(values, now, "/search_params", DISPOSITIONS, relaxed=relaxed, actions=MESSAGE_ACTIONS)


def _criteria(
    values: dict[str, Any],
    now: float,
    pointer: str,
    dispositions: frozenset[str],
    *,
    relaxed: bool,
    actions: frozenset[str],
) -> Criteria:
    problems: list[tuple[str | None, str]] = []

    def wrong(name: str, message: str) -> None:
        problems.append((f"{pointer}/{name}", message))

    criteria = Criteria(start=now - DEFAULT_WINDOW, end=now)
    for name in ("start", "end"):
        if name in values:
            try:
                setattr(criteria, name, parse_time(values[name]))
            except (ValueError, TypeError, AttributeError):
                wrong(name, f"{name}: must be an RFC 3339 time")
    if "end" in values and "start" not in values:
        criteria.start = criteria.end - DEFAULT_WINDOW
    if not problems and not relaxed:
        if criteria.start > now + 60:
            wrong("start", "start: must not be in the future")
        elif criteria.start > criteria.end:
            wrong("start", "start: must not be after end")
    for name in ("detections_only", "submissions"):
        value = values.get(name, getattr(criteria, name))
        if isinstance(value, bool):
            setattr(criteria, name, value)
        else:
            wrong(name, f"{name}: must be true or false")
    for name in TEXT_FILTERS:
        value = values.get(name, "")
        if isinstance(value, str):
            setattr(criteria, name, value.strip())
        else:
            wrong(name, f"{name}: must be a string")
    for name, allowed in (
        ("final_disposition", dispositions),
        ("delivery_status", DELIVERY_STATUSES),
        ("message_action", actions),
    ):
        value = values.get(name, "")
        if value == "" or (isinstance(value, str) and value in allowed):
            setattr(criteria, name, value)
        else:
            wrong(name, f"{name}: must be one of {', '.join(sorted(allowed))}")
    if problems:
        raise ValidationError(problems)
    return criteria
