"""The desk's line at the head of a message: who has it, how far it is, what the team says, what was noted."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.http import QueryDict

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from investigate.desk import notes, words
from investigate.desk.cases import cases_of, held_now, is_overdue, is_work
from investigate.desk.forms import NoteForm
from investigate.desk.notes import NoteView
from investigate.models import Case, CaseState


@dataclass(frozen=True)
class Bar:
    """Everything the line shows; `case` is None where nobody has worked on the message."""

    key: str
    case: Case | None
    may_work: bool
    is_mine: bool
    is_held: bool
    is_overdue: bool
    notes: list[NoteView]  # newest first
    names_me: bool  # in a note they have not opened yet
    note_form: NoteForm | None  # None for who may not write
    reports: list[str]  # who reported it, in sentences
    queue: str  # the list somebody came from, for forms without htmx

    @property
    def verdicts(self) -> list[tuple[str, str, str]]:
        """(key, value, label) of each verdict of the team."""
        return [(f"t {number}", verdict.value, verdict.label) for number, verdict in words.VERDICT_KEYS.items()]

    @property
    def note_count(self) -> int:
        return len(self.notes)

    @property
    def newest(self) -> NoteView | None:
        return self.notes[0] if self.notes else None

    @property
    def is_done(self) -> bool:
        return self.case is not None and self.case.state == CaseState.DONE

    @property
    def is_waiting(self) -> bool:
        return self.case is not None and self.case.state == CaseState.WAITING

    @property
    def state(self) -> str:
        return words.state(self.case) if self.case else ""

    @property
    def verdict(self) -> str:
        return words.verdict(self.case.verdict) if self.case and self.case.verdict else ""


def bar_for(member: Member, key: str, *, queue: str = "") -> Bar:
    """The line for a message this member may see. That they are named in its notes is seen when they open those."""
    case = cases_of(member).filter(key=key).select_related("holder").first()
    found = notes.notes_on(case) if case else []
    return Bar(
        key=key,
        case=case,
        may_work=member.may(Permission.CASE_WORK),
        is_mine=case is not None and case.holder_id == member.pk and held_now(case),
        is_held=case is not None and held_now(case),
        is_overdue=case is not None and is_work(case) and is_overdue(case),
        notes=found,
        names_me=bool(found) and notes.unseen_mentions(member).filter(note__case=case).exists(),
        note_form=note_form() if member.may(Permission.CASE_WORK) else None,
        reports=_reports(case, member) if case else [],
        queue=queue,
    )


def note_form(data: QueryDict | None = None) -> NoteForm:
    return NoteForm(data, names=notes.can_be_named(), initial={"operation_key": uuid.uuid4().hex})


def _reports(case: Case, member: Member) -> list[str]:
    """ "Reported by eva@corp.example as MALICIOUS"; people outside one's domains are not named."""
    return [
        words.reported(report, is_named=member.scope.covers(report.reported_by)) for report in case.reports.all()[:5]
    ]
