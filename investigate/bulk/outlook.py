"""What our own rows tell beforehand of messages: where they were moved, and which recipients' servers refuse."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.emailsec.enums import DeliveryStatus, Operation
from investigate.actions import words
from investigate.bulk.words import lasting
from investigate.models import LIVE_JOBS, OPEN_STATES, Action, ActionItem, ActionKind, ActionState, BulkJob, Receipt

NEVER_DELIVERED = (DeliveryStatus.REJECTED, DeliveryStatus.BOUNCED, DeliveryStatus.DEFERRED)
RECENT = dt.timedelta(days=7)
MOST_RECEIPTS = 2000  # the newest; they tell how the recipients' servers answer now
FEWEST_REFUSALS = 2
# The rest may have taken some copies elsewhere, too: what such a message holds now is for Cloudflare to say.
_CHANGES = (ActionState.DONE, ActionState.PARTLY_DONE, ActionState.UNKNOWN, ActionState.SENDING)


@dataclass(frozen=True)
class Moved:
    """Where the newest action on a message took all its copies, and whose it was."""

    destination: str
    actor_name: str

    @property
    def told(self) -> str:
        """ "Already moved to Junk by Ana."."""
        did = words.past(ActionKind.MOVE, self.destination)
        where = f" to {words.folder(self.destination)}" if did == "moved" else ""
        return f"Already {did}{where} by {self.actor_name}."


class Refusals(msgspec.Struct, frozen=True):
    """A recipient domain at which everything was refused lately, always for the same reason."""

    domain: str
    copies: int  # of the job there
    times: int
    status: str  # the API's own words


def moves_of(investigate_ids: Collection[str]) -> dict[str, Moved]:
    """By id, the messages that our newest action on them moved as a whole; one query."""
    acted = (
        ActionItem.objects.filter(
            investigate_id__in=investigate_ids,
            state__in=_CHANGES,
            action__kind__in=[ActionKind.MOVE, ActionKind.RELEASE],
        )
        .order_by("action__created_at", "pk")
        .values_list("investigate_id", "state", "action__kind", "action__destination", "action__actor_name")
    )
    newest = {
        investigate_id: Moved(destination, name) if (state, kind) == (ActionState.DONE, ActionKind.MOVE) else None
        for investigate_id, state, kind, destination, name in acted
    }
    return {investigate_id: moved for investigate_id, moved in newest.items() if moved is not None}


def undelivered(mailboxes: Collection[str], statuses: Collection[str]) -> set[str]:
    """The recipients whose own copy never came into a mailbox, where the message has a status for each copy."""
    if len(mailboxes) != len(statuses):
        return set()
    copies = list(zip(mailboxes, statuses, strict=True))
    never = {mailbox for mailbox, status in copies if status in NEVER_DELIVERED}
    return never - {mailbox for mailbox, status in copies if status not in NEVER_DELIVERED}


def was_moved(statuses: Collection[str], operations: Collection[str]) -> bool:
    """Whether Cloudflare shows the message as moved; it does not say where to."""
    return DeliveryStatus.MOVED in statuses or Operation.MOVE in operations


def refusing(kind: str, copies: Mapping[str, int]) -> list[Refusals]:
    """The domains of these copies where each recent action of this kind was refused with one reason, largest first."""
    since = timezone.now() - RECENT
    newest = Receipt.objects.order_by("-pk").values_list(
        "recipient", "is_done", "status", "item__action__kind", "item__action__finished_at"
    )[:MOST_RECEIPTS]
    ends: defaultdict[str, Counter[str | None]] = defaultdict(Counter)  # None: it worked, or nobody knows
    for recipient, is_done, status, of_kind, finished_at in newest:
        if of_kind == kind and finished_at is not None and finished_at >= since:
            ends[domain_of(recipient)][status if is_done is False else None] += 1
    found = []
    for domain, statuses in ends.items():
        ((status, times), *others) = statuses.most_common()
        if copies.get(domain) and not others and status is not None and times >= FEWEST_REFUSALS:
            found.append(Refusals(domain, copies[domain], times, status))
    return sorted(found, key=lambda refused: (-refused.copies, refused.domain))


def domain_of(recipient: str) -> str:
    return recipient.rpartition("@")[2].casefold()


# --- what happened, and what is about to happen, since the messages were collected ------------------------------------


@dataclass(frozen=True)
class Overlap:
    """Another job that is decided and has some of the same messages before it."""

    job: BulkJob
    messages: int
    is_linked: bool = True  # False: its reader may not see that job

    @property
    def whose(self) -> str:
        """ "Ana's job"."""
        return f"{self.job.actor_name}'s job"

    @property
    def told(self) -> str:
        """ "decided 3 s ago, holds 379 of these": what follows upon whose job it is."""
        ago = (timezone.now() - (self.job.decided_at or self.job.created_at)).total_seconds()
        return f"decided {lasting(ago)} ago, holds {self.messages:,} of these"


def why_acted_on(job: BulkJob) -> str:
    """Which messages of a rehearsal were acted on since they were collected, as a sentence, or ""."""
    if job.collected_at is None:
        return ""
    since = job.collected_at
    # Actions of some hours are few, whatever the number of messages: they come first.
    decided = Q(state__in=OPEN_STATES, created_at__gt=since)
    ended = Q(state__in=[ActionState.DONE, ActionState.PARTLY_DONE], finished_at__gt=since)
    actions = Action.objects.filter(decided | ended).exclude(job=job)
    acted = ActionItem.objects.filter(
        Exists(_waiting(job)),
        action__in=list(actions.values_list("pk", flat=True)),
        state__in=[ActionState.DONE, ActionState.PARTLY_DONE, *OPEN_STATES],
    )
    number = acted.aggregate(number=Count("investigate_id", distinct=True))["number"]
    if not number:
        return ""
    names = sorted(set(acted.order_by().values_list("action__actor_name", flat=True).distinct()))
    whom = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    were = "was" if number == 1 else "were"
    they = "it was" if number == 1 else "they were"
    return f"{number:,} of these {were} acted on since {they} collected, by {whom}. Collect again."


def overlaps(job: BulkJob) -> list[Overlap]:
    """Decided jobs whose turn on some of these messages is still to come, the largest first."""
    others = {
        other.pk: other
        for other in BulkJob.objects.filter(account_id=job.account_id, state__in=LIVE_JOBS).exclude(pk=job.pk)
    }
    if not others:
        return []
    held = ActionItem.objects.filter(Exists(_waiting(job)), job__in=list(others), state=ActionState.QUEUED)
    counts = held.order_by().values_list("job").annotate(number=Count("pk"))
    found = [Overlap(others[pk], number) for pk, number in counts]
    return sorted(found, key=lambda overlap: (-overlap.messages, overlap.job.created_at))


def _waiting(job: BulkJob) -> QuerySet[ActionItem]:
    return ActionItem.objects.filter(job=job, investigate_id=OuterRef("investigate_id"), state=ActionState.QUEUED)
