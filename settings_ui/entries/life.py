"""The life of an entry: whose it is, why, and until when. Kept here; Cloudflare knows none of it.

`note_…` are for who settles a change of an entry, inside the same transaction, so that the life of an entry never tells
another story than the change that made it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dashboard.access.decorators import OutsideScope
from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec.types import SettingsEntry
from settings_ui.entries import words
from settings_ui.entries.knowing import Known, who
from settings_ui.entries.rules import NEVER_ENDED, PATTERN_LIMIT, Conflict, NotPossible, end_of, why_not_until
from settings_ui.entries.transitions import TEXT_LIMIT
from settings_ui.models import Entry, EntryState, Line, Origin
from settings_ui.resources import BY_NAME, Resource

__all__ = ["Known", "Life", "LifeForm", "note_added", "note_changed", "note_gone", "note_removed", "set_life", "who"]

LONGEST_REASON, LONGEST_TICKET = 1000, 100
_OVERTAKEN = "Somebody changed this meanwhile. Look at what it says now, then decide again."
_NOBODY = ""
_CHUNK = 500  # ids in one question


@dataclass(frozen=True)
class Life:
    """What we keep about an entry. One that says nothing is no life, and needs no row."""

    owner_id: int | None = None
    ticket: str = ""
    reason: str = ""
    expires_at: dt.datetime | None = None

    def __bool__(self) -> bool:
        return self != Life()

    def kept(self) -> dict[str, Any]:
        """As a line of a change keeps it until the entry is made."""
        told = {
            "owner_id": self.owner_id,
            "ticket": self.ticket,
            "reason": self.reason,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
        }
        return told if self else {}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Life:
        ends = kept.get("expires_at")
        return cls(
            owner_id=kept.get("owner_id"),
            ticket=kept.get("ticket") or "",
            reason=kept.get("reason") or "",
            expires_at=parse_datetime(ends) if ends else None,
        )

    @classmethod
    def of_entry(cls, entry: Entry) -> Life:
        return cls(entry.owner_id, entry.ticket, entry.reason, entry.expires_at)


class LifeForm(forms.Form):
    """Owner, ticket, reason and end of an entry: a form of its own, or part of the form that makes the entry."""

    owner = forms.TypedChoiceField(label="Owner", required=False, coerce=int, empty_value=None)
    ticket = forms.CharField(label="Ticket", required=False, max_length=LONGEST_TICKET)
    reason = forms.CharField(
        label="Reason", required=False, max_length=LONGEST_REASON, widget=forms.Textarea(attrs={"rows": 2})
    )
    ends_on = forms.DateField(
        label="Ends on",
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Mailwarden removes it after this day and tells the owner before. Empty: it stays.",
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        resource: Resource,
        life: Life | None = None,
        origin: str = Origin.NOTED,
        auto_id: str = "id_%s",
    ) -> None:
        life = life or Life()
        # A last day is a day of UTC, here and wherever it is shown.
        ends_on = life.expires_at.astimezone(dt.UTC).date() if life.expires_at else None
        initial = {"owner": life.owner_id, "ticket": life.ticket, "reason": life.reason, "ends_on": ends_on}
        super().__init__(data, initial=initial, auto_id=auto_id)
        self.resource, self.origin = resource, origin
        people = Member.objects.filter(is_active=True).order_by("first_name", "username")
        owners = cast("forms.TypedChoiceField", self.fields["owner"])
        owners.choices = [(_NOBODY, "nobody"), *((one.pk, one.display_name) for one in people)]
        self.fields["ends_on"].widget.attrs["min"] = f"{timezone.now():%Y-%m-%d}"
        if resource.name in NEVER_ENDED:
            del self.fields["ends_on"]

    def clean_ends_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["ends_on"]
        if day is not None and day.year > 9998:
            raise forms.ValidationError("Choose an earlier day.")
        if told := why_not_until(self.resource, self.origin, end_of(day) if day else None):
            raise forms.ValidationError(told)
        return day

    def life(self) -> Life:
        """What was chosen; of a valid form."""
        given = self.cleaned_data
        day = given.get("ends_on")
        return Life(given["owner"], given["ticket"].strip(), given["reason"].strip(), end_of(day) if day else None)


def of_upstream(resource_name: str, upstream_id: str) -> QuerySet[Entry]:
    """The row we keep about an entry of the configured account, whatever became of it."""
    return Entry.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource_name, upstream_id=upstream_id
    )


def set_life(
    *,
    actor: Member,
    resource: Resource,
    entry: SettingsEntry,
    life: Life,
    request: HttpRequest | None,
    opened: str | None = None,
) -> Entry:
    """Say whose an entry is, why it is there and until when; nothing is sent.

    `opened`: what `version` said when the form was opened; None: it does not matter. Raises PermissionDenied,
    NotPossible, Conflict and AuditNotWritten.
    """
    if not actor.may(resource.write):
        raise PermissionDenied(resource.write.value)
    if not actor.scope.is_whole:
        raise OutsideScope(str(actor.scope))
    stands = of_upstream(resource.name, entry.id).select_related("owner").first()
    if told := why_not_until(resource, stands.origin if stands else Origin.NOTED, life.expires_at):
        raise NotPossible(told)
    if stands is not None and stands.state == EntryState.REMOVING:
        raise Conflict("It is being removed now: its end is over.", stands)
    if opened is not None and opened != version(stands):
        raise Conflict(_OVERTAKEN, stands)
    owner = _member(life.owner_id)
    with transaction.atomic():
        kept = _keep(
            resource, entry.id, entry.values(), life, owner, stands=stands, origin=Origin.NOTED, is_strict=True
        )
        record(
            actor=actor,
            action="policy:note",
            targets=[kept.pattern],
            reason=life.reason,
            detail={
                "entry": kept.pk,
                "resource": resource.name,
                "upstream_id": entry.id,
                "owner": kept.owner_name,
                "ticket": life.ticket,
                "ends": life.expires_at.isoformat() if life.expires_at else None,
                "before": Life.of_entry(stands).kept() if stands else None,
            },
            request=request,
        )
    return kept


def version(entry: Entry | None) -> str:
    """Names what a form was opened with: another version says that somebody else changed it meanwhile."""
    return f"{entry.state}-{entry.attempt}" if entry else "none"


def note_added(line: Line, entry: SettingsEntry) -> None:
    """An entry was made; its life begins as whoever made it said."""
    life = Life.of(line.life)
    if life:
        resource = BY_NAME[line.change.resource]
        stands = of_upstream(resource.name, entry.id).first()
        _keep(resource, entry.id, entry.values(), life, _member(life.owner_id), stands=stands, origin=Origin.CHANGE)


def note_changed(line: Line) -> None:
    """An entry was changed. Its life goes on, with what the form said about it, where it said anything."""
    resource = BY_NAME[line.change.resource]
    stands = of_upstream(resource.name, line.upstream_id).first()
    now = {**(line.before or {}), **line.values}
    if line.life:
        life = Life.of(line.life)
        _keep(resource, line.upstream_id, now, life, _member(life.owner_id), stands=stands, origin=Origin.NOTED)
    elif stands is not None:
        label = storable_text(resource.label(now), limit=PATTERN_LIMIT)
        of_upstream(resource.name, line.upstream_id).update(values=now, pattern=label)


def note_removed(line: Line) -> None:
    """An entry was removed by a change."""
    ours = of_upstream(line.change.resource, line.upstream_id)
    _end(ours.filter(state__in=(EntryState.ACTIVE, EntryState.REMOVING)), f"Removed by {line.change.actor_name}.")


def note_gone(resource_name: str, upstream_ids: Collection[str]) -> None:
    """Entries were found to be gone that nobody here removed. What is being removed by us settles itself.

    The audit rows come last: their lock is every change's last one. The entries are taken in the order of their keys.
    """
    entries = Entry.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource_name, state=EntryState.ACTIVE
    ).defer("values")
    ids = list(upstream_ids)
    found = [
        entry
        for start in range(0, len(ids), _CHUNK)
        for entry in entries.filter(upstream_id__in=ids[start : start + _CHUNK])
    ]
    ended = [
        entry
        for entry in sorted(found, key=lambda entry: entry.pk)
        if _end(Entry.objects.filter(pk=entry.pk, state=EntryState.ACTIVE), words.GONE_ALREADY)
    ]
    for entry in ended:
        record(
            actor=None,
            action="policy:end",
            targets=[entry.pattern],
            refers_to=entry.audit_sequence,
            detail={"entry": entry.pk, "resource": resource_name, "explanation": words.GONE_ALREADY},
        )


def _end(entries: QuerySet[Entry], explanation: str) -> int:
    told = storable_text(explanation, limit=TEXT_LIMIT)
    return entries.update(state=EntryState.REMOVED, due_at=None, changed_at=Now(), explanation=told)


def _member(owner_id: int | None) -> Member | None:
    return Member.objects.filter(pk=owner_id).first() if owner_id else None


def _keep(
    resource: Resource,
    upstream_id: str,
    values: Mapping[str, Any],
    life: Life,
    owner: Member | None,
    *,
    stands: Entry | None,
    origin: Origin,
    is_strict: bool = False,
) -> Entry:
    """Write it down, without an end where the list knows none. `is_strict`: only where nobody wrote anything since
    `stands` was read; else Conflict.
    """
    expires_at = life.expires_at if resource.name not in NEVER_ENDED else None
    told = {
        "pattern": storable_text(resource.label(values), limit=PATTERN_LIMIT),
        "values": dict(values),
        "owner": owner,
        "owner_name": storable_text(owner.display_name, limit=300) if owner else "",
        "ticket": storable_text(life.ticket, limit=LONGEST_TICKET),
        "reason": storable_text(life.reason, limit=LONGEST_REASON),
        "expires_at": expires_at,
        "state": EntryState.ACTIVE,
        "changed_at": Now(),
        "due_at": None,
        "explanation": "",
    }
    if stands is None:
        key = uuid.uuid4()
        try:
            with transaction.atomic():
                return Entry.objects.create(
                    id=key,
                    account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                    resource=resource.name,
                    upstream_id=upstream_id,
                    operation_key=f"life-{key.hex}",
                    origin=origin,
                    created_at=Now(),
                    **told,
                )
        except IntegrityError:  # somebody else was faster: what they said is there to be read now
            stands = of_upstream(resource.name, upstream_id).get()
            if is_strict:
                raise Conflict(_OVERTAKEN, stands) from None
    if (stands.owner_id, stands.expires_at) != (life.owner_id, expires_at):
        told["announced_at"] = None  # another end or another owner is announced again
    if stands.state == EntryState.REMOVED:
        told["origin"] = origin
    rows = Entry.objects.filter(pk=stands.pk)
    if is_strict:
        rows = rows.filter(state=stands.state, attempt=stands.attempt)
    if not rows.update(attempt=F("attempt") + 1, **told):
        raise Conflict(_OVERTAKEN, stands)
    return Entry.objects.get(pk=stands.pk)
