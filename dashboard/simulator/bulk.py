"""Bulk jobs: found by search, carried out copy by copy while time passes.

A job has no thread: whoever calls the API finds it as far as its age says. The counters are counted from the rows, so
discovered = pending + successful + failed + skipped + cancelled holds at any moment.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dashboard.simulator.conformance import FIXTURE_ID, MESSAGE_ID
from dashboard.simulator.mail.record import MailRecord
from dashboard.simulator.mailbox import Delivery, Mailboxes
from dashboard.simulator.messages import MessagesApi
from dashboard.simulator.schema import (
    BULK_ACTIONS,
    DESTINATIONS,
    JOB_STATUSES,
    ROW_STATUSES,
    Field,
    choice_from_query,
    one_of,
    paged,
    text,
    validate,
)
from dashboard.simulator.search import Criteria, criteria_from_params
from dashboard.simulator.wire import ApiError, Reply, Request, ValidationError, not_found, rfc3339
from dashboard.simulator.world import World

FINISHED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
_RETRIES = 3  # how often a copy that fails was tried before it counts as failed


def _any_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "must be an object"


_CREATE = {
    "action": Field(one_of(BULK_ACTIONS)),
    "search_params": Field(_any_object),
    "destination": Field(one_of(DESTINATIONS), required=False),
    "comment": Field(text(), required=False, nullable=True),
}


@dataclass(slots=True)
class Row:
    """One recipient's copy within a job."""

    row_id: str
    record: MailRecord
    recipient: str
    created_at: float
    status: str = "PENDING"
    status_message: str | None = None
    retry_count: int = 0
    processed_at: float | None = None


@dataclass(slots=True)
class Job:
    """A job and how far it has come."""

    job_id: str
    action: str
    destination: str | None
    search_params: dict[str, Any]
    criteria: Criteria
    comment: str | None
    created_at: float
    requested_by: str
    status: str = "PENDING"
    status_message: str | None = None
    started_at: float | None = None
    completed_at: float | None = None
    found: list[Row] = field(default_factory=list)  # all there will be; `discovered` of them are known already
    discovered: int = 0
    processed: int = 0

    @property
    def rows(self) -> list[Row]:
        return self.found[: self.discovered]


