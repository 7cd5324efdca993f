"""Figures as the page shows them: what there is to see in a sentence, the picture, and the list behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.charts import fills
from dashboard.charts.bars import Bar, Piece, Row, Share, bars, pieces
from dashboard.charts.columns import Columns, Series, Step
from dashboard.emailsec.enums import Disposition
from dashboard.overview import links
from dashboard.overview.figures import Figures
from dashboard.overview.spans import DAY, Range, Span
from investigate.message.explain import HIDDEN

HOURS_NAMED, HOURS_KEPT = 3, 6  # every so many hours carry a word, and where there is little room
DAYS_NAMED, DAYS_KEPT = 5, 10
MONTHS_KEPT = 3


@dataclass(frozen=True)
class Campaign:
    """One campaign with where its copies are."""

    title: str
    sender_domain: str
    messages: int
    copies: int
    people: int
    url: str
    places: list[Share]
    pieces: Sequence[Piece]  # beside other campaigns

    @property
    def whole(self) -> list[Piece]:
        """The same where it stands alone."""
        return pieces(self.places, self.copies)


@dataclass(frozen=True)
class Rate:
    """So many of so many, with the words that say of what."""

    number: int
    of: int
    url: str

    @property
    def percent(self) -> str:
        """ "" where there is nothing to be a part of."""
        return f"{100 * self.number / self.of:.1f} %" if self.of else ""


@dataclass(frozen=True)
class Load:
    name: str
    done: int
    in_hand: int
    median: str
    pieces: Sequence[Piece]
    done_url: str
    in_hand_url: str


@dataclass(frozen=True)
class Outcomes:
    """What became of our submissions."""

    total: int
    accepted: int
    rejected: int
    open: int
    median: str  # "" where none was seen before it was answered
    parts: list[Share]
    pieces: Sequence[Piece]
    url: str


@dataclass(frozen=True)
class Pictures:
    """Everything below the range of the page."""

    range: Range
    detections: int
    clean: int
    remembers_all: bool
    since: dt.datetime | None
    is_filling: bool
    volume: Columns
    people: list[Bar]
    senders: list[Bar]
    domains: list[Bar]
    reasons: list[Bar]
    campaigns: list[Campaign]
    released: Rate
    false_positives: Rate
    load: list[Load]
    submissions: Outcomes

    of_lists = (fills.WORST, fills.REST)
    of_load = (fills.PLAIN, fills.IN_HAND)
    campaigns_url = property(lambda _: links.campaigns())

    @property
    def first_at(self) -> dt.datetime:
        """From when on something can be remembered."""
        return max(self.range.start, self.since or self.range.start)

    @property
    def begins_later(self) -> bool:
        """Whether the memory is younger than the range: the first steps are empty because nobody looked."""
        return self.since is not None and self.since >= self.range.start + self.range.span.step


def pictures(figures: Figures, span: Span) -> Pictures:
    """What was counted, as it is shown."""
    end = dt.datetime.fromisoformat(figures["end"])
    range_ = Range(span, dt.datetime.fromisoformat(figures["start"]), end)
    verdicts, since = figures["verdicts"], figures["since"]
    judged = verdicts.get("true_positive", 0) + verdicts.get("false_positive", 0)
    found = figures["detections"]
    return Pictures(
        range=range_,
        detections=found,
        clean=figures["clean"],
        remembers_all=figures["remembers_all"],
        since=dt.datetime.fromisoformat(since) if since else None,
        is_filling=figures["is_filling"],
        volume=_volume(figures["volume"], range_),
        people=bars(
            [
                Row(
                    one["address"], _worst(one["worst"], one["threats"]),
                    links.remembered(range_, recipient=one["address"], disposition="THREATS"), _of_these(one["worst"]),
                )
                for one in figures["people"]
            ]
        ),
        senders=_most(figures["senders"], range_, "sender"),
        domains=_most(figures["domains"], range_, "domain"),
        reasons=bars(
            [
                Row(one["name"], [Share(fills.PLAIN, one["number"])], _mail_with(range_, one["name"]))
                for one in figures["reasons"]
            ]
        ),
        campaigns=_campaigns(figures["campaigns"]),
        released=Rate(figures["released"], found, links.releases()),
        false_positives=Rate(
            verdicts.get("false_positive", 0), judged, links.done(range_, verdict="false_positive")
        ),
        load=_load(figures["load"], range_),
        submissions=_submissions(figures["submissions"], range_),
    )  # fmt: skip


def _mail_with(range_: Range, reason: str) -> str:
    """The mail that was given a reason, searched for by its words up to what was left out of it."""
    words = reason.partition(HIDDEN)[0].strip()
    return links.search(range_, words) if words else ""


def monthly(figures: Mapping[str, Any]) -> Columns | None:
    """The service's own count, clean mail left out; None where the account has none."""
    months = figures.get("months", [])
    totals = [one["totals"] for one in months]
    values = {name: [row.get(name, 0) for row in totals] for row in totals for name in row}
    steps = []
    for place, one in enumerate(months):
        first = dt.date.fromisoformat(f"{one['month']}-01")
        steps.append(Step(f"{first:%B %Y}", f"{first:%b}", is_minor=(len(months) - 1 - place) % MONTHS_KEPT != 0))
    if not steps:
        return None
    series = _series({name: row for name, row in values.items() if name != Disposition.NONE})
    return _titled(Columns("by-month", "", "Month", steps, series), "in")


