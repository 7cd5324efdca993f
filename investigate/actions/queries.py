"""Actions as pages show them."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec.types import Message
from dashboard.sql import fetch
from dashboard.upstream.health import worker_beat, worker_is_alive
from investigate.actions import words
from investigate.actions.feasibility import MOVE_KEYS, ActionOffer, possible_actions
from investigate.actions.within import end_of, is_within, receipts_within, theirs, trim
from investigate.fixing.entrance import Entrance, entrance
from investigate.models import (
    LIVE_JOBS,
    OPEN_STATES,
    Action,
    ActionItem,
    ActionKind,
    ActionState,
    Approval,
    ApprovalState,
    BulkJob,
    Receipt,
)
from investigate.rules.entrance import RuleEntrance, entrances

MOST_LISTED = 100
_POLLS = (1, 2, 3, 5)  # seconds between the first polls of an open action; the last one repeats
_SHORT_WINDOW = 2  # seconds of waiting that are worth no poll of their own schedule
_LONGEST_REST = 30  # seconds; a pause may be longer than that, and its owner may undo it on another page
_LATE = 10  # seconds after its time; then the row says why it still waits

_NOTHING_DONE = (ActionState.SKIPPED, ActionState.CANCELLED)  # of a job's message: what was done before still stands
_ACTED = (
    "SELECT i.investigate_id, i.state, i.job_id, i.action_id, a.needs_person,"
    " (SELECT count(*) FROM investigate_receipt r WHERE r.item_id = i.id),"
    " (SELECT count(*) FROM investigate_receipt r WHERE r.item_id = i.id AND r.is_done)"
    " FROM investigate_actionitem i LEFT JOIN investigate_action a ON a.id = i.action_id"
    " LEFT JOIN investigate_bulkjob j ON j.id = i.job_id WHERE i.investigate_id IN %s AND (i.job_id IS NULL"
    " OR i.state NOT IN %s AND (i.action_id IS NOT NULL OR i.state <> %s OR j.state IN %s))"
    " ORDER BY coalesce(a.created_at, j.decided_at) DESC"
)

_WITH_APPROVAL = Action.objects.select_related("approval")
_OF_A_JOB = ("kind", "destination", "expected_disposition", "actor_name", "scope")


@dataclass(frozen=True)
class ActionView:
    """The newest action on one message, as a row, a pane or a list shows it."""

    action: Action
    investigate_id: str
    state: str
    text: str  # a few words
    copies: int = 0
    done: int = 0

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_polling(self) -> bool:
        """An action that waits for a person changes by a person only; then every open page is told."""
        return self.is_open and not self.action.needs_person and self.state != ActionState.AWAITING_APPROVAL

    @property
    def is_shown(self) -> bool:
        """What was undone leaves no trace where messages are listed; what somebody refused does."""
        return self.state != ActionState.CANCELLED or self.was_not_approved

    @property
    def approval(self) -> Approval | None:
        """The request for a second person, where it took one; read together with the action."""
        return request_for(self.action)

    @property
    def was_not_approved(self) -> bool:
        return self.approval is not None and self.approval.state in (ApprovalState.REFUSED, ApprovalState.EXPIRED)

    @property
    def has_countdown(self) -> bool:
        return self.state == ActionState.WAITING and seconds_left(self.action) > 0

    @property
    def url(self) -> str:
        return reverse("investigate:action", args=[self.action.pk])

    def may_undo(self, member: Member) -> bool:
        """Whether Undo is shown: while the time given for it runs, to who decided it and to who approved it."""
        approver = self.approval.decided_by_id if self.approval is not None else None
        return self.has_countdown and member.pk in (self.action.actor_id, approver)

    @property
    def first_delay(self) -> int:
        return self.poll_after(0)[0]

    @property
    def first_poll(self) -> int:
        return self.poll_after(0)[1]

    def poll_after(self, number: int) -> tuple[int, int]:
        """(seconds until the next poll, its number). While its time to be sent is ahead, an action is left alone."""
        left = seconds_left(self.action) if self.state == ActionState.WAITING else 0.0
        if left > _SHORT_WINDOW:
            return min(math.ceil(left) + 1, _LONGEST_REST), 0
        return _POLLS[min(max(number, 0), len(_POLLS) - 1)], number + 1


@dataclass(frozen=True)
class JobItemView:
    """One message of a job, where an action of its own would stand. The job's page tells how it goes on."""

    job_id: uuid.UUID
    investigate_id: str
    state: str
    text: str
    is_hidden: bool = False  # whether the job holds more than its reader may see

    is_polling = has_countdown = False
    is_shown = True

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES or self.state == ActionState.QUEUED

    @property
    def url(self) -> str:
        if self.is_hidden:
            return f"{reverse('investigate:message', args=[self.investigate_id])}?tab=history"
        return reverse("investigate:job", args=[self.job_id])

    def may_undo(self, member: Member) -> bool:  # noqa: ARG002  a message has no undo of its own in a job
        return False


