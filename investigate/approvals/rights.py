"""Who may do what takes two, by the rights in the database now: the one who asked together with the one who approved.

Asked when somebody approves, and again by the worker before each call.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.persons import is_same_person
from dashboard.access.roles import Permission
from dashboard.installation.values import setting
from investigate.actions.words import lacks
from investigate.approvals.fingerprints import About, fingerprint_of
from investigate.approvals.needs import SPECIAL, right_to_ask, takes_two
from investigate.models import Action, Approval, ApprovalState, BulkJob, UpstreamJob

OWN = "You asked for this yourself: somebody else has to decide it."
_LOST = "{who} no longer has the right to do this."
_LAPSED = "{who} approved this more than {hours} hours ago, which counts no longer."
_OTHER = "It is not what {who} approved."
_NOBODY = "This takes a second person, and nobody has approved it."


def approval_of(about: About) -> Approval | None:
    """The request about this, as it is now; a chunk has that of its job."""
    requests = Approval.objects.select_related("decided_by", "requested_by")
    match about:
        case Action() if about.job_id is not None:
            return requests.filter(job=about.job_id).first()
        case Action():
            return requests.filter(action=about.pk).first()
        case BulkJob():
            return requests.filter(job=about.pk).first()
        case UpstreamJob():
            return requests.filter(upstream_job=about.pk).first()


def approved_rights(about: About) -> tuple[str, ...]:
    """The special rights that a second person has lent to this, if one has."""
    approval = approval_of(about)
    return tuple(approval.permissions) if approval is not None and approval.state == ApprovalState.APPROVED else ()


def why_not_sent(about: About, needed: Iterable[Permission], *, alone: Iterable[Permission] = ()) -> str:
    """Why this may not go out now, as a sentence, or ""; `needed`: the rights of who does it all alone.

    What takes two goes out because somebody who holds the special right, now, has approved it; who asked needs to hold
    no more, now, than the right to ask. `alone`: rights of who asked that nobody lends.
    """
    needed = set(needed)
    approval = approval_of(about)
    approved = approval.permissions if approval is not None and approval.state == ApprovalState.APPROVED else []
    actor = Member.objects.filter(pk=about.actor_id).first() if about.actor_id else None
    asked = {*alone, *(right_to_ask(permission, approved) for permission in needed)}
    if actor is None or not all(map(actor.may, asked)):
        return _LOST.format(who=about.actor_name)
    if any(takes_two(permission) and permission not in approved for permission in needed):
        return _NOBODY
    if approval is None:
        return ""
    if approval.state != ApprovalState.APPROVED:
        return _NOBODY
    if not isinstance(about, BulkJob) and fingerprint_of(about) != approval.fingerprint:
        return _OTHER.format(who=approval.decided_by_name)
    return why_lapsed(approval) or why_not_approved(approval, actor)


def why_lapsed(approval: Approval | None) -> str:
    """Why an approval that was given counts no longer, or "": it has an end, as the request had."""
    if approval is None or approval.decided_at is None:
        return ""
    if timezone.now() - approval.decided_at <= dt.timedelta(hours=setting("APPROVAL_HOURS")):
        return ""
    return _LAPSED.format(who=approval.decided_by_name, hours=setting("APPROVAL_HOURS"))


def why_another(job: BulkJob, approval: Approval | None) -> str:
    """Why a job is not what was approved, or "". Reads all its messages: asked when it starts, and when it goes on."""
    if approval is None or fingerprint_of(job, asked_by=approval.requested_by_id) == approval.fingerprint:
        return ""
    return _OTHER.format(who=approval.decided_by_name)


def why_not_approved(approval: Approval, actor: Member) -> str:
    """Why an approval that was given does not count (any more) for what is done in the name of `actor`, or ""."""
    second = approval.decided_by
    if second is None or _missing(second, approval) or not second.scope.covers_domains(approval.domains):
        return f"{approval.decided_by_name} approved this and no longer has the right to."
    if is_same_person(second, actor) or is_requester(second, approval):
        return f"{approval.decided_by_name} approved this, and it is theirs now: it takes two people."
    return ""


def why_not_decide(member: Member, approval: Approval, about: About) -> str:
    """Why this member is not the second person for a request, or ""."""
    owner = Member.objects.filter(pk=about.actor_id).first() if about.actor_id else None
    if is_requester(member, approval):
        return OWN
    if owner is not None and is_same_person(member, owner):
        return "This is yours now: somebody else has to decide it."
    missing = _missing(member, approval)
    if missing:
        return lacks(missing[0])
    if not member.scope.covers_domains(approval.domains):
        return "Copies also go to domains outside yours: a colleague without that limit must decide."
    return ""


def is_requester(member: Member, approval: Approval) -> bool:
    return approval.requested_by is not None and is_same_person(member, approval.requested_by)


def special(permissions: Iterable[str]) -> list[Permission]:
    return [permission for permission in SPECIAL if permission.value in set(permissions)]


def _missing(member: Member, approval: Approval) -> list[Permission]:
    wanted = [Permission.APPROVAL_DECIDE, *special(approval.permissions)]
    return [permission for permission in wanted if not member.may(permission)]
