"""The one gate to a message: what a member may know of it, or the NotFound that an unknown id gets.

Every view that is given an investigate id goes through here. For members who are limited to some recipient domains the
message comes without the recipients elsewhere, and a foreign id takes the same calls and queries as an unknown one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
from django.conf import settings

from dashboard.access.models import Member
from dashboard.access.scope import Scope, domain_of
from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.types import Detections, Finding, Message, MessageProperties
from investigate.message import parts, store
from investigate.message.parts import Kept, Opened
from investigate.models import ActionItem, Case

OUTSIDE = "Copies also went to mailboxes outside your domains; a colleague without that limit must act."
_NUMBER = re.compile(r"\b(nrcpt=)\d+|\b(for )\d+(?= recipients?\b)", re.IGNORECASE)
# Looked for from the beginning of a word alone: one without an @ would be read anew from each of its letters.
_ADDRESS = re.compile(r"(?<![^\s<>()\[\],;:\"'])[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"'@]+")


class TrimmedMessage(Message, frozen=True):
    """A message without the recipients its reader may not know of."""

    hides_copies: bool = False
    """Whether some of its copies are among those left out; then the reader cannot act on it."""
    outside: frozenset[str] = frozenset()
    """What was left out, to find where else it is named."""


def message_for(member: Member, investigate_id: str) -> Message:
    """The message as it is now. Raises NotFound, and what the call raises."""
    return trimmed(parts.read_message(investigate_id, scope=member.scope), member.scope)


def seen_for(member: Member, investigate_id: str) -> Message:
    """The message as somebody last saw it: enough for parts, which only ask what cannot change."""
    return trimmed(parts.seen_message(investigate_id, scope=member.scope), member.scope)


def opened_for(member: Member, investigate_id: str) -> Opened:
    """The message beside its detections, or beside what kept them from being read."""
    opened = parts.open_message(investigate_id, scope=member.scope)
    if member.scope.is_whole:
        return opened
    message, found = trimmed(opened.message, member.scope), opened.detections
    return replace(opened, message=message, detections=found and trimmed_detections(found, message))


def hides_copies(message: object) -> bool:
    """Whether copies went to mailboxes the reader may not know of: the one thing about them that is told."""
    return isinstance(message, TrimmedMessage) and message.hides_copies


def trimmed(message: Message, scope: Scope) -> Message:
    """The message with the recipients inside the scope alone, and the states of their copies."""
    if scope.is_whole:
        return message
    everybody = {*message.to, *message.envelope_to, *message.client_recipients}
    outside = frozenset(address.strip().casefold() for address in everybody if not scope.covers(address))
    properties, names = message.properties, lambda text: _names_any(text or "", outside)
    values: dict[str, Any] = {name: getattr(message, name) for name in Message.__struct_fields__}
    return TrimmedMessage(
        **values
        | {
            "to": scope.inside(message.to),
            "to_name": message.to_name if scope.covers_all(message.to) else (),
            "envelope_to": scope.inside(message.envelope_to),
            "client_recipients": scope.inside(message.client_recipients),
            "delivery_status": scope.states_inside(message.mailboxes, message.delivery_status),
            "detection_reasons": reasons_inside(message.detection_reasons, everybody, scope),
            "findings": tuple(finding for finding in message.findings if not names(_said_by(finding))),
            "properties": MessageProperties() if names(_said_by(properties)) else properties,
            "hides_copies": not scope.covers_all(message.mailboxes),
            "outside": outside,
        }
    )


def trimmed_row(row: MessageRow, scope: Scope) -> MessageRow:
    """The same for a row of a list, which the caller knows to be inside."""
    if scope.is_whole or (scope.covers_all(row.mailboxes) and scope.covers_all(row.recipients)):
        return row
    return msgspec.structs.replace(
        row,
        wire_to=scope.inside(row.wire_to or ()),
        wire_envelope_to=scope.inside(row.wire_envelope_to or ()),
        wire_client_recipients=scope.inside(row.wire_client_recipients or ()),
        wire_delivery_status=scope.states_inside(row.mailboxes, row.delivery_status),
        wire_reasons=reasons_inside(row.detection_reasons, (*row.mailboxes, *row.recipients), scope),
    )


def reasons_inside(reasons: Iterable[str], recipients: Iterable[str], scope: Scope) -> tuple[str, ...]:
    """Cloudflare's reasons without those that name a recipient outside, or the domain of one."""
    outside = frozenset(address.strip().casefold() for address in recipients if not scope.covers(address))
    return tuple(reason for reason in reasons if not _names_any(reason, outside))


def trimmed_detections(detections: Detections, message: Message) -> Detections:
    """Findings without those that name recipients left out of the message."""
    if not isinstance(message, TrimmedMessage) or not message.outside:
        return detections
    kept = tuple(finding for finding in detections.findings if not _names_any(_said_by(finding), message.outside))
    return msgspec.structs.replace(detections, findings=kept)


def line_inside(text: str, message: Message, scope: Scope) -> str:
    """A line of a log as its reader may have it: "" where it names recipients elsewhere, else without their number."""
    if scope.is_whole:
        return text
    known = {address.casefold() for address in (message.from_, message.envelope_from, message.replyto) if address}
    named = (found.casefold() for found in _ADDRESS.findall(text.replace("=", " ")))
    if any(not scope.covers(found) and found not in known for found in named):
        return ""
    if not isinstance(message, TrimmedMessage) or not message.outside:
        return text
    return "" if _names_any(text, message.outside) else _NUMBER.sub(lambda found: f"{found[1] or found[2]}…", text)


def _names_any(text: str, outside: frozenset[str]) -> bool:
    said = text.casefold()
    return any(address in said or (domain_of(address) or address) in said for address in outside)


def _said_by(answer: Finding | MessageProperties) -> str:
    return " ".join(str(value) for value in msgspec.structs.astuple(answer) if isinstance(value, str))


def known_among(member: Member, investigate_ids: Iterable[str]) -> list[str]:
    """Those of which our own rows say that this member may know of them. Asks Cloudflare nothing.

    Reports that stand alone on the desk are named by the key of their case.
    """
    ids = list(dict.fromkeys(investigate_ids))
    if member.scope.is_whole or not ids:
        return ids
    inside, known = member.scope.q("domains"), set[str]()
    ours = Case.objects.filter(inside, account_id=settings.CLOUDFLARE_ACCOUNT_ID, key__in=ids)
    known.update(ours.values_list("key", flat=True))
    known.update(ActionItem.objects.filter(inside, investigate_id__in=ids).values_list("investigate_id", flat=True))
    return [name for name in ids if name in known]


def is_known_to(member: Member, investigate_id: str) -> bool:
    """The same for one message that the member has open, of which a copy is kept."""
    if member.scope.is_whole or known_among(member, [investigate_id]):
        return True
    message = store.kept_as(Message, investigate_id, Kept.MESSAGE)
    return message is not None and member.scope.sees(message.mailboxes)
