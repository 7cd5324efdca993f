"""One campaign: how far it has come, where its messages are now, what was said and done about it."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from dashboard.access.models import Member
from dashboard.charts import fills
from dashboard.charts.bars import Piece
from dashboard.charts.columns import Columns, Series, Step
from dashboard.charts.fills import Fill
from dashboard.emailsec.enums import Disposition
from investigate.actions import words as action_words
from investigate.actions.words import counted
from investigate.campaigns import listing, queries, words
from investigate.campaigns.queries import Group
from investigate.campaigns.rules import all_rules, waiting
from investigate.desk import words as desk_words
from investigate.desk.cases import cases_of
from investigate.memory.places import REACHABLE, WORDS, Where, known, placed, where_now
from investigate.memory.queries import copies_for, seen_by
from investigate.memory.shapes import COLUMN
from investigate.message.wording import verdict_word
from investigate.models import (
    ActionItem,
    CampaignBy,
    CampaignMember,
    CampaignRule,
    MemberState,
    SeenMessage,
    SeenSubmission,
)

PER_PAGE = 100
MOST_PEOPLE = 50
MOST_DOMAINS = 10
MOST_RELATED = 3  # of a kind
MOST_COLUMNS = 48
_STEPS = [dt.timedelta(minutes=10), dt.timedelta(hours=1), dt.timedelta(hours=6), dt.timedelta(days=1)]


@dataclass(frozen=True)
class Placed:
    """How many copies are where."""

    copies: Sequence[tuple[str, int]]  # word, copies; most first
    reachable: int


@dataclass(frozen=True)
class MessageRow:
    seen: SeenMessage
    where: Where
    recipients: Sequence[str]  # that the member may know of
    verdict_word: str
    is_decided: bool  # the team acted on it, or says what it is

    @property
    def others(self) -> int:
        return max(0, len(self.recipients) - 1)


@dataclass(frozen=True)
class Waiting:
    """A later message that waits for a decision."""

    member: CampaignMember
    seen: SeenMessage | None


@dataclass(frozen=True)
class Campaign:
    """Everything the page of one campaign shows, but for the table of its messages."""

    group: Group
    sentence: str
    placed: Placed
    people: Sequence[tuple[str, int]]  # address, copies
    domains: Sequence[tuple[str, int, int]]  # domain, people, copies
    verdicts: Sequence[tuple[Fill, str, int]]
    pieces: Sequence[Piece]
    ours: Sequence[tuple[str, int]]
    answers: Sequence[tuple[str, str, str, int]]  # original, asked for, answered, how many
    arrivals: Columns
    related: Sequence[tuple[str, Group]]
    rules: Sequence[CampaignRule]  # that have their end, newest first
    rule: CampaignRule | None = None
    waiting: Sequence[Waiting] = field(default_factory=list)


def campaign_for(member: Member, by: CampaignBy, key: str) -> Campaign | None:
    """One campaign as this member may know of it; None where they know of none."""
    group = queries.group_of(member, by, key)
    if group is None:
        return None
    rows = queries.members_of(member, by, key)
    where = _placed(member, rows)
    rules = list(all_rules().filter(by=by, key=key).select_related("owner").order_by("-created_at")[:6])
    verdicts = listing.verdicts_of(group.dispositions)
    return Campaign(
        group=group,
        sentence=_sentence(group, where),
        placed=where,
        people=_people(member, rows),
        domains=_domains(member, rows),
        verdicts=verdicts,
        pieces=listing.pieces_of(verdicts),
        ours=_ours(member, rows),
        answers=_answers(member, by, key, rows),
        arrivals=_arrivals(group, rows),
        related=_related(member, by, rows),
        rules=[one for one in rules if one.ended_at is not None],
        rule=next((one for one in rules if one.ended_at is None), None),
        waiting=_waiting(member, by, key),
    )


def message_rows(member: Member, found: Sequence[SeenMessage], acted: set[str]) -> list[MessageRow]:
    """Rows of the table; `acted` are the ids of those the team has decided about."""
    places = where_now(found, member.scope)
    return [
        MessageRow(
            seen=seen,
            where=places[seen.investigate_id],
            recipients=member.scope.inside(seen.recipients),
            verdict_word=verdict_word(Disposition(seen.disposition)) if seen.disposition else "No verdict",
            is_decided=seen.investigate_id in acted,
        )
        for seen in found
    ]


def _sentence(group: Group, where: Placed) -> str:
    """ "41 messages to 37 people since 20 Nov 2026 10:02 UTC; 12 copies are still in inboxes." """
    copies = f" ({counted(group.copies, 'copy')})" if group.copies != group.count else ""
    people = "1 person" if group.people == 1 else f"{group.people:,} people"
    since = group.first_at.astimezone(dt.UTC)
    left, still = where.reachable, "no copy is still in an inbox"
    if left:
        still = f"{counted(left, 'copy')} {'is' if left == 1 else 'are'} still in inboxes"
    return f"{counted(group.count, 'message')}{copies} to {people} since {since:%d %b %Y %H:%M} UTC; {still}."


def _placed(member: Member, rows: QuerySet[SeenMessage]) -> Placed:
    copies = placed(copies_for(member).filter(message__in=rows.order_by().values("pk"))).order_by()
    found = list(copies.values_list("place").annotate(number=Count("pk")).order_by("-number", "place"))
    return Placed(
        [(WORDS[known(place)], number) for place, number in found],
        sum(number for place, number in found if place in REACHABLE),
    )


def _people(member: Member, rows: QuerySet[SeenMessage]) -> list[tuple[str, int]]:
    copies = copies_for(member).filter(message__in=rows.order_by().values("pk")).values_list("address")
    return list(copies.annotate(number=Count("pk")).order_by("-number", "address")[: MOST_PEOPLE + 1])


def _domains(member: Member, rows: QuerySet[SeenMessage]) -> list[tuple[str, int, int]]:
    copies = copies_for(member).filter(message__in=rows.order_by().values("pk")).values_list("domain")
    numbered = copies.annotate(people=Count("address", distinct=True), number=Count("pk"))
    return list(numbered.order_by("-number", "domain")[:MOST_DOMAINS])


def _ours(member: Member, rows: QuerySet[SeenMessage]) -> list[tuple[str, int]]:
    names = rows.order_by().values("investigate_id")
    judged = cases_of(member).filter(investigate_id__in=names).exclude(verdict="")
    numbered = judged.values_list("verdict").annotate(number=Count("pk")).order_by("-number")
    return [(desk_words.verdict(verdict), number) for verdict, number in numbered]


def _answers(member: Member, by: CampaignBy, key: str, rows: QuerySet[SeenMessage]) -> list[tuple[str, str, str, int]]:
    """What was asked of Cloudflare about these messages, and what it answered."""
    posts = rows.order_by().exclude(postfix_id="").values("postfix_id")
    about = Q(postfix_id__in=posts)
    if by == CampaignBy.FINGERPRINT:
        about |= Q(edf_hash=key)
    asked = SeenSubmission.objects.filter(member.scope.q("domains"), about, account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    numbered = asked.values_list("original", "requested", "outcome").annotate(number=Count("pk")).order_by("-number")
    return [(_word(was), _word(wanted), _word(said), number) for was, wanted, said, number in numbered]


def _word(disposition: str) -> str:
    return action_words.disposition(disposition) if disposition else ""


def _related(member: Member, by: CampaignBy, rows: QuerySet[SeenMessage]) -> list[tuple[str, Group]]:
    """Other likenesses of these messages that reach further than this one does."""
    found: list[tuple[str, Group]] = []
    for kind in CampaignBy:
        if kind == by:
            continue
        column = COLUMN[kind]
        shared = rows.order_by().filter(**{f"{column}__gt": ""}).values_list(column).annotate(number=Count("pk"))
        numbers = dict(shared.order_by("-number")[:MOST_RELATED])
        sizes = queries.sizes_of(member, [(kind, one) for one in numbers])
        for one, number in numbers.items():
            if sizes.get((kind, one), 0) > number and (group := queries.group_of(member, kind, one)):
                found.append((words.KINDS[kind], group))
    return found


def _arrivals(group: Group, rows: QuerySet[SeenMessage]) -> Columns:
    """When they came, by Cloudflare's verdict; as few columns as can be read."""
    span = group.last_at - group.first_at
    step = next((one for one in _STEPS if span / one < MOST_COLUMNS - 1), None)
    step = step or _STEPS[-1] * math.ceil(span / _STEPS[-1] / (MOST_COLUMNS - 1))
    seconds = int(step.total_seconds())
    first = int(group.first_at.timestamp()) // seconds
    number = int(group.last_at.timestamp()) // seconds - first + 1
    found: dict[str, Counter[int]] = {}
    for at, disposition in rows.order_by().values_list("scanned_at", "disposition").iterator(chunk_size=5000):
        found.setdefault(disposition, Counter())[int(at.timestamp()) // seconds - first] += 1
    ordered: Mapping[Fill, Counter[int]] = _by_fill(found)
    begins = [dt.datetime.fromtimestamp((first + place) * seconds, dt.UTC) for place in range(number)]
    by_day = step >= dt.timedelta(days=1)
    word = "%d %b" if by_day else "%H:%M" if step * number <= dt.timedelta(days=1) else "%d %b %H:%M"
    every = max(1, math.ceil(number / 8))
    return Columns(
        id="arrivals",
        title="When they came (UTC)",
        unit="Day" if by_day else "From",
        steps=[
            Step(
                name=f"{begin:%d %b %Y}" if by_day else f"{begin:%d %b %H:%M}",
                short=("" if place % every else f"{begin:{word}}"),
                is_minor=bool(place % (every * 2)),
            )
            for place, begin in enumerate(begins)
        ],
        series=[Series(fill, [numbers[place] for place in range(number)]) for fill, numbers in ordered.items()],
    )


def _by_fill(found: Mapping[str, Counter[int]]) -> dict[Fill, Counter[int]]:
    ordered: dict[Fill, Counter[int]] = {}
    for fill in (*fills.DISPOSITIONS.values(), fills.OTHER):
        alike = [found[name] for name in found if listing.fill_of(name) == fill]
        if alike:
            ordered[fill] = sum(alike, Counter())
    return ordered


def _waiting(member: Member, by: CampaignBy, key: str) -> list[Waiting]:
    """Of whatever rule, also of one that ended long ago."""
    alike = waiting(member).filter(rule__by=by, rule__key=key).select_related("rule")
    found = list(alike.order_by("-rule__created_at", "at", "pk")[:PER_PAGE])
    names = [one.investigate_id for one in found]
    seen = {one.investigate_id: one for one in seen_by(member).filter(investigate_id__in=names)}
    return [Waiting(one, seen.get(one.investigate_id)) for one in found]


def handled_of(member: Member, rule: CampaignRule) -> tuple[int, int]:
    """(messages something was done with, messages that were left or refused) of a rule, as the member may know."""
    rows = rule.members.filter(member.scope.q("domains")).order_by()
    numbers = dict(rows.values_list("state").annotate(number=Count("pk")))
    return numbers.get(MemberState.SENT, 0), numbers.get(MemberState.LEFT, 0) + numbers.get(MemberState.REFUSED, 0)


def last_decision(member: Member, by: CampaignBy, key: str) -> str:
    """What was decided about messages of it last, as forms name it ("move:JunkEmail"); "" where nothing was."""
    names = queries.members_of(member, by, key).order_by().values("investigate_id")
    items = ActionItem.objects.filter(member.scope.q("domains"), investigate_id__in=names)
    item = items.select_related("action", "job").defer("attachment").order_by("-pk").first()
    made = item and (item.action or item.job)
    return f"{made.kind}:{made.destination or made.expected_disposition}" if made else ""
