"""Fixes as pages show them: each step with what its action or rule has come to, which the step may not know yet."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from investigate.actions import queries as actions
from investigate.actions.words import counted
from investigate.fixing import services, words
from investigate.fixing.advancing import ENDS, state_of
from investigate.message.history import Event
from investigate.models import Action, ActionState, Fix, FixStep, FixStepKind, FixStepState
from settings_ui.entries import services as rules
from settings_ui.entries import words as rule_words
from settings_ui.models import Entry, EntryState
from settings_ui.resources.allow_policies import ALLOW_POLICIES

_POLLS = (1, 2, 3, 5)  # seconds between the first polls of an open fix; the last one repeats
_NEEDS = {
    FixStepKind.RELEASE: Permission.MESSAGE_RELEASE,
    FixStepKind.SUBMIT_CLEAN: Permission.MESSAGE_RECLASSIFY,
    FixStepKind.ACCEPT_SENDER: Permission.POLICY_ACCEPT,
}


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step with its receipt."""

    number: int
    title: str
    state: str  # as `data-state` knows it
    end: FixStepState  # how far it is, as its action or rule tells
    text: str
    sentence: str
    receipts: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""  # of the action's own receipt
    earlier: list[str] = field(default_factory=list)  # of former tries
    due_at: dt.datetime | None = None  # while it can be undone
    is_rule: bool = False
    entry_url: str = ""  # of the rule among the account's settings
    may_repeat: bool = False
    may_look: bool = False
    may_end: bool = False

    @property
    def is_open(self) -> bool:
        return self.end not in ENDS

    @property
    def told(self) -> str:
        """The same few words where the step is not named beside them."""
        return f"sender {self.text}" if self.is_rule else self.text


@dataclass(frozen=True)
class FixView:
    fix: Fix
    steps: list[StepView]
    is_own: bool
    may_finish: bool  # end the work on the message, which is what comes next

    @property
    def url(self) -> str:
        return reverse("investigate:fix", args=[self.fix.pk])

    @property
    def is_open(self) -> bool:
        return any(step.is_open for step in self.steps)

    @property
    def is_polling(self) -> bool:
        return self.is_open or self.fix.finished_at is None

    @property
    def undo_until(self) -> dt.datetime | None:
        """Until when all of it can be undone by who decided it."""
        made = [step for step in self.steps if step.due_at is not None]
        return made[0].due_at if len(made) == 1 and self.is_own and not self._counts(*_WORKED) else None

    @property
    def is_undone_by_key(self) -> bool:
        """Below a message, the key undoes the newest action; a rule is none."""
        return any(step.due_at is not None and step.url for step in self.steps)

    @property
    def state(self) -> str:
        """In one word, as `data-state` knows it."""
        if self.is_open:
            return next((step.state for step in self.steps if step.is_open and step.state != "queued"), "waiting")
        if not self._counts(FixStepState.FAILED, FixStepState.PARTLY_DONE, FixStepState.CANCELLED):
            return "done"
        if self._counts(*_WORKED):
            return "partly_done"
        return "failed" if self._counts(FixStepState.FAILED) else "cancelled"

    @property
    def text(self) -> str:
        """A few words: "step 2 of 3", "put right"."""
        if self.is_open:
            wanted = [step for step in self.steps if step.end != FixStepState.SKIPPED]
            number = next((number for number, step in enumerate(wanted, start=1) if step.is_open), len(wanted))
            return f"step {number} of {len(wanted)}"
        return {"done": "put right", "cancelled": "undone", "failed": "not put right"}.get(
            self.state, "partly put right"
        )

    @property
    def sentence(self) -> str:
        """What is true about all of it."""
        done = ", ".join(step.told for step in self.steps if step.end in _WORKED)
        told = f"{done[:1].upper()}{done[1:]}." if done else ""
        if missed := self._counts(FixStepState.FAILED):
            again = "repeat it below" if missed == 1 else "repeat them below"
            told = f"{told} {counted(missed, 'step')} not done: {again}.".strip()
        return told or ("" if self.is_open else "Undone before anything was sent.")

    def poll_after(self, number: int) -> tuple[int, int]:
        """(seconds until the next poll, its number)"""
        return _POLLS[min(max(number, 0), len(_POLLS) - 1)], number + 1

    def _counts(self, *ends: FixStepState) -> int:
        return sum(step.end in ends for step in self.steps)


_WORKED = (FixStepState.DONE, FixStepState.PARTLY_DONE)


