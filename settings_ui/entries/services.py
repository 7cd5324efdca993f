"""What a person can do to the account's lists. Everything is written down before anything is sent."""

from __future__ import annotations

import datetime as dt
import re
import uuid

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.decorators import OutsideScope
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec import NewAllowPolicy
from dashboard.emailsec.enums import PatternType
from dashboard.sql import seconds_from_now
from dashboard.upstream.ring import ring, ring_when_due
from settings_ui.changes.planning import place_of
from settings_ui.entries import transitions, words
from settings_ui.entries.rules import NEVER_ENDED, Conflict, NotPossible, why_not_until
from settings_ui.models import OPEN_LINES, OPEN_STATES, Entry, EntryState, Line, Origin
from settings_ui.resources.allow_policies import ALLOW_POLICIES
from settings_ui.tasks import look_up_entry, remove_entry, send_entry

RESOURCE = ALLOW_POLICIES.name
LONGEST_ADDRESS = 254
# One mailbox and nothing else: no second @, no wildcard, a domain with a dot.
_ADDRESS = re.compile(r"[^\s@<>\"*?,;:\\()\[\]]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")


def accept_sender(
    *,
    actor: Member,
    pattern: str,
    expires_at: dt.datetime,
    reason: str,
    operation_key: str,
    request: HttpRequest | None,
    undo_seconds: float = 0,
) -> Entry:
    """Accept one address for a time: its mail is no longer called Spam, Spoof or Bulk while it proves who it is.

    A worker sends it once `undo_seconds` are over. The same key with the same content is the same entry. Raises
    NotPossible, Conflict, PermissionDenied and AuditNotWritten.
    """
    if not actor.may(Permission.POLICY_ACCEPT):
        raise PermissionDenied(Permission.POLICY_ACCEPT.value)
    address = pattern.strip().casefold()
    if told := why_not_accepted(actor, address) or why_not_until(ALLOW_POLICIES, Origin.ACCEPT, expires_at):
        raise NotPossible(told)
    reason = reason.strip()
    again = _same(actor, operation_key, address, expires_at, reason)
    if again is not None:
        return again
    _check_changes(address)
    entry = _write_down(actor, address, expires_at, reason, operation_key, undo_seconds, request)
    ring_when_due(send_entry.name, str(entry.pk), seconds=undo_seconds)
    return entry


def end(*, actor: Member, entry: Entry, reason: str = "", request: HttpRequest | None) -> Entry:
    """End a rule now: by its owner, or by anybody who may make one. One that was not sent yet is withdrawn."""
    if not may_end(actor, entry):
        _check_may_make(actor)
    if entry.resource in NEVER_ENDED:
        raise NotPossible("This never ends by itself: it takes a decision of its own.")
    begun = transitions.begin_removal(entry, actor=actor, reason=reason, request=request)
    if begun:
        ring_when_due(remove_entry.name, str(entry.pk))
    elif not transitions.withdraw(entry, actor=actor, request=request):
        entry.refresh_from_db()
        if entry.state not in (EntryState.REMOVING, EntryState.REMOVED):
            raise Conflict(f"It cannot be ended now. {words.sentence(entry)}", entry)
    entry.refresh_from_db()
    return entry


def withdraw(*, actor: Member, entry: Entry, request: HttpRequest | None) -> bool:
    """Undo an entry of one's own that was not sent yet; False when it is too late."""
    if entry.owner_id != actor.pk:
        raise PermissionDenied(f"This is {entry.owner_name}'s rule.")
    return transitions.withdraw(entry, actor=actor, request=request)


def look_now(*, actor: Member, entry: Entry, request: HttpRequest | None) -> bool:
    """Look an unknown outcome up now instead of later; True where a worker could be told."""
    if not may_look(actor, entry):
        _check_may_make(actor)
    with transaction.atomic():
        if not transitions.look_at_once(entry):
            raise Conflict("There is nothing to look up.", entry)
        record(
            actor=actor,
            action="policy:look",
            targets=[entry.pattern],
            refers_to=entry.audit_sequence,
            detail={"entry": entry.pk, "attempt": entry.attempt},
            request=request,
        )
    return ring(look_up_entry.name, str(entry.pk))


def may_end(actor: Member, entry: Entry) -> bool:
    return entry.owner_id == actor.pk or _may_make(actor)


def may_look(actor: Member, entry: Entry) -> bool:
    return _may_make(actor) or (entry.owner_id == actor.pk and actor.may(Permission.POLICY_ACCEPT))


