"""What an error of the API means for collecting: wait and go on, or give up. What was found by then is stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from dashboard.emailsec import errors
from investigate.actions import words
from investigate.bulk.collecting import steps
from investigate.models import ActionItem, BulkJob

log = structlog.get_logger("mailwarden.jobs")

USUAL_WAIT = 15.0  # seconds, where the budget does not say how long
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 60.0
NO_BUDGET = "The call budget for work in the background is used up."
NO_ANSWER = "Cloudflare does not answer; it is asked again."
GAVE_UP = "Cloudflare has not answered for {minutes} minutes."
_FAILING = "failing_since"


def pause(
    job: BulkJob,
    error: errors.EmailSecurityError,
    *,
    progress: Mapping[str, Any],
    items: Sequence[ActionItem] = (),
    not_found: Sequence[Mapping[str, str]] = (),
) -> None:
    """Store how far this step came, and when the next try is due; the end of collecting where no try would help."""
    wait: float | None
    log.warning("collecting_paused", job=str(job.pk), reason=str(error))
    if isinstance(error, errors.RateLimited):
        progress = forget_failure(progress)  # the budget says nothing about whether the service answers
        wait, told = error.retry_after or USUAL_WAIT, NO_BUDGET
    elif isinstance(error, errors.Unavailable | errors.UnexpectedReply):
        now = timezone.now()
        since = dt.datetime.fromisoformat(progress.get(_FAILING) or now.isoformat())
        progress = {**progress, _FAILING: since.isoformat()}
        failing = (now - since).total_seconds()
        wait, told = max(SHORTEST_WAIT, min(LONGEST_WAIT, failing / 5), error.retry_after or 0.0), NO_ANSWER
        if failing >= settings.SEARCH_DEADLINE:
            wait, told = None, GAVE_UP.format(minutes=round(failing / 60))
    else:
        wait, told = None, words.refusal(error)
    steps.store(job, items=items, progress=progress, not_found=not_found, due_in=wait or 0.0, explanation=told)
    if wait is None:
        steps.failed(job, told)


def forget_failure(progress: Mapping[str, Any]) -> dict[str, Any]:
    """The progress after an answer came."""
    return {name: value for name, value in progress.items() if name != _FAILING}
