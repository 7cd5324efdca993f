"""What a request is about, in one line: the same content has the same fingerprint, and anything else another one."""

from __future__ import annotations

import hashlib
import json

from django.db.models import Q, QuerySet

from investigate.models import Action, ActionItem, ActionState, BulkJob, UpstreamJob

About = Action | BulkJob | UpstreamJob
NEVER_ITS = Q(state=ActionState.SKIPPED, action=None)  # left out while it was collected, so not among what was asked


def fingerprint_of(about: About, *, asked_by: int | None = None) -> str:
    """Of the row as it is in the database now: who asks, what is to be done, with exactly which messages and why.

    A job has the same one while it is carried out. `asked_by`: who asked, where somebody else may have taken it over.
    """
    common = [
        type(about).__name__,
        str(about.pk),
        asked_by or about.actor_id,
        about.kind,
        about.destination,
        about.reason,
    ]
    content: list[object]
    match about:
        case Action():
            content = [about.expected_disposition, *_messages(about.items.all())]
        case BulkJob():
            content = [about.expected_disposition, *_messages(about.items.exclude(NEVER_ITS))]
        case UpstreamJob():
            content = [about.account_id, about.request, about.counted]
    whole = json.dumps([common, content], sort_keys=True, default=list)
    return hashlib.sha256(whole.encode()).hexdigest()


def _messages(items: QuerySet[ActionItem]) -> list[object]:
    """Their number and the SHA-256 over each one's id, verdict and recipients, in the order of their ids."""
    rows = items.order_by("investigate_id").values_list("investigate_id", "disposition", "recipients")
    digest, number = hashlib.sha256(), 0
    for row in rows.iterator(chunk_size=5000):
        digest.update(json.dumps(row).encode() + b"\n")
        number += 1
    return [number, digest.hexdigest()]
