"""Two colleagues at the same instant: exactly one has the case, and the other is told who."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from investigate.desk import cases, notes
from investigate.desk.cases import Conflict
from investigate.models import Case, CaseState, Note
from tests.investigate.actions.test_races import together

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 25


@pytest.mark.matrix(71)
def test_two_who_take_a_case_at_once_do_not_both_have_it(ana: Member, ben: Member, case: Case) -> None:
    for number in range(ROUNDS):
        Case.objects.update(holder=None, holder_name="", holder_seen_at=None, state=CaseState.NEW)

        results = together(
            lambda: cases.take(actor=ana, case=case, request=None),
            lambda: cases.take(actor=ben, case=case, request=None),
        )

        won = [result for result in results if isinstance(result, Case)]
        lost = [result for result in results if isinstance(result, Conflict)]
        assert (len(won), len(lost)) == (1, 1), results
        stands = Case.objects.get()
        assert won[0].holder == stands.holder
        assert str(lost[0]).startswith(f"{stands.holder_name} has this since"), lost
        assert AuditEvent.objects.count() == number + 1


@pytest.mark.matrix(71)
def test_a_claim_that_ends_while_its_holder_looks_again_is_kept_or_lost_as_a_whole(
    ben: Member, case: Case, away: Callable[..., None]
) -> None:
    for _ in range(ROUNDS):
        Case.objects.update(holder=None, holder_name="", holder_seen_at=None, state=CaseState.NEW)
        cases.take(actor=ben, case=case, request=None)
        away(case, minutes=20)

        _, ended = together(lambda: cases.seen(ben, case.investigate_id), cases.end_idle_claims)

        now = Case.objects.get()
        assert (now.holder is None) == (ended == 1)
        assert (now.state == CaseState.NEW) == (ended == 1)


def test_many_who_need_a_case_make_one(detection: Message) -> None:
    made = together(*[lambda: cases.ensure(detection)] * 3)

    assert len({case.pk for case in made}) == 1, made
    assert Case.objects.count() == 1


@pytest.mark.matrix(8)
def test_a_note_that_is_sent_twice_at_once_is_written_once(ana: Member, case: Case) -> None:
    def send() -> Note:
        return notes.add_note(actor=ana, case=case, text="looks fine", operation_key="once", request=None)

    first, second = together(send, send)

    assert first.pk == second.pk
    assert Note.objects.count() == 1
    assert AuditEvent.objects.filter(action="case:note").count() == 1
