"""Carry a change on: pack the next call, claim it, make it, and store what each line's answer was.

The order is what keeps an entry from being made twice: the claim is a conditional update, that the call leaves is
committed before its first byte does, the call ends before the claim, and whatever comes back names its attempt. One
call of a change is on its way at a time; one without an answer is looked for before the next is sent.
"""

from __future__ import annotations

import datetime as dt
import math
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Max, Q
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.emailsec import Priority, errors
from dashboard.emailsec.types import BatchResult, SettingsEntry
from dashboard.upstream.answers import store_surely
from dashboard.upstream.connection import get_client
from dashboard.upstream.patience import pause_after
from dashboard.upstream.ring import LONGEST_COUNTDOWN, ring_when_due
from dashboard.upstream.words import refusal
from settings_ui.changes import looking, planning, rights, transitions, words
from settings_ui.changes.looking import LOOK_TASK, STEP_TASK
from settings_ui.changes.transitions import Outcome
from settings_ui.models import (
    Change,
    ChangeState,
    Line,
    LineState,
    Operation,
    Source,
    Step,
    StepState,
    Verb,
)
from settings_ui.resources import BY_NAME
from settings_ui.resources.description import Resource

log = structlog.get_logger("mailwarden.changes")

CALL_SECONDS = settings.CALL_SECONDS / 2  # with the reading before it half of what a claim lasts
LEAST_SECONDS = 1.0  # a call with less comes to nothing
STALE_SECONDS = 0.8 * settings.CALL_SECONDS  # between claim and call; a worker held up longer may have been overtaken
STEP_SECONDS = 10.0  # a task sends so long, then rings for the next one, so that a stop never waits for it
HELD_SECONDS = 2.0  # until a change whose row another process holds is looked at again
GIVE_UP_AFTER = dt.timedelta(hours=1)  # a form that could not be sent for so long is not what anybody expects to happen
MOST_REFUSALS = 250  # of batches; where by then most lines were refused, it is no matter of single lines
FEW_LINES = 100  # a change of more is not carried on by the workers that people wait for
LONG_TASK = "settings_ui.tasks.step_long_change"
_ON_ITS_WAY = Q(state__in=[StepState.SENDING, StepState.UNKNOWN])
_ONE_BY_ONE = "This server takes these one at a time."


def step(change_id: uuid.UUID | str, *, until: float = math.inf, is_fresh: bool = False) -> None:
    """Carry a change on as far as it goes now. Harmless when nothing is due, and when another worker is at it.

    `until`: how long somebody waits for it, on the monotonic clock; what is left then is a worker's. `is_fresh`: what
    is changed was read just now, and compared. A change of another account stays as it is.
    """
    change = planning.of_account().filter(pk=change_id).first()
    if change is None or (change.state == ChangeState.WAITING and not transitions.start(change)):
        return
    started = time.monotonic()
    while (step_id := _next_in_turn(change)) is not None:
        send(step_id, until=until, is_fresh=is_fresh)
        if time.monotonic() - started > STEP_SECONDS or _is_over(until):
            ring_for(change, after=0)
            return


def ring_for(change: Change, *, after: float) -> bool:
    """Tell a worker that the change is due in so many seconds; the sweep finds what is due later."""
    is_long = change.lines.filter(state=LineState.WAITING).count() > FEW_LINES
    return ring_when_due(LONG_TASK if is_long else STEP_TASK, str(change.pk), seconds=after)


