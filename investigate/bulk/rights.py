"""What a job needs of people, who may control it, and when it takes a second person."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.installation.values import setting
from investigate.actions import transitions
from investigate.actions.decision import least_permission_for, permission_for
from investigate.actions.within import is_within
from investigate.actions.words import counted
from investigate.approvals.needs import Needed, needed_for, right_to_ask
from investigate.approvals.rights import approved_rights, why_not_sent
from investigate.models import ActionItem, ActionKind, ActionState, BulkJob, JobState

_LEFT = (ActionState.QUEUED, ActionState.WAITING, ActionState.SENDING)


def may_control(actor: Member, job: BulkJob) -> bool:
    """Whether this member may stop, pause or mend the job, and each chunk of it."""
    if not is_within(job.scope, actor.scope):
        return False
    return actor.may(Permission.JOB_RUN) and (job.actor_id == actor.pk or actor.may(Permission.JOB_RUN_LARGE))


def check_control(actor: Member, job: BulkJob) -> None:
    if not may_control(actor, job):
        raise PermissionDenied(f"This is {job.actor_name}'s job.")


def may_take_over(actor: Member, job: BulkJob) -> bool:
    """Whether this member may decide a rehearsal in the place of its owner, who may not."""
    if job.state != JobState.REHEARSAL or job.actor_id == actor.pk or not actor.may(Permission.JOB_RUN_LARGE):
        return False
    if not is_within(job.scope, actor.scope):
        return False
    return not missing_rights(actor, job, left_of(job)) and not owner_may(job, left_of(job))


def needs_second(job: BulkJob) -> Needed | None:
    """Why a rehearsed job takes a second person, or None."""
    queued = job.items.filter(state=ActionState.QUEUED)
    return needed_for(needed_rights(job, queued), size=counted(queued.count(), "message"))


def why_not_carried_on(job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> str:
    """Why nothing more of the job may be sent, by the rights in the database now of its owner, and of who approved it;
    or "".
    """
    return why_not_sent(job, needed_rights(job, messages))


def owner_may(job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> bool:
    """Whether who the job belongs to may do their part of it now, by the rights in the database now."""
    actor = Member.objects.filter(pk=job.actor_id).first() if job.actor_id else None
    return actor is not None and not missing_rights(actor, job, messages)


def missing_rights(actor: Member, job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> list[Permission]:
    """The rights the job needs of its owner, and these messages of it, as far as this member does not have them.

    What takes a second person, or was approved by one, needs no more than the right to ask for it.
    """
    lent = approved_rights(job)
    needed = {right_to_ask(permission, lent) for permission in needed_rights(job, messages)}
    return sorted(permission for permission in needed if not actor.may(permission))


def check_rights(actor: Member, job: BulkJob, messages: QuerySet[ActionItem]) -> None:
    missing = missing_rights(actor, job, messages)
    if missing:
        raise PermissionDenied(missing[0].value)


def needed_rights(job: BulkJob, messages: QuerySet[ActionItem] | None = None) -> set[Permission]:
    """The rights of somebody who does it all alone.

    Before each chunk only those of the job are asked for: who reads all messages that are left each time reads the
    whole job again and again. What a chunk holds is looked at when it is sent.
    """
    needed = {Permission.JOB_RUN, least_permission_for(job.kind, destination=job.destination)}
    if messages is not None and job.kind == ActionKind.RELEASE:
        dispositions = messages.order_by().values_list("disposition", flat=True).distinct()
        needed |= {permission_for(job.kind, disposition=value) for value in dispositions}
    taken_on = job.items.filter(state__in=[*_LEFT, *transitions.FINAL, ActionState.UNKNOWN]).order_by()
    large = setting("LARGE_JOB")
    if taken_on[: large + 1].count() > large:  # asked for each chunk: it counts no further
        needed.add(Permission.JOB_RUN_LARGE)
    return needed


def left_of(job: BulkJob) -> QuerySet[ActionItem]:
    """Messages that are still to be sent, or are being sent."""
    return job.items.filter(state__in=_LEFT)
