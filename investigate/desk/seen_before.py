"""Have we seen this before: what the team decided about mail from the same sender, or of the same make.

Four looks into an index and one at what was done, whatever the message; nothing outside the member's domains counts.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Q

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.web.text import split_address
from investigate.actions import words as action_words
from investigate.desk import words
from investigate.desk.cases import cases_of
from investigate.desk.queue import address_of
from investigate.models import ActionItem, ActionState, Case, CaseState

MOST_COUNTED = 200  # of one kind; beyond that "200 times or more" says enough
MOST_LISTED = 5
_CARRIED_OUT = (ActionState.DONE, ActionState.PARTLY_DONE)
_COLUMNS = ("key", "investigate_id", "subject", "sender_domain", "verdict", "verdict_by", "verdict_at", "state",
            "done_by", "done_at", "changed_at", "holder_name")  # fmt: skip


@dataclass
class Decision:
    """What was decided about one earlier message."""

    case: Case
    acts: list[str] = field(default_factory=list)  # what was done to it, newest first: "released"
    who: str = ""
    at: dt.datetime | None = None

    @property
    def words(self) -> str:
        """The verdict; without one what was done; at least that somebody was through with it."""
        if self.case.verdict:
            return words.verdict(self.case.verdict)
        return self.acts[0] if self.acts else "done without a verdict"

    @property
    def href(self) -> str:
        return address_of(self.case)


@dataclass(frozen=True)
class Group:
    """Earlier messages that have one thing in common with this one."""

    name: str  # "This sender"
    decisions: list[Decision]

    @property
    def sentence(self) -> str:
        """ "This sender: 3 times before, 3 x false positive, last by Ana" and the template says when."""
        number = len(self.decisions)
        times = f"{number} times or more" if number >= MOST_COUNTED else f"{number} times" if number > 1 else "once"
        counted = Counter(decision.words for decision in self.decisions).most_common()
        told = ", ".join(f"{count} x {what}" for what, count in counted)
        return f"{self.name}: {times} before, {told}"

    @property
    def last(self) -> Decision:
        return self.decisions[0]


@dataclass(frozen=True)
class SeenBefore:
    groups: list[Group]
    newest: list[Decision]


def seen_before(member: Member, message: Message) -> SeenBefore:
    """Earlier decisions of the team, grouped by what they have in common with this message."""
    sender = (message.from_ or message.envelope_from or "").strip().casefold()
    asked = (
        ("This sender", Q(sender=sender[:500]) if sender else None),
        ("This sender's domain", _domain(sender)),
        ("This fingerprint", Q(edf_hash=message.edf_hash) if message.edf_hash else None),
        (
            "This structure",
            Q(structure_hash=message.htmltext_structure_hash) if message.htmltext_structure_hash else None,
        ),
    )
    found = [(name, _decided(member, condition, message.id)) for name, condition in asked if condition is not None]
    every = {case.pk: Decision(case) for _, listed in found for case in listed}
    _add_acts(every)
    groups = [Group(name, _newest_first(every[case.pk] for case in listed)) for name, listed in found if listed]
    return SeenBefore(_without_repeats(groups), _newest_first(every.values())[:MOST_LISTED])


def _domain(sender: str) -> Q | None:
    domain = split_address(sender)[1]
    return Q(sender_domain=domain[:255]) if domain else None


def _decided(member: Member, condition: Q, investigate_id: str) -> list[Case]:
    """The newest cases on which somebody decided anything."""
    acted = ActionItem.objects.filter(investigate_id=OuterRef("investigate_id"), action__isnull=False)
    decided = ~Q(verdict="") | Q(state=CaseState.DONE) | Exists(acted.filter(state__in=_CARRIED_OUT))
    cases = cases_of(member).filter(condition).exclude(key=investigate_id).filter(decided)
    return list(cases.only(*_COLUMNS).order_by("-created_at")[:MOST_COUNTED])


def _add_acts(decisions: dict[int, Decision]) -> None:
    """What was done to the messages, and who decided last."""
    by_message = {decision.case.investigate_id: decision for decision in decisions.values()}
    items = (
        ActionItem.objects.filter(
            investigate_id__in=[name for name in by_message if name], action__isnull=False, state__in=_CARRIED_OUT
        )
        .order_by("-action__created_at")
        .values_list(
            "investigate_id", "action__kind", "action__destination", "action__actor_name", "action__created_at"
        )
    )
    for name, kind, destination, actor, at in items:
        decision = by_message[name]
        decision.acts.append(action_words.past(kind, destination))
        if decision.at is None:
            decision.who, decision.at = actor, at
    for decision in decisions.values():
        case = decision.case
        for who, moment in ((case.done_by, case.done_at), (case.verdict_by, case.verdict_at)):
            if moment is not None and (decision.at is None or moment > decision.at):
                decision.who, decision.at = who, moment


def _newest_first(decisions: Iterable[Decision]) -> list[Decision]:
    beginning = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(decisions, key=lambda decision: decision.at or beginning, reverse=True)


def _without_repeats(groups: list[Group]) -> list[Group]:
    """A group that holds the same messages as one before it says nothing new."""
    told: list[set[int]] = []
    kept = []
    for group in groups:
        messages = {decision.case.pk for decision in group.decisions}
        if messages not in told:
            told.append(messages)
            kept.append(group)
    return kept