def length(seconds: float | None) -> str:
    """40 s, 12 min, 3.5 h, 2.1 days; "" for none."""
    if seconds is None:
        return ""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if unit < 3600 else 1}f} {name}"
    return f"{seconds / 86_400:.1f} days"


# --- the single pictures ----------------------------------------------------------------------------------------------


def _volume(volume: Mapping[str, list[int]], range_: Range) -> Columns:
    steps = []
    for place, start in enumerate(range_.starts):
        name, short, is_minor = _named(range_, start, place)
        steps.append(Step(name, short, is_minor, links.of_step(range_, start)))
    series = _series(volume, range_)
    unit = "Day" if range_.span.step == DAY else "Hour"
    return _titled(Columns("volume", "", unit, steps, series), "on" if unit == "Day" else "from")


def _named(range_: Range, start: dt.datetime, place: int) -> tuple[str, str, bool]:
    """A step in full, in short, and whether the short form may give way."""
    match range_.span:
        case Span.DAY:
            short = f"{start:%H}:00" if start.hour % HOURS_NAMED == 0 else ""
            return f"{start:%a} {start.day} {start:%b} {start:%H}:00", short, start.hour % HOURS_KEPT != 0
        case Span.WEEK:
            return f"{start:%a} {start.day} {start:%b}", f"{start:%a} {start.day}", place % 2 != 0
        case Span.MONTH:
            left = range_.span.steps - 1 - place
            short = f"{start.day} {start:%b}" if left % DAYS_NAMED == 0 else ""
            return f"{start:%a} {start.day} {start:%b}", short, left % DAYS_KEPT != 0


def _series(volume: Mapping[str, list[int]], range_: Range | None = None) -> list[Series]:
    """The worst at the bottom; what has no weight of its own is put together on top."""
    found = [
        Series(fill, volume[name], links.of_disposition(range_, name) if range_ else "")
        for name, fill in fills.DISPOSITIONS.items()
        if any(volume.get(name, []))
    ]
    others = [row for name, row in volume.items() if name not in fills.DISPOSITIONS and any(row)]
    if others:
        found.append(Series(fills.OTHER, [sum(column) for column in zip(*others, strict=True)]))
    return found


def _titled(chart: Columns, preposition: str) -> Columns:
    """The same with what it shows as a sentence: how many, and when the most came."""
    totals = chart.totals
    number = sum(totals)
    if not number:
        return replace(chart, title="No detections")
    place = totals.index(max(totals))
    most = f"most {preposition} {chart.steps[place].name} ({totals[place]:,})"
    return replace(chart, title=f"{number:,} detection{'s' if number > 1 else ''}, {most}")


def _most(found: Sequence[Figures], range_: Range, filter_: str) -> list[Bar]:
    return bars(
        [
            Row(
                one["name"], _worst(one["worst"], one["number"]),
                links.remembered(range_, **{filter_: one["name"], "disposition": "DETECTIONS"}),
                _of_these(one["worst"]),
            )
            for one in found
        ]
    )  # fmt: skip


def _worst(worst: int, number: int) -> list[Share]:
    return [Share(fills.WORST, worst), Share(fills.REST, number - worst)]


def _of_these(worst: int) -> str:
    return f"{worst} malicious" if worst else ""


def _campaigns(found: Sequence[Figures]) -> list[Campaign]:
    longest = max((one["copies"] for one in found), default=0)
    campaigns = []
    for one in found:
        places = [Share(fill, one["places"].get(name, 0)) for name, fill in fills.PLACES.items()]
        campaigns.append(
            Campaign(
                title=one["title"],
                sender_domain=one["sender_domain"],
                messages=one["messages"],
                copies=one["copies"],
                people=one["people"],
                url=links.campaign(one["by"], one["key"]),
                places=[share for share in places if share.number],
                pieces=pieces(places, longest),
            )
        )
    return campaigns


def _load(found: Sequence[Figures], range_: Range) -> list[Load]:
    longest = max((one["done"] + one["in_hand"] for one in found), default=0)
    return [
        Load(
            name=one["name"],
            done=one["done"],
            in_hand=one["in_hand"],
            median=length(one["median"]),
            pieces=pieces([Share(fills.PLAIN, one["done"]), Share(fills.IN_HAND, one["in_hand"])], longest),
            done_url=links.done(range_, who=one["name"]),
            in_hand_url=links.in_hand(one["name"]),
        )
        for one in found
    ]


def _submissions(found: Figures, range_: Range) -> Outcomes:
    parts = [
        Share(fill, found[fill.name], links.submissions(range_, answer=fill.name))
        for fill in (fills.ACCEPTED, fills.REJECTED, fills.OPEN)
    ]
    return Outcomes(
        total=found["total"],
        accepted=found["accepted"],
        rejected=found["rejected"],
        open=found["open"],
        median=length(found["median"]),
        parts=parts,
        pieces=pieces(parts, found["total"]),
        url=links.submissions(range_),
    )
