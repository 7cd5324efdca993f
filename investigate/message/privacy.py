"""Privacy mode: what a sender wrote stays covered until the member says why they have to read it.

A reason uncovers one message for one member, for an hour, and stands in the audit trail before the first word is shown.
"""

from __future__ import annotations

import datetime as dt

from django import forms
from django.db import models, transaction
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec.types import Message
from dashboard.installation.values import setting
from investigate.actions.decision import SHORTEST_REASON
from investigate.models import BodyGrant

GRANT_LIFE = dt.timedelta(minutes=60)


class Occasion(models.TextChoices):
    """Why somebody has to read what a sender wrote."""

    REPORTED = "reported", "Reported by a user"
    JUDGED = "judged", "Detection to be judged"
    INCIDENT = "incident", "Incident with ticket"
    OTHER = "other", "Another reason"


class UncoverForm(forms.Form):
    """The reason, out of a few or in words; kept with the audit event."""

    occasion = forms.ChoiceField(
        label="Why do you have to read it?",
        choices=Occasion.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose why you have to read this message."},
    )
    words = forms.CharField(
        label="Ticket, or the reason in words",
        required=False,
        max_length=400,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, str]:
        values: dict[str, str] = super().clean() or {}
        words = values.get("words", "").strip()
        match values.get("occasion"):
            case Occasion.INCIDENT if not words:
                self.add_error("words", "Write the ticket's number.")
            case Occasion.OTHER if len(words) < SHORTEST_REASON:
                self.add_error("words", "Say in a few words why you have to read this message.")
        return values

    @property
    def reason(self) -> str:
        """One sentence for the trail."""
        occasion, words = self.cleaned_data["occasion"], self.cleaned_data["words"].strip()
        label = Occasion(occasion).label
        match occasion:
            case Occasion.OTHER:
                return words
            case Occasion.INCIDENT:
                return f"{label} {words}"
        return f"{label}: {words}" if words else label


def is_covered(member: Member, investigate_id: str) -> bool:
    """Whether this member has to give a reason before they see what the sender of this message wrote."""
    if not setting("PRIVACY"):
        return False
    grants = BodyGrant.objects.filter(member=member, investigate_id=investigate_id, expires_at__gt=timezone.now())
    return not grants.exists()


def uncover(*, actor: Member, message: Message, reason: str, request: HttpRequest | None) -> BodyGrant:
    """Let one member read one message for an hour. Written down first: what cannot be recorded stays covered."""
    return uncover_named(actor=actor, name=message.id, reason=reason, request=request)


def uncover_named(*, actor: Member, name: str, reason: str, request: HttpRequest | None) -> BodyGrant:
    """The same for whatever `is_covered` knows by this name: a message, or a report about one."""
    now = timezone.now()
    reason = storable_text(reason, limit=500)
    with transaction.atomic():
        BodyGrant.objects.filter(expires_at__lt=now).delete()  # the trail remembers them
        record(
            actor=actor,
            action="message:uncover",
            targets=[name],
            reason=reason,
            detail={"minutes": int(GRANT_LIFE.total_seconds() // 60)},
            request=request,
        )
        grant, _ = BodyGrant.objects.update_or_create(
            member=actor,
            investigate_id=name,
            defaults={"reason": reason, "granted_at": now, "expires_at": now + GRANT_LIFE},
        )
    return grant
