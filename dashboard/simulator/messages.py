"""Reading messages: search, slow search, one message, its detections, raw text, picture, trace and action log."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dashboard.simulator.mail.record import MailRecord, TraceLine
from dashboard.simulator.profiles import only
from dashboard.simulator.schema import paged, require_object
from dashboard.simulator.search import Criteria, criteria_from_query, page_of
from dashboard.simulator.state import INBOX, Action, MessageState
from dashboard.simulator.wire import ApiError, Reply, Request, ValidationError, naive, not_found, rfc3339
from dashboard.simulator.world import World

_PER_PAGE = re.compile(r"[0-9]{1,6}")


@dataclass(slots=True)
class SlowSearch:
    """A search answered with 202: its results appear later under its own address."""

    criteria: Criteria
    per_page: int
    ready_at: float


class MessagesApi:
    """The reading half of `/investigate`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slow: dict[str, SlowSearch] = {}

    def handlers(self) -> dict[str, Any]:
        return {
            "search": self.search,
            "message": self.message,
            "action_log": self.action_log,
            "detections": self.detections,
            "raw": self.raw,
            "preview": self.preview,
            "preview_clean": self.preview_clean,
            "trace": self.trace,
        }

    # search

    def search(self, request: Request, _params: dict[str, str]) -> Reply:
        profile = self.world.profile
        criteria = criteria_from_query(
            request.query, request.now, relaxed=profile.relaxed, seed_generation=profile.seed_generation
        )
        per_page = _per_page(request.query)
        cursor = None if profile.relaxed else request.query.get("cursor", [""])[-1] or None
        if self._is_slow(criteria) and cursor is None:
            return self._accept_slow(criteria, per_page, request)
        return self._results(criteria, per_page, cursor, request)

    def _is_slow(self, criteria: Criteria) -> bool:
        wide = not criteria.detections_only and criteria.window > self.world.options.wide_search_days * 86400
        return not self.world.profile.relaxed and (wide or self.world.faults.endless_search)

    def _accept_slow(self, criteria: Criteria, per_page: int, request: Request) -> Reply:
        options = self.world.options
        for key in [key for key, old in self.slow.items() if old.ready_at + options.search_lifetime < request.now]:
            del self.slow[key]
        key = self.world.new_id().replace("-", "")
        self.slow[key] = SlowSearch(criteria, per_page, request.now + options.search_delay)
        return self._still_running(key, per_page, request)

    def _still_running(self, key: str, per_page: int, request: Request) -> Reply:
        location = f"/client/v4/accounts/{self.world.account_id}/email-security/investigate-results/{key}"
        if self.world.options.absolute_location:
            location = f"{request.headers.get('x-simulator-origin', '')}{location}"
        headers = {"Location": location, "Retry-After": "1"}
        return Reply([], status=202, info=self._info(0, per_page, None), headers=headers)

    def poll(self, request: Request, key: str) -> Reply:
        """What the Location of a 202 answers: 202 while running, then the first page, 404 in the end."""
        slow = self.slow.get(key)
        if slow is None or request.now > slow.ready_at + self.world.options.search_lifetime:
            raise ApiError(404, 1404, "These search results have expired.")
        if request.now < slow.ready_at or self.world.faults.endless_search:
            return self._still_running(key, slow.per_page, request)
        return self._results(slow.criteria, slow.per_page, None, request)

    def _results(self, criteria: Criteria, per_page: int, cursor: str | None, request: Request) -> Reply:
        page = page_of(self.world.store, criteria, per_page, cursor)
        rows = [self.shown(record, request.now) for record in page.records]
        return Reply(rows, info=self._info(len(rows), per_page, page.next))

    def _info(self, count: int, per_page: int, following: str | None) -> dict[str, Any]:
        info: dict[str, Any] = {"count": count, "per_page": per_page, "next": following, "previous": None}
        if self.world.profile.sends_retired_fields:
            info |= {"page": 0, "total_count": 0}
        return info

    # one message

    def find(self, params: dict[str, str]) -> MailRecord:
        """The message of a path; one that was reported is found as well, since only its own page tells them apart."""
        record = self.world.store.find_any(params["investigate_id"])
        if record is None:
            raise not_found("Message")
        return record

    def message(self, request: Request, params: dict[str, str]) -> Reply:
        submission = request.query.get("submission", ["false"])[-1].lower() == "true"
        if self.world.profile.relaxed or self.world.profile.seed_generation:
            record: MailRecord | None = self.find(params)
        else:
            record = self.world.store.get(params["investigate_id"], submission=submission)
        if record is None:
            raise not_found("Message")
        return Reply(self.shown(record, request.now))

    def shown(self, record: MailRecord, now: float) -> dict[str, Any]:
        """A Message in the profile's form."""
        state = self.world.store.state(record)
        properties = record.properties
        current: dict[str, Any] = {
            "id": record.id,
            "postfix_id": record.postfix_id,
            "postfix_id_outbound": record.postfix_id_outbound,
            "alert_id": record.alert_id,
            "message_id": record.message_id,
            "subject": record.subject,
            "from": record.from_,
            "from_name": record.from_name,
            "to": record.to or None,
            "to_name": record.to_name or None,
            "replyto": record.replyto,
            "envelope_from": record.envelope_from,
            "envelope_to": record.envelope_to or None,
            "client_recipients": record.client_recipients,
            "final_disposition": record.final_disposition,
            "detection_reasons": record.detection_reasons,
            "threat_categories": record.threat_categories,
            "validation": record.validation._asdict(),
            "delivery_mode": record.delivery_mode,
            "delivery_status": state.delivery_status,
            "is_quarantined": state.is_quarantined,
            "is_phish_submission": record.is_phish_submission,
            "post_delivery_operations": state.operations,
            "edf_hash": record.edf_hash,
            "htmltext_structure_hash": record.htmltext_structure_hash,
            "smtp_helo_server_ip": record.smtp_helo_server_ip,
            "smtp_previous_hop_ip": record.smtp_previous_hop_ip,
            "x_originating_ip": record.x_originating_ip,
            "properties": properties._asdict(),
            "scanned_at": rfc3339(record.scanned_at),
            "sent_at": rfc3339(record.sent_at),
        }
        if not self.world.profile.sends_retired_fields:
            return current
        retired = {
            "ts": naive(record.scanned_at),
            "sent_date": naive(record.sent_at),
            "action_log": [_embedded(action) for action in self._visible_log(state, now)],
        }
        seed = current | retired
        if self.world.profile.seed_generation:
            for name in ("delivery_status", "smtp_helo_server_ip", "smtp_previous_hop_ip", "x_originating_ip"):
                del seed[name]
            seed["properties"] = {**seed["properties"], "whitelisted_pattern_type": properties.allowlisted_pattern_type}
            seed["findings"] = [finding._asdict() for finding in record.findings()]
        return only(self.world.profile, current=current, retired=retired, seed=seed)

    def _visible_log(self, state: MessageState, now: float) -> list[Action]:
        """The log lags behind what happened when the fault plan says so; newest first."""
        return [entry for entry in reversed(state.log) if entry.completed_at + self.world.faults.log_lag <= now]

    def action_log(self, request: Request, params: dict[str, str]) -> Reply:
        log = self._visible_log(self.world.store.state(self.find(params)), request.now)
        rows, info = paged(log, request.query, before_filters=len(log))
        return Reply([_action(entry) for entry in rows], info=info)

    def detections(self, _request: Request, params: dict[str, str]) -> Reply:
        record = self.find(params)
        self._require_detection(record, "Detections")
        state = self.world.store.state(record)
        self.world.store.learn_attachments(record)
        result: dict[str, Any] = {
            "action": _action_taken(record),
            "final_disposition": record.final_disposition,
            "validation": record.validation._asdict(),
            "findings": [finding._asdict() for finding in record.findings()],
            "headers": [header._asdict() for header in record.headers()],
            "links": [link._asdict() for link in record.links()],
            "attachments": [{**item._asdict(), "name": item.filename} for item in record.attachments()],
            "sender_info": record.sender_info._asdict(),
            "threat_categories": [category._asdict() for category in record.threat_category_objects()],
        }
        if state.is_quarantined:
            result["action"] = "QUARANTINED"
        if self.world.profile.seed_generation:
            del result["findings"]
            for item in result["attachments"]:
                for name in ("filename", "md5", "sha1", "sha256"):
                    del item[name]
        return Reply(result)

    def raw(self, _request: Request, params: dict[str, str]) -> Reply:
        record = self.find(params)
        self._require_detection(record, "The raw message")
        return Reply({"raw": record.eml()})

    def _require_detection(self, record: MailRecord, what: str) -> None:
        if not record.is_detection:
            raise ApiError(404, 1404, f"{what} cannot be shown: the message has no detection.")

    # pictures

    def preview(self, request: Request, params: dict[str, str]) -> Reply:
        record = self.find(params)
        self._require_detection(record, "A preview")
        return self._picture(record, request)

    def preview_clean(self, request: Request, _params: dict[str, str]) -> Reply:
        body = require_object(request.json())
        name = "postfix_id" if self.world.profile.seed_generation and "postfix_id" in body else "id"
        if not isinstance(body.get(name), str) or not body[name]:
            raise ValidationError([(f"/{name}", f"{name}: is required")])
        record = self.find({"investigate_id": body[name]})
        if not self.world.profile.relaxed:
            if record.is_detection:
                raise ApiError(400, 1400, "The message has a detection; use its own preview.", pointer=f"/{name}")
            if not any(self._in_reach(copy.recipient) and copy.folder == INBOX for copy in self._copies(record)):
                raise ApiError(
                    400, 1400, "The message is not in an inbox with an active integration any more.", pointer=f"/{name}"
                )
        return self._picture(record, request)

    def _copies(self, record: MailRecord) -> list[Any]:
        return self.world.store.state(record).copies

    def _in_reach(self, recipient: str) -> bool:
        return recipient.rpartition("@")[2].lower() not in self.world.store.domains_without_integration

    def _picture(self, record: MailRecord, request: Request) -> Reply:
        copies = self._copies(record)
        if copies and all(copy.folder == "RecoverableItemsPurges" for copy in copies):
            raise ApiError(404, 1404, "The message was purged from all mailboxes; there is no preview any more.")
        screenshot = base64.b64encode(_png(record)).decode()
        state = self.world.store.touched(record)
        who = request.requested_by
        state.log.append(Action("PREVIEW", request.now, request.now, success=True, status="OK", requested_by=who))
        return Reply({"screenshot": screenshot})

    # trace

    def trace(self, request: Request, params: dict[str, str]) -> Reply:
        record = self.find(params)
        legs = {}
        for direction in ("inbound", "outbound"):
            lines = list(record.trace_lines(direction)) + self._later_lines(record, direction)
            seen = [line for line in lines if line.logged_at <= request.now - self._trace_lag(direction)]
            young = request.now < record.scanned_at + self.world.options.trace_delay
            pending = len(seen) < len(lines) or (direction == "outbound" and young)
            legs[direction] = {"pending": pending, "lines": [self._line(n, line) for n, line in enumerate(seen, 1)]}
        return Reply(legs)

    def _trace_lag(self, direction: str) -> float:
        """Delivery reports come in a little later than the mail."""
        return self.world.options.trace_delay / 2 if direction == "outbound" else 0.0

    def _later_lines(self, record: MailRecord, direction: str) -> list[TraceLine]:
        """What releases added to the outbound log."""
        if direction == "inbound" or not self.world.store.is_touched(record):
            return []
        lines = []
        for entry in self.world.store.state(record).log:
            if entry.operation == "QUARANTINE_RELEASE":
                text = f"{record.postfix_id}: released from quarantine, status={entry.status}"
                lines.append(TraceLine(0, entry.completed_at, text))
        return lines

    def _line(self, number: int, line: TraceLine) -> dict[str, Any]:
        shown = {"lineno": number, "message": line.message}
        at = rfc3339(line.logged_at)
        return only(
            self.world.profile, current={**shown, "logged_at": at}, retired={"ts": at}, seed={**shown, "ts": at}
        )


