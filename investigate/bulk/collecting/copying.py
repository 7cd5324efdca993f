"""The messages of an earlier job, as they were known then and with what that job did to them. Costs no call."""

from __future__ import annotations

import uuid

from dashboard.access.scope import Scope
from dashboard.installation.values import setting
from investigate.actions.within import is_within
from investigate.bulk import facts
from investigate.bulk.collecting import steps
from investigate.models import ActionItem, ActionState, BulkJob

AT_ONCE = 1000
NO_SUCH_JOB = "The earlier job is not kept any more."


def copy_step(job: BulkJob) -> None:
    """Take over the next thousand messages."""
    assert job.actor is not None  # noqa: S101  collecting has looked
    earlier = _earlier(job)
    if earlier is None:
        steps.failed(job, NO_SUCH_JOB)
        return
    left = setting("BULK_LIMIT") - sum(job.counts.values())
    wanted = ActionItem.objects.filter(job=earlier, pk__gt=job.progress.get("after", 0)).order_by("pk")
    if states := _states(job):
        wanted = wanted.filter(state__in=states)
    keys = list(wanted.values_list("pk", flat=True)[: min(AT_ONCE, left)])  # of the index alone, the rows by them
    found = list(ActionItem.objects.filter(pk__in=keys).defer("attachment").order_by("pk"))
    if not found:
        steps.collected(job)
        return
    for item in found:
        item.facts = facts.facts_after(item, earlier)
    items = facts.items_of(job, map(facts.message_of, found), job.actor)
    steps.store(job, items=items, progress={"after": found[-1].pk})


def _earlier(job: BulkJob) -> BulkJob | None:
    try:
        pk = uuid.UUID(dict(job.input.terms).get("job", ""))
    except ValueError:
        return None
    earlier = BulkJob.objects.filter(pk=pk, account_id=job.account_id).first()
    return earlier if earlier is not None and is_within(earlier.scope, Scope(frozenset(job.scope))) else None


def _states(job: BulkJob) -> list[str]:
    """The states asked for; none where all are. What was refused in part was refused."""
    named = dict(job.input.terms).get("states", "").split(",")
    if ActionState.FAILED in named:
        named.append(ActionState.PARTLY_DONE)
    return [state for state in named if state in ActionState.values]
