"""The counts a job shows, kept on its row so that looking at a job costs one row however many messages it has."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping

from django.db.models import Count

from investigate.models import ActionItem, ActionState, BulkJob

OVERTAKEN = "overtaken"  # beside the states: skipped when their turn had come; each message says why
COPY_ENDS = {True: "done", False: "failed", None: "unknown"}


def tally(job_id: uuid.UUID, copies: Mapping[str, int] | None = None) -> BulkJob:
    """Count the messages anew and add what changed about copies; part of the transaction that changed them."""
    job = BulkJob.objects.select_for_update().get(pk=job_id)
    job.counts = messages_by_state(job)
    job.copies = {end: job.copies.get(end, 0) + (copies or {}).get(end, 0) for end in COPY_ENDS.values()}
    job.version += 1
    job.save(update_fields=["counts", "copies", "version"])
    return job


def messages_by_state(job: BulkJob) -> dict[str, int]:
    """Messages that cannot work are skipped while they are collected; those that were packed were decided on."""
    items = ActionItem.objects.filter(job=job)
    counts = {
        str(state): number for state, number in items.order_by().values_list("state").annotate(number=Count("pk"))
    }
    skipped = counts.pop(ActionState.SKIPPED, 0)
    overtaken = items.filter(state=ActionState.SKIPPED, action__isnull=False).count() if skipped else 0
    split = {str(ActionState.SKIPPED): skipped - overtaken, OVERTAKEN: overtaken}
    return counts | {name: number for name, number in split.items() if number}


def change(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """How many more copies (or fewer) have each end now."""
    return {end: after[end] - before[end] for end in {*before, *after}}
