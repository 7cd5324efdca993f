"""How changes are shown: one with its bar and its buttons, its lines, and the list of them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db.models import Case, Count, IntegerField, QuerySet, When
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import known_permissions
from dashboard.web.bars import Segment, segments
from settings_ui.changes import approving, planning, rights, words
from settings_ui.models import Change, ChangeKind, ChangeState, Line, LineState, Step, StepState, Verb
from settings_ui.resources import BY_NAME
from settings_ui.tables import dry_run

PER_PAGE = 50
LINES_PER_PAGE = 200
MOST_AT_TOP = 20
_FAST, _SLOWER = 10, 120  # seconds: asked every second until then, then every two, then every five
SEGMENTS = (
    ("done", "done", (LineState.DONE,)),
    ("failed", "failed", (LineState.FAILED,)),
    ("unknown", "unknown", (LineState.UNKNOWN,)),
    ("open", "open", (LineState.WAITING, LineState.SENDING)),
)
FILTERS = (
    ("", "All"),
    ("failed", "Failed"),
    ("unknown", "Unknown"),
    ("done", "Done"),
    ("open", "Open"),
    ("cancelled", "Not sent"),
    ("left_out", "Left out"),
)
SHOWS = (("", "All"), ("open", "Open"), ("mine", "Mine"))
_FILTERED = {name: states for name, _, states in SEGMENTS} | {
    "cancelled": (LineState.CANCELLED,),
    "left_out": (LineState.LEFT_OUT,),
}
_MARKS = {
    ChangeState.DRAFT: "rehearsal",
    ChangeState.AWAITING_APPROVAL: "awaiting_approval",
    ChangeState.WAITING: "waiting",
    ChangeState.RUNNING: "sending",
    ChangeState.DONE: "done",
    ChangeState.PARTLY: "partly_done",
    ChangeState.FAILED: "failed",
    ChangeState.CANCELLED: "cancelled",
}
_LINE_MARKS = {
    LineState.DRAFT: "rehearsal",
    LineState.LEFT_OUT: "skipped",
    LineState.WAITING: "waiting",
    LineState.SENDING: "sending",
    LineState.DONE: "done",
    LineState.FAILED: "failed",
    LineState.UNKNOWN: "unknown",
    LineState.CANCELLED: "cancelled",
}
_LINE_WORDS = {
    LineState.DRAFT: "not decided",
    LineState.LEFT_OUT: "left out",
    LineState.WAITING: "waiting",
    LineState.SENDING: "sending",
    LineState.DONE: "done",
    LineState.FAILED: "failed",
    LineState.UNKNOWN: "unknown, looking",
    LineState.CANCELLED: "not sent",
}
_ENDS = {Verb.ADD: "added", Verb.CHANGE: "changed", Verb.REMOVE: "removed"}
_VERBS = {Verb.ADD: "add", Verb.CHANGE: "change", Verb.REMOVE: "remove", Verb.SAME: "same", Verb.BAD: "cannot be used"}


@dataclass(frozen=True)
class Control:
    """One button of a change."""

    verb: str
    label: str
    is_primary: bool = False
    key: str = ""

    @property
    def url_name(self) -> str:
        return f"settings:{self.verb}"


@dataclass(frozen=True)
class LineView:
    """One entry of a change: what was to become of it, and what did."""

    line: Line
    fields: Sequence[dry_run.Said]

    @property
    def verb(self) -> str:
        return _VERBS[Verb(self.line.verb)]

    @property
    def mark(self) -> str:
        return _LINE_MARKS[LineState(self.line.state)]

    @property
    def state(self) -> str:
        if self.line.state == LineState.DONE:
            return _ENDS.get(Verb(self.line.verb), "done")
        return _LINE_WORDS[LineState(self.line.state)]

    @property
    def sentence(self) -> str:
        """What the state does not say yet."""
        says_itself = (LineState.DONE, LineState.WAITING, LineState.SENDING, LineState.UNKNOWN, LineState.CANCELLED)
        is_told = self.problems or self.line.state in says_itself
        return self.line.explanation if is_told else words.line_sentence(self.line)

    @property
    def problems(self) -> list[tuple[str, str]]:
        """(field, what is wrong there)"""
        labels = {field.name: field.label for field in BY_NAME[self.line.change.resource].fields}
        return [(labels.get(name, ""), told) for name, told in self.line.problems.items()]

    @property
    def entry_id(self) -> str:
        """Of an entry that stands, as far as we know."""
        is_gone = self.line.verb == Verb.REMOVE and self.line.state == LineState.DONE
        return "" if is_gone else self.line.upstream_id


def line_views(lines: Iterable[Line]) -> list[LineView]:
    """Lines of one change, with their fields in words; of an edit only those that differ."""
    found = list(lines)
    if not found:
        return []
    rows = dry_run.rows(BY_NAME[found[0].change.resource], found)
    return [
        LineView(line, [said for said in row.fields if said.before != said.value])
        for line, row in zip(found, rows, strict=True)
    ]


@dataclass(frozen=True)
class ChangeView:
    """One change, as a member sees it."""

    change: Change
    member: Member
    known_title: str = ""
    number: int = 0  # of its entries, where it is one of a list

    @cached_property
    def title(self) -> str:
        return self.known_title or words.title(self.change)

    @property
    def list_title(self) -> str:
        return BY_NAME[self.change.resource].title

    @property
    def slug(self) -> str:
        return BY_NAME[self.change.resource].slug

    @cached_property
    def sentence(self) -> str:
        return words.sentence(self.change)

    @property
    def told(self) -> str:
        """The sentence, where the bar and its legend do not say the same."""
        is_told = self.is_long and self.change.state in (ChangeState.PARTLY, ChangeState.FAILED)
        return self.change.explanation if is_told else self.sentence

    @property
    def state(self) -> str:
        return "unknown, looking" if self._is_unknown else words.short(self.change)

    @cached_property
    def mark(self) -> str:
        return "unknown" if self._is_unknown else _MARKS[ChangeState(self.change.state)]

    @cached_property
    def counts(self) -> Mapping[str, int]:
        return Counter(words.counts(self.change))

    @property
    def whole(self) -> int:
        """The lines that are sent, or would be."""
        return sum(self.counts.values()) - self.counts.get(LineState.LEFT_OUT, 0)

    @property
    def is_long(self) -> bool:
        return self.whole > 1

    @property
    def segments(self) -> list[Segment]:
        """The parts of the bar, those without a line among them. What was cancelled leaves its end empty."""
        parts = [(name, label, sum(self.counts.get(state, 0) for state in states)) for name, label, states in SEGMENTS]
        return segments(parts, whole=self.whole)

    @property
    def spoken_bar(self) -> str:
        return ", ".join(f"{segment.number:,} {segment.label}" for segment in self.segments)

    @property
    def spoken(self) -> str:
        return f"{self.title}: {self.state}. {self.sentence}"

    @property
    def is_draft(self) -> bool:
        return self.change.state == ChangeState.DRAFT

    @property
    def is_pending(self) -> bool:
        return self.change.state == ChangeState.AWAITING_APPROVAL

    @property
    def is_polling(self) -> bool:
        """Whether what the page shows may still change by itself."""
        state = self.change.state
        is_stopping = state == ChangeState.CANCELLED and self.change.finished_at is None
        return state in (ChangeState.WAITING, ChangeState.RUNNING) or is_stopping

    @property
    def rests_until(self) -> dt.datetime | None:
        """When the call that waits for its time goes out."""
        step = self._waiting
        return step.due_at if step is not None and step.due_at and step.due_at > timezone.now() else None

    @cached_property
    def why_not_decide(self) -> str:
        return rights.why_not_decide(self.member, self.change)

    @property
    def is_mine(self) -> bool:
        return self.change.actor_id == self.member.pk

    @property
    def controls(self) -> list[Control]:
        """The buttons that work now."""
        found, state = [], self.change.state
        may_stop = rights.may_control(self.member, self.change)
        if state == ChangeState.WAITING and approving.is_one_of_two(self.member, self.change):
            found.append(Control("undo", "Undo", is_primary=True, key="z"))
        elif state in (ChangeState.WAITING, ChangeState.RUNNING) and may_stop and self._may_stop:
            found.append(Control("cancel", "Cancel after this call"))
        elif state == ChangeState.AWAITING_APPROVAL and self.is_mine:
            found.append(Control("cancel", "Withdraw the request"))
        if self._is_unknown and may_stop:
            found.append(Control("look", "Look now"))
        failed = self.counts.get(LineState.FAILED, 0)
        if failed and state in (ChangeState.PARTLY, ChangeState.FAILED) and self._may_retry:
            found.append(Control("retry", f"Send {failed:,} failed again" if failed > 1 else "Send it again"))
        return found

    @cached_property
    def stamp(self) -> str:
        """What of a change can be different, in a word."""
        last = self.change.steps.order_by("-changed_at").values_list("changed_at", flat=True).first()
        numbers = "-".join(str(segment.number) for segment in self.segments)
        return f"{self.change.state}-{numbers}-{last.timestamp() if last else 0:.3f}"

    @cached_property
    def _waiting(self) -> Step | None:
        return self.change.steps.filter(state=StepState.WAITING).first()

    @cached_property
    def _is_unknown(self) -> bool:
        return self.change.steps.filter(state=StepState.UNKNOWN).exists()

    @property
    def _may_stop(self) -> bool:
        return self.change.state == ChangeState.WAITING or self.counts.get(LineState.WAITING, 0) > 0

    @property
    def _may_retry(self) -> bool:
        return self.is_mine and rights.holds(self.member, known_permissions([self.change.permission]))


def every(since: dt.datetime, now: dt.datetime) -> int:
    """Seconds until the page asks again: often at first."""
    elapsed = (now - since).total_seconds()
    return 1 if elapsed < _FAST else 2 if elapsed < _SLOWER else 5


# --- the list ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What the list of changes is asked for."""

    show: str = ""
    resource: str = ""
    state: str = ""
    who: str = ""

    @property
    def is_everything(self) -> bool:
        return self == Asked()


