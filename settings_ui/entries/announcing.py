"""An end is announced before it comes: on the screens to everybody, and once by mail to the owner."""

from __future__ import annotations

import datetime as dt
import smtplib
import socket
import uuid
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.recorder import record
from dashboard.installation.values import setting
from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring
from settings_ui.entries import transitions, words
from settings_ui.models import Entry, EntryState
from settings_ui.resources import BY_NAME, Resource
from settings_ui.resources.description import shortened

log = structlog.get_logger("mailwarden.entries")

TASK = "settings_ui.tasks.announce_end"
MOST_AT_ONCE = 200
_LATER = 900.0  # seconds until a mail that the server provably did not take is tried again
# The server was not reached, or said no before it took anything; of every other failure nobody knows.
_NOT_SENT = (ConnectionRefusedError, socket.gaierror, smtplib.SMTPConnectError)
_REFUSED = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)


@dataclass(frozen=True)
class Ending:
    """One entry whose end is near, or was not carried out."""

    entry: Entry
    resource: Resource
    label: str
    told: str  # "ends in 3 days", "is being removed", or why it was not removed
    owner: str  # "" where nobody looks after it
    is_held_back: bool

    @property
    def url(self) -> str:
        return reverse("settings:entry", args=[self.resource.slug, self.entry.upstream_id])


def ending_soon(member: Member | None = None) -> list[Ending]:
    """What ends within MAILWARDEN_END_NOTICE_DAYS, is being removed, or was held back; with a member only their own."""
    soon = timezone.now() + _notice()
    found = (
        transitions.of_account()
        .filter(
            Q(state=EntryState.ACTIVE, expires_at__lte=soon)
            | Q(state=EntryState.REMOVING)
            | Q(state=EntryState.ACTIVE, expires_at=None) & ~Q(explanation="")
        )
        .select_related("owner")
        .defer("values")
        .order_by(F("expires_at").asc(nulls_first=True), "pattern")
    )
    if member is not None:
        found = found.filter(owner=member)
    return [_ending(entry) for entry in found if entry.resource in BY_NAME]


def ring_for_announcements() -> None:
    """Ring for each owner who is to be told. Harmless when repeated."""
    if not settings.SENDS_MAIL:
        return
    for entry in _to_announce()[:MOST_AT_ONCE]:
        if _is_time(entry) and not ring(TASK, str(entry.pk)):
            return  # the broker is away; the next sweep is not far


def announce(entry_id: uuid.UUID | str) -> None:
    """Mail the owner of an entry that it ends soon, or that its end was not carried out; once."""
    entry = _to_announce().filter(pk=entry_id).first() if settings.SENDS_MAIL else None
    if entry is None or not _is_time(entry) or not _claim(entry):
        return
    owner = entry.owner
    phase, error = "done", ""
    try:
        send_mail(_subject(entry), _text(entry), None, [owner.email if owner else ""])
    except (OSError, ValueError) as problem:  # also what SMTP answers; its text may quote the address
        phase, error = _phase_of(problem), type(problem).__name__
        log.warning("end_not_announced", entry=str(entry.pk), cause=error)
        if phase == "failed":
            _try_later(entry)
    record(
        actor=None,
        action="policy:announce",
        phase=phase,
        targets=[entry.pattern],
        detail=_detail(entry) | ({"error": error} if error else {}),
    )


def _to_announce() -> QuerySet[Entry]:
    """Entries whose owner is in the team, has an address and was not told."""
    return (
        transitions.of_account()
        .filter(
            Q(due_at=None) | Q(due_at__lte=Now()),
            Q(expires_at__gt=Now(), expires_at__lte=seconds_from_now(_notice().total_seconds()))
            | Q(expires_at=None) & ~Q(explanation=""),
            state=EntryState.ACTIVE,
            announced_at=None,
            owner__is_active=True,
        )
        .exclude(owner__email="")
        .select_related("owner")
        .order_by("expires_at")
    )


def _is_time(entry: Entry) -> bool:
    """Whether the notice is due: one that stands for two days in all is announced on the second."""
    if entry.expires_at is None:
        return True
    whole = entry.expires_at - entry.changed_at  # when its end was set
    return entry.expires_at - timezone.now() <= min(_notice(), whole / 2)


def _claim(entry: Entry) -> bool:
    """Told from now on: of two workers one sends it, and one that dies has sent it at most once."""
    with transaction.atomic():
        taken = Entry.objects.filter(pk=entry.pk, state=EntryState.ACTIVE, announced_at=None).update(
            announced_at=Now(), due_at=None
        )
        if taken:
            record(
                actor=None,
                action="policy:announce",
                phase="attempt",
                targets=[entry.pattern],
                detail=_detail(entry),
            )
    return bool(taken)


def _try_later(entry: Entry) -> None:
    Entry.objects.filter(pk=entry.pk, state=EntryState.ACTIVE).update(
        announced_at=None, due_at=seconds_from_now(_LATER)
    )


def _phase_of(problem: Exception) -> str:
    if isinstance(problem, _NOT_SENT):
        return "failed"
    return "refused" if isinstance(problem, (*_REFUSED, ValueError)) else "unknown"


def _detail(entry: Entry) -> dict[str, object]:
    ends = entry.expires_at.isoformat() if entry.expires_at else None
    return {"entry": entry.pk, "resource": entry.resource, "owner": entry.owner_id, "ends": ends}


def _subject(entry: Entry) -> str:
    """Without what somebody may have chosen elsewhere: subjects are shown where nothing else is."""
    resource = BY_NAME[entry.resource]
    if entry.expires_at is None:
        return f"Mailwarden: {resource.singular} was not removed at its end"
    return f"Mailwarden: {resource.singular} {words.left(entry.expires_at)}"


def _text(entry: Entry) -> str:
    resource = BY_NAME[entry.resource]
    path = reverse("settings:life", args=[resource.slug, entry.upstream_id])
    return render_to_string(
        "settings_ui/life/announcement.txt",
        {
            "entry": entry,
            "pattern": shortened(" ".join(entry.pattern.split()), 200),
            "resource": resource,
            "day": words.day(entry.expires_at) if entry.expires_at else "",
            "link": settings.ADDRESS + path,
        },
    )


def _ending(entry: Entry) -> Ending:
    is_here = entry.owner is not None and entry.owner.is_active
    if entry.state == EntryState.REMOVING:
        told = f"is being removed. {entry.explanation}".strip()
    else:
        told = entry.explanation if entry.expires_at is None else words.left(entry.expires_at)
    return Ending(
        entry=entry,
        resource=BY_NAME[entry.resource],
        label=entry.pattern,
        told=told,
        owner=entry.owner_name if is_here else "",
        is_held_back=entry.is_held_back,
    )


def _notice() -> dt.timedelta:
    return dt.timedelta(days=setting("END_NOTICE_DAYS"))