def of_member(member: Member) -> QuerySet[Fix]:
    """The fixes of messages of which a copy is inside the member's domains."""
    return Fix.objects.filter(member.scope.q("domains"), account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def view_of(fix: Fix, member: Member) -> FixView:
    steps = fix.steps.select_related("action", "action__actor", "action__approval", "entry")
    may_finish = member.may(Permission.CASE_WORK)
    return FixView(
        fix, [_step(step, member) for step in steps], is_own=fix.actor_id == member.pk, may_finish=may_finish
    )


def of_message(investigate_id: str, member: Member) -> list[FixView]:
    """Everything that was decided about one message, newest first."""
    fixes = of_member(member).filter(investigate_id=investigate_id).order_by("-created_at")
    return [view_of(fix, member) for fix in fixes]


def events_of(investigate_id: str, member: Member) -> list[Event]:
    """The same for the message's time line, whose other lines are the steps."""
    return [
        Event(
            at=view.fix.created_at,
            is_ours=True,
            who=view.fix.actor_name,
            sentence=f"False positive, {view.text}.",
            reason=view.fix.reason,
            state=view.state,
            url=view.url,
        )
        for view in of_message(investigate_id, member)
    ]


def fix_of(action: Action) -> Fix | None:
    """The fix an action is a step of."""
    step = FixStep.objects.filter(action=action).select_related("fix").first()
    return step.fix if step is not None else None


def _step(step: FixStep, member: Member) -> StepView:
    common = {
        "number": step.number,
        "title": words.title(step.kind),
        "earlier": _earlier(step),
        "is_rule": step.kind == FixStepKind.ACCEPT_SENDER,
        "may_repeat": services.may_repeat(step) and member.may(_NEEDS[FixStepKind(step.kind)]),
    }
    if step.action is not None:
        return StepView(**common, **_of_action(step.action, member))
    if step.entry is not None:
        return StepView(**common, **_of_rule(step.entry, member))
    end = FixStepState(step.state)
    return StepView(
        **common,
        state={FixStepState.FAILED: "failed", FixStepState.PLANNED: "queued"}.get(
            end, "cancelled" if end in ENDS else "waiting"
        ),
        end=end,
        text=words.state(end),
        sentence=step.explanation,
    )


def _of_action(action: Action, member: Member) -> dict[str, object]:
    view, listed = actions.view_of(action, member.scope), actions.listed(action, member)
    return {
        "state": str(view.state),
        "end": state_of(action),
        "text": view.text,
        "sentence": listed.sentence,
        "receipts": listed.receipts if action.state not in (ActionState.WAITING, ActionState.SENDING) else [],
        "url": view.url,
        "due_at": action.due_at if view.has_countdown else None,
    }


def _of_rule(entry: Entry, member: Member) -> dict[str, object]:
    is_before = entry.state == EntryState.WAITING and not entry.attempt and entry.due_at is not None
    shown = {EntryState.ACTIVE: "done", EntryState.REMOVING: "sending", EntryState.REMOVED: "cancelled"}
    return {
        "state": shown.get(EntryState(entry.state), str(entry.state)),
        "end": state_of(entry),
        "text": rule_words.short(entry),
        "sentence": rule_words.sentence(entry),
        "receipts": [(_copy_state(entry), entry.pattern, rule_words.until(entry))],
        "due_at": entry.due_at if is_before else None,
        "entry_url": _entry_url(entry, member),
        "may_look": entry.state == EntryState.UNKNOWN and rules.may_look(member, entry),
        "may_end": entry.state == EntryState.ACTIVE and rules.may_end(member, entry),
    }


def _entry_url(entry: Entry, member: Member) -> str:
    """Where the rule stands among the account's settings, for who may see those."""
    if not entry.upstream_id or not member.may(Permission.POLICY_READ) or not member.scope.is_whole:
        return ""
    return reverse("settings:entry", args=[ALLOW_POLICIES.slug, entry.upstream_id])


def _copy_state(entry: Entry) -> str:
    ends = {EntryState.ACTIVE: "done", EntryState.FAILED: "failed", EntryState.UNKNOWN: "unknown"}
    return ends.get(EntryState(entry.state), "")


def _earlier(step: FixStep) -> list[str]:
    """The receipts of former tries; rules have none of their own."""
    if step.kind == FixStepKind.ACCEPT_SENDER:
        return []
    return [reverse("investigate:action", args=[uuid.UUID(name)]) for name in step.earlier]
