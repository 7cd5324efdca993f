"""What a person can do to the account's lists. Everything is written down before anything is sent.

`create` and `edit` are sent at once and come back settled, or as what is known of them; `remove` and what came from a
file wait out the undo window and are sent by a worker.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.roles import RIGHTS, Permission
from dashboard.audit.chain import storable_text
from dashboard.emailsec import Priority, errors
from dashboard.emailsec.types import SettingsEntry
from dashboard.installation.values import setting
from dashboard.sql import seconds_from_now
from dashboard.upstream.connection import get_client
from dashboard.upstream.ring import ring
from dashboard.upstream.words import refusal
from dashboard.web.times import moment
from settings_ui.changes import approving, looking, planning, rights, sending, transitions, words
from settings_ui.changes.approving import LEAST_UNDO, NotYours, approve, refuse
from settings_ui.changes.planning import Draft
from settings_ui.changes.problems import ChangedMeanwhile, Conflict, NotPossible
from settings_ui.entries.knowing import on_its_way
from settings_ui.entries.life import Life
from settings_ui.entries.rules import why_not_until
from settings_ui.models import OPEN_LINES, Change, ChangeKind, ChangeState, Line, LineState, Origin, Source, Verb
from settings_ui.resources import BY_NAME
from settings_ui.resources.allow_policies import ALLOW_POLICIES
from settings_ui.resources.description import Resource, Values, Wrong

__all__ = [
    "LONGEST_REASON",
    "LONGEST_TICKET",
    "ChangedMeanwhile",
    "Conflict",
    "Draft",
    "NotPossible",
    "NotYours",
    "approve",
    "cancel",
    "confirm",
    "create",
    "draft",
    "edit",
    "look_now",
    "refuse",
    "remove",
    "retry",
    "undo",
]

SAVE_SECONDS = 12.0  # a person waits for a form, with everything that it asks; then it goes on by itself
READ_SECONDS = 4.0  # of these, for a comparison
LONGEST_REASON, LONGEST_TICKET, LONGEST_REMARK = 1000, 100, 900
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_USED = "This form was used already, for something else. Nothing was sent."
_PROTECTED = "The protection of a domain is not ended by a file. Remove it in the list, where two people see it."
_UNSCANNED = "New mail would not be scanned any more, which no file does. Edit the domain in the list."
_TWICE = "Line {number} is about the same entry."


def create(
    *,
    actor: Member,
    resource: Resource,
    values: Values,
    life: Life | None = None,
    source: Source = Source.FORM,
    investigate_id: str = "",
    permission: Permission | None = None,
    accepted: Sequence[str] = (),
    reason: str = "",
    ticket: str = "",
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    """Add one entry, at once. `permission`: the lower right that is enough for what a message's page prefilled;
    `accepted`: the codes of the dangers that were shown and accepted, for the audit trail.

    Raises PermissionDenied, NotPossible, Conflict, AuditNotWritten.
    """
    until = time.monotonic() + SAVE_SECONDS
    right = rights.to_add(resource, permission)
    rights.check(actor, right)
    if not get_client().offers(resource.name, "create"):
        raise NotPossible(f"Cloudflare does not let this account add a {resource.singular} here.")
    _check_values(resource, values, [field.name for field in resource.sent if field.name in values])
    _check_end(resource, life)
    new = Draft(1, Verb.ADD, resource.label(values), values=values, life=life)
    change = _change(
        actor, resource, ChangeKind.CREATE, right, reason, ticket, source=source, investigate_id=investigate_id
    )
    return _sent_at_once(_written(change, [new], operation_key, request, accepted=accepted), until)


def edit(
    *,
    actor: Member,
    resource: Resource,
    entry_id: str,
    before: Values,
    after: Values,
    life: Life | None = None,
    accepted: Sequence[str] = (),
    reason: str = "",
    ticket: str = "",
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    """Change what `after` says otherwise than `before`, which is the entry as the form was opened; at once. `accepted`:
    as `create` takes it.

    Raises ChangedMeanwhile, PermissionDenied, NotPossible, Conflict, AuditNotWritten.
    """
    until = time.monotonic() + SAVE_SECONDS
    rights.check(actor, resource.write)
    right = resource.write
    if rights.ends_protection(resource, before, after):
        right = Permission.DOMAIN_UNPROTECT
        if not actor.may(right):
            raise NotPossible(f"New mail would not be scanned any more. You lack the right to {RIGHTS[right]}.")
    if told := resource.fixed_because(before):
        raise NotPossible(told)
    changes = resource.changes(before, after)
    if not changes:
        raise NotPossible("Nothing was changed.")
    _check_values(resource, {**before, **after}, changes)
    _check_end(resource, life)
    change = _change(actor, resource, ChangeKind.EDIT, right, reason, ticket)
    new = Draft(1, Verb.CHANGE, resource.label(before), entry_id, before, changes, life)
    if _KEY.fullmatch(operation_key) and (again := _same(change, [new], operation_key)):
        return again
    known = _told_about(resource, entry_id)
    theirs = _compared(resource, entry_id, before, until)
    change = _written(change, [new], operation_key, request, accepted=accepted)
    # From its own row on nobody else of us can be at the entry; who was before that wrote it down as well.
    is_fresh = theirs is not None and _told_about(resource, entry_id, but=change) == known
    return _sent_at_once(change, until, is_fresh=is_fresh)


def remove(
    *,
    actor: Member,
    resource: Resource,
    entries: Sequence[SettingsEntry],
    typed: Collection[str] = (),
    reason: str = "",
    ticket: str = "",
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    """Remove these entries, once the member's undo window is over, or once a second person has approved it.

    `typed`: the names of exactly these entries, where the list wants them typed. Raises PermissionDenied, NotPossible,
    Conflict, AuditNotWritten.
    """
    right = rights.to_remove(resource)
    rights.check(actor, right)
    if not entries:
        raise NotPossible("Choose what is to be removed.")
    drafts = [
        Draft(number, Verb.REMOVE, resource.label(entry.values()), entry.id, entry.values())
        for number, entry in enumerate({entry.id: entry for entry in entries}.values(), start=1)
    ]
    if resource.takes_typing:
        _check_typed(drafts, typed)
    change = _change(actor, resource, ChangeKind.DELETE, right, reason, ticket)
    if rights.takes_two(resource):
        change.why_two = _why_two(resource, len(drafts))
        return _written(change, drafts, operation_key, request, state=ChangeState.AWAITING_APPROVAL)
    change = _written(change, drafts, operation_key, request, undo_seconds=actor.undo_seconds)
    sending.ring_for(change, after=actor.undo_seconds)
    return change


def draft(
    *,
    actor: Member,
    resource: Resource,
    kind: ChangeKind,
    lines: Iterable[Draft],
    reason: str = "",
    ticket: str = "",
    file_name: str = "",
    remarks: Iterable[str] = (),
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    """Write down what a file would do: a dry run, of which nothing is decided. Raises as `create` does.

    `remarks`: how the file was read, for who decides.
    """
    rights.check(actor, resource.write)
    change = _change(actor, resource, kind, resource.write, reason, ticket, source=Source.FILE)
    change.file_name = storable_text(file_name, limit=200)
    change.remarks = "\n".join(storable_text(told, limit=LONGEST_REMARK) for told in remarks)
    return _written(change, _told_apart(resource, lines), operation_key, request, state=ChangeState.DRAFT)


def confirm(
    *,
    actor: Member,
    change: Change,
    fingerprint: str,
    reason: str = "",
    ticket: str = "",
    request: HttpRequest | None,
) -> Change:
    """Let a dry run happen after its undo window.

    `fingerprint` is of what was shown. Raises PermissionDenied, NotPossible, Conflict, AuditNotWritten.
    """
    _check_own(actor, change)
    rights.check(actor, Permission(change.permission))
    seconds = max(LEAST_UNDO, actor.undo_seconds)
    try:
        with transaction.atomic():
            held = transitions.held(change)
            is_decided = held.state in (ChangeState.WAITING, ChangeState.RUNNING)
            if is_decided and fingerprint and held.fingerprint == fingerprint:
                return held  # the other half of a double click was faster
            _check_draft(held, fingerprint)
            if not held.lines.filter(state=LineState.DRAFT).update(state=LineState.WAITING):
                raise NotPossible("Nothing of it is to be sent: no line changes anything.")
            said = _said(reason or held.reason, ticket or held.ticket)
            due = seconds_from_now(seconds)
            transitions.move(held, [ChangeState.DRAFT], ChangeState.WAITING, due_at=due, **said)
            held.refresh_from_db()
            sequence = transitions.record_change(held, "attempt", actor=actor, request=request)
            Change.objects.filter(pk=held.pk).update(audit_sequence=sequence)
    except IntegrityError:
        raise _in_the_way(list(change.lines.filter(state=LineState.DRAFT))) from None
    held.refresh_from_db()
    sending.ring_for(held, after=seconds)
    return held


def cancel(*, actor: Member, change: Change, request: HttpRequest | None) -> Change:
    """Stop it: what is on its way ends, nothing more is sent. Raises PermissionDenied, Conflict, AuditNotWritten."""
    if not rights.may_control(actor, change):
        raise PermissionDenied(f"This is {change.actor_name}'s change.")
    return _dropped(
        actor,
        change,
        [ChangeState.DRAFT, ChangeState.AWAITING_APPROVAL, ChangeState.WAITING, ChangeState.RUNNING],
        request,
    )


def undo(*, actor: Member, change: Change, request: HttpRequest | None) -> Change:
    """Take it back while nothing was sent; who asked may, and who approved. Raises as `cancel` does."""
    if not approving.is_one_of_two(actor, change):
        raise PermissionDenied(f"This is {change.actor_name}'s change.")
    return _dropped(actor, change, [ChangeState.WAITING], request)


def retry(*, actor: Member, change: Change, request: HttpRequest | None) -> Change:
    """Send what failed once more. Raises PermissionDenied, NotPossible, Conflict, AuditNotWritten."""
    _check_own(actor, change)
    rights.check(actor, Permission(change.permission))
    if told := rights.why_not_sent(change):
        raise NotPossible(told)
    try:
        with transaction.atomic():
            held = transitions.held(change)
            failed = held.lines.filter(state=LineState.FAILED)
            if not failed.exists() or not transitions.move(
                held,
                [ChangeState.FAILED, ChangeState.PARTLY, ChangeState.RUNNING],
                ChangeState.RUNNING,
                finished_at=None,
            ):
                raise Conflict("There is nothing to send again.", held)
            number = failed.count()
            failed.update(state=LineState.WAITING, step=None, explanation="", problems={})
            transitions.record_change(held, "attempt", actor=actor, request=request, again=number)
    except IntegrityError:
        raise _in_the_way(list(change.lines.filter(state=LineState.FAILED))) from None
    held.refresh_from_db()
    sending.ring_for(held, after=0)
    return held


def look_now(*, actor: Member, change: Change, request: HttpRequest | None) -> Change:
    """Look an unknown outcome up now instead of later. Raises PermissionDenied, Conflict, AuditNotWritten."""
    if not rights.may_control(actor, change):
        raise PermissionDenied(f"This is {change.actor_name}'s change.")
    with transaction.atomic():
        held = transitions.held(change)
        step = transitions.look_at_once(held)
        if step is None:
            raise Conflict("There is nothing to look up.", held)
        transitions.record_change(held, "done", actor=actor, request=request, action="policy:look", call=step.position)
    ring(looking.LOOK_TASK, str(step.pk))
    return held


# --- writing it down --------------------------------------------------------------------------------------------------


def _change(
    actor: Member,
    resource: Resource,
    kind: ChangeKind,
    permission: Permission,
    reason: str,
    ticket: str,
    *,
    source: Source = Source.FORM,
    investigate_id: str = "",
) -> Change:
    """A change as it will be written, not saved."""
    return Change(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        resource=resource.name,
        kind=kind,
        source=source,
        actor=actor,
        actor_name=storable_text(actor.display_name, limit=300),
        permission=permission.value,
        investigate_id=storable_text(investigate_id, limit=200),
        **_said(reason, ticket),
    )


def _written(
    change: Change,
    drafts: Sequence[Draft],
    operation_key: str,
    request: HttpRequest | None,
    *,
    state: ChangeState = ChangeState.WAITING,
    undo_seconds: float = 0,
    accepted: Sequence[str] = (),
) -> Change:
    """Change, lines and audit row in one transaction; of two at once the database takes one. The audit row comes last:
    its lock is every change's last one.
    """
    if not _KEY.fullmatch(operation_key):
        raise NotPossible("This form is not whole. Open it again.")
    if again := _same(change, drafts, operation_key):
        return again
    lines = _lines(change, drafts, LineState.DRAFT if state == ChangeState.DRAFT else LineState.WAITING)
    if state != ChangeState.DRAFT and (other := _other_in_the_way(lines)):
        if again := _same(change, drafts, operation_key):  # the other one is this very form, sent twice at once
            return again
        raise other
    change.operation_key, change.state = operation_key, state
    change.fingerprint = planning.fingerprint_of(change, lines)
    change.created_at = change.changed_at = Now()
    change.due_at = seconds_from_now(undo_seconds) if state == ChangeState.WAITING else None
    if state == ChangeState.AWAITING_APPROVAL:
        change.expires_at = seconds_from_now(setting("APPROVAL_HOURS") * 3600)
    try:
        with transaction.atomic():
            change.save(force_insert=True)
            Line.objects.bulk_create(lines, batch_size=500)
            if state != ChangeState.DRAFT:
                actor = change.actor
                told: dict[str, Any] = {"accepted": sorted(accepted)} if accepted else {}
                sequence = transitions.record_change(change, "attempt", actor=actor, request=request, **told)
                Change.objects.filter(pk=change.pk).update(audit_sequence=sequence)
    except IntegrityError:  # by another transaction, which has ended: what it wrote can be read now
        if again := _same(change, drafts, operation_key):
            return again
        raise _in_the_way(lines) from None
    return Change.objects.get(pk=change.pk)


def _lines(change: Change, drafts: Sequence[Draft], state: LineState) -> list[Line]:
    resource = BY_NAME[change.resource]
    lines = [planning.line_of(resource, new, state) for new in drafts]
    for line in lines:
        line.change = change
    return lines


def _same(change: Change, drafts: Sequence[Draft], operation_key: str) -> Change | None:
    """The change this form has made already, if it has; Conflict where the form's content is another one now."""
    made = Change.objects.filter(operation_key=operation_key).first()
    if made is None:
        return None
    if planning.fingerprint_of(change, _lines(change, drafts, LineState.DRAFT)) != made.fingerprint:
        raise Conflict(_USED, made)
    return made


