"""The way in: what the foot of a message shows of putting it right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import F
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Disposition, Message
from investigate.actions.feasibility import ActionOffer
from investigate.models import ActionKind, Fix, FixStepState


@dataclass(frozen=True)
class Entrance:
    """The button, or the fix that runs already or has done it; `why_not` where none of it is for this person."""

    url: str
    runs: bool = False
    done: Fix | None = None
    why_not: str = ""


def entrance(message: Message, member: Member, offers: Sequence[ActionOffer]) -> Entrance | None:
    """None for clean mail: nobody was wrong about it."""
    if message.final_disposition in (None, Disposition.NONE):
        return None
    fixes = Fix.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=message.id)
    newest = fixes.order_by(F("finished_at").desc(nulls_first=True)).first()
    if newest is not None and newest.finished_at is None:
        return Entrance(reverse("investigate:fix", args=[newest.pk]), runs=True)
    if newest is not None and not message.is_quarantined and _is_all_done(newest):
        return Entrance(reverse("investigate:fix", args=[newest.pk]), done=newest)
    steps = [
        offer
        for offer in offers
        if offer.kind == ActionKind.RELEASE or offer.expected_disposition == Disposition.NONE.value
    ]
    is_possible = any(offer.is_enabled for offer in steps) or member.may(Permission.POLICY_ACCEPT)
    return Entrance(
        reverse("investigate:put_right", args=[message.id]), why_not="" if is_possible else steps[-1].why_not
    )


def _is_all_done(fix: Fix) -> bool:
    """Whether no step is left to do; a message that is held back again needs another fix all the same."""
    ends = set(fix.steps.values_list("state", flat=True))
    return FixStepState.DONE in ends and ends <= {FixStepState.DONE, FixStepState.SKIPPED}
