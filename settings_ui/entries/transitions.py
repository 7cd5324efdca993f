"""The only place where an entry changes its state: conditional updates that say which state they leave.

Everything after the claim also names its attempt, so that the late word of an overtaken worker changes nothing. Due
times are compared with the database's clock, because the processes' own clocks may differ.
"""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.sql import seconds_from_now
from settings_ui.entries.rules import NEVER_ENDED
from settings_ui.models import Entry, EntryState, Origin

log = structlog.get_logger("mailwarden.entries")

TEXT_LIMIT = 500  # characters of the column that holds an explanation
CLAIM_SECONDS = (
    2 * settings.CALL_SECONDS
)  # longer than a look and the call after it: only a dead worker's claim expires
LOOK_LEASE = REMOVAL_LEASE = 2 * settings.CALL_SECONDS
ACTION = {"made": "policy:accept", "ended": "policy:end"}


def of_account() -> QuerySet[Entry]:
    """Entries of the configured account; those of another one are never sent, looked up or removed from here."""
    return Entry.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def claim(entry_id: uuid.UUID | str) -> Entry | None:
    """Take a due entry for sending; None where it is not waiting, not due, or somebody else was faster."""
    taken = (
        of_account()
        .filter(pk=entry_id, state=EntryState.WAITING, due_at__lte=Now())
        .update(
            state=EntryState.SENDING,
            attempt=F("attempt") + 1,
            claimed_at=Now(),
            changed_at=Now(),
            sent_at=None,
            looks=0,
            explanation="",
        )
    )
    return Entry.objects.select_related("owner").get(pk=entry_id) if taken else None


def note_sent(entry: Entry) -> bool:
    """Commit that the create is about to leave. The call must not be made where this answers False."""
    return bool(_left(entry, EntryState.SENDING).update(sent_at=Now()))


def give_back(entry: Entry, *, after: float, explanation: str = "") -> bool:
    """Return a claimed entry unsent: provably nothing happened. It is due again `after` seconds."""
    return bool(
        _left(entry, EntryState.SENDING).update(
            state=EntryState.WAITING,
            due_at=seconds_from_now(after),
            changed_at=Now(),
            sent_at=None,
            explanation=storable_text(explanation, limit=TEXT_LIMIT),
        )
    )


def store_active(entry: Entry, upstream_id: str, *, explanation: str = "") -> bool:
    """The rule stands at Cloudflare, and this is its id there."""
    return _settle(
        entry,
        EntryState.ACTIVE,
        phase="done",
        upstream_id=upstream_id,
        due_at=None,
        explanation=storable_text(explanation, limit=TEXT_LIMIT),
    )


def store_failed(entry: Entry, explanation: str) -> bool:
    """Provably not made."""
    told = storable_text(explanation, limit=TEXT_LIMIT)
    return _settle(entry, EntryState.FAILED, phase="failed", due_at=None, explanation=told)


def store_unknown(entry: Entry, *, look_after: float) -> bool:
    """No answer came: it may have been made, and is looked for."""
    return _settle(entry, EntryState.UNKNOWN, phase="unknown", due_at=seconds_from_now(look_after), explanation="")


def expire_claim(entry: Entry, *, look_after: float) -> bool:
    """End the claim of a worker that never came back. What was not noted as sent has not left."""
    expired = _left(entry, EntryState.SENDING).filter(claimed_at__lte=seconds_from_now(-CLAIM_SECONDS))
    why = "A worker stopped before it sent anything."
    if expired.filter(sent_at=None).update(state=EntryState.WAITING, due_at=Now(), changed_at=Now(), explanation=why):
        return True
    with transaction.atomic():
        unknown = expired.filter(sent_at__isnull=False).update(
            state=EntryState.UNKNOWN,
            due_at=seconds_from_now(look_after),
            changed_at=Now(),
            explanation="A worker stopped while it was sending.",
        )
        if unknown:
            _record(entry, "made", "unknown")
    return bool(unknown)


def take_for_look(entry_id: uuid.UUID | str) -> Entry | None:
    """Take an unknown entry for looking, if it is due; nobody else looks before the lease is over."""
    taken = (
        of_account()
        .filter(pk=entry_id, state=EntryState.UNKNOWN, due_at__lte=Now())
        .update(due_at=seconds_from_now(LOOK_LEASE))
    )
    return Entry.objects.get(pk=entry_id) if taken else None


def look_again(entry: Entry, *, after: float, is_counted: bool) -> bool:
    """A look found nothing, or could not be taken, which does not count."""
    return bool(
        _left(entry, EntryState.UNKNOWN)
        .filter(looks=entry.looks)
        .update(due_at=seconds_from_now(after), looks=F("looks") + int(is_counted))
    )


