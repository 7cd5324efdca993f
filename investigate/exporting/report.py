"""A case on paper: one message or one campaign, with everything a reader needs who was not there.

Nothing is asked that the message page does not ask. A campaign is told from the memory, and its newest message is read
for the indicators in its body.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.types import Message
from investigate.actions import words
from investigate.actions.within import receipts_within
from investigate.campaigns.queries import Group, group_of, members_of
from investigate.desk.bar import bar_for
from investigate.desk.cases import cases_of
from investigate.desk.notes import NoteView, notes_on
from investigate.desk.words import verdict as verdict_of_team
from investigate.exporting import sources
from investigate.exporting.campaigns import reasons_of
from investigate.exporting.indicators import Indicator
from investigate.message import history
from investigate.message.head import head
from investigate.message.parts import Opened
from investigate.message.tabs import Visit, timeline, why_of
from investigate.message.visible import hides_copies
from investigate.message.wording import verdict_word
from investigate.models import (
    ActionItem,
    ActionKind,
    CampaignBy,
    Case,
    Evidence,
    SeenMessage,
    SeenSubmission,
)

MOST_MESSAGES = 200  # of a campaign, one by one
MOST_COPIES = 500
MOST_EVENTS = 200
MOST_NOTES = 100
_MOVING = (ActionKind.MOVE, ActionKind.RELEASE)

Done = tuple[str, dt.datetime | None]  # what was done, and when


@dataclass(frozen=True)
class Copy:
    """Where one mailbox's copy is, as far as is known: what Cloudflare said, and what we did to it since."""

    address: str
    status: str = ""
    done: str = ""
    done_at: dt.datetime | None = None


@dataclass(frozen=True)
class Part:
    """One message of a campaign with its copies."""

    row: SeenMessage
    verdict: str
    copies: Sequence[Copy]


def of_message(request: HttpRequest, member: Member, opened: Opened, *, has_notes: bool) -> dict[str, Any]:
    """The context of one message's report."""
    message = opened.message
    bar = bar_for(member, message.id)
    told = timeline(Visit(request, member, message))
    source = sources.of_message(member, opened)
    why = why_of(request, member, opened)
    return {
        "head": head(message, opened.detections),
        "message": message,
        "bar": bar,
        "copies": copies_of(message, member.scope),
        "hides_copies": hides_copies(message),
        "submissions": _submissions(member, postfix_ids=[message.postfix_id or ""]),
        "explanation": why["explanation"],
        "shows_body": why["shows_body"],
        "detections_error": opened.detections_error,
        "events": list(reversed(told["events"])),
        "log_error": told["log_error"],
        "notes": list(reversed(bar.notes)) if has_notes else [],
        "evidence": _evidence(member, [message.id]),
        **_told(member, source, request),
    }


def of_campaign(
    request: HttpRequest, member: Member, by: CampaignBy, key: str, *, has_notes: bool
) -> dict[str, Any] | None:
    """The context of a campaign's report; None where the member knows of no message of it."""
    group = group_of(member, by, key)
    source = sources.of_campaign(member, by, key)
    if group is None or source is None:
        return None
    rows = list(members_of(member, by, key)[: MOST_MESSAGES + 1])
    shown = rows[:MOST_MESSAGES]
    names = [row.investigate_id for row in shown]
    cases = list(cases_of(member).filter(key__in=names).order_by("verdict_at", "pk"))
    events = history.acts_on(names, member.scope)
    return {
        "group": group,
        "by": by,
        "dispositions": _dispositions(group),
        "members": _members(shown, member.scope),
        "left_out": max(0, group.count - len(shown)),
        "verdicts": _verdicts(cases),
        "submissions": _submissions(member, postfix_ids=[row.postfix_id for row in shown]),
        "reasons": Counter(reason for row in shown for reason in reasons_of(row, member.scope)).most_common(20),
        "events": list(reversed(events)),
        "notes": _notes(cases) if has_notes else [],
        "evidence": _evidence(member, names),
        **_told(member, source, request),
    }


