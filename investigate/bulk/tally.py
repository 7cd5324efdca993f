"""The counts a job shows, kept on its row so that looking at a job costs one row however many messages it has."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping

from django.db.models import Count

from investigate.models import ActionItem, BulkJob

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
    counted = ActionItem.objects.filter(job=job).order_by().values_list("state").annotate(number=Count("pk"))
    return {str(state): number for state, number in counted}


def change(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """How many more copies (or fewer) have each end now."""
    return {end: after[end] - before[end] for end in {*before, *after}}
