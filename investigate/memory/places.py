"""Where remembered copies are now: the latest of what the API said and what our own finished actions did.

There is one rule, in `place_now`, which the database works out for every list, page and figure. It is of copies: one
message can lie in an inbox here and in quarantine there, and a move can have reached some of its mailboxes alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from django.db.models import Case, CharField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Lower

from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec.enums import DeliveryStatus, MailboxDestination
from investigate.models import ActionItem, ActionKind, ActionState, Receipt, SeenCopy, SeenMessage

Place = Literal[
    "inbox", "quarantined", "junk", "trash", "deleted", "delivered", "released", "moved", "undelivered", "unknown"
]

WORDS: dict[Place, str] = {
    "inbox": "Inbox",
    "quarantined": "Quarantine",
    "junk": "Junk",
    "trash": "Trash",
    "deleted": "Deleted",
    "delivered": "Delivered",
    "released": "Released",
    "moved": "Moved",
    "undelivered": "Not delivered",
    "unknown": "Not known",
}
REACHABLE: tuple[Place, ...] = ("inbox", "delivered", "released")  # people can open it there
_OURS = frozenset({"inbox", "junk", "trash", "deleted", "released"})  # that only an action of ours tells
_FOLDERS: dict[str, Place] = {
    MailboxDestination.INBOX: "inbox",
    MailboxDestination.JUNK_EMAIL: "junk",
    MailboxDestination.DELETED_ITEMS: "trash",
    MailboxDestination.RECOVERABLE_ITEMS_DELETIONS: "deleted",
    MailboxDestination.RECOVERABLE_ITEMS_PURGES: "deleted",
}
_NOT_YET_THERE = frozenset(
    {DeliveryStatus.REJECTED, DeliveryStatus.DEFERRED, DeliveryStatus.BOUNCED, DeliveryStatus.QUEUED}
)


@dataclass(frozen=True)
class Where:
    """The copies of one message by their places, those that people can open first."""

    places: Sequence[tuple[Place, int]]

    @property
    def word(self) -> Place:
        """The place that counts most: a copy that somebody can open."""
        return self.places[0][0]

    @property
    def says(self) -> str:
        """ "Junk", or "Delivered: 1 of 3 copies" """
        (first, number), *others = self.places
        copies = number + sum(more for _, more in others)
        return f"{WORDS[first]}: {number} of {copies} copies" if others else WORDS[first]

    @property
    def is_reachable(self) -> bool:
        return self.word in REACHABLE

    @property
    def is_ours(self) -> bool:
        return self.word in _OURS


def told_place(statuses: Collection[str], *, is_held: bool) -> Place:
    """Where the API says a copy is; of the states of several, where it does not tell whose is whose, the worst one."""
    said = {str(status).casefold() for status in statuses}
    if said & {DeliveryStatus.DELIVERED, DeliveryStatus.MOVE_FAILED}:
        return "delivered"
    if DeliveryStatus.MOVED in said:
        return "moved"
    if is_held or DeliveryStatus.QUARANTINED in said:
        return "quarantined"
    return "undelivered" if said and said <= _NOT_YET_THERE else "unknown"


def placed(copies: QuerySet[SeenCopy]) -> QuerySet[SeenCopy]:
    """These with `place`, where each is now."""
    done = ActionItem.objects.filter(
        action__kind__in=[ActionKind.MOVE, ActionKind.RELEASE],
        action__finished_at__isnull=False,
        state__in=[ActionState.DONE, ActionState.PARTLY_DONE],
    )
    did = Case(
        When(action__kind=ActionKind.RELEASE, then=Value("released")),
        *[When(action__destination=folder, then=Value(place)) for folder, place in _FOLDERS.items()],
        default=Value("moved"),
        output_field=CharField(),
    )
    # What was seen after our action counts more. But where the API says no more than that it was moved or delivered,
    # only the action says where to, and how.
    is_later = Q(action__finished_at__gte=OuterRef("message__seen_at"))
    says_less = Q(told__in=["moved", "unknown", ""]) & ~Q(did="released")
    says_the_same = Q(told="delivered", did__in=["released", "inbox"])
    reached = Receipt.objects.annotate(name=Lower("recipient")).filter(
        item=OuterRef("pk"), is_done=True, name=OuterRef(OuterRef("address"))
    )
    last = (
        done.filter(investigate_id=OuterRef("message__investigate_id"))
        .annotate(did=did, told=ExpressionWrapper(OuterRef("told"), output_field=CharField()))
        # What was never delivered to a mailbox is reached where the answer names it alone.
        .filter((Q(state=ActionState.DONE) & ~Q(told="undelivered")) | Exists(reached))
        .order_by("-action__finished_at", "-pk")
        .annotate(place=Case(When(is_later | says_less | says_the_same, then=F("did")), default=F("told")))
        .values("place")[:1]
    )
    # Few messages were acted on: the others are spared the look at what was done to them.
    acted_on = Q(message__investigate_id__in=done.values("investigate_id"))
    place = Case(When(acted_on, then=Coalesce(Subquery(last), F("told"))), default=F("told"), output_field=CharField())
    return copies.annotate(place=place)


def where_now(rows: Sequence[SeenMessage], scope: Scope = WHOLE) -> dict[str, Where]:
    """By investigate id, of the copies inside the scope alone. One query, however many rows."""
    names = {row.pk: row.investigate_id for row in rows}
    copies = SeenCopy.objects.filter(scope.q_of_copies("domain"), message__in=list(names))
    found: dict[str, Counter[Place]] = {name: Counter() for name in names.values()}
    for message, place in placed(copies).values_list("message", "place"):
        found[names[message]][known(place)] += 1
    return {name: Where(_ordered(places)) for name, places in found.items()}


def known(place: str) -> Place:
    """A place as the database has it; what another version wrote is not known."""
    return cast("Place", place) if place in WORDS else "unknown"


def _ordered(places: Mapping[Place, int]) -> list[tuple[Place, int]]:
    most_first = sorted(places.items(), key=lambda pair: (pair[0] not in REACHABLE, -pair[1], pair[0]))
    return most_first or [("unknown", 0)]
