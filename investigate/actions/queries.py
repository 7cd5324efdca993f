"""Actions as pages show them."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.sql import fetch
from dashboard.upstream.health import worker_beat, worker_is_alive
from investigate.actions import words
from investigate.actions.feasibility import MOVE_KEYS, ActionOffer, possible_actions
from investigate.models import LIVE_JOBS, OPEN_STATES, Action, ActionItem, ActionKind, ActionState, BulkJob

MOST_LISTED = 100
_POLLS = (1, 2, 3, 5)  # seconds between the first polls of an open action; the last one repeats
_SHORT_WINDOW = 2  # seconds of waiting that are worth no poll of their own schedule
_LONGEST_REST = 30  # seconds; a pause may be longer than that, and its owner may undo it on another page
_LATE = 10  # seconds after its time; then the row says why it still waits

_NOTHING_DONE = (ActionState.SKIPPED, ActionState.CANCELLED)  # of a job's message: what was done before still stands
_ACTED = (
    "SELECT id FROM investigate_actionitem WHERE investigate_id IN %s"
    " AND (job_id IS NULL OR state NOT IN %s AND (action_id IS NOT NULL OR state = %s))"
)


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
        """An action that waits for a person changes by a person only."""
        return self.is_open and not self.action.needs_person

    @property
    def has_countdown(self) -> bool:
        return self.state == ActionState.WAITING and seconds_left(self.action) > 0

    @property
    def url(self) -> str:
        return reverse("investigate:action", args=[self.action.pk])

    def may_undo(self, member: Member) -> bool:
        """Whether Undo is shown: while the time given for it runs."""
        return self.has_countdown and self.action.actor_id == member.pk

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

    job: BulkJob
    investigate_id: str
    state: str
    text: str

    is_polling = has_countdown = False

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES or self.state == ActionState.QUEUED

    @property
    def url(self) -> str:
        return reverse("investigate:job", args=[self.job.pk])

    def may_undo(self, member: Member) -> bool:  # noqa: ARG002  a message has no undo of its own in a job
        return False


@dataclass(frozen=True)
class Listed:
    """One line of the list of actions, and the receipt page."""

    action: Action
    sentence: str
    items: list[ActionItem] = field(default_factory=list)

    @property
    def investigate_id(self) -> str:
        return self.items[0].investigate_id if self.items else ""

    @property
    def subject(self) -> str:
        return self.items[0].subject if self.items else ""

    @property
    def receipts(self) -> list[tuple[str, str, str]]:
        """(state, recipient, what became of the copy)"""
        return [
            (receipt.state, receipt.recipient, words.receipt(self.action.kind, receipt))
            for item in self.items
            for receipt in item.receipts.all()
        ]

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


def states_for(investigate_ids: Iterable[str]) -> dict[str, ActionView | JobItemView]:
    """The newest action on each of the messages, or their place in a job; messages nobody acted on are missing."""
    # Most pages hold no message that somebody acted on, and finding that out costs a fraction of the whole question.
    ids = list(investigate_ids)
    acted = fetch(_ACTED, ids, _NOTHING_DONE, ActionState.QUEUED) if ids else []
    if not acted:
        return {}
    items = (
        ActionItem.objects.filter(
            Q(action__isnull=False) | Q(job__state__in=LIVE_JOBS), pk__in=[key for (key,) in acted]
        )
        .defer("attachment", "recipients", "message_id", "subject", "facts")
        .select_related("action", "job")
        .defer(
            "action__request", "action__looking", "action__evidence", "job__progress", "job__not_found", "job__query"
        )
        .annotate(copies=Count("receipts"), done=Count("receipts", filter=Q(receipts__is_done=True)))
        .annotate(decided=Coalesce("action__created_at", "job__decided_at"))
        .order_by("-decided")
    )
    found: dict[str, ActionView | JobItemView] = {}
    for item in items:
        if item.investigate_id not in found:
            found[item.investigate_id] = _view(item, item.copies, item.done)
    return {name: view for name, view in found.items() if view.state != ActionState.CANCELLED}


def view_of(action: Action) -> ActionView:
    """One action of one message."""
    item = (
        action.items.annotate(copies=Count("receipts"), done=Count("receipts", filter=Q(receipts__is_done=True)))
        .order_by("pk")[:1]
        .get()
    )
    return _action_view(item, action, item.copies, item.done)


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
    items = list(action.items.prefetch_related("receipts"))
    receipts = [receipt for item in items for receipt in item.receipts.all()]
    is_own = member is None or action.actor_id == member.pk
    return Listed(action, words.sentence(action, receipts, messages=len(items), is_own=is_own), items)


def latest(member: Member, show: str = "") -> list[Listed]:
    """Everybody's newest actions, those of jobs left out; `show`: mine, open, unknown, person; anything else: all."""
    actions: QuerySet[Action] = Action.objects.filter(job=None).order_by("-created_at")
    match show:
        case "mine":
            actions = actions.filter(actor=member)
        case "open":
            actions = actions.filter(state__in=OPEN_STATES)
        case "unknown":
            actions = actions.filter(state=ActionState.UNKNOWN)
        case "person":
            actions = actions.filter(needs_person=True)
    found = []
    for action in actions.prefetch_related("items__receipts")[:MOST_LISTED]:
        items = list(action.items.all())
        receipts = [receipt for item in items for receipt in item.receipts.all()]
        told = words.sentence(action, receipts, messages=len(items), is_own=action.actor_id == member.pk)
        found.append(Listed(action, told, items))
    return found


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
    )


def _view(item: ActionItem, copies: int, done: int) -> ActionView | JobItemView:
    action, job = item.action, item.job
    if job is None:
        assert action is not None  # noqa: S101  every item has one of them, says the database
        return _action_view(item, action, copies, done)
    text = words.outcome(job, item.state, done=done, copies=copies)
    if item.state == ActionState.QUEUED:
        text = f"queued in {job.actor_name}'s job"
    elif item.state == ActionState.UNKNOWN and action is not None and action.needs_person:
        text = "unknown, needs a person"
    return JobItemView(job, item.investigate_id, item.state, text)


def _action_view(item: ActionItem, action: Action, copies: int, done: int) -> ActionView:
    return ActionView(action, item.investigate_id, action.state, _text(action, copies, done), copies, done)


def _text(action: Action, copies: int, done: int) -> str:
    late = -seconds_left(action) if action.state == ActionState.WAITING else 0
    if late > _LATE:
        beat = worker_beat()
        return words.overdue((timezone.now() - beat).total_seconds() if beat else None)
    return words.short(action, done=done, copies=copies, is_overdue=late >= 0)