@dataclass(frozen=True)
class Listed:
    """One line of the list of actions, and the receipt page."""

    action: Action
    sentence: str
    items: list[ActionItem] = field(default_factory=list)
    copies: list[Receipt] = field(default_factory=list)  # those its reader may know of

    @property
    def investigate_id(self) -> str:
        return self.items[0].investigate_id if self.items else ""

    @property
    def subject(self) -> str:
        return self.items[0].subject if self.items else ""

    @property
    def approval(self) -> Approval | None:
        return request_for(self.action)

    @property
    def offers_missed(self) -> bool:
        """Whether Cloudflare refused to look at it by its alert: then it can be reported as mail that was missed."""
        is_refused = self.action.kind == ActionKind.RECLASSIFY and self.action.state == ActionState.FAILED
        return is_refused and any(item.alert_id and not item.facts.get("as_missed") for item in self.items)

    @property
    def receipts(self) -> list[tuple[str, str, str]]:
        """(state, recipient, what became of the copy)"""
        return [(receipt.state, receipt.recipient, words.receipt(self.action.kind, receipt)) for receipt in self.copies]

    @property
    def looks(self) -> list[tuple[dt.datetime, str]]:
        """(when, what was found) of each look at an outcome that was not known."""
        return [(dt.datetime.fromisoformat(look["at"]), look["found"]) for look in self.action.evidence]

    @property
    def what(self) -> str:
        """ "Moves 1 message to Junk", whatever became of it."""
        action = self.action
        return words.future(
            action.kind, action.destination, action.expected_disposition, messages=max(1, len(self.items))
        )


@dataclass(frozen=True)
class Foot:
    """The actions below a message: every offer in its place, and why those that cannot work cannot."""

    message: Message
    moves: list[ActionOffer]
    folders: list[ActionOffer]
    release: ActionOffer
    submissions: list[ActionOffer]
    obvious: ActionOffer | None  # Shift+C: clean for a detection, malicious for clean mail
    key: str  # operation key of the forms; each form adds its own ending
    entrance: Entrance | None = None  # to putting it right; None for clean mail
    rules: Sequence[RuleEntrance] = ()

    @property
    def obvious_button(self) -> ActionOffer | None:
        """The obvious submission with a label that can stand alone."""
        return None if self.obvious is None else replace(self.obvious, label=f"As {self.obvious.label}")

    @property
    def takes_file(self) -> bool:
        """Clean mail cannot be fetched from the service; the analyst may have it as a file."""
        return not self.message.alert_id and any(offer.is_enabled for offer in self.submissions)

    @property
    def why_not(self) -> list[tuple[str, str]]:
        """(label, reason) of what no form of an action gets around, each reason once."""
        said: dict[str, list[str]] = {}
        for group, offers in (("Move", self.moves), ("Release", [self.release]), ("Submit as", self.submissions)):
            reasons = {offer.why_not for offer in offers}
            if len(reasons) == 1:
                said.setdefault(next(iter(reasons)), []).append(group)
        for way in self.rules[:1]:  # the others are in a menu, which says its reasons itself
            said.setdefault(way.why_not, []).append("Block")
        return [(", ".join(labels), reason) for reason, labels in said.items() if reason]

    @property
    def folders_why_not(self) -> list[tuple[str, str]]:
        """(label, reason) of the folders that cannot be moved to though others can, each reason once."""
        if len({offer.why_not for offer in self.moves}) == 1 and self.moves[0].why_not:
            return []
        said: dict[str, list[str]] = {}
        for offer in self.folders:
            if offer.why_not:
                said.setdefault(offer.why_not, []).append(offer.label)
        return [(", ".join(labels), reason) for reason, labels in said.items()]


