"""Requests for review, and the reports of the managed service."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from dashboard.emailsec import errors
from dashboard.emailsec.actions import ActionsGroup, short_disposition
from dashboard.emailsec.core import Endpoint
from dashboard.emailsec.decoding import read_list
from dashboard.emailsec.enums import CustomerStatus, Disposition, SortDirection, SubmissionOrder, SubmitterType
from dashboard.emailsec.groups import USUAL_BUDGET, time_left
from dashboard.emailsec.requests import MissedDetection, Reclassification
from dashboard.emailsec.times import wire_time
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Page, PhishGuardReport, Submission, SubmissionReceipt

LIST = Endpoint("GET", "/submissions", writes=False, feature="submissions", collection=True)
CREATE = Endpoint("POST", "/submissions", writes=True, feature="create_submissions", collection=True)
REPORTS = Endpoint("GET", "/phishguard/reports", writes=False, feature="phishguard_reports", collection=True)


class SubmissionsGroup(ActionsGroup):
    def submit(
        self,
        messages: Sequence[Reclassification] | Sequence[MissedDetection],
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> tuple[SubmissionReceipt, ...]:
        """Submit messages, all of one kind. Check each receipt's `accepted`: a mixed answer is normal.

        Raises NotOnThisServer where only the older `reclassify` exists.
        """
        kinds = {type(message) for message in messages}
        if len(kinds) != 1:
            raise ValueError("one call takes messages of one kind, and at least one")
        kind = "reclassification" if kinds == {Reclassification} else "missed_detection"
        for message in messages:
            short_disposition(message.expected_disposition)
        body = {"type": kind, "messages": [message.wire() for message in messages]}
        reply = self._api.send(CREATE, json=body, budget=budget, priority=priority)
        return self._api.result(reply, _receipts)

    def submit_or_reclassify(
        self,
        investigate_id: str,
        message: Reclassification | MissedDetection,
        *,
        eml: bytes | None = None,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> SubmissionReceipt:
        """Submit one message, by the older operation where the server has no other (which is then remembered).

        `eml` (or the message's own `eml_content`) goes along with the older operation.
        """
        started = time.monotonic()
        try:
            receipts = self.submit([message], budget=budget, priority=priority)  # type: ignore[arg-type]  # a list of one has one kind
        except errors.NotOnThisServer:
            pass
        else:
            if len(receipts) == 1:
                return receipts[0]
            raise errors.OutcomeUnknown("one message, but not one receipt", operation=CREATE.name)
        if eml is None and isinstance(message, MissedDetection):
            eml = message.eml_content
        self.reclassify(
            investigate_id,
            message.expected_disposition,
            eml=eml,
            escalated_submission_id=message.escalated_submission_id,
            budget=time_left(budget, started),
            priority=priority,
        )
        return SubmissionReceipt(accepted=True, via_reclassify=True)

    def submissions(
        self,
        *,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        type: SubmitterType | None = None,  # noqa: A002  the API's name
        status: CustomerStatus | None = None,
        submission_id: str | None = None,
        original_disposition: Disposition | None = None,
        requested_disposition: Disposition | None = None,
        outcome_disposition: Disposition | None = None,
        query: str | None = None,
        escalated_from_user: bool | None = None,
        order: SubmissionOrder | None = None,
        direction: SortDirection | None = None,
        page: int = 1,
        per_page: int = 100,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> Page[Submission]:
        """Submissions by team and users; `status` filters `customer_status`. Default window: the last 30 days."""
        params = [
            ("start", _time(start)),
            ("end", _time(end)),
            ("type", type),
            ("status", status),
            ("submission_id", submission_id),
            ("original_disposition", original_disposition),
            ("requested_disposition", requested_disposition),
            ("outcome_disposition", outcome_disposition),
            ("query", query),
            ("escalated_from_user", escalated_from_user),
            ("order", order),
            ("direction", direction),
        ]
        return self._page(
            LIST, Submission, params=params, page=page, per_page=per_page, budget=budget, priority=priority
        )

    def phishguard_reports(
        self,
        *,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        page: int = 1,
        per_page: int = 100,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> Page[PhishGuardReport]:
        """Reports of the managed service; an older server answers all of them at once, as one page."""
        params = [("start", _time(start)), ("end", _time(end))]
        return self._page(
            REPORTS, PhishGuardReport, params=params, page=page, per_page=per_page, budget=budget, priority=priority
        )


def _receipts(raw: Any) -> tuple[SubmissionReceipt, ...]:
    if not isinstance(raw, dict):
        raise msgspec.ValidationError("expected an object")
    return read_list(raw.get("results"), SubmissionReceipt)


def _time(moment: dt.datetime | None) -> str | None:
    return None if moment is None else wire_time(moment)