def _per_page(query: dict[str, list[str]]) -> int:
    given = query.get("per_page", ["20"])[-1]
    if not _PER_PAGE.fullmatch(given) or not 1 <= int(given) <= 1000:
        raise ValidationError([("/per_page", "per_page: must be an integer from 1 to 1000")])
    return int(given)


def _action_taken(record: MailRecord) -> str:
    if "quarantined" in record.delivery_status:
        return "QUARANTINED"
    if "rejected" in record.delivery_status:
        return "REJECTED"
    return "MOVED" if "moved" in record.delivery_status else "DELIVERED"


def _action(entry: Action) -> dict[str, Any]:
    return {
        "operation": entry.operation,
        "started_at": rfc3339(entry.started_at),
        "completed_at": rfc3339(entry.completed_at),
        "success": entry.success,
        "status": entry.status,
        "properties": {
            "folder": entry.folder,
            "requested_by": entry.requested_by,
            "requested_disposition": entry.requested_disposition,
            "service": entry.service,
            "submission_id": entry.submission_id,
            "submission_type": entry.submission_type,
        },
    }


def _embedded(entry: Action) -> dict[str, Any]:
    """The older log inside a Message: its properties are strings or missing, never null."""
    properties = {"folder": entry.folder, "requested_by": entry.requested_by}
    return {
        "operation": entry.operation,
        "completed_at": rfc3339(entry.completed_at),
        "completed_timestamp": naive(entry.completed_at),
        "status": entry.status,
        "properties": {name: value for name, value in properties.items() if value is not None},
    }


@lru_cache(maxsize=32)
def _png(record: MailRecord) -> bytes:
    return record.png()
