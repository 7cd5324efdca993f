"""What the tests of jobs at Cloudflare share: a search to make one of, the form, and the passing of time."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from typing import Any

from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.emailsec import BulkSearch
from dashboard.emailsec.enums import BulkAction, MailboxDestination
from dashboard.emailsec.types import BulkJob
from dashboard.upstream.connection import get_client
from dashboard.upstream.models import Copy
from investigate.bulk.upstream import asking, sending
from investigate.models import UpstreamJob
from investigate.search.criteria import Criteria

NEW = reverse("investigate:new_upstream_job")
LIST = reverse("investigate:upstream_jobs")
SPAM = Criteria(disposition=("SPAM",), last="30d")


def address(criteria: Criteria = SPAM, **more: str) -> str:
    """The address of the new job's page, its range exact as the page itself makes it."""
    return f"{NEW}?{asking.pinned(criteria, timezone.now()).query(**more)}"


def form(what: str = "JunkEmail", *, key: str = "", reason: str = "ticket 4711") -> dict[str, str]:
    return {"what": what, "reason": reason, "operation_key": key or uuid.uuid4().hex}


def decided(client: Client, what: str = "JunkEmail", **more: Any) -> UpstreamJob:
    """A job of ours that waits for its undo window to end."""
    before = set(UpstreamJob.objects.values_list("pk", flat=True))
    answer = client.post(address(), form(what, **more))
    assert answer.status_code == 303, answer.content.decode()
    return UpstreamJob.objects.exclude(pk__in=before).get()


def passes(job: UpstreamJob, seconds: float) -> None:
    """Everything about the job happened `seconds` earlier."""
    for name in ("due_at", "claimed_at", "sent_at", "next_look_at"):
        rows = UpstreamJob.objects.filter(pk=job.pk, **{f"{name}__isnull": False})
        rows.update(**{name: F(name) - dt.timedelta(seconds=seconds)})
    job.refresh_from_db()


def worked(job: UpstreamJob, *, after: float = 60) -> UpstreamJob:
    """`after` seconds later a worker does what is due."""
    passes(job, after)
    sending.step(job.pk)
    job.refresh_from_db()
    return job


def made(client: Client, what: str = "JunkEmail") -> UpstreamJob:
    """A job of ours that Cloudflare has."""
    return worked(decided(client, what))


def elsewhere(comment: str = "quarterly clean-up", **search: Any) -> BulkJob:
    """A job somebody made in Cloudflare's dashboard."""
    now = timezone.now().replace(microsecond=0)
    wanted: dict[str, Any] = {"start": now - dt.timedelta(days=20), "end": now, "query": "invoice", **search}
    return get_client().create_bulk_job(
        action=BulkAction.MOVE,
        search=BulkSearch(**wanted),
        destination=MailboxDestination.JUNK_EMAIL,
        comment=comment,
    )


def turn_is_over() -> None:
    """More than five seconds pass for those who look; what was kept is as much older."""
    Copy.objects.update(fetched_at=F("fetched_at") - dt.timedelta(seconds=61))


def time_goes_on(simulator: Any, seconds: float) -> None:
    """Cloudflare works for so long."""
    ahead = simulator.clock() - time.time() + seconds
    simulator.clock = lambda: time.time() + ahead
    turn_is_over()


def calls(simulator: Any, operation: str) -> int:
    return sum(call.operation == operation for call in simulator.calls)


def page_of(job_id: object) -> str:
    return reverse("investigate:upstream_job", args=[str(job_id)])