def listed(member: Member, asked: Asked) -> QuerySet[Change]:
    """Changes, newest first."""
    found = planning.of_account().order_by("-created_at", "pk")
    if asked.show == "mine":
        found = found.filter(actor=member)
    elif asked.show == "open":
        found = found.filter(state__in=[ChangeState.AWAITING_APPROVAL, ChangeState.WAITING, ChangeState.RUNNING])
    if asked.resource in BY_NAME:
        found = found.filter(resource=asked.resource)
    if asked.state in ChangeState.values:
        found = found.filter(state=asked.state)
    if asked.who:
        found = found.filter(actor_name=asked.who)
    return found  # type: ignore[no-any-return]


def of_list(member: Member, changes: Iterable[Change]) -> list[ChangeView]:
    """What their lines of the list say. Their entries are counted for them alone, and named where there is one."""
    found = list(changes)
    entries = Line.objects.filter(change__in=[change.pk for change in found]).exclude(state=LineState.LEFT_OUT)
    numbers = dict(entries.order_by().values_list("change").annotate(number=Count("pk")))
    single = [key for key, number in numbers.items() if number == 1]
    labels = dict(entries.filter(change__in=single).values_list("change", "label"))
    views = []
    for change in found:
        number = numbers.get(change.pk, 0)
        views.append(ChangeView(change, member, words.title_of(change, labels.get(change.pk, ""), number), number))
    return views


