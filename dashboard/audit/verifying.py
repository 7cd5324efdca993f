"""Is the chain whole? Asked by the command, by the page, and every minute by a worker.

The trail can only be judged by what is remembered of it elsewhere: the head of the chain, the last row that was found
good, and what people kept outside this database (`verify_audit --expect`).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog
from django.db.models import Max, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from dashboard.audit.chain import NO_HASH, first_break, read_line
from dashboard.audit.models import AuditEvent, ChainCheck, ChainHead

log = structlog.get_logger("mailwarden.audit")

Link = tuple[int, str]
START: Link = (0, NO_HASH)
EVERY_ROW_EVERY = dt.timedelta(days=1)
STEP = 2000  # rows held at a time
LONGEST_STEP = 20.0  # seconds one task walks; a trail of millions takes several


@dataclass(frozen=True)
class Verdict:
    """What a walk over the whole trail found."""

    head: Link
    problem: str | None


def verify_all() -> Verdict:
    """Look at every row there is, and remember what was found."""
    check = _check()
    head = _head()  # read before the rows: what is written meanwhile is left for the next time
    problem = first_break(_rows(after=0, until=head[0]).iterator(chunk_size=STEP), head=head)
    problem = problem or _past_the_end() or _lost_since(check, head)
    _keep(check, head, problem, is_walk=True)
    return Verdict(head, problem)


def verify_new(*, seconds: float = LONGEST_STEP) -> None:
    """Look at what was added since the last time; once a day, in steps, at everything.

    A broken chain stays so until a walk from the first row finds it whole.
    """
    check, until = _check(), time.monotonic() + seconds
    was_broken = bool(check.problem)
    if not was_broken and not _go_on(check, until):
        return
    is_due = check.walk_ended_at is None or timezone.now() - check.walk_ended_at >= EVERY_ROW_EVERY
    is_new = bool(check.problem) and not was_broken  # what was found need not be the first broken link
    if check.walk_sequence or is_due or is_new:
        _walk_on(check, until)


def _go_on(check: ChainCheck, until: float) -> bool:
    """Look at what is new; False where time ran out before its end."""
    head = _head()
    if problem := _lost_since(check, head):
        _keep(check, (check.sequence, check.hash), problem)
        return True
    for problem, reached in _steps((check.sequence, check.hash), head):
        _keep(check, reached, problem)
        if problem or (time.monotonic() >= until and reached[0] < head[0]):
            return bool(problem)
    _keep(check, head, _past_the_end())
    return True


def _walk_on(check: ChainCheck, until: float) -> None:
    """Carry on with the walk from the first row; when there is no more time, the next task goes on from here."""
    head = _head()
    for problem, reached in _steps((check.walk_sequence, check.walk_hash), head):
        if problem:
            _keep(check, reached, problem, is_walk=True)
            return
        if time.monotonic() >= until and reached[0] < head[0]:
            _unchanged(check).update(walk_sequence=reached[0], walk_hash=reached[1])
            return
    _keep(check, head, _past_the_end() or _lost_since(check, head), is_walk=True)


def _steps(after: Link, head: Link) -> Iterator[tuple[str | None, Link]]:
    """The rows between, some at a time: what is wrong with them, and how far they reach."""
    while after[0] < head[0]:
        rows = list(_rows(after=after[0], until=head[0])[:STEP])
        reached = (rows[-1].sequence, rows[-1].hash) if len(rows) == STEP else head
        yield first_break(rows, head=reached, after=after), reached
        after = reached


def verify_lines(lines: Iterable[str]) -> Verdict:
    """Check an export of JSON lines; it may begin anywhere, and leaves out no row between its first and last."""
    last: Link | None = None
    number = 0
    for number, text in enumerate(lines, start=1):
        try:
            event = read_line(text)
        except (ValueError, RecursionError):
            return Verdict(last or START, f"Line {number} is not a row of an audit trail.")
        if last is None:  # what lies before the first line is not in this file
            last = START if event.sequence == 1 else (event.sequence - 1, event.previous_hash)
        if problem := first_break([event], head=(event.sequence, event.hash), after=last):
            return Verdict(last, problem)
        last = (event.sequence, event.hash)
    return Verdict(last, None) if last else Verdict(START, "The file holds no row.")


def _lost_since(check: ChainCheck, head: Link) -> str | None:
    """What was good the last time must still be there: a tail that was cut off and sealed anew shows here."""
    if head[0] < check.sequence:
        return f"Rows {head[0] + 1} to {check.sequence} are missing: they were there when the trail was last checked."
    if check.sequence == 0:
        return None
    link = AuditEvent.objects.filter(pk=check.sequence).values_list("hash", flat=True).first()
    if link is None:
        return f"Row {check.sequence} is missing: it was there when the trail was last checked."
    return None if link == check.hash else f"Row {check.sequence} was replaced since the trail was last checked."


def _keep(check: ChainCheck, reached: Link, problem: str | None, *, is_walk: bool = False) -> None:
    """Remember what a walk found; `is_walk`: it began with the first row and has ended.

    Others may have found something since `check` was read. "Whole" takes a problem back only from a walk over every
    row, and only the problem it began with.
    """
    now, row = timezone.now(), ChainCheck.objects.filter(pk=check.pk)
    walk = {"walk_sequence": START[0], "walk_hash": START[1], **({"walk_ended_at": now} if is_walk else {})}
    if problem:
        log.error("audit_chain_broken", problem=problem)
        told = row if is_walk else row.filter(problem="")
        # A walk that is half way may have passed the broken link while it was whole: it begins anew.
        told.update(problem=problem, broken_at=Coalesce("broken_at", now), checked_at=now, **walk)
        check.refresh_from_db()
        return
    if is_walk:
        if check.problem:
            _unchanged(check).filter(checked_at=check.checked_at).update(problem="", broken_at=None)
        row.update(checked_at=now, **walk)
    good = row.filter(problem="", sequence__lte=reached[0])
    if good.update(checked_at=now, sequence=reached[0], hash=reached[1]):
        check.checked_at, check.sequence, check.hash = now, *reached


def _unchanged(check: ChainCheck) -> QuerySet[ChainCheck]:
    """The row, if nobody else walked on, or found something, since it was read."""
    return ChainCheck.objects.filter(
        pk=check.pk, walk_sequence=check.walk_sequence, problem=check.problem, broken_at=check.broken_at
    )


def _check() -> ChainCheck:
    return ChainCheck.objects.get_or_create(pk=1)[0]


def _head() -> Link:
    head = ChainHead.objects.filter(pk=1).first()
    return (head.sequence, head.hash) if head else START


def _rows(*, after: int, until: int) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(sequence__gt=after, sequence__lte=until).order_by("sequence")


def _past_the_end() -> str | None:
    """A row and the move of the head are one transaction: no row is ever past a head that is read after it."""
    last = AuditEvent.objects.aggregate(last=Max("sequence"))["last"] or 0
    head = _head()[0]
    return f"Row {last} was added past the recorded end, {head}." if last > head else None
