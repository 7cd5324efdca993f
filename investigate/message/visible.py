"""The one gate to a message: what a member may know of it, or the NotFound that an unknown id gets.

Every view that is given an investigate id goes through here. For members who are limited to some recipient domains the
message comes without the recipients elsewhere, and a foreign id takes the same calls and queries as an unknown one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.emailsec.rows import MessageRow
from dashboard.emailsec.types import Message
from investigate.message import parts
from investigate.message.parts import Opened

OUTSIDE = "Copies also went to mailboxes outside your domains; a colleague without that limit must act."
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"'@]+")


class TrimmedMessage(Message, frozen=True):
    """A message without the recipients its reader may not know of."""

    hides_copies: bool = False
    """Whether some of its copies are among those left out; then the reader cannot act on it."""


def message_for(member: Member, investigate_id: str) -> Message:
    """The message as it is now. Raises NotFound, and what the call raises."""
    return trimmed(parts.read_message(investigate_id, scope=member.scope), member.scope)


def seen_for(member: Member, investigate_id: str) -> Message:
    """The message as somebody last saw it: enough for parts, which only ask what cannot change."""
    return trimmed(parts.seen_message(investigate_id, scope=member.scope), member.scope)


def opened_for(member: Member, investigate_id: str) -> Opened:
    """The message beside its detections, or beside what kept them from being read."""
    opened = parts.open_message(investigate_id, scope=member.scope)
    return opened if member.scope.is_whole else replace(opened, message=trimmed(opened.message, member.scope))


def hides_copies(message: object) -> bool:
    """Whether copies went to mailboxes the reader may not know of: the one thing about them that is told."""
    return isinstance(message, TrimmedMessage) and message.hides_copies


def trimmed(message: Message, scope: Scope) -> Message:
    """The message with the recipients inside the scope alone, and the states of their copies."""
    if scope.is_whole:
        return message
    values: dict[str, Any] = {name: getattr(message, name) for name in Message.__struct_fields__}
    return TrimmedMessage(
        **values
        | {
            "to": scope.inside(message.to),
            "to_name": message.to_name if scope.covers_all(message.to) else (),
            "envelope_to": scope.inside(message.envelope_to),
            "client_recipients": scope.inside(message.client_recipients),
            "delivery_status": statuses_inside(message, scope),
            "hides_copies": not scope.covers_all(message.mailboxes),
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
        wire_delivery_status=statuses_inside(row, scope),
    )


def statuses_inside(message: Message | MessageRow, scope: Scope) -> tuple[Any, ...]:
    """The states of the copies inside; where it is not told which copy a state is of, only one that all share."""
    copies, statuses = message.mailboxes, message.delivery_status
    if scope.covers_all(copies):
        return statuses
    if len(copies) == len(statuses):
        return tuple(status for copy, status in zip(copies, statuses, strict=True) if scope.covers(copy))
    return statuses[:1] if len(set(statuses)) == 1 else ()


def names_an_outsider(text: str, message: Message, scope: Scope) -> bool:
    """Whether a line of a log names an address that the reader may not know of; senders' own may be named."""
    known = {address.casefold() for address in (message.from_, message.envelope_from, message.replyto) if address}
    return any(
        not scope.covers(found) and found.casefold() not in known for found in _ADDRESS.findall(text.replace("=", " "))
    )