def _sent_at_once(change: Change, until: float, *, is_fresh: bool = False) -> Change:
    """Send a change that was just written down, and answer what came of it while somebody waits."""
    if change.state == ChangeState.WAITING:
        sending.step(change.pk, until=until, is_fresh=is_fresh)
        change.refresh_from_db()
    return change


def _compared(resource: Resource, entry_id: str, before: Values, until: float) -> SettingsEntry | None:
    """The entry as it stands, if it still says what it did; None where it cannot be read: then it is compared later."""
    seconds = sending.seconds_left(until, READ_SECONDS)
    try:
        theirs = get_client().entry(resource.name, entry_id, budget=seconds, priority=Priority.ACTION)
    except errors.NotFound:
        raise ChangedMeanwhile(None) from None
    except (errors.CredentialsRefused, errors.NotPermitted, errors.NotOnThisServer) as problem:
        raise NotPossible(refusal(problem)) from problem
    except errors.EmailSecurityError:
        return None
    if looking.differs(resource, before, theirs):
        raise ChangedMeanwhile(theirs)
    if told := resource.fixed_because(theirs.values()):
        raise NotPossible(told)
    return theirs


def _told_about(resource: Resource, entry_id: str, *, but: Change | None = None) -> set[tuple[object, ...]]:
    """How far each of our changes of an entry has come."""
    lines = Line.objects.filter(upstream_id=entry_id, change__resource=resource.name)
    return set(lines.exclude(change=but and but.pk).values_list("pk", "state", "step"))