class BulkApi:
    """`/investigate/bulk`."""

    def __init__(self, world: World, mailboxes: Mailboxes, messages: MessagesApi) -> None:
        self.world = world
        self.mailboxes = mailboxes
        self.messages = messages
        self.jobs: dict[str, Job] = {}

    def handlers(self) -> dict[str, Callable[[Request, dict[str, str]], Reply]]:
        return {
            "bulk.create": self.create,
            "bulk.list": self.listing,
            "bulk.get": self.get,
            "bulk.delete": self.delete,
            "bulk.cancel": self.cancel,
            "bulk.messages": self.rows,
        }

    # the passing of time

    def advance(self, now: float) -> None:
        """Bring every unfinished job to where it is by now."""
        for job in self.jobs.values():
            if job.status not in FINISHED:
                self._advance(job, now)

    def _advance(self, job: Job, now: float) -> None:
        options = self.world.options
        discovery_at = job.created_at + options.job_start_delay
        processing_at = discovery_at + options.job_discovery
        if job.status == "PENDING" and now >= discovery_at:
            job.status, job.started_at = "DISCOVERING", discovery_at
            job.found = self._discover(job, discovery_at)
        if job.status == "DISCOVERING":
            share = 1.0 if now >= processing_at else (now - discovery_at) / options.job_discovery
            job.discovered = int(len(job.found) * share)
            if now >= processing_at:
                if self.world.faults.failing_jobs:
                    self._fail(job, processing_at)
                else:
                    job.status = "PROCESSING"
        if job.status == "PROCESSING":
            due = min(len(job.found), int((now - processing_at) * options.job_rate))
            while job.processed < due:
                at = processing_at + (job.processed + 1) / options.job_rate
                self._carry_out(job, job.found[job.processed], at)
                job.processed += 1
            if job.processed < len(job.found):
                job.found[job.processed].status = "PROCESSING"
            else:
                job.status = "COMPLETED"
                job.completed_at = processing_at + len(job.found) / options.job_rate

    def _discover(self, job: Job, at: float) -> list[Row]:
        return [
            Row(self.world.new_id(), record, recipient, at)
            for record in self._matching(job.criteria)
            for recipient in record.client_recipients
        ]

    def _matching(self, criteria: Criteria) -> list[MailRecord]:
        store = self.world.store
        found = list(criteria.run(store))
        if criteria.submissions:
            test = criteria.matches(store)
            found += [
                record
                for record in store.reported
                if criteria.start <= record.scanned_at <= criteria.end and test(record)
            ]
        return found

    def _carry_out(self, job: Job, row: Row, at: float) -> None:
        row.processed_at = at
        recipients = frozenset({row.recipient})
        if row.record.is_phish_submission:
            row.status, row.status_message = "SKIPPED", "submissions are not touched by bulk actions"
        elif job.action == "MOVE" and job.destination is not None:
            self._move(job.destination, job, row, recipients, at)
        else:
            self._release(job, row, recipients, at)

    def _move(self, destination: str, job: Job, row: Row, recipients: frozenset[str], at: float) -> None:
        outcomes = self.mailboxes.move(
            row.record, destination, at, job.requested_by, recipients=recipients, service=f"bulk:{job.job_id}"
        )
        failure = next((outcome for outcome in outcomes if not outcome.success), None)
        if failure is None:
            row.status = "COMPLETED"
        elif failure.status.startswith("message is already in"):
            row.status, row.status_message = "SKIPPED", failure.status
        else:
            row.status, row.status_message, row.retry_count = "FAILED", failure.status, _RETRIES

    def _release(self, job: Job, row: Row, recipients: frozenset[str], at: float) -> None:
        ends = self.mailboxes.release(
            row.record, at, job.requested_by, recipients=recipients, service=f"bulk:{job.job_id}"
        )
        if ends[Delivery.DELIVERED]:
            row.status = "COMPLETED"
        elif ends[Delivery.UNDELIVERED]:
            row.status, row.status_message, row.retry_count = "FAILED", "mailbox is full", _RETRIES
        elif ends[Delivery.FAILED]:
            row.status, row.status_message, row.retry_count = "FAILED", "mail server did not answer", _RETRIES
        else:
            row.status, row.status_message = "SKIPPED", "message is not in quarantine"

    def _fail(self, job: Job, at: float) -> None:
        job.status, job.status_message, job.completed_at = "FAILED", "search backend did not answer", at
        for row in job.found:
            row.status, row.status_message = "FAILED", "job failed"

    # the calls

    def create(self, request: Request, _params: dict[str, str]) -> Reply:
        body = validate(request.json(), _CREATE)
        relaxed = self.world.profile.relaxed
        action, destination = body["action"], body.get("destination")
        if action == "MOVE" and destination is None:
            if not relaxed:
                raise ValidationError([("/destination", "destination: is required to move messages")])
            destination = "JunkEmail"
        params = body["search_params"]
        criteria = criteria_from_params(params, request.now, relaxed=relaxed)
        pinned = {
            **{name: value for name, value in params.items() if value is not None},
            "start": rfc3339(criteria.start),
            "end": rfc3339(criteria.end),
            "detections_only": criteria.detections_only,
            "submissions": criteria.submissions,
        }
        job = Job(
            job_id=self.world.new_id(),
            action=action,
            destination=destination if action == "MOVE" else None,
            search_params=pinned,
            criteria=criteria,
            comment=body.get("comment"),
            created_at=request.now,
            requested_by=request.requested_by,
        )
        self.jobs[job.job_id] = job
        return Reply(self._shown(job), status=201)

    def listing(self, request: Request, _params: dict[str, str]) -> Reply:
        action = choice_from_query(request.query, "action_type", BULK_ACTIONS)
        status = choice_from_query(request.query, "status", JOB_STATUSES)
        jobs = [job for job in self.jobs.values() if action in (None, job.action) and status in (None, job.status)]
        jobs.sort(key=lambda job: job.created_at, reverse=True)
        found, info = paged(jobs, request.query, before_filters=len(self.jobs))
        return Reply([self._shown(job) for job in found], info=self._cursor_info(info))

    def _cursor_info(self, info: dict[str, int]) -> dict[str, Any]:
        """These lists are asked for by page, but answer with the fields of a cursor."""
        shown: dict[str, Any] = {"count": info["count"], "per_page": info["per_page"], "next": None, "previous": None}
        return shown | {"page": 0, "total_count": 0} if self.world.profile.sends_retired_fields else shown

    def get(self, _request: Request, params: dict[str, str]) -> Reply:
        return Reply(self._shown(self._find(params)))

    def delete(self, _request: Request, params: dict[str, str]) -> Reply:
        job = self._find(params)
        if job.status not in FINISHED and not self.world.profile.relaxed:
            raise ApiError(400, 1400, f"A job that is {job.status} cannot be deleted; cancel it first.")
        self.jobs.pop(job.job_id, None)
        return Reply({"id": job.job_id})

    def cancel(self, request: Request, params: dict[str, str]) -> Reply:
        job = self._find(params)
        if job.status in FINISHED:
            if not self.world.profile.relaxed:
                raise ApiError(400, 1400, f"A job that is {job.status} cannot be cancelled.")
            return Reply(self._shown(job))
        job.found = job.rows
        for row in job.found:
            if row.status in ("PENDING", "PROCESSING"):
                row.status = "CANCELLED"
        job.status, job.completed_at = "CANCELLED", request.now
        job.status_message = "cancelled by request"
        return Reply(self._shown(job))

    def rows(self, request: Request, params: dict[str, str]) -> Reply:
        job = self._find(params)
        status = choice_from_query(request.query, "status", ROW_STATUSES)
        rows = [row for row in job.rows if status in (None, row.status)]
        found, info = paged(rows, request.query, before_filters=job.discovered)
        return Reply([self._row(job, row, request.now) for row in found], info=self._cursor_info(info))

    def _find(self, params: dict[str, str]) -> Job:
        job = self.jobs.get(params["job_id"])
        if job is None and self.world.profile.relaxed and params["job_id"] == FIXTURE_ID:
            return self._fixture()
        if job is None:
            raise not_found("Bulk job")
        return job

    def _fixture(self) -> Job:
        record = self.world.store.get(MESSAGE_ID)
        at = self.world.started_at
        job = Job(FIXTURE_ID, "MOVE", "JunkEmail", {}, Criteria(at, at), None, at, "", status="COMPLETED")
        if record is not None:
            row_id = str(uuid.UUID(int=1))
            job.found = [Row(row_id, record, record.client_recipients[0], at, "COMPLETED", processed_at=at)]
            job.discovered = 1
        return job

    # showing

    def _params(self, job: Job) -> dict[str, Any]:
        if job.action == "RELEASE":
            return {"type": "RELEASE"}
        return {"type": "MOVE", "destination": job.destination, "expected_disposition": None}

    def _shown(self, job: Job) -> dict[str, Any]:
        counts = dict.fromkeys(ROW_STATUSES, 0)
        for row in job.rows:
            counts[row.status] += 1
        return {
            "job_id": job.job_id,
            "action_type": job.action,
            "action_params": self._params(job),
            "search_params": job.search_params,
            "status": job.status,
            "status_message": job.status_message,
            "comment": job.comment,
            "created_at": rfc3339(job.created_at),
            "started_at": _time(job.started_at),
            "completed_at": _time(job.completed_at),
            "total_messages_discovered": len(job.rows),
            "messages_pending": counts["PENDING"] + counts["PROCESSING"],
            "messages_successful": counts["COMPLETED"],
            "messages_failed": counts["FAILED"],
            "messages_skipped": counts["SKIPPED"],
            "messages_cancelled": counts["CANCELLED"],
        }

    def _row(self, job: Job, row: Row, now: float) -> dict[str, Any]:
        return {
            "message_id": row.row_id,
            "email_message_id": row.record.message_id,
            "postfix_id": row.record.postfix_id,
            "alert_id": row.record.alert_id,
            "action_type": job.action,
            "action_params": self._params(job) | {"client_recipient": row.recipient},
            "status": row.status,
            "status_message": row.status_message,
            "retry_count": row.retry_count,
            "retry_after": None,
            "created_at": rfc3339(row.created_at),
            "processed_at": _time(row.processed_at),
            "message": self.messages.shown(row.record, now),
        }


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
