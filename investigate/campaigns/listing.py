"""The list of campaigns: what of them is wanted, and what each row says beside the group itself."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.db.models import Count, Max, OuterRef, Subquery
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from dashboard.charts import bars, fills
from dashboard.charts.bars import Piece
from dashboard.charts.fills import Fill
from dashboard.emailsec.enums import Disposition
from investigate.actions import words as action_words
from investigate.campaigns import queries, rules, words
from investigate.campaigns.queries import Group, Narrowing
from investigate.campaigns.rules import all_rules
from investigate.desk import words as desk_words
from investigate.desk.cases import cases_of
from investigate.memory.queries import all_seen, seen_by
from investigate.memory.shapes import COLUMN
from investigate.message.wording import verdict_word
from investigate.models import (
    ActionItem,
    ActionState,
    CampaignBy,
    CampaignRule,
)
from investigate.search.window import Window, length_of, read_moment, say_range, words_for

PRESETS = ("24h", "7d", "30d")
DEFAULT_LAST = "7d"
MOST_PAGES = 40  # who wants more narrows the list
_ACTED = (ActionState.DONE, ActionState.PARTLY_DONE)


@dataclass(frozen=True)
class Filters:
    """What of the campaigns is shown; the address says the same."""

    by: CampaignBy = CampaignBy.FINGERPRINT
    last: str = DEFAULT_LAST
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    newest: bool = False
    disposition: str = ""
    domain: str = ""
    delivered: bool = False
    waiting: bool = False  # those with later copies to decide about, whatever else is asked for
    page: int = 1

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Filters:
        """What the address asks for; values nobody knows are left out."""
        by, last, verdict = query.get("by", ""), query.get("last", ""), query.get("disposition", "").upper()
        start, end = read_moment(query.get("start", "")), read_moment(query.get("end", ""))
        is_exact = start is not None and (end is None or end > start)
        page = query.get("page", "")
        return cls(
            by=CampaignBy(by) if by in CampaignBy else CampaignBy.FINGERPRINT,
            last="" if is_exact else last if length_of(last) else DEFAULT_LAST,
            start=start if is_exact else None,
            end=end if is_exact else None,
            newest=query.get("sort") == "newest",
            disposition=verdict if verdict in Disposition.__members__.values() else "",
            domain=storable_text(query.get("domain", ""), limit=255).strip().casefold().lstrip("@"),
            delivered=query.get("delivered") == "1",
            waiting=query.get("waiting") == "1",
            page=min(max(int(page), 1), MOST_PAGES) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
        )

    def query(self, **more: str) -> str:
        named = {
            "by": str(self.by) if self.by != CampaignBy.FINGERPRINT else "",
            "last": self.last if self.last != DEFAULT_LAST else "",
            "start": _moment(self.start),
            "end": _moment(self.end),
            "sort": "newest" if self.newest else "",
            "disposition": self.disposition,
            "domain": self.domain,
            "delivered": "1" if self.delivered else "",
            "waiting": "1" if self.waiting else "",
        }
        return urlencode({name: value for name, value in (named | more).items() if value})

    @property
    def narrowing(self) -> Narrowing:
        return Narrowing(
            disposition=self.disposition,
            sender_domain=self.domain,
            only_delivered=self.delivered,
            newest_first=self.newest,
        )

    @property
    def wider(self) -> str:
        """The same without what narrows it."""
        return replace(self, disposition="", domain="", delivered=False, waiting=False).query()

    @property
    def range(self) -> str:
        """The range in words."""
        return words_for(self.last) if self.last else f"{say_range(self.window(timezone.now()), dt.UTC)} UTC"

    def window(self, now: dt.datetime) -> Window:
        if self.start is not None:
            return Window(self.start, self.end or now)
        return Window(now - (length_of(self.last) or dt.timedelta(days=7)), now)


@dataclass(frozen=True)
class Row:
    """One campaign as the list shows it."""

    group: Group
    verdicts: Sequence[tuple[Fill, str, int]]  # its area in the bar, its word, messages
    pieces: Sequence[Piece]
    decisions: Sequence[str]  # "38 moved to Junk", "12 true positive"
    rule: str = ""  # what an open rule does with later ones
    waiting: int = 0  # later ones that wait for a decision


@dataclass(frozen=True)
class Shown:
    rows: Sequence[Row]
    has_more: bool
    remembered_since: dt.datetime | None  # where that is later than the range begins


def shown(member: Member, filters: Filters) -> Shown:
    """One page of the list. A constant number of queries, and no call."""
    if filters.waiting:
        return _waiting(member, filters)
    window = filters.window(timezone.now())
    offset = (filters.page - 1) * queries.PER_PAGE
    page = queries.page(
        member, start=window.start, end=window.end, by=filters.by, narrowing=filters.narrowing, offset=offset
    )
    oldest = seen_by(member).order_by("scanned_at").values_list("scanned_at", flat=True).first()
    return Shown(
        rows=_rows(member, filters.by, page.groups, window.start),
        has_more=page.has_more and filters.page < MOST_PAGES,
        remembered_since=oldest if oldest is not None and oldest > window.start else None,
    )


def _waiting(member: Member, filters: Filters) -> Shown:
    """Campaigns of every kind and time with later copies that wait, those who waited least first."""
    offset = (filters.page - 1) * queries.PER_PAGE
    kinds = rules.waiting(member).values_list("rule__by", "rule__key").annotate(last=Max("at"))
    keys = [(by, key) for by, key, _ in kinds.order_by("-last", "rule__key")[offset : offset + queries.PER_PAGE + 1]]
    groups = queries.groups_of(member, keys[: queries.PER_PAGE])
    since = min((group.first_at for group in groups), default=timezone.now())
    rows = {
        (row.group.by, row.group.key): row
        for by in CampaignBy
        for row in _rows(member, by, [group for group in groups if group.by == by], since)
    }
    return Shown(
        rows=[rows[group.by, group.key] for group in groups],
        has_more=len(keys) > queries.PER_PAGE and filters.page < MOST_PAGES,
        remembered_since=None,
    )


def verdicts_of(dispositions: Mapping[str, int]) -> list[tuple[Fill, str, int]]:
    """Cloudflare's verdicts with their words and areas, worst first."""
    known = list(fills.DISPOSITIONS)
    ordered = sorted(dispositions, key=lambda name: known.index(name) if name in known else len(known))
    return [(fill_of(name), verdict_word(Disposition(name)) if name else "No verdict", dispositions[name])
            for name in ordered]  # fmt: skip