def states_for(investigate_ids: Iterable[str], scope: Scope = WHOLE) -> dict[str, ActionView | JobItemView]:
    """The newest action on each of the messages, or their place in a job; messages nobody acted on are missing.

    For somebody limited to a scope, what was done in part is counted among the copies inside.
    """
    # Plain rows: all messages of a page may be in one job, and a hundred objects would cost as much as the page itself.
    ids = list(investigate_ids)
    newest: dict[str, tuple[Any, ...]] = {}
    for row in fetch(_ACTED, ids, _NOTHING_DONE, ActionState.QUEUED, LIVE_JOBS) if ids else []:
        newest.setdefault(row[0], row)
    if not scope.is_whole:
        newest = _counted_within(newest, scope)
    single = [action_id for _, _, job_id, action_id, *_ in newest.values() if job_id is None]
    actions = _WITH_APPROVAL.defer("request", "looking", "evidence").in_bulk(single) if single else {}
    in_jobs = {job_id for _, _, job_id, *_ in newest.values() if job_id is not None}
    jobs = BulkJob.objects.only(*_OF_A_JOB).in_bulk(list(in_jobs)) if in_jobs else {}
    found: dict[str, ActionView | JobItemView] = {}
    for name, state, job_id, action_id, needs_person, copies, done in newest.values():
        if job_id is not None:
            if job := jobs.get(_uuid(job_id)):
                is_hidden = not is_within(job.scope, scope)
                found[name] = _job_view(
                    job, name, state, needs_person=needs_person, copies=copies, done=done, is_hidden=is_hidden
                )
        elif action := actions.get(_uuid(action_id)):
            action.state = action.state if scope.is_whole else state
            found[name] = ActionView(action, name, action.state, _text(action, copies, done), copies, done)
    return {name: view for name, view in found.items() if view.is_shown}


def _counted_within(acted: dict[str, tuple[Any, ...]], scope: Scope) -> dict[str, tuple[Any, ...]]:
    """The same rows with the copies inside alone, where some were done and others not."""
    partly = [name for name, row in acted.items() if row[1] == ActionState.PARTLY_DONE]
    if not partly:
        return acted
    inside: dict[tuple[str, Any], list[Receipt]] = {}
    receipts = Receipt.objects.filter(item__investigate_id__in=partly).select_related("item")
    for receipt in receipts_within(receipts.defer("item__attachment", "item__facts"), scope):
        inside.setdefault((receipt.item.investigate_id, receipt.item.action_id), []).append(receipt)
    counted = dict(acted)
    for name in partly:
        of, _, job_id, action_id, needs_person, *_ = acted[name]
        if copies := inside.get((name, _uuid(action_id))):
            done = sum(bool(copy.is_done) for copy in copies)
            counted[name] = (of, end_of(copies), job_id, action_id, needs_person, len(copies), done)
    return counted


def view_of(action: Action, scope: Scope = WHOLE) -> ActionView:
    """One action of one message."""
    item = (
        action.items.annotate(copies=Count("receipts"), done=Count("receipts", filter=Q(receipts__is_done=True)))
        .order_by("pk")[:1]
        .get()
    )
    if not scope.covers_domains(item.domains):
        copies = trim(action, list(item.receipts.all()), scope, item.domains)
        return _action_view(item, action, len(copies), sum(bool(copy.is_done) for copy in copies))
    return _action_view(item, action, item.copies, item.done)


def request_for(action: Action) -> Approval | None:
    """The request for a second person, where the action took one."""
    approval: Approval | None = getattr(action, "approval", None)
    return approval


def chunk_poll(number: int) -> tuple[int, int]:
    """(seconds until the next poll, its number) of the receipt of a chunk."""
    return _POLLS[min(max(number, 0), len(_POLLS) - 1)], number + 1


def seconds_left(action: Action) -> float:
    """Until the action is sent; negative once its time has come."""
    return (action.due_at - timezone.now()).total_seconds()


