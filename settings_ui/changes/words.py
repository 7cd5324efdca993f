"""Sentences about changes, in the voice of the rest of the desk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from dashboard.emailsec import errors
from dashboard.web.times import moment
from settings_ui.entries.words import pause
from settings_ui.models import Change, ChangeKind, ChangeState, Line, LineState, Step, StepState, Verb
from settings_ui.resources import BY_NAME
from settings_ui.resources.description import Resource, shortened

__all__ = [
    "ALREADY",
    "counts",
    "effect",
    "line_sentence",
    "pause",
    "problems_of",
    "sentence",
    "short",
    "title",
    "title_of",
]

GONE = "It is gone: somebody removed it meanwhile. Nothing was sent."
GONE_ALREADY = "It was gone already."
CHANGED = "Somebody changed it meanwhile. Nothing was sent for it: look at it, and decide again."
ALREADY = "There is an entry like this already."
UNKNOWN = "No answer came. It may have been made. Checking; nothing is sent again."
FOUND = "No answer came; looked, and it was carried out."
_DONE = {Verb.ADD: "Added.", Verb.CHANGE: "Changed.", Verb.REMOVE: "Removed."}
_TO_DO = {Verb.ADD: "add", Verb.CHANGE: "change", Verb.REMOVE: "remove"}
_SHORT = {
    ChangeState.DRAFT: "dry run",
    ChangeState.AWAITING_APPROVAL: "waits for approval",
    ChangeState.WAITING: "waiting",
    ChangeState.RUNNING: "running",
    ChangeState.DONE: "done",
    ChangeState.PARTLY: "done in part",
    ChangeState.FAILED: "failed",
    ChangeState.CANCELLED: "cancelled",
}
_KINDS = {ChangeKind.IMPORT: "Import", ChangeKind.RESTORE: "Restore"}
_FIELD = re.compile(r"^[a-z_]+:\s*")


def title(change: Change) -> str:
    """What was decided, as the heading of its page: "Add blocked sender evil.example", "Remove 3 allow policies"."""
    lines = change.lines.exclude(state=LineState.LEFT_OUT)
    return title_of(change, lines.values_list("label", flat=True).first() or "", lines.count())


def title_of(change: Change, label: str, number: int) -> str:
    """The same, where the label of the first line and their number are known."""
    resource = BY_NAME[change.resource]
    if change.kind in _KINDS:
        return f"{_KINDS[ChangeKind(change.kind)]} into {_inside(resource)}"
    verb = {ChangeKind.CREATE: "Add", ChangeKind.EDIT: "Change"}.get(ChangeKind(change.kind), "Remove")
    if number == 1:
        return f"{verb} {resource.singular} {shortened(label)}"
    return f"{verb} {number:,} {_inside(resource)}"


def short(change: Change) -> str:
    """A word or three: "done in part"."""
    return _SHORT[ChangeState(change.state)]


def sentence(change: Change) -> str:
    """What is true about the change now, in full."""
    match change.state:
        case ChangeState.DRAFT:
            return "This is a dry run: nothing was sent, and nothing is until you decide."
        case ChangeState.AWAITING_APPROVAL:
            until = f" It expires {moment(change.expires_at)}." if change.expires_at else ""
            return f"{change.why_two} It waits for a second person; nothing was sent.{until}".strip()
        case ChangeState.WAITING:
            return "Nothing was sent yet: it can still be undone."
        case ChangeState.RUNNING:
            return _running(change)
        case ChangeState.DONE:
            return _told_once(change) or "All of it was carried out."
        case ChangeState.CANCELLED:
            told = change.explanation or "It was cancelled."
            is_over = change.finished_at is not None
            return f"{told} Nothing was sent." if is_over else f"{told} What is on its way ends first."
    return f"{_told_once(change) or f'{effect(change)}.'} {change.explanation}".strip()


def effect(change: Change) -> str:
    """What came of it, in numbers: "4,800 done, 200 failed"."""
    states = counts(change)
    words = {
        LineState.DONE: "done",
        LineState.FAILED: "failed",
        LineState.UNKNOWN: "unknown",
        LineState.SENDING: "being sent",
        LineState.WAITING: "waiting",
        LineState.CANCELLED: "cancelled",
    }
    return ", ".join(f"{states[state]:,} {word}" for state, word in words.items() if states.get(state)) or "Nothing"


def counts(change: Change) -> Mapping[str, int]:
    """How many of its lines are in which state."""
    return Counter(change.lines.values_list("state", flat=True))


def line_sentence(line: Line) -> str:
    """What became of one entry."""
    match line.state:
        case LineState.DONE:
            return line.explanation or _DONE.get(Verb(line.verb), "Done.")
        case LineState.FAILED:
            return line.explanation or " ".join(str(told) for told in line.problems.values()) or "It failed."
        case LineState.UNKNOWN:
            return UNKNOWN if line.verb == Verb.ADD else UNKNOWN.replace("made", "carried out")
        case LineState.SENDING:
            return "Being sent."
        case LineState.CANCELLED:
            return "Nothing was sent."
        case LineState.LEFT_OUT:
            told = {Verb.SAME: "It stands there already.", Verb.BAD: "It cannot be sent."}
            return line.explanation or told.get(Verb(line.verb), "Left out.")
    return line.explanation or f"To {_TO_DO.get(Verb(line.verb), 'do')}."


def problems_of(
    resource: Resource, pointers: Sequence[tuple[str, str]], problem: errors.EmailSecurityError
) -> dict[str, str]:
    """What Cloudflare said about fields, by field; "" is the entry as a whole. The pointers begin at the entry."""
    named = {field.name for field in resource.fields}
    found: dict[str, str] = {}
    for pointer, told in pointers:
        name = pointer.strip("/").partition("/")[0]
        found.setdefault(name if name in named else "", _told(told))
    if problem.status == 409:
        return {resource.identity[0]: ALREADY}
    return found


def _told(text: str) -> str:
    """Cloudflare's words about a field as a sentence: without the field's name in front."""
    said = _FIELD.sub("", text.strip())
    return f"Cloudflare: {said.rstrip('.')}." if said else "Cloudflare refused this and gave no reason."


def _running(change: Change) -> str:
    step = change.steps.exclude(explanation="").filter(state__in=[StepState.WAITING, StepState.UNKNOWN]).first()
    unknown = change.steps.filter(state=StepState.UNKNOWN).first()
    if unknown is not None:
        return _unknown(unknown)
    if step is not None:
        return f"{step.explanation} It goes on by itself."
    return "It is being carried out."


def _unknown(step: Step) -> str:
    number = step.lines.filter(state=LineState.UNKNOWN).count()
    if number == 1:
        line = step.lines.filter(state=LineState.UNKNOWN).first()
        return line_sentence(line) if line is not None else UNKNOWN
    told = step.explanation or "No answer came."
    return f"{told} {number:,} entries may have been carried out. Checking; nothing is sent again."


def _told_once(change: Change) -> str:
    """Of a change of one line: what became of that."""
    lines = list(change.lines.exclude(state=LineState.LEFT_OUT)[:2])
    return line_sentence(lines[0]) if len(lines) == 1 else ""


def _inside(resource: Resource) -> str:
    """The list's title inside a sentence."""
    title = resource.title
    return title if title[:2].isupper() else title[0].lower() + title[1:]