def copies_of(message: Message, scope: Scope) -> list[Copy]:
    """Each mailbox of the message, as its reader may know of it."""
    copies = scope.copies_inside(message.mailboxes, [str(status) for status in message.delivery_status])
    done = _done_to([message.id], scope)
    return [
        _copy_of(name, status, is_held=message.is_quarantined, done=done.get(_copy(message.id, name)))
        for name, status in copies[:MOST_COPIES]
    ]


def _members(rows: Sequence[SeenMessage], scope: Scope) -> list[Part]:
    done = _done_to([row.investigate_id for row in rows], scope)
    return [
        Part(
            row,
            _verdict(row.disposition),
            [
                _copy_of(name, status, is_held=row.is_quarantined, done=done.get(_copy(row.investigate_id, name)))
                for name, status in scope.copies_inside(row.recipients, row.delivery_status)
            ],
        )
        for row in rows
    ]


def _copy_of(name: str, status: str, *, is_held: bool, done: Done | None) -> Copy:
    status = "quarantined" if is_held else status.replace("_", " ")
    return Copy(name, status, *(done or ()))


def _copy(investigate_id: str, address: str) -> tuple[str, str]:
    return investigate_id, address.strip().casefold()


def _done_to(investigate_ids: Iterable[str], scope: Scope) -> dict[tuple[str, str], Done]:
    """What our last finished move or release did to each copy: ("moved to Junk", when)."""
    items = (
        ActionItem.objects.filter(investigate_id__in=list(investigate_ids), action__kind__in=_MOVING)
        .select_related("action")
        .defer("attachment", "action__request", "action__looking", "action__evidence")
        .prefetch_related("receipts")
        .order_by("action__created_at")
    )
    found: dict[tuple[str, str], Done] = {}
    for item in items:
        action = item.action
        if action is None:
            continue
        did = "released" if action.kind == ActionKind.RELEASE else f"moved to {words.folder(action.destination)}"
        for receipt in receipts_within(item.receipts.all(), scope):
            if receipt.is_done and receipt.recipient:
                at = receipt.completed_at or action.finished_at
                found[_copy(item.investigate_id, receipt.recipient)] = (did, at)
    return found


def _submissions(member: Member, *, postfix_ids: Iterable[str]) -> list[SeenSubmission]:
    """Requests for review of these messages, oldest first."""
    ours = SeenSubmission.objects.filter(member.scope.q("domains"), account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    wanted = {name for name in postfix_ids if name}
    return list(ours.filter(postfix_id__in=wanted).order_by("requested_at", "pk")[:MOST_EVENTS])


def _evidence(member: Member, investigate_ids: Sequence[str]) -> list[Evidence]:
    ours = Evidence.objects.filter(member.scope.q("domains"), account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    return list(ours.filter(investigate_id__in=investigate_ids).defer("sealed").order_by("kept_at", "pk"))


def _dispositions(group: Group) -> list[tuple[str, int]]:
    return [(_verdict(name), count) for name, count in group.dispositions.items()]


def _verdict(disposition: str) -> str:
    return verdict_word(Disposition(disposition)) if disposition else "No verdict"


def _verdicts(cases: Iterable[Case]) -> list[tuple[str, int, str]]:
    """(the team's verdict, messages it was given to, by whom)."""
    given: dict[str, list[str]] = {}
    for case in cases:
        if case.verdict:
            given.setdefault(case.verdict, []).append(case.verdict_by)
    return [(verdict_of_team(verdict), len(names), ", ".join(dict.fromkeys(names))) for verdict, names in given.items()]


def _notes(cases: Iterable[Case]) -> list[NoteView]:
    found = [note for case in cases for note in notes_on(case)]
    return sorted(found, key=lambda note: note.at)[:MOST_NOTES]


def _told(member: Member, source: sources.Source, request: HttpRequest) -> dict[str, Any]:
    """The indicators that would be shared; what is ours or everybody's is counted alone."""
    sources.looked_at(member, source, request)
    kept: list[Indicator] = [one for one in source.shown if not one.why_not]
    return {"indicators": kept, "not_shared": len(source.found) - len(kept), "remarks": source.remarks}
