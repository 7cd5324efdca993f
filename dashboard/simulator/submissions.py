"""Submissions: what people and the team asked to be judged again, and what came of it. Also PhishGuard's reports."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard.simulator.mail.record import MailRecord
from dashboard.simulator.profiles import only
from dashboard.simulator.schema import (
    SHORT_DISPOSITIONS,
    Field,
    base64_text,
    boolean_from_query,
    choice_from_query,
    list_of,
    one_of,
    paged,
    problems_of,
    require_object,
    text,
    validate,
)
from dashboard.simulator.state import Action
from dashboard.simulator.wire import (
    Reply,
    Request,
    ValidationError,
    naive,
    not_found,
    parse_date,
    parse_time,
    rfc3339,
)
from dashboard.simulator.world import World

_ORDERS = frozenset(
    ("submission_id", "subject", "original_disposition", "requested_disposition", "outcome_disposition", "requested_at")
)
_DISPOSITION = Field(one_of(SHORT_DISPOSITIONS))
_OPTIONAL_TEXT = Field(text(), required=False, nullable=True)
_RECLASSIFICATION = {
    "alert_id": Field(text(1)),
    "expected_disposition": _DISPOSITION,
    "escalated_submission_id": _OPTIONAL_TEXT,
}
_MISSED = {
    "postfix_id": Field(text(1)),
    "message_id": Field(text(1)),
    "recipient_emails": Field(list_of(text(1), 1)),
    "expected_disposition": _DISPOSITION,
    "eml_content": Field(base64_text, required=False, nullable=True),
    "escalated_submission_id": _OPTIONAL_TEXT,
}
_RECLASSIFY = {
    "expected_disposition": _DISPOSITION,
    "eml_content": Field(base64_text, required=False, nullable=True),
    "escalated_submission_id": _OPTIONAL_TEXT,
}
TEAM = ("ana@mailwarden.example", "ben@mailwarden.example", "ana@mailwarden.example")  # the demo's, in the dashboard
_LONG_DISPOSITION = {"MALICIOUS-BEC": "MALICIOUS"}


@dataclass(slots=True)
class Submission:
    """A request for review; status and outcome follow from its age."""

    submission_id: str
    requested_at: float
    requested_by: str
    by_team: bool
    record: MailRecord
    requested_disposition: str
    decided_at: float
    outcome_disposition: str
    reviewed: bool = False
    escalates: str | None = None
    escalated_at: float | None = None
    escalated_by: str | None = None
    escalated_as: str | None = None

    @property
    def original(self) -> str:
        return short(self.record.final_disposition)

    def status(self, now: float) -> str:
        if now >= self.decided_at:
            return "completed"
        half = (self.requested_at + self.decided_at) / 2
        return "pending" if now < half else "in_review"

    def outcome(self, now: float) -> str | None:
        if now < self.decided_at:
            return None
        return "accepted" if self.outcome_disposition == self.requested_disposition else "declined"

    def customer_status(self) -> str:
        if self.escalated_at is not None:
            return "escalated"
        return "reviewed" if self.reviewed or self.by_team else "unreviewed"


def short(disposition: str) -> str:
    """The short form: one of the six values submissions know."""
    disposition = _LONG_DISPOSITION.get(disposition, disposition)
    return disposition if disposition in SHORT_DISPOSITIONS else "NONE"


class SubmissionsApi:
    """`/submissions`, the older reclassify, and `/phishguard/reports`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.submissions: dict[str, Submission] = {}

    def handlers(self) -> dict[str, Callable[[Request, dict[str, str]], Reply]]:
        return {
            "submissions": self.listing,
            "submit": self.create,
            "reclassify": self.reclassify,
            "phishguard": self.reports,
        }

    def seed_history(self) -> None:
        """User reports for the reported copies, and a few requests of the team over the last weeks."""
        for record in self.world.store.reported:
            self.note_report(record)
        for record in self.world.store.records:
            draw = zlib.crc32(record.id.encode())
            if record.alert_id and record.final_disposition in ("SPOOF", "BULK", "SUSPICIOUS") and draw % 7 == 0:
                wanted = "NONE" if draw % 2 else "SPAM"
                at = record.scanned_at + 1800 + draw % 9000
                if at > self.world.started_at:
                    continue
                person = TEAM[draw % 11] if draw % 11 < len(TEAM) else ""
                past = self._add(record, at, person, wanted, by_team=True)
                past.decided_at = at + 3600 * (1 + draw % 12)  # nobody was in a hurry: the newest still wait

    def note_report(self, record: MailRecord) -> None:
        """A person of the company reported a message: that is a user submission."""
        draw = zlib.crc32(record.id.encode())
        reporter = record.client_recipients[0] if record.client_recipients else ""
        wanted = "SPAM" if draw % 5 == 0 else "MALICIOUS"
        self._add(record, record.scanned_at, reporter, wanted, by_team=False).reviewed = draw % 3 == 0

    def _add(
        self,
        record: MailRecord,
        at: float,
        requested_by: str,
        wanted: str,
        *,
        by_team: bool,
        escalates: str | None = None,
    ) -> Submission:
        draw = zlib.crc32(f"{record.id}{wanted}{len(self.submissions)}".encode())
        kept = short(record.final_disposition)
        submission = Submission(
            submission_id=self.world.new_id(),
            requested_at=at,
            requested_by=requested_by or f"security@{(self.world.domains or ('example.com',))[0]}",
            by_team=by_team,
            record=record,
            requested_disposition=wanted,
            decided_at=at + self.world.options.outcome_delay * (1 + draw % 100 / 100),
            outcome_disposition=wanted if draw % 4 else kept,
            escalates=escalates,
        )
        self.submissions[submission.submission_id] = submission
        return submission

    # creating

    def create(self, request: Request, _params: dict[str, str]) -> Reply:
        body = require_object(request.json())
        forms = {
            "reclassification": (_RECLASSIFICATION, "alert_id", self._by_alert),
            "missed_detection": (_MISSED, "postfix_id", self._missed),
        }
        if body.get("type") not in forms:
            raise ValidationError([("/type", "type: must be one of missed_detection, reclassification")])
        items = body.get("messages")
        if not isinstance(items, list) or not items:
            raise ValidationError([("/messages", "messages: must be an array with at least 1 item")])
        fields, key, find = forms[body["type"]]
        problems: list[tuple[str | None, str]] = []
        for index, item in enumerate(items):
            pointer = f"/messages/{index}"
            if isinstance(item, dict):
                problems += problems_of(item, fields, pointer=pointer)
            else:
                problems.append((pointer, "must be an object"))
        if problems:
            raise ValidationError(problems)
        results = []
        for item in items:
            record, error = find(item)
            error = error or self._obstacle(record, item)
            if error is None and record is not None:
                self._submit(record, item, request)
            results.append({"id": item[key], "accepted": error is None, "error": error})
        return Reply({"results": results}, status=202)

    def _by_alert(self, item: dict[str, Any]) -> tuple[MailRecord | None, str | None]:
        record = self.world.store.by_alert(item["alert_id"])
        return record, None if record else "no message with this alert id"

    def _missed(self, item: dict[str, Any]) -> tuple[MailRecord | None, str | None]:
        record = self.world.store.find_any(item["postfix_id"])
        if record is None or record.postfix_id != item["postfix_id"]:
            return None, "no message with this postfix id"
        if (record.message_id or "").strip("<>") != item["message_id"].strip("<>"):
            return record, "message_id does not belong to this message"
        known = {address.lower() for address in (*record.client_recipients, *record.envelope_to, *record.to)}
        strangers = [address for address in item["recipient_emails"] if address.lower() not in known]
        return record, f"not a recipient of this message: {strangers[0]}" if strangers else None

    def _obstacle(self, record: MailRecord | None, item: dict[str, Any]) -> str | None:
        if record is not None and short(record.final_disposition) == item["expected_disposition"]:
            return "the message already has this disposition"
        escalated = item.get("escalated_submission_id")
        if escalated and escalated not in self.submissions:
            return "unknown escalated_submission_id"
        return None

    def _submit(self, record: MailRecord, item: dict[str, Any], request: Request) -> None:
        wanted = item["expected_disposition"]
        escalates = item.get("escalated_submission_id") or None
        submission = self._add(record, request.now, request.requested_by, wanted, by_team=True, escalates=escalates)
        if escalates:
            source = self.submissions[escalates]
            source.escalated_at, source.escalated_by = request.now, request.requested_by
            source.escalated_as = wanted
        self.world.store.touched(record).log.append(
            Action(
                "SUBMISSION",
                request.now,
                request.now,
                success=True,
                status="OK",
                requested_by=request.requested_by,
                requested_disposition=wanted,
                submission_id=submission.submission_id,
                submission_type="Team",
            )
        )
        self.world.ledger.record(
            "submission", record.id, None, request.now, requested_disposition=wanted, id=submission.submission_id
        )

    def reclassify(self, request: Request, params: dict[str, str]) -> Reply:
        """The deprecated way: nothing but 202; what became of it appears among the submissions."""
        record = self.world.store.find_any(params["investigate_id"])
        if record is None:
            raise not_found("Message")
        body = require_object(request.json())
        if self.world.profile.relaxed:
            return Reply({}, status=202)
        validate(body, _RECLASSIFY)
        if not record.is_detection and not body.get("eml_content"):
            raise ValidationError([("/eml_content", "eml_content: is required for a message without detection")])
        if obstacle := self._obstacle(record, body):
            raise ValidationError([("/expected_disposition", f"expected_disposition: {obstacle}")])
        self._submit(record, body, request)
        return Reply({}, status=200 if self.world.profile.seed_generation else 202)

    # listing

    def listing(self, request: Request, _params: dict[str, str]) -> Reply:
        query, now = request.query, request.now
        start, end = _window(query, now)
        rows = [entry for entry in self.submissions.values() if start <= entry.requested_at <= end]
        before_filters = len(self.submissions)
        if kind := choice_from_query(query, "type", frozenset({"TEAM", "USER"})):
            rows = [entry for entry in rows if entry.by_team == (kind == "TEAM")]
        status = query.get("status", query.get("customer_status", [""]))[-1]
        if status and not self.world.profile.relaxed:
            rows = [entry for entry in rows if entry.customer_status() == status.lower()]
        if wanted_id := query.get("submission_id", [""])[-1]:
            rows = [entry for entry in rows if entry.submission_id == wanted_id]
        for name in ("original_disposition", "requested_disposition", "outcome_disposition"):
            if value := choice_from_query(query, name, SHORT_DISPOSITIONS):
                rows = [entry for entry in rows if self.shown(entry, now)[name] == value]
        if (escalated := boolean_from_query(query, "escalated_from_user")) is not None:
            rows = [entry for entry in rows if (entry.escalates is not None) is escalated]
        for word in query.get("query", [""])[-1].lower().split():
            rows = [entry for entry in rows if word in _words(entry)]
        order = choice_from_query(query, "order", _ORDERS) or "requested_at"
        direction = choice_from_query(query, "direction", frozenset({"asc", "desc"})) or "desc"
        shown = [self.shown(entry, now) for entry in rows]
        shown.sort(key=lambda entry: (entry["requested_at"], entry["submission_id"]), reverse=direction == "desc")
        if order != "requested_at":
            shown.sort(key=lambda entry: str(entry[order] or ""), reverse=direction == "desc")
        found, info = paged(shown, query, before_filters=before_filters)
        return Reply(found, info=info)

    def shown(self, entry: Submission, now: float) -> dict[str, Any]:
        done = now >= entry.decided_at
        current = {
            "submission_id": entry.submission_id,
            "requested_at": rfc3339(entry.requested_at),
            "requested_by": entry.requested_by,
            "type": "Team" if entry.by_team else "User",
            "subject": entry.record.subject,
            "status": entry.status(now),
            "customer_status": entry.customer_status(),
            "original_disposition": entry.original,
            "requested_disposition": entry.requested_disposition,
            "outcome_disposition": entry.outcome_disposition if done else None,
            "outcome": entry.outcome(now),
            "original_edf_hash": entry.record.edf_hash,
            "original_postfix_id": entry.record.postfix_id,
            "escalated_as": entry.escalated_as,
            "escalated_at": None if entry.escalated_at is None else rfc3339(entry.escalated_at),
            "escalated_by": entry.escalated_by,
            "escalated_submission_id": entry.escalates,
        }
        old = {"requested_ts": naive(entry.requested_at)}
        return only(self.world.profile, current=current, retired=old, seed=current | old)

    # PhishGuard

    def reports(self, request: Request, _params: dict[str, str]) -> Reply:
        """Campaigns worth a person's attention, written up by the managed service."""
        start, end = _window(request.query, request.now)
        everything = self._reported_campaigns()
        rows = [entry for entry in everything if start <= entry[1].scanned_at <= min(end, request.now)]
        rows.sort(key=lambda entry: entry[1].scanned_at, reverse=True)
        if self.world.profile.seed_generation:
            return Reply([self._report(*entry) for entry in rows])
        found, info = paged(rows, request.query, before_filters=len(everything))
        return Reply([self._report(*entry) for entry in found], info=info)

    def _reported_campaigns(self) -> list[tuple[int, MailRecord]]:
        """One report for the first message of each notable campaign; numbers follow their order."""
        firsts: dict[str, MailRecord] = {}
        for record in self.world.store.records:
            if record.final_disposition in ("MALICIOUS", "MALICIOUS-BEC"):
                firsts.setdefault(record.edf_hash or record.id, record)
        notable = [record for key, record in firsts.items() if zlib.crc32(key.encode()) % 3 == 0]
        return list(enumerate(notable, start=1))

    def _report(self, number: int, record: MailRecord) -> dict[str, Any]:
        at = rfc3339(record.scanned_at)
        written = rfc3339(record.scanned_at + 2400)
        what = record.kind.replace("-", " ")
        fields = {
            "to": record.client_recipients,
            "from": record.from_,
            "postfix_id": record.postfix_id,
        }
        report = {
            "id": number,
            "title": f"{what.capitalize()}: {record.subject or '(no subject)'}",
            "content": (
                f"Messages of the kind \u201c{what}\u201d from {record.from_ or 'an unknown sender'} reached "
                f"{len(record.client_recipients)} recipient(s). Why: {'; '.join(record.detection_reasons[:3]) or '-'}."
            ),
            "priority": "high" if record.final_disposition == "MALICIOUS-BEC" else "medium",
            "disposition": record.final_disposition,
            "tags": [{"category": "threat", "value": record.kind}],
            "created_at": written,
            "updated_at": written,
        }
        return only(
            self.world.profile,
            current=report | {"fields": fields | {"occurred_at": at}},
            retired={"fields": fields | {"occurred_at": at, "ts": at}, "ts": written},
            seed=report | {"fields": fields | {"ts": at}, "ts": written},
        )


def _words(entry: Submission) -> str:
    record = entry.record
    parts = (entry.submission_id, record.subject, record.from_, record.postfix_id, entry.requested_by)
    return " ".join(part for part in parts if part).lower()


def _window(query: dict[str, list[str]], now: float) -> tuple[float, float]:
    """`start` and `end`, or the older days `from_date` and `to_date`; times win. The last 30 days without any."""
    found: dict[str, float] = {}
    problems: list[tuple[str | None, str]] = []
    for name, read, target in (
        ("from_date", parse_date, "start"),
        ("to_date", lambda text: parse_date(text) + 86400, "end"),
        ("start", parse_time, "start"),
        ("end", parse_time, "end"),
    ):
        if given := query.get(name, [""])[-1]:
            try:
                found[target] = read(given)
            except (ValueError, OverflowError):
                problems.append((f"/{name}", f"{name}: must be a {'date' if name.endswith('date') else 'time'}"))
    if problems:
        raise ValidationError(problems)
    end = found.get("end", now)
    return found.get("start", min(now, end) - 30 * 86400), end
