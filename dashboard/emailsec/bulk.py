"""Bulk jobs: actions the API runs by itself over everything a search finds."""

from __future__ import annotations

from typing import Any

from dashboard.emailsec.core import Endpoint
from dashboard.emailsec.decoding import read
from dashboard.emailsec.enums import BulkAction, BulkJobStatus, BulkMessageStatus, MailboxDestination
from dashboard.emailsec.groups import USUAL_BUDGET, Group
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import BulkJob, BulkMessage, Page

_FEATURE = "bulk_jobs"
LIST = Endpoint("GET", "/investigate/bulk", writes=False, feature=_FEATURE, collection=True)
CREATE = Endpoint("POST", "/investigate/bulk", writes=True, feature=_FEATURE, collection=True)
JOB = Endpoint("GET", "/investigate/bulk/{job_id}", writes=False, feature=_FEATURE)
CANCEL = Endpoint("POST", "/investigate/bulk/{job_id}/cancel", writes=True, feature=_FEATURE)
DELETE = Endpoint("DELETE", "/investigate/bulk/{job_id}", writes=True, feature=_FEATURE)
MESSAGES = Endpoint("GET", "/investigate/bulk/{job_id}/messages", writes=False, feature=_FEATURE)


class BulkGroup(Group):
    """All raise NotOnThisServer where the API has no bulk jobs."""

    def bulk_jobs(
        self,
        *,
        action: BulkAction | None = None,
        status: BulkJobStatus | None = None,
        page: int = 1,
        per_page: int = 100,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> Page[BulkJob]:
        params = [("action_type", action), ("status", status)]
        return self._page(LIST, BulkJob, params=params, page=page, per_page=per_page, budget=budget, priority=priority)

    def bulk_job(self, job_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ) -> BulkJob:
        reply = self._api.send(JOB, {"job_id": job_id}, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, BulkJob))

    def create_bulk_job(
        self,
        *,
        action: BulkAction,
        search: SearchQuery,
        destination: MailboxDestination | None = None,
        comment: str | None = None,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> BulkJob:
        """Start a job over all that `search` finds (a BulkSearch for more filters).

        `start` and `end` must be set: without them the API acts on whatever its sliding window holds. Put a key of
        your own into `comment`, so that a job whose answer was lost can be found again. MOVE needs a `destination`.
        """
        action = BulkAction(action)
        if not action.is_known:
            raise ValueError("not an action of bulk jobs")
        if (action == BulkAction.MOVE) != (destination is not None):
            raise ValueError("a move needs a destination, a release has none")
        if search.start is None or search.end is None:
            raise ValueError("a bulk job needs a fixed start and end")
        body: dict[str, Any] = {"action": str(action), "search_params": search.filters()}
        if destination is not None:
            body["destination"] = str(MailboxDestination(destination))
        if comment is not None:
            body["comment"] = comment
        reply = self._api.send(CREATE, json=body, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, BulkJob))

    def cancel_bulk_job(
        self, job_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.ACTION
    ) -> BulkJob:
        """Stop a job; what it has done stays done, and its record stays."""
        reply = self._api.send(CANCEL, {"job_id": job_id}, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, BulkJob))

    def delete_bulk_job(
        self, job_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.ACTION
    ) -> None:
        """Forget the record of a finished job; a running one is refused, so cancel it first."""
        reply = self._api.send(DELETE, {"job_id": job_id}, budget=budget, priority=priority)
        self._api.envelope(reply)

    def bulk_messages(
        self,
        job_id: str,
        *,
        status: BulkMessageStatus | None = None,
        page: int = 1,
        per_page: int = 1000,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> Page[BulkMessage]:
        """What became of each recipient's copy."""
        return self._page(
            MESSAGES,
            BulkMessage,
            {"job_id": job_id},
            params=[("status", status)],
            page=page,
            per_page=per_page,
            budget=budget,
            priority=priority,
        )