def waiting_for(member: Member) -> list[ChangeView]:
    """What the member can decide: requests of others, and their own dry runs."""
    pending = listed(member, Asked(state=ChangeState.AWAITING_APPROVAL)).select_related("actor")[:MOST_AT_TOP]
    mine = listed(member, Asked(show="mine", state=ChangeState.DRAFT))[:MOST_AT_TOP]
    views = of_list(member, [*pending, *mine])
    return [view for view in views if view.is_draft or not view.why_not_decide]


def names() -> list[str]:
    """Who has changed anything."""
    found = planning.of_account().order_by("actor_name").values_list("actor_name", flat=True).distinct()
    return list(found[:200])


def first_lines(change: Change) -> QuerySet[Line]:
    """Lines in the order in which somebody wants to see them: what needs somebody comes first."""
    first = Case(
        When(state=LineState.FAILED, then=0),
        When(state=LineState.UNKNOWN, then=1),
        default=2,
        output_field=IntegerField(),
    )
    return lines_of(change).annotate(need=first).order_by("need", "number", "pk")


def lines_of(change: Change, *, show: str = "", verb: str = "") -> QuerySet[Line]:
    found = change.lines.select_related("change").order_by("number", "pk")
    if show in _FILTERED:
        found = found.filter(state__in=_FILTERED[show])
    elif change.kind in (ChangeKind.IMPORT, ChangeKind.RESTORE) and not verb:
        found = found.exclude(state=LineState.LEFT_OUT)
    if verb in Verb.values:
        found = found.filter(verb=verb)
    return found
