"""The only place where changes, their calls and their lines change their states: conditional updates that say which
state they leave.

Everything after the claim also names its attempt, so that the late word of an overtaken worker changes nothing. Due
times are compared with the database's clock. Locks are taken in one order: change, step, lines, audit trail.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.audit.chain import storable, storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec.types import SettingsEntry
from dashboard.sql import seconds_from_now
from settings_ui.changes import planning
from settings_ui.entries import life
from settings_ui.models import OPEN_LINES, Change, ChangeKind, ChangeState, Line, LineState, Step, StepState, Verb

log = structlog.get_logger("mailwarden.changes")

TEXT_LIMIT = 500  # characters of the columns that hold an explanation
CLAIM_SECONDS = 2 * settings.CALL_SECONDS  # longer than a reading and the call after it: only a dead worker's expires
LOOK_LEASE = 2 * settings.CALL_SECONDS
MOST_ATTEMPTS = 10  # of a call that no worker lives to send
MOST_TARGETS = 200  # labels in one row of the trail; the rest is in the change
ACTIONS = {
    ChangeKind.CREATE: "policy:create",
    ChangeKind.EDIT: "policy:edit",
    ChangeKind.DELETE: "policy:remove",
    ChangeKind.IMPORT: "policy:import",
    ChangeKind.RESTORE: "policy:restore",
}
ENDS = (ChangeState.DONE, ChangeState.PARTLY, ChangeState.FAILED, ChangeState.CANCELLED)


@dataclass(frozen=True)
class Outcome:
    """What became of one line; `state` UNKNOWN: it is looked for."""

    line: Line
    state: LineState
    explanation: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    entry: SettingsEntry | None = None  # as it stands now, where that was told


def held(change: Change) -> Change:
    """The change, its row held until the transaction ends."""
    return Change.objects.select_for_update().get(pk=change.pk)


def move(change: Change, leaves: Collection[ChangeState], to: ChangeState, **values: Any) -> bool:
    """The one place where the state of a change is written."""
    moved = Change.objects.filter(pk=change.pk, state__in=leaves)
    return bool(moved.update(state=to, changed_at=Now(), **values))


def start(change: Change) -> bool:
    """Its undo window is over."""
    due = Change.objects.filter(pk=change.pk, state=ChangeState.WAITING, due_at__lte=Now())
    return bool(due.update(state=ChangeState.RUNNING, changed_at=Now(), due_at=None))


def claim(step_id: uuid.UUID) -> Step | None:
    """Take a due call for sending; None where it is not waiting, not due, or somebody else was faster."""
    with transaction.atomic():
        change = Change.objects.select_for_update().filter(steps=step_id).first()
        if change is None or change.state != ChangeState.RUNNING:
            return None
        taken = Step.objects.filter(pk=step_id, state=StepState.WAITING, due_at__lte=Now()).update(
            state=StepState.SENDING,
            attempt=F("attempt") + 1,
            claimed_at=Now(),
            changed_at=Now(),
            sent_at=None,
            looks=0,
            explanation="",
        )
        if not taken:
            return None
        Line.objects.filter(step=step_id, state=LineState.WAITING).update(state=LineState.SENDING)
    return Step.objects.select_related("change__actor", "change__decided_by").get(pk=step_id)


def note_sent(step: Step) -> bool:
    """Commit that the call is about to leave. It must not be made where this answers False: it was overtaken, or its
    change was stopped.
    """
    noted = (
        _left(step, StepState.SENDING).filter(change__state=ChangeState.RUNNING).update(sent_at=Now(), changed_at=Now())
    )
    step.refresh_from_db(fields=["sent_at"])
    return bool(noted)


def give_back(step: Step, *, after: float, explanation: str = "", resent: Iterable[Line] = ()) -> bool:
    """Return a claimed call unsent: provably nothing happened. `resent`: lines that will be sent with other values."""
    with transaction.atomic():
        change = held(step.change)
        returned = _left(step, StepState.SENDING).update(
            state=StepState.WAITING,
            due_at=seconds_from_now(after),
            changed_at=Now(),
            sent_at=None,
            explanation=_text(explanation),
        )
        if returned:
            Line.objects.filter(step=step, state=LineState.SENDING).update(state=LineState.WAITING)
            for line in resent:
                Line.objects.filter(pk=line.pk).update(values=line.values)
            end_stopped(change)
    return bool(returned)


def leave_out(step: Step, outcomes: Sequence[Outcome]) -> bool:
    """Settle lines that are not sent after all, before the others of their call are."""
    with transaction.atomic():
        held(step.change)
        if not _left(step, StepState.SENDING).update(changed_at=Now()):
            return False
        _store_lines(outcomes)
    return True


def settle(
    step: Step,
    outcomes: Sequence[Outcome],
    *,
    explanation: str = "",
    status: int | None = None,
    ray_id: str | None = None,
    rest: str = "",
) -> bool:
    """Store what became of a call, as its answer or a look tells; `rest`: why nothing more of the change is sent."""
    state = _state_of(step, outcomes)
    values: dict[str, Any] = {"explanation": _text(explanation), "due_at": None}
    if state == StepState.UNKNOWN:
        values["due_at"] = seconds_from_now(float(settings.QUIET_SECONDS))
    if status is not None or ray_id:
        values |= {"status": status, "ray_id": storable_text(ray_id or "", limit=100)}
    with transaction.atomic():
        held(step.change)
        if not _left(step, StepState(step.state)).update(state=state, changed_at=Now(), **values):
            log.warning("step_overtaken", step=str(step.pk), attempt=step.attempt, state=state.value)
            return False
        _store_lines(outcomes)
        if rest:
            _fail_rest(step.change, rest)
        if state != StepState.UNKNOWN:
            finish(step.change)
        _record_step(step, state, explanation)
    return True


def split(
    step: Step,
    refused: Sequence[Outcome],
    *,
    explanation: str,
    into: Sequence[Sequence[Line]] = (),
    status: int | None = None,
    ray_id: str | None = None,
) -> bool:
    """End a call that was refused as a whole, and plan the lines that are not to blame anew.

    `into`: the lines of each of the next calls; those in none of them are packed when it is their turn.
    """
    state = StepState.FAILED if refused or into else StepState.CANCELLED
    with transaction.atomic():
        change = held(step.change)
        ended = _left(step, StepState.SENDING).update(
            state=state,
            explanation=_text(explanation),
            due_at=None,
            changed_at=Now(),
            status=status,
            ray_id=storable_text(ray_id or "", limit=100),
        )
        if not ended:
            return False
        _store_lines(refused)
        free = Line.objects.filter(step=step, state=LineState.SENDING)
        free.update(state=LineState.WAITING, step=None)
        for lines in into:
            if lines:
                planning.new_step(change, [line.pk for line in lines])
        end_stopped(change)
        finish(change)
        _record_step(step, state, explanation)
    return True


def expire_claim(step: Step) -> bool:
    """End the claim of a worker that never came back. What was not noted as sent has not left."""
    with transaction.atomic():
        change = held(step.change)
        expired = _left(step, StepState.SENDING).filter(claimed_at__lte=seconds_from_now(-CLAIM_SECONDS))
        lines = Line.objects.filter(step=step, state=LineState.SENDING)
        unsent = expired.filter(sent_at=None)
        if step.attempt >= MOST_ATTEMPTS and unsent.update(
            state=StepState.FAILED, due_at=None, changed_at=Now(), explanation="No worker lived to send it."
        ):
            lines.update(state=LineState.FAILED, explanation="Nothing was sent: no worker lived to send it.")
            finish(change)
            _record_step(step, StepState.FAILED, "No worker lived to send it.")
            return True
        told = "A worker stopped before it sent anything."
        if unsent.update(state=StepState.WAITING, due_at=Now(), changed_at=Now(), explanation=told):
            lines.update(state=LineState.WAITING)
            end_stopped(change)
            return True
        unknown = expired.filter(sent_at__isnull=False).update(
            state=StepState.UNKNOWN,
            due_at=seconds_from_now(float(settings.QUIET_SECONDS)),
            changed_at=Now(),
            explanation="A worker stopped while it was sending.",
        )
        if unknown:
            lines.update(state=LineState.UNKNOWN)
            _record_step(step, StepState.UNKNOWN, "A worker stopped while it was sending.")
    return bool(unknown)


def take_for_look(step_id: uuid.UUID | str) -> Step | None:
    """Take an unknown call for looking, if it is due; nobody else looks before the lease is over."""
    mine = Step.objects.filter(
        pk=step_id,
        state=StepState.UNKNOWN,
        due_at__lte=Now(),
        change__account_id=settings.CLOUDFLARE_ACCOUNT_ID,
    )
    if not mine.update(due_at=seconds_from_now(LOOK_LEASE)):
        return None
    return Step.objects.select_related("change__actor").get(pk=step_id)


def look_again(step: Step, *, after: float, is_counted: bool) -> bool:
    """A look found nothing, or could not be taken, which does not count."""
    same = _left(step, StepState.UNKNOWN).filter(looks=step.looks)
    return bool(same.update(due_at=seconds_from_now(after), looks=F("looks") + int(is_counted)))


def look_at_once(change: Change) -> Step | None:
    """Let the next look happen now."""
    step = change.steps.filter(state=StepState.UNKNOWN).first()
    if step is None or not _left(step, StepState.UNKNOWN).update(due_at=Now()):
        return None
    return step


def drop(change: Change, leaves: Collection[ChangeState], told: str) -> bool:
    """Send nothing (more) of a change; what is on its way ends by itself. The caller holds the row."""
    if not move(change, leaves, ChangeState.CANCELLED, due_at=None, explanation=_text(told)):
        return False
    _let_go(change)
    finish(change)
    return True


def end_stopped(change: Change) -> bool:
    """Of a change that was stopped while a call was on its way: what came back unsent is never sent, and holds its
    entries no longer. The caller holds the row.
    """
    if not Change.objects.filter(pk=change.pk, state=ChangeState.CANCELLED, finished_at=None).exists():
        return False
    _let_go(change)
    return finish(change)


def finish(change: Change) -> bool:
    """End a change of which nothing is left to do. The caller holds the row.

    One that was stopped has done a part all the same, where something was carried out before.
    """
    if _is_open(change):
        return False
    states = dict(Counter(change.lines.exclude(state=LineState.LEFT_OUT).values_list("state", flat=True)))
    done, failed = states.get(LineState.DONE, 0), states.get(LineState.FAILED, 0)
    stopped = states.get(LineState.CANCELLED, 0)
    end = ChangeState.FAILED
    if done:
        end = ChangeState.PARTLY if failed or stopped else ChangeState.DONE
    elif stopped and not failed:
        end = ChangeState.CANCELLED
    is_stopped = Change.objects.filter(pk=change.pk, state=ChangeState.CANCELLED, finished_at=None)
    if not done and is_stopped.update(finished_at=Now()):
        return True
    leaves = [ChangeState.RUNNING, ChangeState.CANCELLED] if done else [ChangeState.RUNNING]
    return move(change, leaves, end, due_at=None, finished_at=Now())


def record_change(
    change: Change,
    phase: str,
    *,
    actor: Member | None,
    request: HttpRequest | None = None,
    action: str = "",
    reason: str = "",
    **detail: Any,
) -> int:
    """The row about a decision: who, why, and exactly what. Answers its number."""
    lines = list(change.lines.exclude(state=LineState.LEFT_OUT)[: MOST_TARGETS + 1])
    verbs = Counter(change.lines.exclude(state=LineState.LEFT_OUT).values_list("verb", flat=True))
    if len(lines) == 1:
        detail |= {"id": lines[0].upstream_id, "before": _replaced(lines[0]), "values": lines[0].values}
    event = record(
        actor=actor,
        action=action or ACTIONS[ChangeKind(change.kind)],
        phase=phase,
        targets=[line.label for line in lines[:MOST_TARGETS]],
        reason=reason or change.reason,
        request=request,
        refers_to=change.audit_sequence,
        detail={
            "change": change.pk,
            "resource": change.resource,
            "ticket": change.ticket,
            "lines": dict(verbs),
            "fingerprint": change.fingerprint,
            **({"message": change.investigate_id} if change.investigate_id else {}),
            **({"file": change.file_name} if change.file_name else {}),
            **detail,
        },
    )
    return event.sequence


def _record_step(step: Step, state: StepState, explanation: str) -> None:
    """The row about a call: last in its transaction, because every change waits for its lock."""
    change = Change.objects.get(pk=step.change_id)
    lines = list(step.lines.all()[: MOST_TARGETS + 1])
    states = Counter(step.lines.values_list("state", flat=True))
    phases = {StepState.UNKNOWN: "unknown", StepState.CANCELLED: "cancelled", StepState.FAILED: "failed"}
    is_mixed = states.get(LineState.DONE, 0) < sum(states.values())
    record(
        actor=None,
        action=ACTIONS[ChangeKind(change.kind)],
        phase=phases.get(state, "partly_done" if is_mixed else "done"),
        targets=[line.label for line in lines[:MOST_TARGETS]],
        refers_to=change.audit_sequence,
        detail={
            "change": change.pk,
            "resource": change.resource,
            "call": step.position,
            "attempt": step.attempt,
            "lines": dict(states),
            "explanation": _text(explanation),
            **({"id": lines[0].upstream_id, "problems": lines[0].problems} if len(lines) == 1 else {}),
        },
    )


def _replaced(line: Line) -> dict[str, Any]:
    """What the line takes away: all of a removed entry, what it changes of another."""
    before = line.before or {}
    if line.verb == Verb.REMOVE:
        return before
    return {name: before.get(name) for name in line.values if name in before}


def _store_lines(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        line = outcome.line
        line.state, line.explanation = outcome.state, _text(outcome.explanation)
        line.problems = storable(dict(outcome.problems))
        if outcome.entry is not None and line.verb == Verb.ADD:
            line.upstream_id = storable_text(outcome.entry.id, limit=100)
    rows = [outcome.line for outcome in outcomes]
    Line.objects.bulk_update(rows, ["state", "explanation", "problems", "upstream_id"], batch_size=200)
    for outcome in outcomes:
        if outcome.state == LineState.DONE:
            _tell_life(outcome)


def _tell_life(outcome: Outcome) -> None:
    """What became of the entry, for who keeps its life. What cannot be kept must not hide what was carried out."""
    try:
        with transaction.atomic():
            _note(outcome)
    except (IntegrityError, DataError) as problem:
        log.warning("life_not_kept", line=outcome.line.pk, error=type(problem).__name__)


def _note(outcome: Outcome) -> None:
    match outcome.line.verb:
        case Verb.ADD if outcome.entry is not None:
            life.note_added(outcome.line, outcome.entry)
        case Verb.CHANGE:
            life.note_changed(outcome.line)
        case Verb.REMOVE:
            life.note_removed(outcome.line)


def _let_go(change: Change) -> None:
    """Send nothing of what still waits."""
    change.steps.filter(state=StepState.WAITING).update(state=StepState.CANCELLED, due_at=None, changed_at=Now())
    waiting = change.lines.filter(state__in=[LineState.WAITING, LineState.DRAFT])
    waiting.update(state=LineState.CANCELLED, explanation="")


def _fail_rest(change: Change, told: str) -> None:
    """Nothing more of it can be sent, whoever tries: what waits has failed, and can be sent again later."""
    change.steps.filter(state=StepState.WAITING).update(
        state=StepState.CANCELLED, due_at=None, changed_at=Now(), explanation=_text(told)
    )
    change.lines.filter(state=LineState.WAITING).update(state=LineState.FAILED, explanation=_text(told))


def _state_of(step: Step, outcomes: Sequence[Outcome]) -> StepState:
    """Of the call as a whole; what was left out of it before has an end already."""
    open_ones = (LineState.SENDING, LineState.UNKNOWN)
    ended = step.lines.exclude(state__in=open_ones).values_list("state", flat=True).distinct()
    states = {outcome.state for outcome in outcomes} | {LineState(state) for state in ended}
    if LineState.UNKNOWN in states:
        return StepState.UNKNOWN
    return StepState.DONE if LineState.DONE in states else StepState.FAILED


def _left(step: Step, state: StepState) -> QuerySet[Step]:
    """The call, unless it has gone on since it was taken."""
    return Step.objects.filter(pk=step.pk, attempt=step.attempt, state=state)


def _is_open(change: Change) -> bool:
    return change.lines.filter(state__in=OPEN_LINES).exists()


def _text(told: str) -> str:
    return storable_text(told, limit=TEXT_LIMIT)
