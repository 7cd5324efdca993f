"""Jobs as rows, in any state: what pages show of them does not depend on how they came there."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from dashboard.access.models import Member
from investigate.bulk.tally import messages_by_state
from investigate.models import Action, ActionItem, ActionState, BulkJob, Receipt


def job_of(actor: Member, state: str, **values: Any) -> BulkJob:
    """A decided move to Junk of this member's."""
    now = timezone.now()
    is_over = state in ("done", "cancelled", "failed")
    return BulkJob.objects.create(
        **{
            "account_id": settings.CLOUDFLARE_ACCOUNT_ID,
            "operation_key": uuid.uuid4().hex,
            "fingerprint": "f",
            "actor": actor,
            "actor_name": actor.display_name,
            "kind": "move",
            "destination": "JunkEmail",
            "reason": "ticket 4711",
            "source": "search",
            "query": "q=invoice&start=2026-11-20T00:00:00Z&end=2026-11-21T00:00:00Z",
            "state": state,
            "created_at": now - dt.timedelta(minutes=10),
            "decided_at": now - dt.timedelta(minutes=9),
            "started_at": now - dt.timedelta(minutes=8),
            "due_at": now if state == "running" else None,
            "finished_at": now - dt.timedelta(minutes=1) if is_over else None,
            **values,
        }
    )


def chunk_of(job: BulkJob, number: int, state: str, **values: Any) -> Action:
    sent = timezone.now() - dt.timedelta(minutes=5) + dt.timedelta(seconds=10 * number)
    return Action.objects.create(
        **{
            "operation_key": uuid.uuid4().hex,
            "job": job,
            "number": number,
            "fingerprint": "f",
            "actor": job.actor,
            "actor_name": job.actor_name,
            "kind": job.kind,
            "destination": job.destination,
            "reason": job.reason,
            "state": state,
            "created_at": sent,
            "due_at": sent,
            "sent_at": sent,
            "attempt": 1,
            "finished_at": sent + dt.timedelta(seconds=4) if state in ("done", "partly_done", "failed") else None,
            **values,
        }
    )


def item_of(job: BulkJob, name: str, state: str, *, chunk: Action | None = None, **values: Any) -> ActionItem:
    """One message of the job; `copies` are (recipient, is_done, status) of its receipts."""
    copies = values.pop("copies", ())
    item = ActionItem.objects.create(
        **{
            "job": job,
            "action": chunk,
            "state": state,
            "investigate_id": name,
            "message_id": f"<{name}@pay-pal.example>",
            "subject": f"Invoice {name}",
            "recipients": ["j.doe@corp.example"],
            "facts": {"from": "billing@pay-pal.example"},
            **values,
        }
    )
    for recipient, is_done, status in copies:
        Receipt.objects.create(item=item, recipient=recipient, is_done=is_done, status=status)
    return item


def counted(job: BulkJob) -> BulkJob:
    """The job with its counts as its messages are now."""
    BulkJob.objects.filter(pk=job.pk).update(counts=messages_by_state(job), version=F("version") + 1)
    job.refresh_from_db()
    return job


def many(job: BulkJob, number: int, state: str = ActionState.QUEUED, **values: Any) -> None:
    ActionItem.objects.bulk_create(
        ActionItem(
            **{
                "job": job,
                "investigate_id": f"{state}-{index:05}",
                "message_id": f"<{index}@pay-pal.example>",
                "subject": f"Invoice {index}",
                "recipients": [f"u{index}@corp.example"],
                "state": state,
                **values,
            }
        )
        for index in range(number)
    )