def is_newest(action: Action, investigate_id: str) -> bool:
    """Whether nobody has acted on the message since."""
    return not Action.objects.filter(items__investigate_id=investigate_id, created_at__gt=action.created_at).exists()


def listed(action: Action, member: Member | None = None) -> Listed:
    """One action with everything known about it, as `member` reads it (None: who decided it)."""
    return _listed(action, list(action.items.prefetch_related("receipts")), member)


def _listed(action: Action, items: list[ActionItem], member: Member | None) -> Listed:
    scope = WHOLE if member is None else member.scope
    copies = [copy for item in items for copy in trim(action, item.receipts.all(), scope, item.domains)]
    is_own = member is None or action.actor_id == member.pk
    return Listed(action, words.sentence(action, copies, messages=len(items), is_own=is_own), items, copies)


def latest(member: Member, show: str = "") -> list[Listed]:
    """Everybody's newest actions, those of jobs left out; `show`: mine, open, unknown, person, released; else all."""
    actions: QuerySet[Action] = theirs(Action.objects.filter(job=None), member.scope).order_by("-created_at")
    match show:
        case "mine":
            actions = actions.filter(actor=member)
        case "open":
            actions = actions.filter(state__in=OPEN_STATES)
        case "unknown":
            actions = actions.filter(state=ActionState.UNKNOWN)
        case "person":
            actions = actions.filter(needs_person=True)
        case "released":
            actions = actions.filter(kind=ActionKind.RELEASE)
    newest = actions.select_related("approval").prefetch_related("items__receipts")[:MOST_LISTED]
    return [_listed(action, list(action.items.all()), member) for action in newest]


def announcement(action: Action, member: Member | None = None) -> str:
    """The sentence that is read out after a click."""
    told = listed(action, member).sentence
    if action.state == ActionState.WAITING and not (action.bell_rang and worker_is_alive()):
        told = told.removesuffix(" Sends now.").removesuffix(" Waiting to be sent.")
        return f"Queued; the worker is offline, and nothing is lost. {told}"
    return told


def foot(message: Message, member: Member) -> Foot:
    """Everything the foot of a message needs."""
    offers = possible_actions(message, member)
    folders = [offer for offer in offers if offer.kind == ActionKind.MOVE]
    submissions = [offer for offer in offers if offer.kind == ActionKind.RECLASSIFY]
    wanted = "MALICIOUS" if (message.final_disposition or "NONE") == "NONE" else "NONE"
    by_destination = {offer.destination: offer for offer in folders}
    return Foot(
        message=message,
        moves=[by_destination[destination] for destination in MOVE_KEYS],
        folders=folders,
        release=next(offer for offer in offers if offer.kind == ActionKind.RELEASE),
        submissions=submissions,
        obvious=next((offer for offer in submissions if offer.expected_disposition == wanted), None),
        key=uuid.uuid4().hex,
        entrance=entrance(message, member, offers),
        rules=entrances(message, member),
    )


def _uuid(key: uuid.UUID | str) -> uuid.UUID:
    """SQLite gives keys as they are stored."""
    return key if isinstance(key, uuid.UUID) else uuid.UUID(key)


def _job_view(
    job: BulkJob,
    investigate_id: str,
    state: str,
    *,
    needs_person: bool | None,
    copies: int,
    done: int,
    is_hidden: bool = False,
) -> JobItemView:
    text = words.outcome(job, state, done=done, copies=copies)
    if state == ActionState.QUEUED:
        text = f"queued in {job.actor_name}'s job"
    elif state == ActionState.UNKNOWN and needs_person:
        text = "unknown, needs a person"
    return JobItemView(job.pk, investigate_id, state, text, is_hidden=is_hidden)


def _action_view(item: ActionItem, action: Action, copies: int, done: int) -> ActionView:
    return ActionView(action, item.investigate_id, action.state, _text(action, copies, done), copies, done)


def _text(action: Action, copies: int, done: int) -> str:
    late = -seconds_left(action) if action.state == ActionState.WAITING else 0
    if late > _LATE:
        beat = worker_beat()
        return words.overdue((timezone.now() - beat).total_seconds() if beat else None)
    told = words.short(action, done=done, copies=copies, is_overdue=late >= 0)
    approval = request_for(action)
    return told if approval is None else words.with_second_person(told, action, approval)