def _told_apart(resource: Resource, drafts: Iterable[Draft]) -> list[Draft]:
    """The lines of a file, where two about one entry, and the end of a protection now or on a day, cannot be sent."""
    found: list[Draft] = []
    taken: dict[str, int] = {}
    for new in drafts:
        told = ""
        if new.verb in planning.SENT:
            told = _why_not_end(resource, new.life)
            if new.verb == Verb.REMOVE and resource.takes_typing:
                told = _PROTECTED
            if new.verb == Verb.CHANGE and rights.ends_protection(
                resource, new.before or {}, {**(new.before or {}), **new.values}
            ):
                told = _UNSCANNED
            line = planning.line_of(resource, new, LineState.DRAFT)
            held = {line.holds, planning.place_taken(resource, line)} - {""}
            first = next((taken[one] for one in held if one in taken), None)
            if not told and first is not None:
                told = _TWICE.format(number=first)
            if not told:
                taken |= dict.fromkeys(held, new.number)
        found.append(replace(new, verb=Verb.BAD, explanation=told) if told else new)
    return found


# --- the rules --------------------------------------------------------------------------------------------------------


def _check_values(resource: Resource, values: Values, names: Collection[str]) -> None:
    """What a form checks is checked again: nothing that cannot be sent is written down."""
    for name in names:
        try:
            resource.field(name).clean(values.get(name))
        except Wrong as wrong:
            raise NotPossible(str(wrong)) from wrong
    for name, told in resource.problems(values).items():
        if name in names:
            raise NotPossible(told)


