"""What a person can do about the sender of a message. Each rule is written down before it is sent."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from dashboard.access.decorators import OutsideScope
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import Message
from investigate.desk.changes import note_change
from investigate.fixing.plan import PlannedStep, rule_of, sender_of
from investigate.message.visible import message_for
from investigate.rules import words
from investigate.rules.plan import BLOCK_SENDERS, REGISTRY, block_values, choices
from investigate.rules.standing import Standing
from settings_ui.changes import services as engine
from settings_ui.entries import services as rules
from settings_ui.entries.life import Life
from settings_ui.forms.twins import standing_twin
from settings_ui.models import Change, ChangeState, Entry, Source
from settings_ui.resources import Resource

DUPLICATE = 409


class NotPossible(Exception):
    """It cannot be done, which is known without asking; the text says why."""


class Conflict(Exception):
    """Something stands in the way; `stands` is the entry that does, where it is known."""

    def __init__(self, told: str, *, stands: Standing | None = None, change: Change | None = None) -> None:
        super().__init__(told)
        self.stands, self.change = stands, change


class NotAccepted(Exception):
    """What was typed cannot stand: a sentence for each field."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(", ".join(problems))
        self.problems = problems


def block(
    *,
    actor: Member,
    investigate_id: str,
    candidate: str,
    reason: str,
    ticket: str,
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    """Refuse all mail of a sender of this message, or of its domain, from now on.

    Raises NotAccepted, Conflict, PermissionDenied, AuditNotWritten, and what reading the message raises.
    """
    _check(actor, Permission.POLICY_BLOCK)
    message = message_for(actor, investigate_id)
    choice = next((one for one in choices(message, actor) if one.candidate.name == candidate), None)
    if choice is None:
        raise NotAccepted({"candidate": words.NO_SUCH})
    if not choice.is_possible:
        raise NotAccepted({"candidate": f"{choice.candidate.pattern}: {choice.why_not}"})
    values = block_values(choice.candidate) | {"comments": words.remark(reason, ticket, actor.display_name)}
    return _made(actor, message, BLOCK_SENDERS, values, Permission.POLICY_BLOCK, reason, ticket, operation_key, request)


def guard(
    *,
    actor: Member,
    investigate_id: str,
    name: str,
    email: str,
    reason: str,
    ticket: str,
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    """Put a person whom this message pretends to be on the impersonation registry. Raises what `block` raises."""
    _check(actor, Permission.POLICY_WRITE)
    message = message_for(actor, investigate_id)
    values, problems = REGISTRY.cleaned(
        {
            "name": name,
            "email": email,
            "is_email_regex": False,
            "comments": words.remark(reason, ticket, actor.display_name),
        }
    )
    if problems:
        raise NotAccepted(problems)
    return _made(actor, message, REGISTRY, values, Permission.POLICY_WRITE, reason, ticket, operation_key, request)


def allow(
    *,
    actor: Member,
    investigate_id: str,
    expires_at: dt.datetime,
    reason: str,
    operation_key: str,
    request: HttpRequest | None,
) -> Entry:
    """Accept the address of From for a time, while its mail proves who it is. Raises NotPossible, Conflict as well."""
    _check(actor, Permission.POLICY_ACCEPT)
    message = message_for(actor, investigate_id)
    offered = acceptance(message, actor, operation_key=operation_key)
    if not offered.is_possible:
        raise NotPossible(offered.why_not)
    try:
        entry = rules.accept_sender(
            actor=actor,
            pattern=sender_of(message),
            expires_at=expires_at,
            reason=reason,
            operation_key=operation_key,
            request=request,
            undo_seconds=actor.undo_seconds,
        )
    except rules.NotPossible as problem:
        raise NotPossible(str(problem)) from problem
    except rules.Conflict as conflict:
        raise Conflict(str(conflict)) from conflict
    note_change([message.id])
    entry.refresh_from_db()  # its times are the database's
    return entry


def acceptance(message: Message, member: Member, *, operation_key: str = "") -> PlannedStep:
    """Whether the sender can be accepted; the rule this very form has made is not in its own way."""
    return rule_of(message, member, made_by=operation_key)


def _made(
    actor: Member,
    message: Message,
    resource: Resource,
    values: dict[str, Any],
    permission: Permission,
    reason: str,
    ticket: str,
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    try:
        change = engine.create(
            actor=actor,
            resource=resource,
            values=values,
            life=Life(owner_id=actor.pk, ticket=ticket, reason=reason),
            source=Source.MESSAGE,
            investigate_id=message.id,
            permission=permission,
            reason=reason,
            ticket=ticket,
            operation_key=operation_key,
            request=request,
        )
    except engine.NotPossible as problem:
        raise NotPossible(str(problem)) from problem
    except engine.Conflict as conflict:
        raise Conflict(str(conflict), change=conflict.other) from conflict
    note_change([message.id])
    if change.state == ChangeState.FAILED:
        _tell_why(change, resource, values)
    return change


def _tell_why(change: Change, resource: Resource, values: dict[str, Any]) -> None:
    """Raise what the form can show: the entry that was there already, or what is wrong with a field."""
    line, step = change.lines.get(), change.steps.last()
    if step is not None and step.status == DUPLICATE:
        raise Conflict(words.on_the_list(line.label), stands=_found(resource, values), change=change)
    if line.problems:
        raise NotAccepted(line.problems)


def _found(resource: Resource, values: dict[str, Any]) -> Standing | None:
    """The entry that was there already, asked for once; without it the sentence alone has to do."""
    entry = standing_twin(resource, values)
    if entry is None:
        return None
    return Standing(resource.name, resource.label(entry.values()), entry.id, entry.created_at)


def _check(actor: Member, permission: Permission) -> None:
    """A rule from a message shows whom the message names: who may not see messages makes none from them."""
    for needed in (permission, Permission.MESSAGE_READ):
        if not actor.may(needed):
            raise PermissionDenied(needed.value)
    if not actor.scope.is_whole:
        raise OutsideScope(str(actor.scope))