def pieces_of(verdicts: Sequence[tuple[Fill, str, int]]) -> list[Piece]:
    shares = [bars.Share(fill, number) for fill, _, number in verdicts]
    return bars.pieces(shares, sum(share.number for share in shares))


def fill_of(disposition: str) -> Fill:
    """The area that stands for a verdict."""
    return fills.DISPOSITIONS.get(disposition, fills.OTHER)


def _rows(member: Member, by: CampaignBy, groups: Sequence[Group], since: dt.datetime) -> list[Row]:
    keys = [group.key for group in groups]
    if not keys:
        return []
    decided = decisions_of(member, by, keys, since)
    rules = {rule.key: rule for rule in all_rules().filter(by=by, key__in=keys, ended_at=None)}
    waiting = waiting_of(member, by, keys)
    rows = []
    for group in groups:
        verdicts = verdicts_of(group.dispositions)
        rows.append(
            Row(
                group=group,
                verdicts=verdicts,
                pieces=pieces_of(verdicts),
                decisions=decided.get(group.key, []),
                rule=rule_words(rules[group.key]) if group.key in rules else "",
                waiting=waiting.get(group.key, 0),
            )
        )
    return rows


def rule_words(rule: CampaignRule) -> str:
    """ "Later ones: move to Junk, by rule until 14:00" """
    return f"Later ones: {words.command(rule)}, {'by rule' if rule.mode == 'handle' else 'offered'}"


def waiting_of(member: Member, by: CampaignBy, keys: Sequence[str]) -> dict[str, int]:
    """How many later messages of each campaign wait for a decision."""
    waiting = rules.waiting(member).filter(rule__by=by, rule__key__in=keys)
    return dict(waiting.values_list("rule__key").annotate(number=Count("pk")))


def decisions_of(member: Member, by: CampaignBy, keys: Sequence[str], since: dt.datetime) -> dict[str, list[str]]:
    """What the team did since then with messages of these campaigns and what it says of them; two queries."""
    seen = all_seen().filter(investigate_id=OuterRef("investigate_id"))
    alike = Subquery(seen.values(COLUMN[by])[:1])
    found: dict[str, list[str]] = defaultdict(list)
    acted = ActionItem.objects.filter(
        member.scope.q("domains"), state__in=_ACTED, action__isnull=False, action__created_at__gte=since
    )
    done = (
        acted.annotate(alike=alike).filter(alike__in=keys).values_list("alike", "action__kind", "action__destination")
    )
    times = done.annotate(number=Count("investigate_id", distinct=True)).order_by("-number")
    for key, kind, destination, number in times:
        found[key].append(f"{number:,} {action_words.past(kind, destination)}")
    judged = cases_of(member).filter(verdict_at__gte=since).exclude(verdict="").annotate(alike=alike)
    said = judged.filter(alike__in=keys).values_list("alike", "verdict").annotate(number=Count("pk"))
    for key, verdict, number in said.order_by("-number"):
        found[key].append(f"{number:,} {desk_words.verdict(verdict)}")
    return dict(found)


def _moment(value: dt.datetime | None) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value else ""