def _why_not_end(resource: Resource, life: Life | None) -> str:
    return why_not_until(resource, Origin.NOTED, life.expires_at) if life is not None else ""


def _check_end(resource: Resource, life: Life | None) -> None:
    """What takes a decision each time never ends by itself."""
    if told := _why_not_end(resource, life):
        raise NotPossible(told)


def _check_typed(drafts: Sequence[Draft], typed: Collection[str]) -> None:
    """Each name, exactly; upper and lower case are one."""
    wanted = {new.label.strip().casefold() for new in drafts}
    if {name.strip().casefold() for name in typed if name.strip()} != wanted:
        raise NotPossible("Type the name of each domain whose protection ends, exactly as it is written.")


def _why_two(resource: Resource, number: int) -> str:
    if number == 1:
        return "It ends the protection of a domain, which cannot be undone."
    return f"It ends the protection of {number:,} {resource.singular.rpartition(' ')[2]}s, which cannot be undone."


def _check_own(actor: Member, change: Change) -> None:
    if change.actor_id != actor.pk:
        raise PermissionDenied(f"This is {change.actor_name}'s change.")


def _check_draft(change: Change, fingerprint: str) -> None:
    if change.state != ChangeState.DRAFT:
        raise Conflict("This was decided or discarded already.", change)
    if not planning.of_account().filter(pk=change.pk).exists():
        raise Conflict("This is about another account. Nothing was sent.", change)
    if not fingerprint or fingerprint != change.fingerprint:
        raise Conflict("It is not what you were shown. Nothing was sent: look at it again.", change)