def look_at_once(entry: Entry) -> bool:
    """Let the next look happen now."""
    return bool(of_account().filter(pk=entry.pk, state=EntryState.UNKNOWN).update(due_at=Now()))


def withdraw(entry: Entry, *, actor: Member, request: HttpRequest | None) -> bool:
    """Undo, while nothing has been claimed; against a worker that claims at the same moment exactly one wins."""
    with transaction.atomic():
        gone = Entry.objects.filter(pk=entry.pk, state=EntryState.WAITING).update(
            state=EntryState.REMOVED, due_at=None, changed_at=Now(), explanation=""
        )
        if gone:
            _record(entry, "made", "cancelled", actor=actor, request=request)
    return bool(gone)


def begin_removal(
    entry: Entry, *, actor: Member | None = None, reason: str = "", request: HttpRequest | None = None
) -> bool:
    """From now on the rule is to go; `actor` None: its time is over. False also for what never ends by itself."""
    ends = Entry.objects.filter(pk=entry.pk, state=EntryState.ACTIVE).exclude(resource__in=NEVER_ENDED)
    with transaction.atomic():
        begun = ends.update(
            state=EntryState.REMOVING, due_at=Now(), changed_at=Now(), sent_at=None, looks=0, explanation=""
        )
        if begun:
            _record(entry, "ended", "attempt", actor=actor, reason=reason, request=request)
    return bool(begun)


def take_for_removal(entry_id: uuid.UUID | str) -> Entry | None:
    """Take a rule that is to go, if it is due. A delete may be repeated: it ends in the same state."""
    taken = (
        of_account()
        .filter(pk=entry_id, state=EntryState.REMOVING, due_at__lte=Now())
        .exclude(resource__in=NEVER_ENDED)
        .update(attempt=F("attempt") + 1, due_at=seconds_from_now(REMOVAL_LEASE))
    )
    return Entry.objects.get(pk=entry_id) if taken else None


def remove_later(entry: Entry, *, after: float, explanation: str) -> bool:
    return bool(
        _left(entry, EntryState.REMOVING).update(
            due_at=seconds_from_now(after),
            looks=F("looks") + 1,
            explanation=storable_text(explanation, limit=TEXT_LIMIT),
        )
    )


def note_removal_sent(entry: Entry) -> bool:
    """Commit that a delete is about to leave. The call must not be made where this answers False."""
    return bool(_left(entry, EntryState.REMOVING).update(sent_at=Now()))


def store_removed(entry: Entry, *, explanation: str = "") -> bool:
    """The entry is provably gone."""
    with transaction.atomic():
        removed = _left(entry, EntryState.REMOVING).update(
            state=EntryState.REMOVED, due_at=None, changed_at=Now(), explanation=explanation
        )
        if removed:
            _record(entry, "ended", "done", explanation=explanation)
    return bool(removed)


def hold_back(entry: Entry, *, pattern: str, values: dict[str, Any], explanation: str) -> bool:
    """The entry is not what it was when its end was set: it stays, without an end, until somebody decides again."""
    with transaction.atomic():
        held = _left(entry, EntryState.REMOVING).update(
            state=EntryState.ACTIVE,
            origin=Origin.NOTED if entry.origin == Origin.ACCEPT else entry.origin,
            pattern=pattern,
            values=values,
            expires_at=None,
            announced_at=None,
            due_at=None,
            changed_at=Now(),
            explanation=storable_text(explanation, limit=TEXT_LIMIT),
        )
        if held:
            _record(entry, "ended", "refused", explanation=explanation)
    return bool(held)


def _left(entry: Entry, state: EntryState) -> QuerySet[Entry]:
    """The entry, unless it has gone on since it was taken."""
    return Entry.objects.filter(pk=entry.pk, attempt=entry.attempt, state=state)


def _settle(entry: Entry, state: EntryState, *, phase: str, **values: Any) -> bool:
    """Store what became of a create, as its answer or a look tells."""
    with transaction.atomic():
        changed = _left(entry, EntryState(entry.state)).update(state=state, changed_at=Now(), **values)
        if changed:
            _record(entry, "made", phase, explanation=values.get("explanation", ""))
    if not changed:
        log.warning("entry_overtaken", entry=str(entry.pk), attempt=entry.attempt, step=state.value)
    return bool(changed)


def _record(
    entry: Entry,
    what: str,
    phase: str,
    *,
    actor: Member | None = None,
    reason: str = "",
    request: HttpRequest | None = None,
    explanation: str = "",
) -> None:
    record(
        actor=actor,
        action=ACTION[what],
        phase=phase,
        targets=[entry.pattern],
        reason=reason,
        request=request,
        refers_to=entry.audit_sequence,
        detail={
            "entry": entry.pk,
            "resource": entry.resource,
            "attempt": entry.attempt,
            "explanation": explanation,
        },
    )
