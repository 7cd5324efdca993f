"""Rules made from messages, as pages show them."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from investigate.message.history import Event
from investigate.rules import words
from settings_ui.entries import transitions
from settings_ui.entries import words as entry_words
from settings_ui.models import (
    OPEN_CHANGES,
    Change,
    ChangeState,
    Entry,
    EntryState,
    Line,
    Origin,
    Source,
    StepState,
)

MOST_EVENTS = 50
_POLLS = (1, 2, 3, 5)  # seconds between the first looks at a rule under way; the last one repeats
MOST_POLLS = 120  # ten minutes; whoever still looks then presses a button
_SHOWN = {
    ChangeState.DRAFT: "queued",
    ChangeState.AWAITING_APPROVAL: "awaiting_approval",
    ChangeState.WAITING: "waiting",
    ChangeState.RUNNING: "sending",
    ChangeState.DONE: "done",
    ChangeState.PARTLY: "partly_done",
    ChangeState.FAILED: "failed",
    ChangeState.CANCELLED: "cancelled",
}
_SHOWN_ENTRY = {EntryState.ACTIVE: "done", EntryState.REMOVING: "sending", EntryState.REMOVED: "cancelled"}


@dataclass(frozen=True)
class RuleView:
    """One rule under way or made: what is true about it. `member` decides which links are shown."""

    state: str  # as `data-state` knows it
    text: str
    sentence: str
    label: str
    who: str
    reason: str
    ticket: str
    at: dt.datetime
    investigate_id: str
    audit_sequence: int | None
    url: str
    look_url: str = ""
    undo_url: str = ""
    undo_until: dt.datetime | None = None
    more_url: str = ""  # all about it, for those who may see the account's settings
    is_open: bool = False

    def poll_after(self, number: int) -> tuple[int, int]:
        """(seconds until the next look, its number); 0 where nobody looks by itself any more."""
        if not self.is_open or number >= MOST_POLLS:
            return 0, number
        return _POLLS[min(max(number, 0), len(_POLLS) - 1)], number + 1


class ChangeView:
    """A change that was made from a message, read once."""

    def __init__(self, change: Change) -> None:
        self.change = change

    @cached_property
    def line(self) -> Line | None:
        return next(iter(self.change.lines.all()), None)

    @cached_property
    def is_unknown(self) -> bool:
        return any(step.state == StepState.UNKNOWN for step in self.change.steps.all())

    @property
    def label(self) -> str:
        return self.line.label if self.line else ""

    @property
    def state(self) -> str:
        if self.is_unknown:
            return "unknown"
        is_paused = any(step.state == StepState.WAITING for step in self.change.steps.all())
        if self.change.state == ChangeState.RUNNING and is_paused:
            return "waiting"
        return _SHOWN[ChangeState(self.change.state)]


def changes_of(member: Member) -> QuerySet[Change]:
    """Changes that were made from messages, of which this member may know: their own, or all of the settings'."""
    found = Change.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=Source.MESSAGE)
    return found if member.may(Permission.POLICY_READ) else found.filter(actor=member)


def accepted_of(member: Member) -> QuerySet[Entry]:
    """Senders that were accepted, the same way."""
    found = transitions.of_account().filter(origin=Origin.ACCEPT)
    return found if member.may(Permission.POLICY_READ) else found.filter(owner=member)


def view_of(change: Change, member: Member) -> RuleView:
    seen = ChangeView(change)
    is_reader = may_read(member)
    return RuleView(
        state=seen.state,
        text=words.short(change, seen.state),
        sentence=words.made(change, seen.label),
        label=seen.label,
        who=change.actor_name,
        reason=change.reason,
        ticket=change.ticket,
        at=change.created_at,
        investigate_id=change.investigate_id,
        audit_sequence=change.audit_sequence,
        url=reverse("investigate:rule", args=[change.pk]),
        look_url=reverse("investigate:look_at_rule", args=[change.pk]) if seen.is_unknown else "",
        more_url=reverse("settings:change", args=[change.pk]) if is_reader else "",
        is_open=change.state in OPEN_CHANGES,
    )


def accepted_view(entry: Entry, member: Member) -> RuleView:
    is_before = entry.state == EntryState.WAITING and not entry.attempt and entry.owner_id == member.pk
    return RuleView(
        state=_SHOWN_ENTRY.get(EntryState(entry.state), str(entry.state)),
        text=entry_words.short(entry),
        sentence=entry_words.sentence(entry),
        label=entry.pattern,
        who=entry.owner_name,
        reason=entry.reason,
        ticket=entry.ticket,
        at=entry.created_at,
        investigate_id="",
        audit_sequence=entry.audit_sequence,
        url=reverse("investigate:accepted", args=[entry.pk]),
        undo_url=reverse("investigate:undo_accepted", args=[entry.pk]) if is_before else "",
        undo_until=entry.due_at if is_before else None,
        more_url=reverse("settings:entry", args=["allow-policies", entry.upstream_id])
        if entry.upstream_id and entry.state == EntryState.ACTIVE and may_read(member)
        else "",
        is_open=entry.state in (EntryState.WAITING, EntryState.SENDING, EntryState.UNKNOWN, EntryState.REMOVING),
    )


def events_of(investigate_id: str, member: Member) -> list[Event]:
    """Rules that were made from a message, for its time line."""
    found = Change.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=Source.MESSAGE, investigate_id=investigate_id
    ).prefetch_related("lines", "steps")
    return [_event(ChangeView(change), member) for change in found.order_by("-created_at")[:MOST_EVENTS]]


def _event(seen: ChangeView, member: Member) -> Event:
    change = seen.change
    return Event(
        at=change.created_at,
        is_ours=True,
        who=change.actor_name,
        sentence=words.event(change, seen.label),
        reason=change.reason,
        state=seen.state,
        url=_url_for(change, member),
        url_says="Receipt",
    )


def one_change(change_id: uuid.UUID, member: Member) -> Change | None:
    return changes_of(member).prefetch_related("lines", "steps").filter(pk=change_id).first()


def _url_for(change: Change, member: Member) -> str:
    may_open = member.scope.is_whole and (member.may(Permission.POLICY_READ) or change.actor_id == member.pk)
    return reverse("investigate:rule", args=[change.pk]) if may_open else ""


def may_read(member: Member) -> bool:
    """Whether links into the account's settings lead anywhere for this member."""
    return member.may(Permission.POLICY_READ) and member.scope.is_whole