def _dropped(actor: Member, change: Change, leaves: Collection[ChangeState], request: HttpRequest | None) -> Change:
    with transaction.atomic():
        held = transitions.held(change)
        was = ChangeState(held.state)
        if not transitions.drop(held, leaves, f"{_STOPPING.get(was, 'Cancelled')} by {actor.display_name}."):
            raise Conflict(f"It cannot be stopped any more: {words.short(held)}.", held)
        if was != ChangeState.DRAFT:  # nothing was decided, so there is nothing to tell
            transitions.record_change(held, "cancelled", actor=actor, request=request, left=was.value)
    held.refresh_from_db()
    return held


_STOPPING: Mapping[ChangeState, str] = {
    ChangeState.DRAFT: "Discarded",
    ChangeState.AWAITING_APPROVAL: "Withdrawn",
    ChangeState.WAITING: "Undone",
}


def _in_the_way(lines: Sequence[Line]) -> Conflict:
    """Who else is at one of these entries, and since when."""
    return _other_in_the_way(lines) or Conflict("Somebody else is changing this at the moment. Try again.")


def _other_in_the_way(lines: Sequence[Line]) -> Conflict | None:
    held: dict[str, str] = {}
    for line in lines:
        if line.verb in planning.SENT:
            place = planning.place_taken(BY_NAME[line.change.resource], line)
            held |= dict.fromkeys({line.holds, place} - {""}, line.label)
    names = list(held)
    for start in range(0, len(names), 500):
        found = Line.objects.filter(holds__in=names[start : start + 500], state__in=OPEN_LINES)
        other = found.exclude(change=lines[0].change_id).select_related("change").first()
        if other is not None:
            since = moment(other.change.created_at)
            told = f"{other.change.actor_name} is changing {held[other.holds]} already, since {since}."
            return Conflict(told, other.change)
    return _rule_in_the_way(lines)


def _rule_in_the_way(lines: Sequence[Line]) -> Conflict | None:
    """A rule for one sender that is about to be made where a form adds one; a file's line is refused by itself."""
    line = lines[0]
    if len(lines) > 1 or line.change.resource != ALLOW_POLICIES.name or line.verb != Verb.ADD:
        return None
    rule = on_its_way(str(line.values.get("pattern") or "")) if line.values.get("pattern_type") == "EMAIL" else None
    return Conflict(f"{rule.owner_name} is making a rule for {rule.pattern} just now.") if rule else None


def _said(reason: str, ticket: str) -> dict[str, Any]:
    return {
        "reason": storable_text(reason.strip(), limit=LONGEST_REASON),
        "ticket": storable_text(ticket.strip(), limit=LONGEST_TICKET),
    }