def send(
    step_id: uuid.UUID,
    *,
    until: float = math.inf,
    is_fresh: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Make one call that is due. Harmless when it is not, when it is gone, and when another worker has it."""
    claimed = clock()
    step = transitions.claim(step_id)
    if step is None:
        return
    if told := rights.why_not_sent(step.change):
        _fail(step, looking.lines_of(step, LineState.SENDING), f"Nothing was sent: {told}", until, is_all=True)
        return
    try:
        if not is_fresh and not _left_out_what_changed(step, until):
            return
        lines = _prepared(step)
    except errors.EmailSecurityError as problem:
        _could_not_send(step, problem, until)
        return
    if not lines:
        transitions.settle(step, [], explanation="Nothing was left to send.")
    elif clock() - claimed > STALE_SECONDS or _is_over(until):
        transitions.give_back(step, after=0)
    elif transitions.note_sent(step):
        _carry_out(step, lines, until)
    else:
        transitions.give_back(step, after=0)


def seconds_left(until: float, most: float) -> float:
    """What a call may take."""
    return max(LEAST_SECONDS, min(most, until - time.monotonic()))


def _is_over(until: float) -> bool:
    """Whether there is no time for another call while somebody waits."""
    return until - time.monotonic() < LEAST_SECONDS


# --- which call is next -----------------------------------------------------------------------------------------------


def _next_in_turn(change: Change) -> uuid.UUID | None:
    """The next call; where somebody holds the row for long, the bell rings again instead."""
    try:
        return _next(change)
    except OperationalError as problem:
        log.info("change_held_by_another", change=str(change.pk), error=type(problem).__name__)
        ring_for(change, after=HELD_SECONDS)
        return None


def _next(change: Change) -> uuid.UUID | None:
    """The call to make now: one that waits, or a new one; None where the change rests or has ended."""
    with transaction.atomic():
        held = transitions.held(change)
        if held.state != ChangeState.RUNNING:
            return None
        on_its_way = held.steps.filter(_ON_ITS_WAY).first()
        if on_its_way is not None:
            _rest(held, on_its_way)
            return None
        # What was split last comes first: how much of it is refused shows early, and lines keep their order.
        waiting = held.steps.filter(state=StepState.WAITING).order_by("-position").first()
        if waiting is not None and not Step.objects.filter(pk=waiting.pk, due_at__lte=Now()).exists():
            _rest(held, waiting)
            return None
        chosen = waiting or planning.pack(held)
        if chosen is None:
            transitions.finish(held)
        return chosen.pk if chosen is not None else None


def _rest(change: Change, step: Step) -> None:
    """Ring when it is due, where that is soon."""
    left = max(0.0, (step.due_at - timezone.now()).total_seconds()) if step.due_at else 0.0
    if step.state == StepState.UNKNOWN and left <= LONGEST_COUNTDOWN:
        transaction.on_commit(lambda: ring_when_due(LOOK_TASK, str(step.pk), seconds=left))
    elif step.state == StepState.WAITING and left <= LONGEST_COUNTDOWN:
        transaction.on_commit(lambda: ring_for(change, after=left))


# --- before the call --------------------------------------------------------------------------------------------------


def _left_out_what_changed(step: Step, until: float) -> bool:
    """Compare what stands there with what was decided about, and leave out what is another by now; nobody's change is
    overwritten. False where the call was overtaken.
    """
    resource = BY_NAME[step.change.resource]
    lines = [line for line in looking.lines_of(step, LineState.SENDING) if line.before is not None and line.upstream_id]
    if not lines:
        return True
    there = looking.standing(resource, lines, seconds=seconds_left(until, looking.READ_SECONDS))
    left_out = []
    for line in lines:
        entry = there.get(line.upstream_id)
        if entry is None and line.verb == Verb.REMOVE:
            left_out.append(Outcome(line, LineState.DONE, words.GONE_ALREADY))
        elif entry is None:
            left_out.append(Outcome(line, LineState.FAILED, words.GONE))
        elif looking.differs(resource, line.before, entry):
            left_out.append(Outcome(line, LineState.FAILED, words.CHANGED))
    return not left_out or transitions.leave_out(step, left_out)


def _prepared(step: Step) -> list[Line]:
    """The lines of the call with exactly what is sent: an older server wants the networks with every change."""
    lines = looking.lines_of(step, LineState.SENDING)
    if planning.is_older(step.change.resource):
        for line in lines:
            if line.verb == Verb.CHANGE:
                _add_networks(line)
                Line.objects.filter(pk=line.pk).update(values=line.values)
    return lines


def _add_networks(line: Line) -> bool:
    """Send a domain's networks along as they are. False where they are already."""
    if "ip_restrictions" in line.values:
        return False
    line.values = {**line.values, "ip_restrictions": (line.before or {}).get("ip_restrictions") or []}
    return True


def _could_not_send(step: Step, problem: errors.EmailSecurityError, until: float) -> None:
    """Provably nothing was sent. It waits, or has failed where waiting does not help."""
    change = step.change
    if isinstance(problem, errors.MENDABLE):
        _fail(step, looking.lines_of(step, LineState.SENDING), refusal(problem), until, problem=problem, is_all=True)
        return
    if isinstance(problem, (errors.Rejected, errors.NotOnThisServer)):
        _fail(step, looking.lines_of(step, LineState.SENDING), refusal(problem), until, problem=problem)
        return
    told = words.pause(problem)
    if change.source != Source.FILE and timezone.now() - _turn_of(step) > GIVE_UP_AFTER:
        told = f"{told} It was given up after an hour of tries."
        _fail(step, looking.lines_of(step, LineState.SENDING), told, until, problem=problem)
        return
    pause = pause_after(problem, attempt=step.attempt)
    store_surely(partial(transitions.give_back, step, after=pause, explanation=told), until=until)


def _turn_of(step: Step) -> dt.datetime:
    """Since when it is this call's turn: the change began, or was sent again, and the call before it ended."""
    before = step.change.steps.exclude(pk=step.pk).aggregate(last=Max("changed_at"))["last"]
    return max(step.change.changed_at, before or step.change.changed_at)


# --- the call ---------------------------------------------------------------------------------------------------------


def _carry_out(step: Step, lines: list[Line], until: float) -> None:
    """Make the call and store what came of it."""
    call = _single if step.operation != Operation.BATCH else _batch
    try:
        outcomes = call(step, lines, seconds_left(until, CALL_SECONDS))
    except (errors.RateLimited, errors.Unavailable) as problem:
        _could_not_send(step, problem, until)
    except errors.MENDABLE as problem:
        _fail(step, lines, refusal(problem), until, problem=problem, is_all=True)
    except (errors.Rejected, errors.NotFound, errors.NotOnThisServer) as problem:
        log.warning("change_refused", step=str(step.pk), error=type(problem).__name__, status=problem.status)
        (_refused if step.operation != Operation.BATCH else _batch_refused)(step, lines, problem, until)
    except errors.EmailSecurityError as problem:
        log.warning("change_unknown", step=str(step.pk), error=type(problem).__name__, status=problem.status)
        lost = [Outcome(line, LineState.UNKNOWN) for line in lines]
        store_surely(partial(transitions.settle, step, lost, status=problem.status, ray_id=problem.ray_id), until=until)
    else:
        store_surely(partial(transitions.settle, step, outcomes, explanation=_told(outcomes)), until=until)
    # Anything else is a fault of ours after the call was noted as sent: the row stays `sending` until its claim
    # expires and is then looked up, because nobody can say how far it came.


def _single(step: Step, lines: list[Line], seconds: float) -> list[Outcome]:
    (line,) = lines
    name, client, made = step.change.resource, get_client(), None
    match line.verb:
        case Verb.ADD:
            made = client.create_entry(name, line.values, budget=seconds, priority=_priority(step))
        case Verb.CHANGE:
            made = client.edit_entry(name, line.upstream_id, line.values, budget=seconds, priority=_priority(step))
        case Verb.REMOVE:
            client.delete_entry(name, line.upstream_id, budget=seconds, priority=_priority(step))
    return [Outcome(line, LineState.DONE, entry=made)]


def _batch(step: Step, lines: list[Line], seconds: float) -> list[Outcome]:
    removed, changed, added = (_of(lines, verb) for verb in planning.SENT)
    result = get_client().change_entries(
        step.change.resource,
        deletes=[line.upstream_id for line in removed],
        patches=[{"id": line.upstream_id, **line.values} for line in changed],
        posts=[line.values for line in added],
        budget=seconds,
        priority=_priority(step),
    )
    return _answers(step, removed, changed, added, result)


def _answers(
    step: Step, removed: list[Line], changed: list[Line], added: list[Line], result: BatchResult
) -> list[Outcome]:
    """What the answer says about each line; what it says nothing about is unknown."""
    gone = set(result.deletes)
    patched = {entry.id: entry for entry in result.patches}
    outcomes = [Outcome(line, LineState.DONE if line.upstream_id in gone else LineState.UNKNOWN) for line in removed]
    for line in changed:
        entry = patched.get(line.upstream_id)
        outcomes.append(Outcome(line, LineState.UNKNOWN if entry is None else LineState.DONE, entry=entry))
    resource = BY_NAME[step.change.resource]
    made: dict[tuple[str, ...], SettingsEntry] = {resource.key(entry.values()): entry for entry in result.posts}
    in_order = len(result.posts) == len(added)
    for place, line in enumerate(added):
        entry = made.get(resource.key(line.values)) or (result.posts[place] if in_order else None)
        outcomes.append(Outcome(line, LineState.UNKNOWN if entry is None else LineState.DONE, entry=entry))
    return outcomes


def _told(outcomes: Sequence[Outcome]) -> str:
    missing = sum(outcome.state == LineState.UNKNOWN for outcome in outcomes)
    return f"The answer says nothing about {missing:,} of {len(outcomes):,} entries." if missing else ""


def _of(lines: Sequence[Line], verb: Verb) -> list[Line]:
    return [line for line in lines if line.verb == verb]


def _priority(step: Step) -> Priority:
    return Priority.BULK if step.change.source == Source.FILE else Priority.ACTION


# --- what a refusal means ---------------------------------------------------------------------------------------------


def _refused(step: Step, lines: list[Line], problem: errors.EmailSecurityError, until: float) -> None:
    """One entry was refused, or is not there."""
    (line,) = lines
    resource = BY_NAME[step.change.resource]
    is_change = resource.wants_networks and line.verb == Verb.CHANGE
    if is_change and _wants_networks(problem) and _add_networks(line):
        store_surely(partial(transitions.give_back, step, after=0, resent=[line]), until=until)
        return
    if isinstance(problem, errors.NotFound) and line.upstream_id:
        _store_end(step, [_missing(step, line, problem, until)], problem, until)
        return
    problems = words.problems_of(resource, problem.pointers, problem)
    told = "" if problems else refusal(problem)
    _store_end(step, [Outcome(line, LineState.FAILED, told, problems)], problem, until)


def _wants_networks(problem: errors.EmailSecurityError) -> bool:
    return any(pointer.rpartition("/")[2] == "ip_restrictions" for pointer, _ in problem.pointers)


def _missing(step: Step, line: Line, problem: errors.EmailSecurityError, until: float) -> Outcome:
    """What a 404 makes of a line: the service itself says that the entry is gone, or something in between did."""
    if not _is_gone(step, line, until):
        return Outcome(line, LineState.FAILED, refusal(problem))
    if line.verb == Verb.REMOVE:
        return Outcome(line, LineState.DONE, words.GONE_ALREADY)
    return Outcome(line, LineState.FAILED, words.GONE)


def _is_gone(step: Step, line: Line, until: float) -> bool:
    seconds = seconds_left(until, CALL_SECONDS / 2)
    try:
        get_client().entry(step.change.resource, line.upstream_id, budget=seconds, priority=Priority.ACTION)
    except errors.NotFound:
        return True
    except errors.EmailSecurityError:
        return False
    return False


def _batch_refused(step: Step, lines: list[Line], problem: errors.EmailSecurityError, until: float) -> None:
    """Nothing of it was carried out: fail what is to blame, and plan the rest anew. Where a part of it may have been,
    that is looked at first.
    """
    if isinstance(problem, errors.NotOnThisServer) and not get_client().offers(step.change.resource, "batch"):
        store_surely(partial(transitions.split, step, [], explanation=_ONE_BY_ONE), until=until)
        return
    done: list[Outcome] = []
    if not BY_NAME[step.change.resource].is_atomic:
        try:
            done = _carried_out(step, lines)
        except errors.EmailSecurityError:  # it is looked for, as after no answer
            lost = [Outcome(line, LineState.UNKNOWN) for line in lines]
            store_surely(partial(transitions.settle, step, lost, explanation=refusal(problem)), until=until)
            return
    settled = {outcome.line.pk for outcome in done}
    blamed = [one for one in _blamed(step, lines, problem, until) if one.line.pk not in settled]
    told = refusal(problem)
    if _is_refused_as_a_whole(step.change):
        rest = f"Cloudflare refuses most of it. {told}"
        _fail(step, lines, rest, until, problem=problem, is_all=True)
        return
    settled |= {outcome.line.pk for outcome in blamed}
    left = [line for line in lines if line.pk not in settled]
    into = [left] if blamed or done else [left[len(left) // 2 :], left[: len(left) // 2]]
    explanation = f"{told} Nothing of this call was carried out." if not done else told
    store_surely(
        partial(
            transitions.split,
            step,
            [*done, *blamed],
            explanation=explanation,
            into=into,
            status=problem.status,
            ray_id=problem.ray_id,
        ),
        until=until,
    )


def _is_refused_as_a_whole(change: Change) -> bool:
    """Whether Cloudflare refuses most of what it was sent since the change began, or was last sent again."""
    since = change.steps.filter(changed_at__gte=change.changed_at)
    if since.filter(state=StepState.FAILED, operation=Operation.BATCH).count() < MOST_REFUSALS:
        return False
    lines = change.lines.filter(step__in=since)
    return lines.filter(state=LineState.FAILED).count() > lines.filter(state=LineState.DONE).count()


def _carried_out(step: Step, lines: list[Line]) -> list[Outcome]:
    outcomes = []
    for line, entry in zip(lines, looking.judge(step, lines), strict=True):
        if entry is not None:
            made = entry if isinstance(entry, SettingsEntry) else None
            outcomes.append(Outcome(line, LineState.DONE, entry=made))
    return outcomes


def _blamed(step: Step, lines: list[Line], problem: errors.EmailSecurityError, until: float) -> list[Outcome]:
    """The lines that the pointers name, each with what is wrong at its fields."""
    resource = BY_NAME[step.change.resource]
    arrays = {planning.ARRAYS[verb]: _of(lines, verb) for verb in planning.SENT}
    told: dict[int, list[tuple[str, str]]] = {}
    named: dict[int, Line] = {}
    for pointer, text in problem.pointers:
        array, place, *rest = [*pointer.strip("/").split("/"), "", ""]
        there = arrays.get(array, [])
        if place.isascii() and place.isdigit() and int(place) < len(there):
            line = there[int(place)]
            named[line.pk] = line
            told.setdefault(line.pk, []).append(("/" + "/".join(part for part in rest if part), text))
    return [_blame(step, resource, line, told[pk], problem, until) for pk, line in named.items()]


def _blame(
    step: Step,
    resource: Resource,
    line: Line,
    pointers: list[tuple[str, str]],
    problem: errors.EmailSecurityError,
    until: float,
) -> Outcome:
    if isinstance(problem, errors.NotFound):
        return _missing(step, line, problem, until)
    problems = words.problems_of(resource, pointers, problem)
    return Outcome(line, LineState.FAILED, "" if problems else refusal(problem), problems)


def _fail(
    step: Step,
    lines: Sequence[Line],
    told: str,
    until: float,
    *,
    problem: errors.EmailSecurityError | None = None,
    is_all: bool = False,
) -> None:
    """Provably not carried out; `is_all`: nothing more of the change can be, either."""
    outcomes = [Outcome(line, LineState.FAILED, told) for line in lines]
    _store_end(step, outcomes, problem, until, explanation=told, rest=told if is_all else "")


def _store_end(
    step: Step,
    outcomes: Sequence[Outcome],
    problem: errors.EmailSecurityError | None,
    until: float,
    *,
    explanation: str = "",
    rest: str = "",
) -> None:
    status, ray_id = (problem.status, problem.ray_id) if problem is not None else (None, None)
    said = explanation or (refusal(problem) if problem is not None else "")
    store_surely(
        partial(transitions.settle, step, outcomes, explanation=said, rest=rest, status=status, ray_id=ray_id),
        until=until,
    )
