"""The way in: what the foot of a message shows of putting it right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Disposition, Message
from investigate.actions.feasibility import ActionOffer
from investigate.models import ActionKind, Fix


@dataclass(frozen=True)
class Entrance:
    """The button, or the fix that runs already; `why_not` where neither is for this person."""

    url: str
    runs: bool = False
    why_not: str = ""


def entrance(message: Message, member: Member, offers: Sequence[ActionOffer]) -> Entrance | None:
    """None for clean mail: nobody was wrong about it."""
    if message.final_disposition in (None, Disposition.NONE):
        return None
    running = Fix.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=message.id, finished_at=None
    ).first()
    if running is not None:
        return Entrance(reverse("investigate:fix", args=[running.pk]), runs=True)
    steps = [
        offer
        for offer in offers
        if offer.kind == ActionKind.RELEASE or offer.expected_disposition == Disposition.NONE.value
    ]
    is_possible = any(offer.is_enabled for offer in steps) or member.may(Permission.POLICY_ACCEPT)
    return Entrance(
        reverse("investigate:put_right", args=[message.id]), why_not="" if is_possible else steps[-1].why_not
    )
