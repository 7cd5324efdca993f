"""The rows of a list as text: Jinja2, compiled once, because a page of 100 rows is rendered all day.

A row looks the same to everybody and on every page, except while its message is open or after somebody acted on it.
So each process remembers the rows it wrote; what a member sees in a list again and again is written once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from functools import cache, lru_cache
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboard.access.decorators import MemberRequest
from dashboard.access.models import Member
from dashboard.emailsec.rows import MessageRow
from investigate.actions.queries import ActionView, JobItemView, states_for
from investigate.desk.cells import Mark, marks_for
from investigate.models import ActionState
from investigate.search.rows import Row, day_of, row_of, say_day

MOST_REMEMBERED = 4096  # rows, of some 3 kB with the message they were written from


@cache
def environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(settings.BASE_DIR / "templates" / "jinja2"),
        autoescape=True,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


@cache
def _macros() -> Any:
    return environment().get_template("investigate/rows.html").module


def render_rows(
    messages: Collection[MessageRow],
    request: MemberRequest,
    *,
    open_id: str = "",
    last: str = "",
    has_ticks: bool = False,
    own: tuple[str, ...] = (),
) -> Markup:
    """The table rows of one page, escaped. `last` is the time of the row above them, so that a day is named once.
    `own` names the columns of a saved view that has its own.

    What colleagues did is asked for the whole page at once; its cells come from the actions' own template.
    """
    member = request.user  # nobody else reads lists
    ids = [message.id for message in messages]
    acted, marks = states_for(ids, member.scope), marks_for(ids, member)
    zone = timezone.get_current_timezone()
    former_day = day_of(last, zone) if last else ""
    pieces: list[Markup] = []
    for message in messages:
        if own:
            day, row = _own_row(message, zone, own, has_tick=has_ticks)
        else:
            day, row = _usual_row(message, zone, has_tick=has_ticks)
        us, mark = acted.get(message.id), marks.get(message.id)
        if message.id == open_id or mark is not None or isinstance(us, ActionView):
            state = cell(request, us, mark)
            is_acted = us is not None and us.state == ActionState.DONE  # what failed is still to be looked at
            is_open = message.id == open_id
            marks_of_row = {"is_open": is_open, "is_acted": is_acted, "has_tick": has_ticks}
            row = _written(row_of(message, zone), state, own, **marks_of_row)
        elif us is not None:
            row = _row_in_job(message, zone, us, own, has_tick=has_ticks)
        if day != former_day:
            pieces.append(_day_line(day, columns(has_ticks=has_ticks, own=own)))
            former_day = day
        pieces.append(row)
    return Markup("".join(pieces))  # noqa: S704  each piece comes from an escaping template


@lru_cache(maxsize=MOST_REMEMBERED)
def _usual_row(message: MessageRow, zone: dt.tzinfo, *, has_tick: bool) -> tuple[str, Markup]:
    """(day, row) of a message that is not open and that nobody acted on: most of them."""
    row = row_of(message, zone)
    return row.day, _macros().row(row, has_tick=has_tick)


@lru_cache(maxsize=MOST_REMEMBERED)
def _own_row(message: MessageRow, zone: dt.tzinfo, own: tuple[str, ...], *, has_tick: bool) -> tuple[str, Markup]:
    """The same with the columns of a saved view."""
    row = row_of(message, zone)
    return row.day, _written(row, "", own, has_tick=has_tick)


def _written(row: Row, state: Markup | str, own: tuple[str, ...], **marks: bool) -> Markup:
    macros = _macros()
    written: Markup = macros.own_row(row, own, state, **marks) if own else macros.row(row, state, **marks)
    return written


@lru_cache(maxsize=MOST_REMEMBERED)
def _row_in_job(
    message: MessageRow, zone: dt.tzinfo, us: JobItemView, own: tuple[str, ...], *, has_tick: bool
) -> Markup:
    """The row of a message of a job, which says the same to everybody: a whole page may be of them."""
    state = render_to_string("investigate/_action_state.html", {"view": us, "may_undo": False})
    return _written(row_of(message, zone), state, own, is_acted=us.state == ActionState.DONE, has_tick=has_tick)


def cell(request: MemberRequest, us: ActionView | JobItemView | None, mark: Mark | None) -> Markup:
    """The last cell of a row: who has the message and what we say of it, then what became of our action.

    An action of one's own keeps itself current; colleagues' come with everything else that changes on the desk.
    """
    pieces = [] if mark is None else [render_mark(mark)]
    if us is not None:
        member = request.user
        is_own = isinstance(us, ActionView) and us.action.actor_id == member.pk
        context = {"view": us, "may_undo": us.may_undo(member), "rests": not is_own}
        pieces.append(Markup(render_to_string("investigate/_action_state.html", context, request)))  # noqa: S704
    return Markup("").join(pieces)


@lru_cache(maxsize=1024)
def render_mark(mark: Mark) -> Markup:
    """The desk's part of a cell; most rows of a busy queue say one of a few things."""
    written: Markup = _macros().mark(mark)
    return written


def mark_of(investigate_id: str, member: Member) -> Markup:
    """The desk's part of one message's cell."""
    mark = marks_for([investigate_id], member).get(investigate_id)
    return Markup() if mark is None else render_mark(mark)


def columns(*, has_ticks: bool, own: tuple[str, ...] = ()) -> int:
    """How many columns the table has: verdict, time, sender, subject, why, to, where, us; before them the tick."""
    return (len(own) or 8) + has_ticks


@lru_cache(maxsize=64)
def _day_line(day: str, number: int) -> Markup:
    written: Markup = _macros().day_line(say_day(day), number)
    return written