def _may_make(actor: Member) -> bool:
    """Whether this member may make rules at all: each holds for the whole account."""
    return actor.may(Permission.POLICY_ACCEPT) and actor.scope.is_whole


def _check_may_make(actor: Member) -> None:
    if not actor.may(Permission.POLICY_ACCEPT):
        raise PermissionDenied(Permission.POLICY_ACCEPT.value)
    if not actor.scope.is_whole:
        raise OutsideScope(str(actor.scope))


def why_not_accepted(actor: Member, address: str) -> str:
    """Why this member cannot accept this address, or ""; what depends on a message is up to who knows the message."""
    if not actor.scope.is_whole:
        return f"A rule holds for the whole account, and you are limited to {actor.scope}."
    if len(address) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(address.strip().casefold()):
        return "Only one exact address can be accepted, and this is none."
    return ""


def rule_for(address: str) -> Entry | None:
    """The rule of ours that stands for an address, or is about to."""
    open_ones = transitions.of_account().filter(resource=RESOURCE, state__in=OPEN_STATES)
    return open_ones.filter(pattern=address.strip().casefold()).first()


def _check_changes(address: str) -> None:
    """Raises Conflict where a change that is under way puts a rule for this address there, or changes it."""
    place = place_of(ALLOW_POLICIES, {"pattern": address, "pattern_type": PatternType.EMAIL.value})
    under_way = Line.objects.filter(
        change__account_id=settings.CLOUDFLARE_ACCOUNT_ID, holds=place, state__in=OPEN_LINES
    )
    if line := under_way.select_related("change").first():
        raise Conflict(f"{line.change.actor_name} is adding a rule for this address just now.")


def _write_down(
    actor: Member,
    address: str,
    expires_at: dt.datetime,
    reason: str,
    operation_key: str,
    undo_seconds: float,
    request: HttpRequest | None,
) -> Entry:
    """Entry and audit row in one transaction; of two at once the database takes one. The audit row comes last: its
    lock is every change's last one.
    """
    key = uuid.uuid4()
    values = NewAllowPolicy(
        pattern=address,
        pattern_type=PatternType.EMAIL,
        is_acceptable_sender=True,
        verify_sender=True,
        comments=_comments(key, expires_at, reason),
    ).wire()
    try:
        with transaction.atomic():
            entry = Entry.objects.create(
                id=key,
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                resource=RESOURCE,
                operation_key=operation_key,
                pattern=address,
                values=values,
                owner=actor,
                owner_name=storable_text(actor.display_name, limit=300),
                reason=_stored_reason(reason),
                expires_at=expires_at,
                created_at=Now(),
                changed_at=Now(),
                due_at=seconds_from_now(undo_seconds),
            )
            event = record(
                actor=actor,
                action=transitions.ACTION["made"],
                phase="attempt",
                targets=[address],
                reason=reason,
                request=request,
                detail={
                    "entry": key,
                    "permission": Permission.POLICY_ACCEPT.value,
                    "until": expires_at.isoformat(),
                },
            )
            Entry.objects.filter(pk=key).update(audit_sequence=event.sequence)
            entry.audit_sequence = event.sequence
            return entry
    except IntegrityError:  # by another transaction, which has ended: what it wrote can be read now
        if again := _same(actor, operation_key, address, expires_at, reason):
            return again
        if stands := rule_for(address):
            told = f"{stands.owner_name} made a rule for this address already, {words.until(stands)}."
            raise Conflict(told, stands) from None
        raise


def _comments(key: uuid.UUID, expires_at: dt.datetime, reason: str) -> str:
    """Names the entry, so that a create without an answer is found again by listing the pattern."""
    return storable_text(f"Mailwarden {key}, ends {words.day(expires_at)}. {reason}".strip(), limit=1000)


def _stored_reason(reason: str) -> str:
    return storable_text(reason, limit=1000)


def _same(actor: Member, operation_key: str, address: str, expires_at: dt.datetime, reason: str) -> Entry | None:
    """The entry this form has made already, if it has; Conflict where the form's content is another one now."""
    entry = Entry.objects.filter(operation_key=operation_key).first()
    if entry is None:
        return None
    made = (entry.owner_id, entry.pattern, entry.expires_at, entry.reason)
    if made != (actor.pk, address, expires_at, _stored_reason(reason)):
        raise Conflict("This form was used already, for something else. Nothing was sent.", entry)
    return entry
