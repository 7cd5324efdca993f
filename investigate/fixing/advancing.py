"""Take a fix from step to step. Any number of workers may do so at once, and each may be killed anywhere.

A step begins by a conditional update that counts its try. The try is part of the operation key of its action or rule,
and the same key is the same decision: who finds a step begun and nothing made yet makes it again, and gets the same.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec import errors
from dashboard.sql import seconds_from_now
from investigate.actions import services as actions
from investigate.actions import transitions
from investigate.actions import words as action_words
from investigate.desk import cases
from investigate.desk.changes import note_change
from investigate.fixing import words
from investigate.fixing.bell import ring_for_fix
from investigate.fixing.plan import decision_of
from investigate.message import parts
from investigate.models import Action, ActionState, Fix, FixStep, FixStepKind, FixStepState, OwnVerdict
from settings_ui.entries import services as rules
from settings_ui.models import Entry, EntryState

log = structlog.get_logger("mailwarden.fixing")

ENDS = (
    FixStepState.DONE,
    FixStepState.PARTLY_DONE,
    FixStepState.FAILED,
    FixStepState.CANCELLED,
    FixStepState.SKIPPED,
)
_OF_ACTION = {
    ActionState.DONE: FixStepState.DONE,
    ActionState.PARTLY_DONE: FixStepState.PARTLY_DONE,
    ActionState.FAILED: FixStepState.FAILED,
    ActionState.UNKNOWN: FixStepState.UNKNOWN,
    ActionState.CANCELLED: FixStepState.CANCELLED,
}
_OF_ENTRY = {
    EntryState.ACTIVE: FixStepState.DONE,
    EntryState.REMOVING: FixStepState.DONE,
    EntryState.FAILED: FixStepState.FAILED,
    EntryState.UNKNOWN: FixStepState.UNKNOWN,
}
_ON_ITS_WAY = (EntryState.WAITING, EntryState.SENDING)
_MADE = Q(action__isnull=False) | Q(entry__isnull=False)
_REST = 15.0  # seconds until the rows are looked at again, where no bell rings before
_AWAY = 30.0
_SOON, _IS_NEW = 2.0, dt.timedelta(minutes=1)  # a rule rings for nobody, so a young fix is looked at often


@dataclass(frozen=True)
class Begun:
    """How the beginning of a step went."""

    goes_on: bool  # whether the steps after it may begin now
    pause: float = 0.0  # seconds until it makes sense to try again


def advance(fix_id: uuid.UUID | str, *, request: HttpRequest | None = None) -> None:
    """Take a fix as far as it goes now. Harmless when it has its end, and when others do so at the same time."""
    fix = _open(fix_id)
    if fix is None:
        return
    for step in fix.steps.select_related("action", "entry"):
        _catch_up(fix, step)
    if _is_undone(fix):
        cancel_planned(fix)
    pause = _begin_steps(fix, request)
    if _end(fix):
        return
    Fix.objects.filter(pk=fix.pk, finished_at=None).update(due_at=seconds_from_now(pause or _REST))
    is_making_rule = fix.steps.filter(state=FixStepState.RUNNING, entry__state__in=_ON_ITS_WAY).exists()
    if is_making_rule and fix.created_at > timezone.now() - _IS_NEW:
        ring_for_fix(fix.pk, seconds=_SOON)


def cancel_planned(fix: Fix) -> bool:
    """Begin nothing more of it; False where nothing was left to begin."""
    planned = fix.steps.filter(state=FixStepState.PLANNED)
    return bool(planned.update(state=FixStepState.CANCELLED, explanation=""))


def state_of(made: Action | Entry) -> FixStepState:
    """What a step has come to, as its action or its rule tells."""
    if isinstance(made, Action):
        return _OF_ACTION.get(ActionState(made.state), FixStepState.RUNNING)
    if made.state == EntryState.REMOVED:
        return FixStepState.DONE if made.upstream_id else FixStepState.CANCELLED
    return _OF_ENTRY.get(EntryState(made.state), FixStepState.RUNNING)


def _open(fix_id: uuid.UUID | str) -> Fix | None:
    ours = Fix.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, finished_at=None)
    return ours.select_related("actor").filter(pk=fix_id).first()


def _catch_up(fix: Fix, step: FixStep) -> None:
    """Note what became of a step since somebody last looked; the one who notes the first end tells the desk."""
    made = step.action or step.entry
    if made is None or step.state not in (FixStepState.RUNNING, FixStepState.UNKNOWN):
        return
    state = state_of(made)
    if state == step.state or not _settle(fix, step, state):
        return
    if state in ENDS and state != FixStepState.CANCELLED and _is_first_end(fix, step):
        _say_false_positive(fix)


def _is_first_end(fix: Fix, step: FixStep) -> bool:
    others = fix.steps.exclude(pk=step.pk).exclude(state=FixStepState.SKIPPED)
    return step.tries == 1 and not others.filter(Q(state__in=ENDS) | Q(tries__gt=1)).exists()


def _say_false_positive(fix: Fix, *, is_last: bool = False) -> None:
    """The team's own verdict, at the first end of a step; at the end of all where that failed and nobody said one.

    A case that somebody else works on keeps its own: they see what was done.
    """
    actor = fix.actor
    if actor is None or not actor.may(Permission.CASE_WORK):
        return
    try:
        case = cases.case_for(fix.investigate_id)
        if case is None:
            message = parts.read_message(fix.investigate_id)
            with transaction.atomic():
                case = cases.ensure(message)
        if is_last and case.verdict:
            return
        cases.set_verdict(actor=actor, case=case, verdict=OwnVerdict.FALSE_POSITIVE, request=None)
    except (cases.Conflict, cases.NotPossible, cases.Case.DoesNotExist, errors.EmailSecurityError) as problem:
        log.info("verdict_not_set", fix=str(fix.pk), error=type(problem).__name__)


def _is_undone(fix: Fix) -> bool:
    """Whether its first step was undone, or a second person did not agree to it, before anything else was begun."""
    made = list(fix.steps.filter(_MADE))
    return len(made) == 1 and made[0].state == FixStepState.CANCELLED and made[0].tries == 1


def _begin_steps(fix: Fix, request: HttpRequest | None) -> float:
    """Begin what can begin, in order; answers after how many seconds it makes sense to try again, 0: no matter."""
    is_busy, pause = False, 0.0  # whether an earlier step keeps the message from being acted on
    for step in fix.steps.select_related("action", "entry"):
        if step.state in ENDS:
            continue
        is_message = step.kind != FixStepKind.ACCEPT_SENDER
        if step.state == FixStepState.UNKNOWN:
            is_busy = is_busy or is_message
        elif step.action_id or step.entry_id:
            break
        elif not (is_busy and is_message):
            begun = _begin(fix, step, request)
            pause = max(pause, begun.pause)
            if not begun.goes_on:
                break
    return pause


def _begin(fix: Fix, step: FixStep, request: HttpRequest | None) -> Begun:
    if step.state == FixStepState.PLANNED:
        here = FixStep.objects.filter(pk=step.pk, state=FixStepState.PLANNED, tries=step.tries)
        if not here.update(state=FixStepState.RUNNING, tries=F("tries") + 1, explanation=""):
            return Begun(goes_on=False)  # another worker is at it
        step.state, step.tries = FixStepState.RUNNING, step.tries + 1
    actor = _actor(fix, step)
    if actor is None:
        return _over(fix, step, FixStepState.FAILED, words.IS_GONE)
    key = f"{fix.pk.hex}-{step.number}-{step.tries}"
    try:
        made = _make(fix, step, actor, key, request)
    except PermissionDenied:
        return _over(fix, step, FixStepState.FAILED, words.LOST_RIGHT.format(who=actor.display_name))
    except actions.Conflict as conflict:
        return _wait(step, words.waits_for(str(conflict)), _REST, goes_on=True)
    except (actions.NotPossible, rules.NotPossible, rules.Conflict) as reason:
        return _over(fix, step, _needless(fix, step), str(reason))
    except errors.NotFound:
        return _over(fix, step, FixStepState.FAILED, words.NO_MESSAGE)
    except errors.EmailSecurityError as problem:
        return _wait(step, words.away(action_words.pause(problem)), max(problem.retry_after or 0.0, _AWAY))
    return _attach(fix, step, made)


def _make(fix: Fix, step: FixStep, actor: Member, key: str, request: HttpRequest | None) -> Action | Entry:
    """The action or rule of a step. What begins by a click can be undone; what follows by itself is sent at once."""
    is_click = step.tries > 1 or not fix.steps.exclude(pk=step.pk).filter(_MADE).exists()
    actor.undo_seconds = actor.undo_seconds if is_click else 0  # of this object alone; it is never saved
    if step.kind != FixStepKind.ACCEPT_SENDER:
        decision = decision_of(step.kind, fix.investigate_id, fix.reason)
        return actions.act(actor=actor, decision=decision, operation_key=key, request=request)
    return rules.accept_sender(
        actor=actor,
        pattern=step.values["pattern"],
        expires_at=dt.datetime.fromisoformat(step.values["expires_at"]),
        reason=fix.reason,
        operation_key=key,
        undo_seconds=actor.undo_seconds,
        request=request,
    )


def _attach(fix: Fix, step: FixStep, made: Action | Entry) -> Begun:
    values = {"action": made} if isinstance(made, Action) else {"entry": made}
    with transaction.atomic():
        attached = FixStep.objects.filter(pk=step.pk, state=FixStepState.RUNNING, tries=step.tries).update(
            **values, explanation=""
        )
        note_change([fix.investigate_id])
    if not attached:
        _withdraw_overtaken(fix, step, made)
    return Begun(goes_on=False)


def _withdraw_overtaken(fix: Fix, step: FixStep, made: Action | Entry) -> None:
    """Another worker was faster with the same action, or somebody undid it all just now: then this goes as well."""
    log.warning("step_overtaken", fix=str(fix.pk), step=step.number)
    is_undone = FixStep.objects.filter(pk=step.pk, state=FixStepState.CANCELLED).exists()
    if is_undone and isinstance(made, Action):
        transitions.cancel(made)
    elif is_undone and made.owner is not None:
        rules.withdraw(actor=made.owner, entry=made, request=None)


def _actor(fix: Fix, step: FixStep) -> Member | None:
    """Who decided this try: who repeated it, or who decided the whole; as they are in the database now."""
    return Member.objects.filter(pk=step.values.get("by", fix.actor_id)).first()


def _needless(fix: Fix, step: FixStep) -> FixStepState:
    """Whether a step that is not possible any more has nothing left to do: a colleague did it meanwhile."""
    if step.kind == FixStepKind.ACCEPT_SENDER:
        return FixStepState.FAILED
    message = parts.read_message(fix.investigate_id)
    is_needless = step.kind == FixStepKind.RELEASE and not message.is_quarantined
    return FixStepState.SKIPPED if is_needless else FixStepState.FAILED


def _over(fix: Fix, step: FixStep, state: FixStepState, told: str) -> Begun:
    _settle(fix, step, state, told)
    return Begun(goes_on=True)


def _wait(step: FixStep, told: str, pause: float, *, goes_on: bool = False) -> Begun:
    """Nothing was begun: it is planned as before, and says why it waits."""
    FixStep.objects.filter(pk=step.pk, state=FixStepState.RUNNING, tries=step.tries, action=None, entry=None).update(
        state=FixStepState.PLANNED, tries=F("tries") - 1, explanation=storable_text(told, limit=500)
    )
    return Begun(goes_on=goes_on, pause=pause)


def _settle(fix: Fix, step: FixStep, state: FixStepState, told: str = "") -> bool:
    with transaction.atomic():
        settled = FixStep.objects.filter(pk=step.pk, tries=step.tries, state=step.state).update(
            state=state, explanation=storable_text(told, limit=500)
        )
        if settled:
            note_change([fix.investigate_id])
    return bool(settled)


def _end(fix: Fix) -> bool:
    """End a fix all of whose steps have their end; True where it has."""
    states = {FixStepState(state) for state in fix.steps.values_list("state", flat=True)}
    if not states.issubset(ENDS):
        return False
    if states - {FixStepState.CANCELLED, FixStepState.SKIPPED}:
        _say_false_positive(fix, is_last=True)
    with transaction.atomic():
        ended = Fix.objects.filter(pk=fix.pk, finished_at=None).update(finished_at=Now(), due_at=None)
        if ended:
            note_change([fix.investigate_id])
            record(
                actor=None,
                action="message:fix",
                phase=_phase(states),
                targets=[fix.investigate_id],
                refers_to=fix.audit_sequence,
                detail={"fix": fix.pk, "steps": dict(fix.steps.values_list("kind", "state"))},
            )
    return True


def _phase(states: set[FixStepState]) -> str:
    worked = states & {FixStepState.DONE, FixStepState.PARTLY_DONE}
    missed = states & {FixStepState.FAILED, FixStepState.PARTLY_DONE, FixStepState.CANCELLED}
    if not missed:
        return "done"
    if worked:
        return "partly_done"
    return "failed" if FixStepState.FAILED in states else "cancelled"
