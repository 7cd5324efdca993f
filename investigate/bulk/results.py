"""The messages of a job and what became of each, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, OuterRef, Q, Subquery

from dashboard.access.scope import Scope
from investigate.actions.within import receipts_within
from investigate.actions.words import outcome, receipt
from investigate.bulk import words
from investigate.models import ActionItem, ActionState, BulkJob, Receipt

PAGE = 100
FILTERS = (
    ("", "All", None),
    ("refused", "Refused", (ActionState.FAILED,)),
    ("in_part", "In part", (ActionState.PARTLY_DONE,)),
    ("unknown", "Unknown", (ActionState.UNKNOWN,)),
    ("skipped", "Left out", (ActionState.SKIPPED,)),  # with those somebody else was faster with
    ("done", "Done", (ActionState.DONE,)),
    ("open", "Open", words.OPEN),
    ("cancelled", "Not sent", (ActionState.CANCELLED,)),
)


@dataclass(frozen=True)
class MessageView:
    """One message of a job as a row."""

    item: ActionItem
    text: str
    copies: int
    done: int
    refused: str = ""  # what was answered for the first copy that was refused, in the API's own words
    recipients: int = 0

    @property
    def told(self) -> str:
        """What happened to it, in a sentence where there is one."""
        return self.item.explanation or self.refused

    @property
    def sender(self) -> str:
        return str(self.item.facts.get("from") or "")


@dataclass(frozen=True)
class MessagePage:
    """One page of a job's messages; `next_after` 0: the last one."""

    rows: list[MessageView]
    after: int
    next_after: int

    @property
    def is_more(self) -> bool:
        """Whether rows stand above it already."""
        return self.after > 0


def messages_of(job: BulkJob, *, show: str = "", after: int = 0) -> MessagePage:
    """A page of the job's messages in their order."""
    states = next((states for value, _, states in FILTERS if value == show), None)
    keys = _keys_of(job, states or tuple(ActionState), after)
    refused = Receipt.objects.filter(item=OuterRef("pk"), is_done=False).exclude(status="").order_by("pk")
    found = list(
        ActionItem.objects.filter(pk__in=keys)
        .defer("attachment")
        .annotate(copies=Count("receipts"), done=Count("receipts", filter=Q(receipts__is_done=True)))
        .annotate(needs_person=F("action__needs_person"), refused=Subquery(refused.values("status")[:1]))
        .order_by("pk")
    )
    rows = [
        message_view(
            job,
            item,
            copies=item.copies,
            done=item.done,
            needs_person=bool(item.needs_person),
            refused=item.refused or "",
        )
        for item in found[:PAGE]
    ]
    return MessagePage(rows, after, found[PAGE - 1].pk if len(found) > PAGE else 0)


def _keys_of(job: BulkJob, states: Iterable[ActionState], after: int) -> list[int]:
    """Keys of a page and of the message below it, state by state: that is how the index has them in their order."""
    items = ActionItem.objects.filter(job=job, pk__gt=after).order_by("pk").values_list("pk", flat=True)
    return sorted(key for state in states for key in items.filter(state=state)[: PAGE + 1])[: PAGE + 1]


def message_view(
    job: BulkJob, item: ActionItem, *, copies: int, done: int, needs_person: bool, refused: str = ""
) -> MessageView:
    text = outcome(job, item.state, done=done, copies=copies)
    if item.state == ActionState.UNKNOWN and needs_person:
        text = "unknown, needs a person"
    elif item.state == ActionState.CANCELLED:
        text = "not sent"
    return MessageView(item, text, copies, done, refused, len(recipients_of(job, item)))


def copies_of(job: BulkJob, item: ActionItem) -> list[tuple[str, str, str]]:
    """(state, recipient, what became of the copy); copies nothing was answered for have none yet."""
    told = receipts_within(item.receipts.all(), Scope(frozenset(job.scope)))
    answered = [(copy.state, copy.recipient, receipt(job.kind, copy)) for copy in told]
    return answered or [("", str(recipient), "") for recipient in recipients_of(job, item)]


def recipients_of(job: BulkJob, item: ActionItem) -> tuple[str, ...]:
    """Whom of its recipients a job tells of: of those left out because copies went elsewhere, the ones inside."""
    return Scope(frozenset(job.scope)).inside(item.recipients)
